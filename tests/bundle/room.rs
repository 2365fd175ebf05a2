//! `Room`: a directory with a key and a bundle sealed to it, and a home of its own.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub const POISON: &str = "p0ison-Wert-4711";

pub struct Room {
    directory: tempfile::TempDir,
    /// What the program remembers of bundles: kept out of the directory that tests list.
    state: tempfile::TempDir,
}

/// What a command said, and how it ended.
pub struct Said {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Said {
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self
    }

    /// It failed as an error of ours, and says so in these words.
    pub fn fails(self, word: &str) -> Self {
        assert_eq!(self.code, 1, "{} {}", self.stdout, self.stderr);
        assert!(
            self.stderr.lines().any(|line| line.starts_with("error: ")) && self.stderr.contains(word),
            "{word}: {}",
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }
}

impl Room {
    /// A key and nothing else.
    pub fn empty() -> Self {
        let room = Self { directory: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() };
        room.run(&["keygen", "-o", "key"]).ok();
        room
    }

    /// `aws.env` with the poison in it, a file of `tls`, and an override.
    pub fn furnished() -> Self {
        let room = Self::empty();
        room.put("in/aws.env", &format!("# the account\nID=1\nSECRET={POISON}\n"));
        room.put("in/tls/cert.pem", "certificate\n");
        room.put("in/groups/web/aws.env", "ID=2\n");
        let key = room.public_key();
        room.run(&["bundle", "create", "in", "--recipient", &key]).ok();
        fs::remove_dir_all(room.path("in")).unwrap();
        room
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn put(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    /// A file that only we may read.
    pub fn put_private(&self, name: &str, content: &[u8]) {
        let mut options = fs::OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path(name))
            .unwrap()
            .write_all(content)
            .unwrap();
    }

    /// Where the program keeps what it remembers.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    pub fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn public_key(&self) -> String {
        let text = fs::read_to_string(self.path("key")).unwrap();
        text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
    }

    pub fn bundle(&self) -> Vec<u8> {
        fs::read(self.path("secrets.age")).unwrap()
    }

    pub fn generation(&self) -> u64 {
        let said = self.run(&["bundle", "list", "-o", "json"]).ok();
        let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        report["generation"].as_u64().unwrap()
    }

    /// The names in the directory, sorted.
    pub fn names(&self) -> Vec<String> {
        names_in(self.directory.path())
    }

