//! Steps of a rotation, as their authors write them: well, badly, and against us. Each is a real script in a directory of its own.

use data_encoding::{BASE64, HEXLOWER};
use distribute::provider::{Answer, Call, Program, StepGroup, Trouble, call};
use distribute::words::Secret;
use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const OLD: &str = "old-correct-horse-battery";
const NEW: &str = "new-Tr0ub4dor&3/staple+\"x";

/// A directory with steps. While it lives no other test has children: a step's orphans become ours.
struct World {
    dir: TempDir,
    deadline: Duration,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { dir: tempfile::tempdir().unwrap(), deadline: Duration::from_secs(60), _alone: alone }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &[u8], mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn find(&self, argv: &[&str]) -> distribute::words::Result<Program> {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        Program::find(&argv, self.dir.path(), self.deadline)
    }

    #[track_caller]
    fn refused(&self, argv: &[&str], expected: &str) {
        let error = self.find(argv).expect_err("it was found");
        let whole = format!("{error} {}", error.hints().join(" "));
        assert!(whole.contains(expected), "{whole:?} lacks {expected:?}");
    }

    fn program(&self, script: &str) -> Program {
        self.write("steps/step", format!("#!/bin/sh\n{script}\n").as_bytes(), 0o755);
        self.find(&["steps/step", "an argument"]).unwrap()
    }

    fn run(&self, step: &str, script: &str) -> Result<Answer, Trouble> {
        let (old, new) = (Secret::new(OLD), Secret::new(NEW));
        call(&self.program(script), &told(step, &old, &new), &[], &|_| (), &|| false)
    }

    #[track_caller]
    fn said(&self, script: &str) -> String {
        self.run("set", script).unwrap().said
    }

    #[track_caller]
    fn trouble(&self, step: &str, script: &str) -> Trouble {
        let trouble = self.run(step, script).expect_err("it went well");
        for text in [OLD, NEW] {
            assert!(!format!("{trouble:?}").contains(text), "{trouble:?}");
        }
        trouble
    }

    /// The process that a step wrote down is gone, and collected.
    #[track_caller]
    fn assert_gone(&self, file: &str) {
        for pid in fs::read_to_string(self.path(file)).unwrap().split_whitespace() {
            assert!(!Path::new("/proc").join(pid).exists(), "process {pid} of {file} is still there");
        }
    }
}

fn told<'a>(step: &'a str, old: &'a Secret, new: &'a Secret) -> Call<'a> {
    let (secret, run) = ("postgres.PASSWORD", "42-20261121T020000Z-7f3a");
    Call { step, secret, host: None, run, old: Some(old), new: Some(new), old_public: None, new_public: None }
}

#[test]
fn a_program_is_looked_at_before_anything_begins() {
    let world = World::new();
    world.refused(&[], "names no program");
    world.refused(&["steps/none"], "relative to the playbook's directory");
    world.refused(&["no-such-program-anywhere"], "not in PATH");
    fs::create_dir(world.path("steps")).unwrap();
    world.refused(&["./steps"], "not a program");
    world.write("steps/a", b"#!/bin/sh\n", 0o644);
    world.refused(&["steps/a"], "chmod +x");
    world.write("steps/a", b"#!/bin/sh\n", 0o757);
    world.refused(&["steps/a"], "anybody on this machine may write to this");
    world.write("steps/a", b"#!/bin/sh\n", 0o775);
    let found = world.find(&["steps/a", "set"]).unwrap();
    assert_eq!(found.argv, [world.path("steps/a").canonicalize().unwrap().to_str().unwrap(), "set"]);
    fs::set_permissions(world.path("steps"), fs::Permissions::from_mode(0o777)).unwrap();
    world.refused(&["steps/a"], "chmod o-w");
    let found = world.find(&["sh", "-c", "exit"]).unwrap();
    assert!(found.argv[0].ends_with("/sh") && found.argv[0].starts_with('/'), "{:?}", found.argv);
}

#[test]
fn a_first_line_names_what_is_there() {
    let world = World::new();
    let case = |text: &str, expected: &str| {
        world.write("a", text.as_bytes(), 0o755);
        world.refused(&["./a"], expected);
    };
    case("echo hello\n", "names its interpreter");
    case("", "names its interpreter");
    case("#!/usr/bin/no-such-shell -x\n", "its interpreter /usr/bin/no-such-shell -x is not there");
    case("#!/usr/bin/env no-such-python\n", "its interpreter no-such-python is not there");
    case("#!/bin/sh\r\n", "end as on Windows");
    for text in ["#!/usr/bin/env sh\n", "#! /bin/sh\n", "#!/usr/bin/env -S sh -e\n", "#!/bin/sh"] {
        world.write("a", text.as_bytes(), 0o755);
        world.find(&["./a"]).unwrap();
    }
}

