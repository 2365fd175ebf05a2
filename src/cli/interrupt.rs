//! `Interrupt`: Ctrl-C, TERM and a closed terminal. Before anything is on its way they end the program; after that the first lets hosts that are being
//! written finish, and the second stops now.

use crate::engine::Stop;
use crate::words::{Error, Result};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Signals on their way to the engine.
pub struct Interrupt {
    stop: Arc<watch::Sender<Stop>>,
    under_way: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on, in a thread of its own: opening a bundle takes a second, in which nobody else listens.
    pub fn listen() -> Result<Self> {
        let here = Self { stop: Arc::new(watch::channel(Stop::No).0), under_way: Arc::default() };
        let (stop, under_way) = (here.stop.clone(), here.under_way.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.map_err(|e| Error::new("listening for signals").because(e))?;
        let signals =
            runtime.block_on(async { Signals::new() }).map_err(|e| Error::new("listening for signals").because(e))?;
        std::thread::spawn(move || runtime.block_on(wait(signals, &stop, &under_way)));
        Ok(here)
    }

    /// Hosts are visited from here on.
    pub fn set_off(&self) -> watch::Receiver<Stop> {
        self.under_way.store(true, Ordering::SeqCst);
        self.stop.subscribe()
    }

    /// Was it said twice: stop now?
    pub fn is_urgent(&self) -> bool {
        *self.stop.borrow() > Stop::Gently
    }

    /// Waits so long, or until the run is interrupted.
    pub fn wait(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.has_come() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50).min(end.saturating_duration_since(Instant::now())));
        }
    }

    /// Was the run interrupted?
    pub fn has_come(&self) -> bool {
        *self.stop.borrow() > Stop::No
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal was closed.
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

async fn wait(mut signals: Signals, stop: &watch::Sender<Stop>, under_way: &AtomicBool) {
    signals.next().await;
    if !under_way.load(Ordering::SeqCst) {
        say("interrupted: nothing was sent to any host");
        std::process::exit(130);
    }
    say("interrupted: no new hosts; those that are being written are finished (again to stop now)");
    stop.send_replace(Stop::Gently);
    signals.next().await;
    stop.send_replace(Stop::Now);
}

/// The terminal may be gone, and that is no reason to panic.
fn say(message: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{message}");
}
