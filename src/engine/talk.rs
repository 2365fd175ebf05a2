//! `Talk`: one conversation with the remote program: frames out of a stream, deadlines, and what to say when it stays silent.

use super::{HostPlan, Stop, interrupted, stopped};
use crate::inventory::Escalation;
use crate::playbook::Consumer;
use crate::remote::{self, FrameReader};
use crate::transport::{Channel, Connection, Output};
use crate::words::{Failure, Mode, Phase, Secret, printable};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;

/// More is not read back at once.
const MOST_READ: usize = 256 << 20;

/// What the program is asked first.
#[derive(Clone, Copy)]
pub(super) enum Question<'a> {
    /// What is there of what we know.
    Look,
    /// The same, with sealed copies and earlier sets.
    Backups,
    /// Everything, and when these were started.
    Audit(&'a [Consumer]),
}

/// The conversation with the remote program over one channel.
pub(super) struct Talk {
    pub channel: Channel,
    frames: FrameReader,
    stderr: Vec<u8>,
    ended: Option<String>,
    escalates: bool,
    /// The payload is on its way, or there.
    pub has_sent: bool,
}

impl Talk {
    pub async fn begin(
        connection: &mut Connection,
        nonce: &str,
        plan: &HostPlan,
        wait: u64,
        question: Question<'_>,
    ) -> Result<Self, Failure> {
        let (command, before) = remote::opening(connection.longest_command());
        let channel = connection.exec(command).await?;
        channel.send(bytes::Bytes::from_static(before));
        let roots: Vec<(Mode, _)> = plan.sets.iter().map(|set| (set.root_mode(), set.root.clone())).collect();
        let escalation = plan.endpoint.escalation;
        let hello = match question {
            Question::Look => remote::hello(nonce, escalation, wait, &roots),
            Question::Backups => remote::backups_hello(nonce, escalation, wait, &roots),
            Question::Audit(consumers) => remote::audit_hello(nonce, escalation, wait, &roots, consumers),
        };
        channel.send(hello.into());
        let escalates = escalation != Escalation::None;
        Ok(Self {
            channel,
            frames: FrameReader::new(nonce),
            stderr: Vec::new(),
            ended: None,
            escalates,
            has_sent: false,
        })
    }

    /// Reads until a frame is whole. `patience` begins anew with each sign that the program has come further.
    pub async fn frame(
        &mut self,
        stop: watch::Receiver<Stop>,
        how: Stop,
        patience: Duration,
    ) -> Result<remote::Frame, Failure> {
        let stop = stopped(stop, how);
        tokio::pin!(stop);
        let mut phase = None;
        let mut deadline = tokio::time::Instant::now() + patience;
        loop {
            let output = tokio::select! {
                output = self.channel.next() => output,
                () = tokio::time::sleep_until(deadline) => return Err(self.hung(patience)),
                () = &mut stop => return Err(self.cut(how)),
            };
            match output {
                Some(Output::Stdout(bytes)) => {
                    if let Some(frame) = self.frames.feed(&bytes)? {
                        return Ok(frame);
                    }
                    let now = self.frames.phase();
                    if now != phase {
                        phase = now;
                        deadline = tokio::time::Instant::now() + patience;
                    }
                }
                Some(Output::Stderr(bytes)) => self.hear(&bytes),
                Some(Output::Exit(status)) => self.ended = Some(format!("it ended with status {status}")),
                Some(Output::Signal(name)) => {
                    self.ended = Some(format!("it was ended by signal {}", printable(name.as_bytes(), 20)))
                }
                Some(Output::Refused) => {
                    return Err(Failure::new(Phase::Exec, "the server refuses to run a command for this user")
                        .hint("look for ForceCommand in sshd_config, command= in authorized_keys, or a login shell such as nologin"));
                }
                None => return Err(self.silence()),
            }
        }
    }

    /// Reads files back: those of these names below a root, and what lies in directories of these names. About so many bytes.
    pub async fn read(
        &mut self,
        stop: watch::Receiver<Stop>,
        patience: Duration,
        root: usize,
        names: &[String],
        bytes: u64,
    ) -> Result<BTreeMap<String, Secret>, Failure> {
        // A tar has a header a file, and ends with blocks of nothing; what a host says of sizes is not believed beyond reason.
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(MOST_READ);
        self.frames.make_room(bytes + bytes / 2);
        self.channel.send(remote::read_lines(root, names.iter().map(String::as_str)).into());
        let patience = patience + Duration::from_secs((bytes / super::SLOWEST_BYTES_A_SECOND) as u64);
        let frame = self.frame(stop, Stop::Gently, patience).await?;
        let contents = remote::contents(&frame);
        if contents.is_err() {
            self.listen().await;
        }
        contents.map_err(|failure| Failure { message: format!("{}{}", failure.message, self.said()), ..failure })
    }

    /// Keeps the last of what is said to people.
    fn hear(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
        let surplus = self.stderr.len().saturating_sub(4096);
        self.stderr.drain(..surplus);
    }

    pub fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        // sudo complains of every host that does not know its own name, before it says what matters; tar sums up behind it.
        let says_nothing = |line: &str| {
            line.starts_with("sudo: unable to resolve host")
                || line.contains("Exiting with failure status due to previous errors")
        };
        let mut lines = text.trim().lines().filter(|line| !says_nothing(line));
        match lines.next_back() {
            Some(line) => format!(": {}", printable(line.as_bytes(), 300)),
            None => String::new(),
        }
    }

    /// Where the host is: what it said last, or that it is being sent something.
    fn phase(&self) -> Option<Phase> {
        self.frames.phase().or(self.has_sent.then_some(Phase::Stage))
    }

    fn hung(&self, patience: Duration) -> Failure {
        let phase = self.phase().unwrap_or(Phase::Exec);
        Failure::new(
            phase,
            format!(
                "no answer within {} s{}; what was sent whole, the host finishes by itself",
                patience.as_secs(),
                self.said()
            ),
        )
        .hint("look at the host; the next run tells what state it is in, and recovers")
    }

    fn cut(&self, how: Stop) -> Failure {
        match how {
            Stop::Now => Failure::new(
                self.phase().unwrap_or(Phase::Stage),
                "interrupted while the host was being written: it has the old set or the new one, whole",
            )
            .hint("run this again"),
            _ => interrupted(Phase::Exec),
        }
    }

    /// The channel closed and there was no end mark: never a success, whatever the status says.
    fn silence(&self) -> Failure {
        let how = self.ended.as_deref().unwrap_or("the connection was lost");
        match self.phase() {
            Some(phase) => Failure::new(
                phase,
                format!("{how} before the answer was whole{}; the host has the old set or the new one", self.said()),
            )
            .hint("run this again: it finds out, and recovers"),
            None if self.escalates => {
                Failure::new(Phase::Become, format!("becoming root failed: {how}{}", self.said()))
                    .hint("try it by hand on the host: sudo -n true (or doas -n true)")
            }
            None => Failure::new(Phase::Exec, format!("the host did not run our program: {how}{}", self.said()))
                .hint("log in by hand and run: sh -c 'echo it works'"),
        }
    }

    /// Nothing to do. The host is given a moment to close by itself.
    pub async fn bye(&mut self) {
        self.channel.send(bytes::Bytes::from_static(b"bye\n"));
        self.channel.finish();
        self.listen().await;
    }

    /// Hears the program out, for a moment: the tool that failed has said why on stderr, which may come after stdout.
    pub async fn listen(&mut self) {
        let ended = async {
            while let Some(output) = self.channel.next().await {
                if let Output::Stderr(bytes) = output {
                    self.hear(&bytes);
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
    }
}