#[test]
fn a_step_is_told_everything_on_stdin() {
    let world = World::new();
    world.run("set", "cat >document; pwd >directory; echo \"$0 $*\" >arguments").unwrap();
    let document: serde_json::Value = serde_json::from_slice(&fs::read(world.path("document")).unwrap()).unwrap();
    let expected = serde_json::json!({"schema": "distribute.step/1", "step": "set", "secret": "postgres.PASSWORD", "host": null,
        "run": "42-20261121T020000Z-7f3a", "encoding": "utf-8", "old": OLD, "new": NEW, "old_public": null, "new_public": null});
    assert_eq!(document, expected);
    let here = world.dir.path().canonicalize().unwrap();
    assert_eq!(fs::read_to_string(world.path("directory")).unwrap().trim(), here.to_str().unwrap());
    let arguments = format!("{}/steps/step an argument\n", here.display());
    assert_eq!(fs::read_to_string(world.path("arguments")).unwrap(), arguments);
}

#[test]
fn a_value_that_is_no_text_is_base64() {
    let world = World::new();
    let (old, new) = (Secret::new(*b"\xff\xfe\x00 binary, and more"), Secret::new(NEW));
    let host = told("set", &old, &new);
    let answer = call(&world.program("cat"), &Call { host: Some("web1"), ..host }, &[], &|_| (), &|| false).unwrap();
    let document = answer.said;
    assert!(document.contains("\"encoding\":\"base64\",\"old\":\"[secret]\",\"new\":\"[secret]\""), "{document}");
    assert!(document.contains("\"host\":\"web1\""), "{document}");
}

#[test]
fn arguments_and_environment_hold_no_value() {
    let world = World::new();
    // The step looks for what it reads on stdin among its own arguments and variables.
    let script = "cat >document; tr '\\0' '\\n' </proc/$$/environ >around; tr '\\0' '\\n' </proc/$$/cmdline >>around";
    world.run("set", script).unwrap();
    let around = fs::read_to_string(world.path("around")).unwrap();
    assert!(around.contains("an argument") && around.contains("PATH="), "{around}");
    for value in [OLD, NEW, &BASE64.encode(NEW.as_bytes()), &HEXLOWER.encode(NEW.as_bytes())] {
        assert!(!around.contains(value));
    }
}

/// The test below runs this one again, with a variable for us and one for steps.
#[test]
fn a_step_sees_no_variable_of_ours() {
    let world = World::new();
    let said = world.said("cat >/dev/null; echo \"ours=$DISTRIBUTE_TRIAL theirs=$TRIAL_OF_A_STEP\"");
    let theirs = std::env::var("TRIAL_OF_A_STEP").unwrap_or_default();
    assert_eq!(said, format!("ours= theirs={theirs}").trim_end());
}

#[test]
fn variables_for_steps_arrive_and_ours_do_not() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "a_step_sees_no_variable_of_ours"]);
    let _world = World::new();
    let output = again.env("DISTRIBUTE_TRIAL", "1").env("TRIAL_OF_A_STEP", "2").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn no_other_descriptor_is_inherited() {
    let world = World::new();
    let file = fs::File::create(world.path("left-open")).unwrap();
    let _open = nix::unistd::dup(&file).unwrap();
    let said = world.said("cat >/dev/null; ls -l /proc/$$/fd | tail -n +2 | sed 's/.*-> //'");
    assert!(said.contains("pipe:") && !said.contains("left-open"), "{said}");
}

#[test]
fn a_step_need_not_read() {
    let world = World::new();
    let large = Secret::new("x".repeat(1 << 20));
    for script in ["exit 0", "exec <&-; exit 0", "head -c 10 >/dev/null"] {
        let program = world.program(script);
        call(&program, &told("set", &large, &large), &[], &|_| (), &|| false).unwrap();
    }
    let trouble = call(&world.program("echo no >&2; exit 3"), &told("set", &large, &large), &[], &|_| (), &|| false);
    assert_eq!(trouble.unwrap_err().message, "`set` of postgres.PASSWORD ended with status 3: no");
    let answer = call(&world.program("wc -c"), &told("set", &large, &large), &[], &|_| (), &|| false).unwrap();
    assert!(answer.said.parse::<usize>().unwrap() > 2 << 20, "{}", answer.said);
}

