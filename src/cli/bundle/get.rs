//! `bundle get`: one value, file or env file to stdout. The one command that shows secrets, so not by accident on a screen.

use super::Override;
use crate::bundle::{Bundle, Item, SecretName};
use crate::cli::Shared;
use crate::cli::shared::print_bytes;
use crate::words::{Error, Result, Secret, ServiceName};
use data_encoding::BASE64;
use serde_json::json;
use std::io::IsTerminal;
use zeroize::Zeroizing;

#[derive(clap::Args)]
pub struct Args {
    /// SERVICE.KEY, SERVICE/FILE, or SERVICE for its whole env file
    name: String,
    /// Show it even on a terminal
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    if std::io::stdout().is_terminal() && !args.reveal {
        return Err(Error::new("stdout is a terminal, where others may see it or scroll back to it")
            .hint("--reveal shows it all the same; or pipe it to where it is needed"));
    }
    let super::Opened { bundle, .. } = super::open(shared)?;
    let wanted = wanted(&args, &bundle)?;
    let bytes = if shared.is_json() { wanted.document()? } else { wanted.text() };
    print_bytes(bytes.expose())
}

/// What was asked for, and what it is.
enum Wanted {
    Value(SecretName, Secret),
    Env(ServiceName, Secret),
}

impl Wanted {
    /// A value gets a newline behind it; files and env files are their exact bytes.
    fn text(&self) -> Secret {
        match self {
            Self::Value(SecretName { item: Item::Key(_), .. }, value) => Secret::new([value.expose(), b"\n"].concat()),
            Self::Value(_, value) | Self::Env(_, value) => value.clone(),
        }
    }

    /// The same as one JSON document: the value itself, or in base64 where it is no text.
    fn document(&self) -> Result<Secret> {
        let (what, name, value, field) = match self {
            Self::Value(name, value) => ("secret", name.to_string(), value, "value"),
            Self::Env(service, value) => ("service", service.to_string(), value, "env"),
        };
        let mut encoded = Zeroizing::new(String::with_capacity(BASE64.encode_len(value.len())));
        let (field, text) = match std::str::from_utf8(value.expose()) {
            Ok(text) => (field.to_owned(), text),
            Err(_) => {
                BASE64.encode_append(value.expose(), &mut encoded);
                (format!("{field}_base64"), encoded.as_str())
            }
        };
        let head = json!({ "schema": "distribute.bundle/1", "command": "bundle get", what: name }).to_string();
        // Escaped a byte is six at most; the buffer never grows, so nothing is left of a smaller one.
        let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + field.len() + 6 * text.len() + 16));
        bytes.extend_from_slice(head.trim_end_matches('}').as_bytes());
        bytes.extend_from_slice(format!(",\"{field}\":").as_bytes());
        serde_json::to_writer(&mut *bytes, text).map_err(|e| Error::new("making the document").because(e))?;
        bytes.extend_from_slice(b"}\n");
        Ok(Secret::new(std::mem::take(&mut *bytes)))
    }
}

fn wanted(args: &Args, bundle: &Bundle) -> Result<Wanted> {
    let service: Option<ServiceName> = args.name.parse().ok();
    if let Some((service, env)) = service.as_ref().and_then(|one| Some((one, bundle.env(&args.whose.scope(), one)?))) {
        return Ok(Wanted::Env(service.clone(), env.to_secret()));
    }
    let name = match (args.whose.name(&args.name), service) {
        (Ok(name), _) => name,
        (Err(_), Some(service)) => return Err(super::unknown_service(&service, bundle)),
        (Err(error), None) => return Err(error),
    };
    let value = bundle.value(&name).ok_or_else(|| super::unknown_secret(&name, bundle))?;
    Ok(Wanted::Value(name, value.clone()))
}
