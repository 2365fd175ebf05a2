//! `set -a; . FILE` in a POSIX shell. Single quotes hold every byte but NUL and themselves.

use super::draft::Draft;
use crate::words::{KeyName, Secret};

/// Linux starts no program with a longer variable (`MAX_ARG_STRLEN`: 128 KiB with name, `=` and NUL).
pub(super) const LONGEST: usize = 127 * 1024;

/// Read-only, or changed by itself, in one of dash, bash, busybox ash and mksh.
const KEPT_BY_SHELLS: &str = " _ BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND BASH_COMPAT \
    BASH_LINENO BASH_SOURCE BASH_SUBSHELL BASH_VERSINFO COLUMNS COMP_WORDBREAKS DIRSTACK EGID EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME \
    FUNCNEST GID GROUPS HISTCMD HISTSIZE KSHEGID KSHGID KSHUID KSH_VERSION LINENO LINES OPTIND PGRP PIPESTATUS PPID RANDOM SECONDS SHELLOPTS \
    SHLVL SRANDOM TMOUT UID USER_ID ";

pub(super) fn refuses(key: &KeyName, value: &Secret) -> Option<&'static str> {
    let bytes = value.expose();
    match () {
        () if key.as_str().contains('-') => Some("its name holds `-`"),
        () if KEPT_BY_SHELLS.split(' ').any(|kept| kept == key.as_str()) => {
            Some("its name is one that shells keep for themselves")
        }
        () if bytes.contains(&0) => Some("the value holds a NUL byte"),
        () if bytes.len() > LONGEST => Some("the value is longer than 127 KiB"),
        () => None,
    }
}

/// `~` is not among them: a shell expands it at the beginning and behind `:`.
fn is_bare(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(b))
}

/// One word of a shell.
pub fn quoted(value: &[u8]) -> Secret {
    let mut draft = Draft::with_room(4 * value.len() + 2);
    match is_bare(value) && !value.is_empty() {
        true => draft.put(value),
        false => write_quoted(value, &mut draft),
    }
    draft.finish()
}

fn write_quoted(value: &[u8], draft: &mut Draft) {
    draft.put_byte(b'\'');
    for byte in value {
        match byte {
            b'\'' => draft.put(b"'\\''"),
            byte => draft.put_byte(*byte),
        }
    }
    draft.put_byte(b'\'');
}

pub(super) fn write(values: &[(KeyName, Secret)]) -> Secret {
    Draft::lines(values, 4, |value, draft| match is_bare(value) {
        true => draft.put(value),
        false => write_quoted(value, draft),
    })
}
