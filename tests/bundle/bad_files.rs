//! Bundles that somebody broke, or made to break us.

use super::room::{POISON, Room, names_in};
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};
use tar::{EntryType, Header};

#[test]
fn a_bundle_cut_or_altered_anywhere_is_refused() {
    let room = Room::furnished();
    let whole = room.bundle();
    let list = |bytes: &[u8]| {
        fs::write(room.path("secrets.age"), bytes).unwrap();
        room.run(&["bundle", "list"])
    };
    for cut in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
        list(&whole[..cut]).fails("secrets.age: ");
    }
    for index in (0..whole.len()).step_by(31) {
        let mut altered = whole.clone();
        altered[index] ^= 0x10;
        list(&altered).fails("secrets.age: ");
    }
    list(&[&whole[..], b"x"].concat()).fails("cut off or altered");
    list(&[&whole[..], &whole].concat()).fails("cut off or altered");
    list(&whole).ok();
}

#[test]
fn what_is_not_a_bundle_is_named() {
    let room = Room::empty();
    room.run(&["bundle", "list"]).fails("no bundle here");
    for (content, word) in [
        ("", "empty"),
        (&format!("<<<<<<< HEAD\n{POISON}\n=======\n"), "merge conflict"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS"),
        (&format!("A={POISON}\n"), "not an age file"),
    ] {
        room.put("secrets.age", content);
        room.run(&["bundle", "list"]).fails(word);
    }
    fs::remove_file(room.path("secrets.age")).unwrap();
    fs::create_dir(room.path("secrets.age")).unwrap();
    room.run(&["bundle", "list"]).fails("not a regular file");
}

#[test]
fn a_bundle_packed_by_hand_is_read_and_completed_by_the_next_save() {
    let room = Room::empty();
    let record = format!("recipients = [\"{}\"]\n", room.public_key());
    let regular = EntryType::Regular;
    room.seal_by_hand(&archive(&[("bundle.toml", regular, &record), ("./services/aws.env", regular, "A=1\n")]));
    assert_eq!(room.run(&["bundle", "get", "aws.A"]).ok().stdout, "1\n");
    assert_eq!(room.generation(), 0);
    room.feed(&["bundle", "set", "aws.A"], b"2").ok();
    assert_eq!(room.generation(), 1);
    assert!(room.by_hand("tar tz").contains("keys/backup\n"));
    let anonymous = archive(&[("services/aws.env", regular, "A=1\n")]);
    room.seal_by_hand(&anonymous);
    room.feed(&["bundle", "set", "aws.A"], b"2").fails("another bundle");
    let room = Room::empty();
    room.seal_by_hand(&anonymous);
    room.run(&["bundle", "list"]).ok();
    room.feed(&["bundle", "set", "aws.A"], b"2").fails("lists no recipients");
}

#[test]
fn entries_with_no_business_there_are_refused_by_name() {
    let room = Room::empty();
    let regular = EntryType::Regular;
    for (path, kind, word) in [
        ("../x", regular, "leads out"),
        ("/etc/distribute-was-here", regular, "absolute"),
        ("services/aws.env", EntryType::Symlink, "symbolic link"),
        ("services/aws.env", EntryType::Link, "hard link"),
        ("services/aws.env", EntryType::Block, "device"),
        ("services/aws.env", EntryType::Fifo, "fifo"),
        ("elsewhere/x", regular, "no place"),
        ("services/\u{1b}[31m.env", regular, "characters"),
    ] {
        room.seal_by_hand(&archive(&[(path, kind, "")]));
        assert!(!room.run(&["bundle", "list"]).fails(word).stderr.contains('\u{1b}'));
    }
    room.seal_by_hand(&archive(&[("services/a.env", regular, ""), ("services/A.env", regular, "")]));
    room.run(&["bundle", "list"]).fails("twice");
    room.seal_by_hand(&archive(&[("services/a.env", regular, &format!("A=1\n{POISON}\n"))]));
    room.run(&["bundle", "list"]).fails("services/a.env: line 2");
    room.seal_by_hand(&archive(&[("bundle.toml", regular, &format!("id = \"x\"\nfingerprint-key = \"{POISON}\"\n"))]));
    room.run(&["bundle", "list"]).fails("bundle.toml: line 2");
    room.seal_by_hand(&archive(&[("bundle.toml", regular, "version = 2\n")]));
    room.run(&["bundle", "list"]).fails("newer distribute");
    room.seal_by_hand(b"not a tar");
    room.run(&["bundle", "list"]).fails("not a gzipped tar");
    assert_eq!(room.names(), ["key", "secrets.age"], "nothing was unpacked");
    assert!(!names_in(std::path::Path::new("/etc")).contains(&"distribute-was-here".to_owned()));
}

#[test]
fn bombs_are_refused_fast() {
    let room = Room::empty();
    let refused = |bytes: Vec<u8>, word: &str| {
        room.seal_by_hand(&bytes);
        let start = Instant::now();
        room.run(&["bundle", "list"]).fails(word);
        assert!(start.elapsed() < Duration::from_secs(10), "{word}: {:?}", start.elapsed());
    };
    let mut zeros = GzEncoder::new(Vec::new(), Compression::fast());
    (0..256).for_each(|_| zeros.write_all(&[0; 1 << 20]).unwrap());
    refused(zeros.finish().unwrap(), "larger than 64 MiB");

    let mut many = GzEncoder::new(Vec::new(), Compression::fast());
    for number in 0..1_000_000 {
        many.write_all(header(&format!("services/s{number}.env"), EntryType::Regular, 0).as_bytes()).unwrap();
    }
    refused(many.finish().unwrap(), "larger than 64 MiB");

    let names: Vec<String> = (0..20_000).map(|number| format!("services/s{number}.env")).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), EntryType::Regular, "")).collect();
    refused(archive(&entries), "more than 10000 entries");
}

fn header(path: &str, kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes()); // `set_path` would refuse what we want to try
    header.set_entry_type(kind);
    header.set_mode(0o600);
    header.set_size(size as u64);
    if kind.is_symlink() || kind.is_hard_link() {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    header
}

fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, kind, content) in entries {
        builder.append(&header(path, *kind, content.len()), content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}
