//! `Account`: as whom, and where, a bucket is asked. It is read from the variables that Amazon's own tools read, and from nothing else:
//! no files in the home directory, and no server that hands out credentials.

use crate::words::{Error, Result, Secret};
use std::fmt;
use std::net::IpAddr;
use ureq::http::Uri;

/// Amazon's where no region is named. Most others do not care.
const REGION: &str = "us-east-1";

/// Credentials, and the server they are for.
pub struct Account {
    /// `AWS_ACCESS_KEY_ID`
    pub key_id: Secret,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_key: Secret,
    /// `AWS_SESSION_TOKEN`, of credentials that end
    pub session_token: Option<Secret>,
    /// `AWS_REGION`
    pub region: String,
    /// `AWS_ENDPOINT_URL`
    pub endpoint: Endpoint,
}

/// `https://s3.example.com:8333`: never with a user or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Account {
    /// The errors name variables and never show what is in them.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let first =
            |names: [&'static str; 2]| names.into_iter().find_map(|name| given(name).map(|value| (name, value)));
        let region = match first(["AWS_REGION", "AWS_DEFAULT_REGION"]) {
            Some((name, region)) => checked_region(name, region)?,
            None => REGION.to_owned(),
        };
        let may_be_clear = given("AWS_ALLOW_HTTP").is_some_and(|value| value == "true");
        let endpoint = match first(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]) {
            Some((name, url)) => Endpoint::new(&url, may_be_clear).map_err(|error| error.at(name))?,
            None => Endpoint(format!("https://s3.{region}.amazonaws.com")),
        };
        Ok(Self {
            key_id: credential("AWS_ACCESS_KEY_ID", given("AWS_ACCESS_KEY_ID"))?,
            secret_key: credential("AWS_SECRET_ACCESS_KEY", given("AWS_SECRET_ACCESS_KEY"))?,
            session_token: given("AWS_SESSION_TOKEN")
                .map(|token| credential("AWS_SESSION_TOKEN", Some(token)))
                .transpose()?,
            region,
            endpoint,
        })
    }
}

/// It goes into a header, signed.
fn credential(name: &str, value: Option<String>) -> Result<Secret> {
    let value = value.map(Secret::new).ok_or_else(|| {
        Error::new(format!("{name} is not set"))
            .hint("a bucket is opened with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from the environment")
    })?;
    if value.expose().iter().all(u8::is_ascii_graphic) {
        return Ok(value);
    }
    Err(Error::new(format!("{name} holds a character that no credential has"))
        .hint("is there a line break or a blank at its end?"))
}

/// It becomes a part of a host's name.
fn checked_region(name: &str, region: String) -> Result<String> {
    let is_region = region.len() <= 64 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_region {
        Ok(region)
    } else {
        Err(Error::new(format!("{name} is no region")).hint("for example eu-central-1"))
    }
}

impl Endpoint {
    fn new(text: &str, may_be_clear: bool) -> Result<Self> {
        let wrong = |why: &str| Err(Error::new(why).hint("for example https://s3.eu-central-1.example.com"));
        let Ok(uri) = text.parse::<Uri>() else { return wrong("it is not an address of a server") };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return wrong("it does not begin with https:// and a host");
        };
        if authority.as_str().contains('@') || uri.query().is_some() || text.contains('#') {
            return wrong("it holds more than a host, a port and a path");
        }
        match scheme {
            "https" => {}
            "http" if may_be_clear || is_loopback(authority.host()) => {}
            "http" => {
                return Err(Error::new("it is not https, so anybody on the way could read and change what is sent")
                    .hint("AWS_ALLOW_HTTP=true allows it, for a network that is your own"));
            }
            _ => return wrong("it begins with neither https:// nor http://"),
        }
        Ok(Self(format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/'))))
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is what is sent there in the clear?
    pub fn is_clear(&self) -> bool {
        self.0.starts_with("http:")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Account> {
        let keys = [("AWS_ACCESS_KEY_ID", "AKIDPOISON"), ("AWS_SECRET_ACCESS_KEY", "secretPOISON")];
        Account::read(&|name| {
            let found = variables.iter().chain(&keys).find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_narrower_variable_counts() {
        let account = read(&[
            ("AWS_ENDPOINT_URL", "https://wide.example.com"),
            ("AWS_ENDPOINT_URL_S3", "https://s3.example.com:8443/"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
        ])
        .unwrap();
        assert_eq!((account.endpoint.as_str(), account.region.as_str()), ("https://s3.example.com:8443", "eu-west-1"));
        let account =
            read(&[("AWS_ENDPOINT_URL", ""), ("AWS_REGION", "eu-central-1"), ("AWS_SESSION_TOKEN", "")]).unwrap();
        assert_eq!(account.endpoint.as_str(), "https://s3.eu-central-1.amazonaws.com");
        assert!(account.session_token.is_none() && !account.endpoint.is_clear());
    }

    #[test]
    fn what_is_sent_in_the_clear_stays_on_this_machine() {
        for url in ["http://127.8.9.10:8333", "http://localhost", "http://[::1]:8333"] {
            assert!(read(&[("AWS_ENDPOINT_URL", url)]).unwrap().endpoint.is_clear(), "{url}");
        }
        let lan = ("AWS_ENDPOINT_URL", "http://192.0.2.1:8333");
        assert!(read(&[lan]).err().unwrap().hints()[0].contains("AWS_ALLOW_HTTP"));
        assert!(read(&[lan, ("AWS_ALLOW_HTTP", "1")]).is_err());
        assert!(read(&[lan, ("AWS_ALLOW_HTTP", "true")]).is_ok());
    }

    #[test]
    fn no_error_shows_a_value() {
        for wrong in [
            ("AWS_SECRET_ACCESS_KEY", "secretPOISON\n"),
            ("AWS_ACCESS_KEY_ID", ""),
            ("AWS_SESSION_TOKEN", "POISON POISON"),
            ("AWS_REGION", "POISON.example.com/"),
            ("AWS_ENDPOINT_URL", "POISON"),
            ("AWS_ENDPOINT_URL", "https://POISON:POISON@s3.example.com"),
            ("AWS_ENDPOINT_URL", "https://s3.example.com/?token=POISON"),
            ("AWS_ENDPOINT_URL", "ftp://POISON"),
            ("AWS_ENDPOINT_URL", "http://POISON.example.com"),
        ] {
            let error = read(&[wrong]).err().unwrap_or_else(|| panic!("{wrong:?}"));
            let said = format!("{error} {error:?}");
            assert!(said.contains(wrong.0) && !said.contains("POISON"), "{said}");
        }
    }
}
