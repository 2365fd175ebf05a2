//! The user's editor, run on one file. While it runs, signals end the editor and not us: we have something to wipe.

use crate::words::{Error, Result};
use std::env;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::task::{Context, Poll};
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

/// DISTRIBUTE_EDITOR, VISUAL, EDITOR or vi; words are split at blanks. An editor that ends badly changes nothing.
pub fn run(file: &Path, _signals: &IgnoredSignals) -> Result<()> {
    let chosen = ["DISTRIBUTE_EDITOR", "VISUAL", "EDITOR"].into_iter().filter_map(|name| env::var(name).ok());
    let text = chosen.into_iter().find(|text| !text.trim().is_empty()).unwrap_or_else(|| "vi".to_owned());
    let mut words = text.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let mut command = Command::new(program);
    command.args(words).args(quiet_options(program)).arg(file);
    let status = command.status().map_err(|e| {
        Error::new(format!("the editor `{program}` cannot be run"))
            .because(e)
            .hint("DISTRIBUTE_EDITOR, VISUAL or EDITOR names another")
    })?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("the editor ended with {status}; nothing was changed")))
}

/// Keeps vim from remembering what was typed in swap, undo and info files outside our directory.
fn quiet_options(program: &str) -> &'static [&'static str] {
    let found = in_path(program).and_then(|path| path.canonicalize().ok()).unwrap_or_else(|| program.into());
    let name = found.file_name().unwrap_or_default().to_string_lossy();
    match name.starts_with("vim") || name.starts_with("nvim") {
        true => &["-n", "-i", "NONE", "-c", "set noundofile nobackup nowritebackup"],
        false => &[],
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(program.into());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}
