//! `bundle restore`: the secrets of an earlier bundle, out of a copy that was kept, as a new generation.

use super::{Opened, store};
use crate::bundle::{Bundle, BundleFile, Unlock, copies_beside};
use crate::cli::confirm::Consent;
use crate::cli::fleet::Moment;
use crate::cli::last_seen::LastSeen;
use crate::cli::moment_given::MomentGiven;
use crate::cli::option_value::option_value;
use crate::cli::shared::print_note;
use crate::cli::{Shared, under_way, unlock};
use crate::words::{Error, Result, RunId, plural};
use serde_json::json;
use std::path::{Path, PathBuf};

const AFTER: &str = "\
Its values and files become those of the copy; recipients, enrolments and hosts' keys stay as they are now. What is replaced stays in the
history, and in a copy of its own. Where the bundle is gone or does not open, the copy takes its place whole, with what it knew then.
`distribute backup list` shows the copies.";

#[derive(clap::Args)]
#[command(after_help = AFTER)]
#[command(group(clap::ArgGroup::new("which").required(true)))]
pub struct Args {
    /// The copy of this run
    #[arg(long, value_name = "RUN", group = "which", value_parser = option_value::<RunId>)]
    run: Option<RunId>,
    /// The newest copy that was there then: 2026-11-20T12:00:00Z, 2026-11-20, or 3h for three hours ago
    #[arg(long, value_name = "TIME", group = "which", value_parser = option_value::<MomentGiven>)]
    at: Option<MomentGiven>,
    /// The newest copy of an earlier generation
    #[arg(long, group = "which")]
    previous: bool,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let consent = Consent::of(shared, "restoring puts older secrets over newer ones")?;
    let path = shared.project()?.bundle;
    let unlock = unlock::unlock(shared, &path)?;
    let wanted = Wanted { args, consent, unlock, shared, moment: Moment::now() };
    // Looked at first: what somebody else saves while we open it is not older than what we open.
    let last_seen = LastSeen::of(&path);
    match BundleFile::open(&path, &wanted.unlock) {
        Ok((file, bundle)) => wanted.restore(file, bundle, last_seen?),
        Err(error) => {
            print_note(shared, &format!("{error}: the copy takes its place"));
            wanted.replace(&path)
        }
    }
}

/// What is asked for, and by whom.
struct Wanted<'a> {
    args: Args,
    consent: Consent,
    unlock: Unlock,
    shared: &'a Shared,
    moment: Moment,
}

