//! Host ranges as in Ansible: `web[01:20].example.com`, `db[a:c]`, `n[0:10:2]`, several in one name.

use crate::words::{Error, HostName, Result};

/// More hosts than this are a slip of the finger.
const MOST: usize = 65_536;

/// The hosts that a key of `[hosts]` names: one, or all of its ranges.
pub(super) fn expand(text: &str) -> Result<Vec<HostName>> {
    let wrong = |why: &str| Error::new(format!("`{}` is not a host range: {why}", text.escape_debug()));
    let mut names = vec![String::new()];
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('[') {
        let (range, tail) = tail.split_once(']').ok_or_else(|| wrong("a `]` is missing"))?;
        let steps = steps(range).map_err(wrong)?;
        if names.len() * steps.len() > MOST {
            return Err(wrong(TOO_MANY));
        }
        names = names.iter().flat_map(|name| steps.iter().map(move |step| format!("{name}{head}{step}"))).collect();
        rest = tail;
    }
    names.into_iter().map(|name| HostName::new(name + rest)).collect()
}

const TOO_MANY: &str = "it stands for more than 65536 hosts";
const REVERSED: &str = "its end comes before its begin";

/// What a range steps through, as text; zeros in front of the begin are kept.
fn steps(range: &str) -> Result<Vec<String>, &'static str> {
    let bounds: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match bounds[..] {
        [begin, end] => (begin, end, 1),
        [begin, end, step] => {
            (begin, end, number(step).filter(|step| *step > 0).ok_or("its step is not a positive number")?)
        }
        _ => return Err("write [begin:end] or [begin:end:step]"),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    if let (Some(from), Some(to)) = (letter(begin), letter(end)) {
        let stride = usize::try_from(step).unwrap_or(usize::MAX);
        let letters = LETTERS.get(from..=to).filter(|letters| !letters.is_empty()).ok_or(REVERSED)?;
        return Ok(letters.chars().step_by(stride).map(String::from).collect());
    }
    let (from, to) = number(begin).zip(number(end)).ok_or("its ends must be two numbers or two letters")?;
    let padded = begin.len() > 1 && begin.starts_with('0');
    if padded && begin.len() != end.len() {
        return Err("its ends must be of equal length when the first begins with 0");
    }
    if from > to {
        return Err(REVERSED);
    }
    if (to - from) / step >= MOST as u64 {
        return Err(TOO_MANY);
    }
    let width = if padded { begin.len() } else { 1 };
    Ok((0..=(to - from) / step).map(|count| format!("{:0width$}", from + count * step)).collect())
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn letter(text: &str) -> Option<usize> {
    LETTERS.find(text).filter(|_| text.len() == 1)
}

/// Digits only: `parse` would take a sign too.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, expected: &[&str]) {
        let names = expand(text).unwrap();
        assert_eq!(names.iter().map(HostName::as_str).collect::<Vec<_>>(), expected, "{text}");
    }

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let error = expand(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }

    #[test]
    fn ranges_expand_as_in_ansible() {
        case("web", &["web"]);
        case("web[01:03].example.com", &["web01.example.com", "web02.example.com", "web03.example.com"]);
        case("web[9:11]", &["web9", "web10", "web11"]);
        case("web[098:101]", &["web098", "web099", "web100", "web101"]);
        case("n[0:10:4]", &["n0", "n4", "n8"]);
        case("n[:2]", &["n0", "n1", "n2"]);
        case("db[a:c]", &["dba", "dbb", "dbc"]);
        case("db[a:e:2]", &["dba", "dbc", "dbe"]);
        case("r[1:2]n[a:b]", &["r1na", "r1nb", "r2na", "r2nb"]);
        case("n[5:5]", &["n5"]);
    }

    #[test]
    fn broken_ranges_say_why() {
        refused("web[01:20", "`]` is missing");
        refused("web[3:1]", "end comes before");
        refused("web[c:a]", "end comes before");
        refused("web[01:100]", "equal length");
        refused("web[1]", "[begin:end]");
        refused("web[1:2:3:4]", "[begin:end]");
        refused("web[1:9:0]", "positive");
        refused("web[1:]", "two numbers or two letters");
        refused("web[a:3]", "two numbers or two letters");
        refused("web[-1:3]", "two numbers or two letters");
        refused("web[+1:3]", "two numbers or two letters");
        refused("web[0:65536]", "65536 hosts");
        refused("web[0:18446744073709551615]", "65536 hosts");
        refused("web[0:999][0:999]", "65536 hosts");
        refused("-web[0:1]", "starts with a dash");
        refused("web[0:1]/x", "only letters");
        refused("web]", "only letters");
        assert_eq!(expand("n[0:65535]").unwrap().len(), MOST);
    }
}
