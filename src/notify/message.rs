//! `Message`: what goes out through one channel, complete.

use super::{Mail, Post};

/// A request to a server, or a mail.
#[derive(Debug)]
pub enum Message {
    Post(Post),
    Mail(Mail),
}
