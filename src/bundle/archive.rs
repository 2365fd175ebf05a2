//! The archive inside `secrets.age`: a gzipped tar read in memory, within bounds, with every entry refused that has no business
//! there. Nothing is ever unpacked to a disk. Equal contents give equal bytes.

use super::layout::Place;
use crate::words::{self, Error, Result, Secret, printable};
use flate2::{Compression, GzBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use tar::EntryType;
use zeroize::Zeroizing;

const LARGEST: usize = 64 << 20;
const LARGEST_ENTRY: u64 = 16 << 20;
const MOST_ENTRIES: usize = 10_000;
/// `history/7/groups/web/tls/cert.pem` is the deepest there is.
const DEEPEST: usize = 6;
/// 2000-01-01: equal archives need one time, and GNU tar warns about 1970.
const TIME: u64 = 946_684_800;

/// What lies in the archive, each content under its place.
pub type Entries = BTreeMap<Place, Secret>;

/// Reads the gzipped tar. What has no place in a bundle is refused.
pub fn unpack(bytes: &[u8]) -> Result<Entries> {
    let clear = gunzip(bytes)?;
    let mut entries = Entries::new();
    let mut seen = BTreeSet::new();
    let mut archive = tar::Archive::new(&clear[..]);
    let damaged = |_| Error::new("the archive inside is damaged");
    for (count, entry) in archive.entries().map_err(damaged)?.enumerate() {
        if count == MOST_ENTRIES {
            return Err(Error::new(format!("the archive inside holds more than {MOST_ENTRIES} entries")));
        }
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        let path = checked_path(&entry.path_bytes(), kind)?;
        if kind == EntryType::Directory {
            continue;
        }
        if !seen.insert(path.to_ascii_lowercase()) {
            return Err(Error::new(format!("`{path}` is in the archive twice"))
                .hint("upper and lower case are the same name on some file systems"));
        }
        let size = entry.size();
        if size > LARGEST_ENTRY {
            return Err(Error::new(format!("`{path}` is larger than 16 MiB")));
        }
        let mut content = Zeroizing::new(Vec::with_capacity(size as usize));
        entry.read_to_end(&mut content).map_err(damaged)?;
        if content.len() as u64 != size {
            return Err(Error::new(format!("`{path}` is cut off in the archive")));
        }
        entries.insert(path.parse()?, Secret::new(std::mem::take(&mut *content)));
    }
    Ok(entries)
}

/// Makes the gzipped tar, sorted by place.
pub fn pack(entries: &Entries) -> Result<Zeroizing<Vec<u8>>> {
    let size: usize = entries.values().map(|content| content.len() + 2048).sum();
    let mut clear = Zeroizing::new(Vec::with_capacity(size + 2048));
    {
        let mut builder = tar::Builder::new(&mut *clear);
        for (place, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o600);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(TIME);
            header.set_size(content.len() as u64);
            let written = builder.append_data(&mut header, place.to_string(), content.expose());
            written.map_err(|e| Error::new(format!("packing {place}")).because(e))?;
        }
        builder.finish().map_err(|e| Error::new("packing the bundle").because(e))?;
    }
    if clear.len() > LARGEST || entries.len() > MOST_ENTRIES {
        return Err(Error::new(format!("the bundle would hold more than 64 MiB or {MOST_ENTRIES} entries")));
    }
    if let Some((place, _)) = entries.iter().find(|(_, content)| content.len() as u64 > LARGEST_ENTRY) {
        return Err(Error::new(format!("{place} is larger than 16 MiB")));
    }
    gzip(&clear).map_err(|e| Error::new("packing the bundle").because(e))
}

fn gunzip(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    words::gunzip(bytes, LARGEST).map_err(|error| match bytes.starts_with(b"\x1f\x8b") {
        true => error,
        false => error.hint("made by hand? pack it with `tar cz bundle.toml services | age ...`"),
    })
}

fn gzip(clear: &[u8]) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // Room for the worst case: a buffer that grows leaves copies behind.
    let mut packed = Zeroizing::new(Vec::with_capacity(clear.len() + clear.len() / 1000 + 1024));
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(&mut *packed, Compression::default());
    encoder.write_all(clear)?;
    encoder.finish()?;
    Ok(packed)
}

