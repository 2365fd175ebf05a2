//! The way to a host, tried against a real sshd, ssh-agent and dropbear, and against servers that misbehave. Nothing
//! here asserts on how long a thing took, only that it ended.

#[path = "transport/command.rs"]
mod command;
#[path = "transport/faults.rs"]
mod faults;
#[path = "transport/here.rs"]
mod here;
#[path = "transport/host_key.rs"]
mod host_key;
#[path = "transport/login.rs"]
mod login;
#[path = "support/sshd.rs"]
mod sshd;
#[path = "transport/strange.rs"]
mod strange;
#[path = "support/way.rs"]
mod way;

/// Runs a story to its end, within a minute.
fn story(story: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(way::within(story));
}