#[test]
fn what_it_says_shows_no_secret() {
    let world = World::new();
    let field = "sed 's/.*\"new\":\"//; s/\",\"old_public.*//' | sed 's/\\\\\\\\\"/\"/'";
    let case = |how: &str| {
        let said = world.said(&format!("value=$({field}); {how}"));
        assert!(said.contains("[secret]"), "{how}: {said}");
        for piece in ["Tr0ub4dor", "staple", "VHIwdWI0ZG9y", "54723075623464"] {
            assert!(!said.contains(piece), "{how}: {said}");
        }
    };
    case("printf '%s\\n' \"it is $value!\"");
    case("printf '%s' \"$value\" >&2");
    case("printf '%s' \"$value\" | base64");
    case("printf '%s\\n' \"user:$value\" | base64 >&2");
    case("printf '%s' \"$value\" | od -An -v -tx1 | tr -d ' \\n'");
    case("printf '%.9s' \"$value\"; printf 'x' >flushed; printf '%s' \"${value#?????????}\"");
    case("printf '%s' \"$value\" | tr -d '\\n' | base64 | tr '+/' '-_'");
    case("head -c 9000 /dev/zero | tr '\\0' '.'; printf '%s' \"$value\"");
    assert_eq!(world.said("cat >/dev/null; echo 'as it should be'; echo and more >&2"), "as it should be and more");
}

#[test]
fn other_secrets_are_not_shown_either() {
    let world = World::new();
    let (old, new, also) = (Secret::new(OLD), Secret::new(NEW), Secret::new("the-administrators-own"));
    let script =
        "cat >/dev/null; echo the-administrators-own dGhlLWFkbWluaXN0cmF0b3JzLW93bg== shown-public >&2; exit 1";
    let public = Secret::new("shown-public");
    let told = Call { new_public: Some(&public), ..told("set", &old, &new) };
    let trouble = call(&world.program(script), &told, &[&also], &|_| (), &|| false).unwrap_err();
    assert_eq!(trouble.message, "`set` of postgres.PASSWORD ended with status 1: [secret] [secret] shown-public");
}

#[test]
fn much_is_said_and_little_kept() {
    let world = World::new();
    let script = "cat >/dev/null; head -c 10000000 /dev/zero | tr '\\0' x; head -c 10000000 /dev/zero | tr '\\0' y >&2; echo; echo the end >&2";
    let said = world.said(script);
    assert!(said.len() < 10_000 && said.starts_with('…') && said.ends_with("the end"), "{}", said.len());
    let trouble = world.trouble("set", &format!("{script}; exit 1"));
    assert!(trouble.message.len() < 600 && trouble.message.ends_with("the end"), "{}", trouble.message);
    let escapes = world.said("cat >/dev/null; printf '\\033[31mred\\007 \\377'");
    assert!(!escapes.chars().any(char::is_control), "{escapes:?}");
}

#[test]
fn generate_prints_the_value() {
    let world = World::new();
    let value = |script: &str| world.run("generate", &format!("cat >/dev/null; {script}")).unwrap();
    assert_eq!(value("echo fresh-and-secret").value.expose(), b"fresh-and-secret");
    assert_eq!(value("printf 'two\\n\\n'").value.expose(), b"two\n");
    assert_eq!(value("printf '\\377\\000'").value.expose(), b"\xff\x00");
    let answer = value("echo fresh-and-secret; echo made fresh-and-secret >&2");
    assert_eq!(answer.said, "made [secret]");
    assert_eq!(value("head -c 1048576 /dev/zero; echo").value.len(), 1 << 20);
    assert!(world.run("set", "cat >/dev/null; echo text").unwrap().value.is_empty());
}

#[test]
fn what_generate_must_not_print() {
    let world = World::new();
    let message = |script: &str| world.trouble("generate", &format!("cat >/dev/null; {script}")).message;
    assert_eq!(message("exit 0"), "`generate` of postgres.PASSWORD printed no value, and said nothing");
    assert_eq!(message("echo; echo why >&2"), "`generate` of postgres.PASSWORD printed no value: why");
    assert!(message("head -c 1048577 /dev/zero").contains("more than 1 MiB"));
    assert!(message("head -c 10000000 /dev/zero").contains("more than 1 MiB"));
    let failed = message("echo fresh-and-secret; echo no fresh-and-secret >&2; exit 1");
    assert_eq!(failed, "`generate` of postgres.PASSWORD ended with status 1: no [secret]");
}

