//! `backup verify`: opens each backup here, compares it with what its run recorded, and the hosts of a run with each other.

use super::{Chosen, Opener, conclude, go};
use crate::cli::Shared;
use crate::cli::fleet::Moment;
use crate::cli::shared::Timeout;
use crate::cli::sources::Sources;
use crate::engine::{BackupWork, Intent, Read, Reader};
use crate::plan::backup::{Label, disagreements};
use crate::report::{Deed, Report};
use crate::words::{Result, listed};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: &Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    let sources = Sources::load(shared)?;
    sources.note_under_way();
    let labels = Arc::new(Mutex::new(Vec::new()));
    let work = BackupWork::Read { which: args.chosen.which(), reader: reader(Opener::new(&sources), labels.clone()) };
    let mut report = go("backup verify", work, Intent::Look, &args.timeout, shared, &sources, moment)?;
    compare(&mut report, &labels.lock().expect("nobody panics while reading"));
    report.copies = sources.store().verified_copies()?;
    conclude(shared, &report, moment)
}

fn reader(opener: Opener, labels: Arc<Mutex<Vec<Label>>>) -> Arc<Reader> {
    Arc::new(move |set, held, sealed| match opener.open(set, held, &sealed) {
        Ok(backup) => {
            let removed = &backup.label.removed;
            let note = format!("removed by hand on the host, and not in it: {}", listed(removed));
            let note = Some(note).filter(|_| !removed.is_empty());
            labels.lock().expect("nobody panics while reading").push(backup.label);
            Read { note, ..Read::good(Deed::Opened) }
        }
        Err(problem) => Read::bad(problem),
    })
}

/// Notes at each backup where it says something else than the others of its run.
fn compare(report: &mut Report, labels: &[Label]) {
    for odd in disagreements(labels) {
        let host = report.hosts.iter_mut().find(|host| host.host == odd.host);
        let backups = host.into_iter().flat_map(|host| &mut host.backups);
        for backup in backups.filter(|backup| backup.run == odd.run && backup.play == odd.play) {
            let told = if odd.is_explained() { &mut backup.note } else { &mut backup.problem };
            let before = told.take().map(|before| format!("{before}; ")).unwrap_or_default();
            *told = Some(format!("{before}{odd}"));
        }
    }
}
