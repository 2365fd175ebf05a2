//! What is wrong before anything is connected: one clear error, exit 1, no connection, nothing changed.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const POISON: &str = "p0ison-plan-4711";

/// A project with one SSH host that counts who knocks.
struct Project {
    directory: tempfile::TempDir,
    listener: TcpListener,
}

impl Project {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let project = Self { directory: tempfile::tempdir().unwrap(), listener };
        let port = project.listener.local_addr().unwrap().port();
        project.put(
            "inventory/hosts.toml",
            &format!("[hosts]\nh1 = {{ address = \"127.0.0.1\", port = {port} }}\nl1 = {{ connection = \"local\" }}\n"),
        );
        project.put(
            "playbooks/app.toml",
            &format!(
                "[[play]]\nname = \"app\"\nhosts = \"all\"\nroot = \"{}/root\"\n[[play.service]]\nname = \"aws\"\n",
                project.directory.path().display()
            ),
        );
        project.put("in/aws.env", &format!("ID=1\nSECRET={POISON}\n"));
        project.put("in/api.env", "ID=2\n");
        project.run(&["keygen", "-o", "key"]);
        let key = fs::read_to_string(project.path("key")).unwrap();
        let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
        assert_eq!(project.run(&["bundle", "create", "in", "--recipient", &recipient]).status.code(), Some(0));
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_distribute"));
        command.args(args).current_dir(self.directory.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.directory.path());
        if self.path("key").exists() {
            command.env("DISTRIBUTE_IDENTITY", "key");
        }
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn feed(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut child =
            self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        child.wait_with_output().unwrap()
    }

    /// `setup` and `deploy` both refuse with these words; nobody knocked, nothing changed, and nothing was told.
    #[track_caller]
    fn refuses(&self, words: &[&str]) {
        self.refuses_with(&[], words);
    }

    #[track_caller]
    fn refuses_with(&self, more: &[&str], words: &[&str]) {
        let bundle = fs::read(self.path("secrets.age")).unwrap();
        for command in ["setup", "deploy", "status"] {
            let output = self.run(&[&[command], more].concat());
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{command}: {stderr}");
            assert!(output.stdout.is_empty(), "{command}: no result");
            assert!(stderr.starts_with("error: ") && !stderr.contains(POISON), "{command}: {stderr}");
            for word in words {
                assert!(stderr.contains(word), "{command}: {word}: {stderr}");
            }
        }
        assert!(self.listener.accept().is_err(), "somebody connected");
        assert!(fs::read(self.path("secrets.age")).unwrap() == bundle && !self.path("root").exists());
    }
}

#[test]
fn a_value_that_the_format_cannot_hold_is_named_by_service_and_key() {
    for (value, what) in [(&b"a\nb"[..], "newline"), (b"a\0b", "NUL"), (b"a\rb", "carriage return")] {
        let project = Project::new();
        assert_eq!(project.feed(&["bundle", "set", "aws.BAD"], value).status.code(), Some(0));
        project.refuses(&["`aws`", "`BAD`", what, "hint: "]);
    }
}

#[test]
fn a_union_of_two_values_for_one_key_is_refused() {
    let project = Project::new();
    let play = fs::read_to_string(project.path("playbooks/app.toml")).unwrap();
    project.put(
        "playbooks/app.toml",
        &format!("{play}[[play.service]]\nname = \"api\"\n[[play.service]]\nname = \"all\"\ninclude = [\"*\"]\n"),
    );
    project.refuses(&["`aws` and `api` give `ID` different values", "hint: "]);
}

#[test]
fn a_service_that_the_bundle_lacks_is_named_with_the_nearest() {
    let project = Project::new();
    let play = fs::read_to_string(project.path("playbooks/app.toml")).unwrap();
    project.put("playbooks/app.toml", &play.replace("\"aws\"", "\"awss\""));
    project.refuses(&["`awss`", "hint: did you mean `aws`?"]);
}

