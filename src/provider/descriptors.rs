//! Descriptors that somebody left open for us (a lock of cron's, the job server of make): ours, and not for a program that we start.

/// What Rust opens is closed on exec; what we inherited is not. From here on it is.
#[cfg(target_os = "linux")]
pub(super) fn close_on_exec() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|number| *number > 2).for_each(mark);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn close_on_exec() {}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "nobody owns an inherited descriptor, and only its flag is set")]
fn mark(number: std::os::fd::RawFd) {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    // SAFETY: it is borrowed for one call, which reads and writes no memory. One that was closed meanwhile is an error, which is fine.
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    let _ = fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
}
