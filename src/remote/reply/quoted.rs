//! Names as a host writes them, back into names. coreutils quotes for a shell (`'a b'`, `"it's"`, `'new'$'\n''line'`); busybox
//! writes the bytes, in single quotes where it is a link.

/// The name, and where the link leads.
pub(super) fn name_and_target(text: &[u8], is_link: bool) -> (String, Option<String>) {
    let arrow = b" -> ";
    if let Some((name, rest)) = unquoted(text) {
        match rest.strip_prefix(arrow).filter(|_| is_link) {
            Some(target) if unquoted(target).is_some_and(|(_, end)| end.is_empty()) => {
                return (name, unquoted(target).map(|(target, _)| target));
            }
            None if rest.is_empty() => return (name, None),
            _ => {}
        }
    }
    let at = text.windows(arrow.len()).position(|window| window == arrow).filter(|_| is_link);
    match at {
        Some(at) => (exact(plain(&text[..at])), Some(exact(plain(&text[at + arrow.len()..])))),
        None => (exact(text), None),
    }
}

fn plain(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(text)
}

/// A name as a text that no other name has: a byte that is no UTF-8 is written as `\xff`.
pub(super) fn exact(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// One word in the quotes of a shell, and what follows it. Nothing, if it does not begin with a quote or does not end.
fn unquoted(text: &[u8]) -> Option<(String, &[u8])> {
    let (mut name, mut rest) = (Vec::new(), text);
    while !rest.is_empty() && !rest.starts_with(b" ") {
        rest = match rest {
            [b'\'', inside @ ..] => until(inside, b'\'', &mut name)?,
            [b'"', inside @ ..] => until(inside, b'"', &mut name)?,
            [b'$', b'\'', inside @ ..] => escaped(inside, &mut name)?,
            [b'\\', byte, behind @ ..] => {
                name.push(*byte);
                behind
            }
            _ => return None,
        };
    }
    (!name.is_empty()).then(|| (exact(&name), rest))
}

fn until<'a>(text: &'a [u8], quote: u8, name: &mut Vec<u8>) -> Option<&'a [u8]> {
    let end = text.iter().position(|byte| *byte == quote)?;
    name.extend_from_slice(&text[..end]);
    Some(&text[end + 1..])
}

/// `$'\n\377'`: what stands behind a backslash is a letter or three octal digits.
fn escaped<'a>(mut text: &'a [u8], name: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        text = match text {
            [b'\'', behind @ ..] => return Some(behind),
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..] => {
                name.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                behind
            }
            [b'\\', letter, behind @ ..] => {
                name.push(letter_of(*letter));
                behind
            }
            [byte, behind @ ..] => {
                name.push(*byte);
                behind
            }
            [] => return None,
        };
    }
}

fn letter_of(letter: u8) -> u8 {
    match letter {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        other => other,
    }
}

/// getfacl's way: three octal digits behind a backslash.
pub(super) fn octal(text: &[u8]) -> String {
    let (mut name, mut rest) = (Vec::new(), text);
    while let [byte, behind @ ..] = rest {
        (rest, _) = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..] => {
                (behind, name.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0')))
            }
            _ => (behind, name.push(*byte)),
        };
    }
    exact(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn file(written: &[u8], name: &str) {
        assert_eq!(name_and_target(written, false), (name.to_owned(), None));
    }

    #[test]
    fn names_come_back_as_they_are() {
        file(b"'secrets/aws.env'", "secrets/aws.env");
        file(b"'secrets/two  words '", "secrets/two  words ");
        file(b"\"secrets/it's\"", "secrets/it's");
        file(b"'secrets/it'\\''s \"x\"'", "secrets/it's \"x\"");
        file(b"'secrets/new'$'\\n''line'", "secrets/new\nline");
        file(b"'secrets/'$'\\377\\033''[31m'", "secrets/\\xff\u{1b}[31m");
        file(b"'a -> b'", "a -> b");
        // busybox
        file(b"secrets/it's -> \xff", "secrets/it's -> \\xff");
        file(b"secrets/new\nline", "secrets/new\nline");
    }

    #[test]
    fn links_have_a_target() {
        let link = |written: &[u8]| name_and_target(written, true);
        let pair = |name: &str, target: &str| (name.to_owned(), Some(target.to_owned()));
        assert_eq!(link(b"'secrets/..data' -> '..42-x'"), pair("secrets/..data", "..42-x"));
        assert_eq!(link(b"'a -> b' -> 'c'"), pair("a -> b", "c"));
        assert_eq!(link(b"'it's' -> 'b'"), pair("it's", "b"), "busybox");
        assert_eq!(octal(b"secrets/a\\012b\\134c"), "secrets/a\nb\\c");
    }
}
