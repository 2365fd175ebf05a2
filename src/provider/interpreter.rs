//! The first line of a script: it has one, and what it names is there. Found out now, not in the middle of a rotation.

use crate::words::{Error, Result, printable};
use std::env;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What the kernel reads of a first line.
const LONGEST: u64 = 256;

/// An error if this is a script that cannot be run. Other formats are the kernel's business.
pub(super) fn check(path: &Path) -> Result<()> {
    let mut head = Vec::new();
    // A program that may be run but not read is none that has an interpreter.
    let is_read = File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut head)).is_ok();
    match head.strip_prefix(b"#!") {
        Some(rest) => named(path, rest.split(|byte| *byte == b'\n').next().unwrap_or_default()),
        None if is_read && !head.contains(&0) => Err(Error::new(format!(
            "{}: neither a binary nor a script whose first line names its interpreter",
            shown(path)
        ))
        .hint("begin it with #!/bin/sh or #!/usr/bin/env python3")),
        None => Ok(()),
    }
}

fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_encoded_bytes(), 400)
}

fn named(path: &Path, line: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let interpreter = words.next().unwrap_or_default();
    let missing = |name: &str| {
        let wrong =
            Error::new(format!("{}: its interpreter {} is not there", shown(path), printable(name.as_bytes(), 200)));
        if text.ends_with('\r') {
            wrong.hint("its lines end as on Windows: sed -i 's/\\r$//' FILE")
        } else {
            wrong.hint("install it, or correct the first line of the script")
        }
    };
    if interpreter.is_empty() || !Path::new(interpreter).is_file() {
        return Err(missing(text.trim_start_matches([' ', '\t'])));
    }
    match words.next() {
        Some(name)
            if interpreter.ends_with("/env") && !name.starts_with('-') && !name.contains('=') && !is_in_path(name) =>
        {
            Err(missing(name))
        }
        _ => Ok(()),
    }
}

fn is_in_path(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    name.contains('/') && Path::new(name).is_file() || env::split_paths(&path).any(|place| place.join(name).is_file())
}
