//! Logging in: which keys are offered, in which order, and what is told when none is taken. A host that names its
//! `identity_file` is shown that key and no other; else the keys in ssh-agent come first, then the default files.
//! sshd hangs up after six failures, so at most five keys are offered. Passwords are never asked for or sent.

use super::deadlines::shown;
use super::login::{AgentSocket, FileSigner, KeyFile, Login};
use super::ssh::{Guard, Notes};
use crate::inventory::Endpoint;
use crate::words::{Failure, Phase, printable};
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{AgentAuthError, MethodKind, MethodSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// OpenSSH's MaxAuthTries is six; one is left for whatever the server counts.
const MOST_OFFERS: usize = 5;
const AGENT_ANSWERS: Duration = Duration::from_secs(10);

type Session = Handle<Guard>;

/// Trouble with the host's own key that shows before anything is dialled: who connects and then does not log in
/// is penalised by sshd.
pub(super) fn check(endpoint: &Endpoint, login: &Login) -> Result<(), Failure> {
    let Some(path) = &endpoint.identity_file else { return Ok(()) };
    let file = login.named(path)?;
    match &file.private {
        Err(failure) if file.public.is_none() || login.agent().is_none() => Err(failure.clone()),
        _ => Ok(()),
    }
}

/// Logs in, or says which keys were tried and what the server wants.
pub(super) async fn authenticate(
    session: &mut Session,
    endpoint: &Endpoint,
    login: &Login,
    limit: Duration,
    notes: &Notes,
) -> Result<(), Failure> {
    let mut attempt = Attempt::new(endpoint, AGENT_ANSWERS.min(limit / 3));
    match timeout(limit, attempt.run(session, login)).await {
        Ok(Ok(Step::LoggedIn)) => Ok(()),
        Ok(Ok(Step::GoOn | Step::Stop)) => {
            // The server's last words are noted when its session has ended.
            if session.is_closed() {
                let _ = timeout(Duration::from_secs(1), session).await;
            }
            Err(attempt.refused(notes))
        }
        Ok(Err(failure)) => Err(failure),
        // A late answer would be taken for the next one's, so the session is of no use any more.
        Err(_) => Err(attempt.too_slow(limit)),
    }
}

enum Step {
    LoggedIn,
    /// This key is not taken; another may be.
    GoOn,
    /// No other key will help.
    Stop,
}

struct Attempt<'a> {
    endpoint: &'a Endpoint,
    agent_limit: Duration,
    doing: String,
    tried: Vec<String>,
    refused: Vec<PublicKey>,
    offers: usize,
    untried: usize,
    remarks: Vec<String>,
    methods: Option<MethodSet>,
    is_partly_in: bool,
    rsa_hashes: Option<Vec<HashAlg>>,
}

/// An agent that showed its keys.
struct Agent<'a> {
    signer: AgentSigner<'a>,
    identities: Vec<AgentIdentity>,
}

/// Waits for its turn to sign, and keeps it only that long: a server that hangs must not keep the agent from other hosts.
struct AgentSigner<'a> {
    client: AgentClient<UnixStream>,
    turns: &'a Semaphore,
}

impl russh::Signer for AgentSigner<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, AgentAuthError> {
        let _turn = self.turns.acquire().await;
        self.client.auth_sign(identity, hash, to_sign).await
    }
}

