//! `backup list`: every backup of every host, and every copy of the bundle.

use super::go;
use crate::cli::Shared;
use crate::cli::fleet::{self, Moment};
use crate::cli::shared::Timeout;
use crate::cli::sources::Sources;
use crate::engine::{BackupWork, Intent};
use crate::words::Result;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: &Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    let sources = Sources::load(shared)?;
    sources.note_under_way();
    let mut report = go("backup list", BackupWork::List, Intent::Look, &args.timeout, shared, &sources, moment)?;
    report.copies = sources.store().listed_copies()?;
    fleet::conclude(shared, &report, moment.now)
}
