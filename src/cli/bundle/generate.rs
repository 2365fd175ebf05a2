//! `bundle generate`: a new value of a secret, made as its values are made.

use super::Override;
use super::set::{apply, could_hold, partner, set_public, value_in_argument};
use crate::bundle::{Bundle, SecretName, system_random};
use crate::cli::Shared;
use crate::cli::shared::print_note;
use crate::words::{Error, Generator, Result};
use chrono::Utc;
use serde_json::json;

/// Of a new secret for which nobody said how it is made.
const USUAL: Generator = Generator::Password(32);

#[derive(clap::Args)]
pub struct Args {
    /// SERVICE.KEY for a value, SERVICE/FILE for a file
    #[arg(value_name = "SECRET")]
    name: String,
    /// How it is made, as in `bundle set`; noted for the next time [default: as noted; password:32 for a new secret]
    #[arg(long, value_name = "SPEC")]
    generate: Option<String>,
    /// Set the public half of a key pair, too, as this file [default: as noted the last time]
    #[arg(long, value_name = "SERVICE/FILE")]
    public: Option<String>,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    if args.name.contains('=') {
        return Err(value_in_argument());
    }
    let name = args.whose.name(&args.name)?;
    let public = args.public.as_deref().map(|public| args.whose.name(public)).transpose()?;
    let given = args.generate.as_deref().map(str::parse::<Generator>).transpose()?;
    let mut opened = super::open(shared)?;
    let bundle = &mut opened.bundle;
    let (generator, whence) = chosen(given, &name, bundle)?;
    could_hold(&name, public.as_ref(), generator)?;
    let public = partner(public, &name, generator, bundle)?;
    let made = generator.generate(&mut system_random)?;
    let now = Utc::now();
    let change = apply(bundle, &name, made.secret, now);
    bundle.describe(&name, |known| {
        known.generator = Some(generator.to_string());
        known.public.clone_from(&public);
    });
    let mut what = format!("{name}: {change}, {generator} ({whence})");
    let mut fields = json!({ "command": "bundle generate", "secret": name.to_string(), "change": change,
        "generator": generator.to_string(), "generator_is": whence });
    match (&public, made.public) {
        (Some(public), Some(value)) => set_public(bundle, public, (value, now), &mut what, &mut fields),
        (None, Some(_)) => print_note(shared, "its public half is not set: --public SERVICE/FILE names where it goes"),
        _ => {}
    }
    super::save(&mut opened, &what, fields, shared)
}

/// How it is made, and who said so. A value that somebody typed is not replaced by chance: another program gave it out.
fn chosen(given: Option<Generator>, name: &SecretName, bundle: &Bundle) -> Result<(Generator, &'static str)> {
    if let Some(generator) = given {
        return Ok((generator, "given"));
    }
    let noted = bundle.metadata(name).and_then(|known| known.generator.as_deref());
    match (noted, bundle.value(name)) {
        (Some(noted), _) => Ok((noted.parse()?, "noted")),
        (None, None) => Ok((USUAL, "default")),
        (None, Some(_)) => Err(Error::new(format!("how {name} is made is not noted; nothing was changed"))
            .hint(format!("name a generator: distribute bundle generate {name} --generate {USUAL}"))),
    }
}
