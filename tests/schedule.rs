//! Schedules as systemd and cron themselves read them: the real program writes, and systemd-analyze, crontab and cron judge.
//! What is not installed, and what needs root, is said and skipped.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Everything that sh, systemd and cron would read otherwise.
const STRANGE: &str = "it's a \"fine\" 50%h $HOME ${X} `id` ; # ä&|<>*~!";

struct Story {
    directory: TempDir,
    project: PathBuf,
}

impl Story {
    /// The repository's own example, in a directory of this name.
    fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let project = directory.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(project.join("inventory")).unwrap();
        fs::create_dir(project.join("playbooks")).unwrap();
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in ["inventory/hosts.toml", "playbooks/callableapis.toml", "secrets.age"] {
            fs::copy(own.join(file), project.join(file)).unwrap();
        }
        let password = project.join("vault-password");
        fs::copy(own.join("tests/example-password"), &password).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        Self { directory, project }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// In a mount namespace, where the crontabs of this machine are out of reach.
    fn command(&self, words: &[&str], crontabs: Option<&Path>) -> Command {
        let program = env!("CARGO_BIN_EXE_distribute");
        let mut command = match crontabs {
            Some(crontabs) => in_place_of_crontabs(crontabs, program),
            None => Command::new(program),
        };
        command.args(words).current_dir(&self.project).env_clear().env("PATH", PATH).env("HOME", self.path("home"));
        command.stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        said(self.command(words, None).output().unwrap())
    }

    /// With a state directory of the user's, relative and of a strange name, and fewer hosts at one time.
    #[track_caller]
    fn run_exported(&self, words: &[&str]) -> String {
        let mut command = self.command(words, None);
        command.env("DISTRIBUTE_STATE_DIR", STRANGE).env("DISTRIBUTE_FORKS", "7");
        said(command.output().unwrap())
    }

    fn units(&self) -> PathBuf {
        self.path("units")
    }

    /// `schedule install --systemd`, into a directory of the story.
    #[track_caller]
    fn install(&self, words: &[&str]) -> Value {
        let units = self.units();
        let head = ["schedule", "install", "--systemd", "-o", "json", "--directory", units.to_str().unwrap()];
        serde_json::from_str(&self.run(&[&head, words].concat())).unwrap()
    }

