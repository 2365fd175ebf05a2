//! What a host answers, which is data to us: bounded, checked, and never believed to be complete before its end mark.

mod attributes;
mod consumer;
mod kernel;
mod quoted;
mod rehearsals;

use crate::plan::backup::Receipt;
use crate::plan::{HostFacts, Kind, Manifest, RootFacts, Stat};
use crate::words::{Failure, Mode, Phase, STRETCH, Secret, ServiceName, printable};
use quoted::exact;
pub use rehearsals::drill;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// An answer larger than this is a fault or a flood. 5,000 files take about two megabytes in an audit.
const LARGEST: usize = 48 << 20;
/// What a frame holds besides what was asked for.
const ROOM: usize = 1 << 20;
/// How much of a tool's output is shown.
const SHOWN: usize = 400;

/// Collects stdout until a frame is whole. Noise before `begin` is dropped; a second `begin` starts anew (after sudo).
#[derive(Debug)]
pub struct FrameReader {
    nonce: String,
    /// Wiped: what is read back from a host may be secrets.
    buffer: Zeroizing<Vec<u8>>,
    /// How much of one frame is taken, in bytes.
    largest: usize,
    /// How far the buffer was searched for an end mark.
    searched: usize,
    /// Where the first line begins that was not looked at for a phase.
    unread: usize,
    has_begun: bool,
    phase: Option<Phase>,
}

/// The lines between `begin` and `end`: a mark and what a tool printed behind it.
pub type Frame = Vec<(String, Zeroizing<Vec<u8>>)>;

impl FrameReader {
    /// Reads the answer of the program that was given this nonce.
    pub fn new(nonce: &str) -> Self {
        let nonce = nonce.to_owned();
        let buffer = Zeroizing::new(Vec::new());
        Self { nonce, buffer, largest: LARGEST, searched: 0, unread: 0, has_begun: false, phase: None }
    }

    /// So many bytes are coming next: room for all of them, since a buffer that grows leaves copies behind.
    pub fn make_room(&mut self, bytes: usize) {
        let mut buffer = Zeroizing::new(Vec::with_capacity(bytes + ROOM));
        buffer.extend_from_slice(&self.buffer);
        self.buffer = buffer;
        self.largest = LARGEST.max(bytes + ROOM);
    }

