//! What is written is what is read; the real readers are asked in tests/formats.rs.

#[path = "../../tests/formats/chance.rs"]
mod chance;

use super::*;
use chance::{Lcg, PARTS};

fn pair(key: &str, value: &[u8]) -> (KeyName, Secret) {
    (KeyName::new(key).unwrap(), Secret::new(value))
}

fn written(dialect: Dialect, values: &[(&str, &str)]) -> String {
    let values: Vec<_> = values.iter().map(|(key, value)| pair(key, value.as_bytes())).collect();
    let file = dialect.write(&values, None).unwrap();
    assert_eq!(dialect.read(file.expose()).unwrap(), values);
    String::from_utf8(file.expose().to_vec()).unwrap()
}

#[test]
fn plain_values_stand_bare_and_others_quoted() {
    let values = [("A", "abc"), ("B", ""), ("C", "x y"), ("D", "it's $5"), ("E", "a\"b\\c")];
    for (dialect, expected) in [
        (Dialect::Docker, "A=abc\nB=\nC=x y\nD=it's $5\nE=a\"b\\c\n"),
        (Dialect::Compose, "# distribute: compose\nA=abc\nB=\nC=\"x y\"\nD='it\\'s $5'\nE=\"a\\\"b\\\\c\"\n"),
        (Dialect::Systemd, "# distribute: systemd\nA=abc\nB=\nC=\"x y\"\nD=\"it's \\$5\"\nE=\"a\\\"b\\\\c\"\n"),
        (Dialect::Shell, "# distribute: shell\nA=abc\nB=\nC='x y'\nD='it'\\''s $5'\nE='a\"b\\c'\n"),
        (
            Dialect::Json,
            "{\n  \"A\": \"abc\",\n  \"B\": \"\",\n  \"C\": \"x y\",\n  \"D\": \"it's $5\",\n  \"E\": \"a\\\"b\\\\c\"\n}\n",
        ),
        (
            Dialect::Kubernetes,
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"secrets\"\ntype: Opaque\ndata:\n  \"A\": \"YWJj\"\n  \
             \"B\": \"\"\n  \"C\": \"eCB5\"\n  \"D\": \"aXQncyAkNQ==\"\n  \"E\": \"YSJiXGM=\"\n",
        ),
    ] {
        assert_eq!(written(dialect, &values), expected, "{}", dialect.as_str());
        let is_marked = !matches!(dialect, Dialect::Docker | Dialect::Json | Dialect::Kubernetes);
        assert_eq!(Dialect::marked(expected.as_bytes()), Some(dialect).filter(|_| is_marked));
    }
}

#[test]
fn a_value_as_it_stands_in_the_file_can_be_found_there() {
    let (key, value) = pair("A", b"x \"y\" 'z'");
    for dialect in Dialect::ALL {
        let file = dialect.write(&[(key.clone(), value.clone())], None).unwrap();
        let written = dialect.written(&key, &value).unwrap_or_else(|| value.clone());
        assert!(file.expose().windows(written.len()).any(|window| window == written.expose()), "{}", dialect.as_str());
    }
    assert_eq!(Dialect::Shell.written(&key, &Secret::new(*b"plain")), None);
}

#[test]
fn nothing_is_a_file_too() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.read(dialect.write(&[], None).unwrap().expose()).unwrap(), []);
    }
}

#[track_caller]
fn refused(dialects: &[Dialect], key: &str, value: &[u8], what: &str) {
    for dialect in Dialect::ALL {
        let refusal = dialect.write(&[pair("FIRST", b"1"), pair(key, value)], None).err();
        let expected = dialects.contains(&dialect).then(|| (key.to_owned(), what));
        assert_eq!(refusal.map(|no| (no.key.to_string(), no.what)), expected, "{}", dialect.as_str());
    }
}

