//! The language spoken with a host; pure. `request` turns a transaction into bytes, `reply` turns bytes into facts and results.
//! What is said, and in which order, stands at the head of `program.sh`.

mod reply;
mod request;

pub use reply::{Frame, FrameReader, Pushed, contents, drill, look, push};
pub use request::{
    audit_hello, backups_hello, command, drill_line, hello, opening, part_lines, payload, push_line, read_lines,
};