enum Proof<'a, 's> {
    File(&'a Arc<PrivateKey>),
    Certificate(FileSigner, &'a Certificate),
    Agent(&'a mut AgentSigner<'s>, &'a AgentIdentity),
}

impl<'a> Attempt<'a> {
    fn new(endpoint: &'a Endpoint, agent_limit: Duration) -> Self {
        Self {
            endpoint,
            agent_limit,
            doing: "waiting for the server".into(),
            tried: Vec::new(),
            refused: Vec::new(),
            offers: 0,
            untried: 0,
            remarks: Vec::new(),
            methods: None,
            is_partly_in: false,
            rsa_hashes: None,
        }
    }

    async fn run(&mut self, session: &mut Session, login: &Login) -> Result<Step, Failure> {
        match &self.endpoint.identity_file {
            Some(path) => self.with_named(session, login, login.named(path)?).await,
            None => Ok(self.with_all(session, login).await),
        }
    }

    async fn with_named(&mut self, session: &mut Session, login: &Login, file: &KeyFile) -> Result<Step, Failure> {
        let locked = match &file.private {
            Ok(key) => return Ok(self.offer_file(session, file, key).await),
            Err(failure) => failure,
        };
        let (Some(public), Some(socket)) = (&file.public, login.agent()) else { return Err(locked.clone()) };
        let Some(mut agent) = self.agent(session, socket).await else { return Err(self.locked(locked)) };
        agent.identities.retain(|identity| identity.public_key().key_data() == public.key_data());
        if agent.identities.is_empty() {
            self.remarks.push("ssh-agent does not hold it".into());
            return Err(self.locked(locked));
        }
        Ok(self.offer_agent(session, agent).await)
    }

    fn locked(&self, failure: &Failure) -> Failure {
        let message = [std::slice::from_ref(&failure.message), &self.remarks].concat().join("; ");
        Failure { message, ..failure.clone() }
    }

    async fn with_all(&mut self, session: &mut Session, login: &Login) -> Step {
        if let Some(socket) = login.agent()
            && let Some(mut agent) = self.agent(session, socket).await
        {
            // A certificate says more than its bare key, so ssh offers it first.
            agent.identities.sort_by_key(|identity| !matches!(identity, AgentIdentity::Certificate { .. }));
            match self.offer_agent(session, agent).await {
                Step::GoOn => {}
                step => return step,
            }
        }
        for file in login.defaults() {
            if let Ok(key) = &file.private {
                match self.offer_file(session, file, key).await {
                    Step::GoOn => {}
                    step => return step,
                }
            }
        }
        self.remarks.extend(login.skipped().iter().cloned());
        if self.offers == 0 { self.offer_nothing(session).await } else { Step::GoOn }
    }

    /// Without a key there is still the question which methods the server would take.
    async fn offer_nothing(&mut self, session: &mut Session) -> Step {
        match session.authenticate_none(&self.endpoint.user).await {
            Ok(result) => self.answered(result, None),
            Err(_) => Step::Stop,
        }
    }

    /// Opens the agent and asks what it holds. Trouble with it is remarked, not fatal: a key file may do.
    async fn agent<'s>(&mut self, session: &Session, socket: &'s AgentSocket) -> Option<Agent<'s>> {
        self.doing = "waiting for ssh-agent".into();
        if let Some(why) = socket.given_up.get() {
            self.remarks.push(why.clone());
            return None;
        }
        let turn = socket.turns.acquire().await.ok()?;
        let asked = timeout(self.agent_limit, ask(session, socket)).await;
        drop(turn);
        let path = socket.path.display();
        self.doing = "waiting for the server".into();
        match asked {
            Ok(Ok((client, identities))) => {
                return Some(Agent { signer: AgentSigner { client, turns: &socket.turns }, identities });
            }
            Ok(Err(e)) => {
                self.remarks.push(format!("ssh-agent at {path}: {}", printable(e.to_string().as_bytes(), 120)));
            }
            Err(_) => {
                let why = format!("ssh-agent at {path} did not answer within {}", shown(self.agent_limit));
                let _ = socket.given_up.set(why.clone());
                self.remarks.push(why);
            }
        }
        None
    }

    async fn offer_agent(&mut self, session: &mut Session, mut agent: Agent<'_>) -> Step {
        for identity in &agent.identities {
            let comment = printable(identity.comment().as_bytes(), 60);
            let label = format!("{}, from ssh-agent", if comment.is_empty() { "no comment" } else { &comment });
            let proof = Proof::Agent(&mut agent.signer, identity);
            match self.offer(session, &identity.public_key(), &label, proof).await {
                Step::GoOn => {}
                step => return step,
            }
        }
        Step::GoOn
    }

    async fn offer_file(&mut self, session: &mut Session, file: &KeyFile, key: &Arc<PrivateKey>) -> Step {
        let label = file.path.display().to_string();
        if let Some(certificate) = &file.certificate {
            let proof = Proof::Certificate(FileSigner(Arc::clone(key)), certificate);
            match self.offer(session, key.public_key(), &label, proof).await {
                Step::GoOn => {}
                step => return step,
            }
        }
        self.offer(session, key.public_key(), &label, Proof::File(key)).await
    }

    async fn offer(
        &mut self,
        session: &mut Session,
        public: &PublicKey,
        label: &str,
        mut proof: Proof<'_, '_>,
    ) -> Step {
        let is_certificate =
            matches!(proof, Proof::Certificate(..) | Proof::Agent(_, AgentIdentity::Certificate { .. }));
        if !is_certificate && self.refused.iter().any(|refused| refused.key_data() == public.key_data()) {
            return Step::GoOn;
        }
        for hash in self.hashes(session, public).await {
            if self.offers == MOST_OFFERS {
                self.untried += 1;
                return Step::GoOn;
            }
            self.offers += 1;
            let name = if is_certificate { "certificate for " } else { "" };
            self.tried.push(format!("{name}{} ({label})", super::known_hosts::fingerprint(public)));
            let step = match self.prove(session, public, hash, &mut proof).await {
                Ok(result) => self.answered(result, (!is_certificate).then_some(public)),
                Err(AgentAuthError::Send(_)) => Step::Stop,
                Err(AgentAuthError::Key(e)) => {
                    let e = printable(e.to_string().as_bytes(), 120);
                    self.remarks.push(format!("there is no signature with {label}: {e}"));
                    return Step::GoOn;
                }
            };
            if !matches!(step, Step::GoOn) {
                return step;
            }
        }
        Step::GoOn
    }

    async fn prove(
        &mut self,
        session: &mut Session,
        public: &PublicKey,
        hash: Option<HashAlg>,
        proof: &mut Proof<'_, '_>,
    ) -> Result<AuthResult, AgentAuthError> {
        let user = &self.endpoint.user;
        match proof {
            Proof::File(key) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                session.authenticate_publickey(user, key).await.map_err(|_| russh::SendError {}.into())
            }
            Proof::Certificate(signer, certificate) => {
                session.authenticate_certificate_with(user, certificate.clone(), hash, signer).await
            }
            Proof::Agent(agent, identity) => {
                self.doing = "waiting for ssh-agent to sign (does the key want to be touched or confirmed?)".into();
                let result = match identity {
                    AgentIdentity::PublicKey { .. } => {
                        session.authenticate_publickey_with(user, public.clone(), hash, *agent).await
                    }
                    AgentIdentity::Certificate { certificate, .. } => {
                        session.authenticate_certificate_with(user, certificate.clone(), hash, *agent).await
                    }
                };
                self.doing = "waiting for the server".into();
                result
            }
        }
    }