    /// The program in this room, with the key at hand if there is one.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_distribute"));
        command.args(args).current_dir(&self.directory).env_clear().env("DISTRIBUTE_STATE_DIR", self.state.path());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.directory.path());
        if self.path("key").exists() && !args.contains(&"--identity") && !args.contains(&"keygen") {
            command.env("DISTRIBUTE_IDENTITY", "key");
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, b"", &[])
    }

    pub fn feed(&self, args: &[&str], stdin: &[u8]) -> Said {
        self.run_with(args, stdin, &[])
    }

    pub fn edit(&self, args: &[&str], editor: &str) -> Said {
        self.run_with(args, b"", &[("EDITOR", editor)])
    }

    /// Under another program, such as strace.
    pub fn run_under(&self, program: &[&str], args: &[&str], stdin: &[u8]) -> Said {
        let plain = self.command(args);
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(&self.directory).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        said(&mut command, stdin)
    }

    /// On a terminal of its own: waits for each question in turn, and presses these keys. All that it said is in stdout. `None` without script(1).
    pub fn on_terminal(&self, args: &[&str], answers: &[(&str, &str)]) -> Option<Said> {
        self.on_terminal_with(args, answers, &[])
    }

    pub fn on_terminal_with(&self, args: &[&str], answers: &[(&str, &str)], vars: &[(&str, &str)]) -> Option<Said> {
        let plain = self.command(args);
        let line = format!("{} {}", env!("CARGO_BIN_EXE_distribute"), args.join(" "));
        let mut command = Command::new("script");
        command.args(["-qefc", &line, "/dev/null"]).current_dir(&self.directory).env_clear().env("SHELL", "/bin/sh");
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.envs(vars.iter().copied());
        let mut child = match command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(_) => {
                eprintln!("skipped: there is no script(1) to make a terminal");
                return None;
            }
        };
        let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (mut shown, mut seen) = (Vec::new(), 0);
        let mut read = |shown: &mut Vec<u8>| {
            let mut piece = [0; 4096];
            let count = screen.read(&mut piece).unwrap_or(0);
            shown.extend_from_slice(&piece[..count]);
            count > 0
        };
        for (question, answer) in answers {
            while !String::from_utf8_lossy(&shown[seen..]).contains(question) {
                assert!(read(&mut shown), "{question}: {}", String::from_utf8_lossy(&shown));
            }
            seen = shown.len();
            keys.write_all(answer.as_bytes()).unwrap();
        }
        while read(&mut shown) {}
        let code = child.wait().unwrap().code().unwrap_or(-1);
        Some(Said { stdout: String::from_utf8_lossy(&shown).into_owned(), stderr: String::new(), code })
    }

    /// A second person's key, in a file of this name; gives its public half.
    pub fn keygen(&self, name: &str) -> String {
        self.run(&["keygen", "-o", name]).ok().stdout.trim().to_owned()
    }

    /// Another program in the room; `None` if it is not here.
    pub fn other(&self, program: &str, args: &[&str], stdin: &[u8]) -> Option<Said> {
        let found = Command::new("sh").args(["-c", "command -v \"$0\" >/dev/null", program]).status();
        let mut command = Command::new(program);
        found.is_ok_and(|found| found.success()).then(|| said(command.args(args).current_dir(&self.directory), stdin))
    }

    pub fn run_with(&self, args: &[&str], stdin: &[u8], vars: &[(&str, &str)]) -> Said {
        let said = said(self.command(args).envs(vars.iter().copied()), stdin);
        assert!(!said.stderr.contains(POISON), "{args:?}: {}", said.stderr);
        assert!(args.contains(&"get") || !said.stdout.contains(POISON), "{args:?}: {}", said.stdout);
        said
    }

    /// Seals these bytes with age itself as the bundle.
    pub fn seal_by_hand(&self, clear: &[u8]) {
        let _ = fs::remove_file(self.path("secrets.age"));
        let mut age = Command::new("age");
        said(age.args(["-r", &self.public_key(), "-o", "secrets.age"]).current_dir(&self.directory), clear).ok();
    }

    /// A bundle of services/ and bundle.toml, made with stock tar and age.
    pub fn pack_by_hand(&self) {
        self.put("bundle.toml", &format!("recipients = [\"{}\"]\n", self.public_key()));
        let mut tar = Command::new("tar");
        let tar = tar.args(["cz", "bundle.toml", "services"]).current_dir(&self.directory).output().unwrap();
        fs::remove_dir_all(self.path("services")).unwrap();
        self.seal_by_hand(&tar.stdout);
    }

    /// What stock age and tar make of the bundle.
    pub fn by_hand(&self, tar: &str) -> String {
        let mut shell = Command::new("sh");
        said(shell.args(["-c", &format!("age -d -i key secrets.age | {tar}")]).current_dir(&self.directory), b"")
            .ok()
            .stdout
    }
}

pub fn said(command: &mut Command, stdin: &[u8]) -> Said {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin); // it may have ended without reading
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { stdout: text(stdout), stderr: text(stderr), code: status.code().unwrap_or(-1) }
}

/// The files below a directory that hold this text.
pub fn holders(directory: &Path, text: &str) -> Vec<PathBuf> {
    let holds =
        |path: &Path| fs::read(path).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()));
    let files = walkdir::WalkDir::new(directory).into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(|path| path.is_file() && holds(path)).collect()
}

pub fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
