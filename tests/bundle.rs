//! What a user of `distribute bundle` and `distribute keygen` sees, with the real binary, the real age and the real tar.
//! Every run is searched for the poison value: only `get` may ever show it.

#[path = "bundle/bad_files.rs"]
mod bad_files;
#[path = "bundle/key_pairs.rs"]
mod key_pairs;
#[path = "bundle/keys_and_passwords.rs"]
mod keys_and_passwords;
#[path = "bundle/password_holders.rs"]
mod password_holders;
#[path = "bundle/places_in_trouble.rs"]
mod places_in_trouble;
#[path = "bundle/plugins.rs"]
mod plugins;
#[path = "bundle/recipients.rs"]
mod recipients;
#[path = "bundle/room.rs"]
mod room;
#[path = "bundle/save_faults.rs"]
mod save_faults;
#[path = "bundle/saves.rs"]
mod saves;
#[path = "bundle/stories.rs"]
mod stories;