#[test]
fn an_unknown_host_is_named_with_the_nearest() {
    Project::new().refuses_with(&["--hosts", "h9"], &["h9", "hint: did you mean \"h1\"?"]);
    Project::new().refuses_with(&["--hosts", "h1,zebra"], &["zebra"]);
    Project::new().refuses_with(&["--hosts", "h1:!h1"], &["h1"]);
}

#[test]
fn unknown_keys_are_named_with_place_and_suggestion() {
    let project = Project::new();
    project.put("inventory/more.toml", "[hosts]\nh2 = { adress = \"127.0.0.1\" }\n");
    project.refuses(&["inventory/more.toml:2", "\"adress\"", "did you mean \"address\"?"]);
    let project = Project::new();
    let play = fs::read_to_string(project.path("playbooks/app.toml")).unwrap();
    project.put(
        "playbooks/app.toml",
        &play.replace("name = \"aws\"", "name = \"aws\"\non_chnage = { command = [\"true\"] }"),
    );
    project.refuses(&["playbooks/app.toml", "\"on_chnage\"", "did you mean \"on_change\"?"]);
}

#[test]
fn inventories_with_what_could_become_an_option_or_a_command_are_refused() {
    for bad in [
        "address = \"-oProxyCommand=x\"",
        "user = \"-l\"",
        "address = \"a;b\"",
        "address = \"$(x)\"",
        "ssh_common_args = \"x\"",
        "become = \"su\"",
    ] {
        let project = Project::new();
        project.put("inventory/more.toml", &format!("[hosts]\nh2 = {{ {bad} }}\n"));
        project.refuses(&["inventory/more.toml:2"]);
    }
}

#[test]
fn a_wrong_key_or_password_opens_nothing() {
    let project = Project::new();
    fs::remove_file(project.path("key")).unwrap();
    project.run(&["keygen", "-o", "key"]);
    project.refuses(&["secrets.age", "key"]);
    project.put("vault-password", "wrong\n");
    project.refuses(&["vault-password", "0644", "chmod 600"]);
    fs::set_permissions(project.path("vault-password"), fs::Permissions::from_mode(0o600)).unwrap();
    project.refuses(&["secrets.age"]);
}

#[test]
fn an_older_bundle_is_refused_by_this_machine() {
    let project = Project::new();
    let old = fs::read(project.path("secrets.age")).unwrap();
    assert_eq!(project.feed(&["bundle", "set", "aws.ID"], b"2").status.code(), Some(0));
    fs::write(project.path("secrets.age"), old).unwrap();
    project.refuses(&["generation 1", "generation 2 was seen", "git"]);
    let set = project.feed(&["bundle", "set", "aws.ID"], b"3");
    assert_eq!(set.status.code(), Some(1), "nor is it written over");
}

