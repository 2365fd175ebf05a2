//! The repository's example, copied, with the addresses of the demo's hosts in it.

use super::fleet::{Host, write_private};
use nix::unistd::{getegid, geteuid, getuid};
use std::fs;
use std::io::{Error, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

impl Host {
    /// The play's root on this host.
    pub fn root(&self) -> PathBuf {
        self.directory.join("callableapis")
    }

    /// What somebody in a hurry does.
    #[allow(dead_code, reason = "the bench has no such people")]
    pub fn open_to_all(&self, file: &str) -> Result<()> {
        fs::set_permissions(self.root().join(file), fs::Permissions::from_mode(0o644))
    }
}

/// Copies the project in `from`. The hosts log in as this user, and unless he is root he owns what is put there.
pub fn copy(from: &Path, to: &Path, hosts: &[Host]) -> Result<()> {
    for directory in ["inventory", "playbooks"] {
        fs::create_dir_all(to.join(directory))?;
    }
    let hosts_file = fs::read_to_string(from.join("inventory/hosts.toml"))?;
    fs::write(to.join("inventory/hosts.toml"), inventory(&hosts_file, hosts)?)?;
    let plays = fs::read_to_string(from.join("playbooks/callableapis.toml"))?;
    fs::write(to.join("playbooks/callableapis.toml"), playbook(&plays))?;
    fs::copy(from.join("playbooks/rotation.toml"), to.join("playbooks/rotation.toml"))?;
    fs::copy(from.join("secrets.age"), to.join("secrets.age"))?;
    write_private(&to.join("vault-password"), &fs::read(from.join("tests/example-password"))?)
}

/// The example's inventory: each host keeps its name and its groups.
fn inventory(text: &str, hosts: &[Host]) -> Result<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for host in hosts {
        let start = format!("{} = {{", host.name);
        let line = lines.iter_mut().find(|line| line.starts_with(&start));
        let line = line.ok_or_else(|| Error::other(format!("the example's inventory has no {}", host.name)))?;
        let groups = line.find("groups").map_or("}", |at| &line[at..]);
        *line = inventory_line(host, groups);
    }
    Ok(lines.join("\n") + "\n")
}

/// `rest` ends the line: `groups = [...] }`.
pub fn inventory_line(host: &Host, rest: &str) -> String {
    let (name, address, port, user, root) = (&host.name, &host.address, host.port, user(), host.root());
    let root = root.display();
    format!("{name} = {{ address = \"{address}\", port = {port}, user = \"{user}\", root = \"{root}\", {rest}")
}

fn user() -> String {
    let user = nix::unistd::User::from_uid(getuid()).ok().flatten();
    user.map_or_else(|| "demo".to_owned(), |user| user.name)
}

/// Only root can give files to root.
pub fn playbook(text: &str) -> String {
    if geteuid().is_root() {
        return text.to_owned();
    }
    let own = format!("[[play]]\nowner = \"{}\"\ngroup = \"{}\"\n", geteuid(), getegid());
    text.replace("[[play]]\n", &own)
}
