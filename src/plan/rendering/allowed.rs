//! What a template may call besides our own filters: a list. None of them takes a secret, or a branch with secrets below it.

use super::looked_up::{LookUps, LookedUp};
use super::node::Node;
use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, State, Value, filters, functions, tests};
use std::sync::Arc;

/// Farther from 0 nothing counts.
const FARTHEST: i64 = 1_000_000_000;

/// These read no value; a secret may go through them.
const OF_SECRETS: [&str; 2] = ["default", "d"];
/// These take a branch: they see names.
const OF_BRANCHES: [&str; 8] = ["length", "count", "list", "first", "default", "d", "mapping", "iterable"];

/// Adds everything.
pub fn add_to(environment: &mut Environment<'_>, looks: &Arc<LookUps>) {
    for (name, filter) in all_filters() {
        let looks = looks.clone();
        environment.add_filter(name, move |state: &mut State, args: Rest<Value>| {
            call(state, &filter, &args, "filter", name, &looks)
        });
    }
    for (name, test) in all_tests() {
        let looks = looks.clone();
        environment.add_test(name, move |state: &mut State, args: Rest<Value>| {
            call(state, &test, &args, "test", name, &looks).map(|is| is.is_true())
        });
    }
    environment.add_function("range", range);
}

fn call(
    state: &mut State,
    callee: &Value,
    args: &[Value],
    kind: &str,
    name: &str,
    looks: &LookUps,
) -> Result<Value, Error> {
    let refuse = |what: &str| {
        looks.refuse(|| format!("{what} does not go through the {kind} `{name}`"));
        Err(Error::from(ErrorKind::InvalidOperation))
    };
    for arg in args {
        if let Some(secret) = arg.downcast_object_ref::<LookedUp>().filter(|_| !OF_SECRETS.contains(&name)) {
            secret.touch();
            return refuse(&format!("`{}`", secret.name));
        }
        if arg.downcast_object_ref::<Node>().is_some() && !OF_BRANCHES.contains(&name) {
            return refuse("a service, or a branch of names,");
        }
    }
    let made = callee.call(state, args)?;
    // Secrets may lie deeper, as in a list.
    if looks.refused().is_some() { Err(Error::from(ErrorKind::InvalidOperation)) } else { Ok(made) }
}

fn all_filters() -> Vec<(&'static str, Value)> {
    vec![
        ("abs", Value::from_function(filters::abs)),
        ("bool", Value::from_function(filters::bool)),
        ("capitalize", Value::from_function(filters::capitalize)),
        ("count", Value::from_function(filters::length)),
        ("d", Value::from_function(filters::default)),
        ("default", Value::from_function(filters::default)),
        ("first", Value::from_function(filters::first)),
        ("float", Value::from_function(filters::float)),
        ("int", Value::from_function(filters::int)),
        ("join", Value::from_function(filters::join)),
        ("last", Value::from_function(filters::last)),
        ("length", Value::from_function(filters::length)),
        ("list", Value::from_function(filters::list)),
        ("lower", Value::from_function(filters::lower)),
        ("max", Value::from_function(filters::max)),
        ("min", Value::from_function(filters::min)),
        ("replace", Value::from_function(filters::replace)),
        ("reverse", Value::from_function(filters::reverse)),
        ("round", Value::from_function(filters::round)),
        ("sort", Value::from_function(filters::sort)),
        ("split", Value::from_function(filters::split)),
        ("string", Value::from_function(filters::string)),
        ("title", Value::from_function(filters::title)),
        ("trim", Value::from_function(filters::trim)),
        ("unique", Value::from_function(filters::unique)),
        ("upper", Value::from_function(filters::upper)),
    ]
}

fn all_tests() -> Vec<(&'static str, Value)> {
    vec![
        ("boolean", Value::from_function(tests::is_boolean)),
        ("divisibleby", Value::from_function(tests::is_divisibleby)),
        ("endingwith", Value::from_function(tests::is_endingwith)),
        ("eq", Value::from_function(tests::is_eq)),
        ("equalto", Value::from_function(tests::is_eq)),
        ("even", Value::from_function(tests::is_even)),
        ("false", Value::from_function(tests::is_false)),
        ("in", Value::from_function(tests::is_in)),
        ("integer", Value::from_function(tests::is_integer)),
        ("iterable", Value::from_function(tests::is_iterable)),
        ("mapping", Value::from_function(tests::is_mapping)),
        ("ne", Value::from_function(tests::is_ne)),
        ("none", Value::from_function(|value: &Value| value.is_none())),
        ("number", Value::from_function(tests::is_number)),
        ("odd", Value::from_function(tests::is_odd)),
        ("sequence", Value::from_function(tests::is_sequence)),
        ("startingwith", Value::from_function(tests::is_startingwith)),
        ("string", Value::from_function(tests::is_string)),
        ("true", Value::from_function(tests::is_true)),
    ]
}

/// The engine's own does not expect the farthest numbers.
fn range(lower: i64, upper: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let near = |number: i64| match (-FARTHEST..=FARTHEST).contains(&number) {
        true => isize::try_from(number).map_err(|_| Error::from(ErrorKind::InvalidOperation)),
        false => Err(Error::from(ErrorKind::InvalidOperation)),
    };
    functions::range(near(lower)?, upper.map(near).transpose()?, step.map(near).transpose()?)
}