#[test]
fn a_checked_setup_writes_nothing_here_either() {
    let project = Project::new();
    let list = |project: &Project| {
        let mut names: Vec<_> = walkdir::WalkDir::new(project.directory.path())
            .into_iter()
            .map(|entry| {
                let entry = entry.unwrap();
                let meta = entry.metadata().unwrap();
                (entry.path().to_owned(), meta.modified().unwrap(), meta.len())
            })
            .collect();
        names.sort();
        names
    };
    let before = list(&project);
    let output = project.run(&["setup", "--check", "--hosts", "l1"]);
    // As root there is a plan; as anybody else the playbook's owner, root, is refused. Neither writes.
    assert!(matches!(output.status.code(), Some(0 | 2)), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(list(&project), before);
}

#[test]
fn help_starts_no_thread_and_usage_errors_are_1() {
    let project = Project::new();
    assert_eq!(project.run(&["--help"]).status.code(), Some(0));
    for wrong in
        [&["deplyo"][..], &["deploy", "--hsots", "x"], &[], &["deploy", "--forks", "0"], &["deploy", "-o", "xml"]]
    {
        let output = project.run(wrong);
        assert_eq!(output.status.code(), Some(1), "{wrong:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{wrong:?}");
    }
    let trace = project.path("trace");
    let strace = Command::new("strace")
        .args(["-f", "-e", "trace=clone,clone3,fork,vfork", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_distribute"))
        .arg("--help")
        .output();
    match strace {
        Ok(output) if output.status.success() => {
            let trace = fs::read_to_string(trace).unwrap();
            assert!(trace.contains("exited with 0") && !trace.contains("clone") && !trace.contains("fork"), "{trace}");
        }
        _ => eprintln!("skipped: strace is not here, or may not trace"),
    }
}

#[test]
fn the_process_leaves_no_core() {
    let project = Project::new();
    let editor = project.path("editor");
    fs::write(&editor, "#!/bin/sh\ncat /proc/$PPID/limits >limits\n").unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o700)).unwrap();
    let output = project.command(&["bundle", "edit", "aws"]).env("EDITOR", &editor).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let limits = fs::read_to_string(project.path("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
}

#[test]
fn an_error_is_a_document_too() {
    let output = Project::new().run(&["deploy", "-o", "json", "--hosts", "h9"]);
    assert_eq!(output.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "distribute.error/1");
    assert!(document["error"]["message"].as_str().unwrap().contains("h9"));
    assert_eq!(document["error"]["hints"][0], "did you mean \"h1\"?");
}

#[test]
fn a_usage_error_is_a_document_too() {
    let project = Project::new();
    let error = |mut command: Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(!output.stderr.is_empty(), "people are told as well");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["schema"], "distribute.error/1");
        (document["error"]["message"].as_str().unwrap().to_owned(), document["error"]["hints"].clone())
    };
    let (message, hints) = error(project.command(&["deploy", "--hots", "h1", "-o", "json"]));
    assert_eq!(message, "unexpected argument '--hots' found");
    assert_eq!(hints, serde_json::json!(["a similar argument exists: '--hosts'"]));
    let (message, hints) = error(project.command(&["schedule", "print", "--cron", "--audit-at", "25:00", "-qojson"]));
    assert_eq!(message, "invalid value '25:00' for '--audit-at <TIME>': `25:00` is not a time to run at");
    assert!(hints[0].as_str().unwrap().starts_with("write a time, 03:00"), "{hints}");
    let (message, _) = error(project.command(&["schedule", "print", "--output=json"]));
    assert_eq!(message, "the following required arguments were not provided: <--systemd|--cron>");
    let (message, _) = error(project.command(&["-o", "json", "bundle"]));
    assert!(message.starts_with("'distribute bundle' requires a subcommand"), "{message}");
    let mut bare = project.command(&[]);
    bare.env("DISTRIBUTE_OUTPUT", "json");
    assert!(error(bare).0.starts_with("'distribute' requires a subcommand"));
    let mut exported = project.command(&["deplyo"]);
    exported.env("DISTRIBUTE_OUTPUT", "json");
    assert_eq!(error(exported).1[0], "a similar subcommand exists: 'deploy'");
}

#[test]
fn usage_for_people_is_no_document() {
    let project = Project::new();
    for words in [&["deploy", "--hots"][..], &["keygen", "-o", "json", "--bad"], &["deploy", "--bad", "-o", "human"]] {
        let output = project.run(words);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{words:?}");
    }
    for words in [&["-o", "json", "--help"][..], &["-o", "json", "--version"], &["deploy", "-o", "json", "-h"]] {
        let output = project.run(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(!output.stdout.starts_with(b"{") && output.stderr.is_empty(), "{words:?}");
    }
}

#[test]
fn a_reader_that_went_away_hides_no_failure() {
    let project = Project::new();
    assert_eq!(project.run(&["deploy"]).status.code(), Some(2), "no host was set up");
    let mut child = project.command(&["deploy"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = project.command(&["deploy"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("writing to stdout"));
}
