//! `set -a; . FILE` in a POSIX shell. Single quotes hold every byte but NUL and themselves.

use super::cursor::Cursor;
use super::draft::Draft;
use super::found::Found;
use crate::words::{KeyName, Result, Secret};

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
    let mut draft = Draft::new(values, 4, 4);
    for (key, value) in values {
        draft.put(key.as_str().as_bytes());
        draft.put_byte(b'=');
        match is_bare(value.expose()) {
            true => draft.put(value.expose()),
            false => write_quoted(value.expose(), &mut draft),
        }
        draft.put_byte(b'\n');
    }
    draft.finish()
}

/// Assignments alone: what a shell would run or expand is refused.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(KeyName, Secret)>> {
    let mut found = Found::new(bytes);
    let mut cursor = Cursor::new(bytes);
    loop {
        cursor.take_while(|b| matches!(b, b' ' | b'\t' | b'\n'));
        match cursor.peek() {
            None => return Ok(found.finish()),
            Some(b'#') => _ = cursor.rest_of_line(),
            Some(_) => read_assignment(&mut cursor, &mut found)?,
        }
    }
}

fn read_assignment(cursor: &mut Cursor<'_>, found: &mut Found) -> Result<()> {
    if cursor.eat_all(b"export ") {
        cursor.take_while(is_blank);
    }
    let key = cursor.take_while(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !cursor.eat(b'=') {
        return Err(cursor.error("it is not NAME=value, and a shell would run it"));
    }
    read_word(cursor, found)?;
    let rest = cursor.take_while(|b| b != b'\n');
    cursor.eat(b'\n');
    let is_comment = rest.first().is_some_and(|b| is_blank(*b)) && rest.trim_ascii_start().starts_with(b"#");
    if !rest.trim_ascii().is_empty() && !is_comment {
        return Err(cursor.error("more stands behind the value, and a shell would run it"));
    }
    found.keep(key).map_err(|error| cursor.error(error.message()))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn read_word(cursor: &mut Cursor<'_>, found: &mut Found) -> Result<()> {
    while let Some(byte) = cursor.peek().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\n')) {
        cursor.next();
        match byte {
            b'\'' => {
                found.value.extend_from_slice(cursor.take_while(|b| b != b'\''));
                cursor.next().ok_or_else(|| cursor.error("a quote is not closed"))?;
            }
            b'"' => read_double(cursor, found)?,
            b'\\' => match cursor.next() {
                Some(b'\n') | None => {}
                Some(next) => found.value.push(next),
            },
            b'$' | b'`' | b'~' | b'*' | b'?' | b'[' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => {
                return Err(cursor.error("there is something outside of quotes that a shell would expand or run"));
            }
            byte => found.value.push(byte),
        }
    }
    Ok(())
}

fn read_double(cursor: &mut Cursor<'_>, found: &mut Found) -> Result<()> {
    loop {
        match cursor.next().ok_or_else(|| cursor.error("a quote is not closed"))? {
            b'"' => return Ok(()),
            b'$' | b'`' => return Err(cursor.error("there is something in the quotes that a shell would expand")),
            b'\\' => match cursor.next() {
                Some(next) if b"\"\\`$".contains(&next) => found.value.push(next),
                Some(b'\n') | None => {}
                Some(next) => found.value.extend_from_slice(&[b'\\', next]),
            },
            byte => found.value.push(byte),
        }
    }
}
