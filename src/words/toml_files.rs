//! `TomlFiles`: a TOML file, or a directory of them in the order of their names, read safely: plain files of a bounded
//! size that not everybody may write to. What they say decides who gets secrets, so a stranger must not have written it.

use super::toml_table::Document;
use super::{Error, Result, TomlTable, printable};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const LARGEST: u64 = 16 * 1024 * 1024;

/// What was read and parsed, in the order of the file names.
pub struct TomlFiles {
    documents: Vec<Document>,
}

impl TomlFiles {
    /// `kind` is what is read, for messages: `inventory`, `playbook` or `ignore file`.
    pub fn read(path: &Path, kind: &str) -> Result<Self> {
        let documents = listed(path, kind)?.iter().map(|file| document(file, kind)).collect::<Result<_>>()?;
        Ok(Self { documents })
    }

    /// The top level of each file.
    pub fn tables(&self) -> impl Iterator<Item = TomlTable<'_>> {
        self.documents.iter().map(Document::table)
    }
}

fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_encoded_bytes(), 400)
}

fn failed(path: &Path, kind: &str, error: std::io::Error) -> Error {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let wrong = Error::new(format!("reading the {kind} {}", shown(path))).because(error);
    match (missing, kind) {
        (true, "inventory") => wrong.hint("-i names an inventory file or directory, -C the directory of the project"),
        (true, "playbook") => wrong.hint("-p names a playbook file or directory, -C the directory of the project"),
        // Nobody looks for others: the option named it.
        _ => wrong,
    }
}

fn listed(path: &Path, kind: &str) -> Result<Vec<PathBuf>> {
    let metadata = path.metadata().map_err(|e| failed(path, kind, e))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    refuse_world_writable(path, &metadata, kind)?;
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(|e| failed(path, kind, e))? {
        let name = entry.map_err(|e| failed(path, kind, e))?.file_name();
        let bytes = name.as_encoded_bytes();
        if !bytes.starts_with(b".") && !bytes.ends_with(b"~") && !is_for_programs(path, bytes, kind) {
            files.push(path.join(name));
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::new(format!("{}: there is no .toml file in this directory", shown(path))));
    }
    Ok(files)
}

/// The programs that a playbook calls lie beside it, in one directory, and its templates in another.
fn is_for_programs(path: &Path, name: &[u8], kind: &str) -> bool {
    let known = ["rotators", "templates"].into_iter().find(|known| known.as_bytes() == name);
    kind == "playbook" && known.is_some_and(|known| path.join(known).is_dir())
}

fn refuse_world_writable(path: &Path, metadata: &std::fs::Metadata, kind: &str) -> Result<()> {
    if metadata.permissions().mode() & 0o002 == 0 {
        return Ok(());
    }
    Err(Error::new(format!("{}: anybody on this machine may write to this {kind}", shown(path)))
        .hint(format!("chmod o-w {}", shown(path))))
}

fn document(path: &Path, kind: &str) -> Result<Document> {
    let wrong = |why: &str| Error::new(format!("{}: {why}", shown(path)));
    let metadata = path.metadata().map_err(|e| failed(path, kind, e))?;
    if metadata.is_dir() {
        return Err(wrong("a directory inside this directory is not read").hint("put the files side by side"));
    }
    if !metadata.is_file() {
        return Err(wrong("not a plain file"));
    }
    if path.extension().is_none_or(|extension| extension != "toml") {
        let other = match kind {
            "inventory" => "only .toml files are read; INI and YAML inventories are not read yet",
            _ => "only .toml files are read",
        };
        return Err(wrong(other).hint("a name that starts with a dot or ends with ~ is passed over"));
    }
    // What is checked is what is read: the open file, not its name.
    let file = std::fs::File::open(path).map_err(|e| failed(path, kind, e))?;
    let metadata = file.metadata().map_err(|e| failed(path, kind, e))?;
    refuse_world_writable(path, &metadata, kind)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| failed(path, kind, e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong("larger than 16 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8 text"))?;
    Document::parse(&shown(path), &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn world() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[track_caller]
    fn refused(path: &Path, expected: &str) -> Error {
        let error = TomlFiles::read(path, "inventory").err().expect("it was read");
        let whole = format!("{error} {}", error.hints().join(" "));
        assert!(whole.contains(expected), "{whole:?} lacks {expected:?}");
        error
    }

    #[test]
    fn a_directory_is_read_in_the_order_of_names() {
        let dir = world();
        for name in ["b.toml", "a.toml", ".hidden", "a.toml~", "c.toml"] {
            fs::write(dir.path().join(name), "x = 1").unwrap();
        }
        let files = TomlFiles::read(dir.path(), "inventory").unwrap();
        let names: Vec<_> = files.tables().map(|t| t.file().rsplit('/').next().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.toml", "b.toml", "c.toml"]);
    }

    #[test]
    fn what_is_not_there_or_not_toml() {
        let dir = world();
        let at = |name: &str| dir.path().join(name);
        refused(&at("none.toml"), "-i names");
        let hints = |kind: &str| TomlFiles::read(&at("none.toml"), kind).err().unwrap().hints().join(" ");
        assert!(hints("playbook").contains("-p names"));
        assert_eq!(hints("ignore file"), "");
        refused(dir.path(), "no .toml file");
        fs::write(at("hosts.ini"), "[web]").unwrap();
        refused(dir.path(), "INI and YAML inventories are not read yet");
        refused(&at("hosts.ini"), "only .toml");
        fs::remove_file(at("hosts.ini")).unwrap();
        fs::create_dir(at("group_vars")).unwrap();
        refused(dir.path(), "side by side");
        fs::remove_dir(at("group_vars")).unwrap();
        nix::unistd::mkfifo(&at("pipe.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        refused(dir.path(), "not a plain file");
    }

    #[test]
    fn programs_lie_beside_playbooks() {
        let dir = world();
        fs::create_dir(dir.path().join("rotators")).unwrap();
        fs::write(dir.path().join("a.toml"), "x = 1").unwrap();
        assert_eq!(TomlFiles::read(dir.path(), "playbook").unwrap().tables().count(), 1);
        refused(dir.path(), "side by side");
    }

    #[test]
    fn what_anybody_may_write_is_refused() {
        let dir = world();
        let file = dir.path().join("a.toml");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o646)).unwrap();
        refused(&file, "chmod o-w");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
        assert!(TomlFiles::read(&file, "inventory").is_ok());
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        refused(dir.path(), "chmod o-w");
    }

    #[test]
    fn size_and_text_are_bounded() {
        let dir = world();
        let file = dir.path().join("a.toml");
        fs::File::create(&file).unwrap().set_len(LARGEST + 1).unwrap();
        refused(&file, "16 MiB");
        fs::write(&file, b"x = \"\xff\"").unwrap();
        refused(&file, "UTF-8");
    }

    #[test]
    fn a_syntax_error_names_the_line_and_quotes_nothing() {
        let dir = world();
        let file = dir.path().join("a.toml");
        fs::write(&file, "a = 1\nb = poison poison\n").unwrap();
        let error = refused(&file, "a.toml:2: ");
        assert!(!error.to_string().contains("poison"), "{error}");
    }
}
