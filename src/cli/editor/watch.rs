//! `watch`: the editor while it runs. Ctrl-C is its own affair; who hangs up or terminates us means it, too.

use super::IgnoredSignals;
use nix::sys::signal::{Signal::SIGHUP, Signal::SIGTERM, kill};
use nix::unistd::Pid;
use std::future::poll_fn;
use std::process::{Command, ExitStatus};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::process::Child;
use tokio::signal::unix::Signal;

/// How long an editor that was told to end may take.
const PATIENCE: Duration = Duration::from_secs(5);

impl IgnoredSignals {
    /// Runs it to its end. `None` if we were told to end meanwhile: then it was told, too, and killed if it did not listen.
    pub(super) fn watch(&mut self, command: Command) -> std::io::Result<Option<ExitStatus>> {
        let Self { signals, runtime } = self;
        runtime.block_on(async {
            let mut editor = tokio::process::Command::from(command).spawn()?;
            let ended = tokio::select! {
                signal = poll_fn(|cx| told(signals, cx)) => Err(signal),
                status = editor.wait() => Ok(status?),
            };
            match ended {
                Ok(_) if was_told(signals).await => Ok(None),
                Ok(status) => Ok(Some(status)),
                Err(signal) => end(&mut editor, signal).await.map(|()| None),
            }
        })
    }
}

/// The signal that is to end us, once there is one.
fn told(signals: &mut [Signal], cx: &mut Context) -> Poll<nix::sys::signal::Signal> {
    let [hangup, _, _, terminate] = signals else { return Poll::Pending };
    if hangup.poll_recv(cx).is_ready() { Poll::Ready(SIGHUP) } else { terminate.poll_recv(cx).map(|_| SIGTERM) }
}

/// It may have come at the same time as the editor's end.
async fn was_told(signals: &mut [Signal]) -> bool {
    tokio::task::yield_now().await;
    poll_fn(|cx| Poll::Ready(told(signals, cx).is_ready())).await
}

async fn end(editor: &mut Child, signal: nix::sys::signal::Signal) -> std::io::Result<()> {
    if let Some(id) = editor.id() {
        let _ = kill(Pid::from_raw(id.cast_signed()), signal);
    }
    match tokio::time::timeout(PATIENCE, editor.wait()).await {
        Ok(ended) => ended.map(drop),
        Err(_) => editor.kill().await,
    }
}
