//! Tables for what hostfile.c does, and `ssh-keygen -F` as the oracle.

use super::*;
use std::process::Command;

const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const EC: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

fn known(content: &str) -> KnownHosts {
    let mut known = KnownHosts::default();
    known.read(Path::new("known_hosts"), content.as_bytes()).unwrap();
    known
}

#[derive(Debug, PartialEq)]
enum Short {
    Known,
    Unknown,
    Changed(usize),
    Revoked(usize),
}

fn line(at: &str) -> usize {
    at.rsplit(':').next().unwrap().parse().unwrap()
}

#[track_caller]
fn case(content: &str, name: &str, port: u16, shown: &str, expected: Short) {
    let verdict = match known(content).check(name, port, &key(shown)) {
        Verdict::Known => Short::Known,
        Verdict::Unknown => Short::Unknown,
        Verdict::Changed { at, .. } => Short::Changed(line(&at)),
        Verdict::Revoked { at } => Short::Revoked(line(&at)),
    };
    assert_eq!(verdict, expected, "{content:?} for {name}:{port}");
}

#[test]
fn names_match_as_in_openssh() {
    use Short::*;
    case(&format!("web1 {ONE}"), "web1", 22, ONE, Known);
    case(&format!("web1 {ONE}"), "WEB1", 22, ONE, Known);
    case(&format!("Web1 {ONE}"), "web1", 22, ONE, Known);
    case(&format!("web1 {ONE}"), "web2", 22, ONE, Unknown);
    case(&format!("web1,web2 {ONE}"), "web2", 22, ONE, Known);
    case(&format!("web* {ONE}"), "web12", 22, ONE, Known);
    case(&format!("web? {ONE}"), "web12", 22, ONE, Unknown);
    case(&format!("*.example.com,!db.example.com {ONE}"), "web.example.com", 22, ONE, Known);
    case(&format!("*.example.com,!db.example.com {ONE}"), "db.example.com", 22, ONE, Unknown);
    case(&format!("!db.example.com {ONE}"), "web.example.com", 22, ONE, Unknown);
    case(&format!("2001:db8::1 {ONE}"), "2001:DB8::1", 22, ONE, Known);
    case(&format!("web1,,web2 {ONE}"), "", 22, ONE, Unknown);
}

#[test]
fn ports_have_lines_of_their_own() {
    use Short::*;
    case(&format!("[web1]:2222 {ONE}"), "web1", 2222, ONE, Known);
    case(&format!("[web1]:2222 {ONE}"), "web1", 22, ONE, Unknown);
    case(&format!("web1 {ONE}"), "web1", 2222, ONE, Known);
    case(&format!("web1 {ONE}"), "web1", 2222, TWO, Unknown);
    case(&format!("web1 {ONE}\n[web1]:2222 {TWO}"), "web1", 2222, ONE, Changed(2));
    case(&format!("[web*]:2222 {ONE}"), "web1", 2222, ONE, Known);
    case(&format!("* {ONE}"), "web1", 2222, ONE, Known);
}

#[test]
fn another_key_of_any_type_is_a_change() {
    use Short::*;
    case(&format!("web1 {ONE}"), "web1", 22, TWO, Changed(1));
    case(&format!("web1 {EC}"), "web1", 22, ONE, Changed(1));
    case(&format!("web1 {TWO}\nweb1 {ONE}"), "web1", 22, ONE, Known);
    case(&format!("web2 {TWO}\nweb1 {TWO}\nweb* {EC}"), "web1", 22, ONE, Changed(2));
}

#[test]
fn markers() {
    use Short::*;
    case(&format!("web1 {ONE}\n@revoked * {ONE}"), "web1", 22, ONE, Revoked(2));
    case(&format!("@revoked web1 {ONE}"), "web1", 2222, ONE, Revoked(1));
    case(&format!("@revoked * {ONE}"), "web1", 22, TWO, Unknown);
    case(&format!("@cert-authority * {ONE}"), "web1", 22, ONE, Unknown);
    case(&format!("@cert-authority * {ONE}\nweb1 {TWO}"), "web1", 22, TWO, Known);
    let known = known(&format!("@cert-authority *.example.com {ONE}"));
    assert!(known.has_authority("a.example.com", 22) && !known.has_authority("example.org", 22));
}

#[test]
fn white_space_and_comments() {
    use Short::*;
    let spaced = ONE.replace(' ', " \t");
    case(&format!("  # web1 {TWO}\n\n\tweb1\t  {spaced} a comment # more\r\n"), "web1", 22, ONE, Known);
    case(&format!("web1 {ONE}#x"), "web1", 22, ONE, Unknown);
}

