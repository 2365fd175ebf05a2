//! What is wrong with the arguments, as an error of ours: for a machine, since for people clap says it better.

use crate::words::Error;
use std::ffi::OsString;

/// clap's first paragraph as the message; its tips, and the hints of our own values in it, as hints.
pub fn usage_error(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let (hints, said): (Vec<&str>, Vec<&str>) = message.lines().map(str::trim).partition(|line| hint(line).is_some());
    let tips = text.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    let hints = hints.into_iter().filter_map(hint).chain(tips);
    hints.fold(Error::new(said.join(" ")), |error, text| error.hint(text))
}

fn hint(line: &str) -> Option<&str> {
    line.strip_prefix("hint: ")
}

/// Was JSON asked for, in arguments that clap refused? What stands last counts, and then the environment. Behind `keygen` -o is a file.
pub fn asks_for_json(
    arguments: &[OsString],
    environment: Option<OsString>,
    takes_value: impl Fn(&str) -> bool,
) -> bool {
    let mut format = environment.and_then(|format| format.into_string().ok());
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    let mut has_command = false;
    while let Some(word) = words.next() {
        match (&*word, output_value(&word)) {
            ("--", _) => break,
            ("keygen", _) if !has_command => break,
            (_, Some("")) => format = words.next().map(Into::into),
            (_, Some(value)) => format = Some(value.to_owned()),
            (option, None) if takes_value(option) => _ = words.next(),
            (word, None) => has_command |= !word.starts_with('-'),
        }
    }
    format.as_deref() == Some("json")
}

/// What follows `-o` or `--output` in this word, flags such as `-q` before it or not; nothing if the value is the next word.
fn output_value(word: &str) -> Option<&str> {
    match word.strip_prefix("--output") {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix('='),
        None => {
            let value = word.strip_prefix('-')?.trim_start_matches(['q', 'v', 'y']).strip_prefix('o')?;
            Some(value.strip_prefix('=').unwrap_or(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(line: &str, environment: Option<&str>) -> bool {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        asks_for_json(&words, environment.map(OsString::from), |option| option == "-b" || option == "--hosts")
    }

    #[test]
    fn json_is_asked_for_in_many_ways() {
        for line in
            ["-o json", "-ojson", "-o=json", "--output json", "--output=json", "-qo json", "-o human deploy -o json"]
        {
            assert!(asks(&format!("distribute {line} deploy --bad"), None), "{line}");
            assert!(asks(&format!("distribute --bad {line}"), None), "{line}");
        }
        assert!(asks("distribute deploy --bad", Some("json")));
        assert!(asks("distribute -o json keygen -o out --bad", None));
        assert!(asks("distribute -b keygen deploy -o json --bad", None));
        assert!(asks("distribute bundle list keygen -o json --bad", None));
    }

    #[test]
    fn json_is_not_asked_for() {
        for line in [
            "",
            "-o human",
            "-o",
            "-o xml",
            "json",
            "-- -o json",
            "--outputs=json",
            "--hosts -o json",
            "-o json -o human",
        ] {
            assert!(!asks(&format!("distribute deploy {line}"), None), "{line}");
        }
        for line in ["keygen -o json", "-q keygen --output=json"] {
            assert!(!asks(&format!("distribute {line} --bad"), None), "{line}");
        }
        assert!(!asks("distribute -o human deploy", Some("json")));
    }
}
