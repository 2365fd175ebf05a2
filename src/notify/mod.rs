//! Who is told how a run went: webhooks, healthchecks, mail. News comes in, without a single value; what each channel says of it is made
//! as a value, and sent. That nobody could be told is a line for people, and never changes the run.

mod channel;
mod limits;
mod mail;
mod message;
mod news;
mod post;

use crate::words::printable;

pub use channel::Channel;
pub use limits::Limits;
pub use mail::Mail;
pub use message::Message;
pub use news::News;
pub use post::{Post, Url};

/// Sends each on its own, so that one that hangs holds up no other. Gives what went wrong, a line each.
pub fn send(messages: &[Message], limits: &Limits) -> Vec<String> {
    let sent = |message: &Message| match message {
        Message::Post(post) => post.send(limits).map_err(|why| format!("{}: {why}", post.url.shown())),
        Message::Mail(mail) => mail.send(limits).map_err(|why| format!("{}: {why}", mail.program)),
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = messages.iter().map(|message| scope.spawn(move || sent(message))).collect();
        let failed = running.into_iter().filter_map(|thread| match thread.join() {
            Ok(sent) => sent.err(),
            Err(_) => Some("sending panicked".to_owned()),
        });
        failed.map(|why| printable(why.as_bytes(), 400)).collect()
    })
}