#[test]
fn what_a_dialect_cannot_hold_is_refused() {
    use Dialect::{Compose, Docker, Json, Kubernetes, Shell, Systemd};
    refused(&[Docker], "A", b"a\nb", "the value holds a newline");
    refused(&[Docker, Systemd], "A", b"a\rb", "the value holds a carriage return");
    refused(&[Docker, Compose, Systemd, Shell], "A", b"a\0b", "the value holds a NUL byte");
    refused(&[Docker, Compose, Systemd, Json], "A", b"a\xffb", "the value holds bytes that are not UTF-8");
    refused(&[Systemd], "A", b"a\x1bb", "the value holds a control character");
    refused(&[Systemd], "A", "\u{fffe}".as_bytes(), "the value holds a code point that is no character");
    refused(&[Systemd, Shell], "A-B", b"1", "its name holds `-`");
    refused(&[Shell], "UID", b"1", "its name is one that shells keep for themselves");
    refused(&[Compose], "A", b"a ${b}", "the value holds `${`, which version 1 expands in any quotes");
    refused(&[Compose], "A", b"a b\\", "the value ends in a backslash and needs quotes");
    refused(&[Compose], "A", b"$ \\\\ ", "the value holds `$` and a backslash before another or before `'`");
    refused(&[Docker], "A", &[b'a'; 64 * 1024 - 3], "the value makes a line longer than 64 KiB");
    let many: Vec<_> = (0..9).map(|index| pair(&format!("K{index}"), &[b'a'; 120 * 1024])).collect();
    let no = Kubernetes.check(&many).unwrap_err();
    assert_eq!((no.key.as_str(), no.what), ("K8", "the values up to here are together longer than 1 MiB"));
    assert_eq!(Shell.check(&many), Ok(()));
}

#[test]
fn a_refusal_says_what_would_do() {
    let values = [pair("K", b"POISON\n")];
    let no = Dialect::Docker.check(&values).unwrap_err();
    let error = no.of(&"api".parse().unwrap(), &values[0].1);
    assert_eq!(
        error.to_string(),
        "service `api`, key `K`: the value holds a newline, which the docker format cannot hold"
    );
    assert_eq!(
        error.hints()[0],
        "formats that hold it, if its reader knows one of them: compose, systemd, shell, json, kubernetes, files"
    );
    assert!(!format!("{error:?} {no:?}").contains("POISON"));
}

#[test]
fn what_a_person_wrote_is_read_as_its_reader_does() {
    for (dialect, text, expected) in [
        (Dialect::Docker, "\u{feff}# c\n  A=\"x\" # y\r\n\nB= \n", "A=\"x\" # y|B= "),
        (Dialect::Compose, "# c\nexport A=x # y\nB = ' z' # c\nC=\"a\\nb\"\nA=last\n", "A=last|B= z|C=a\nb"),
        (Dialect::Systemd, "; c = \\\nA = x # y  \nB='a'\"b\\$\\q\" c\nC=a\\\nb\\ \n", "A=x # y|B=ab$\\qc|C=ab "),
        (Dialect::Shell, "# c\nexport A=x # y\nB='a'\"b\\$\\q\"c\\ d\n", "A=x|B=ab$\\qc d"),
        (Dialect::Json, r#" { "A" : "\u00e4\ud83d\ude00\/" , "B":"" } "#, "A=ä😀/|B="),
        (
            Dialect::Kubernetes,
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ntype: Opaque\ndata:\n  A: YQ==\n",
            "A=a",
        ),
    ] {
        let values = dialect.read(text.as_bytes()).unwrap();
        let shown = values.iter().map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value.expose())));
        assert_eq!(shown.collect::<Vec<_>>().join("|"), expected, "{}", dialect.as_str());
    }
}

