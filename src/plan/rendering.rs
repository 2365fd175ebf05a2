//! `Rendering`: a config file made from a template with one host's secrets. The template sees nothing but what it is given: no
//! files, no environment, no other templates, and no filters, tests or functions but a list. What is not there is an error, and so is a
//! secret that is looked up and compared: it is no string of the engine's, so that what is written, and what our own filters make, is wiped.

mod allowed;
mod filters;
mod looked_up;
mod node;
mod output;
#[cfg(test)]
mod tests;

use crate::inventory::Host;
use crate::playbook::Template;
use crate::words::{Error, FileName, KeyName, Result, Secret, ServiceName, printable};
use looked_up::{LookUps, LookedUp};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, State, UndefinedBehavior, Value};
use node::Node;
use output::Output;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps of the engine; a file of some thousand lines takes some ten thousand.
const FUEL: u64 = 2_000_000;

/// In bytes; only what is touched takes memory.
const STACK: usize = 16 * 1024 * 1024;
/// An operator of one byte is one level deeper.
const STACK_PER_BYTE: usize = 1024;

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
        refuse_captures(template)?;
        let attempt = Attempt::make(template, given, host, FUEL)?;
        let looks = &attempt.looks;
        // Where an operator of the engine's went wrong, or what was compared, it does not say: the fuel does.
        let line = |is_past: &dyn Fn(&LookUps) -> bool| {
            first_line(|fuel| {
                let attempt = Attempt::make(template, given, host, fuel).ok()?;
                Some((is_past(&attempt.looks), attempt.error.and_then(|error| error.line())))
            })
        };
        if let Some(what) = looks.refused() {
            let line = line(&|looks| looks.refused().is_some());
            return Err(refusal(template, line, what));
        }
        if let Some(error) = &attempt.error {
            return Err(told(error, looks, template, attempt.output.is_full));
        }
        if let Some((name, number)) = looks.idle() {
            let line = line(&|looks| looks.count() >= number);
            return Err(refusal(template, line, format!("`{name}` is looked up there, and compared or left unused")));
        }
        Ok(Self { used: looks.used(), made: looks.made(), content: attempt.output.finish() })
    }
}

/// What is captured is text of the engine's, also where a secret is in it: `{% set x %}...{% endset %}` and `{% filter %}`.
fn refuse_captures(template: &Template) -> Result<()> {
    for (index, line) in template.text.lines().enumerate() {
        let capture = tags(line).find(|tag| {
            let mut words = tag.split_whitespace();
            matches!((words.next(), tag.contains('=')), (Some("filter"), _) | (Some("set"), false))
        });
        if let Some(word) = capture.and_then(|tag| tag.split_whitespace().next()) {
            return Err(Error::new(format!("{}:{}: a template has no `{word}` block", shown(template), index + 1))
                .hint("what is in it would be text, and no secret any more; `{% set NAME = VALUE %}` is there"));
        }
    }
    Ok(())
}

/// What stands in the statements that begin on a line.
fn tags(line: &str) -> impl Iterator<Item = &str> {
    line.split("{%").skip(1).map(|tag| tag.split("%}").next().unwrap_or(tag).trim_start_matches(['-', '+']))
}

/// What became of a template.
struct Attempt {
    looks: Arc<LookUps>,
    output: Output,
    error: Option<minijinja::Error>,
}

impl Attempt {
    /// On a stack of its own: the engine goes down as deep as the template's text, or its values, are nested.
    fn make(template: &Template, given: &BTreeMap<ServiceName, Given>, host: &Host, fuel: u64) -> Result<Self> {
        let failed = || Error::new(format!("{}: the engine gave up", shown(template)));
        let size = STACK + STACK_PER_BYTE * template.text.len();
        std::thread::scope(|scope| {
            let run = || Self::make_here(template, given, host, fuel);
            let thread = std::thread::Builder::new().stack_size(size).spawn_scoped(scope, run);
            thread.map_err(|error| failed().because(error))?.join().map_err(|_| failed())
        })
    }

    fn make_here(template: &Template, given: &BTreeMap<ServiceName, Given>, host: &Host, fuel: u64) -> Self {
        let looks = Arc::new(LookUps::default());
        let context = Node::context(given, host, &looks);
        let mut output = Output::default();
        let environment = environment(&looks, fuel);
        let parsed = environment.template_from_named_str("template", &template.text);
        let rendered = parsed.and_then(|parsed| parsed.render_captured_to(context, &mut output).map(drop));
        Self { looks, output, error: rendered.err() }
    }
}

/// The line of the step that does it: the last one at which less fuel stops before it.
fn first_line(attempt: impl Fn(u64) -> Option<(bool, Option<usize>)>) -> Option<usize> {
    let (mut low, mut high) = (0, FUEL);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if attempt(middle)?.0 { high = middle } else { low = middle }
    }
    attempt(low)?.1
}

fn refusal(template: &Template, line: Option<usize>, what: String) -> Error {
    let error = Error::new(format!("{}{}: {what}", shown(template), at(line)));
    if what == node::NO_VALUE {
        return error.hint("a service is not one: write {{ secrets.SERVICE.KEY }}");
    }
    error
        .hint("a secret can be written, tested for being there or empty, and put through json, base64, shellquote, urlencode and default")
        .hint("beside it text is written as it is: `a-{{ secrets.api.KEY }}`, not `~`; for what is no secret, use vars of the inventory")
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

fn environment<'a>(looks: &Arc<LookUps>, fuel: u64) -> Environment<'a> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(fuel));
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.expect("nothing about it is our own"));
    environment.set_formatter(write);
    allowed::add_to(&mut environment, looks);
    filters::add_to(&mut environment);
    environment
}

/// The only way on which a secret becomes text.
fn write(out: &mut minijinja::Output, state: &mut State, value: &Value) -> Result<(), minijinja::Error> {
    let failed = || minijinja::Error::from(ErrorKind::WriteFailure);
    if let Some(secret) = value.downcast_object_ref::<LookedUp>() {
        return out.write_str(secret.text().ok_or_else(failed)?).map_err(|_| failed());
    }
    if let Some(node) = value.downcast_object_ref::<Node>() {
        node.refuse();
        return Err(failed());
    }
    minijinja::escape_formatter(out, state, value)
}

fn shown(template: &Template) -> String {
    printable(template.path.as_bytes(), 200)
}

fn told(error: &minijinja::Error, looks: &LookUps, template: &Template, is_full: bool) -> Error {
    let line = at(error.line());
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
        (ErrorKind::SyntaxError, _) if no_such(error, template).is_some() => {
            let word = no_such(error, template).unwrap_or_default();
            wrong(format!("a template has no `{word}`: it sees no other templates"))
        }
        (kind, _) => wrong(kind.to_string()),
    }
}

/// What other templates of this kind have, and these have not.
fn no_such(error: &minijinja::Error, template: &Template) -> Option<&'static str> {
    let line = template.text.lines().nth(error.line()?.checked_sub(1)?)?;
    let words = ["include", "import", "from", "extends", "block", "macro", "call"];
    let first = tags(line).filter_map(|tag| tag.split_whitespace().next());
    first.into_iter().find_map(|tag| words.into_iter().find(|word| *word == tag))
}
