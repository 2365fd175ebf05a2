//! `Post`: a request to a server, tried again while there is hope. Its address is often a secret itself, so only scheme and host are
//! ever shown.

use super::Limits;
use crate::words::{Error, Result, Secret, system_trust};
use std::fmt;
use std::time::Duration;
use ureq::Agent;

/// `http://` or `https://`, a host, and what belongs to nobody else.
#[derive(Clone)]
pub struct Url(Secret);

impl Url {
    /// Takes text that is such an address. The error does not show it.
    pub fn new(text: &[u8]) -> Result<Self> {
        let wrong = |why: &str| Err(Error::new(format!("it is not an address of a server: {why}")));
        let Ok(text) = std::str::from_utf8(text) else { return wrong("it is not text") };
        let Some((scheme, rest)) = text.split_once("://") else { return wrong("it does not begin with https://") };
        if !matches!(scheme, "https" | "http") {
            return wrong("it does not begin with https://");
        }
        if text.bytes().any(|b| !b.is_ascii_graphic()) || text.contains(['"', '<', '>', '\\', '#']) {
            return wrong("it holds a character that must be written as %XX");
        }
        match host(rest) {
            "" => wrong("it names no host"),
            _ if authority(rest).contains('@') => wrong("it holds a user"),
            _ => Ok(Self(Secret::new(text))),
        }
    }

    /// `https://hooks.example.com`, for people.
    pub fn shown(&self) -> String {
        let (scheme, rest) = self.text().split_once("://").expect("it was checked");
        format!("{scheme}://{}", host(rest))
    }

    /// With a word more at the end of its path.
    pub fn below(&self, word: &str) -> Self {
        let (path, query) =
            self.text().split_once('?').map_or((self.text(), None), |(path, query)| (path, Some(query)));
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Self(Secret::new(format!("{}/{word}{query}", path.trim_end_matches('/'))))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(self.0.expose()).expect("it was checked")
    }

    fn is_https(&self) -> bool {
        self.text().starts_with("https:")
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({})", self.shown())
    }
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Without the port.
fn host(rest: &str) -> &str {
    let authority = authority(rest);
    let end = if authority.starts_with('[') { authority.find(']').map(|end| end + 1) } else { authority.find(':') };
    &authority[..end.unwrap_or(authority.len())]
}

/// What is sent, complete.
#[derive(Debug)]
pub struct Post {
    pub url: Url,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// Why a try did not work, and whether another may.
struct Refused {
    why: String,
    is_final: bool,
}

impl Post {
    /// Without headers of its own.
    pub fn new(url: Url, kind: &str, body: String) -> Self {
        Self { url, headers: vec![("Content-Type", kind.to_owned())], body }
    }

    /// Adds one.
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Tries until it is taken, or until there is no hope. The reason holds nothing of the address.
    pub(super) fn send(&self, limits: &Limits) -> Result<(), String> {
        let agent = agent(self.url.is_https(), limits.one_try)?;
        let mut pauses = limits.pauses.iter();
        loop {
            let Err(refused) = self.try_once(&agent, limits.one_try) else { return Ok(()) };
            match pauses.next().filter(|_| !refused.is_final) {
                Some(pause) => std::thread::sleep(*pause),
                None => return Err(refused.why),
            }
        }
    }

    fn try_once(&self, agent: &Agent, limit: Duration) -> Result<(), Refused> {
        let request = self
            .headers
            .iter()
            .fold(agent.post(self.url.text()), |request, (name, value)| request.header(*name, value));
        match request.send(self.body.as_bytes()) {
            Ok(answer) => judged(answer.status().as_u16()),
            Err(error) => Err(refused(&error, limit)),
        }
    }
}

/// A server in trouble may be well in a moment; one that says no means it.
fn judged(status: u16) -> Result<(), Refused> {
    let refused = |is_final, note| Err(Refused { why: format!("the server answered {status}{note}"), is_final });
    match status {
        200..=299 => Ok(()),
        300..=399 => refused(true, ", a redirect, which is not followed"),
        500..=599 => refused(false, ""),
        _ => refused(true, ""),
    }
}

/// In our own words: the library's may quote the address.
fn refused(error: &ureq::Error, limit: Duration) -> Refused {
    let refused = |is_final, why: String| Refused { why, is_final };
    match error {
        ureq::Error::Timeout(_) => refused(false, format!("no answer within {limit:?}")),
        ureq::Error::HostNotFound => refused(false, "the host has no address".to_owned()),
        ureq::Error::ConnectionFailed => refused(false, "no connection".to_owned()),
        // A certificate that is wrong now is wrong in a second.
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => refused(true, error.to_string()),
        ureq::Error::Io(error) => refused(false, error.to_string()),
        ureq::Error::Rustls(error) => refused(true, error.to_string()),
        ureq::Error::Tls(why) => refused(true, (*why).to_owned()),
        ureq::Error::Protocol(_) => refused(false, "the server does not speak HTTP".to_owned()),
        _ => refused(true, "the request could not be made".to_owned()),
    }
}

/// No proxy out of the environment, no redirect, and a status is an answer.
fn agent(is_https: bool, limit: Duration) -> Result<Agent, String> {
    let mut config = Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("distribute/", env!("CARGO_PKG_VERSION")));
    if is_https {
        config = config.tls_config(system_trust()?);
    }
    Ok(config.build().new_agent())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_its_host_only() {
        for (text, shown) in [
            ("https://hooks.example.com/services/POISON", "https://hooks.example.com"),
            ("http://127.0.0.1:8080?key=POISON", "http://127.0.0.1"),
            ("https://[::1]:8443/POISON", "https://[::1]"),
        ] {
            let url = Url::new(text.as_bytes()).unwrap();
            assert_eq!(url.shown(), shown);
            assert!(!format!("{url:?}").contains("POISON"));
        }
        for bad in [
            "",
            "POISON",
            "ftp://POISON/x",
            "https://",
            "https:///POISON",
            "https://POISON@x/",
            "https://x/POISON\r\nA: b",
            "https://ä/POISON",
        ] {
            let error = Url::new(bad.as_bytes()).unwrap_err();
            assert!(!error.to_string().contains("POISON"), "{error}");
        }
    }

    #[test]
    fn a_word_goes_to_the_end_of_the_path() {
        let below = |text: &str| Url::new(text.as_bytes()).unwrap().below("fail").text().to_owned();
        assert_eq!(below("https://hc-ping.com/uuid"), "https://hc-ping.com/uuid/fail");
        assert_eq!(below("https://hc-ping.com/uuid/?rid=1"), "https://hc-ping.com/uuid/fail?rid=1");
    }
}
