//! The user's editor, run on one file. While it runs, signals end the editor and not us: we have something to wipe. A hangup or a termination is
//! passed on to it, and nothing is saved then.

mod kind;
mod sitting;
mod watch;
mod words;

pub use sitting::Sitting;

use super::shared::INTERRUPTED;
use crate::words::{Error, Result};
use kind::Kind;
use std::env;
use std::future::poll_fn;
use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hangup, interrupt, quit and termination are taken and dropped from here on. A handler, unlike a mask, is not inherited by the editor.
pub struct IgnoredSignals {
    signals: Vec<Signal>,
    runtime: Runtime,
}

impl IgnoredSignals {
    /// Takes the signals from now on.
    pub fn new() -> Result<Self> {
        let failed = |e| Error::new("taking the signals").because(e);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let inside = runtime.enter();
        let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()];
        let signals = kinds.into_iter().map(signal).collect::<std::io::Result<_>>().map_err(failed)?;
        drop(inside);
        Ok(Self { signals, runtime })
    }

    /// Has one of them come since this was asked last?
    pub fn has_come(&mut self) -> bool {
        let Self { signals, runtime } = self;
        runtime.block_on(async {
            tokio::task::yield_now().await; // the runtime looks at the signals when nobody else wants to run
            let mut come = |cx: &mut Context| signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
            poll_fn(|cx| Poll::Ready(come(cx))).await
        })
    }
}

/// What the user edits with.
struct Editor {
    program: String,
    arguments: Vec<String>,
    kind: Kind,
}

impl Editor {
    /// DISTRIBUTE_EDITOR, VISUAL, EDITOR or vi, split into words as a shell does.
    fn chosen() -> Result<Self> {
        let chosen =
            ["DISTRIBUTE_EDITOR", "VISUAL", "EDITOR"].into_iter().filter_map(|name| Some((name, env::var(name).ok()?)));
        let named = chosen.into_iter().find(|(_, text)| !text.trim().is_empty());
        let words = match named {
            Some((name, text)) => words::split(&text).map_err(|error| error.at(name))?,
            None => Vec::new(),
        };
        let mut words = words.into_iter();
        let program = words.next().unwrap_or_else(|| "vi".to_owned());
        Ok(Self { kind: Kind::of(&program), arguments: words.collect(), program })
    }

    /// One that draws needs somewhere to: into a pipe or a log it would draw what it shows.
    fn refuse_without_terminal(&self) -> Result<()> {
        let has_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        match !has_terminal && self.kind.draws(&self.program, &self.arguments) {
            false => Ok(()),
            true => Err(Error::new(format!(
                "{} needs a terminal, and stdin or stdout is none; nothing was changed",
                self.program
            ))
            .hint("without a terminal: distribute bundle set, or an EDITOR that is a script")),
        }
    }

    /// Runs it on a file; says how long that took. Its own temporary files go beside the file. One that ends badly changes nothing.
    fn open(&self, file: &Path, signals: &mut IgnoredSignals) -> Result<Duration> {
        let directory = file.parent().unwrap_or(file);
        let mut command = Command::new(&self.program);
        // Ours first: what the user's own arguments do is done without copies, too.
        self.kind.quieten(&mut command, &self.program, &self.arguments, directory)?;
        command.args(&self.arguments).arg(file).env("TMPDIR", directory);
        if !std::io::stdout().is_terminal() {
            command.stdout(Stdio::null()); // that is where our result goes
        }
        let started = Instant::now();
        let status = signals.watch(command).map_err(|e| {
            Error::new(format!("the editor `{}` cannot be run", self.program))
                .because(e)
                .hint("DISTRIBUTE_EDITOR, VISUAL or EDITOR names another")
        })?;
        match status {
            None => Err(Error::new(INTERRUPTED)),
            Some(status) if status.success() => Ok(started.elapsed()),
            Some(status) => Err(Error::new(format!("the editor ended with {status}; nothing was changed"))),
        }
    }
}
