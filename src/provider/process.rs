//! One run of a step, from its start until nothing of it is left.

use super::Program;
use super::family::{Family, Left};
use super::output::Output;
use super::pipes::Pipes;
use super::step_group::StepGroup;
use super::tie::tie_to_us;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Between the polite signal and the other.
const POLITE: Duration = Duration::from_secs(5);
/// What a step started may end a moment after it, as the last part of a pipeline does.
const GRACE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(10);

/// How it went.
pub(super) struct Ended {
    pub how: How,
    pub left: Left,
    pub out: Output,
    pub err: Output,
}

/// How the step itself ended.
pub(super) enum How {
    By(ExitStatus),
    /// It was stopped at its deadline.
    Late,
    /// It was stopped because the user wants to stop.
    Interrupted,
    /// The system does not tell.
    Unknown(io::Error),
}

/// Starts it, feeds it, and sees it end.
pub(super) fn run(
    program: &Program,
    input: Zeroizing<Vec<u8>>,
    out: Output,
    on_start: &dyn Fn(&StepGroup),
    is_stopped: &dyn Fn() -> bool,
) -> io::Result<Ended> {
    super::descriptors::close_on_exec();
    let family = Family::begin();
    let mut child = spawn(program)?;
    // Before it is told anything: a step waits for its stdin.
    StepGroup::of(child.id()).iter().for_each(on_start);
    let mut pipes = Pipes::new(&mut child, input, out);
    let mut stop = Stop::new(&child, program.deadline);
    let status = loop {
        pipes.pump(TICK);
        match child.try_wait() {
            Ok(Some(status)) => break How::By(status),
            Ok(None) => stop.look(is_stopped),
            Err(error) => break How::Unknown(error),
        }
    };
    let left = outlived(&family, &mut pipes, stop.patience());
    pipes.drain();
    Ok(Ended { how: stop.why.unwrap_or(status), left, out: pipes.out, err: pipes.err })
}

/// It gets our environment, but for what is meant for us.
fn spawn(program: &Program) -> io::Result<Child> {
    let mut command = Command::new(&program.argv[0]);
    command.args(&program.argv[1..]).current_dir(&program.directory).process_group(0);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"DISTRIBUTE_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    tie_to_us(&mut command)?;
    command.spawn()
}

/// What the step started ends by itself until then, or is killed.
fn outlived(family: &Family, pipes: &mut Pipes, until: Instant) -> Left {
    while !family.living().is_empty() && Instant::now() < until {
        pipes.pump(TICK);
    }
    family.end()
}

/// What makes a step end before its time. The process is not collected while this is asked, so that its number is its own.
struct Stop {
    group: Pid,
    deadline: Instant,
    asked: Option<Instant>,
    why: Option<How>,
}

impl Stop {
    fn new(child: &Child, deadline: Duration) -> Self {
        let group = Pid::from_raw(i32::try_from(child.id()).expect("the number of a process"));
        let far = Instant::now() + Duration::from_secs(86_400 * 365);
        let deadline = Instant::now().checked_add(deadline).unwrap_or(far);
        Self { group, deadline, asked: None, why: None }
    }

    fn look(&mut self, is_stopped: &dyn Fn() -> bool) {
        match self.asked {
            Some(asked) if Instant::now() >= asked + POLITE => self.signal(Signal::SIGKILL),
            Some(_) => {}
            None if is_stopped() => self.ask(How::Interrupted),
            None if Instant::now() >= self.deadline => self.ask(How::Late),
            None => {}
        }
    }

    fn ask(&mut self, why: How) {
        self.why = Some(why);
        self.asked = Some(Instant::now());
        self.signal(Signal::SIGTERM);
    }

    /// The step may have gone to another group than its own.
    fn signal(&self, signal: Signal) {
        let _ = killpg(self.group, signal);
        let _ = kill(self.group, signal);
    }

    /// Until when what it started may go on: who was asked politely gets the time to end.
    fn patience(&self) -> Instant {
        self.asked.map_or_else(|| Instant::now() + GRACE, |asked| asked + POLITE)
    }
}