/// A regular file's path without `./`; links, devices and paths that lead elsewhere are refused by name.
fn checked_path(bytes: &[u8], kind: EntryType) -> Result<String> {
    let shown = printable(bytes, 100);
    let refuse = |reason: &str| Err(Error::new(format!("`{shown}` is in the archive, {reason}")));
    match kind {
        EntryType::Regular | EntryType::Directory => {}
        EntryType::Symlink => return refuse("a symbolic link"),
        EntryType::Link => return refuse("a hard link"),
        EntryType::Char | EntryType::Block => return refuse("a device"),
        EntryType::Fifo => return refuse("a fifo"),
        EntryType::GNUSparse => return refuse("a sparse file"),
        _ => return refuse("an entry of an unknown kind"),
    }
    let path = bytes.strip_prefix(b"./").unwrap_or(bytes);
    let path = if kind == EntryType::Directory { path.strip_suffix(b"/").unwrap_or(path) } else { path };
    if kind == EntryType::Directory && matches!(path, b"" | b".") {
        return Ok(String::new());
    }
    if path.starts_with(b"/") {
        return refuse("an absolute path");
    }
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    if parts.contains(&&b".."[..]) {
        return refuse("a path that leads out of it");
    }
    if parts.len() > DEEPEST {
        return refuse("too deep");
    }
    let is_name = |part: &&[u8]| {
        !part.is_empty()
            && part[0] != b'.'
            && part.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    match String::from_utf8(path.to_vec()) {
        Ok(path) if parts.iter().all(is_name) => Ok(path),
        _ => refuse("a name with other characters than letters, digits, `.`, `_` and `-`, or with a leading dot"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[(&str, &[u8])]) -> Entries {
        list.iter().map(|(path, content)| (path.parse().unwrap(), Secret::new(*content))).collect()
    }

    /// An archive with headers as an attacker writes them.
    fn crafted(list: &[(&[u8], EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, content) in list {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path);
            header.set_entry_type(*kind);
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.set_link_name("services/aws.env").unwrap();
            }
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        gzip(&builder.into_inner().unwrap()).unwrap().to_vec()
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let long = format!("hosts/{}/{}.env", "h".repeat(128), "s".repeat(128));
        let all = entries(&[("services/aws.env", b"A=1\n"), ("services/tls/cert.pem", b"\0\xff"), (&long, b"B=2\n")]);
        let packed = pack(&all).unwrap();
        assert_eq!(unpack(&packed).unwrap(), all);
        assert_eq!(pack(&all).unwrap(), packed, "equal contents, equal bytes");
    }

    #[test]
    fn directories_and_a_leading_dot_slash_are_fine() {
        let packed = crafted(&[
            (b"./", EntryType::Directory, b""),
            (b"./services/", EntryType::Directory, b""),
            (b"./services/aws.env", EntryType::Regular, b"A=1\n"),
        ]);
        assert_eq!(unpack(&packed).unwrap(), entries(&[("services/aws.env", b"A=1\n")]));
    }

    #[test]
    fn what_has_no_business_there_is_refused_by_name() {
        let regular = EntryType::Regular;
        let cases: [(&[u8], EntryType, &str); 16] = [
            (b"../x", regular, "leads out"),
            (b"services/../../x", regular, "leads out"),
            (b"/etc/passwd", regular, "absolute"),
            (b"services//x.env", regular, "characters"),
            (b"services/.x.env", regular, "leading dot"),
            (b"services/a b.env", regular, "characters"),
            (b"services/\xff.env", regular, "characters"),
            (b"services/x\x1b[2J.env", regular, "characters"),
            (b"a/b/c/d/e/f/g", regular, "deep"),
            (b"other/x", regular, "no place"),
            (b"services/x", EntryType::Symlink, "symbolic link"),
            (b"services/x", EntryType::Link, "hard link"),
            (b"services/x", EntryType::Char, "device"),
            (b"services/x", EntryType::Block, "device"),
            (b"services/x", EntryType::Fifo, "fifo"),
            (b"../", EntryType::Directory, "leads out"),
        ];
        for (path, kind, word) in cases {
            let error = unpack(&crafted(&[(path, kind, b"")])).unwrap_err().to_string();
            assert!(error.contains(word), "{path:?}: {error}");
            assert!(!error.contains('\x1b'), "{error:?}");
        }
        let sparse = unpack(&crafted(&[(b"services/x", EntryType::GNUSparse, b"")])).unwrap_err();
        assert!(!sparse.to_string().is_empty());
    }

    #[test]
    fn duplicates_are_refused_also_by_case() {
        for second in ["services/aws.env", "services/AWS.env"] {
            let regular = EntryType::Regular;
            let packed = crafted(&[(b"services/aws.env", regular, b""), (second.as_bytes(), regular, b"")]);
            assert!(unpack(&packed).unwrap_err().to_string().contains("twice"));
        }
    }

    #[test]
    fn bounds_are_kept() {
        let many: Vec<_> = (0..=MOST_ENTRIES).map(|i| format!("services/s{i}.env").into_bytes()).collect();
        let many: Vec<_> = many.iter().map(|path| (&path[..], EntryType::Regular, &b""[..])).collect();
        assert!(unpack(&crafted(&many)).unwrap_err().to_string().contains("entries"));

        let big = vec![0; (16 << 20) + 1];
        let big = crafted(&[(b"services/x/y", EntryType::Regular, &big)]);
        assert!(unpack(&big).unwrap_err().to_string().contains("16 MiB"));

        let bomb = gzip(&vec![0; LARGEST + 1]).unwrap();
        assert!(unpack(&bomb).unwrap_err().to_string().contains("64 MiB"));
    }

    #[test]
    fn what_follows_or_misses_is_refused() {
        let packed = pack(&entries(&[("services/aws.env", b"A=1\n")])).unwrap();
        let joined = [&packed[..], &packed[..]].concat();
        assert!(unpack(&joined).unwrap_err().to_string().contains("follow"));
        assert!(unpack(b"A=1\n").unwrap_err().to_string().contains("not a gzipped tar"));
        for length in 0..packed.len() {
            assert!(unpack(&packed[..length]).is_err(), "cut at {length}");
        }
    }
}