impl Wanted<'_> {
    fn restore(&self, file: BundleFile, mut bundle: Bundle, last_seen: LastSeen) -> Result<()> {
        last_seen.check(&bundle)?;
        if let Some(rotation) = bundle.rotation() {
            return Err(under_way::refusal(rotation, file.path()));
        }
        let (run, old) = self.open(file.path(), bundle.generation())?;
        if old.id() != bundle.id() {
            return Err(of_another_bundle(&run, &old));
        }
        let changed = bundle.take_values_of(&old, self.moment.now);
        self.consent.ask(&format!("{} will be as in copy {run}: go on?", plural(changed, "secret")))?;
        let copy = RunId::new(bundle.generation(), self.moment.now, self.moment.random);
        let first = |file: &BundleFile| file.keep_copy(&copy).map(drop);
        let mut opened = Opened { file, bundle, last_seen };
        if store(&mut opened, (first, |file: &BundleFile| file.forget_copy(&copy)), self.shared)? {
            opened.last_seen.record_saved(&opened.bundle)?;
        }
        told(&run, changed, &opened.bundle, opened.file.path(), self.shared)
    }

    /// The bundle is gone, or nothing opens it: the copy is all there is.
    fn replace(&self, path: &Path) -> Result<()> {
        let (run, mut old) = self.open(path, u64::MAX)?;
        let seen = LastSeen::before(path)?;
        // age proves what was sealed, not by whom.
        if seen.as_ref().is_some_and(|(id, _)| !id.is_empty() && id != old.id()) {
            return Err(of_another_bundle(&run, &old));
        }
        self.consent.ask(&format!("copy {run} will be the bundle: go on?"))?;
        if seen.as_ref().is_some_and(|(_, generation)| *generation > old.generation()) {
            self.keep_out(path, &mut old)?;
        }
        // Hosts and this machine refuse what is older than what they have seen.
        old.succeed(seen.map_or(0, |(_, generation)| generation));
        let count = old.secrets().len();
        if !self.shared.check {
            let aside = aside(path, &run)?;
            BundleFile::create(path, &mut old, &self.unlock).inspect_err(|_| {
                // As it was.
                if let Some(aside) = &aside {
                    let _ = std::fs::rename(aside, path);
                }
            })?;
            LastSeen::of(path)?.record_saved(&old)?;
            if let Some(aside) = aside {
                print_note(self.shared, &format!("what was there is {} now", aside.display()));
            }
        }
        told(&run, count, &old, path, self.shared)
    }

    /// Who was taken out since the copy was made gets no access by it.
    fn keep_out(&self, path: &Path, old: &mut Bundle) -> Result<()> {
        let gone = old.recipients().iter().filter(|one| LastSeen::was_none_of_them(path, one));
        let gone: Vec<String> = gone.map(|one| one.key.clone()).collect();
        if gone.len() == old.recipients().len() {
            return Ok(()); // a password took their place, or it is not known
        }
        for key in gone {
            let one = old.remove_recipient(&key, self.moment.now)?;
            print_note(self.shared, &format!("{one} was taken out since, and gets no access by the copy"));
        }
        Ok(())
    }

    /// The copy that is meant, opened.
    fn open(&self, path: &Path, generation: u64) -> Result<(RunId, Bundle)> {
        let copies = copies_beside(path)?;
        let is_meant = |run: &RunId| match (&self.args.run, &self.args.at) {
            (Some(wanted), _) => run == wanted,
            (None, Some(at)) => run.time() <= at.time(self.moment.now),
            (None, None) => run.generation() < generation,
        };
        let Some((run, copy, _)) = copies.iter().rfind(|(run, ..)| is_meant(run)) else {
            let known: Vec<String> = copies.iter().map(|(run, ..)| run.to_string()).collect();
            let hint = match known.is_empty() {
                true => {
                    "copies are kept in backups/bundle/ by `rotate` and `backup`; git may have older files".to_owned()
                }
                false => format!("there are, the newest last: {}", known.join(", ")),
            };
            return Err(Error::new("there is no such copy of the bundle; nothing was changed").hint(hint));
        };
        let (_, bundle) = BundleFile::open(copy, &self.unlock)?;
        Ok((run.clone(), bundle))
    }
}

fn of_another_bundle(run: &RunId, old: &Bundle) -> Error {
    Error::new(format!("copy {run} is of another bundle ({}); nothing was changed", old.id()))
}

/// Moves what does not open out of the way.
fn aside(path: &Path, run: &RunId) -> Result<Option<PathBuf>> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!("{name}.replaced-{run}"));
    if aside.symlink_metadata().is_ok() {
        return Err(Error::new(format!("{} is there already; nothing was changed", aside.display())));
    }
    std::fs::rename(path, &aside).map_err(|e| Error::new(format!("moving {}", path.display())).because(e))?;
    Ok(Some(aside))
}

fn told(run: &RunId, changed: usize, bundle: &Bundle, path: &Path, shared: &Shared) -> Result<()> {
    let is = match (shared.check, changed) {
        (true, _) => "would be",
        (false, 1) => "is",
        (false, _) => "are",
    };
    print_note(shared, &format!("{} {is} as in copy {run}", plural(changed, "secret")));
    if shared.check {
        print_note(shared, "--check: nothing was written");
    } else {
        print_note(
            shared,
            &format!("{}: generation {}; hosts get it by: distribute deploy", path.display(), bundle.generation()),
        );
    }
    let fields = json!({ "command": "bundle restore", "run": run.to_string(), "changed": changed });
    super::report(bundle, fields, shared)
}
