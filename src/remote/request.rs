//! What we say to a host: the exec command, which is the same for every host and command, and what follows on its stdin.

use crate::inventory::Escalation;
use crate::plan::{Staged, Step, Transaction};
use crate::playbook::Consumer;
use crate::words::{Error, Mode, RemotePath, Result, ServiceName};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::LazyLock;
use zeroize::Zeroizing;

const PROGRAM: &str = include_str!("program.sh");

/// The exec command, and what has to be sent before anything else. A server that takes no command of that length reads
/// the program from the first line of stdin: a shell's `read` takes a byte at a time (10 ms in all), so not a byte too many.
pub fn opening(longest: usize) -> (&'static str, &'static [u8]) {
    static LINE: LazyLock<String> = LazyLock::new(|| format!("{}\n", *PROGRAM_WORD));
    if command().len() <= longest {
        (command(), b"")
    } else {
        ("exec sh -c 'IFS= read -r line;program=$(printf %b \"$line\");eval \"$program\"'", LINE.as_bytes())
    }
}

/// The program, wrapped so that any login shell (csh, fish) hands it to `sh` unharmed.
pub fn command() -> &'static str {
    static COMMAND: LazyLock<String> =
        LazyLock::new(|| format!("exec sh -c 'program=$(printf %b \"{}\");eval \"$program\"'", *PROGRAM_WORD));
    &COMMAND
}

/// The program as one word for `printf %b`: no newline, no `!`, no single quote inside, and nothing that a double quote
/// would change.
static PROGRAM_WORD: LazyLock<String> = LazyLock::new(|| {
    let lines = PROGRAM.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut encoded = String::new();
    for c in lines.flat_map(|line| line.chars().chain(['\n'])) {
        match c {
            '\n' => encoded.push_str("\\n"),
            '\'' | '"' | '$' | '`' | '\\' | '!' | '\t' => {
                write!(encoded, "\\0{:03o}", c as u32).expect("a string takes it")
            }
            c => encoded.push(c),
        }
    }
    encoded
});

/// The first lines: who we are, how many seconds to wait for a lock that somebody holds, which roots to look at, and to look.
/// `mode` is for a root that must be made.
pub fn hello(nonce: &str, escalation: Escalation, wait: u64, roots: &[(Mode, RemotePath)]) -> Vec<u8> {
    (opening_lines(nonce, escalation, wait, roots) + "look\n").into_bytes()
}

/// The same, to read everything; and to ask when these consumers were started.
pub fn audit_hello(
    nonce: &str,
    escalation: Escalation,
    wait: u64,
    roots: &[(Mode, RemotePath)],
    consumers: &[Consumer],
) -> Vec<u8> {
    let mut text = opening_lines(nonce, escalation, wait, roots);
    for consumer in consumers {
        match consumer {
            Consumer::Unit { name, .. } => writeln!(text, "unit {name}"),
            Consumer::Container { name } => writeln!(text, "container {name}"),
            Consumer::Compose { file, service } => {
                writeln!(text, "compose {} {file}", service.as_deref().unwrap_or("-"))
            }
        }
        .expect("a string takes it");
    }
    (text + "audit\n").into_bytes()
}

/// The same, to read sealed copies and earlier sets too.
pub fn backups_hello(nonce: &str, escalation: Escalation, wait: u64, roots: &[(Mode, RemotePath)]) -> Vec<u8> {
    (opening_lines(nonce, escalation, wait, roots) + "backups\n").into_bytes()
}

/// Asks for a tar of these, named relative to a root.
pub fn read_lines<'a>(root: usize, names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let names: String = names.map(|name| format!("name {name}\n")).collect();
    format!("read {root}\n{names}give\n").into_bytes()
}

fn opening_lines(nonce: &str, escalation: Escalation, wait: u64, roots: &[(Mode, RemotePath)]) -> String {
    let means = match escalation {
        Escalation::None => "none",
        Escalation::Sudo => "sudo",
        Escalation::Doas => "doas",
    };
    let mut text = format!("distribute 1 {nonce} {means}\nwait {wait}\n");
    for (mode, root) in roots {
        writeln!(text, "root {mode} {root}").expect("a string takes it");
    }
    text
}

/// Names the roots that have something to be done, where others have not: those are not written, not even a lock.
pub fn part_lines(transactions: &[Transaction]) -> Vec<u8> {
    let parts = transactions.iter().enumerate().filter(|(_, transaction)| !transaction.is_empty());
    parts.map(|(index, _)| format!("part {index}\n")).collect::<String>().into_bytes()
}

