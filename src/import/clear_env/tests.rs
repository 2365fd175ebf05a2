use super::*;
use crate::dialect::Dialect;

fn values(text: &[u8], dialect: Option<EnvReader>) -> Result<Vec<(String, Vec<u8>)>, String> {
    let reading = read(text, dialect).map_err(|error| error.to_string())?;
    assert!(!format!("{:?} {:?}", reading.troubles, reading.notes).contains("POISON"), "{:?}", reading.troubles);
    match reading.troubles.is_empty() {
        true => Ok(reading.entries.iter().map(|entry| (entry.shown(), entry.value.expose().to_vec())).collect()),
        false => Err(reading.troubles.iter().map(|t| format!("{}: {}\n", t.line, t.message)).collect()),
    }
}

#[test]
fn a_plain_line_is_taken_without_a_dialect() {
    let text = b"# a comment\n\nA=1\nB_2=abc/DEF+012==,.:@%^!*?[x]{y}-_\nEMPTY=\nU=\xc3\xa4\n";
    let read = values(text, None).unwrap();
    let keys: Vec<&str> = read.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["A", "B_2", "EMPTY", "U"]);
    assert_eq!(read[1].1, b"abc/DEF+012==,.:@%^!*?[x]{y}-_");
}

#[test]
fn every_ambiguous_form_is_refused_without_a_dialect() {
    for (text, word) in [
        (&b"K=\"POISON\"\n"[..], "quote"),
        (b"K='POISON'\n", "quote"),
        (b"K=PO'ISON\n", "quote"),
        (b"K=$POISON\n", "`$`"),
        (b"K=POISON$\n", "`$`"),
        (b"K=`POISON`\n", "backtick"),
        (b"K=PO\\ISON\n", "backslash"),
        (b"K=POISON\\\nB=1\n", "backslash"),
        (b"export K=POISON\n", "export"),
        (b"K=POISON # x\n", "#"),
        (b"K=POISON#x\n", "#"),
        (b"K=#POISON\n", "#"),
        (b"K=POISON \n", "blank"),
        (b"K= POISON\n", "blank"),
        (b"K =POISON\n", "blank"),
        (b"K=PO ISON\n", "blank"),
        (b"K=POISON\r\n", "CR LF"),
        (b"\xef\xbb\xbfK=POISON\n", "byte order mark"),
        (b"POISON\n", "no `=`"),
        (b"POISON POISON\n", "no `=`"),
        (b"K='a\nPOISON=='\n", "quote"),
        (b"K=\"POISON\nPOISON=x\"\n", "quote"),
        (b"K=PO;ISON\n", "shell"),
        (b"K=PO&ISON\n", "shell"),
        (b"K=~/POISON\n", "shell"),
        (b"K=PO(ISON)\n", "shell"),
        (b"; POISON\n", "without `=`"),
        (b"K-2=POISON\n", "this line"),
        (b"K.2=POISON\n", ""),
        (b"K: POISON\n", ""),
        (b"K=\xff\xfePOISON\n", ""),
        ("K=POISON\u{a0}\n".as_bytes(), "not usual"),
        ("K=\u{2003}POISON\n".as_bytes(), "not usual"),
        ("K=POISON\u{85}\n".as_bytes(), "not usual"),
        ("K=PO\u{2028}ISON\n".as_bytes(), "not usual"),
        (b"K=PO\x0bISON\n", "not usual"),
        (b"K=PO\x0cISON\n", "not usual"),
        (b"K=PO\rISON\n", ""),
    ] {
        let said = values(text, None).expect_err(&String::from_utf8_lossy(text));
        assert!(said.starts_with("1: ") && said.contains(word), "{}: {said}", String::from_utf8_lossy(text));
    }
    assert!(values(b"A=1\0\n", None).unwrap_err().contains("NUL"));
}

#[test]
fn an_error_says_who_reads_it_how() {
    let said = values(b"A=1\nK=\"POISON\"\n", None).unwrap_err();
    let expected =
        "2: K: a quote is not read alike by all; one value to docker; another to compose, systemd, shell, dotenv\n";
    assert_eq!(said, expected);
    let said = values(b"K=POISON x\n", None).unwrap_err();
    assert!(said.contains("no plain value to shell") && !said.contains("another"), "{said}");
}

