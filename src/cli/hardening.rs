//! What protects the secrets in this process's memory, and what of it another program that takes its place must not inherit.

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use std::sync::OnceLock;

/// The soft limits of whoever started us: size of a core dump, and number of open files.
static BEFORE: OnceLock<[(Resource, rlim_t); 2]> = OnceLock::new();

/// No core dump, and no other process of this user may trace us or read our memory. Room for as many connections as there may be.
pub fn harden() {
    let soft = |resource| getrlimit(resource).map(|(soft, _)| soft);
    if let (Ok(core), Ok(files)) = (soft(Resource::RLIMIT_CORE), soft(Resource::RLIMIT_NOFILE)) {
        let _ = BEFORE.set([(Resource::RLIMIT_CORE, core), (Resource::RLIMIT_NOFILE, files)]);
    }
    set_soft(Resource::RLIMIT_CORE, 0);
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
    set_soft(Resource::RLIMIT_NOFILE, rlim_t::MAX);
}

/// From now on nobody raises the limit of core dumps again, neither we nor the programs that we start, such as an editor.
pub fn for_good() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}

/// The limits as they were, for a program that runs in our place. That it may be traced again, the kernel sees to.
pub fn undo() {
    for (resource, soft) in BEFORE.get().into_iter().flatten() {
        set_soft(*resource, *soft);
    }
}

/// As far as the hard limit lets us.
fn set_soft(resource: Resource, soft: rlim_t) {
    if let Ok((_, hard)) = getrlimit(resource) {
        let _ = setrlimit(resource, soft.min(hard), hard);
    }
}
