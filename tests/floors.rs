//! The floors of the house: imports go down only, and rooms on one floor do not know each other. Tests inside src count too.

use std::fs;
use std::path::{Path, PathBuf};

/// Top first.
const FLOORS: [&[&str]; 8] = [
    &["main"],
    &["cli"],
    &["engine"],
    &["remote", "transport", "provider", "report", "notify", "shelf"],
    &["plan"],
    &["inventory", "bundle", "playbook", "import"],
    &["dialect"],
    &["words"],
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let (below, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    files.chain(below.iter().flat_map(|directory| sources(directory))).collect()
}

/// Every room that a source names after `crate::` (or `distribute::`, for main), also in the braces of a `use crate::{...}`.
fn named(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for path in ["crate::", "distribute::"].iter().flat_map(|start| text.split(start).skip(1)) {
        let parts = match path.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![path],
        };
        let word = |part: &str| part.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
        rooms.extend(parts.into_iter().filter_map(word));
    }
    rooms
}

#[test]
fn imports_go_down_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in sources(&src) {
        let below = file.strip_prefix(&src).unwrap();
        let room = below.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if room == "lib" {
            continue;
        }
        let own = floor(&room).unwrap_or_else(|| panic!("{room} stands on no floor"));
        for other in named(&fs::read_to_string(&file).unwrap()) {
            if other != room && floor(&other).is_some_and(|floor| floor <= own) {
                wrong.push(format!("{} uses {other}", below.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
