//! Small bundles for the tests of this room.

use super::layout::SecretName;
use super::opened::Bundle;
use crate::words::Secret;
use chrono::{DateTime, Utc};

pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

pub fn packed(list: &[(&str, &str)]) -> Bundle {
    let entries = list.iter().map(|(path, content)| (path.parse().unwrap(), Secret::new(*content))).collect();
    Bundle::from_entries(entries, &mut |bytes| bytes.fill(1)).unwrap()
}

pub fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text)
}
