//! `Rendering`: a config file made from a template with one host's secrets. The template sees nothing but what it is given: no
//! files, no environment, no other templates. What is not there is an error, and so is a secret that is looked up and compared:
//! it is no string of the engine's, so that what is written, and what our own filters make, is wiped.

mod filters;
mod looked_up;
mod node;
mod output;
#[cfg(test)]
mod tests;

use crate::inventory::Host;
use crate::playbook::Template;
use crate::words::{Error, FileName, KeyName, Result, Secret, ServiceName, printable};
use looked_up::LookUps;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use node::Node;
use output::Output;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps of the engine; a file of some thousand lines takes some ten thousand.
const FUEL: u64 = 2_000_000;

/// What a template may use of a service.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    pub keys: Vec<(KeyName, Secret)>,
    pub files: BTreeMap<FileName, Secret>,
}

/// The file, the keys that were looked up for it, and what filters made of their values.
#[derive(Debug)]
pub(super) struct Rendering {
    pub content: Secret,
    pub used: Vec<(KeyName, Secret)>,
    pub made: Vec<Secret>,
}

impl Rendering {
    /// # Errors
    /// They name template, line, and what is missing; never a value, nor what the engine says, which may hold one.
    pub fn of(template: &Template, given: &BTreeMap<ServiceName, Given>, host: &Host) -> Result<Self> {
        let looks = Arc::new(LookUps::default());
        let context = Node::context(given, host, &looks);
        let mut output = Output::default();
        let environment = environment();
        let parsed = environment.template_from_named_str("template", &template.text);
        let rendered = parsed.and_then(|parsed| parsed.render_captured_to(context, &mut output).map(drop));
        match rendered {
            Err(error) => Err(told(&error, &looks, template, output.is_full)),
            Ok(()) => match looks.idle() {
                Some(name) => Err(Error::new(format!("{}: `{name}` is looked up and not written", shown(template)))
                    .hint("a secret can be written, tested for being there or empty, and put through a filter: json, base64, shellquote, urlencode")
                    .hint("it cannot be compared: for what is no secret, use vars of the inventory")),
                None => Ok(Self { content: output.finish(), used: looks.used(), made: looks.made() }),
            },
        }
    }
}

fn environment<'a>() -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.expect("nothing about it is our own"));
    filters::add_to(&mut environment);
    environment
}

fn shown(template: &Template) -> String {
    printable(template.path.as_bytes(), 200)
}

fn told(error: &minijinja::Error, looks: &LookUps, template: &Template, is_full: bool) -> Error {
    let line = error.line().map(|line| format!(":{line}")).unwrap_or_default();
    let wrong = |what: String| Error::new(format!("{}{line}: {what}", shown(template)));
    if let Some(name) = looks.not_text() {
        return wrong(format!("`{name}` is not UTF-8, and cannot be in a template as it is"))
            .hint(format!("write {{{{ {name}|base64 }}}}, or make it a file of a raw service"));
    }
    match (error.kind(), looks.missing()) {
        (ErrorKind::UndefinedError, Some((name, there))) => {
            let error = wrong(format!("`{name}` is not there"));
            if there.is_empty() { error } else { error.hint(format!("there are: {there}")) }
        }
        (ErrorKind::OutOfFuel, _) => wrong("it does not come to an end".to_owned()),
        _ if is_full => wrong("it makes more than 16 MiB".to_owned()),
        (ErrorKind::WriteFailure | ErrorKind::BadSerialization, _) => {
            wrong("what is written there is no value".to_owned())
                .hint("a service is not one: write {{ secrets.SERVICE.KEY }}")
        }
        (kind, _) => wrong(kind.to_string()),
    }
}
