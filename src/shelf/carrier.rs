//! `Carrier`: the library's requests, on the HTTP and TLS that webhooks go over. The requests carry signatures, so none follows a redirect or
//! goes through a proxy of the environment: whoever set that had the web in mind.

use super::LARGEST;
use super::account::Endpoint;
use super::trouble::Trouble;
use crate::words::{Error, Result, system_trust};
use async_trait::async_trait;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;

/// To look a host up, and to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Without a byte in either direction, also in the middle of an answer.
const ANSWER: Duration = Duration::from_secs(12);
/// What may be expected of a bad line, in a second.
const SLOWEST: u64 = 64 << 10;

/// A connection is kept for the next request. A call blocks: whoever makes one waits for it and has nothing else to do.
#[derive(Debug, Clone)]
pub struct Carrier(Agent);

impl Carrier {
    /// To this server; nothing is connected yet.
    pub fn new(endpoint: &Endpoint) -> Result<Self> {
        let mut config = Agent::config_builder()
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_send_request(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_recv_body(Some(transfer(LARGEST)))
            .timeout_per_read(Some(ANSWER))
            .timeout_per_write(Some(ANSWER))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("distribute/", env!("CARGO_PKG_VERSION")));
        if !endpoint.is_clear() {
            config = config.tls_config(system_trust().map_err(Error::new)?);
        }
        Ok(Self(config.build().new_agent()))
    }

    fn carry(&self, request: HttpRequest, body: &[u8]) -> Result<HttpResponse, Trouble> {
        let (parts, _) = request.into_parts();
        let method = parts.method.clone();
        let request = ureq::http::Request::from_parts(parts, body);
        let request = self.0.configure_request(request).timeout_send_body(Some(transfer(body.len() as u64))).build();
        let mut answer = self.0.run(request).map_err(|error| Trouble::unanswered(&error))?;
        let body = answer.body_mut().with_config().limit(LARGEST).read_to_vec();
        let body = body.map_err(|error| Trouble::unanswered(&error))?;
        match Trouble::judged(&method, answer.status(), &body) {
            Some(trouble) => Err(trouble),
            None => Ok(with_body(answer, body)),
        }
    }
}

/// How long this many bytes may take.
fn transfer(length: u64) -> Duration {
    ANSWER + Duration::from_secs(length / SLOWEST)
}

fn with_body(answer: Response<ureq::Body>, body: Vec<u8>) -> HttpResponse {
    let (parts, _) = answer.into_parts();
    Response::from_parts(parts, body.into())
}

#[async_trait]
impl HttpService for Carrier {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let body = request.body_mut().collect().await?.to_bytes();
        self.carry(request, &body).map_err(|trouble| {
            // Also a `put` may be repeated: a second one finds the bytes of the first and is content.
            let kind = if trouble.is_final { HttpErrorKind::Unknown } else { HttpErrorKind::Request };
            HttpError::new(kind, trouble)
        })
    }
}

impl HttpConnector for Carrier {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}
