//! Every secret that a policy is for, with what is to be known of it before somebody asks for some of them.

use super::holdings::Holdings;
use super::{Ground, PlannedTurn};
use crate::bundle::{Bundle, Item, Scope, SecretName, Turn};
use crate::playbook::{Maker, RotationPolicy, SecretGlob, ValueScope};
use crate::words::{Error, HostName, Result, nearest};
use std::collections::{BTreeMap, BTreeSet};

/// Every secret that a policy is for, in the order of the policies.
pub(super) fn candidates<'p>(ground: Ground<'_, 'p>, holdings: &Holdings) -> Result<Vec<PlannedTurn<'p>>> {
    let mut found: Vec<PlannedTurn<'p>> = Vec::new();
    for policy in &ground.playbook.rotations {
        let names = named_by(policy, ground.bundle)?;
        let turns = match policy.scope {
            ValueScope::Fleet => names.into_iter().map(|name| (name, None)).collect(),
            ValueScope::Host => one_each(&names, holdings),
        };
        for (name, host) in turns {
            if let Some(other) =
                found.iter().find(|other| other.turn.name == name || other.turn.public.as_ref() == Some(&name))
            {
                return Err(Error::new(format!("{name} is already rotated by the policy at {}", other.policy.place))
                    .at(&policy.place)
                    .hint("a secret has one policy; take it out of one of them"));
            }
            found.push(planned(policy, name, host, ground, holdings)?);
        }
    }
    refuse_shared_public(&found)?;
    Ok(found)
}

fn planned<'a>(
    policy: &'a RotationPolicy,
    name: SecretName,
    host: Option<HostName>,
    ground: Ground,
    holdings: &Holdings,
) -> Result<PlannedTurn<'a>> {
    let is_pair = matches!(policy.generate, Maker::Generator(generator) if generator.is_key_pair());
    let public = policy.public.as_deref().map(str::parse::<SecretName>).transpose();
    let public = public.map_err(|error| error.at("public").at(&policy.place))?;
    // A policy need not repeat what the bundle knows.
    let noted = || ground.bundle.metadata(&name)?.public.clone().filter(|_| is_pair);
    let public = public.map(|public| public.within(name.scope.clone())).or_else(noted);
    let value = |name: &SecretName| match &host {
        Some(host) => holdings.value(host, name, ground.bundle),
        None => ground.bundle.value(name).cloned(),
    };
    if let Some(key) =
        [Some(&name), public.as_ref()].into_iter().flatten().find(|half| matches!(half.item, Item::Key(_)))
        && is_pair
    {
        return Err(Error::new(format!("{key}: a key pair has several lines, which the docker format cannot hold"))
            .at(format!("generate = \"{}\"", policy.maker()))
            .at(&policy.place)
            .hint("name files of a raw service instead: SERVICE/private.pem, and public = \"SERVICE/public.pem\""));
    }
    let (old, old_public) = (value(&name), public.as_ref().and_then(value));
    let turn = Turn { name, public };
    Ok(PlannedTurn {
        old,
        old_public,
        // Whoever has only the public half must have the new one as well.
        holders: holdings.holders(&turn.halves(), ground.bundle),
        services: holdings.made_of(&turn.halves()),
        acting: holdings.acting(&turn.halves(), ground.bundle),
        turn,
        policy,
        host,
        why: String::new(),
    })
}

/// The public half is a second secret of the same policy, never a secret that is rotated for itself.
fn refuse_shared_public(found: &[PlannedTurn]) -> Result<()> {
    let mut owners: BTreeMap<&SecretName, &PlannedTurn> = BTreeMap::new();
    for planned in found {
        let Some(public) = &planned.turn.public else { continue };
        let is_rotated = found.iter().any(|other| other.turn.name == *public);
        if is_rotated || owners.insert(public, planned).is_some() {
            return Err(Error::new(format!("public: {public} would be written twice"))
                .at(&planned.policy.place)
                .hint("a policy with `public` is for one secret, and its public half belongs to no other policy"));
        }
    }
    Ok(())
}

/// The secrets of the bundle that a policy names; each entry must name one.
pub(super) fn named_by(policy: &RotationPolicy, bundle: &Bundle) -> Result<Vec<SecretName>> {
    let all = bundle.secrets();
    let mut names: Vec<SecretName> = Vec::new();
    for glob in &policy.secrets {
        let matching: Vec<&SecretName> = all.iter().filter(|name| matches(glob, name)).collect();
        if matching.is_empty() {
            return Err(no_such_secret(glob, bundle).at("rotate: secrets").at(&policy.place));
        }
        for name in matching {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    Ok(names)
}

pub(super) fn matches(glob: &SecretGlob, name: &SecretName) -> bool {
    glob.matches(&name.without_scope(), &name.to_string())
}

pub(super) fn no_such_secret(glob: &SecretGlob, bundle: &Bundle) -> Error {
    let text = glob.to_string();
    let names: Vec<String> = bundle.secrets().iter().map(ToString::to_string).collect();
    let error = Error::new(format!("the bundle has no secret `{text}`"));
    match nearest(&text, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error
            .hint("`distribute bundle list` shows what there is; give it a first value with `distribute bundle set`"),
    }
}

/// The same secrets, one for each host that gets them.
fn one_each(names: &[SecretName], holdings: &Holdings) -> Vec<(SecretName, Option<HostName>)> {
    let unscoped: BTreeSet<SecretName> = names.iter().map(|name| name.clone().within(Scope::Common)).collect();
    let of = |name: &SecretName| {
        let hosts = holdings.getting(&name.service);
        hosts.map(|host| (name.clone().within(Scope::Host(host.clone())), Some(host.clone()))).collect::<Vec<_>>()
    };
    unscoped.iter().flat_map(of).collect()
}
