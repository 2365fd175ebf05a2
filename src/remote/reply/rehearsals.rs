//! What a host says of backups that it unpacked in memory.

use super::{Frame, failure, hashes, records, stat};
use crate::plan::backup::Rehearsal;
use crate::words::{Failure, printable};

/// Reads the frame of a drill: one for each root that something was sent for, in their order.
///
/// # Errors
/// With what the program says went wrong; what it had unpacked is gone then.
pub fn drill(nonce: &str, frame: &Frame) -> Result<Vec<Rehearsal>, Failure> {
    if let Some(failure) = failure(frame) {
        return Err(failure);
    }
    let mut rehearsals: Vec<Rehearsal> = Vec::new();
    for (mark, body) in frame {
        let (word, rest) = mark.split_once(' ').unwrap_or((mark, ""));
        match (word, rehearsals.last_mut()) {
            ("root", _) => rehearsals.push(Rehearsal::default()),
            ("ownerless", Some(one)) => _ = one.ownerless.insert(printable(rest.as_bytes(), 80)),
            ("stat", Some(one)) => one.entries.extend(records(nonce, body).filter_map(stat)),
            ("hash", Some(one)) => one.hashes = hashes(body),
            ("live", Some(one)) => one.live = Some(rest.to_owned()),
            _ => {}
        }
    }
    Ok(rehearsals)
}