/// Announces the payload. `since` and `who` go into the lock, for whoever finds it held.
pub fn push_line(since: &str, who: &str) -> Vec<u8> {
    format!("push {since} {who}\n").into_bytes()
}

/// The same for backups that are unpacked in memory, told and removed.
pub fn drill_line(since: &str, who: &str) -> Vec<u8> {
    format!("drill {since} {who}\n").into_bytes()
}

/// A tar with a directory a root (`0/`, `1/`): the plan, what it needs, and the hash of each; then its length and hash, since
/// the end of the input proves nothing.
pub fn payload(transactions: &[Transaction]) -> Result<Zeroizing<Vec<u8>>> {
    let size: usize = transactions.iter().flat_map(|t| &t.staged).map(|staged| 2048 + staged_len(staged)).sum();
    let mut archive = tar::Builder::new(Zeroized(Zeroizing::new(Vec::with_capacity(size + 64 * 1024))));
    for (index, transaction) in transactions.iter().enumerate() {
        append_part(&mut archive, index, transaction).map_err(|e| Error::new("packing the payload").because(e))?;
    }
    let mut bytes = archive.into_inner().map_err(|e| Error::new("packing the payload").because(e))?.0;
    let trailer = format!("END {:016} {}\n", bytes.len(), HEXLOWER.encode(&Sha256::digest(&*bytes)));
    bytes.extend_from_slice(trailer.as_bytes());
    Ok(bytes)
}

/// A buffer that was made large enough: growing would leave copies behind.
struct Zeroized(Zeroizing<Vec<u8>>);

