//! Questions to a person at the terminal. Hidden answers come in byte by byte with echo off; nothing of them is ever shown.

use super::editor::IgnoredSignals;
use crate::words::{Error, Result, Secret};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use zeroize::Zeroizing;

const LONGEST: usize = 64 * 1024;

/// Asks for something that is not shown.
pub fn hidden(label: &str) -> Result<Secret> {
    let mut terminal = Quiet::open()?;
    terminal.say(&format!("{label}: "))?;
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    loop {
        match terminal.byte()? {
            b'\r' | b'\n' => break,
            0x03 | 0x04 => return Err(Error::new("interrupted; nothing was changed")),
            0x7f | 0x08 => drop(line.pop()),
            0x15 => line.clear(),
            _ if line.len() == LONGEST => return Err(Error::new("that is too long to be typed")),
            byte => line.push(byte),
        }
    }
    Ok(Secret::new(&line[..]))
}

/// Asks a question that one key answers; anything but `y` is no.
pub fn is_yes(question: &str) -> Result<bool> {
    let mut terminal = Quiet::open()?;
    terminal.say(&format!("{question} [y/N] "))?;
    match terminal.byte()? {
        0x03 | 0x04 => Err(Error::new("interrupted; nothing was changed")),
        key => {
            let is_yes = key.eq_ignore_ascii_case(&b'y');
            terminal.say(if is_yes { "yes" } else { "no" })?;
            Ok(is_yes)
        }
    }
}

/// Asks until one of these keys is pressed, each shown by its word; gives its place in the list.
pub fn choice(question: &str, words: &[&str]) -> Result<usize> {
    let mut terminal = Quiet::open()?;
    terminal.say(&format!("{question} "))?;
    loop {
        let key = terminal.byte()?;
        if matches!(key, 0x03 | 0x04) {
            return Err(Error::new("interrupted; nothing was changed"));
        }
        let is_meant = |word: &&str| word.bytes().next().is_some_and(|first| first.eq_ignore_ascii_case(&key));
        if let Some(at) = words.iter().position(is_meant) {
            terminal.say(words[at])?;
            return Ok(at);
        }
    }
}

/// The terminal itself, whatever stdin is, without echo and without signals until it is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
    signals: IgnoredSignals,
}

impl Quiet {
    fn open() -> Result<Self> {
        let failed = |error| Error::new("there is no terminal to ask on").because(error);
        let signals = IgnoredSignals::new()?; // else a hangup or a kill would leave the terminal without echo
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(failed)?;
        let before = termios::tcgetattr(&terminal).map_err(|e| failed(e.into()))?;
        let mut quiet = before.clone();
        // Without ISIG, Ctrl-C arrives as a byte, and the terminal is put right before we end.
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG);
        termios::tcsetattr(&terminal, SetArg::TCSAFLUSH, &quiet).map_err(|e| failed(e.into()))?;
        Ok(Self { terminal, before, signals })
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.terminal.write_all(text.as_bytes()).map_err(|e| Error::new("writing to the terminal").because(e))
    }

    fn byte(&mut self) -> Result<u8> {
        self.wait()?;
        let mut byte = [0];
        match self.terminal.read(&mut byte) {
            Ok(1) => Ok(byte[0]),
            Ok(_) => Err(Error::new("the terminal was closed; nothing was changed")),
            Err(error) => Err(Error::new("reading from the terminal").because(error)),
        }
    }

    /// Until there is a byte. A signal ends it; looking for one ten times a second is soon enough.
    fn wait(&mut self) -> Result<()> {
        loop {
            let mut terminal = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut terminal, 100u16);
            if self.signals.has_come() {
                return Err(Error::new("interrupted; nothing was changed"));
            }
            match ready {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(Error::new("waiting for the terminal").because(std::io::Error::from(error))),
            }
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
        let _ = self.terminal.write_all(b"\n");
    }
}
