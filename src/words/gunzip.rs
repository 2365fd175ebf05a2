//! What is sealed is a gzip file: undone in memory that is wiped, and never without bounds.

use super::{Error, Result};
use flate2::bufread::GzDecoder;
use std::io::Read;
use zeroize::Zeroizing;

/// Undoes one gzip member, which must be all there is, of at most so many bytes.
///
/// # Errors
/// When it is something else, damaged, larger, or not all there is.
pub fn gunzip(bytes: &[u8], largest: usize) -> Result<Zeroizing<Vec<u8>>> {
    if !bytes.starts_with(b"\x1f\x8b") {
        return Err(Error::new("what is sealed in it is not a gzipped tar"));
    }
    // The trailer says the size; a right size means no copies are left behind by a growing buffer.
    let trailer = bytes.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    // It may lie: nothing is deflated to less than a 1032nd.
    let size = trailer.min(largest).min(bytes.len().saturating_mul(1032));
    let mut clear = Zeroizing::new(Vec::with_capacity(size + 1));
    let mut decoder = GzDecoder::new(bytes);
    let read = decoder.by_ref().take(largest as u64 + 1).read_to_end(&mut clear);
    read.map_err(|_| Error::new("the gzip inside is damaged"))?;
    if clear.len() > largest {
        return Err(Error::new(format!("the archive inside is larger than {} MiB", largest >> 20)));
    }
    match decoder.into_inner() {
        [] => Ok(clear),
        rest => Err(Error::new(format!("{} bytes follow the archive inside", rest.len()))
            .hint("it holds one gzipped tar and nothing behind it")),
    }
}
