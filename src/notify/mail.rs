//! `Mail`: a text for a person, handed to the machine's own sendmail.

use super::{Limits, News};
use crate::words::printable;
use chrono::{DateTime, Utc};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at whether sendmail has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What is handed over, complete. Short: it fits into a pipe, so handing it over never waits.
#[derive(Debug)]
pub struct Mail {
    pub program: String,
    pub to: String,
    pub text: String,
}

impl Mail {
    pub(super) fn new(program: &str, to: &str, from: Option<&str>, news: &News, now: DateTime<Utc>) -> Self {
        let mut text = String::new();
        let mut head =
            |name: &str, value: &str| writeln!(text, "{name}: {}", header(value)).expect("a string takes it");
        head("To", to);
        from.into_iter().for_each(|from| head("From", from));
        head("Subject", &format!("distribute {}: {}", news.command, news.outcome()));
        head("Date", &now.to_rfc2822());
        // The same news told twice is one message to a mail program.
        head("Message-ID", &format!("<{}.{}@{}>", news.run, news.command, domain(to)));
        head("Auto-Submitted", "auto-generated");
        head("MIME-Version", "1.0");
        head("Content-Type", "text/plain; charset=utf-8");
        head("Content-Transfer-Encoding", "8bit");
        Self { program: program.to_owned(), to: to.to_owned(), text: text + "\n" + &body(news) }
    }

    /// The reason, should it not be taken.
    pub(super) fn send(&self, limits: &Limits) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.args(["-i", "--", &self.to]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let mut stdin = child.stdin.take().expect("it is piped");
        // One that ends without reading says why with its status.
        let written = stdin.write_all(self.text.as_bytes());
        drop(stdin);
        let status = ended(&mut child, limits.one_try)?;
        match status.success() {
            true => written.map_err(|error| format!("it did not take the mail: {error}")),
            false => Err(format!("it ended with {status}")),
        }
    }
}

fn ended(child: &mut Child, limit: Duration) -> Result<ExitStatus, String> {
    let end = Instant::now() + limit;
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => return Ok(status),
            None if Instant::now() >= end => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {limit:?}, and was stopped"));
            }
            None => std::thread::sleep(LOOK),
        }
    }
}

/// One line of ASCII: nothing in it begins another header.
fn header(value: &str) -> String {
    let line = printable(value.as_bytes(), 400);
    line.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
}

fn body(news: &News) -> String {
    let counts: Vec<String> = news.summary.iter().map(|(name, count)| format!("{name}={count}")).collect();
    let mut text = format!("{}\n\n", printable(news.message.as_bytes(), 4000));
    let mut line = |name: &str, value: &str| {
        writeln!(text, "{name}: {}", printable(value.as_bytes(), 400)).expect("a string takes it")
    };
    line("command", &news.command);
    line("run", &news.run);
    news.project.iter().for_each(|project| line("project", project));
    line("exit status", &news.status.to_string());
    line("hosts", &counts.join(" "));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_it_begins_another_header() {
        let news = News {
            command: "rotate\nBcc: eve@example.com".to_owned(),
            run: "42-20261121T020000Z-7f3a\r\nBcc: eve@example.com".to_owned(),
            project: Some("p\nBcc: eve".to_owned()),
            status: 0,
            summary: vec![("ok", 2)],
            message: "all is well\n\nBcc: eve".to_owned(),
            hosts: Vec::new(),
        };
        let now = "2026-11-21T02:00:00Z".parse().unwrap();
        let mail = Mail::new("/usr/sbin/sendmail", "ops@example.com", Some("a\u{85}b@example.com"), &news, now);
        let (head, body) = mail.text.split_once("\n\n").unwrap();
        let names: Vec<&str> = head.lines().map(|line| line.split_once(": ").unwrap().0).collect();
        let expected =
            "To From Subject Date Message-ID Auto-Submitted MIME-Version Content-Type Content-Transfer-Encoding";
        assert_eq!(names.join(" "), expected, "{head}");
        assert!(head.is_ascii() && head.contains("\nDate: Sat, 21 Nov 2026 02:00:00 +0000\n"), "{head}");
        assert!(body.starts_with("all is well  Bcc: eve\n\ncommand: rotate Bcc"), "{body}");
    }
}
