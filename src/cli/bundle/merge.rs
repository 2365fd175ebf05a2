//! `bundle merge`: git's merge driver for the bundle, and without file arguments what settles the conflicts that it left. Nothing is
//! written as long as there is one.

use crate::bundle::{Bundle, BundleFile, Conflict, Difference, Merge, Merged, Side, Unlock, merge};
use crate::cli::git::Git;
use crate::cli::last_seen::LastSeen;
use crate::cli::shared::{print_error, print_note, print_result};
use crate::cli::{Shared, prompt, unlock};
use crate::words::{Error, Glob, Result, plural};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// As git gives them: %O %A %B. Without them, the stages of the bundle that git left in conflict
    #[arg(value_names = ["BASE", "OURS", "THEIRS"], num_args = 3)]
    files: Vec<PathBuf>,
    /// Where the bundle lies in the work tree, as git gives it: %P
    #[arg(long, value_name = "NAME", requires = "files")]
    path: Option<PathBuf>,
    /// Take our side of these conflicts; a glob such as 'aws.*', may be given several times
    #[arg(long, value_name = "NAME")]
    ours: Vec<String>,
    /// Take their side of these
    #[arg(long, value_name = "NAME")]
    theirs: Vec<String>,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    refuse_both(&args)?;
    let sides = match args.files.as_slice() {
        [base, ours, theirs] => Sides::in_files(base, ours, theirs, &args, shared)?,
        _ => Sides::in_index(shared)?,
    };
    let choices = Choices::of(&args);
    if let Some(side) = sides.same_bytes() {
        return sides.keep(side, sides.ours == sides.theirs, shared);
    }
    let opened = sides.open(shared)?;
    let mut merged = opened.merge(&choices)?;
    choices.refuse_unused(&merged.conflicts)?;
    if merged.conflicts.iter().any(|one| one.side.is_none()) && is_somebody_there(shared) {
        let answers = ask(&merged.conflicts)?;
        merged = opened.merge(&Choices { answers, ..choices })?;
    }
    let open: Vec<&Conflict> = merged.conflicts.iter().filter(|one| one.side.is_none()).collect();
    if !open.is_empty() {
        return sides.refuse(&open, &merged.conflicts, shared);
    }
    match merged.merged {
        Merged::Side(side) => sides.keep(side, opened.is_same(), shared),
        Merged::Both(bundle) => sides.write(*bundle, &opened, &merged.conflicts, shared),
    }
}

fn refuse_both(args: &Args) -> Result<()> {
    let Some(name) = args.ours.iter().find(|name| args.theirs.contains(name)) else { return Ok(()) };
    Err(Error::new(format!(
        "{name} cannot be taken from both sides: --ours {name} --theirs {name}; nothing was written"
    )))
}

fn is_somebody_there(shared: &Shared) -> bool {
    std::io::stdin().is_terminal() && !shared.is_json()
}

/// Who said which side to take.
struct Choices {
    globs: Vec<(Glob, Side)>,
    answers: BTreeMap<String, Side>,
}

impl Choices {
    fn of(args: &Args) -> Self {
        let all =
            |names: &[String], side| names.iter().map(move |name| (Glob::new(name.as_str()), side)).collect::<Vec<_>>();
        let globs = [all(&args.ours, Side::Ours), all(&args.theirs, Side::Theirs)].concat();
        Self { globs, answers: BTreeMap::new() }
    }

    /// A plain name goes before a glob, so that '*' is the rest.
    fn side(&self, name: &str) -> Option<Side> {
        let mut fitting: Vec<_> = self.globs.iter().filter(|(glob, _)| glob.matches(name)).collect();
        fitting.sort_by_key(|(glob, _)| !glob.is_plain());
        self.answers.get(name).copied().or_else(|| fitting.first().map(|(_, side)| *side))
    }

    fn refuse_unused(&self, conflicts: &[Conflict]) -> Result<()> {
        let is_used = |glob: &Glob| conflicts.iter().any(|conflict| glob.matches(&conflict.name));
        let Some((glob, side)) = self.globs.iter().find(|(glob, _)| !is_used(glob)) else { return Ok(()) };
        let names: Vec<&str> = conflicts.iter().map(|one| one.name.as_str()).collect();
        let error = Error::new(format!("--{side} {glob}: there is no such conflict; nothing was written"));
        Err(match names.is_empty() {
            true => error.hint("there is none at all: leave it out"),
            false => error.hint(format!("there are: {}", names.join(", "))),
        })
    }
}

