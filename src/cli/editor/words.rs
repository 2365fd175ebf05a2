//! `split`: a command line as words, with a shell's quotes and backslashes; nothing is expanded.

use crate::words::{Error, Result};

/// The words of a line.
pub fn split(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    let open = || Error::new("a quote is not closed, or nothing follows the last backslash");
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\'' => word.get_or_insert_default().push_str(&quoted(&mut chars).ok_or_else(open)?),
            '"' => word.get_or_insert_default().push_str(&double_quoted(&mut chars).ok_or_else(open)?),
            '\\' => word.get_or_insert_default().push(chars.next().ok_or_else(open)?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(chars: &mut std::str::Chars) -> Option<String> {
    let (inside, after) = chars.as_str().split_once('\'')?;
    *chars = after.chars();
    Some(inside.to_owned())
}

/// A backslash is one, unless it stands before what means something in here.
fn double_quoted(chars: &mut std::str::Chars) -> Option<String> {
    let mut inside = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(inside),
            '\\' => match chars.next()? {
                c @ ('"' | '\\' | '$' | '`') => inside.push(c),
                c => inside.extend(['\\', c]),
            },
            c => inside.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_a_shells() {
        for (text, words) in [
            ("vi", &["vi"][..]),
            ("  code --wait\t-n ", &["code", "--wait", "-n"]),
            ("'/opt/my editor/bin/ed' -x", &["/opt/my editor/bin/ed", "-x"]),
            (r#"vim -c "set \"x\" \n \$HOME""#, &["vim", "-c", r#"set "x" \n $HOME"#]),
            (r"my\ editor ''", &["my editor", ""]),
            ("a'b'\"c\"d $HOME ~", &["abcd", "$HOME", "~"]),
            ("", &[]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
        for text in ["'x", "\"x", "x\\", "\"x\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sh_splits_the_same() {
        for text in [r#"vim -c "set \"x\" \n""#, r"a\ b 'c  d'e \'", r#"'it'"'"'s' "\a\\""#] {
            let line = format!("printf '%s\\n' {text}");
            let sh = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(split(text).unwrap().join("\n") + "\n", String::from_utf8(sh.stdout).unwrap(), "{text}");
        }
    }
}
