//! `Source`: one file that is imported: read once, with what it is and what is in it.

use super::Args;
use crate::bundle::{Unlock, open_sealed};
use crate::import::{Contents, VaultPasswords, ansible, clear_env, sops};
use crate::words::{Error, Mode, Result, Secret, printable};
use nix::libc;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const LARGEST: u64 = 16 << 20;

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// KEY=value lines in clear text
    Env,
    /// Sealed by ansible-vault, or with `!vault` values
    Ansible,
    /// Sealed by SOPS to age recipients: an env file, YAML, JSON, or a file of any kind
    Sops,
}

impl Format {
    /// As the option has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Ansible => "ansible",
            Self::Sops => "sops",
        }
    }
}

/// How sources are read, and what opens them.
pub struct Manner<'a> {
    pub args: &'a Args,
    pub is_whole: bool,
    pub passwords: &'a VaultPasswords,
    pub unlock: &'a Unlock,
}

/// A file and what was found in it.
pub struct Source {
    pub path: PathBuf,
    pub format: Format,
    pub contents: Contents,
    /// Who besides its owner can read it, by its mode.
    pub open_mode: Option<Mode>,
}

impl Source {
    /// Reads a regular file of 16 MiB at most.
    pub fn read(path: &Path, manner: &Manner) -> Result<Self> {
        Self::read_here(path, manner).map_err(|error| error.at(shown(path)))
    }

    fn read_here(path: &Path, manner: &Manner) -> Result<Self> {
        let (bytes, mode) = content(path)?;
        let format = match manner.args.format {
            Some(format) => format,
            None => told_by_marks(path, bytes.expose())?,
        };
        let contents = contents(format, bytes.expose(), manner)?;
        Ok(Self {
            path: path.to_owned(),
            format,
            contents,
            open_mode: Some(mode).filter(|mode| mode.bits() & 0o044 != 0),
        })
    }

    /// Its name up to the first dot.
    pub fn stem(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        name.split('.').next().unwrap_or_default().to_owned()
    }

    /// What it is, in a sentence.
    pub fn kind(&self) -> &'static str {
        match self.format {
            Format::Env => "env file",
            Format::Ansible => "Ansible vault",
            Format::Sops => "sealed by SOPS",
        }
    }
}

/// A path for people, safe for a terminal.
pub fn shown(path: &Path) -> String {
    printable(path.display().to_string().as_bytes(), 400)
}

fn contents(format: Format, bytes: &[u8], manner: &Manner) -> Result<Contents> {
    let (is_whole, with_clear, dialect) = (manner.is_whole, manner.args.clear, manner.args.dialect);
    match format {
        Format::Env if is_whole => Err(Error::new("it is not sealed; --as is for one file in a vault or in SOPS")
            .hint("a file as it is: distribute bundle set SERVICE/FILE < FILE")),
        Format::Env => clear_env::read(bytes, dialect).map(Contents::Values),
        Format::Ansible => ansible::read(bytes, manner.passwords, &ansible::Manner { with_clear, is_whole, dialect }),
        Format::Sops => {
            let form = sops::form(bytes).ok_or_else(|| Error::new("it has no marks of SOPS"))?;
            let open = |sealed: &[u8]| {
                open_sealed(sealed, manner.unlock).map_err(|error| error.hint("or SOPS_AGE_KEY_FILE, as for SOPS"))
            };
            sops::read(bytes, form, &sops::Manner { with_clear, is_whole, dialect }, &open)
        }
    }
}

fn told_by_marks(path: &Path, bytes: &[u8]) -> Result<Format> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_env = name.ends_with(".env") || name.starts_with(".env.");
    if sops::form(bytes).is_some() {
        return Ok(Format::Sops);
    }
    // In an env file, `!vault` is a part of some value.
    if ansible::is_whole(bytes) || !is_env && ansible::has_values(bytes) {
        return Ok(Format::Ansible);
    }
    if is_env {
        return Ok(Format::Env);
    }
    Err(Error::new("it is not told what this is: it has no marks of a vault or of SOPS, and is not called *.env")
        .hint("say it with --format env, ansible or sops"))
}

/// Checked on the open file, so that nobody can exchange it in between; a fifo does not hang us.
fn content(path: &Path) -> Result<(Secret, Mode)> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => Error::new("it is a symbolic link").hint("name the file itself"),
            _ => Error::new("it cannot be read").because(error),
        })?;
    let found = file.metadata().map_err(|e| Error::new("it cannot be looked at").because(e))?;
    if !found.is_file() {
        return Err(Error::new("it is not a regular file").hint("name each file"));
    }
    Ok((bounded(file, found.size())?, Mode::new(found.mode())))
}

fn bounded(file: File, size: u64) -> Result<Secret> {
    let too_large = || Error::new("it is larger than 16 MiB");
    if size > LARGEST {
        return Err(too_large());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
    file.take(size + 1).read_to_end(&mut bytes).map_err(|e| Error::new("it cannot be read").because(e))?;
    if bytes.len() as u64 > size {
        return Err(Error::new("it grew while it was read"));
    }
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}