fn ask(conflicts: &[Conflict]) -> Result<BTreeMap<String, Side>> {
    let mut answers = BTreeMap::new();
    for conflict in conflicts {
        let side = match conflict.side {
            Some(side) => side,
            None => match prompt::choice(&format!("{}: [o]urs or [t]heirs?", line(conflict)), &["ours", "theirs"])? {
                0 => Side::Ours,
                _ => Side::Theirs,
            },
        };
        answers.insert(conflict.name.clone(), side);
    }
    Ok(answers)
}

/// `aws.KEY: base 1a2b3c4d, ours 5e6f7a8b, theirs removed`
fn line(conflict: &Conflict) -> String {
    let shown = |value: &Option<String>, none: &str| value.clone().unwrap_or_else(|| none.to_owned());
    let gone = if conflict.base.is_some() { "removed" } else { "none" };
    let Conflict { name, base, ours, theirs, .. } = conflict;
    format!("{name}: base {}, ours {}, theirs {}", shown(base, "none"), shown(ours, gone), shown(theirs, gone))
}

/// Three sealed bundles, and where the result goes.
struct Sides {
    base: Option<Vec<u8>>,
    ours: Vec<u8>,
    theirs: Vec<u8>,
    /// Where the bundle lies: for messages, and for the password beside it.
    bundle: PathBuf,
    target: PathBuf,
    /// Is it git that asks? Then it adds the result itself.
    is_driver: bool,
}

struct Opened {
    base: Option<Bundle>,
    ours: Bundle,
    theirs: Bundle,
    unlock: Unlock,
}

impl Opened {
    fn merge(&self, choices: &Choices) -> Result<Merge> {
        merge(self.base.as_ref(), &self.ours, &self.theirs, &|name| choices.side(name))
    }

    fn is_same(&self) -> bool {
        Difference::between(&self.ours, &self.theirs).is_empty()
    }
}

impl Sides {
    fn in_files(base: &Path, ours: &Path, theirs: &Path, args: &Args, shared: &Shared) -> Result<Self> {
        let read = |path: &Path| std::fs::read(path).map_err(|e| Error::new(path.display().to_string()).because(e));
        let bundle = match &args.path {
            Some(path) => path.clone(),
            None => shared.project()?.bundle,
        };
        Ok(Self {
            base: Some(read(base)?).filter(|bytes| !bytes.is_empty()), // git has nothing where both sides added it
            ours: read(ours)?,
            theirs: read(theirs)?,
            bundle,
            target: ours.to_owned(),
            is_driver: true,
        })
    }

    fn in_index(shared: &Shared) -> Result<Self> {
        let bundle = shared.project()?.bundle;
        let (git, name) = (Git::around(&bundle)?, bundle.file_name().unwrap_or(OsStr::new("secrets.age")));
        let [base, ours, theirs] = [1, 2, 3].map(|stage| git.in_stage(stage, name));
        let (base, ours, theirs) = (base?, ours?, theirs?);
        let (Some(ours), Some(theirs)) = (ours.clone(), theirs.clone()) else {
            return Err(no_conflict(&bundle, base.is_some(), ours.is_some(), theirs.is_some()));
        };
        let sides = Self { base, ours, theirs, target: bundle.clone(), bundle, is_driver: false };
        sides.refuse_other_work().map(|()| sides)
    }

    /// In a conflict the work tree has one of the sides, or git's marks in the armor of both. Anything else is somebody's work.
    fn refuse_other_work(&self) -> Result<()> {
        let there = std::fs::read(&self.target).unwrap_or_default();
        if there == self.ours || there == self.theirs || crate::bundle::sealed_with(&there).is_err() {
            return Ok(());
        }
        Err(Error::new(format!(
            "{} is neither our side nor theirs: somebody settled it already",
            self.bundle.display()
        ))
        .hint("if it is as it should be: git add it; else `git checkout --merge` it, and do the same again"))
    }

    /// What needs no opening: one side has the other's bytes, or those that both began with.
    fn same_bytes(&self) -> Option<Side> {
        match () {
            () if self.ours == self.theirs || self.base.as_ref() == Some(&self.theirs) => Some(Side::Ours),
            () if self.base.as_ref() == Some(&self.ours) => Some(Side::Theirs),
            () => None,
        }
    }

    fn open(&self, shared: &Shared) -> Result<Opened> {
        let unlock = unlock::unlock(shared, &self.bundle)?;
        let open = |bytes: &[u8], whose: &str| {
            Bundle::from_sealed(bytes, &unlock).map_err(|error| error.at(format!("{} {whose}", self.name())))
        };
        let (ours, theirs) = (open(&self.ours, "on our side")?, open(&self.theirs, "on their side")?);
        // Who became a recipient since cannot open what was before.
        let base = self.base.as_ref().map(|bytes| open(bytes, "as both began"));
        let base = base.and_then(|base| {
            base.inspect_err(|error| {
                print_note(shared, &format!("note: {error}: so all that differs is a conflict"));
            })
            .ok()
        });
        Ok(Opened { base, ours, theirs, unlock })
    }