    /// Takes more output; gives the frame once its end mark is there.
    ///
    /// # Errors
    /// When the answer is too large, or its end mark does not count what came.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Frame>, Failure> {
        if self.buffer.len() + bytes.len() > self.largest {
            let message = format!("the host answered with more than {} MiB", self.largest >> 20);
            return Err(Failure::new(Phase::Exec, message).hint("log in and look what its shell prints"));
        }
        self.buffer.extend_from_slice(bytes);
        self.follow(self.buffer.len() - bytes.len());
        let end = format!("\n{} end ", self.nonce);
        let from = self.searched.saturating_sub(end.len());
        let Some(at) = find(&self.buffer[from..], end.as_bytes()).map(|at| from + at) else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let Some(line_end) = find(&self.buffer[at + 1..], b"\n").map(|length| at + 1 + length) else {
            self.searched = at;
            return Ok(None);
        };
        let count = std::str::from_utf8(&self.buffer[at + end.len()..line_end])
            .ok()
            .and_then(|text| text.parse::<usize>().ok());
        let frame = self.marks(&self.buffer[..at + 1]);
        self.buffer.drain(..=line_end);
        (self.searched, self.unread, self.has_begun, self.phase) = (0, 0, false, None);
        self.follow(0);
        match frame {
            Some(frame) if count == Some(frame.len()) => Ok(Some(frame)),
            _ => Err(Failure::new(Phase::Exec, "the host's answer has gaps")
                .hint("run this again; if it stays, log in and run `sh` by hand")),
        }
    }

    /// The latest `phase` mark so far: for a host that hangs, where it hangs.
    pub fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// Looks at each line once, as it comes: a host that floods us must not cost more than its bytes.
    fn follow(&mut self, mut from: usize) {
        while let Some(length) = self.buffer[from..].iter().position(|byte| *byte == b'\n') {
            let line = &self.buffer[self.unread..from + length];
            from += length + 1;
            self.unread = from;
            let mark = line.strip_prefix(self.nonce.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
            match mark.and_then(|mark| std::str::from_utf8(mark).ok()) {
                Some("begin 1") => (self.has_begun, self.phase) = (true, None),
                Some(mark) if self.has_begun => {
                    self.phase = mark.strip_prefix("phase ").and_then(Phase::named).or(self.phase);
                }
                _ => {}
            }
        }
    }

    fn marks(&self, bytes: &[u8]) -> Option<Frame> {
        let begin = format!("\n{} begin 1\n", self.nonce);
        let at_once = bytes.starts_with(&begin.as_bytes()[1..]).then_some(begin.len() - 1);
        let body = &bytes[rfind(bytes, begin.as_bytes()).map(|at| at + begin.len()).or(at_once)?..];
        let prefix = format!("{} ", self.nonce);
        let mut frame: Frame = Vec::new();
        let (mut from, mut at) = (0, 0);
        for line in body.split_inclusive(|b| *b == b'\n') {
            if let Some(mark) = line.strip_prefix(prefix.as_bytes()) {
                match frame.last_mut() {
                    Some((_, output)) => *output = Zeroizing::new(body[from..at].to_vec()),
                    None if at > 0 => return None,
                    None => {}
                }
                let mark = String::from_utf8_lossy(mark).trim_end_matches('\n').to_owned();
                frame.push((mark, Zeroizing::new(Vec::new())));
                from = at + line.len();
            }
            at += line.len();
        }
        match frame.last_mut() {
            Some((_, output)) => *output = Zeroizing::new(body[from..].to_vec()),
            None if !body.is_empty() => return None,
            None => {}
        }
        Some(frame)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn rfind(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).rposition(|window| window == what)
}

/// Reads the first frame.
///
/// # Errors
/// With what the program itself says went wrong, such as a sudo that wants a password.
pub fn look(nonce: &str, frame: &Frame) -> Result<HostFacts, Failure> {
    if let Some(failure) = failure(frame) {
        return Err(failure);
    }
    let mut facts = HostFacts { uid: u32::MAX, ..HostFacts::default() };
    read_facts(nonce, frame, &mut facts);
    Ok(facts)
}

fn failure(frame: &Frame) -> Option<Failure> {
    frame.iter().find_map(|(mark, _)| {
        let (phase, message) = mark.strip_prefix("fail ")?.split_once(' ')?;
        let phase = Phase::named(phase).unwrap_or(Phase::Exec);
        let message = printable(message.as_bytes(), SHOWN);
        Some(match (phase, message.strip_prefix("held ")) {
            (Phase::Lock, Some(holder)) => crate::plan::lock_failure(holder),
            _ => Failure { hint: hint(phase, &message), phase, message },
        })
    })
}

fn hint(phase: Phase, message: &str) -> Option<String> {
    let text = match phase {
        Phase::Become if message.contains("log") => {
            "exempt this: `Defaults!/usr/bin/sh !log_input` in sudoers for this user, or log in as root with a key"
        }
        Phase::Become => {
            "allow it without a password: `USER ALL=(root) NOPASSWD: ALL` in /etc/sudoers.d, or log in as root with a key"
        }
        Phase::Stage => "nothing was changed; mend this and run it again",
        Phase::Enrolment => {
            "get the newer secrets.age (git pull); another bundle is taken with: distribute setup --accept-new"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn read_facts(nonce: &str, frame: &Frame, facts: &mut HostFacts) {
    for (mark, body) in frame {
        let (word, rest) = mark.split_once(' ').unwrap_or((mark, ""));
        match word {
            "uid" => facts.uid = rest.parse().unwrap_or(u32::MAX),
            "missing" => facts.missing.push(printable(rest.as_bytes(), 40)),
            "root" => facts.roots.push(RootFacts::default()),
            "kernel" => kernel::read(body, facts),
            "restless" => facts.is_restless = true,
            "asked" => facts.has_asked = true,
            "consumer" => facts.consumers.push(consumer::instances(body)),
            _ => {
                if let Some(root) = facts.roots.last_mut() {
                    read_root(nonce, word, rest, body, root);
                }
            }
        }
    }
}

fn read_root(nonce: &str, word: &str, rest: &str, body: &[u8], root: &mut RootFacts) {
    match word {
        "closed" => root.closed = true,
        "readonly" => root.read_only = true,
        "elsewhere" => root.elsewhere = Some(printable(rest.as_bytes(), SHOWN)),
        "live" => root.live = Some(rest.to_owned()),
        "lock" => root.lock = Some(printable(rest.as_bytes(), SHOWN)),
        "stale" => root.stale_lock = Some(printable(rest.as_bytes(), SHOWN)),
        "stat" => root.entries.extend(records(nonce, body).filter_map(stat)),
        "shut" => root.shut.extend(records(nonce, body).map(exact)),
        "hash" => root.hashes = hashes(body),
        "manifest" => _ = root.manifests.insert(printable(rest.as_bytes(), 80), manifest(body)),
        "notes" => read_notes(body, root),
        "acl" => root.acls = attributes::acls(body),
        "capabilities" => root.capabilities = attributes::capabilities(body),
        "clear" => root.unsealed = body.split(|byte| *byte == b'\n').map(exact).collect(),
        _ => {}
    }
}

fn hashes(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    lines.filter(|(hash, _)| hash.len() == 64).map(|(hash, path)| (path.to_owned(), hash.to_owned())).collect()
}

fn read_notes(body: &[u8], root: &mut RootFacts) {
    for line in String::from_utf8_lossy(body).lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["generation", bundle, number] => {
                root.generation = number.parse().ok().map(|number| (bundle.to_owned(), number))
            }
            ["previous", set] => root.previous = Some(printable(set.as_bytes(), 80)),
            ["owed", services] => root.owed.extend(services.split(',').flat_map(ServiceName::new)),
            _ => match Receipt::read(line) {
                Some(receipt) => _ = root.receipts.insert(receipt.run.clone(), receipt),
                None => _ = root.manifest.take(line),
            },
        }
    }
}

fn manifest(body: &[u8]) -> Manifest {
    let mut manifest = Manifest::default();
    String::from_utf8_lossy(body).lines().for_each(|line| _ = manifest.take(line));
    manifest
}

/// Reads a frame of contents: the files of the tar, by path.
///
/// # Errors
/// When the host could not read them all, or somebody changed them meanwhile.
pub fn contents(frame: &Frame) -> Result<BTreeMap<String, Secret>, Failure> {
    if let Some(failure) = failure(frame) {
        return Err(failure);
    }
    let refused =
        |message: &str| Failure::new(Phase::Exec, message).hint("run this again when nobody is at work there");
    let body = |word: &str| frame.iter().find(|(mark, _)| mark == word).map(|(_, body)| body);
    let tar = body("content").ok_or_else(|| refused("the host's answer has gaps"))?;
    body("given 0").ok_or_else(|| refused("not all of what is there could be read"))?;
    crate::plan::backup::files_of(tar).map_err(|error| refused(&format!("what the host sent: {error}")))
}

/// What begins with the nonce and a dot each time, so that a name with a newline cannot pretend to be one.
fn records<'a>(nonce: &str, body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mark = format!("{nonce}. ").into_bytes();
    let mut rest = find(body, &mark).map(|at| &body[at + mark.len()..]);
    std::iter::from_fn(move || {
        let record = rest?;
        let end = find(record, &mark);
        rest = end.map(|at| &record[at + mark.len()..]);
        let record = &record[..end.unwrap_or(record.len())];
        Some(record.strip_suffix(b"\n").unwrap_or(record))
    })
}

/// `%f %u %g %U %G %h %s %Y %N`: coreutils quotes the names of `%N`, busybox only those of links.
fn stat(record: &[u8]) -> Option<(String, Stat)> {
    let mut fields = record.splitn(9, |byte| *byte == b' ');
    let mut field = || std::str::from_utf8(fields.next()?).ok();
    let raw = u32::from_str_radix(field()?, 16).ok()?;
    let (uid, gid) = (field()?.parse().ok()?, field()?.parse().ok()?);
    let (user, group) = (name_or(field()?, uid), name_or(field()?, gid));
    let (links, size, modified) = (field()?.parse().ok()?, field()?.parse().ok()?, field()?.parse().ok()?);
    let kind = match raw & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Directory,
        0o120_000 => Kind::Link,
        _ => Kind::Other,
    };
    let (path, target) = quoted::name_and_target(fields.next()?, kind == Kind::Link);
    let target = target.map(|target| printable(target.as_bytes(), SHOWN));
    Some((path, Stat { kind, mode: Mode::new(raw), uid, gid, user, group, links, size, modified, target }))
}

