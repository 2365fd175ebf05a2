//! One value that SOPS sealed: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`. The keys that lead to it are part of what the tag proves, so that
//! a value cannot be moved to another key.

use crate::words::Secret;
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::U32;
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, KeyInit};
use data_encoding::BASE64;
use zeroize::Zeroizing;

type Cipher = AesGcm<Aes256, U32>;

/// The key that sealed the values of one file.
pub struct DataKey(Cipher);

/// What a sealed value says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Text,
    Bool,
    Comment,
    Other,
}

impl DataKey {
    /// `None` when it has not the length of one.
    pub fn new(key: &Secret) -> Option<Self> {
        Cipher::new_from_slice(key.expose()).ok().map(Self)
    }

    /// Opens a value that lies there; `None` when it is none, or was altered or moved.
    pub fn open(&self, text: &str, place: &str) -> Option<(Secret, Type)> {
        let fields = text.strip_prefix("ENC[AES256_GCM,")?.strip_suffix(']')?;
        let mut fields = fields.split(',');
        let mut field = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix(':');
        let (data, nonce, tag, kind) = (field("data")?, field("iv")?, field("tag")?, field("type")?);
        let decoded = |text: &str| BASE64.decode(text.as_bytes()).ok();
        let mut data = Zeroizing::new(decoded(data)?);
        let (nonce, tag) = (decoded(nonce)?, decoded(tag)?);
        let (nonce, tag) = (nonce.as_slice().try_into().ok()?, tag.as_slice().try_into().ok()?);
        self.0.decrypt_inout_detached(&nonce, place.as_bytes(), data.as_mut_slice().into(), &tag).ok()?;
        let kind = match kind {
            "str" | "bytes" => Type::Text,
            "bool" => Type::Bool,
            "comment" => Type::Comment,
            _ => Type::Other,
        };
        Some((Secret::new(std::mem::take(&mut *data)), kind))
    }
}

/// Was this sealed?
pub fn is_sealed(text: &[u8]) -> bool {
    text.starts_with(b"ENC[AES256_GCM,")
}
