//! Programs of the user's that make a provider (a database, an API) accept a new value: found before anything begins, called one after the
//! other with one JSON document on stdin, and gone with all they started when a call returns. What they print shows no secret.

mod answer;
mod call;
mod descriptors;
mod document;
mod family;
mod interpreter;
mod output;
mod pipes;
mod process;
mod process_stat;
mod program;
mod scrub;
mod step_group;
mod tie;
mod trouble;

pub use answer::Answer;
pub use call::{Call, call};
pub use program::Program;
pub use step_group::StepGroup;
pub use trouble::Trouble;