/// What a host without a name for it calls `UNKNOWN` goes by its number.
fn name_or(name: &str, id: u32) -> String {
    if name == "UNKNOWN" { id.to_string() } else { printable(name.as_bytes(), 64) }
}

/// What a push came to.
#[derive(Clone, Debug, Default)]
pub struct Pushed {
    /// What was there afterwards.
    pub facts: HostFacts,
    /// Sets that were switched to, in the order of the roots that changed.
    pub switched: Vec<String>,
    /// A health check failed, and the old set is live again.
    pub is_back: bool,
    pub failures: Vec<Failure>,
}

impl Pushed {
    /// All that went wrong, as one: the latest phase, every message in order.
    pub fn failure(&self) -> Option<Failure> {
        let worst = self.failures.iter().max_by_key(|failure| failure.phase)?;
        let messages: Vec<&str> = self.failures.iter().map(|failure| failure.message.as_str()).collect();
        Some(Failure { message: messages.join("; "), ..worst.clone() })
    }
}

/// Reads the second frame.
pub fn push(nonce: &str, frame: &Frame) -> Pushed {
    let mut result = Pushed { facts: HostFacts { uid: u32::MAX, ..HostFacts::default() }, ..Pushed::default() };
    read_facts(nonce, frame, &mut result.facts);
    let mut back = None;
    for (mark, body) in frame {
        let (word, rest) = mark.split_once(' ').unwrap_or((mark, ""));
        match word {
            "switched" => result.switched.push(printable(rest.as_bytes(), 80)),
            "undone" => result.failures.push(undone(rest, body)),
            "unhealthy" => result.failures.push(unhealthy(rest, body)),
            "back" => {
                result.is_back = true;
                back = Some("switched back: the old set is live again".to_owned());
            }
            "stays" => back = Some(format!("the new set stays live: {}", printable(rest.as_bytes(), SHOWN))),
            _ => {}
        }
    }
    if let Some(back) = back {
        for failure in result.failures.iter_mut().filter(|failure| failure.phase == Phase::Health) {
            failure.message = format!("{}; {back}", failure.message);
        }
    }
    result.failures.extend(failure(frame));
    // Of several roots some may have been switched before another could not be.
    for failure in result.failures.iter_mut().filter(|failure| matches!(failure.phase, Phase::Stage | Phase::Switch)) {
        if !result.switched.is_empty() {
            failure.hint =
                Some("what was switched before has its new set, the rest is as it was; run this again".to_owned());
        }
    }
    result
}