impl std::io::Write for Zeroized {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn staged_len(staged: &Staged) -> usize {
    match staged {
        Staged::File { content, .. } => content.len(),
        Staged::Link { .. } => 0,
    }
}

fn append_part(archive: &mut tar::Builder<Zeroized>, index: usize, transaction: &Transaction) -> std::io::Result<()> {
    let mut directories: Vec<&str> = Vec::new();
    append(archive, tar::EntryType::Directory, &format!("{index}/"), &[])?;
    let mut sums = String::new();
    let mut file = |archive: &mut _, path: &str, content: &[u8]| {
        writeln!(sums, "{}  {path}", HEXLOWER.encode(&Sha256::digest(content))).expect("a string takes it");
        append(archive, tar::EntryType::Regular, &format!("{index}/{path}"), content)
    };
    file(archive, "plan", plan_text(&transaction.steps).as_bytes())?;
    for staged in &transaction.staged {
        let (Staged::File { path, .. } | Staged::Link { path, .. }) = staged;
        for directory in path.match_indices('/').map(|(at, _)| &path[..at]) {
            if !directories.contains(&directory) {
                directories.push(directory);
                append(archive, tar::EntryType::Directory, &format!("{index}/{directory}/"), &[])?;
            }
        }
        match staged {
            Staged::File { path, content } => file(archive, path, content.expose())?,
            Staged::Link { path, target } => append_link(archive, &format!("{index}/{path}"), target)?,
        }
    }
    append(archive, tar::EntryType::Regular, &format!("{index}/sums"), sums.as_bytes())
}

fn header(kind: tar::EntryType, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(if kind.is_dir() { 0o700 } else { 0o600 });
    header.set_size(size as u64);
    header.set_mtime(0);
    header
}

fn append(
    archive: &mut tar::Builder<Zeroized>,
    kind: tar::EntryType,
    path: &str,
    content: &[u8],
) -> std::io::Result<()> {
    archive.append_data(&mut header(kind, content.len()), path, content)
}

fn append_link(archive: &mut tar::Builder<Zeroized>, path: &str, target: &str) -> std::io::Result<()> {
    archive.append_link(&mut header(tar::EntryType::Symlink, 0), path, target)
}

/// The steps as the program reads them: `arg` lines, then the step that they belong to.
fn plan_text(steps: &[Step]) -> String {
    steps.iter().map(step_text).collect()
}

fn step_text(step: &Step) -> String {
    fn with(arguments: &[String], verb: impl std::fmt::Display) -> String {
        let arguments: String = arguments.iter().map(|argument| format!("arg {argument}\n")).collect();
        format!("{arguments}{verb}\n")
    }
    let pair = |a: &String, b: &String| [a.clone(), b.clone()];
    match step {
        Step::Phase(phase) => with(&[], format_args!("phase {phase}")),
        Step::Fence { bundle, generation, any_bundle } => {
            let accept = if *any_bundle { "any" } else { "same" };
            with(&[], format_args!("fence {bundle} {generation} {accept}"))
        }
        Step::Expect(live) => with(&[], format_args!("expect {}", live.as_deref().unwrap_or("-"))),
        Step::Directory { path, mode, owner } => with(std::slice::from_ref(path), format_args!("dir {mode} {owner}")),
        Step::Mend { directory, names, mode, owner } => {
            let mode = mode.map_or_else(|| "-".to_owned(), |mode| mode.to_string());
            with(names, format_args!("mend {mode} {} {directory}", owner.as_deref().unwrap_or("-")))
        }
        Step::Own { paths, mode, owner } => with(paths, format_args!("own {mode} {owner}")),
        Step::Age { like, paths } => with(&[std::slice::from_ref(like), paths].concat(), "age"),
        Step::Sync(paths) => with(paths, "sync"),
        Step::Flush(paths) => with(paths, "flush"),
        Step::Put { staged, path } => with(&pair(staged, path), "put"),
        Step::Set(name) => with(&[], format_args!("set {name}")),
        Step::Return { set, copy } => with(&[], format_args!("return {set} {copy}")),
        Step::Keep { path, kept } => with(&pair(path, kept), "keep"),
        Step::Move { path, kept } => with(&pair(path, kept), "move"),
        Step::Link(names) => with(names, "link"),
        Step::Switch => with(&[], "switch"),
        Step::Act => with(&[], "act"),
        Step::CheckHealth { switches_back } => with(&[], if *switches_back { "health" } else { "probe" }),
        Step::Remove(paths) => with(paths, "remove"),
        Step::Action { services, seconds, argv } => {
            let services: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
            with(argv, format_args!("act {} {seconds}", services.join(",")))
        }
        Step::Health { service, seconds, probe } => with(probe, format_args!("health {service} {seconds}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Phase, Secret};

    #[test]
    fn the_command_survives_any_login_shell() {
        let command = command();
        assert!(command.len() < 128 * 1024 - 1, "Linux takes 128 KiB in one argument");
        let inside =
            command.strip_prefix("exec sh -c '").and_then(|rest| rest.strip_suffix('\'')).expect("the wrapping");
        assert!(!inside.contains(['\'', '\n', '!', '`', '\t']));
        assert!(command.is_ascii());
        assert_eq!(inside.matches('$').count(), 2, "only the wrapping's own dollars");
    }

    #[test]
    fn a_server_of_short_commands_reads_the_program_from_stdin() {
        assert_eq!(opening(128 * 1024 - 1), (command(), &b""[..]));
        let (command, before) = opening(8900);
        assert!(command.len() < 200 && !command.contains('!'));
        let (line, rest) = before.split_at(before.len() - 1);
        assert!(rest == b"\n" && !line.contains(&b'\n'), "one line");
    }

    #[test]
    fn steps_are_told_as_lines() {
        let steps = [
            Step::Phase(Phase::Stage),
            Step::Expect(None),
            Step::Put { staged: "sealed".to_owned(), path: "backups/x".to_owned() },
            Step::Action {
                services: vec![ServiceName::new("api").unwrap()],
                seconds: 300,
                argv: vec!["systemctl".to_owned(), "restart".to_owned()],
            },
        ];
        let expected =
            "phase stage\nexpect -\narg sealed\narg backups/x\nput\narg systemctl\narg restart\nact api 300\n";
        assert_eq!(plan_text(&steps), expected);
    }

    #[test]
    fn a_payload_ends_with_its_length_and_hash() {
        let staged = vec![
            Staged::File { path: "set/aws.env".to_owned(), content: Secret::new(*b"A=1\n") },
            Staged::Link { path: "links/aws.env".to_owned(), target: "..data/aws.env".to_owned() },
        ];
        let bytes = payload(&[Transaction { staged, ..Transaction::default() }]).unwrap();
        let (body, trailer) = bytes.split_at(bytes.len() - 86);
        let expected = format!("END {:016} {}\n", body.len(), HEXLOWER.encode(&Sha256::digest(body)));
        assert_eq!(std::str::from_utf8(trailer).unwrap(), expected);
        let mut archive = tar::Archive::new(body);
        let paths: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(paths, ["0/", "0/plan", "0/set/", "0/set/aws.env", "0/links/", "0/links/aws.env", "0/sums"]);
    }
}
