//! `Crontab`: the user's crontab, read and replaced through the program `crontab`, which alone knows where it lies.

use crate::words::{Error, Result, printable};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The lines as they are now; `None` if this user has no crontab.
pub fn read() -> Result<Option<String>> {
    let done = run(&["-l"], None)?;
    if done.status.success() {
        let text = String::from_utf8(done.stdout);
        return text.map(Some).map_err(|_| Error::new("crontab -l: the crontab is not UTF-8 text"));
    }
    let said = printable(&done.stderr, 400);
    match said.contains("no crontab") {
        true => Ok(None),
        false => Err(Error::new(format!("crontab -l: {said}"))),
    }
}

/// Puts the lines in the place of the earlier ones, after cron's own check of them where it has one.
pub fn replace(text: &str) -> Result<()> {
    if let Some(option) = checking()? {
        must(&[option, "-"], text)?;
    }
    must(&["-"], text)
}

/// How this crontab only checks. Debian's takes -n, cronie -T; with -n cronie would write the name of a host. Others have nothing.
fn checking() -> Result<Option<&'static str>> {
    // An option that nobody has: what is answered is the usage.
    let done = run(&["-?"], None)?;
    let usage = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).to_lowercase();
    let offers = |option: &str, what: &str| usage.lines().any(|line| line.contains(option) && line.contains(what));
    Ok(match () {
        () if offers("-n", "dry run") => Some("-n"),
        () if offers("-t", "test") => Some("-T"),
        () => None,
    })
}

fn must(words: &[&str], input: &str) -> Result<()> {
    let done = run(words, Some(input))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(Error::new(format!("crontab {}: {}", words.join(" "), printable(&done.stderr, 400)))
            .hint("the crontab is as it was")),
    }
}

fn run(words: &[&str], input: Option<&str>) -> Result<Output> {
    let failed = |e| Error::new("running crontab").because(e).hint("is cron installed? --systemd does without");
    let mut command = Command::new("crontab");
    command.args(words).env("LC_ALL", "C").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().map_err(failed)?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // One that refuses may not read to the end; what it says then is the error.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().map_err(failed)
}