fn undone(rest: &str, body: &[u8]) -> Failure {
    let (service, status) = rest.split_once(' ').unwrap_or((rest, "?"));
    let message = format!("the action of `{}` {}{}", printable(service.as_bytes(), 128), ended(status), output(body));
    Failure::new(Phase::Action, message)
        .hint("the new set is live and the action stays owed: the next deploy runs it again")
}

fn unhealthy(rest: &str, body: &[u8]) -> Failure {
    let (service, status) = rest.split_once(' ').unwrap_or((rest, "?"));
    let message =
        format!("the health check of `{}` {}{}", printable(service.as_bytes(), 128), ended(status), output(body));
    Failure::new(Phase::Health, message).hint("mend the service or the secret, and deploy again")
}

/// 124 is what timeout(1) gives for a program that it stopped, 127 what a shell gives for one that is not there.
fn ended(status: &str) -> String {
    match status {
        "124" | "137" | "143" => "was stopped at its deadline".to_owned(),
        "127" => "was not found on the host".to_owned(),
        status => format!("failed with status {}", printable(status.as_bytes(), 8)),
    }
}

fn output(body: &[u8]) -> String {
    // The program gives the last 2000 bytes: what they begin with may be the end of a secret, too short to be known as one.
    let body = if body.len() > 1990 { &body[8..] } else { body };
    let text = printable(told_once(&String::from_utf8_lossy(body)).as_bytes(), SHOWN);
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}

