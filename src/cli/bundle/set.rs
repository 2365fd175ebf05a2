//! `bundle set`: one value or file, or both halves of a key pair. It comes from stdin, a hidden prompt or a generator; never
//! from the command line, where every user of the machine could read it.

use super::Override;
use super::remarks::{Remarks, refuse_values};
use crate::bundle::{Bundle, Item, SecretName, system_random};
use crate::cli::{Shared, prompt};
use crate::words::{Error, Generated, Generator, Period, Result, Secret};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read};
use std::os::fd::AsFd;
use zeroize::Zeroizing;

const LARGEST: usize = 16 << 20;

#[derive(clap::Args)]
pub struct Args {
    /// SERVICE.KEY for a value, SERVICE/FILE for a file
    name: String,
    /// Make the value: password:N, alnum:N, hex:N, base64:N, uuid; or a key pair, into a file: rsa:2048, rsa:3072,
    /// rsa:4096, ed25519 (PKCS#8, PEM)
    #[arg(long, value_name = "SPEC")]
    generate: Option<String>,
    /// Set the public half of the key pair, too, as this file [default: as noted the last time]
    #[arg(long, value_name = "SERVICE/FILE", requires = "generate")]
    public: Option<String>,
    /// How often it is to be rotated, such as 90d
    #[arg(long, value_name = "PERIOD")]
    rotate_every: Option<Period>,
    #[command(flatten)]
    remarks: Remarks,
    #[command(flatten)]
    whose: Override,
    /// A value does not belong here; taken only to say so.
    #[arg(hide = true, allow_hyphen_values = true)]
    value: Vec<OsString>,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let mut wanted = Wanted::of(&args)?;
    let mut opened = super::open(shared)?;
    let bundle = &mut opened.bundle;
    wanted.find_partner(bundle)?;
    let made = wanted.make()?;
    let now = Utc::now();
    let change = apply(bundle, &wanted.name, made.secret, now);
    wanted.describe(args.rotate_every, bundle);
    args.remarks.put(&wanted.name, bundle);
    refuse_values(&wanted.name, bundle)?;
    let mut what = format!("{}: {change}", wanted.name);
    let mut fields = json!({ "command": "bundle set", "secret": wanted.name.to_string(), "change": change });
    if let (Some(name), Some(value)) = (&wanted.public, made.public) {
        set_public(bundle, name, (value, now), &mut what, &mut fields);
    }
    super::save(&mut opened, &what, fields, shared)
}

/// What the arguments ask for, and can be.
struct Wanted {
    name: SecretName,
    public: Option<SecretName>,
    generator: Option<Generator>,
}

impl Wanted {
    fn of(args: &Args) -> Result<Self> {
        // Before anything of it could be shown in another error.
        let names = [Some(&args.name), args.public.as_ref()];
        if !args.value.is_empty() || names.into_iter().flatten().any(|name| name.contains('=')) {
            return Err(value_in_argument());
        }
        let name = args.whose.name(&args.name)?;
        let public = args.public.as_deref().map(|public| args.whose.name(public)).transpose()?;
        let generator = args.generate.as_deref().map(str::parse::<Generator>).transpose()?;
        args.remarks.are_given()?;
        generator.map_or(Ok(()), |generator| could_hold(&name, public.as_ref(), generator))?;
        Ok(Self { name, public, generator })
    }

    fn find_partner(&mut self, bundle: &Bundle) -> Result<()> {
        if let Some(generator) = self.generator {
            self.public = partner(self.public.take(), &self.name, generator, bundle)?;
        }
        Ok(())
    }

    fn make(&self) -> Result<Generated> {
        match self.generator {
            Some(generator) => generator.generate(&mut system_random),
            None => Ok(Generated { secret: value_for(&self.name)?, public: None }),
        }
    }

    fn describe(&self, rotate_every: Option<Period>, bundle: &mut Bundle) {
        if self.generator.is_some() || rotate_every.is_some() {
            bundle.describe(&self.name, |known| {
                known.generator = self.generator.map(|generator| generator.to_string()).or(known.generator.take());
                known.rotate_every = rotate_every.or(known.rotate_every);
                if self.generator.is_some() {
                    known.public.clone_from(&self.public);
                }
            });
        }
    }
}

/// Where the public half of a key pair goes: as given, or else where the one before is. A new private half beside an old public one fits nobody.
pub(super) fn partner(
    given: Option<SecretName>,
    name: &SecretName,
    generator: Generator,
    bundle: &Bundle,
) -> Result<Option<SecretName>> {
    if given.is_some() || !generator.is_key_pair() {
        return Ok(given);
    }
    if let Some(noted) = bundle.metadata(name).and_then(|known| known.public.clone()) {
        return could_hold(name, Some(&noted), generator).map(|()| Some(noted));
    }
    match lookalike(name, bundle) {
        None => Ok(None),
        Some(file) => Err(Error::new(format!(
            "{file} looks like the public half of {name}, and has to change with it; nothing was changed"
        ))
        .hint(format!("if it is: --public {file}; it is noted then, and changes with {name} from now on"))
        .hint(format!("if it is not: --public names another file, such as {name}.pub"))),
    }
}

