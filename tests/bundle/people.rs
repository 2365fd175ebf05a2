//! `People`: alice and bob, each with a home and a clone of the same repository, and a key that opens the bundle in it.

use super::room::{POISON, Said, said};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct People {
    directory: tempfile::TempDir,
}

/// Somebody in a clone.
pub struct Person<'a> {
    people: &'a People,
    name: &'static str,
    pub work: PathBuf,
}

/// The files of the bundle that everybody begins with.
const ENV: &str = "# the account\nID=1\nSECRET=p0ison-Wert-4711\n\n# the rest\nOTHER=other-Valu3-99\nREGION=eu\n";

impl People {
    /// An empty repository, and a clone of it for alice.
    pub fn new() -> Self {
        let people = Self { directory: tempfile::tempdir().unwrap() };
        people.at("/").git(&["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"]).ok();
        people.at("/").run(&["keygen", "-o", "key"]).ok();
        people.clone_for("alice");
        people
    }

    /// alice and bob, with git told about the bundle, which is committed.
    pub fn with_bundle() -> Self {
        Self::with_bundle_at(".")
    }

    pub fn with_bundle_at(directory: &str) -> Self {
        let people = Self::new();
        let alice = people.alice();
        fs::create_dir_all(alice.work.join(directory)).unwrap();
        let inside = alice.within(directory);
        people.make_bundle(&inside, &["--recipient", &people.public_key()]);
        inside.run(&["bundle", "install-git"]).ok();
        alice.git(&["add", "--all"]).ok();
        alice.git(&["commit", "--quiet", "-m", "the bundle"]).ok();
        alice.git(&["push", "--quiet", "origin", "main"]).ok();
        people.clone_for("bob");
        people.bob().within(directory).run(&["bundle", "install-git"]).ok();
        people
    }

    pub fn make_bundle(&self, person: &Person, more: &[&str]) {
        let source = self.path("source");
        fs::create_dir_all(source.join("tls")).unwrap();
        fs::write(source.join("aws.env"), ENV).unwrap();
        fs::write(source.join("tls/key.pem"), "a file of its own\n").unwrap();
        person.run(&[&["bundle", "create", source.to_str().unwrap()], more].concat()).ok();
        fs::remove_dir_all(source).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name.trim_start_matches('/'))
    }

    pub fn public_key(&self) -> String {
        let text = fs::read_to_string(self.path("key")).unwrap();
        text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
    }

    fn clone_for(&self, name: &'static str) {
        let home = self.path(&format!("home-{name}"));
        fs::create_dir_all(&home).unwrap();
        let config = format!(
            "[user]\nname = {name}\nemail = {name}@example.com\n[init]\ndefaultBranch = main\n[pull]\nrebase = false\n"
        );
        fs::write(home.join(".gitconfig"), config).unwrap();
        let person = Person { people: self, name, work: self.path("/") };
        person.git(&["clone", "--quiet", "origin.git", name]).ok();
    }

    /// Somebody in any directory.
    pub fn at(&self, directory: &str) -> Person<'_> {
        Person { people: self, name: "alice", work: self.path(directory) }
    }

    pub fn alice(&self) -> Person<'_> {
        self.at("alice")
    }

    pub fn bob(&self) -> Person<'_> {
        Person { people: self, name: "bob", work: self.path("bob") }
    }
}

