//! Other names for secrets and services. Value, earlier values and what is known of them come along.

use super::change::{Change, What};
use super::layout::{Document, Item, Scope, SecretName};
use super::opened::Bundle;
use crate::words::{Error, Result, ServiceName};
use chrono::{DateTime, Utc};

impl Bundle {
    /// Calls a secret otherwise. In the same env file its line stays where it is.
    ///
    /// # Errors
    /// When there is one of the new name, a key would become a file, or an old value is still to be revoked under the old name.
    pub fn rename(&mut self, old: &SecretName, new: &SecretName, now: DateTime<Utc>) -> Result<()> {
        self.could_rename(old, new)?;
        match (&old.item, &new.item) {
            (Item::Key(from), Item::Key(to)) if old.document() == new.document() => {
                self.now.envs.get_mut(&old.document()).map(|env| env.rename(from, to));
            }
            _ => {
                if let Some(value) = self.now.remove(old) {
                    self.now.set(new, value);
                }
                self.drop_bare(&old.document());
            }
        }
        self.move_past(old, new, now);
        Ok(())
    }

    /// Calls a service otherwise, in every scope and in the enrolments of the hosts that may hold it. Gives how many secrets it has.
    ///
    /// # Errors
    /// When there is a service of the new name, or an old value of it is still to be revoked.
    pub fn rename_service(&mut self, old: &ServiceName, new: &ServiceName, now: DateTime<Utc>) -> Result<usize> {
        if self.services().contains(new) {
            return Err(Error::new(format!("there is a service {new} already; nothing was changed")));
        }
        let of_it = |name: &SecretName| name.service == *old;
        self.secrets().iter().filter(|name| of_it(name)).try_for_each(|name| self.refuse_revoking(name))?;
        let names: Vec<SecretName> = self.names_ever().into_iter().filter(of_it).collect();
        let called = |document: Document| match document.service == *old {
            true => Document { service: new.clone(), ..document },
            false => document,
        };
        let envs = std::mem::take(&mut self.now.envs);
        self.now.envs = envs.into_iter().map(|(document, env)| (called(document), env)).collect();
        let files = std::mem::take(&mut self.now.files);
        self.now.files = files.into_iter().map(|(document, content)| (called(document), content)).collect();
        for name in &names {
            self.move_past(name, &SecretName { service: new.clone(), ..name.clone() }, now);
        }
        for enrolment in self.record.enrolments.values_mut() {
            if enrolment.services.remove(old) {
                enrolment.services.insert(new.clone());
            }
        }
        Ok(self.secrets().iter().filter(|name| name.service == *new).count())
    }

    fn could_rename(&self, old: &SecretName, new: &SecretName) -> Result<()> {
        if self.value(new).is_some() {
            return Err(Error::new(format!("there is a {new} already; nothing was changed"))
                .hint(format!("`distribute bundle unset {new}` takes it out; its value stays in the history")));
        }
        match (&old.item, &new.item) {
            (Item::Key(_), Item::File(_)) => return Err(another_kind(old, "a key of an env file", new, "a file")),
            (Item::File(_), Item::Key(_)) => return Err(another_kind(old, "a file", new, "a key of an env file")),
            _ => {}
        }
        self.refuse_revoking(old)
    }

    /// Its provider is told by the name that the playbook knows.
    fn refuse_revoking(&self, name: &SecretName) -> Result<()> {
        match self.revocations().iter().find(|revocation| revocation.halves().contains(&name)) {
            None => Ok(()),
            Some(revocation) => Err(Error::new(format!(
                "{name} was rotated, and its old value is still to be revoked under this name; nothing was changed"
            ))
            .hint(format!("`distribute rotate` revokes it after {}", revocation.after.format("%Y-%m-%d %H:%M UTC")))),
        }
    }

    /// Earlier values and what is known go to the new name; of one that was there and is gone the past stays where it does not clash.
    fn move_past(&mut self, old: &SecretName, new: &SecretName, now: DateTime<Utc>) {
        self.is_changed = true;
        for documents in self.history.values_mut() {
            if let Some(value) = documents.remove(old) {
                documents.set(new, value);
                documents.drop_empty();
            }
        }
        for exposure in &mut self.record.exposures {
            if let Some(hashes) = exposure.secrets.remove(&old.to_string()) {
                hashes.into_iter().for_each(|hash| exposure.add(new, hash));
            }
        }
        let is_there = self.now.get(new).is_some();
        let record = &mut self.record;
        let all = record.secrets.values_mut().chain(record.removed.values_mut());
        all.filter(|known| known.public.as_ref() == Some(old)).for_each(|known| known.public = Some(new.clone()));
        let table = if is_there { &mut record.secrets } else { &mut record.removed };
        let mut known = table.remove(&old.to_string()).unwrap_or_default();
        if let Some(gone) = record.removed.remove(&new.to_string()) {
            known.dropped.extend(gone.dropped);
            known.changes.extend(gone.changes);
            known.changes.sort_by_key(|change| change.generation);
        }
        if is_there {
            let generation = record.generation + 1;
            known.note(Change { generation, time: Some(now), what: What::Renamed(old.clone()) });
        }
        let table = if is_there { &mut record.secrets } else { &mut record.removed };
        table.insert(new.to_string(), known);
        self.keep_few(new);
    }