    fn error(&self, words: &[&str]) -> String {
        let done = self.command(words, None).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{words:?}");
        String::from_utf8(done.stderr).unwrap()
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[track_caller]
fn said(done: Output) -> String {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(done.stdout), text(done.stderr));
    assert!(done.status.success(), "{}\n{stdout}\n{stderr}", done.status);
    stdout
}

fn in_place_of_crontabs(crontabs: &Path, program: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" /var/spool/cron && shift && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(crontabs).arg(program);
    command
}

fn has(program: &str) -> bool {
    let found = PATH.split(':').any(|directory| Path::new(directory).join(program).exists());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

fn outcomes(installed: &Value) -> Vec<&str> {
    installed["files"].as_array().unwrap().iter().map(|file| file["outcome"].as_str().unwrap()).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const UNITS: [&str; 8] = [
    "distribute-audit.service",
    "distribute-audit.timer",
    "distribute-backup.service",
    "distribute-backup.timer",
    "distribute-drill.service",
    "distribute-drill.timer",
    "distribute-rotate.service",
    "distribute-rotate.timer",
];

#[test]
fn systemd_has_nothing_to_say_about_our_units() {
    if !has("systemd-analyze") {
        return;
    }
    for name in ["plain", STRANGE] {
        let story = Story::new(name);
        let units = story.units();
        let install = ["schedule", "install", "--systemd", "--directory", units.to_str().unwrap()];
        story.run_exported(&[&install[..], &["--rotate-at", "sat 23:30"]].concat());
        assert_eq!(names(&units), UNITS);
        assert!(fs::read_to_string(units.join(UNITS[0])).unwrap().contains("\nEnvironment=\"DISTRIBUTE_STATE_DIR=/"));
        let mut verify = Command::new("systemd-analyze");
        // It exits 0 on keys that it does not know, and says so.
        let done = verify.args(["verify", "--man=no"]).args(UNITS.map(|unit| story.units().join(unit))).output();
        let done = done.unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        let about_us: Vec<&str> = stderr.lines().filter(|line| line.contains("distribute-")).collect();
        assert!(done.status.success() && about_us.is_empty(), "{stderr}");
    }
}

#[test]
fn without_a_weekday_what_is_weekly_stays_weekly() {
    let story = Story::new("plain");
    let words = ["--rotate-at", "23:30", "--audit-at", "04:15", "--backup-at", "23:45", "--drill-at", "23:50"];
    let installed = story.install(&words);
    let at = |job: usize| installed["jobs"][job]["at"].as_str().unwrap();
    assert_eq!([at(0), at(1), at(2), at(3)], ["Sun 23:30", "04:15", "Sun 23:45", "1st 23:50"]);
    let table = story.run(&[&["schedule", "print", "--cron"], &words[..]].concat());
    for times in ["\n30 23 * * 0 ", "\n15 4 * * * ", "\n45 23 * * 0 ", "\n50 23 1 * * "] {
        assert!(table.contains(times), "{table}");
    }
    let daily = story.install(&["--audit-at", "Mon 04:15"]);
    assert_eq!(daily["jobs"][1]["calendar"], "Mon *-*-* 04:15:00");
}

#[test]
fn only_what_was_given_is_written_down() {
    let story = Story::new("plain");
    for kind in ["--systemd", "--cron"] {
        let plain = story.run(&["schedule", "print", kind]);
        assert!(!plain.contains("--forks") && !plain.contains("DISTRIBUTE_"), "{plain}");
        let count = |text: &str, what: &str| text.matches(what).count();
        assert_eq!(count(&story.run(&["-f", "32", "schedule", "print", kind]), " --forks 32 "), 4);
        assert_eq!(count(&story.run(&["schedule", "print", kind, "--forks", "9"]), " --forks 9 "), 4);
        let exported = story.run_exported(&["schedule", "print", kind]);
        assert_eq!((count(&exported, " --forks 7 "), count(&exported, "DISTRIBUTE_STATE_DIR=")), (4, 4), "{exported}");
        let mut empty = story.command(&["schedule", "print", kind], None);
        empty.env("DISTRIBUTE_STATE_DIR", "").env("DISTRIBUTE_FORKS", "");
        assert_eq!(said(empty.output().unwrap()), plain);
    }
}

#[test]
fn systemd_reads_our_times_as_we_mean_them() {
    if !has("systemd-analyze") {
        return;
    }
    let story = Story::new("plain");
    story.install(&["--rotate-at", "sat 23:30", "--audit-at", "00:05"]);
    for (job, normal) in [
        ("rotate", "Sat *-*-* 23:30:00"),
        ("audit", "*-*-* 00:05:00"),
        ("backup", "Sun *-*-* 04:00:00"),
        ("drill", "*-*-01 05:00:00"),
    ] {
        let text = fs::read_to_string(story.units().join(format!("distribute-{job}.timer"))).unwrap();
        let calendar = text.lines().find_map(|line| line.strip_prefix("OnCalendar=")).unwrap();
        let shown = said(Command::new("systemd-analyze").args(["calendar", calendar]).output().unwrap());
        assert!(shown.contains(&format!("Normalized form: {normal}\n")), "{shown}");
    }
}

#[test]
fn units_are_written_once_and_taken_out_again() {
    let story = Story::new(STRANGE);
    let units = story.units();
    let would = story.install(&["--check"]);
    assert_eq!(outcomes(&would), ["created"; 8]);
    assert!(!units.exists(), "--check wrote");
    let first = story.install(&[]);
    assert_eq!((&first["schema"], &first["timers"]), (&"distribute.schedule/1".into(), &"left".into()));
    assert_eq!(first["files"], would["files"]);
    for file in first["files"].as_array().unwrap() {
        assert_eq!(fs::read_to_string(file["path"].as_str().unwrap()).unwrap(), file["text"].as_str().unwrap());
    }
    let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(units.join(name)).unwrap());
    let before = UNITS.map(inode);
    assert_eq!(outcomes(&story.install(&[])), ["unchanged"; 8]);
    assert_eq!(UNITS.map(inode), before, "what is right is not written again");
    // Of an earlier version that knew no drill.
    fs::remove_file(units.join("distribute-drill.service")).unwrap();
    fs::remove_file(units.join("distribute-drill.timer")).unwrap();
    let created: Vec<_> = [vec!["unchanged"; 6], vec!["created"; 2]].concat();
    assert_eq!(outcomes(&story.install(&[])), created);
    let moved = story.install(&["--audit-at", "04:04"]);
    assert_eq!(outcomes(&moved).iter().filter(|outcome| **outcome == "changed").count(), 1);
    fs::write(units.join("other.service"), "").unwrap();
    // What opened the bundle may be gone by then.
    fs::remove_file(story.project.join("vault-password")).unwrap();
    assert_eq!(outcomes(&story.install(&["--remove", "--check"])), ["removed"; 8]);
    assert_eq!(outcomes(&story.install(&["--remove"])), ["removed"; 8]);
    assert_eq!(names(&units), ["other.service"]);
    assert_eq!(outcomes(&story.install(&["--remove"])), ["absent"; 8]);
}

#[test]
fn the_units_of_another_project_are_left_alone() {
    let (one, other) = (Story::new("one"), Story::new("other"));
    one.install(&[]);
    let units = one.units();
    let head = ["schedule", "install", "--systemd", "--directory", units.to_str().unwrap()];
    let before = fs::read_to_string(units.join(UNITS[0])).unwrap();
    for words in [&head[..], &[&head[..], &["--remove"]].concat()] {
        let error = other.error(words);
        assert!(error.contains("this unit is not of this project\nhint: give ours another name"), "{error}");
    }
    assert_eq!(fs::read_to_string(units.join(UNITS[0])).unwrap(), before);
    other.run(&[&head[..], &["--name", "other"]].concat());
    assert_eq!(names(&units).len(), 16);
}

#[test]
fn what_is_printed_is_what_would_be_installed() {
    let story = Story::new("plain");
    let text = story.run(&["schedule", "print", "--systemd"]);
    assert!(text.starts_with("# /etc/systemd/system/distribute-rotate.service\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("# /etc/systemd/system/")).count(), 8);
    let document: Value = serde_json::from_str(&story.run(&["schedule", "print", "--systemd", "-o", "json"])).unwrap();
    assert!(text.contains(document["files"][5]["text"].as_str().unwrap()));
    let user = story.run(&["schedule", "print", "--systemd", "--user"]);
    assert!(user.contains(&format!("# {}/.config/systemd/user/distribute-", story.path("home").display())), "{user}");
}

#[test]
fn mistakes_are_told_today() {
    let story = Story::new("plain");
    let says = |words: &[&str], expected: &str| {
        let error = story.error(&[&["schedule"], words].concat());
        assert!(error.contains(expected), "{words:?}: {error}");
    };
    says(&["print", "--cron", "--audit-at", "25:00"], "hint: write a time, 03:00, or with a weekday before it");
    says(&["print", "--cron", "--rotate-at", "Snu 02:00"], "hint: did you mean `sun`?");
    says(&["print"], "<--systemd|--cron>");
    says(&["install"], "<--systemd|--cron>");
    says(&["print", "--cron", "--systemd"], "cannot be used with");
    says(&["install", "--cron", "--user"], "cannot be used with");
    says(&["print", "--cron", "--password-file", "/none/at/all"], "/none/at/all: it cannot be read");
    let password = story.project.join("vault-password");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    says(&["install", "--systemd"], "hint: chmod 600");
    fs::remove_file(&password).unwrap();
    says(&["print", "--cron"], "nothing that would open the bundle when nobody is there");
    let broken = Story::new("two\nlines");
    let error = broken.error(&["schedule", "print", "--systemd"]);
    assert!(error.contains("it holds a line break or another control character"), "{error}");
    let slash = Story::new("back\\slash");
    slash.run(&["schedule", "print", "--systemd"]);
    assert!(slash.error(&["schedule", "print", "--cron"]).contains("it holds a backslash"));
}

#[test]
fn every_command_that_is_scheduled_is_one_that_the_program_knows() {
    let story = Story::new(STRANGE);
    let document: Value = serde_json::from_str(&story.run(&["schedule", "print", "--cron", "-o", "json"])).unwrap();
    for job in document["jobs"].as_array().unwrap() {
        let words: Vec<&str> = job["words"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        story.run(&[&["-C", ".", "--password-file", "x"], &words[..], &["--help"]].concat());
    }
}

/// The table of this user, in a namespace.
fn crontab(crontabs: &Path, words: &[&str]) -> Output {
    in_place_of_crontabs(crontabs, "crontab").args(words).stdin(Stdio::null()).output().unwrap()
}

fn can_have_crontabs() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        println!("skipped: needs root");
    }
    is_root && has("crontab")
}

/// A place for crontabs as cron wants it.
fn crontabs(story: &Story) -> PathBuf {
    let place = story.path("spool");
    fs::create_dir_all(place.join("crontabs")).unwrap();
    fs::set_permissions(place.join("crontabs"), fs::Permissions::from_mode(0o1730)).unwrap();
    place
}

#[test]
fn the_crontab_keeps_every_other_line() {
    if !can_have_crontabs() {
        return;
    }
    let story = Story::new(STRANGE);
    let spool = crontabs(&story);
    let run = |words: &[&str]| {
        let words = [&["schedule", "install", "--cron", "-o", "json"], words].concat();
        let text = said(story.command(&words, Some(&spool)).output().unwrap());
        let document: Value = serde_json::from_str(&text).unwrap();
        document["outcome"].as_str().unwrap().to_owned()
    };
    let table = || said(crontab(&spool, &["-l"]));
    assert_eq!(run(&["--remove"]), "absent");
    assert_eq!(run(&["--check"]), "created");
    assert!(!crontab(&spool, &["-l"]).status.success(), "--check wrote");
    assert_eq!(run(&[]), "created");
    let block = story.run(&["schedule", "print", "--cron"]);
    assert_eq!(table(), block);
    assert_eq!(run(&["--remove"]), "removed");
    let others = "MAILTO=ops@example.com\n# BEGIN distribute /somewhere/else\n17 3 * * * true 50\\%\n# END distribute /somewhere/else";
    let file = story.path("table");
    fs::write(&file, format!("{others}\n")).unwrap();
    said(crontab(&spool, &[file.to_str().unwrap()]));
    assert_eq!(run(&[]), "changed");
    assert_eq!(table(), format!("{others}\n{block}"));
    assert_eq!(run(&[]), "unchanged");
    fs::write(&file, format!("{block}{others}\n")).unwrap();
    said(crontab(&spool, &[file.to_str().unwrap()]));
    assert_eq!(run(&["--audit-at", "04:04"]), "changed");
    assert_eq!(table(), format!("{}{others}\n", block.replace("\n0 3 * * * ", "\n4 4 * * * ")));
    assert_eq!(run(&["--remove", "--check"]), "removed");
    assert_eq!(run(&["--remove"]), "removed");
    assert_eq!(table(), format!("{others}\n"));
}

#[test]
fn a_crontab_that_cron_would_refuse_stays_as_it_was() {
    if !can_have_crontabs() {
        return;
    }
    let story = Story::new("plain");
    let spool = crontabs(&story);
    // Longer than cron's longest command.
    let project = story.project.join(format!("{}x", (["y"; 250].concat() + "/").repeat(5)));
    fs::create_dir_all(&project).unwrap();
    let words = ["-C", project.to_str().unwrap(), "-b", "secrets.age", "schedule", "install", "--cron"];
    let done = story.command(&words, Some(&spool)).output().unwrap();
    let stderr = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: crontab -n -: ") && stderr.contains("the crontab is as it was"), "{stderr}");
    assert!(!crontab(&spool, &["-l"]).status.success());
}

#[test]
fn what_is_said_of_a_crontab_is_true() {
    if !can_have_crontabs() {
        return;
    }
    let story = Story::new("plain");
    let spool = crontabs(&story);
    let file = story.path("table");
    fs::write(&file, "17 3 * * * true\n").unwrap();
    said(crontab(&spool, &[file.to_str().unwrap()]));
    let last = |words: &[&str]| {
        let words = [&["schedule", "install", "--cron"], words].concat();
        let text = said(story.command(&words, Some(&spool)).output().unwrap());
        text.lines().last().unwrap().to_owned()
    };
    assert_eq!(last(&["--remove"]), "our lines in the crontab: absent");
    assert_eq!(last(&["--check"]), "the crontab: would be changed");
    assert_eq!(last(&[]), "the crontab: changed");
    assert_eq!(last(&[]), "the crontab: unchanged");
    assert_eq!(last(&["--remove", "--check"]), "our lines in the crontab: would be removed");
    assert_eq!(last(&["--remove"]), "our lines in the crontab: removed");
    assert_eq!(said(crontab(&spool, &["-l"])), "17 3 * * * true\n");
}

/// It writes down the words with which it was called, its umask, and where it would remember what ran.
const RECORDER: &str =
    "#!/bin/sh\n{ umask; printf '%s\\n' \"$DISTRIBUTE_STATE_DIR\" \"$@\"; } >\"$0.new\" && mv \"$0.new\" \"$0.out\"\n";

/// cron itself, in namespaces of its own: what it makes of our lines. They run at its start, in place of their time.
#[test]
fn cron_calls_us_with_the_words_that_we_mean() {
    if !can_have_crontabs() || !has("cron") {
        return;
    }
    let story = Story::new(STRANGE);
    let spool = crontabs(&story);
    let recorder = story.path("recorder");
    fs::write(&recorder, RECORDER).unwrap();
    fs::set_permissions(&recorder, fs::Permissions::from_mode(0o755)).unwrap();
    let block = story.run_exported(&["schedule", "print", "--cron"]);
    let program = format!("exec {} ", env!("CARGO_BIN_EXE_distribute"));
    let line = block.lines().find(|line| line.ends_with(" audit")).unwrap().replacen("0 3 * * *", "@reboot", 1);
    assert!(line.contains(&program), "{line}");
    let file = story.path("table");
    fs::write(&file, line.replace(&program, &format!("exec {} ", recorder.display())) + "\n").unwrap();
    said(crontab(&spool, &[file.to_str().unwrap()]));
    let script = "mount -t tmpfs tmpfs /run && exec unshare --pid --fork --kill-child --mount-proc cron -f -L 0";
    let mut cron = in_place_of_crontabs(&spool, "sh").args(["-c", script]).stdin(Stdio::null()).spawn().unwrap();
    let out = recorder.with_extension("out");
    let end = Instant::now() + Duration::from_secs(60);
    while !out.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    cron.kill().unwrap();
    cron.wait().unwrap();
    let project = story.project.to_str().unwrap();
    let (state, password) = (format!("{project}/{STRANGE}"), format!("{project}/vault-password"));
    let words = ["0077", &state, "-C", project, "--password-file", &password, "--forks", "7", "-q", "audit"];
    assert_eq!(fs::read_to_string(out).unwrap().lines().collect::<Vec<_>>(), words);
}
