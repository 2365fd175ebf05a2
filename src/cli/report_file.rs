//! `ReportFile`: a report that goes to a file beside what is said on stdout. A reader finds the old one or the new one, whole:
//! node_exporter and CI servers look whenever they like.

use crate::bundle::system_random;
use crate::words::{Error, Result, named};
use data_encoding::HEXLOWER;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    Junit,
    Json,
}

impl ReportFormat {
    const ALL: [(&str, Self); 2] = [("junit", Self::Junit), ("json", Self::Json)];
}

impl FromStr for ReportFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named(text, "a format of reports", &Self::ALL)
    }
}

/// `junit=FILE` as given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFile {
    pub format: ReportFormat,
    pub path: PathBuf,
}

impl FromStr for ReportFile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (format, path) = text.split_once('=').unwrap_or((text, ""));
        let format = format.parse()?;
        match path {
            "" => Err(Error::new("it names no file").hint("write the format and the file: junit=report.xml")),
            path => Ok(Self { format, path: path.into() }),
        }
    }
}

/// Puts the text in the place of what was there, at once.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        let wrong = Error::new(format!("writing {}", path.display())).because(error);
        if is_missing { wrong.hint("make the directory first") } else { wrong }
    };
    refuse_other_than_file(path)?;
    let beside = beside(path)?;
    write_new(&beside, text).and_then(|()| fs::rename(&beside, path)).map_err(|error| {
        // Its name is our own dice: nobody else's file goes.
        let _ = fs::remove_file(&beside);
        failed(error)
    })
}

/// A rename as root would make a plain file of /dev/null, or of the link /dev/stdout.
fn refuse_other_than_file(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => {
            Err(Error::new(format!("writing {}: what is there is not a plain file", path.display())))
        }
        _ => Ok(()),
    }
}

/// A name that nobody has, hidden, and without the end that a collector of files looks for.
fn beside(path: &Path) -> Result<PathBuf> {
    if path.file_name().is_none() {
        return Err(Error::new(format!("writing {}: it names no file", path.display())));
    }
    let mut random = [0; 8];
    system_random(&mut random);
    Ok(path.with_file_name(format!(".distribute.{}.tmp", HEXLOWER.encode(&random))))
}

/// Others may read it as far as the umask lets them: the collector is another user.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn a_format_and_a_file_are_read() {
        let read = |text: &str| text.parse::<ReportFile>();
        for (text, format, path) in
            [("junit=report.xml", ReportFormat::Junit, "report.xml"), ("json=/tmp/a=b", ReportFormat::Json, "/tmp/a=b")]
        {
            assert_eq!(read(text).unwrap(), ReportFile { format, path: path.into() });
        }
        for (text, message, hint) in [
            ("junit", "it names no file", "write the format and the file: junit=report.xml"),
            ("junit=", "it names no file", "write the format and the file: junit=report.xml"),
            ("junti=x", "`junti` is not a format of reports", "did you mean `junit`?"),
            ("=x", "`` is not a format of reports", "there are junit and json"),
            ("prometheus=x", "`prometheus` is not a format of reports", "there are junit and json"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.message(), error.hints()), (message, &[hint.to_owned()][..]), "{text}");
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_new_text_takes_the_place_of_the_old() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("distribute.prom");
        write(&path, "one\n").unwrap();
        // A name may be as long as the file system allows.
        write(&directory.path().join("x".repeat(255)), "").unwrap();
        fs::remove_file(directory.path().join("x".repeat(255))).unwrap();
        let first = fs::metadata(&path).unwrap();
        assert_eq!(first.mode() & 0o777 & !0o644, 0);
        // A reader that has the old one open keeps it whole.
        let mut reader = fs::File::open(&path).unwrap();
        write(&path, "two\n").unwrap();
        assert_eq!(std::io::read_to_string(&mut reader).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(names(directory.path()), ["distribute.prom"]);
    }

    #[test]
    fn what_cannot_be_written_is_named_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let wrong = |path: &Path| write(path, "x").unwrap_err();
        let missing = wrong(&at("none/report.xml"));
        assert!(
            missing.to_string().starts_with(&format!("writing {}: ", at("none/report.xml").display())),
            "{missing}"
        );
        assert_eq!(missing.hints(), ["make the directory first"]);
        fs::create_dir(at("directory")).unwrap();
        symlink("/dev/null", at("link")).unwrap();
        for name in ["directory", "link"] {
            let error = wrong(&at(name));
            assert_eq!(error.message(), format!("writing {}: what is there is not a plain file", at(name).display()));
        }
        assert!(wrong(&at("directory/..")).message().contains("not a plain file"));
        assert!(wrong(&at("nobody/..")).message().ends_with("it names no file"));
        // Here the new file is there already when the rename fails.
        assert!(wrong(&at("slash/")).message().ends_with("slash/"));
        let mut left = names(directory.path());
        left.sort();
        assert_eq!(left, ["directory", "link"]);
        assert!(names(&at("directory")).is_empty());
    }
}
