//! A Kubernetes Secret, for `kubectl apply -f`. All values are base64 under `data`: any byte goes, and no word means `true` to YAML.

use super::Manifest;
use super::draft::Draft;
use crate::words::{KeyName, Secret};
use data_encoding::BASE64;

/// The API refuses a Secret whose values are together longer.
const LARGEST: usize = 1024 * 1024;
const TOO_MUCH: &str = "the values up to here are together longer than 1 MiB";

pub(super) fn refuses(value: &Secret) -> Option<&'static str> {
    (value.len() > LARGEST).then_some("the value is longer than 1 MiB")
}

/// The key with which there is too much.
pub(super) fn too_much(values: &[(KeyName, Secret)]) -> Option<(&KeyName, &'static str)> {
    let mut sum = 0;
    let is_over = |(_, value): &&(KeyName, Secret)| {
        sum += value.len();
        sum > LARGEST
    };
    values.iter().find(is_over).map(|(key, _)| (key, TOO_MUCH))
}

pub(super) fn write(values: &[(KeyName, Secret)], manifest: &Manifest) -> Secret {
    let namespace = manifest.namespace().map(|namespace| format!("  namespace: \"{namespace}\"\n")).unwrap_or_default();
    let head = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"{}\"\n{namespace}type: Opaque\ndata:{}\n",
        manifest.name(),
        if values.is_empty() { " {}" } else { "" }
    );
    let size = |(key, value): &(KeyName, Secret)| key.as_str().len() + BASE64.encode_len(value.len()) + 10;
    let mut draft = Draft::with_room(head.len() + values.iter().map(size).sum::<usize>());
    draft.put(head.as_bytes());
    for (key, value) in values {
        for part in [b"  \"", key.as_str().as_bytes(), b"\": \"", encoded(value).expose(), b"\"\n"] {
            draft.put(part);
        }
    }
    draft.finish()
}

/// As a value stands in it.
pub(super) fn encoded(value: &Secret) -> Secret {
    Secret::new(BASE64.encode(value.expose()).into_bytes())
}
