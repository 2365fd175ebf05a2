//! What `getfacl` and `getcap` say of files, beyond their modes.

use super::quoted::{exact, octal};
use crate::words::printable;
use std::collections::BTreeMap;

/// How much of an access list is shown.
const SHOWN: usize = 200;

/// Entries that the mode does not show, by path. A file is a paragraph; the three of owner, group and others are its mode.
pub(super) fn acls(body: &[u8]) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
    let mut at = None;
    for line in body.split(|byte| *byte == b'\n') {
        if let Some(name) = line.strip_prefix(b"# file: ") {
            at = Some(octal(name));
        } else if let Some(path) = at.as_ref().filter(|_| !line.is_empty() && !line.starts_with(b"#")) {
            let of_the_mode = [&b"user::"[..], b"group::", b"other::"].iter().any(|head| line.starts_with(head));
            if !of_the_mode {
                // What takes effect stands behind a tab where the mask cuts it.
                let entry = line.split(|byte| *byte == b'\t').next().unwrap_or(line);
                found.entry(path.clone()).or_default().push(entry);
            }
        }
    }
    found.into_iter().map(|(path, entries)| (path, printable(&entries.join(&b", "[..]), SHOWN))).collect()
}

/// `PATH cap_net_raw=ep`, and before libcap 2.41 `PATH = cap_net_raw+ep`.
pub(super) fn capabilities(body: &[u8]) -> BTreeMap<String, String> {
    let lines = body.split(|byte| *byte == b'\n');
    let pairs = lines.filter_map(|line| {
        let at = line.iter().rposition(|byte| *byte == b' ')?;
        let path = line[..at].strip_suffix(b" =").unwrap_or(&line[..at]);
        Some((exact(path), printable(&line[at + 1..], SHOWN)))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_beyond_the_mode() {
        let text = b"# file: secrets/a\\012b\n# owner: 0\n# group: 0\nuser::rw-\nuser:1000:r--\t#effective:---\n\
            group::---\nmask::---\nother::---\n\n# file: secrets\n# owner: 0\n# group: 0\nuser::rwx\ngroup::---\nother::---\n\
            default:user::rwx\ndefault:group::---\ndefault:other::---\n\n";
        let found = acls(text);
        assert_eq!(found["secrets/a\nb"], "user:1000:r--, mask::---");
        assert_eq!(found["secrets"], "default:user::rwx, default:group::---, default:other::---");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn capabilities_old_and_new() {
        let found = capabilities(b"secrets/a b cap_net_raw=ep\nsecrets/c = cap_chown+ep\n");
        assert_eq!(found["secrets/a b"], "cap_net_raw=ep");
        assert_eq!(found["secrets/c"], "cap_chown+ep");
    }
}
