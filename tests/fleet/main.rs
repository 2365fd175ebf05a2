//! Stories a user would tell, through the real command line, over real SSH, to hosts of their own. Each carries a poison
//! value and ends by finding it in its files and nowhere else. Nothing here sleeps or asserts on how long a thing took.

#[path = "../support/host.rs"]
mod host;
#[path = "../support/process_watch.rs"]
mod process_watch;
#[path = "../support/sshd.rs"]
mod sshd;
#[path = "../support/workspace.rs"]
mod workspace;

mod actions;
mod contract;
mod enrolment;
mod example;
mod interrupt;
mod small;
mod strangers;
mod trouble;