/// A public key in a file beside, of which nobody noted whose it is.
fn lookalike(name: &SecretName, bundle: &Bundle) -> Option<SecretName> {
    bundle.value(name)?;
    let secrets = bundle.secrets();
    let is_noted = |file: &SecretName| {
        secrets.iter().filter_map(|one| bundle.metadata(one)?.public.as_ref()).any(|public| public == file)
    };
    let is_beside = |one: &SecretName| {
        one != name && matches!(one.item, Item::File(_)) && (&one.scope, &one.service) == (&name.scope, &name.service)
    };
    let is_public = |one: &SecretName| bundle.value(one).is_some_and(|value| is_public_key(value.expose()));
    secrets.iter().find(|one| is_beside(one) && is_public(one) && !is_noted(one)).cloned()
}

fn is_public_key(bytes: &[u8]) -> bool {
    let starts: [&[u8]; 4] =
        [b"-----BEGIN PUBLIC KEY-----", b"-----BEGIN RSA PUBLIC KEY-----", b"ssh-rsa ", b"ssh-ed25519 "];
    starts.iter().any(|start| bytes.starts_with(start))
}

/// Sets the public half of a key pair, and tells it.
pub(super) fn set_public(
    bundle: &mut Bundle,
    name: &SecretName,
    (value, now): (Secret, DateTime<Utc>),
    what: &mut String,
    fields: &mut Value,
) {
    let change = apply(bundle, name, value, now);
    bundle.describe(name, |known| known.generator = None); // it follows from the private half now
    what.push_str(&format!("\n{name}: {change}"));
    fields["public"] = json!({ "secret": name.to_string(), "change": change });
}

pub(super) fn apply(bundle: &mut Bundle, name: &SecretName, value: Secret, now: DateTime<Utc>) -> &'static str {
    let is_new = bundle.value(name).is_none();
    match (bundle.set(name, value, now), is_new) {
        (false, _) => "unchanged",
        (true, true) => "new",
        (true, false) => "changed",
    }
}

/// A key pair has several lines, and no line of an env file in docker format holds several: its halves go into files.
pub(super) fn could_hold(name: &SecretName, public: Option<&SecretName>, generator: Generator) -> Result<()> {
    if !generator.is_key_pair() {
        return public.map_or(Ok(()), |_| Err(no_public_half(generator)));
    }
    if public == Some(name) {
        return Err(Error::new(format!("{name} cannot hold both halves of a key pair")).hint("name another --public"));
    }
    let is_key = |half: &&SecretName| matches!(half.item, Item::Key(_));
    std::iter::once(name).chain(public).find(is_key).map_or(Ok(()), |half| Err(several_lines(half, generator)))
}

fn no_public_half(generator: Generator) -> Error {
    Error::new(format!("{generator} makes no key pair, so there is nothing for --public"))
        .hint("rsa:2048, rsa:3072, rsa:4096 and ed25519 make one")
}

fn several_lines(half: &SecretName, generator: Generator) -> Error {
    Error::new(format!(
        "{half}: what {generator} makes has newlines, which an env file in docker format cannot hold; nothing was changed"
    ))
    .hint(format!("name a file, SERVICE/FILE, such as {}/key.pem", half.service))
}

fn value_for(name: &SecretName) -> Result<Secret> {
    if std::io::stdin().is_terminal() {
        return prompt::hidden(&format!("value of {name}"));
    }
    let bytes = read_stdin().map_err(|e| Error::new("reading stdin").because(e))?;
    if bytes.len() > LARGEST {
        return Err(Error::new("what came on stdin is larger than 16 MiB"));
    }
    if bytes.is_empty() {
        return Err(Error::new("nothing came on stdin; nothing was changed")
            .hint("the value comes on stdin, or from --generate; an empty value is a newline alone"));
    }
    let value = match name.item {
        Item::Key(_) => bytes.strip_suffix(b"\n").unwrap_or(&bytes),
        Item::File(_) => &bytes[..],
    };
    Ok(Secret::new(value))
}

/// Up to a little more than the largest. The buffer grows into new ones, so that each old one is wiped; `Stdin` has one
/// that is not.
fn read_stdin() -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut stdin = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut bytes = Zeroizing::new(vec![0; 64 * 1024]);
    let mut length = 0;
    while length <= LARGEST {
        if length == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; 2 * length]);
            larger[..length].copy_from_slice(&bytes);
            bytes = larger;
        }
        match stdin.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

pub(super) fn value_in_argument() -> Error {
    Error::new(
        "a value does not belong in an argument: every user of this machine can see it there; nothing was changed",
    )
    .hint("give it on stdin, or type it at the hidden prompt: distribute bundle set SERVICE.KEY")
    .hint("the shell's history may hold it now: take it out there, and make a new value if others can read either")
}
