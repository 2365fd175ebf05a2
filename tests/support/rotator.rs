//! A provider that a test can look into, and trip: a stand-in that says so, a script that keeps in files which values it accepts. Real
//! providers have tests of their own; here it is about what happens between two steps.
#![allow(dead_code, reason = "each test file uses a part")]

use super::host::Host;
use super::workspace::{ROOT, Workspace};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Knows two values at once where the policy has a step `revoke` (`two`), else one. Every call is logged with its run; called twice, it means the same.
const SCRIPT: &str = r#"#!/usr/bin/python3 -IS
import base64, fcntl, json, os, signal, sys, time

here = "HERE"
call = json.load(sys.stdin)
step, secret, run = call["step"], call["secret"], call["run"]
if call["host"]:
    secret = call["host"] + ":" + secret
two = sys.argv[2:] == ["two"]
assert sys.argv[1] == step


def trap(moment):
    path = f"{here}/traps/{step} {secret} {moment}"
    try:
        how = open(path).read()
    except FileNotFoundError:
        return
    if not how.startswith("always "):
        os.unlink(path)
    how = how.removeprefix("always ")
    if how == "kill":
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(1)
    elif how == "interrupt":
        os.kill(os.getppid(), signal.SIGINT)
    elif how == "fail":
        sys.exit("this provider wants no more of it")
    elif how == "tell":
        for value in filter(None, [call["old"], call["new"]]):
            print(value, base64.b64encode(value.encode()).decode(), base64.b64encode(b"KEY=" + value.encode()).decode())
            print("in hex", value.encode().hex(), json.dumps(value), file=sys.stderr)
        if step != "test":
            sys.exit(1)
    elif how == "chatter":
        print("and that was the value")
    elif how == "repeat":
        print(call["old"])
        sys.stdout.flush()
        os._exit(0)
    elif how == "hang":
        while True:
            signal.pause()
    elif how == "fork":
        if os.fork() == 0:
            os.setsid()
            while True:
                signal.pause()
    elif how == "wait":
        open(f"{here}/waiting", "w").close()
        while not os.path.exists(f"{here}/go"):
            time.sleep(0.005)
        os.unlink(f"{here}/go")
        os.unlink(f"{here}/waiting")
    elif how == "orphan":
        if os.fork():
            os.wait()
            os._exit(1)
        with open(f"{here}/orphan.new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(f"{here}/orphan.new", f"{here}/orphan")
        while not os.path.exists(f"{here}/release"):
            if not os.path.exists(here):
                os._exit(1)
            time.sleep(0.005)
    elif how.startswith("fill "):
        with open(how.removeprefix("fill "), "wb", 0) as filler:
            try:
                while True:
                    filler.write(b"x" * 512)
            except OSError:
                pass
    else:
        sys.exit("no such trap: " + how)


with open(f"{here}/log", "a") as log:
    log.write(f"{step} {secret} {run}\n")
trap("begin")
with open(f"{here}/accepted.json", "r+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    state = json.load(file)
    accepted, old, new = state["accepted"], call["old"], call["new"]
    if step == "generate":
        new = state["made"].setdefault(f"{run} {secret}", os.urandom(16).hex())
        print(new)
    elif step == "set":
        accepted[secret] = [old, new] if two else [new]
        state["seen"] += [new]
    elif step == "test" and new not in accepted[secret]:
        sys.exit("the login failed")
    elif step == "undo":
        accepted[secret] = [old]
    elif step == "revoke":
        accepted[secret] = [value for value in accepted[secret] if value != old]
    file.seek(0)
    file.truncate()
    json.dump(state, file)
sys.stdout.flush()
trap("end")
"#;

/// The secret of which the provider knows two values at once.
pub const TWO: &str = "api.SESSION_KEY";
/// Of this one it knows one value, which a step makes.
pub const ONE: &str = "cloudflare.CLOUDFLARE_API_TOKEN";

pub struct Rotator {
    dir: PathBuf,
}

impl Rotator {
    /// Puts the stand-in beside the playbook, and both secrets under a policy; `more` stands in that of the first.
    pub fn install(ws: &Workspace, more: &str) -> Self {
        ws.set(TWO, "session-key-at-first");
        let rotator = Self::alone(ws, &[(TWO, "session-key-at-first"), (ONE, "not-a-secret-token")]);
        ws.rotate_by(&format!(
            "[[rotate]]\nsecrets = ['{TWO}']\ngenerate = 'hex:32'\n{more}\n{}\n\
             [[rotate]]\nsecrets = ['{ONE}']\ngenerate = 'command'\n{}\n",
            steps(&["set", "test", "undo", "revoke"], " 'two'"),
            steps(&["generate", "set", "test", "undo"], " 'one'"),
        ));
        rotator
    }

    /// Only the program, and what it accepts.
    pub fn alone(ws: &Workspace, accepted: &[(&str, &str)]) -> Self {
        let dir = ws.path("provider");
        fs::create_dir_all(dir.join("traps")).unwrap();
        let accepted: BTreeMap<&str, [&str; 1]> = accepted.iter().map(|(name, value)| (*name, [*value])).collect();
        let state = serde_json::json!({ "accepted": accepted, "made": {}, "seen": [] });
        fs::write(dir.join("accepted.json"), state.to_string()).unwrap();
        let program = ws.path("project/playbooks/rotators/stand-in");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, SCRIPT.replace("HERE", dir.to_str().unwrap())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    /// Once, at the `begin` or `end` of this step of a secret; `always ...` for each time.
    pub fn trap(&self, step: &str, secret: &str, moment: &str, how: &str) {
        fs::write(self.dir.join(format!("traps/{step} {secret} {moment}")), how).unwrap();
    }

    pub fn mend(&self) {
        for entry in fs::read_dir(self.dir.join("traps")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    /// A step that was told to wait does so.
    pub fn is_waiting(&self) -> bool {
        self.dir.join("waiting").exists()
    }

    /// Whoever a step that was told `orphan` left to do its work, once that is there.
    pub fn orphan(&self) -> Option<i32> {
        fs::read_to_string(self.dir.join("orphan")).ok().map(|pid| pid.parse().unwrap())
    }

    /// It would do its work now.
    pub fn release_orphan(&self) {
        fs::write(self.dir.join("release"), "").unwrap();
    }

    /// There may be another.
    pub fn forget_orphan(&self) {
        for name in ["orphan", "release"] {
            let _ = fs::remove_file(self.dir.join(name));
        }
    }

    pub fn go_on(&self) {
        fs::write(self.dir.join("go"), "").unwrap();
    }

    fn state(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.dir.join("accepted.json")).unwrap()).unwrap()
    }

    /// The values that are accepted now.
    pub fn accepted(&self, secret: &str) -> Vec<String> {
        strings(&self.state()["accepted"][secret])
    }

    /// Every new value that it was ever told.
    pub fn seen(&self) -> Vec<String> {
        strings(&self.state()["seen"])
    }

    /// `step secret run`, a line a call.
    pub fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// `step secret` of each call.
    pub fn calls(&self) -> Vec<String> {
        self.log().iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    }

    /// As if nothing had been called; what is accepted stays.
    pub fn forget_calls(&self) {
        let _ = fs::remove_file(self.dir.join("log"));
        let mut state = self.state();
        state["seen"] = serde_json::json!([]);
        fs::write(self.dir.join("accepted.json"), state.to_string()).unwrap();
    }
}

fn strings(list: &serde_json::Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

/// The line of a policy with these steps.
pub fn steps(names: &[&str], knows: &str) -> String {
    let step = |name: &&str| format!("{name} = ['rotators/stand-in', '{name}',{knows}]");
    format!("steps = {{ {} }}\n", names.iter().map(step).collect::<Vec<_>>().join(", "))
}

/// What a service's file says for a key on a host.
#[track_caller]
pub fn value_on(host: &Host, secret: &str) -> String {
    let (service, key) = secret.split_once('.').unwrap();
    let text = host.read(&format!("{ROOT}/secrets/{service}.env"));
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
    line.unwrap_or_else(|| panic!("{secret} is not on {}", host.name)).to_owned()
}

/// What the bundle says.
#[track_caller]
pub fn value_in_bundle(ws: &Workspace, secret: &str) -> String {
    ws.run(&["bundle", "get", secret]).expect(0).stdout.trim_end().to_owned()
}

/// The bundle's entries by name, as stock age and tar give them.
#[track_caller]
pub fn unpacked(ws: &Workspace) -> BTreeMap<String, String> {
    let sealed = fs::read(ws.path("project/secrets.age")).unwrap();
    let dir = super::sshd::directory();
    pipe("tar", &["xz", "-C", dir.path().to_str().unwrap()], &ws.age(&PathBuf::from(ws.identity()), &sealed));
    let files =
        walkdir::WalkDir::new(dir.path()).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let name = entry.path().strip_prefix(dir.path()).unwrap().display().to_string();
            (name, String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned())
        })
        .collect()
}

/// The entries whose names begin so and that hold this value.
pub fn entries_with(ws: &Workspace, place: &str, value: &str) -> Vec<String> {
    let holds = |(name, content): &(String, String)| name.starts_with(place) && content.contains(value);
    unpacked(ws).into_iter().filter(holds).map(|(name, _)| name).collect()
}

/// Fleet, provider and bundle agree: everybody has the value that the bundle says, the provider accepts it, and the old one only where the bundle
/// notes that it is still to be revoked; nothing is under way, nothing is left to do, and no value that left this machine is lost.
#[track_caller]
pub fn assert_consistent(ws: &Workspace, rotator: &Rotator) {
    let entries = unpacked(ws);
    assert!(!entries.keys().any(|name| name.starts_with("pending/")), "{:?}", entries.keys());
    for secret in [TWO, ONE] {
        let value = value_in_bundle(ws, secret);
        for host in &ws.hosts {
            assert_eq!(value_on(host, secret), value, "{secret} on {}", host.name);
        }
        let (service, key) = secret.split_once('.').unwrap();
        let revoking = entries.get(&format!("revoking/services/{service}.env")).map(String::as_str).unwrap_or_default();
        let old = revoking.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
        let mut expected: Vec<String> = old.map(str::to_owned).into_iter().chain([value]).collect();
        let mut accepted = rotator.accepted(secret);
        expected.sort();
        accepted.sort();
        assert_eq!(accepted, expected, "the provider of {secret}");
    }
    assert_nothing_lost(ws, rotator);
    let status = &ws.json(&["status"], 0)["rotation"];
    assert!(status.is_null() || status["state"] == "nothing", "{status:#}");
    let before: Vec<_> = ws.hosts.iter().map(Host::snapshot).collect();
    let deployed = ws.deploy();
    assert_eq!(deployed["summary"]["ok"], ws.hosts.len(), "{deployed:#}");
    assert!(ws.hosts.iter().map(Host::snapshot).eq(before), "a deploy after it has nothing to do");
}

/// Every new value that the provider was told is in the bundle: of now, to come, or earlier.
#[track_caller]
pub fn assert_nothing_lost(ws: &Workspace, rotator: &Rotator) {
    let entries = unpacked(ws);
    for value in rotator.seen() {
        assert!(entries.values().any(|content| content.contains(&value)), "a value is lost");
    }
}

/// No value that a provider was told stands in what a command said, or in what it left on this machine.
#[track_caller]
pub fn assert_unsaid(ws: &Workspace, said: &str) {
    for (name, content) in unpacked(ws) {
        let is_rotated = |line: &&str| line.starts_with("SESSION_KEY=") || line.starts_with("CLOUDFLARE_API_TOKEN=");
        for value in content.lines().filter(is_rotated).filter_map(|line| Some(line.split_once('=')?.1)) {
            let forms = [
                value.to_owned(),
                data_encoding::BASE64.encode(value.as_bytes()),
                data_encoding::HEXLOWER.encode(value.as_bytes()),
            ];
            assert!(!forms.iter().any(|form| said.contains(form)), "a value of {name} was said: {said}");
        }
    }
}

/// Packs the bundle anew with another bundle.toml, as somebody with tar and age would do it.
pub fn repack(ws: &Workspace, change: impl Fn(&mut toml::Table)) {
    let mut entries = unpacked(ws);
    let mut record: toml::Table = entries["bundle.toml"].parse().unwrap();
    change(&mut record);
    entries.insert("bundle.toml".to_owned(), record.to_string());
    let dir = super::sshd::directory();
    for (name, content) in &entries {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let names: Vec<&str> = entries.keys().map(String::as_str).collect();
    let packed = pipe("tar", &[&["cz", "-C", dir.path().to_str().unwrap(), "--"][..], &names].concat(), b"");
    let recipient = record["recipients"][0].as_str().unwrap().to_owned();
    fs::write(ws.path("project/secrets.age"), pipe("age", &["-r", &recipient], &packed)).unwrap();
}

/// When the value of a secret became what it is, in a bundle packed by hand.
pub fn date(ws: &Workspace, secret: &str, when: chrono::DateTime<chrono::Utc>) {
    repack(ws, |record| {
        let secrets = record["secrets"].as_table_mut().unwrap();
        let known = secrets.get_mut(secret).unwrap_or_else(|| panic!("{secret}")).as_table_mut().unwrap();
        known.remove("rotated");
        known.insert("created".to_owned(), when.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into());
    });
}

#[track_caller]
fn pipe(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program}");
    output.stdout
}
