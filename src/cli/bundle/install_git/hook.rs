//! The pre-commit hook that calls `bundle guard`. A hook that somebody else wrote is never touched.

use super::{Place, Work, quoted, refuse_link, set_mode, text_of};
use crate::words::{Error, Result};
use std::fs;
use std::path::Path;

const SHELL: &str = "#!/bin/sh";
const MARK: &str = "# made by `distribute bundle install-git`, which also takes it out again: --remove";

pub fn install(place: &Place, bundles: &[String], work: &mut Work) -> Result<()> {
    let hooks = place.git.path(&["rev-parse", "--path-format=absolute", "--git-path", "hooks"])?;
    let directory = hooks.ok_or_else(|| Error::new("git does not say where its hooks are"))?;
    let path = directory.join("pre-commit");
    let lines: Vec<String> = bundles.iter().map(|name| line(place, name)).collect();
    let (there, wanted) = (text_of(&path)?, text(&lines));
    if there == wanted {
        return Ok(());
    }
    if !there.is_empty() && !is_ours(&there) {
        let missing = lines.iter().filter(|line| !there.lines().any(|other| other.trim() == line.as_str()));
        let told = missing.map(|line| format!("{} is not ours and stays; add to it: {line}", path.display()));
        work.left.extend(told);
        return Ok(());
    }
    if !is_of_this_repository(place, &directory)? {
        let told = lines.iter().map(|line| {
            format!("{} is for other repositories too; add to its pre-commit: {line}", directory.display())
        });
        work.left.extend(told);
        return Ok(());
    }
    if !work.shared.check {
        fs::create_dir_all(&directory).map_err(|e| Error::new(directory.display().to_string()).because(e))?;
        refuse_link(&path)?;
    }
    work.write(&path, wanted.clone(), &format!("the hook {}", path.display()))?;
    match work.shared.check || wanted.is_empty() {
        true => Ok(()),
        false => set_mode(&path, 0o755),
    }
}

/// git runs hooks at the top of the work tree.
fn line(place: &Place, name: &str) -> String {
    format!("{} --bundle {} bundle guard || exit 1", place.program, quoted(name))
}

fn text(lines: &[String]) -> String {
    match lines.is_empty() {
        true => String::new(),
        false => format!("{SHELL}\n{MARK}\n{}\n", lines.join("\n")),
    }
}

/// Is there nothing in it but what we write?
fn is_ours(text: &str) -> bool {
    let is_line = |line: &str| line == SHELL || line == MARK || line.ends_with(" bundle guard || exit 1");
    text.lines().any(|line| line == MARK) && text.lines().all(is_line)
}

/// core.hooksPath may name a directory that all repositories of a user share.
fn is_of_this_repository(place: &Place, directory: &Path) -> Result<bool> {
    let common = place.git.path(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?.unwrap_or_default();
    Ok(directory.starts_with(common) || directory.starts_with(&place.top))
}