/// Each line as each reader has it; `None` where it is refused. Docker, Compose, systemd, sh and the libraries are asked in
/// tests/bundle/import_oracles.rs.
#[test]
fn a_dialect_is_read_as_its_reader_reads_it() {
    type Row = (&'static [u8], [Option<&'static [u8]>; 5]);
    let rows: [Row; 32] = [
        (b"K=a b", [Some(b"a b"), Some(b"a b"), Some(b"a b"), None, Some(b"a b")]),
        (b"K=\"a b\"", [Some(b"\"a b\""), Some(b"a b"), Some(b"a b"), Some(b"a b"), Some(b"a b")]),
        (b"K='a $b'", [Some(b"'a $b'"), Some(b"a $b"), Some(b"a $b"), Some(b"a $b"), Some(b"a $b")]),
        (b"K=\"$b\"", [Some(b"\"$b\""), None, Some(b"$b"), None, None]),
        (b"K=$b", [Some(b"$b"), None, Some(b"$b"), None, None]),
        (b"K=\"a\\nb\"", [Some(b"\"a\\nb\""), Some(b"a\nb"), Some(b"a\\nb"), Some(b"a\\nb"), Some(b"a\nb")]),
        (b"K='a\\nb'", [Some(b"'a\\nb'"), Some(b"a\\nb"), Some(b"a\\nb"), Some(b"a\\nb"), None]),
        (b"K=\"a\\\"b\"", [Some(b"\"a\\\"b\""), Some(b"a\"b"), Some(b"a\"b"), Some(b"a\"b"), None]),
        (b"K=\"a\\\\b\"", [Some(b"\"a\\\\b\""), None, Some(b"a\\b"), Some(b"a\\b"), None]),
        (b"K=a\\b", [Some(b"a\\b"), Some(b"a\\b"), Some(b"ab"), Some(b"ab"), None]),
        (b"K=a #c", [Some(b"a #c"), Some(b"a"), Some(b"a #c"), Some(b"a"), Some(b"a")]),
        (b"K=a#c", [Some(b"a#c"), None, Some(b"a#c"), Some(b"a#c"), None]),
        (b"K=#c", [Some(b"#c"), None, Some(b"#c"), Some(b"#c"), None]),
        (b"K=\"a#c\" # d", [Some(b"\"a#c\" # d"), Some(b"a#c"), Some(b"a#c# d"), Some(b"a#c"), Some(b"a#c")]),
        (b"K=a  ", [Some(b"a  "), Some(b"a"), Some(b"a"), Some(b"a"), Some(b"a")]),
        (b"K= a", [Some(b" a"), Some(b"a"), Some(b"a"), None, Some(b"a")]),
        (b"K = a", [None, Some(b"a"), Some(b"a"), None, Some(b"a")]),
        (b"  K=a", [Some(b"a"); 5]),
        (b"export K=a", [None, Some(b"a"), None, Some(b"a"), Some(b"a")]),
        (b"K=a\r", [Some(b"a"), Some(b"a"), Some(b"a"), Some(b"a\r"), Some(b"a")]),
        (b"K=a\\ b", [Some(b"a\\ b"), Some(b"a\\ b"), Some(b"a b"), Some(b"a b"), None]),
        (b"K='a\nb'", [None, Some(b"a\nb"), Some(b"a\nb"), Some(b"a\nb"), Some(b"a\nb")]),
        (b"K=a\\\nb", [None, None, Some(b"ab"), Some(b"ab"), None]),
        (b"K='a'b", [Some(b"'a'b"), None, Some(b"ab"), Some(b"ab"), None]),
        (b"K='a' b", [Some(b"'a' b"), None, Some(b"ab"), None, None]),
        (b"K='a", [Some(b"'a"), None, None, None, None]),
        (b"K=a;b", [Some(b"a;b"), Some(b"a;b"), Some(b"a;b"), None, Some(b"a;b")]),
        (b"K=`a`", [Some(b"`a`"), Some(b"`a`"), Some(b"`a`"), None, None]),
        (b"K=~", [Some(b"~"), Some(b"~"), Some(b"~"), None, Some(b"~")]),
        (b"K=a:~b", [Some(b"a:~b"), Some(b"a:~b"), Some(b"a:~b"), None, Some(b"a:~b")]),
        (b"\xef\xbb\xbfK=a", [Some(b"a"), Some(b"a"), None, None, None]),
        (b"K", [None; 5]),
    ];
    for (text, expected) in rows {
        for (dialect, expected) in EnvReader::ALL.into_iter().zip(expected) {
            let read = values(text, Some(dialect)).ok().map(|read| read[0].1.clone());
            assert_eq!(read.as_deref(), expected, "{dialect}: {}", String::from_utf8_lossy(text));
        }
    }
}

#[test]
fn what_only_its_reader_minds_is_refused_by_it() {
    let long = [b"K=POISON".as_slice(), &[b'a'; 64 * 1024]].concat();
    for (dialect, text) in [
        (Dialect::Docker, long.as_slice()),
        (Dialect::Systemd, b"\x0c=POISON\n"),
        (Dialect::Systemd, b"K=POISON\xef\xbf\xbe\n"),
        (Dialect::Shell, b"K=POISON \r\n"),
    ] {
        let said = values(text, Some(EnvReader::Of(dialect))).unwrap_err();
        assert!(said.starts_with("1: "), "{said}");
        assert!(values(text, None).is_err(), "{said}");
    }
}

#[test]
fn sops_is_a_reader_of_its_own() {
    assert_eq!(values(b"K=a\\nb \n", Some(EnvReader::Sops)).unwrap()[0].1, b"a\nb ");
    let reading = read_sealed(b"K=a\\nb\n", None).unwrap();
    assert!(reading.entries.is_empty() && reading.troubles.len() == 1 && reading.hints[0].contains("sops"));
    assert!(read_sealed(b"K=ab\n", None).unwrap().troubles.is_empty());
}

#[test]
fn comments_are_counted() {
    assert_eq!(read(b"# POISON\nA=1\n #x\n", None).unwrap().notes, ["2 comments left out"]);
}