#[test]
fn errors_of_readers_name_the_line_never_the_text() {
    let secret = |data: &str| format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n{data}");
    for (dialect, text, line) in [
        (Dialect::Docker, "A=1\nPOISON\n", "line 2: there is no `=`"),
        (Dialect::Docker, "A=1\nPOISON POISON=1\n", "line 2: what stands before `=` is not a key"),
        (Dialect::Docker, &format!("A=1\nB={}\n", "POISON".repeat(11_000)), "line 2: B: its line is longer"),
        (Dialect::Compose, "A=1\nB=$POISON\n", "line 2: B: `$`"),
        (Dialect::Compose, "A=1\nB='x'POISON", "line 2: B: something stands behind"),
        (Dialect::Compose, "A=1\nB='\nPOISON\\\\'", "line 2: B: releases of Compose differ"),
        (Dialect::Compose, "A.POISON=1\n", "line 1: what stands before the value is not a key name"),
        (Dialect::Systemd, "A=1\nPOISON", "line 2: there is no `=`"),
        (Dialect::Systemd, "A=1\nB='POISON\n\n", "line 2: B: a quote is not closed"),
        (Dialect::Systemd, "A=POISON\u{fffe}\n", "line 1: A: its value holds a code point"),
        (Dialect::Systemd, "\x0c=POISON\n", "line 1: systemd knows no such key"),
        (Dialect::Shell, "A=1\nB=`POISON`", "line 2: B: a shell would run"),
        (Dialect::Shell, "A=1\nB=x POISON", "line 2: B: something stands behind"),
        (Dialect::Shell, "A=POISON \r\n", "line 1: A: something stands behind"),
        (Dialect::Json, "{\"A\":\n{\"POISON\": \"POISON\"}}", "line 2: a value is not a string"),
        (Dialect::Json, "{\n\"A\": \"POISON\\x\"}", "line 2: there is an escape"),
        (Dialect::Json, "{\"A\": \"1\",\n}", "line 2: it is not an object"),
        (Dialect::Json, "{\n\"PO ISON\": \"1\"}", "line 2: what stands before the value"),
        (Dialect::Kubernetes, &secret("  A: YQ==\n  B: POISON!\n"), "line 7: B: the value is not base64"),
        (Dialect::Kubernetes, "kind: POISON\n", "line 1: it is not a Secret"),
    ] {
        let error = dialect.read(text.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with(line), "{}: {error}", dialect.as_str());
        assert!(!format!("{error:?}").contains("POISON"), "{error:?}");
    }
    assert_eq!(
        Dialect::Json.read(b"{\n\"A\": \"\xff\"}").unwrap_err().message(),
        "line 2: it is not UTF-8, so it is not JSON"
    );
}

/// Our own backslashes are those that the releases agree about that are written for; of a file of somebody else's it is not known which
/// release it was made for.
#[test]
fn what_compose_reads_in_two_ways_is_taken_from_ourselves_alone() {
    let values = [pair("A", b"a \"\\ b"), pair("B", b"$ 'b")];
    let file = Dialect::Compose.write(&values, None).unwrap();
    assert_eq!(file.expose(), b"# distribute: compose\nA=\"a \\\"\\\\ b\"\nB='$ \\'b'\n");
    assert_eq!(Dialect::Compose.read(file.expose()).unwrap(), values);
    let assignments = Dialect::Compose.assignments(file.expose());
    assert!(assignments.len() == 2 && assignments.iter().all(|assignment| assignment.value.is_err()));
}

/// What somebody wrote may be anything: a reader tells what it sees, or what is wrong, and writes what it saw again.
#[test]
fn readers_take_any_file() {
    let mut random = Lcg::new(7);
    let mut read = [0; 6];
    for round in 0..20_000 {
        let middle = |random: &mut Lcg| match random.below(4) {
            0 => &b"A="[..],
            1 => &b"\n"[..],
            _ => PARTS[random.below(PARTS.len())],
        };
        let text: Vec<u8> = (0..random.below(12)).flat_map(|_| middle(&mut random)).copied().collect();
        for (index, dialect) in Dialect::ALL.into_iter().enumerate() {
            let file = match dialect {
                Dialect::Json => [b"{\"A\": \"", &text[..], b"\"}"].concat(),
                Dialect::Kubernetes => [b"apiVersion: v1\nkind: Secret\nmetadata:\ndata:\n  ", &text[..]].concat(),
                _ => text.clone(),
            };
            let Ok(values) = dialect.read(&file) else { continue };
            read[index] += usize::from(!values.is_empty());
            let Ok(again) = dialect.write(&values, None) else { continue };
            let shown = file.escape_ascii();
            assert_eq!(dialect.read(again.expose()).unwrap(), values, "{}, round {round}: {shown}", dialect.as_str());
        }
    }
    assert!(read[..5].iter().all(|count| *count > 300), "{read:?}");
}

#[test]
fn whatever_is_accepted_is_read_back() {
    let mut random = Lcg::new(6);
    let mut accepted = [0; 6];
    for round in 0..6000 {
        let value: Vec<u8> = (0..random.below(7)).flat_map(|_| PARTS[random.below(PARTS.len())]).copied().collect();
        let values = [pair("A", &value), pair("B", b"next")];
        for (index, dialect) in Dialect::ALL.into_iter().enumerate() {
            let Ok(file) = dialect.write(&values, None) else { continue };
            let name = dialect.as_str();
            assert_eq!(dialect.read(file.expose()).unwrap(), values, "{name}, round {round}: {}", value.escape_ascii());
            accepted[index] += 1;
        }
    }
    assert!(accepted.iter().all(|count| *count > 2000), "{accepted:?}");
}