    /// As it is called from here.
    fn name(&self) -> String {
        let here = std::env::current_dir().unwrap_or_default();
        self.bundle.strip_prefix(here).unwrap_or(&self.bundle).display().to_string()
    }

    /// One side as it is.
    fn keep(&self, side: Side, is_same: bool, shared: &Shared) -> Result<ExitCode> {
        let (ours, theirs) = (&self.ours, &self.theirs);
        let bytes = if side == Side::Ours { ours } else { theirs };
        let there = std::fs::read(&self.target).unwrap_or_default();
        if !shared.check && there != *bytes {
            BundleFile::put(&self.target, bytes, &there)?;
        }
        let why = if is_same { "both sides made the same change" } else { "only one side changed it" };
        print_note(shared, &format!("{}: {why}: it is as in {side}", self.name()));
        self.done(None, &[], shared)
    }

    fn write(&self, mut bundle: Bundle, opened: &Opened, conflicts: &[Conflict], shared: &Shared) -> Result<ExitCode> {
        let changes = Difference::between(&opened.ours, &bundle);
        let mut file = BundleFile::to_replace(&self.target, &bundle, &self.ours, &opened.unlock)?;
        let generation = bundle.next_generation();
        if !shared.check {
            file.save(&mut bundle)?;
            let last_seen = LastSeen::of(&self.bundle).ok(); // it may lie nowhere yet
            last_seen.map_or(Ok(()), |seen| seen.record_merged(&bundle, &file))?;
        }
        let what = match opened.is_same() {
            true => "both sides made the same change".to_owned(),
            false => format!("with {} of theirs", plural(changes.all().count() + changes.texts.len(), "change")),
        };
        print_note(shared, &format!("{}: merged as generation {generation}, {what}", self.name()));
        if shared.verbose > 0 {
            print_note(shared, super::diff::as_text(&changes).trim_end());
        }
        self.done(Some(generation), conflicts, shared)
    }

    fn done(&self, generation: Option<u64>, conflicts: &[Conflict], shared: &Shared) -> Result<ExitCode> {
        if shared.check {
            print_note(shared, "--check: nothing was written");
        } else if !self.is_driver {
            print_note(shared, &format!("say so to git: git add {}", quoted(&self.name())));
        }
        self.report(generation, conflicts, shared)?;
        Ok(ExitCode::SUCCESS)
    }

    fn report(&self, generation: Option<u64>, conflicts: &[Conflict], shared: &Shared) -> Result<()> {
        if !shared.is_json() {
            return Ok(());
        }
        let one = |conflict: &Conflict| {
            let Conflict { name, base, ours, theirs, side } = conflict;
            json!({ "name": name, "base": base, "ours": ours, "theirs": theirs, "side": side.map(|side| side.to_string()) })
        };
        let report = json!({
            "schema": "distribute.bundle/1", "command": "bundle merge", "check": shared.check, "bundle": self.name(),
            "generation": generation, "conflicts": conflicts.iter().map(one).collect::<Vec<_>>(),
        });
        print_result(&format!("{report}\n"))
    }

    fn refuse(&self, open: &[&Conflict], all: &[Conflict], shared: &Shared) -> Result<ExitCode> {
        let count = plural(open.len(), "conflict");
        let mut error = Error::new(format!("{}: {count}; nothing was written", self.name()));
        for conflict in open {
            error = error.hint(line(conflict));
        }
        let bundle = match self.name().as_str() {
            "secrets.age" => String::new(),
            name if !self.is_driver && name.ends_with("/secrets.age") => String::new(),
            name => format!("--bundle {} ", quoted(name)),
        };
        let name = quoted(&open[0].name);
        print_error(&error.hint(format!(
            "say which side counts: distribute {bundle}bundle merge --ours {name}, or --theirs {name}; --ours '*' is the rest"
        )));
        self.report(None, all, shared)?;
        Ok(ExitCode::from(1))
    }
}

fn no_conflict(bundle: &Path, base: bool, ours: bool, theirs: bool) -> Error {
    let name = bundle.display();
    let error = Error::new(match (ours, theirs) {
        (true, false) => format!("{name} was taken out on their side"),
        (false, true) => format!("{name} was taken out on our side"),
        _ => format!("git knows of no conflict in {name}"),
    });
    match (base, ours || theirs) {
        (_, true) => error.hint(format!("to keep it: git add {name}; to let it go: git rm {name}")),
        _ => error.hint("it takes the stages that `git merge`, `rebase` or `cherry-pick` left in the index"),
    }
}

/// For a shell, with quotes only where they are needed.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./@%+=:,".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}
