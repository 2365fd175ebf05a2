//! `Bucket`: a shelf on a server that speaks S3. A `put` is conditional (`If-None-Match: *`) and carries a checksum, which a bucket with
//! object lock asks for. Nothing is overwritten or deleted, so credentials that could do neither are enough.

use super::account::{Account, Endpoint};
use super::carrier::Carrier;
use super::shelf_path::{ShelfPath, is_part};
use super::trouble::Trouble;
use super::{Put, compared};
use crate::words::{Error, Result, Secret};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};
use std::time::Duration;

/// No try begins later than this after the first: together with what one may take, half a minute at most.
const LAST_TRY: Duration = Duration::from_secs(8);
const RETRIES: usize = 4;
/// So many answers to one `list`, of a thousand names each.
const MOST_PAGES: usize = 1000;

/// Where copies lie as objects.
pub struct Bucket {
    store: AmazonS3,
    endpoint: Endpoint,
    name: String,
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl Bucket {
    /// `rest` is what follows `s3://`.
    pub fn open(rest: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let (name, prefix) = named(rest)?;
        let shown = format!("s3://{name}/{prefix}");
        let account = Account::read(variable).map_err(|error| error.at(&shown))?;
        let carrier = Carrier::new(&account.endpoint).map_err(|error| error.at(&shown))?;
        // What the library would say may quote what it was given.
        let store =
            store(&account, &name, carrier).map_err(|_| Error::new("a bucket cannot be opened so").at(shown))?;
        Ok(Self { store, endpoint: account.endpoint, name, prefix })
    }

    /// Only if nothing has the name; otherwise what lies there is compared.
    pub fn put(&self, path: &ShelfPath, bytes: Vec<u8>) -> Result<Put> {
        let (key, bytes) = (self.key(path), bytes::Bytes::from(bytes));
        for _ in 0..RETRIES {
            let put = self.store.put_opts(&key, bytes.clone().into(), PutMode::Create.into());
            match waited(put) {
                Ok(_) => return Ok(Put::Stored),
                Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(self.told(&error, path)),
            }
            // Another `put` that was under way when ours came may still have failed.
            if let Some(there) = self.get(path).map_err(|error| error.hint("something lies there already"))? {
                return compared(path, &there, &bytes).map_err(|error| error.at(self.shown()));
            }
        }
        Err(Error::new("somebody puts it there and takes it away again").at(path).at(self.shown()))
    }

    /// All of it, within the bound of `Carrier`.
    pub fn get(&self, path: &ShelfPath) -> Result<Option<Vec<u8>>> {
        let got = waited(async { self.store.get(&self.key(path)).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.told(&error, path)),
        }
    }

    /// Objects whose names a `put` could have given.
    pub fn list(&self) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let page = self.page(token)?;
            let keys = page.result.objects.iter().map(|object| object.location.as_ref());
            let below = keys.filter_map(|key| key.strip_prefix(&self.prefix));
            paths.extend(below.filter(|path| ShelfPath::new(path).is_ok()).map(str::to_owned));
            token = page.page_token;
            if token.is_none() {
                return Ok(paths);
            }
        }
        Err(Error::new("it holds more objects than can be listed").at(self.shown()))
    }

    fn page(&self, page_token: Option<String>) -> Result<PaginatedListResult> {
        let prefix = (!self.prefix.is_empty()).then_some(self.prefix.as_str());
        let options = PaginatedListOptions { page_token, ..Default::default() };
        let page = waited(self.store.list_paginated(prefix, options));
        page.map_err(|error| Trouble::told(&error, &self.endpoint).at(self.shown()))
    }

    /// `s3://bucket/prefix`
    pub fn shown(&self) -> String {
        format!("s3://{}/{}", self.name, self.prefix).trim_end_matches('/').to_owned()
    }

    fn key(&self, path: &ShelfPath) -> Path {
        Path::from(format!("{}{path}", self.prefix))
    }

    fn told(&self, error: &object_store::Error, path: &ShelfPath) -> Error {
        Trouble::told(error, &self.endpoint).at(path).at(self.shown())
    }
}

fn store(account: &Account, bucket: &str, carrier: Carrier) -> object_store::Result<AmazonS3> {
    let text = |secret: &Secret| String::from_utf8_lossy(secret.expose()).into_owned();
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(2), base: 2.0 };
    // `new` and not `from_env`, which takes all of AWS_*. What the library is given it keeps as plain text, and wipes nothing.
    let builder = AmazonS3Builder::new()
        .with_access_key_id(text(&account.key_id))
        .with_secret_access_key(text(&account.secret_key))
        .with_region(&account.region)
        .with_endpoint(account.endpoint.as_str())
        .with_allow_http(account.endpoint.is_clear())
        .with_bucket_name(bucket)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_retry(RetryConfig { backoff, max_retries: RETRIES, retry_timeout: LAST_TRY })
        .with_http_connector(carrier);
    account.session_token.iter().fold(builder, |builder, token| builder.with_token(text(token))).build()
}

/// Bucket and prefix, the latter empty or with a slash at its end. The error shows nothing: somebody may have put credentials there.
fn named(rest: &str) -> Result<(String, String)> {
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let is_name = (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    if !is_name || name.starts_with('.') || !(prefix.is_empty() || prefix.split('/').all(is_part)) {
        return Err(Error::new("it is not s3://BUCKET/PREFIX").hint(
            "a bucket has lower-case letters, digits, `.` and `-`; a prefix parts of letters, digits, `.`, `_` and `-`",
        ));
    }
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Ok((name.to_owned(), prefix))
}

/// The library is asynchronous, what carries its requests is not; so a runtime for the length of a call is all it needs, and a shelf may be
/// used and dropped on any thread that may block.
fn waited<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without sockets needs nothing").block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_and_a_prefix() {
        for (rest, name, prefix) in
            [("backups", "backups", ""), ("my.bucket-1/", "my.bucket-1", ""), ("backups/a/b_c/", "backups", "a/b_c/")]
        {
            assert_eq!(named(rest).unwrap(), (name.to_owned(), prefix.to_owned()));
        }
        for bad in [
            "",
            "ab",
            "/POISON",
            "POISON:POISON@backups",
            "backups/../POISON",
            "backups/a//b",
            "backups?POISON",
            "Backups",
        ] {
            let error = named(bad).unwrap_err().to_string();
            assert!(!error.contains("POISON"), "{error}");
        }
    }
}
