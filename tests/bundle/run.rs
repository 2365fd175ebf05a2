//! `run`: a program gets its variables, and signals and exit code are its own.

use super::room::{POISON, Room, Said};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

/// In hexadecimal, since the room looks for the poison in everything that is said.
const PRINT: &str = "printf '%s' \"$SECRET\" | od -An -tx1 | tr -d ' \\n'";

fn shown() -> String {
    POISON.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// A host's directory: its password file, and secrets as a play puts them there.
fn host(room: &Room) {
    room.run(&["keygen", "-o", "host/vault-password"]).ok();
}

fn with_secrets() -> Room {
    let room = Room::empty();
    room.put("host/secrets/aws.env", &format!("# comment\nID=1\nSECRET={POISON}\n"));
    host(&room);
    room
}

fn run(room: &Room, args: &[&str]) -> Said {
    room.run(&[&["run", "-C", "host"], args].concat())
}

#[test]
fn the_program_gets_the_values_and_its_end_is_ours() {
    let room = with_secrets();
    let said = run(&room, &["--service", "aws", "--", "sh", "-c", &format!("{PRINT}; exit 7")]);
    assert_eq!((said.stdout, said.code), (shown(), 7));
    assert_eq!(run(&room, &["--service", "aws", "--", "no-such-program"]).code, 127);
    assert_eq!(run(&room, &["--service", "aws", "--", "/etc/passwd"]).code, 126);
    let limits = run(&room, &["--service", "aws", "--", "sh", "-c", "ulimit -Sc; ulimit -Sn"]).ok().stdout;
    let here = std::process::Command::new("sh").args(["-c", "ulimit -Sc; ulimit -Sn"]).output().unwrap().stdout;
    assert_eq!(limits.as_bytes(), here, "what protects us is not the program's");
}

#[test]
fn signals_are_the_programs() {
    let room = with_secrets();
    let mut command =
        room.command(&["run", "-C", "host", "--service", "aws", "--", "sh", "-c", "echo up; read -r never"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert_eq!(std::fs::read(format!("/proc/{}/comm", child.id())).unwrap(), b"sh\n", "it is in our place");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

#[test]
fn what_is_sealed_is_opened_by_the_hosts_own_password_file() {
    let room = with_secrets();
    let public = std::fs::read_to_string(room.path("host/vault-password")).unwrap();
    let public = public.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
    let age = std::process::Command::new("age")
        .args(["-r", &public, "-o", "host/secrets/aws.env.age", "host/secrets/aws.env"])
        .current_dir(room.path("."))
        .status();
    assert!(age.unwrap().success());
    std::fs::remove_file(room.path("host/secrets/aws.env")).unwrap();
    let args = ["--service", "aws", "--", "sh", "-c", PRINT];
    assert_eq!(run(&room, &args).ok().stdout, shown());
    room.run_with(&["run", "--file", "host/secrets/aws.env.age", "--service", "aws", "--", "true"], b"", &[]).ok();
    std::fs::rename(room.path("host/vault-password"), room.path("away")).unwrap();
    let said = run(&room, &args);
    assert!(said.code == 1 && said.stderr.contains("nothing at hand opens it"), "{}", said.stderr);
}

#[test]
fn the_bundle_gives_them_too_with_a_hosts_overrides() {
    let room = Room::furnished();
    room.put("inventory/hosts.toml", "[hosts]\nweb1 = { groups = ['web'] }\n");
    let id = ["--", "sh", "-c", "echo $ID"];
    assert_eq!(room.run(&[&["run", "--service", "aws"], &id[..]].concat()).ok().stdout, "1\n");
    assert_eq!(room.run(&[&["run", "--service", "aws", "--host", "web1"], &id[..]].concat()).ok().stdout, "2\n");
    room.run(&["run", "--service", "aws", "--host", "web2", "--", "true"]).fails("web2");
    let typo = room.run(&["run", "--service", "awx", "--", "true"]);
    assert!(typo.fails("no variables of awx").stderr.contains("did you mean aws?"));
}

#[test]
fn a_file_for_each_key_is_read_as_it_is() {
    let room = Room::empty();
    room.put("host/secrets/api/TOKEN", "two\nlines");
    room.put("host/secrets/api/not a key", "x");
    let said = run(&room, &["--service", "api", "--", "sh", "-c", "printf '%s' \"$TOKEN\"; env | grep -c 'not a key'"]);
    assert_eq!(said.stdout, "two\nlines0\n");
}

#[test]
fn other_formats_are_read_as_their_readers_do() {
    let room = Room::empty();
    room.put("host/secrets/j.json", "{\"A\": \"x\\ny\"}\n");
    room.put("host/secrets/s.env", "A='it'\\''s'\n");
    room.put("host/secrets/m.env", "# distribute: shell\nA='it'\\''s'\n");
    let print = ["--", "sh", "-c", "printf '%s' \"$A\""];
    assert_eq!(run(&room, &[&["--service", "j"], &print[..]].concat()).ok().stdout, "x\ny");
    let shell = run(&room, &[&["--service", "s", "--format", "shell"], &print[..]].concat());
    assert_eq!(shell.ok().stdout, "it's");
    let docker = run(&room, &[&["--service", "s"], &print[..]].concat());
    assert_eq!(docker.ok().stdout, "'it'\\''s'", "as docker would");
    let marked = run(&room, &[&["--service", "m"], &print[..]].concat());
    assert_eq!(marked.ok().stdout, "it's", "its first line says how it is written");
    assert_eq!(run(&room, &[&["--service", "s", "--format", "dcoker"], &print[..]].concat()).code, 1);
}

#[test]
fn what_is_not_there_is_refused_unless_told_otherwise() {
    let room = with_secrets();
    let said = run(&room, &["--service", "api", "--", "true"]).fails("no variables of api");
    assert!(said.stderr.contains("host/secrets"), "{}", said.stderr);
    let own = [("TOKEN", "from outside")];
    let args = [
        "run",
        "-C",
        "host",
        "--service",
        "api",
        "--or-environment",
        "--require",
        "TOKEN",
        "--",
        "sh",
        "-c",
        "echo $TOKEN",
    ];
    assert_eq!(room.run_with(&args, b"", &own).ok().stdout, "from outside\n");
    room.run_with(&args, b"", &[]).fails("TOKEN has no value");
    run(&room, &["--service", "aws", "--require", "MISSING", "--", "true"]).fails("MISSING has no value");
    run(&room, &["--service", "aws", "--require", "ID", "--", "true"]).ok();
    let args = ["--service", "aws", "--check", "-o", "json", "--", "sh"];
    let report: serde_json::Value = serde_json::from_str(&run(&room, &args).ok().stdout).unwrap();
    assert_eq!(
        (&report["schema"], &report["variables"]),
        (&"distribute.run/1".into(), &serde_json::json!(["ID", "SECRET"]))
    );
    let check = run(&room, &["--service", "aws", "--check", "--", "sh", "-c", "echo ran"]).ok();
    assert!(check.stdout.is_empty() && check.stderr.contains("would run sh with 2 variables: ID, SECRET"));
    room.chmod("host/secrets/aws.env", 0o666);
    run(&room, &["--service", "aws", "--", "true"]).fails("can be written by everybody");
    room.run(&["run", "--secrets", "host/secrets", "--service", "aws", "--", "true"]).fails("everybody can write it");
}

/// A host that is set up is a story of the fleet; here its enrolment is written by hand.
#[test]
fn what_is_sealed_for_a_host_arrives_byte_for_byte() {
    let room = Room::empty();
    room.put("host/keep", "");
    room.run(&["keygen", "-o", "host/vault-password"]).ok();
    room.put("in/bundle.toml", "[enrolments.web1]\nservices = [\"api\", \"tls\"]\n");
    room.put("in/services/api.env", "PLAIN=1\n#: escaped\nTWO=one\\ntwo\\r\nQUOTES=it's \"q\" $HOME # `x`\n");
    room.put("in/services/tls/cert.pem", "x");
    let identity = std::fs::read_to_string(room.path("host/vault-password")).unwrap();
    room.put("in/keys/hosts/web1", &identity);
    let tar = std::process::Command::new("tar")
        .args(["czC", "in", "bundle.toml", "services", "keys"])
        .current_dir(room.path("."))
        .output();
    room.seal_by_hand(&tar.unwrap().stdout);
    room.put("inventory/hosts.toml", "[hosts]\nweb1 = {}\n");
    let sealed = room.command(&["bundle", "seal", "api", "--for", "web1"]).output().unwrap();
    assert!(sealed.status.success(), "{}", String::from_utf8_lossy(&sealed.stderr));
    room.put_private("host/api.env.age", &sealed.stdout);
    let print = ["--", "sh", "-c", "printf '%s|%s' \"$TWO\" \"$QUOTES\""];
    let said = room.run(&[&["run", "--service", "api", "--file", "host/api.env.age"], &print[..]].concat()).ok();
    assert_eq!(said.stdout, "one\ntwo\r|it's \"q\" $HOME # `x`");
    room.run(&["bundle", "seal", "api", "--for", "web1", "--format", "docker"]).fails("key `TWO`");
    room.run(&["bundle", "seal", "tls", "--for", "web1"]).fails("tls has no variables, only files");
    room.run(&["bundle", "seal", "other", "--for", "web1"]).fails("not enrolled for other");
}

#[test]
fn what_somebody_else_put_in_the_way_is_not_run() {
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: needs root");
    }
    let room = Room::empty();
    room.put("shared/secrets/aws.env", "ID=evil\n");
    room.put("shared/work/x", "");
    for path in ["shared", "shared/secrets", "shared/secrets/aws.env"] {
        std::os::unix::fs::chown(room.path(path), Some(65534), None).unwrap();
    }
    let args = ["run", "-C", "shared/work", "--service", "aws", "--", "sh", "-c", "echo $ID"];
    room.run(&args).fails("belongs to user 65534");
    let named = ["run", "--secrets", "shared/secrets", "--service", "aws", "--", "sh", "-c", "echo $ID"];
    assert_eq!(room.run(&named).ok().stdout, "evil\n", "somebody named it");
}
