//! What a user of `distribute bundle` and `distribute keygen` sees, with the real binary, the real age and the real tar.
//! Every run is searched for the poison value: only `get` may ever show it.

#[path = "bundle/bad_files.rs"]
mod bad_files;
#[path = "bundle/edit.rs"]
mod edit;
#[path = "bundle/flaws.rs"]
mod flaws;
#[path = "bundle/git.rs"]
mod git;
#[path = "bundle/git_merge.rs"]
mod git_merge;
#[path = "bundle/guard.rs"]
mod guard;
#[path = "bundle/import.rs"]
mod import;
#[path = "bundle/import_ansible.rs"]
mod import_ansible;
#[path = "bundle/import_readers.rs"]
mod import_readers;
#[path = "bundle/import_sops.rs"]
mod import_sops;
#[path = "bundle/key_pairs.rs"]
mod key_pairs;
#[path = "bundle/keys_and_passwords.rs"]
mod keys_and_passwords;
#[path = "bundle/log.rs"]
mod log;
#[path = "bundle/password_holders.rs"]
mod password_holders;
#[path = "bundle/people.rs"]
mod people;
#[path = "bundle/places_in_trouble.rs"]
mod places_in_trouble;
#[path = "bundle/plugins.rs"]
mod plugins;
#[path = "bundle/recipients.rs"]
mod recipients;
#[path = "bundle/room.rs"]
mod room;
#[path = "bundle/run.rs"]
mod run;
#[path = "bundle/save_faults.rs"]
mod save_faults;
#[path = "bundle/saves.rs"]
mod saves;
#[path = "support/sealers.rs"]
mod sealers;
#[path = "bundle/small_commands.rs"]
mod small_commands;
#[path = "bundle/stories.rs"]
mod stories;
#[path = "bundle/watched_edit.rs"]
mod watched_edit;
