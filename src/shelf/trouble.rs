//! `Trouble`: why a server did not do what it was asked, in our own words. The library's words quote answers and addresses, and answers
//! quote requests; so of an answer only its status and the short code in it are ever shown.

use super::account::Endpoint;
use crate::words::{Error, printable};
use std::fmt;
use ureq::http::{Method, StatusCode};

/// What was wrong, what to do, and whether another try may end better.
#[derive(Debug)]
pub struct Trouble {
    why: String,
    hint: Option<&'static str>,
    /// Nothing else will come of another try.
    pub is_final: bool,
}

const CREDENTIALS: &str = "is AWS_SECRET_ACCESS_KEY the one of AWS_ACCESS_KEY_ID, and are both of this server?";
const REGION: &str = "set AWS_REGION to the region of the bucket, or AWS_ENDPOINT_URL to its server";

impl Trouble {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None, is_final: true }
    }

    fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    fn passing(self) -> Self {
        Self { is_final: false, ..self }
    }

    /// What an answer means, unless the library knows: done, not there, or there already.
    pub fn judged(method: &Method, status: StatusCode, body: &[u8]) -> Option<Self> {
        let code = code(body).unwrap_or_default();
        Some(match (status.as_u16(), code) {
            (200..=299 | 412, _) | (409, "ConditionalRequestConflict" | "OperationAborted") => return None,
            (404, "NoSuchBucket") => {
                Self::new("there is no such bucket").hint("make it first: distribute makes no buckets")
            }
            (404, _) if method == Method::GET => return None,
            (300..=399, _) | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                Self::new(answered(status, code)).hint(REGION)
            }
            (_, "SignatureDoesNotMatch" | "InvalidAccessKeyId" | "InvalidToken") | (401, _) => {
                Self::new(format!("the credentials are refused: {}", answered(status, code))).hint(CREDENTIALS)
            }
            (_, "ExpiredToken") => Self::new("the credentials have ended").hint("AWS_SESSION_TOKEN wants new ones"),
            (_, "RequestTimeTooSkewed") => Self::new("the server's clock and ours differ").hint("set the clock here"),
            (403 | 405, _) => {
                Self::new(format!("it may not be done: {}", answered(status, code))).hint(permission(method))
            }
            (501, _) => Self::new(format!("the server cannot do this: {}", answered(status, code)))
                .hint("it must know `If-None-Match: *`, without which something could be replaced"),
            (408 | 429 | 500..=599, _) => Self::new(answered(status, code)).passing(),
            _ => Self::new(answered(status, code)),
        })
    }

    /// No answer, or not the whole of it.
    pub fn unanswered(error: &ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => {
                Self::new("it does not answer in time").hint("is the address right, and is it reachable from here?")
            }
            ureq::Error::HostNotFound => Self::new("the host has no address").passing(),
            ureq::Error::ConnectionFailed => Self::new("no connection").passing(),
            // A certificate that is wrong now is wrong in a second.
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Self::new(error.to_string()),
            ureq::Error::Io(error) => Self::new(error.to_string()).passing(),
            ureq::Error::Rustls(error) => Self::new(error.to_string()),
            ureq::Error::Tls(why) => Self::new(*why),
            ureq::Error::BodyExceedsLimit(_) => Self::new("the answer is larger than 256 MiB"),
            ureq::Error::Protocol(_) => Self::new("the server does not speak HTTP"),
            _ => Self::new("the request could not be made"),
        }
    }

    /// Ours is found in what the library says; without one, it could make nothing of the answer.
    pub fn told(error: &object_store::Error, endpoint: &Endpoint) -> Error {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(trouble) = error.downcast_ref::<Self>() {
                let told = Error::new(trouble.to_string()).at(endpoint);
                return trouble.hint.into_iter().fold(told, Error::hint);
            }
            cause = error.source();
        }
        Error::new("the answer makes no sense").at(endpoint).hint("does this server speak S3?")
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(self.why.as_bytes(), 200))
    }
}

impl std::error::Error for Trouble {}

fn answered(status: StatusCode, code: &str) -> String {
    format!("the server answered {} {code}", status.as_u16())
}

fn permission(method: &Method) -> &'static str {
    if method == Method::PUT {
        "these credentials need s3:PutObject on the bucket, and s3:GetObject to compare what is there already"
    } else {
        "these credentials need s3:GetObject and s3:ListBucket on the bucket"
    }
}

/// `NoSuchBucket` in `<Error><Code>NoSuchBucket</Code>...`: a word and nothing else.
fn code(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    let is_code = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(method: Method, status: u16, code: &str, why: &str, hint: &str) {
        let body = format!("<Error><Code>{code}</Code><Message>POISON</Message></Error>");
        let trouble = Trouble::judged(&method, StatusCode::from_u16(status).unwrap(), body.as_bytes());
        let said = trouble.map(|trouble| (trouble.to_string(), trouble.hint.unwrap_or_default()));
        let (said, hinted) = said.unwrap_or_default();
        assert!(said == why && hinted.contains(hint), "{status} {code}: {said} {hinted}");
    }

    #[test]
    fn an_answer_is_told_without_what_it_quotes() {
        case(Method::PUT, 412, "PreconditionFailed", "", "");
        case(Method::GET, 404, "NoSuchKey", "", "");
        case(Method::GET, 404, "NoSuchBucket", "there is no such bucket", "make it first");
        case(
            Method::PUT,
            403,
            "AccessDenied",
            "it may not be done: the server answered 403 AccessDenied",
            "s3:PutObject",
        );
        case(
            Method::GET,
            403,
            "AccessDenied",
            "it may not be done: the server answered 403 AccessDenied",
            "s3:ListBucket",
        );
        case(Method::PUT, 301, "PermanentRedirect", "the server answered 301 PermanentRedirect", "AWS_REGION");
        case(Method::PUT, 503, "SlowDown", "the server answered 503 SlowDown", "");
        case(Method::PUT, 400, "<b>POISON", "the server answered 400", "");
    }
}
