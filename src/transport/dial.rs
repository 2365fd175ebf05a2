//! From an address to a stream: resolve once, then one address after the other, each with a deadline of its own.
//! What comes out is a [`Wire`] that SSH is spoken over, and the [`Scissors`] that cut it. A jump host would be
//! another way to make these two.

use super::deadlines::shown;
use super::{Deadlines, shell_word};
use crate::inventory::Endpoint;
use crate::words::{Failure, Phase, printable};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

pub(super) struct Dialled {
    pub wire: Wire,
    pub scissors: Scissors,
    pub peer: SocketAddr,
    pub greeting: Greeting,
}

/// Resolves the name and connects.
pub(super) async fn dial(endpoint: &Endpoint, deadlines: &Deadlines) -> Result<Dialled, Failure> {
    if let Some(jump) = &endpoint.jump {
        let jump = printable(jump.as_bytes(), 100);
        return Err(Failure::new(Phase::Connect, format!("jump hosts are not supported yet (jump = \"{jump}\")"))
            .hint("run distribute on the jump host, or give the host an address that is reachable from here"));
    }
    let addresses = resolve(endpoint, deadlines).await?;
    let mut troubles = Vec::new();
    for peer in addresses {
        match timeout(deadlines.connect, TcpStream::connect(peer)).await {
            Ok(Ok(tcp)) => {
                return dialled(tcp, peer).map_err(|e| trouble(endpoint, &[format!("{peer}: {}", told(&e))]));
            }
            Ok(Err(e)) => troubles.push(format!("{peer}: {}", told(&e))),
            Err(_) => troubles.push(format!("{peer}: no answer within {}", shown(deadlines.connect))),
        }
    }
    Err(trouble(endpoint, &troubles))
}

async fn resolve(endpoint: &Endpoint, deadlines: &Deadlines) -> Result<Vec<SocketAddr>, Failure> {
    let address = endpoint.address.as_str();
    if let Ok(ip) = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, endpoint.port)]);
    }
    let name = printable(address.as_bytes(), 255);
    let failure = |why: String| {
        Failure::new(Phase::Resolve, format!("cannot resolve `{name}`: {why}"))
            .hint(format!("check the address in the inventory, or ask: getent hosts {}", shell_word(&name)))
    };
    match timeout(deadlines.resolve, lookup_host((address, endpoint.port))).await {
        Err(_) => Err(failure(format!("no answer within {}", shown(deadlines.resolve)))),
        Ok(Err(e)) => Err(failure(told(&e))),
        Ok(Ok(found)) => {
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for peer in found {
                if !addresses.contains(&peer) {
                    addresses.push(peer);
                }
            }
            if addresses.is_empty() { Err(failure("the name has no address".into())) } else { Ok(addresses) }
        }
    }
}

fn trouble(endpoint: &Endpoint, troubles: &[String]) -> Failure {
    Failure::new(Phase::Connect, format!("cannot connect to {}", troubles.join("; ")))
        .hint(format!("is the host up, sshd running there and the port right? try: {}", super::paste_ssh(endpoint)))
}

/// An I/O error in the words that people search for.
pub(super) fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::TimedOut => "connection timed out".into(),
        io::ErrorKind::HostUnreachable => "no route to host".into(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".into(),
        _ => printable(error.to_string().as_bytes(), 200),
    }
}

fn dialled(tcp: TcpStream, peer: SocketAddr) -> io::Result<Dialled> {
    tcp.set_nodelay(true)?; // Nagle costs 45 to 78 ms a host in delayed acknowledgements
    let scissors = Scissors(tcp.as_fd().try_clone_to_owned()?);
    let greeting = Greeting::default();
    Ok(Dialled { wire: Wire { tcp, greeting: greeting.clone() }, scissors, peer, greeting })
}

/// A second handle on the socket. Dropping a future of russh leaves its task and socket alive for as long as the
/// peer is silent; shutting the socket down ends them whatever they wait for.
pub(super) struct Scissors(OwnedFd);

impl Drop for Scissors {
    fn drop(&mut self) {
        let _ = nix::sys::socket::shutdown(self.0.as_raw_fd(), nix::sys::socket::Shutdown::Both);
    }
}

/// The first bytes that the peer said: an SSH banner, or why there is none.
#[derive(Clone, Default)]
pub(super) struct Greeting(Arc<Mutex<Vec<u8>>>);

const GREETING: usize = 255;

impl Greeting {
    fn hear(&self, bytes: &[u8]) {
        let mut heard = self.0.lock().expect("nobody panics while holding this lock");
        let room = GREETING - heard.len();
        heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn lines(&self) -> Vec<String> {
        let heard = self.0.lock().expect("nobody panics while holding this lock");
        heard.split(|byte| *byte == b'\n').map(|line| printable(line, 120)).filter(|line| !line.is_empty()).collect()
    }

    /// Did nothing come at all?
    pub fn is_silence(&self) -> bool {
        self.lines().is_empty()
    }

    /// Was there a line that starts with `SSH-`, as RFC 4253, 4.2 wants it?
    pub fn has_banner(&self) -> bool {
        self.lines().iter().any(|line| line.starts_with("SSH-"))
    }

    /// Is it Dropbear, which takes shorter commands than OpenSSH?
    pub fn is_dropbear(&self) -> bool {
        self.lines().iter().any(|line| line.starts_with("SSH-2.0-dropbear"))
    }

    /// What was said instead of a banner.
    pub fn words(&self) -> Option<String> {
        if self.has_banner() { None } else { self.lines().into_iter().next() }
    }
}

/// A TCP stream that acknowledges at once and remembers the greeting.
pub(super) struct Wire {
    tcp: TcpStream,
    greeting: Greeting,
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut wire.tcp).poll_read(cx, buf));
        if result.is_ok() {
            wire.greeting.hear(&buf.filled()[before..]);
            quickack(&wire.tcp);
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// sshd before 10.1 waits 40 ms for a delayed acknowledgement. The kernel forgets this option, so it is set after
/// each read; without it things are slower, not wrong.
#[cfg(target_os = "linux")]
fn quickack(tcp: &TcpStream) {
    let _ = rustix::net::sockopt::set_tcp_quickack(tcp, true);
}

#[cfg(not(target_os = "linux"))]
fn quickack(_: &TcpStream) {}