#[test]
fn statuses_and_signals() {
    let world = World::new();
    let case = |script: &str, message: &str, hint: &str| {
        let trouble = world.trouble("set", script);
        assert_eq!(trouble.message, format!("`set` of postgres.PASSWORD {message}"));
        assert!(trouble.hint.as_deref().unwrap().contains(hint), "{trouble:?}");
    };
    case("echo connection refused >&2; exit 1", "ended with status 1: connection refused", "-v");
    case("exit 7", "ended with status 7, and said nothing", "should say on stderr");
    case("kill -9 $$", "was ended by SIGKILL, and said nothing", "memory");
    case("echo oh >&2; kill -SEGV $$", "was ended by SIGSEGV: oh", "crashed");
    let trouble = world.trouble("set", "no-such-program");
    assert!(trouble.hint.unwrap().contains("PATH"));
}

#[test]
fn what_cannot_be_started() {
    let world = World::new();
    let (old, new) = (Secret::new(OLD), Secret::new(NEW));
    let program = world.program("exit 0");
    let start = |text: &[u8], mode: u32| {
        world.write("steps/step", text, mode);
        call(&program, &told("set", &old, &new), &[], &|_| (), &|| false).unwrap_err()
    };
    let trouble = start(b"#!/no/such/interpreter\n", 0o755);
    assert!(trouble.message.contains("could not be started") && trouble.hint.unwrap().contains("interpreter"));
    let trouble = start(b"\x7fELF\0 of nowhere", 0o755);
    assert!(trouble.hint.as_deref().unwrap().contains("another machine"), "{trouble:?}");
    let trouble = start(b"#!/bin/sh\n", 0o644);
    assert!(trouble.hint.as_deref().unwrap().contains("chmod +x"), "{trouble:?}");
    fs::remove_dir_all(world.path("steps")).unwrap();
    let trouble = call(&program, &told("set", &old, &new), &[], &|_| (), &|| false).unwrap_err();
    assert!(trouble.hint.unwrap().contains("gone"));
}

#[test]
fn a_step_that_hangs_is_stopped() {
    let mut world = World::new();
    world.deadline = Duration::from_secs(2);
    let trouble = world.trouble("set", "echo $$ >pids; sleep 600 & echo $! >>pids; wait");
    let expected =
        "`set` of postgres.PASSWORD did not end within 2s, and was stopped; whether it took effect is not known";
    assert_eq!(trouble.message, expected);
    world.assert_gone("pids");
    // It is told politely first.
    world.trouble("set", "trap 'echo asked >asked; exit' TERM; while :; do sleep 0.05; done");
    assert_eq!(fs::read_to_string(world.path("asked")).unwrap(), "asked\n");
}

#[test]
fn a_step_that_does_not_listen_is_killed() {
    let mut world = World::new();
    world.deadline = Duration::from_secs(2);
    let trouble = world
        .trouble("set", "trap '' TERM; echo $$ >pids; setsid sleep 600 & echo $! >>pids; while :; do sleep 0.1; done");
    assert!(trouble.message.contains("did not end within 2s, and was stopped"), "{trouble:?}");
    world.assert_gone("pids");
}

#[test]
fn the_user_can_stop_a_step() {
    let world = World::new();
    let (old, new) = (Secret::new(OLD), Secret::new(NEW));
    let asked = Cell::new(0);
    let is_stopped = || {
        asked.set(asked.get() + 1);
        world.path("pids").exists()
    };
    let program = world.program("echo $$ >new; mv new pids; sleep 600");
    let trouble = call(&program, &told("revoke", &old, &new), &[], &|_| (), &is_stopped).unwrap_err();
    assert!(
        trouble.message.starts_with("`revoke` of postgres.PASSWORD was interrupted, and was stopped"),
        "{trouble:?}"
    );
    assert!(asked.get() > 0);
    world.assert_gone("pids");
}