#[test]
fn a_broken_line_is_named_and_the_next_one_read() {
    let known = known(&format!(
        "web1\nweb1 ssh-ed25519 AAAA\nweb1 ssh-rsa {}\n|1|x|y {ONE}\n@what web1 {ONE}\nweb1 {ONE}\n",
        ONE.split_once(' ').unwrap().1
    ));
    assert_eq!(known.check("web1", 22, &key(ONE)), Verdict::Known);
    assert_eq!(known.warnings().len(), 5, "{:?}", known.warnings());
    assert!(known.warnings()[0].starts_with("known_hosts:1: "), "{:?}", known.warnings());
    let mut bytes = KnownHosts::default();
    bytes.read(Path::new("k"), &[b"\xff\xfe web1\nweb1 ", ONE.as_bytes()].concat()).unwrap();
    assert_eq!((bytes.warnings().len(), bytes.lines.len()), (1, 1));
}

#[test]
fn a_revocation_that_cannot_be_read_is_an_error() {
    for line in ["@revoked", "@revoked web1 ssh-ed25519 AAAA", " \t@revoked * ssh-rsa AAAA"] {
        let error = KnownHosts::default().read(Path::new("k"), format!("\n{line}\n").as_bytes());
        assert!(error.is_err_and(|error| error.message().starts_with("k:2: ")), "{line}");
    }
}

#[test]
fn expected_fingerprints_and_types() {
    let known = known(&format!("web1 {EC}\nweb1 {TWO}\n[web1]:2222 {ONE}"));
    let Verdict::Changed { expected, at } = known.check("web1", 22, &key(ONE)) else { panic!() };
    assert_eq!((expected.len(), at.as_str()), (2, "known_hosts:1"));
    assert!(expected[0].starts_with("ecdsa-sha2-nistp256 SHA256:"), "{expected:?}");
    let types: Vec<String> = known.key_types("web1", 2222).iter().map(ToString::to_string).collect();
    assert_eq!(types, ["ssh-ed25519", "ecdsa-sha2-nistp256"]);
}

#[test]
fn globs_do_not_explode() {
    assert!(glob(b"a*b*c", b"axxbxxc") && glob(b"*", b"") && glob(b"**", b"x") && glob(b"a?", b"ab"));
    assert!(!glob(b"a*b", b"axxc") && !glob(b"", b"x") && !glob(b"?", b"") && !glob(b"a", b"ab"));
    assert!(!glob(&b"*a".repeat(200), &b"b".repeat(10_000)));
}

#[test]
fn files_are_read_in_order_and_must_be_readable() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    std::fs::write(&second, format!("web1 {ONE}\n")).unwrap();
    let known = KnownHosts::load(&[first, second]).unwrap();
    assert_eq!(known.check("web1", 22, &key(ONE)), Verdict::Known);
    let error = KnownHosts::load(&[dir.path().to_owned()]).unwrap_err(); // a directory cannot be read
    assert!(error.message().starts_with("cannot read the known hosts in "), "{error}");
}

/// Which lines of a file `ssh-keygen -F` finds for a name.
fn oracle(file: &Path, name: &str) -> Vec<usize> {
    let found = Command::new("ssh-keygen").args(["-F", name, "-f"]).arg(file).output().unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("# Host ")?.split("line ").nth(1)?.split(' ').next()?.parse().ok())
        .collect()
}

#[test]
fn finds_the_lines_that_ssh_keygen_finds() {
    let fields = "web1 Web1 web1,web2 web* web? !web1,web* web*,!web1 * [web1]:2222 [web*]:2222 [web1]:22 *.example.com \
                  10.0.0.? 10.0.0.1 ::1 [::1]:2222 we web1x !* ? web1, ,web2 a*b*c";
    let names = "web1:22 WEB1:22 web2:22 web12:22 web1:2222 web2:2222 a.example.com:22 example.com:22 10.0.0.1:22 \
                 10.0.0.12:22 ::1:22 ::1:2222 axbxc:22 db:2222";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("known_hosts");
    let content: String = fields.split(' ').map(|field| format!("{field} {ONE}\n")).collect();
    std::fs::write(&file, &content).unwrap();
    compare(&file, names);
    // The same with the names hashed, as far as ssh-keygen hashes them.
    assert!(Command::new("ssh-keygen").arg("-q").arg("-H").arg("-f").arg(&file).output().unwrap().status.success());
    assert!(std::fs::read_to_string(&file).unwrap().contains("|1|"));
    compare(&file, names);
}

#[track_caller]
fn compare(file: &Path, names: &str) {
    let known = KnownHosts::load(&[file.to_owned()]).unwrap();
    for name in names.split(' ') {
        let (name, port) = name.rsplit_once(':').unwrap();
        let name = lookup_name(name, port.parse().unwrap());
        let ours: Vec<usize> = known.matching(&name).map(|found| line(&found.at)).collect();
        assert_eq!(ours, oracle(file, &name), "{name} in {}", std::fs::read_to_string(file).unwrap());
    }
}
