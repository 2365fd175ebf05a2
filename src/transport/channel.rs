//! `Channel`: a command that runs on a host. One task feeds its input and takes its output at the same time, so that
//! writing and reading never wait for each other, and ends what belongs to it when the `Channel` is dropped.

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

/// How long late output is waited for after the command has ended. A child in the background that kept stdout
/// would hold the channel open for ever.
pub(super) const GRACE: Duration = Duration::from_secs(5);
const GOODBYE: Duration = Duration::from_secs(1);
/// Messages in flight; russh packs 32 KiB at most in one. A host that floods fills this and is slowed down.
const QUEUE: usize = 32;

/// What comes back from a command, in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Stdout(Bytes),
    Stderr(Bytes),
    /// It may come before the last output.
    Exit(u32),
    /// The name without `SIG`.
    Signal(String),
    /// The server does not run commands for this user.
    Refused,
}

/// A command under way: input goes in, output comes out, and dropping it ends it.
pub struct Channel {
    // Dropped first: a dropped channel must look gone before its input looks finished.
    _alive: oneshot::Sender<()>,
    input: Option<mpsc::UnboundedSender<Bytes>>,
    output: mpsc::Receiver<Output>,
}

impl Channel {
    /// Queues input; never waits. What a command that has ended does not read is dropped.
    pub fn send(&self, bytes: Bytes) {
        if let Some(input) = &self.input {
            let _ = input.send(bytes);
        }
    }

    /// Ends the input after what was queued.
    pub fn finish(&mut self) {
        self.input = None;
    }

    /// The next thing the command says; `None` after the end. To stop earlier, drop the channel.
    pub async fn next(&mut self) -> Option<Output> {
        self.output.recv().await
    }

    /// Takes no more output: what is still coming is read and thrown away, so that the command can go on to its end.
    pub fn abandon(&mut self) {
        self.output.close();
    }

    /// Runs `pump` with the far ends of a new channel, until it ends or the channel is dropped.
    pub(super) fn spawn<F>(pump: impl FnOnce(Input, Mouth, Gone) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (input, queued) = mpsc::unbounded_channel();
        let (mouth, output) = mpsc::channel(QUEUE);
        let (alive, gone) = oneshot::channel();
        tokio::spawn(pump(queued, Mouth(mouth), gone));
        Self { input: Some(input), output, _alive: alive }
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Channel")
    }
}

/// Where queued input arrives; it ends when `finish` was called.
pub(super) type Input = mpsc::UnboundedReceiver<Bytes>;
/// Resolves when the `Channel` is dropped.
pub(super) type Gone = oneshot::Receiver<()>;

/// Where output goes; once nobody takes it any more it is thrown away.
pub(super) struct Mouth(mpsc::Sender<Output>);

impl Mouth {
    /// Passes output on, and waits while too much of it is in flight.
    pub async fn say(&self, output: Output) {
        let _ = self.0.send(output).await;
    }
}

/// Feeds the command and takes its output, until either side is done.
pub(super) async fn pump(
    reader: ChannelReadHalf,
    writer: ChannelWriteHalf<Msg>,
    input: Input,
    mouth: Mouth,
    gone: Gone,
) {
    // A writer waits for ever once the remote end has stopped reading (nobody wakes it), so it ends with the reader.
    tokio::select! {
        biased;
        _ = gone => {}
        () = drain(reader, &mouth) => {}
        never = feed(&writer, input) => match never {},
    }
    let _ = timeout(GOODBYE, writer.close()).await;
}

async fn feed(writer: &ChannelWriteHalf<Msg>, mut input: Input) -> Infallible {
    while let Some(bytes) = input.recv().await {
        if writer.data_bytes(bytes).await.is_err() {
            break;
        }
    }
    let _ = writer.eof().await;
    std::future::pending().await // how it ended is the reader's to say
}

/// Reads to the close, not to the exit status: sshd may send the status before the last output.
async fn drain(mut reader: ChannelReadHalf, mouth: &Mouth) {
    let mut grace: Option<Instant> = None;
    loop {
        let message = tokio::select! {
            message = reader.wait() => message,
            () = sleep_until(grace.unwrap_or_else(Instant::now)), if grace.is_some() => None,
        };
        match message {
            None | Some(ChannelMsg::Close) => break,
            Some(ChannelMsg::Data { data }) => mouth.say(Output::Stdout(data)).await,
            Some(ChannelMsg::ExtendedData { data, .. }) => mouth.say(Output::Stderr(data)).await,
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                grace.get_or_insert(Instant::now() + GRACE);
                mouth.say(Output::Exit(exit_status)).await;
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                grace.get_or_insert(Instant::now() + GRACE);
                mouth.say(Output::Signal(signal(&signal_name))).await;
            }
            // The answer to exec, the only request that wants one; the channel would stay open.
            Some(ChannelMsg::Failure) => {
                mouth.say(Output::Refused).await;
                break;
            }
            Some(_) => {}
        }
    }
}

fn signal(name: &russh::Sig) -> String {
    match name {
        russh::Sig::Custom(text) => crate::words::printable(text.as_bytes(), 20),
        known => format!("{known:?}"),
    }
}