#[test]
fn what_a_step_leaves_running_is_stopped() {
    let world = World::new();
    let quiet = |program: &str, words: &[&str]| {
        Command::new(program).args(words).stdin(Stdio::null()).stdout(Stdio::null()).spawn()
    };
    let mut ours = quiet("sleep", &["600"]).unwrap();
    let one = "`set` of postgres.PASSWORD left 1 process running, which was stopped: a step is done when it ends";
    let two = "`set` of postgres.PASSWORD left 2 processes running, which were stopped: a step is done when it ends";
    let case = |script: &str, expected: &str| {
        assert_eq!(world.trouble("set", script).message, expected);
        world.assert_gone("pids");
    };
    case("sleep 600 & echo $! >pids", one);
    case("setsid sleep 600 & echo $! >pids", one);
    case("sleep 600 </dev/null >/dev/null 2>&1 & echo $! >pids", one);
    case(
        "setsid sh -c 'echo $$ >pids; trap \"\" TERM HUP; sleep 600 & echo $! >>pids; wait' & while ! [ -s pids ]; do sleep 0.01; done",
        two,
    );
    // A daemon forks twice: nothing that the step knows is its parent.
    case("(setsid sh -c 'sleep 600 & echo $! >new; mv new pids' &) ; while ! [ -s pids ]; do sleep 0.01; done", one);
    assert!(ours.try_wait().unwrap().is_none(), "a process that is not the step's was ended");
    ours.kill().unwrap();
    ours.wait().unwrap();
}

#[test]
fn what_ends_a_moment_later_is_nothing_left() {
    let world = World::new();
    world.run("set", "cat >/dev/null; (sleep 0.02; echo $$ >late) &").unwrap();
    assert!(world.path("late").exists());
    assert!(!nix::sys::prctl::get_child_subreaper().unwrap(), "orphans come to us only while a step runs");
}

#[test]
fn whoever_holds_the_pipes_does_not_hold_us() {
    let world = World::new();
    let wait = "until [ -s \"$1\" ]; do sleep 0.01; done";
    // `held` is written when stdout is open.
    let script = format!("set -- pid; {wait}; exec 9>/proc/$(cat pid)/fd/1; echo yes >held; exec sleep 600");
    let mut holder = Command::new("sh").args(["-c", &script]).current_dir(world.dir.path()).spawn().unwrap();
    let answer = world.run("set", &format!("echo $$ >new; mv new pid; set -- held; {wait}; echo done"));
    assert_eq!(answer.unwrap().said, "done");
    assert!(holder.try_wait().unwrap().is_none());
    holder.kill().unwrap();
    holder.wait().unwrap();
}

/// Is run by the test below, which kills it meanwhile.
#[test]
fn a_step_that_waits() {
    let Some(script) = std::env::var_os("TRIAL_OF_A_STEP_THAT_WAITS") else { return };
    let world = World::new();
    world.run("set", script.to_str().unwrap()).unwrap();
}

#[test]
fn a_step_ends_when_we_are_killed() {
    let world = World::new();
    let pid = world.path("pid");
    let script = format!("echo $$ >{0}.new; mv {0}.new {0}; while [ -e {0} ]; do sleep 0.05; done", pid.display());
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "a_step_that_waits"]).env("TRIAL_OF_A_STEP_THAT_WAITS", script);
    let mut us = again.stdout(Stdio::null()).spawn().unwrap();
    wait("the step", || pid.exists());
    let stat = format!("/proc/{}/stat", fs::read_to_string(&pid).unwrap().trim());
    assert!(is_alive(&stat));
    us.kill().unwrap();
    us.wait().unwrap();
    wait("the end of the step", || !is_alive(&stat));
}

/// Nobody may collect it when it has ended.
fn is_alive(stat: &str) -> bool {
    let text = fs::read_to_string(stat).unwrap_or_default();
    text.rsplit_once(") ").is_some_and(|(_, words)| !words.starts_with('Z'))
}

#[track_caller]
fn wait(what: &str, mut is_true: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_true() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn whoever_starts_a_step_hears_of_it_before_the_step_hears_anything() {
    let world = World::new();
    let (old, new, heard) = (Secret::new(OLD), Secret::new(NEW), RefCell::new(Vec::new()));
    let program = world.program("echo $$; [ ! -e begun ] || exit 1; cat >/dev/null; : >begun");
    let on_start = |step: &StepGroup| {
        assert!(!world.path("begun").exists());
        heard.borrow_mut().push(step.to_string());
    };
    let answer = call(&program, &told("set", &old, &new), &[], &on_start, &|| false).unwrap();
    let [heard] = &heard.borrow()[..] else { panic!("{heard:?}") };
    assert_eq!(heard.split(' ').next(), Some(answer.said.as_str()));
    assert_eq!(heard.parse::<StepGroup>().unwrap().stop().unwrap(), 0, "nothing is left");
}