    /// The hashes to sign with: one for RSA as the server likes it, never SHA-1; other keys know theirs.
    async fn hashes(&mut self, session: &Session, public: &PublicKey) -> Vec<Option<HashAlg>> {
        if !public.algorithm().is_rsa() {
            return vec![None];
        }
        if self.rsa_hashes.is_none() {
            // This waits for up to a second when the server does not say, so it is asked for RSA keys only.
            self.rsa_hashes = Some(match session.best_supported_rsa_hash().await {
                Ok(Some(Some(hash))) => vec![hash],
                Ok(Some(None)) => {
                    self.remarks.push("the server takes RSA keys only with SHA-1, which is not offered".into());
                    Vec::new()
                }
                _ => vec![HashAlg::Sha512, HashAlg::Sha256],
            });
        }
        self.rsa_hashes.iter().flatten().copied().map(Some).collect()
    }

    fn answered(&mut self, result: AuthResult, key: Option<&PublicKey>) -> Step {
        let (methods, is_partial) = match result {
            AuthResult::Success => return Step::LoggedIn,
            AuthResult::Failure { remaining_methods, partial_success } => (remaining_methods, partial_success),
        };
        self.is_partly_in |= is_partial;
        self.refused.extend(key.cloned());
        let may_go_on = methods.contains(&MethodKind::PublicKey);
        if !methods.is_empty() {
            self.methods = Some(methods);
        }
        if may_go_on { Step::GoOn } else { Step::Stop }
    }

