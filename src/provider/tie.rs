//! A step ends with us, also when we are killed: without us nobody would know what it still does.

use std::process::Command;

/// The kernel kills the child when the thread that starts it ends, which is the one that waits for it. What the child starts is not reached: that is
/// what `StepGroup` is for.
#[cfg(target_os = "linux")]
#[allow(
    unsafe_code,
    reason = "only between fork and exec can a child ask for it, and before the exec it does nothing else"
)]
pub(super) fn tie_to_us(command: &mut Command) {
    use nix::errno::Errno;
    use nix::sys::prctl::set_pdeathsig;
    use nix::sys::signal::Signal;
    use nix::unistd::{getpid, getppid};
    use std::os::unix::process::CommandExt;
    let us = getpid();
    let tie = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // Too late when we were killed before: then there is another parent.
        if getppid() == us { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: two system calls, both safe after a fork; nothing is allocated, also not for the errors, and no lock is taken.
    unsafe { command.pre_exec(tie) };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn tie_to_us(_command: &mut Command) {}
