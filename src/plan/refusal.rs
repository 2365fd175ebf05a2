//! Why nothing may be sent to a host, seen from what it says is there: a path that others can write, a lock, another bundle, an
//! older generation. Each is a `Failure` that says what to do.

use super::policy;
use super::{DesiredSet, Purpose, RootFacts, Stat};
use crate::words::{Failure, Mode, Phase};

/// The first reason that there is.
pub(super) fn refuse(want: &DesiredSet, facts: &RootFacts, uid: u32, purpose: &Purpose) -> Result<(), Failure> {
    refuse_gaps(facts)?;
    refuse_unsafe(want, facts, uid)?;
    if purpose.heeds_lock {
        refuse_locked(facts)?;
    }
    refuse_older(facts, purpose)
}

/// A host whose stat did not run (too many names for one command line) would look empty.
pub(super) fn refuse_gaps(facts: &RootFacts) -> Result<(), Failure> {
    match facts.entries.contains_key("/") {
        true => Ok(()),
        false => Err(Failure::new(Phase::Exec, "the host could not say what is there")
            .hint("log in and look at its secrets directory: are there very many files?")),
    }
}

/// As sshd looks at a key file: every directory on the way belongs to root or to us, and nobody else may write there.
fn refuse_unsafe(want: &DesiredSet, facts: &RootFacts, uid: u32) -> Result<(), Failure> {
    let stage = |message: String| Failure::new(Phase::Stage, message);
    if let Some(real) = &facts.elsewhere {
        return Err(stage(format!("{} is really {real}: a parent is a link", want.root))
            .hint(format!("set root = \"{real}\" in the inventory or the playbook")));
    }
    // By our own names for them: whatever else the host tells is no parent.
    for path in want.root.way() {
        facts.entries.get(path).map_or(Ok(()), |stat| refuse_parent(path, stat, uid))?;
    }
    if facts.closed {
        return Err(Failure::new(Phase::Become, format!("{} cannot be entered as this user", want.root))
            .hint("set become = \"sudo\" (or \"doas\") for this host in the inventory"));
    }
    for name in ["secrets", "backups", ".distribute"] {
        let Some(stat) = facts.entries.get(name) else { continue };
        let path = want.root.join(name);
        if let Some(target) = &stat.target {
            return Err(stage(format!("{path} is a link to {target}, and nothing is written through links"))
                .hint(format!("look at it, and remove the link: rm {path}")));
        }
        if !stat.is_directory() {
            return Err(stage(format!("{path} is not a directory")).hint("look at it, and move it away"));
        }
        let expected = if name == "secrets" { want.access.owner.as_str() } else { "root" };
        let ours = stat.uid == uid || (name == "secrets" && stat.belongs_to(&want.access.owner, &want.access.group));
        if !ours && stat.uid != 0 {
            return Err(stage(format!("{path} belongs to {}, not to {expected}", stat.owner()))
                .hint(format!("find out why; then: chown {expected} {path}")));
        }
    }
    Ok(())
}

fn refuse_parent(path: &str, stat: &Stat, uid: u32) -> Result<(), Failure> {
    let refused = |what: String, mend: String| Err(Failure::new(Phase::Stage, what).hint(mend));
    if let Some(target) = &stat.target {
        return refused(format!("{path} is a link to {target}"), "name the real path as the root".to_owned());
    }
    if !stat.is_directory() {
        return refused(format!("{path} is not a directory"), "move it away, or choose another root".to_owned());
    }
    match exposure(path, stat, uid) {
        Some(Exposure { what, fix, .. }) => refused(format!("{path} {what}"), fix),
        None => Ok(()),
    }
}

/// How somebody else could put another directory in place of what lies below.
pub(super) struct Exposure {
    pub expected: String,
    pub found: String,
    pub what: String,
    pub fix: String,
}

pub(super) fn exposure(path: &str, stat: &Stat, uid: u32) -> Option<Exposure> {
    if stat.uid != 0 && stat.uid != uid {
        return Some(Exposure {
            expected: "root".to_owned(),
            found: stat.user.clone(),
            what: format!("belongs to {}, who could replace what lies below", stat.user),
            fix: format!("chown root {path}"),
        });
    }
    // In a sticky directory, such as /tmp, nobody can replace what belongs to root or to us.
    let open = (stat.mode.is_world_writable() || stat.mode.is_group_writable()) && !stat.mode.is_sticky();
    open.then(|| Exposure {
        expected: Mode::new(stat.mode.bits() & !0o022).to_string(),
        found: stat.mode.to_string(),
        what: format!("has mode {}: others can write there", stat.mode),
        fix: format!("chmod go-w {path}"),
    })
}

fn refuse_locked(facts: &RootFacts) -> Result<(), Failure> {
    match &facts.lock {
        Some(holder) => Err(lock_failure(holder)),
        None => Ok(()),
    }
}

/// `holder` is `SINCE WHO`, as the lock record has it.
pub fn lock_failure(holder: &str) -> Failure {
    let (since, who) = holder.split_once(' ').unwrap_or((holder, "an unknown run"));
    Failure::new(Phase::Lock, format!("another run is at work here: {who}, since {since}")).hint(
        "wait for it to end, and run this again; a lock whose holder is dead is taken over by itself; \
             only a host without /proc cannot tell: there, if nobody is at work, remove .distribute/lock",
    )
}

pub(super) fn refuse_older(facts: &RootFacts, purpose: &Purpose) -> Result<(), Failure> {
    let Some((bundle, seen)) = seen(facts) else { return Ok(()) };
    let enrolment = |message: String| Failure::new(Phase::Enrolment, message);
    if bundle.is_some_and(|bundle| bundle != purpose.bundle_id) && !purpose.any_bundle {
        return Err(enrolment(format!(
            "this host holds the secrets of another bundle ({})",
            bundle.unwrap_or_default()
        ))
        .hint("if that is meant: distribute setup --accept-new --hosts HOST"));
    }
    if bundle.is_none_or(|bundle| bundle == purpose.bundle_id) && seen > purpose.generation {
        let message =
            format!("this host has seen generation {seen}, and this bundle is only at {}", purpose.generation);
        return Err(enrolment(message)
            .hint("get the newer secrets.age (git pull); to go back on purpose, restore old values into it"));
    }
    Ok(())
}

/// The bundle and the highest generation that this root has seen: by the record, or where that is gone by the names of the sets.
fn seen(facts: &RootFacts) -> Option<(Option<&str>, u64)> {
    let sets = facts.inside("secrets").filter_map(|(name, _)| policy::run_of_set(name));
    match &facts.generation {
        Some((bundle, seen)) => Some((Some(bundle), *seen)),
        None => sets.map(|run| run.generation()).max().map(|seen| (None, seen)),
    }
}
