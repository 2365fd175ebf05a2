//! `bundle textconv`: a bundle as lines, for git to compare: a secret a line with its fingerprint, never a value. What nothing at hand
//! opens is a line that says so, for git stops at a textconv that fails.

use crate::bundle::{Bundle, Metadata, SecretName, Unlock, sealed_with};
use crate::cli::shared::print_result;
use crate::cli::{Shared, unlock};
use crate::words::{Error, Result, printable};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const LARGEST: u64 = 64 << 20;
const LONGEST_NOTE: usize = 200;

#[derive(clap::Args)]
pub struct Args {
    /// A bundle, wherever it lies
    file: PathBuf,
    /// Where a bundle lies otherwise: a vault-password beside it is tried, too
    #[arg(long, value_name = "PATH")]
    beside: Vec<PathBuf>,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    // Asked for in the environment it is meant for other commands, and git may run this one.
    if shared.is_json() && std::env::var_os("DISTRIBUTE_OUTPUT").is_none_or(|format| format != "json") {
        return Err(Error::new("textconv is text for git to compare, and has no JSON; leave out -o json")
            .hint("distribute bundle list -o json, bundle diff -o json"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let failed = |error| Error::new(args.file.display().to_string()).because(error);
    let file = std::fs::File::open(&args.file).map_err(failed)?;
    file.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
    print_result(&as_text(&bytes, &args, shared))
}

fn as_text(bytes: &[u8], args: &Args, shared: &Shared) -> String {
    let hash = HEXLOWER.encode(&Sha256::digest(bytes));
    let sealed_with = match sealed_with(bytes) {
        Ok(with) => with,
        Err(error) => return format!("# no bundle: {}\n# sha256 {hash}\n", error.message()),
    };
    let opened = unlocks(args, shared).into_iter().find_map(|unlock| Bundle::from_sealed(bytes, &unlock).ok());
    match opened {
        Some(bundle) => lines(&bundle),
        None => format!("# sealed with {sealed_with}, and nothing at hand opens it\n# sha256 {hash}\n"),
    }
}

/// With the password beside the project's bundle, then with those beside the others. Reasons are not told: git asks for every revision.
fn unlocks(args: &Args, shared: &Shared) -> Vec<Unlock> {
    let own = shared.project().ok().map(|project| project.bundle);
    let has_password = |path: &&Path| path.with_file_name("vault-password").symlink_metadata().is_ok();
    let others = args.beside.iter().chain([&args.file]).map(PathBuf::as_path).filter(has_password);
    let mut unlocks: Vec<Unlock> = Vec::new();
    unlocks.extend(own.as_deref().and_then(|path| unlock::unlock(shared, path).ok()));
    if shared.password_file.is_none() {
        unlocks.extend(
            others.filter(|path| own.as_deref() != Some(path)).filter_map(|path| unlock::unlock(shared, path).ok()),
        );
    }
    unlocks
}

fn lines(bundle: &Bundle) -> String {
    let mut lines = vec![format!("# bundle {}", bundle.id()), format!("# generation {}", bundle.generation())];
    lines.extend(bundle.recipients().iter().map(|one| format!("# recipient {one}")));
    for (host, enrolment) in bundle.enrolments() {
        let list = |names: Vec<String>| if names.is_empty() { "-".to_owned() } else { names.join(",") };
        let services = list(enrolment.services.iter().map(ToString::to_string).collect());
        let groups = list(enrolment.groups.iter().map(ToString::to_string).collect());
        let roots = list(enrolment.roots.iter().cloned().collect());
        let keys = HEXLOWER.encode(&Sha256::digest(enrolment.host_keys.join("\n"))[..8]);
        lines.push(format!("# enrolled {host} services={services} groups={groups} roots={roots} host-keys={keys}"));
    }
    lines.extend(bundle.rotation().map(|rotation| format!("# rotation under way {}", rotation.run)));
    lines.extend(bundle.revocations().iter().map(|one| format!("# to be revoked {} after {}", one.secret, one.after)));
    lines.extend(
        bundle.texts().into_iter().map(|(name, text)| format!("# text {name} {}", bundle.fingerprint(text.expose()))),
    );
    let mut names = bundle.secrets();
    names.sort_by_key(SecretName::to_string);
    lines.extend(names.iter().map(|name| secret(bundle, name)));
    lines.join("\n") + "\n"
}

fn secret(bundle: &Bundle, name: &SecretName) -> String {
    let fingerprint = bundle.value(name).map(|value| bundle.fingerprint(value.expose())).unwrap_or_default();
    let mut line = format!("{name} {fingerprint}");
    let Some(Metadata { rotate_every, generator, public, note, owner, .. }) = bundle.metadata(name) else {
        return line;
    };
    let text = |text: &String| printable(text.as_bytes(), LONGEST_NOTE);
    let fields = [
        ("owner", owner.as_ref().map(text)),
        ("rotate-every", rotate_every.map(|period| period.to_string())),
        ("generator", generator.as_ref().map(text)),
        ("public", public.as_ref().map(ToString::to_string)),
        ("note", note.as_ref().map(|note| format!("\"{}\"", text(note)))),
    ];
    for (field, value) in fields {
        line.extend(value.map(|value| format!(" {field}={value}")));
    }
    line
}