/// A health check says the same each time that it is tried: equal lines in a row become one. Short lines stay, and what they
/// stand beside: they may be lines of a secret, and apart they would no longer be known as that.
fn told_once(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().split('\n').collect();
    let runs: Vec<&[&str]> = lines.chunk_by(|one, next| one == next).collect();
    let told = runs.iter().enumerate().map(|(at, run)| {
        let around = &runs[at.saturating_sub(1)..runs.len().min(at + 2)];
        let is_known = around.iter().all(|run| run[0].chars().count() >= STRETCH);
        if run.len() > 1 && is_known { format!("{} (×{})", run[0], run.len()) } else { run.join("\n") }
    });
    told.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "0123abcd";

    fn frame(text: &str) -> Frame {
        FrameReader::new(NONCE).feed(text.replace('N', NONCE).as_bytes()).unwrap().expect("a whole frame")
    }

    #[test]
    fn noise_around_a_frame_is_dropped() {
        let read = frame("Welcome!\nrc noise\nN begin 1\nN uid 0\nN stat\nN. junk\nN end 2\ntrailing");
        let read: Vec<(&str, &[u8])> = read.iter().map(|(mark, body)| (mark.as_str(), &***body)).collect();
        assert_eq!(read, [("uid 0", &b""[..]), ("stat", format!("{NONCE}. junk\n").as_bytes())]);
    }

    #[test]
    fn a_frame_is_whole_only_at_its_end() {
        let whole = format!("\n{NONCE} begin 1\n{NONCE} uid 0\n{NONCE} end 1\n");
        for cut in 0..whole.len() {
            let mut reader = FrameReader::new(NONCE);
            assert!(reader.feed(&whole.as_bytes()[..cut]).unwrap().is_none(), "cut at {cut}");
            assert!(reader.feed(&whole.as_bytes()[cut..]).unwrap().is_some(), "rest after {cut}");
        }
    }

    #[test]
    fn a_miscounted_or_forged_frame_is_refused() {
        let wrong = format!("\n{NONCE} begin 1\n{NONCE} uid 0\n{NONCE} end 2\n");
        assert_eq!(FrameReader::new(NONCE).feed(wrong.as_bytes()).unwrap_err().phase, Phase::Exec);
        let other = "\nffff begin 1\nffff uid 0\nffff end 1\n";
        assert!(FrameReader::new(NONCE).feed(other.as_bytes()).unwrap().is_none());
    }

    #[test]
    fn a_flood_is_cut_off() {
        let mut reader = FrameReader::new(NONCE);
        let block = vec![b'x'; 1 << 20];
        let cut = (0..64).find_map(|_| reader.feed(&block).err());
        assert!(cut.expect("the flood ends").message.contains("more than 48 MiB"));
    }

    #[test]
    fn stat_is_read_from_coreutils_and_busybox() {
        let text = "N begin 1\nN uid 0\nN root 0\nN stat\n\
            N. 41ed 0 0 root root 19 4096 1700000000 /\n\
            N. a1ff 0 0 root root 1 4 1700000000 'secrets/..data' -> '..42-20261121T020000Z-7f3a'\n\
            N. 8180 0 0 root root 1 4 1700000000 'secrets/aws.env'\nN end 3\n";
        let facts = look(NONCE, &frame(text)).unwrap();
        let entries = &facts.roots[0].entries;
        assert_eq!(entries["/"].kind, Kind::Directory);
        assert_eq!(entries["secrets/..data"].target.as_deref(), Some("..42-20261121T020000Z-7f3a"));
        assert_eq!((entries["secrets/aws.env"].kind, entries["secrets/aws.env"].mode), (Kind::File, Mode::new(0o600)));
    }

    #[test]
    fn what_is_said_again_and_again_is_told_once() {
        assert_eq!(output("hook health fails\n".repeat(6).as_bytes()), ": hook health fails (×6)");
        let mixed = b"starting up\nnot ready yet\nnot ready yet\nstarting up\n\n";
        assert_eq!(output(mixed), ": starting up not ready yet (×2) starting up");
        assert_eq!(output(b"no\nno\n"), ": no no");
        assert_eq!(output(b"\n\n\n"), "");
    }

    #[test]
    fn lines_of_a_secret_are_still_known_as_its_own() {
        for line in ["abcd", "abcdefgh", "abcdefghijkl"] {
            let secret = crate::words::Secret::new(format!("{line}\n{line}\n{line}\nwxyz\n").as_bytes());
            let shown = crate::words::redact(&output(secret.expose()), [&secret].into_iter());
            assert!(!shown.contains("abc") && !shown.contains("xyz"), "{shown}");
        }
    }

    #[test]
    fn a_failure_is_escaped() {
        let failure = look(NONCE, &frame("N begin 1\nN fail become \x1b[31mno\nN end 1\n")).unwrap_err();
        assert_eq!((failure.phase, failure.message.as_str()), (Phase::Become, "\\u{1b}[31mno"));
    }
}
