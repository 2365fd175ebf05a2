//! `Template`: the text from which a config file is made, read with the playbook.

use crate::words::{Error, FileName, Result, printable};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

const LARGEST: u64 = 1024 * 1024;

/// Its name, and what it says; what it says is checked where it is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// As the playbook names it.
    pub path: String,
    /// Of the file that it makes: without `.j2`.
    pub file: FileName,
    pub text: Arc<str>,
}

impl Template {
    /// Relative to the directory of the playbook. A link does not lead out of it; a path that is written to lie elsewhere does.
    pub(super) fn read(path: &str, directory: &Path) -> Result<Self> {
        let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let file = FileName::new(name.strip_suffix(".j2").unwrap_or(name))?;
        let text = text(&inside(path, directory)?).map_err(|error| error.at(printable(path.as_bytes(), 400)))?;
        Ok(Self { path: path.to_owned(), file, text: text.into() })
    }
}

fn inside(path: &str, directory: &Path) -> Result<PathBuf> {
    let shown = printable(path.as_bytes(), 400);
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let real = |path: &Path| {
        path.canonicalize().map_err(|error| Error::new(format!("reading the template {shown}")).because(error))
    };
    let found = real(&directory.join(path))?;
    let says_elsewhere =
        Path::new(path).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    if !says_elsewhere && !found.starts_with(real(directory)?) {
        let error = Error::new(format!("the template {shown} is a link out of the playbook's directory"));
        return Err(error.hint("write where it really lies"));
    }
    Ok(found)
}

fn text(path: &Path) -> Result<String> {
    let failed = |error: std::io::Error| Error::new("the template cannot be read").because(error);
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Error::new("not a plain file"));
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o002 != 0 {
        return Err(Error::new("anybody on this machine may write to this template"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::new("larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| Error::new("not UTF-8 text"))
}
