//! `Pipes`: the three pipes to a step. What it does not read, and whoever else holds them, does not hold us.

use super::output::Output;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

const CHUNK: usize = 32 * 1024;
/// More than this cannot lie in two pipes; somebody is still writing, who is none of ours.
const ROUNDS: usize = 256;

/// Our ends.
pub(super) struct Pipes {
    stdin: Option<ChildStdin>,
    input: Zeroizing<Vec<u8>>,
    written: usize,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    pub out: Output,
    pub err: Output,
}

impl Pipes {
    /// `input` goes to the step, then comes the end of input.
    pub(super) fn new(child: &mut Child, input: Zeroizing<Vec<u8>>, out: Output) -> Self {
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        stdin.iter().for_each(never_wait);
        stdout.iter().for_each(never_wait);
        stderr.iter().for_each(never_wait);
        Self { stdin, input, written: 0, stdout, stderr, out, err: Output::end() }
    }

    /// Moves what can be moved, and waits up to `time` for it. Did anything come?
    pub(super) fn pump(&mut self, time: Duration) -> bool {
        let wanted = |pipe, flags| PollFd::new(pipe, flags);
        let mut pipes: Vec<PollFd> = Vec::with_capacity(3);
        pipes.extend(self.stdout.as_ref().map(|pipe| wanted(pipe.as_fd(), PollFlags::POLLIN)));
        pipes.extend(self.stderr.as_ref().map(|pipe| wanted(pipe.as_fd(), PollFlags::POLLIN)));
        pipes.extend(self.stdin.as_ref().map(|pipe| wanted(pipe.as_fd(), PollFlags::POLLOUT)));
        let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
        // What a signal interrupts is tried again by the caller.
        let _ = poll(&mut pipes, time);
        self.feed();
        read(&mut self.stdout, &mut self.out) | read(&mut self.stderr, &mut self.err)
    }

    /// Takes what still lies in the pipes.
    pub(super) fn drain(&mut self) {
        self.stdin = None;
        let _ = (0..ROUNDS).find(|_| !self.pump(Duration::ZERO));
    }

    /// A step need not read: then the pipe breaks or stays full.
    fn feed(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        match stdin.write(&self.input[self.written..]) {
            Ok(count) => self.written += count,
            Err(error) if is_for_later(&error) => return,
            Err(_) => self.written = self.input.len(),
        }
        if self.written == self.input.len() {
            self.stdin = None;
            self.input.zeroize();
            self.written = 0;
        }
    }
}

/// Only our end: the step's own waits as ever.
fn never_wait(pipe: &impl AsFd) {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe of ours takes a flag");
}

fn is_for_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn read(pipe: &mut Option<impl Read>, output: &mut Output) -> bool {
    let Some(open) = pipe else { return false };
    let mut chunk = Zeroizing::new([0; CHUNK]);
    match open.read(&mut chunk[..]) {
        Ok(count) if count > 0 => output.push(&chunk[..count]),
        Err(error) if is_for_later(&error) => return false,
        _ => *pipe = None,
    }
    pipe.is_some()
}
