//! What a user of `distribute bundle` and `distribute keygen` sees, with the real binary, the real age and the real tar.
//! Every run is searched for the poison value: only `get` may ever show it.

#[path = "bundle/bad_files.rs"]
mod bad_files;
#[path = "bundle/git.rs"]
mod git;
#[path = "bundle/git_merge.rs"]
mod git_merge;
#[path = "bundle/guard.rs"]
mod guard;
#[path = "bundle/key_pairs.rs"]
mod key_pairs;
#[path = "bundle/keys_and_passwords.rs"]
mod keys_and_passwords;
#[path = "bundle/people.rs"]
mod people;
#[path = "bundle/room.rs"]
mod room;
#[path = "bundle/saves.rs"]
mod saves;
#[path = "bundle/stories.rs"]
mod stories;
