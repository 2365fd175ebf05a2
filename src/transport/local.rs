//! This machine as a host: the same channel, around `/bin/sh -c` in a process group of its own.

use super::channel::{Channel, GRACE, Gone, Input, Mouth, Output};
use crate::words::{Failure, Phase};
use bytes::{Bytes, BytesMut};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, Uid, User};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep_until};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const CHUNK: usize = 32 * 1024;

/// Runs a command on this machine, by `/bin/sh` in the home directory.
pub(super) fn exec(command: &str) -> Result<Channel, Failure> {
    let home = User::from_uid(Uid::current()).ok().flatten().map_or_else(|| "/".into(), |user| user.dir);
    let child = Command::new("/bin/sh")
        .args(["-c", command])
        .env_clear() // nothing of ours, as over ssh
        .envs([("PATH", PATH), ("LANG", "C")])
        .env("HOME", &home)
        .current_dir(if home.is_dir() { home.as_path() } else { "/".as_ref() })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| Failure::new(Phase::Exec, format!("cannot run /bin/sh: {}", super::dial::told(&e))))?;
    let group = Group::led_by(&child);
    Ok(Channel::spawn(|input, mouth, gone| pump(child, group, input, mouth, gone)))
}

/// The processes of a command. They are killed unless the command has ended by itself: what it left running
/// then, it meant to leave running.
struct Group(Option<Pid>);

impl Group {
    fn led_by(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    /// The leader was reaped: its number may soon be somebody else's.
    fn release(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

async fn pump(mut child: Child, mut group: Group, input: Input, mouth: Mouth, mut gone: Gone) {
    let stdin = child.stdin.take();
    let reading = {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mouth = &mouth;
        async move { tokio::join!(read(stdout, mouth, Output::Stdout), read(stderr, mouth, Output::Stderr)) }
    };
    let writing = feed(stdin, input);
    tokio::pin!(reading, writing);
    let (mut read_all, mut wrote_all, mut ended) = (false, false, None::<Instant>);
    while !(read_all && ended.is_some()) {
        tokio::select! {
            biased;
            _ = &mut gone => break,
            _ = &mut reading, if !read_all => read_all = true,
            () = &mut writing, if !wrote_all => wrote_all = true,
            status = child.wait(), if ended.is_none() => {
                group.release();
                ended = Some(Instant::now() + GRACE);
                mouth.say(outcome(status)).await;
            }
            () = sleep_until(ended.unwrap_or_else(Instant::now)), if ended.is_some() => break,
        }
    }
}

async fn feed(stdin: Option<ChildStdin>, mut input: Input) {
    let Some(mut stdin) = stdin else { return };
    while let Some(bytes) = input.recv().await {
        // A command may end without reading all; its status tells how it went.
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn read(stream: Option<impl AsyncRead + Unpin>, mouth: &Mouth, as_output: fn(Bytes) -> Output) {
    let Some(mut stream) = stream else { return };
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => mouth.say(as_output(buffer.split().freeze())).await,
        }
    }
}

fn outcome(status: std::io::Result<ExitStatus>) -> Output {
    let signal = |status: ExitStatus| status.signal().and_then(|number| Signal::try_from(number).ok());
    match status {
        Ok(status) => match (status.code(), signal(status)) {
            (Some(code), _) => Output::Exit(code.unsigned_abs()),
            (None, Some(signal)) => Output::Signal(signal.as_str().trim_start_matches("SIG").to_owned()),
            (None, None) => Output::Signal("unknown".into()),
        },
        Err(_) => Output::Signal("unknown".into()),
    }
}
