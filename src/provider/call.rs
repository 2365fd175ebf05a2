//! `Call`: one call of a step, and what came of it.

use super::output::{LARGEST_VALUE, Output};
use super::process::{Ended, How, run};
use super::scrub::scrub;
use super::{Answer, Program, StepGroup, Trouble};
use super::{document::document, family::Left};
use crate::words::Secret;
use nix::sys::signal::Signal;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};

/// Of what a step said, so many characters stand in a message.
const SAID: usize = 400;
const GENERATE: &str = "generate";

/// What a step is told.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// `generate`, `set`, `test`, `undo` or `revoke`.
    pub step: &'a str,
    /// `service.KEY`.
    pub secret: &'a str,
    /// Whose value it is, if each host has its own.
    pub host: Option<&'a str>,
    /// The run; a call may come twice with the same, and then means the same.
    pub run: &'a str,
    /// The value that is, or was, in force; none if there was none.
    pub old: Option<&'a Secret>,
    /// The value that is to be; none for `generate`.
    pub new: Option<&'a Secret>,
    /// The public halves, where the secret is a key that has one. They are shown like any other text.
    pub old_public: Option<&'a Secret>,
    pub new_public: Option<&'a Secret>,
}

/// Calls a step and waits until it has ended, and everything that it started. Two calls never run at once; while one runs, this process starts no other
/// child, because whatever it gets as a child meanwhile is taken for the step's and killed. `also` are other secrets that nothing it says may
/// show. `on_start` hears of the step's processes before the step hears anything, `is_stopped` is asked often; when it says yes, the step is stopped.
pub fn call(
    program: &Program,
    call: &Call,
    also: &[&Secret],
    on_start: &dyn Fn(&StepGroup),
    is_stopped: &dyn Fn() -> bool,
) -> Result<Answer, Trouble> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let out = if call.step == GENERATE { Output::value() } else { Output::end() };
    let ended =
        run(program, document(call), out, on_start, is_stopped).map_err(|error| not_started(program, call, &error))?;
    let value = if call.step == GENERATE { printed(&ended.out) } else { Secret::new([]) };
    let secrets: Vec<&Secret> =
        [call.old, call.new, Some(&value)].into_iter().flatten().chain(also.iter().copied()).collect();
    let said = said(&ended, call, &secrets);
    went_well(program, call, &ended, &said)?;
    if call.step == GENERATE {
        fits(call, &ended.out, &value, &said)?;
    }
    Ok(Answer { value, said })
}

/// Without one newline at the end.
fn printed(out: &Output) -> Secret {
    Secret::new(out.bytes().strip_suffix(b"\n").unwrap_or(out.bytes()))
}

/// What `generate` prints is its value, and nothing it said.
fn said(ended: &Ended, call: &Call, secrets: &[&Secret]) -> String {
    let outputs = if call.step == GENERATE { vec![&ended.err] } else { vec![&ended.out, &ended.err] };
    let texts = outputs.into_iter().map(|output| scrub(output, secrets)).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join(" ")
}

/// The end of it, where programs tell why.
fn behind(what: &str, said: &str) -> String {
    let length = said.chars().count();
    match length {
        0 => format!("{what}, and said nothing"),
        1..=SAID => format!("{what}: {said}"),
        _ => format!("{what}: …{}", said.chars().skip(length - SAID).collect::<String>()),
    }
}

fn went_well(program: &Program, call: &Call, ended: &Ended, said: &str) -> Result<(), Trouble> {
    let unknown = |what: String| {
        Trouble::of(call, format!("{what}; whether it took effect is not known"))
            .hint("the same step may be called again: called twice, it must mean the same")
    };
    match &ended.how {
        How::Late => Err(unknown(format!("did not end within {:?}, and was stopped", program.deadline))),
        How::Interrupted => Err(unknown("was interrupted, and was stopped".to_owned())),
        How::Unknown(error) => Err(unknown(format!("ended, and this system does not tell how ({error})"))),
        How::By(status) if status.success() => left_nothing(call, ended.left),
        How::By(status) => Err(failed(call, *status, said)),
    }
}

fn left_nothing(call: &Call, left: Left) -> Result<(), Trouble> {
    let processes = |count: usize| if count == 1 { "1 process".to_owned() } else { format!("{count} processes") };
    let what = match left {
        Left { stopped: 0, running: 0 } => return Ok(()),
        Left { stopped: 1, running: 0 } => "1 process running, which was stopped".to_owned(),
        Left { stopped, running: 0 } => format!("{} running, which were stopped", processes(stopped)),
        Left { running, .. } => format!("{} running that cannot be stopped", processes(running)),
    };
    let trouble = Trouble::of(call, format!("left {what}: a step is done when it ends"));
    Err(trouble.hint("start nothing in the background, or wait for it"))
}

fn failed(call: &Call, status: ExitStatus, said: &str) -> Trouble {
    let signal = status
        .signal()
        .map(|number| Signal::try_from(number).map_or(format!("signal {number}"), |signal| signal.to_string()));
    if let Some(signal) = signal {
        let trouble = Trouble::of(call, behind(&format!("was ended by {signal}"), said));
        return match signal.as_str() {
            "SIGKILL" => trouble.hint("somebody killed it, or memory ran out: journalctl -k tells"),
            _ => trouble.hint("somebody ended it, or it crashed; whether it took effect is not known"),
        };
    }
    let code = status.code().unwrap_or_default();
    let trouble = Trouble::of(call, behind(&format!("ended with status {code}"), said));
    match (code, said.is_empty()) {
        (126, _) => trouble.hint("126: a shell found a program that it may not run"),
        (127, _) => trouble.hint(
            "127: a shell did not find a program; PATH is that of whoever started distribute, under cron a short one",
        ),
        (_, true) => trouble.hint("a step should say on stderr why it fails"),
        (_, false) => {
            trouble.hint("what stands behind the status is what the program said, without secrets; -v shows more of it")
        }
    }
}

fn fits(call: &Call, out: &Output, value: &Secret, said: &str) -> Result<(), Trouble> {
    if value.is_empty() {
        return Err(Trouble::of(call, behind("printed no value", said))
            .hint("what `generate` prints on stdout is the new value"));
    }
    if out.is_cut() || value.len() > LARGEST_VALUE {
        return Err(Trouble::of(call, "printed more than 1 MiB, which is no value")
            .hint("print the value on stdout, and everything else on stderr"));
    }
    Ok(())
}

fn not_started(program: &Program, call: &Call, error: &io::Error) -> Trouble {
    let path = crate::words::printable(program.argv[0].as_bytes(), 400);
    let trouble = Trouble::of(call, format!("could not be started: {path}: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => trouble.hint("the program, its interpreter or its directory is gone"),
        io::ErrorKind::PermissionDenied => {
            trouble.hint(format!("chmod +x {path}; a mount with noexec has the same effect"))
        }
        io::ErrorKind::ExecutableFileBusy => trouble.hint("somebody is writing to it"),
        _ if error.raw_os_error() == Some(nix::libc::ENOEXEC) => {
            trouble.hint("a binary of another machine, or a script without a first line that names its interpreter")
        }
        _ => trouble.hint("nothing was changed; the same step may be called again"),
    }
}