    /// Drops the env file of an override in which not even a comment is left.
    pub(super) fn drop_bare(&mut self, document: &Document) {
        if document.scope != Scope::Common && self.now.envs.get(document).is_some_and(|env| env.is_bare()) {
            self.now.envs.remove(document);
        }
    }
}

fn another_kind(old: &SecretName, is: &str, new: &SecretName, would_be: &str) -> Error {
    Error::new(format!("{old} is {is}, and {new} would be {would_be}; nothing was changed"))
        .hint("`bundle get OLD | distribute bundle set NEW` makes another secret of its value")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{at, name, packed, secret};
    use super::*;
    use crate::words::Secret;

    fn past(bundle: &Bundle, of: &str) -> Vec<(u64, Secret)> {
        bundle.earlier(&name(of))
    }

    #[test]
    fn the_line_keeps_its_place_and_the_past_comes_along() {
        let mut bundle = packed(&[
            ("services/a.env", "# first\nX=1\n# of K\nK=2\nZ=3\n"),
            ("services/b.env", "B=1\n"),
            ("history/3/services/a.env", "K=1\nX=0\n"),
            ("history/4/services/a.env", "N=gone\n"),
            ("bundle.toml", "generation = 5\n[secrets.\"a.K\"]\nnote = \"mine\"\nrotate-every = \"90d\"\n"),
        ]);
        bundle.rename(&name("a.K"), &name("a.N"), at(9)).unwrap();
        let env = bundle.env(&Scope::Common, &"a".parse().unwrap()).unwrap().to_secret();
        assert_eq!(env.expose(), b"# first\nX=1\n# of K\nN=2\nZ=3\n");
        assert_eq!(past(&bundle, "a.N"), [(4, secret("gone")), (3, secret("1"))]);
        assert!(past(&bundle, "a.K").is_empty() && past(&bundle, "a.X").len() == 1);
        let known = bundle.metadata(&name("a.N")).unwrap();
        assert_eq!((known.note.as_deref(), bundle.metadata(&name("a.K"))), (Some("mine"), None));
        assert_eq!(known.changes.last().unwrap().to_string(), "6 1970-01-01T00:00:09Z renamed a.K");
        bundle.saved(6);
        bundle.rename(&name("a.N"), &name("b.K"), at(10)).unwrap();
        let env = bundle.env(&Scope::Common, &"b".parse().unwrap()).unwrap().to_secret();
        assert_eq!((env.expose(), past(&bundle, "b.K").len()), (&b"B=1\nK=2\n"[..], 2));
        for (old, new, word) in [("b.K", "b.B", "already"), ("b.K", "b/K", "a key of an env file")] {
            assert!(bundle.rename(&name(old), &name(new), at(11)).unwrap_err().to_string().contains(word));
        }
    }

    #[test]
    fn what_is_still_to_be_revoked_keeps_its_name() {
        let mut bundle = packed(&[
            ("services/a.env", "K=new\nL=1\n"),
            ("revoking/services/a.env", "K=old\n"),
            (
                "bundle.toml",
                "[[revocations]]\nsecret = \"a.K\"\nrun = \"6-20261121T020000Z-7f3a\"\nafter = \"2026-11-23T02:00:00Z\"\n",
            ),
        ]);
        let refused = bundle.rename(&name("a.K"), &name("a.M"), at(9)).unwrap_err();
        assert!(refused.to_string().contains("still to be revoked") && refused.hints()[0].contains("2026-11-23"));
        assert!(bundle.rename_service(&"a".parse().unwrap(), &"b".parse().unwrap(), at(9)).is_err());
        assert!(!bundle.is_changed() && bundle.value(&name("a.K")).is_some());
        bundle.rename(&name("a.L"), &name("a.M"), at(9)).unwrap();
    }

    #[test]
    fn a_service_goes_with_overrides_past_and_enrolments() {
        let mut bundle = packed(&[
            ("services/a.env", "# head\nK=1\n"),
            ("services/a/pem", "p"),
            ("hosts/h/a.env", "K=2\n"),
            ("services/ab.env", "K=3\n"),
            ("history/3/services/a.env", "K=0\nGONE=x\n"),
            (
                "bundle.toml",
                "generation = 5\n[enrolments.h]\nservices = [\"a\", \"ab\"]\n[removed.\"a.GONE\"]\nnote = \"was\"\n",
            ),
        ]);
        let (a, c) = ("a".parse().unwrap(), "c".parse().unwrap());
        assert!(bundle.rename_service(&a, &"ab".parse().unwrap(), at(9)).is_err());
        assert_eq!(bundle.rename_service(&a, &c, at(9)).unwrap(), 3);
        let names: Vec<String> = bundle.secrets().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["ab.K", "c.K", "hosts/h/c.K", "c/pem"]);
        assert_eq!(bundle.env(&Scope::Common, &c).unwrap().to_secret().expose(), b"# head\nK=1\n");
        assert_eq!((past(&bundle, "c.K"), past(&bundle, "c.GONE")), (vec![(3, secret("0"))], vec![(3, secret("x"))]));
        assert_eq!(bundle.record.removed.keys().collect::<Vec<_>>(), ["c.GONE"]);
        let (_, enrolment) = bundle.enrolments().next().unwrap();
        assert_eq!(enrolment.services.iter().map(ServiceName::as_str).collect::<Vec<_>>(), ["ab", "c"]);
    }
}