impl Person<'_> {
    pub fn within(&self, directory: &str) -> Self {
        Person { people: self.people, name: self.name, work: self.work.join(directory) }
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        let home = self.people.path(&format!("home-{}", self.name));
        command.args(args).current_dir(&self.work).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", &home);
        command.env("DISTRIBUTE_STATE_DIR", home.join("state")).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_PAGER", "cat");
        command.env("GIT_EDITOR", "true");
        if !args.contains(&"keygen") && !args.contains(&"--password-file") {
            command.env("DISTRIBUTE_IDENTITY", self.people.path("key"));
        }
        command
    }

    pub fn git(&self, args: &[&str]) -> Said {
        self.git_with(args, &[])
    }

    /// git, with these variables; an empty one is not there at all.
    pub fn git_with(&self, args: &[&str], vars: &[(&str, &str)]) -> Said {
        self.checked("git", args, b"", vars)
    }

    pub fn run(&self, args: &[&str]) -> Said {
        self.feed(args, b"")
    }

    pub fn run_with(&self, args: &[&str], vars: &[(&str, &str)]) -> Said {
        self.checked(env!("CARGO_BIN_EXE_distribute"), args, b"", vars)
    }

    pub fn feed(&self, args: &[&str], stdin: &[u8]) -> Said {
        self.checked(env!("CARGO_BIN_EXE_distribute"), args, stdin, &[])
    }

    /// On a terminal of its own; the keys are pressed once it asks.
    pub fn press(&self, line: &str, question: &str, keys: &str) -> Said {
        let mut command = self.command("script", &["-qefc", line, "/dev/null"]);
        command.env("SHELL", "/bin/sh").env("TERM", "dumb").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut terminal, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (mut seen, mut piece, mut is_asked) = (Vec::new(), [0; 1024], false);
        loop {
            match screen.read(&mut piece).unwrap() {
                0 => break,
                read => seen.extend_from_slice(&piece[..read]),
            }
            if !is_asked && String::from_utf8_lossy(&seen).contains(question) {
                is_asked = true;
                terminal.write_all(keys.as_bytes()).unwrap();
            }
        }
        let code = child.wait().unwrap().code().unwrap_or(-1);
        let stdout = String::from_utf8_lossy(&seen).into_owned();
        assert!(!stdout.contains(POISON), "{stdout}");
        Said { stdout, stderr: String::new(), code }
    }

    /// No value is ever shown, but to who asks for it.
    fn checked(&self, program: &str, args: &[&str], stdin: &[u8], vars: &[(&str, &str)]) -> Said {
        let mut command = self.command(program, args);
        for (name, value) in vars {
            match value.is_empty() {
                true => command.env_remove(name),
                false => command.env(name, value),
            };
        }
        let said = said(&mut command, stdin);
        assert!(!said.stderr.contains(POISON), "{args:?}: {}", said.stderr);
        assert!(args.contains(&"get") || !said.stdout.contains(POISON), "{args:?}: {}", said.stdout);
        said
    }

    /// A line for sh, with the identity as $KEY and these.
    pub fn sh(&self, line: &str, vars: &[(&str, &str)]) -> Said {
        let key = self.people.path("key");
        self.checked("sh", &["-euc", line], b"", &[vars, &[("KEY", key.to_str().unwrap())]].concat())
    }

    pub fn put(&self, name: &str, content: &str) {
        fs::create_dir_all(self.work.join(name).parent().unwrap()).unwrap();
        fs::write(self.work.join(name), content).unwrap();
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.work.join(name)).unwrap()
    }

    pub fn get(&self, name: &str) -> String {
        self.run(&["bundle", "get", name]).ok().stdout
    }

    pub fn set(&self, name: &str, value: &str) {
        self.feed(&["bundle", "set", name], value.as_bytes()).ok();
    }

    /// Puts this text in the place of the env file, as an editor would.
    pub fn edit(&self, service: &str, text: &str) {
        let file = self.people.path("edited");
        fs::write(&file, text).unwrap();
        let editor = format!("cp {}", file.display());
        self.run_with(&["bundle", "edit", service], &[("EDITOR", &editor)]).ok();
        fs::remove_file(file).unwrap();
    }

    pub fn commit(&self, message: &str) {
        self.git(&["commit", "--quiet", "--all", "-m", message]).ok();
    }

    pub fn push(&self) {
        self.git(&["push", "--quiet", "origin", "main"]).ok();
    }

    pub fn fetch(&self) {
        self.git(&["fetch", "--quiet", "origin"]).ok();
    }

    pub fn is_clean(&self) -> bool {
        self.git(&["status", "--porcelain"]).ok().stdout.is_empty()
    }
}

/// Every file below, but for what is sealed with age: is the poison in none of them?
pub fn is_nowhere_below(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return true };
    entries.flatten().all(|entry| {
        let path = entry.path();
        match path.is_dir() {
            true => is_nowhere_below(&path),
            false => !fs::read(&path).unwrap().windows(POISON.len()).any(|part| part == POISON.as_bytes()),
        }
    })
}
