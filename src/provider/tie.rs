//! A step ends with us, also when we are killed: without us nobody would know what it still does.

use std::io;
use std::process::Command;

/// The kernel kills the child when the thread that starts it ends, which is the one that waits for it. What the child starts is not reached: that is
/// what `StepGroup` is for. Nothing of the command may be changed after this.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "only between fork and exec can a child ask for this")]
pub(super) fn tie_to_us(command: &mut Command) -> io::Result<()> {
    use linux::{Exec, ask_for_it};
    use std::os::unix::process::CommandExt;
    let (us, exec) = (nix::unistd::getpid(), Exec::new(command)?);
    let tie = move || ask_for_it(us).and_then(|()| exec.begin()).map_err(io::Error::from);
    // SAFETY: system calls that are safe after a fork; nothing is allocated, also not for their errors, and no lock is taken.
    unsafe { command.pre_exec(tie) };
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn tie_to_us(_command: &mut Command) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use nix::errno::Errno;
    use nix::libc;
    use nix::sys::prctl::set_pdeathsig;
    use nix::sys::signal::Signal;
    use nix::unistd::{Pid, getppid};
    use std::collections::BTreeMap;
    use std::ffi::{CString, OsStr};
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    /// Too late when we were killed before: then there is another parent.
    pub fn ask_for_it(us: Pid) -> Result<(), Errno> {
        set_pdeathsig(Signal::SIGKILL)?;
        if getppid() == us { Ok(()) } else { Err(Errno::ESRCH) }
    }

    /// What the standard library would do next, after a fork, takes whatever is no program for a script of the shell's: `execvp` does.
    pub struct Exec {
        program: CString,
        arguments: Texts,
        environment: Texts,
    }

    impl Exec {
        pub fn new(command: &Command) -> io::Result<Self> {
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            let arguments = Texts::new(words.map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?);
            let environment = Texts::new(environment(command)?);
            Ok(Self { program: CString::new(command.get_program().as_bytes())?, arguments, environment })
        }

        /// Returns only when it fails.
        #[allow(unsafe_code, reason = "safe functions that do it allocate memory, which a child may not")]
        pub fn begin(&self) -> Result<(), Errno> {
            // SAFETY: all three end with a zero, and live as long as we do; it reads them.
            unsafe {
                libc::execve(
                    self.program.as_ptr(),
                    self.arguments.list.as_ptr().cast(),
                    self.environment.list.as_ptr().cast(),
                )
            };
            Err(Errno::last())
        }
    }

    /// Texts and the list of their addresses, which ends with zero. A text does not move.
    struct Texts {
        list: Vec<usize>,
        _texts: Vec<CString>,
    }

    impl Texts {
        fn new(texts: Vec<CString>) -> Self {
            let addresses = texts.iter().map(|text| text.as_ptr().expose_provenance());
            Self { list: addresses.chain([0]).collect(), _texts: texts }
        }
    }

    /// Ours, as the command changes it.
    fn environment(command: &Command) -> io::Result<Vec<CString>> {
        let changes: BTreeMap<&OsStr, Option<&OsStr>> = command.get_envs().collect();
        let ours: Vec<_> = std::env::vars_os().filter(|(name, _)| !changes.contains_key(name.as_os_str())).collect();
        let ours = ours.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        let new = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let text = |(name, value): (&OsStr, &OsStr)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat());
        Ok(ours.chain(new).map(text).collect::<Result<_, _>>()?)
    }
}
