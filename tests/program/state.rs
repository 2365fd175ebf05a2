//! What lies on a host, and whether it is as it should be.

use crate::remote_shell::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub fn env(tag: &str) -> String {
    format!("KEY={POISON}-{tag}\n")
}

/// Name, inode, mode, owner, size, times of everything below.
pub fn snapshot(directory: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in walkdir::WalkDir::new(directory) {
        let entry = entry.unwrap();
        let m = entry.metadata().unwrap();
        let times = format!("{}.{} {}.{}", m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec());
        let what = format!("{} {:o} {}:{} {} {times}", m.ino(), m.mode(), m.uid(), m.gid(), m.len());
        all.insert(entry.path().display().to_string(), what);
    }
    all
}

pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

pub fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Everything is where it should be, and nothing else of ours is there.
pub fn assert_tidy(host: &Host, want: &Want) {
    let secrets = host.root_at("secrets");
    for file in &want.set.files {
        assert_eq!(fs::read(secrets.join(&file.path)).unwrap(), file.content.expose(), "{}", file.path);
    }
    let live = fs::read_link(secrets.join("..data")).unwrap();
    assert!(mode(&secrets) == 0o700 && mode(&secrets.join(&live)) == 0o700);
    let sets = names(&secrets).into_iter().filter(|name| name.starts_with("..") && name != "..data");
    let sets: Vec<_> = sets.filter(|name| !name.starts_with("..kept")).collect();
    assert!(sets.len() <= 2 && sets.contains(&live.display().to_string()), "{sets:?}, live {live:?}");
    let backups: Vec<_> = names(&host.root_at("backups")).into_iter().filter(|name| name != "key.age").collect();
    let records = names(&host.root_at(".distribute"));
    let receipts: Vec<_> = records.iter().filter_map(|name| name.strip_prefix("receipt.")).collect();
    let sealed: Vec<_> = backups.iter().filter_map(|name| name.strip_suffix(".tar.gz.age")).collect();
    assert_eq!(receipts, sealed, "a receipt for each backup");
    for name in records {
        let manifest = name.strip_prefix("manifest.").is_some_and(|set| sets.iter().any(|known| known == set));
        let receipt = name.starts_with("receipt.");
        assert!(manifest || receipt || matches!(name.as_str(), "generation" | "previous"), "left over: {name}");
    }
    let links = names(&secrets).into_iter().filter(|name| !name.starts_with(".."));
    let wanted: Vec<_> = want.set.link_names().into_iter().collect();
    assert_eq!(links.collect::<Vec<_>>(), wanted);
    found_only_in_sets(host);
}

/// The poison is in the sets and in what was kept, and nowhere else on the host.
pub fn found_only_in_sets(host: &Host) {
    let proc = host.at("proc");
    for entry in walkdir::WalkDir::new(host.directory.path()).into_iter().filter_entry(|e| e.path() != proc) {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() || entry.path().iter().any(|part| part == "secrets") {
            continue;
        }
        let bytes = fs::read(entry.path()).unwrap();
        let found = bytes.windows(POISON.len()).any(|window| window == POISON.as_bytes());
        assert!(!found, "a value lies in {}", entry.path().display());
    }
}

/// Reads all files over and over while `work` runs: each round, all as before or all as after.
pub fn watched(host: &Host, before: &[(&str, String)], after: &[(&str, String)], gaps: bool, work: impl FnOnce()) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let data = host.root_at("secrets/..data");
            let read = || before.iter().map(|(name, _)| host.secret(name)).collect::<Vec<_>>();
            let is = |found: &[Option<Vec<u8>>], want: &[(&str, String)]| {
                found.iter().zip(want).all(|(found, (_, want))| found.as_deref() == Some(want.as_bytes()))
            };
            while !over.load(Ordering::Relaxed) {
                // Several reads are no single moment: only rounds during which nothing was switched are judged.
                let start = fs::read_link(&data).ok();
                let found = read();
                if fs::read_link(&data).ok() == start && !is(&found, before) && !is(&found, after) {
                    let missing = found.iter().any(Option::is_none);
                    assert!(gaps && missing, "neither the old set nor the new: {start:?} {found:?}");
                }
            }
        });
        work();
        over.store(true, Ordering::Relaxed);
    });
}
