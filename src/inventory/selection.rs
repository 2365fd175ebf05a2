//! Which hosts a pattern means, as Ansible decides it. Two differences, both to the safe side: a term that matches
//! nothing is an error, and the groups `all` and `ungrouped` answer to their whole names only, not to `a*` or `~.*`.

use super::{Host, Inventory};
use crate::words::{Error, Glob, HostName, Join, Names, Pattern, Result, Subscript, Term, nearest};
use regex_lite::Regex;
use std::collections::HashSet;

impl Inventory {
    /// The hosts that are meant, in inventory order; never none.
    pub fn select(&self, pattern: &Pattern) -> Result<Vec<&Host>> {
        let selection = Selection::new(self, pattern)?;
        let hosts: Vec<_> = self.hosts().iter().filter(|host| selection.has(host)).collect();
        if hosts.is_empty() {
            return Err(Error::new(format!("host pattern `{}` leaves no host", shown(&pattern.to_string())))
                .hint("`distribute inventory graph` shows hosts and groups"));
        }
        Ok(hosts)
    }

    /// Is this host meant? Every term still has to match something.
    pub fn matches(&self, pattern: &Pattern, host: &HostName) -> Result<bool> {
        let selection = Selection::new(self, pattern)?;
        Ok(self.host(host).is_some_and(|host| selection.has(host)))
    }
}

/// A pattern made ready for one inventory.
struct Selection<'a>(Vec<Choice<'a>>);

struct Choice<'a> {
    join: Join,
    names: Matcher<'a>,
    /// The hosts that a subscript leaves.
    only: Option<HashSet<&'a HostName>>,
}

enum Matcher<'a> {
    All,
    Plain(&'a str),
    Glob(Glob),
    Regex(Regex),
}

impl<'a> Selection<'a> {
    fn new(inventory: &'a Inventory, pattern: &'a Pattern) -> Result<Self> {
        pattern.terms().iter().map(|term| Choice::new(inventory, term)).collect::<Result<_>>().map(Self)
    }

    fn has(&self, host: &Host) -> bool {
        self.0.iter().fold(false, |chosen, choice| match choice.join {
            Join::Union => chosen || choice.has(host),
            Join::Intersection => chosen && choice.has(host),
            Join::Difference => chosen && !choice.has(host),
        })
    }
}

impl<'a> Choice<'a> {
    fn new(inventory: &'a Inventory, term: &'a Term) -> Result<Self> {
        let names = Matcher::new(term)?;
        if !names.is_known(inventory) {
            return Err(unknown(inventory, term));
        }
        let only = term.subscript.map(|subscript| {
            let hosts: Vec<_> = inventory.hosts().iter().filter(|host| names.has(host)).collect();
            part(&hosts, subscript).iter().map(|host| &host.name).collect::<HashSet<_>>()
        });
        if only.as_ref().is_some_and(HashSet::is_empty) {
            return Err(Error::new(format!("host pattern `{}`: there are not that many hosts", shown(&term.text)))
                .hint("the first host is [0], the last is [-1]; both ends of [0:3] are taken"));
        }
        Ok(Self { join: term.join, names, only })
    }

    fn has(&self, host: &Host) -> bool {
        match &self.only {
            Some(only) => only.contains(&host.name),
            None => self.names.has(host),
        }
    }
}

impl<'a> Matcher<'a> {
    fn new(term: &'a Term) -> Result<Self> {
        Ok(match &term.names {
            Names::All => Self::All,
            Names::Regex(regex) => Self::Regex(anchored(regex).map_err(|error| {
                Error::new(format!("host pattern `{}` is not a regular expression", shown(&term.text))).because(error)
            })?),
            Names::Glob(text) => match Glob::new(text) {
                glob if glob.is_plain() => Self::Plain(text),
                glob => Self::Glob(glob),
            },
        })
    }

    /// Does the host, or a group it is in, have a name that matches?
    fn has(&self, host: &Host) -> bool {
        let named =
            |is: &dyn Fn(&str) -> bool| is(host.name.as_str()) || host.groups.iter().any(|group| is(group.as_str()));
        match self {
            Self::All => true,
            Self::Plain("ungrouped") => host.groups.is_empty(),
            Self::Plain(name) => named(&|own| own == *name),
            Self::Glob(glob) => named(&|own| glob.matches(own)),
            Self::Regex(regex) => named(&|own| regex.is_match(own)),
        }
    }

    /// Is there a host or a group of such a name? A group without hosts is one.
    fn is_known(&self, inventory: &Inventory) -> bool {
        match self {
            Self::All | Self::Plain("ungrouped") => true,
            Self::Plain(name) => {
                HostName::new(*name).is_ok_and(|name| inventory.host(&name).is_some())
                    || inventory.groups().iter().any(|group| group.name.as_str() == *name)
            }
            Self::Glob(glob) => inventory.names().any(|name| glob.matches(name)),
            Self::Regex(regex) => inventory.names().any(|name| regex.is_match(name)),
        }
    }
}

/// Python's `re.match`: from the start, and to no certain end.
fn anchored(regex: &str) -> Result<Regex, regex_lite::Error> {
    Regex::new(regex)?;
    Regex::new(&format!("^(?:{regex})"))
}

/// As Python slices, but with the last one included.
fn part<'h, 'a>(hosts: &'h [&'a Host], subscript: Subscript) -> &'h [&'a Host] {
    let count = i64::try_from(hosts.len()).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { at.saturating_add(count) } else { at };
    let (from, to) = match subscript {
        Subscript::One(at) => (place(at), place(at)),
        Subscript::Range(from, to) => (place(from.unwrap_or(0)).max(0), place(to.unwrap_or(-1)).min(count - 1)),
    };
    match (usize::try_from(from), usize::try_from(to)) {
        (Ok(from), Ok(to)) => hosts.get(from..=to).unwrap_or_default(),
        _ => &[],
    }
}

fn unknown(inventory: &Inventory, term: &Term) -> Error {
    let error = Error::new(format!("host pattern `{}`: no host or group matches", shown(&term.text)));
    let meant = match &term.names {
        Names::Glob(name) if Glob::new(name).is_plain() => nearest(name, inventory.names()),
        _ => None,
    };
    error.hint(match meant {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => "`distribute inventory graph` shows hosts and groups".to_owned(),
    })
}

fn shown(text: &str) -> String {
    crate::words::printable(text.as_bytes(), 200)
}