    fn refused(&self, notes: &Notes) -> Failure {
        let (user, address) = (&self.endpoint.user, notes.peer());
        let mut message = match self.tried.len() {
            0 => format!("there is no key to log in to {address} as {user}"),
            _ => format!("{address} does not let {user} in; tried {}", self.tried.join(", ")),
        };
        if self.untried > 0 {
            message += &format!(" and not {} more: at most {MOST_OFFERS} are offered", self.untried);
        }
        for remark in &self.remarks {
            message += &format!("; {remark}");
        }
        if let Some(words) = notes.farewell() {
            message += &format!("; the server said: {words}");
        }
        let methods = self.methods.as_ref().map(|set| set.iter().map(Into::into).collect::<Vec<&str>>().join(", "));
        let failure = |message: String, hint: String| Failure::new(Phase::Auth, message).hint(hint);
        match methods {
            Some(methods) if self.is_partly_in => failure(
                format!("{message}; the key was taken, but the server wants a second factor: {methods}"),
                format!("allow this key alone for {user} in the server's AuthenticationMethods; nothing is typed here"),
            ),
            Some(methods) if !methods.contains("publickey") => failure(
                format!("{message}; the server takes only {methods}"),
                "allow PubkeyAuthentication for this user in the server's sshd_config".into(),
            ),
            methods => failure(
                message + &methods.map(|methods| format!("; the server takes {methods}")).unwrap_or_default(),
                self.advice(notes),
            ),
        }
    }

    fn advice(&self, notes: &Notes) -> String {
        if self.tried.is_empty() {
            return "set identity_file in the inventory, or load a key into ssh-agent: ssh-add".into();
        }
        let are_too_many = notes.farewell().is_some_and(|words| words.contains("Too many"));
        let which =
            if self.tried.len() > 1 || are_too_many { "set identity_file to the key that is meant; or " } else { "" };
        let user = &self.endpoint.user;
        format!("{which}add the public key to {user}'s authorized_keys there; try: {}", super::paste_ssh(self.endpoint))
    }

    fn too_slow(&self, limit: Duration) -> Failure {
        let tried = if self.tried.is_empty() { String::new() } else { format!("; tried {}", self.tried.join(", ")) };
        let remarks: String = self.remarks.iter().map(|remark| format!("; {remark}")).collect();
        let message =
            format!("login did not finish within {} (auth): it was {}{tried}{remarks}", shown(limit), self.doing);
        Failure::new(Phase::Auth, message).hint(format!("try: {}", super::paste_ssh(self.endpoint)))
    }
}

async fn ask(
    session: &Session,
    socket: &AgentSocket,
) -> Result<(AgentClient<UnixStream>, Vec<AgentIdentity>), russh::keys::Error> {
    let mut client = AgentClient::connect_uds(&socket.path).await?;
    if let Some(binding) = session.agent_session_binding() {
        // Lets the agent offer keys that are meant for this host only; agents without the extension say no.
        match client.bind_session(binding, false).await {
            Ok(()) | Err(russh::keys::Error::AgentFailure) => {}
            Err(e) => return Err(e),
        }
    }
    let identities = client.request_identities().await?;
    Ok((client, identities))
}
