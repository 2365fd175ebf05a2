//! `backup fetch`: sealed copies to where no host is: a directory here, or a bucket. Nothing there is ever replaced.

use super::{Chosen, conclude, go};
use crate::cli::Shared;
use crate::cli::fleet::Moment;
use crate::cli::shared::Timeout;
use crate::cli::sources::Sources;
use crate::engine::{BackupWork, Intent, Read, Reader};
use crate::plan::backup::Standing;
use crate::report::{Deed, Report};
use crate::shelf::{Put, Shelf};
use crate::words::{Error, HostName, Result};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    /// Where to: a directory, or s3://BUCKET/PREFIX with the usual AWS_ variables [default: backups/ beside the bundle]
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: &Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    let sources = Sources::load(shared)?;
    sources.note_under_way();
    let beside = sources.store().path().with_file_name("backups").to_string_lossy().into_owned();
    let shelf = Arc::new(Shelf::open(args.to.as_deref().unwrap_or(&beside), &|name| std::env::var(name).ok())?);
    let intent = if shared.check { Intent::Check } else { Intent::Apply };
    let work = BackupWork::Read { which: args.chosen.which(), reader: reader(shelf.clone(), shared.check, &sources)? };
    let report = go("backup fetch", work, intent, &args.timeout, shared, &sources, moment)?;
    if !shared.check {
        keep_keys(&shelf, &report, &sources)?;
    }
    shared.say(format_args!("to {}", shelf.shown()));
    conclude(shared, &report, moment)
}

/// Several plays of a host may have been pushed by one run: then the play goes into the name.
fn reader(shelf: Arc<Shelf>, check: bool, sources: &Sources) -> Result<Arc<Reader>> {
    let mut several = Vec::new();
    for host in &sources.hosts {
        if sources.sets(host)?.len() > 1 {
            several.push(host.clone());
        }
    }
    Ok(Arc::new(move |set, held, sealed| {
        let problem = match held.standing {
            Standing::Damaged | Standing::Swapped | Standing::Foreign => {
                Some(format!("{} on the host, and left there", held.standing))
            }
            Standing::Intact | Standing::Unrecorded => None,
        };
        if let Some(problem) = problem {
            return Read::bad(problem);
        }
        let play = if several.contains(&set.host) { format!("{}.", set.play) } else { String::new() };
        let path = format!("{}/{}.{play}tar.gz.age", set.host, held.run);
        let put = if check { already(&shelf, &path, &sealed) } else { shelf.put(&path, sealed) };
        match put {
            Ok(Put::Stored) => Read::good(Deed::Fetched),
            Ok(Put::AlreadyThere) => Read::good(Deed::FetchedBefore),
            Err(error) => Read { failure: Some(error.to_string()), ..Read::good(Deed::None) },
        }
    }))
}

/// What `put` would come to.
fn already(shelf: &Shelf, path: &str, sealed: &[u8]) -> Result<Put> {
    match shelf.get(path)? {
        None => Ok(Put::Stored),
        Some(there) if there == sealed => Ok(Put::AlreadyThere),
        Some(_) => Err(Error::new(format!("{path} is there already, with another content"))),
    }
}

/// What opens them with stock age, beside them: once for each host, and again only when it is another.
fn keep_keys(shelf: &Shelf, report: &Report, sources: &Sources) -> Result<()> {
    let key = sources.bundle.key_age()?;
    let fetched = |host: &&crate::report::HostReport| {
        host.backups.iter().any(|backup| matches!(backup.deed, Deed::Fetched | Deed::FetchedBefore))
    };
    let hosts: Vec<&HostName> = report.hosts.iter().filter(fetched).map(|host| &host.host).collect();
    for host in hosts {
        let path = format!("{host}/key.age");
        match shelf.get(&path)? {
            Some(there) if there == key => {}
            None => _ = shelf.put(&path, key.to_vec())?,
            Some(_) => _ = shelf.put(&format!("{host}/key-{}.age", &sources.bundle.fingerprint(key)), key.to_vec())?,
        }
    }
    Ok(())
}
