//! `Channel`: somebody who is told, and how. Pure: news comes in, a message leaves.

use super::{Mail, Message, News, Post, Url};
use crate::words::Secret;
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Ready to be used: secrets that it wants are in it.
#[derive(Clone, Debug)]
pub enum Channel {
    /// Gets the document; with a key it can check that it is from us, and from when.
    Webhook { url: Url, key: Option<Secret> },
    /// Gets a ping when a run begins, and one for how it ended; it raises the alarm when none comes.
    Healthchecks { url: Url },
    /// Gets a mail.
    Sendmail { program: String, to: String, from: Option<String> },
}

impl Channel {
    /// What is said when a run begins.
    pub fn begin(&self) -> Option<Message> {
        match self {
            Self::Healthchecks { url } => {
                Some(Message::Post(Post::new(url.below("start"), "text/plain", String::new())))
            }
            Self::Webhook { .. } | Self::Sendmail { .. } => None,
        }
    }

    /// What is said when it has ended.
    pub fn end(&self, news: &News, now: DateTime<Utc>) -> Message {
        match self {
            Self::Webhook { url, key } => {
                let post = Post::new(url.clone(), "application/json", news.json());
                Message::Post(key.iter().fold(post, |post, key| signed(post, key, now)))
            }
            Self::Healthchecks { url } => {
                let url = if news.status == 0 { url.clone() } else { url.below("fail") };
                Message::Post(Post::new(url, "text/plain; charset=utf-8", news.message.clone()))
            }
            Self::Sendmail { program, to, from } => Message::Mail(Mail::new(program, to, from.as_deref(), news, now)),
        }
    }
}

/// The time is signed too: an old document cannot be sent again as a new one.
fn signed(post: Post, key: &Secret, now: DateTime<Utc>) -> Post {
    let time = now.timestamp().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
    mac.update(format!("{time}.").as_bytes());
    mac.update(post.body.as_bytes());
    let signature = HEXLOWER.encode(&mac.finalize().into_bytes());
    post.header("X-Distribute-Timestamp", time).header("X-Distribute-Signature", format!("sha256={signature}"))
}
