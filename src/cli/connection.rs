use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    time::Duration,
};

use mainstay_client::{
    fetch::{Accepted, Coding},
    format::{
        Digest,
        wire::{Problem, UploadState},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use ureq::{
    Agent, RequestBuilder, SendBody,
    http::Response,
    tls::{Certificate, PemItem, RootCerts, TlsConfig},
    typestate::WithBody,
};

use super::CliError;

/// How often an upload that was cut is taken up again.
const UPLOAD_ATTEMPTS_MAX: u32 = 5;
/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// The API of a server, as seen by the bearer of one token.
#[derive(Debug)]
pub(super) struct Connection {
    agent: Agent,
    url: String,
    token: SecretString,
}

impl Connection {
    pub(super) fn new(url: &str, token: &str, ca: Option<&Path>) -> Result<Self, CliError> {
        let url = url.trim_end_matches('/').to_owned();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(CliError::Input(format!(
                "server `{}` is not valid: expected http://… or https://…",
                url.escape_debug()
            )));
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
            .accept_encoding(Accepted::Zstd.as_str())
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_mins(10)));
        if let Some(ca) = ca {
            config = config.tls_config(TlsConfig::builder().root_certs(certificates(ca)?).build());
        }
        Ok(Self { agent: config.build().into(), url, token: SecretString::from(token) })
    }

    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        let request = self.agent.get(self.at(path)).header("Authorization", self.bearer());
        self.read(request.call())
    }

    /// What the server has at `path`, byte for byte.
    pub(super) fn bytes(&self, path: &str) -> Result<Vec<u8>, CliError> {
        let request = self.agent.get(self.at(path)).header("Authorization", self.bearer());
        self.accept(request.call())
    }

    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        self.send(self.agent.post(self.at(path)), body)
    }

    pub(super) fn put_document<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        self.send(self.agent.put(self.at(path)), body)
    }

    fn send<T: DeserializeOwned>(
        &self,
        request: RequestBuilder<WithBody>,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        let request =
            request.header("Authorization", self.bearer()).content_type("application/json");
        self.read(request.send(serde_json::to_vec(body)?))
    }

    pub(super) fn put(&self, path: &str) -> Result<(), CliError> {
        let request = self.agent.put(self.at(path)).header("Authorization", self.bearer());
        self.accept(request.send_empty()).map(|_| ())
    }

    pub(super) fn delete(&self, path: &str) -> Result<(), CliError> {
        let request = self.agent.delete(self.at(path)).header("Authorization", self.bearer());
        self.accept(request.call()).map(|_| ())
    }

    /// Uploads a file under its digest, from wherever an earlier upload was cut. `said` are parameters that
    /// say more of it. `progress` hears how many bytes the server has.
    pub(super) fn upload(
        &self,
        file: &mut std::fs::File,
        digest: &Digest,
        length: u64,
        said: &[(&str, String)],
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), CliError> {
        let path = format!("/v1/uploads/{digest}");
        let mut attempts = 0;
        loop {
            let state = self.get(&path).and_then(|state: UploadState| {
                progress(state.received);
                if !state.complete {
                    self.upload_rest(file, &path, state.received, length, said, progress)?;
                }
                Ok(state)
            });
            match state {
                Ok(state) if state.complete => return Ok(()),
                Ok(_) => {}
                Err(error) if is_passing(&error) && attempts < UPLOAD_ATTEMPTS_MAX => {
                    attempts += 1;
                    std::thread::sleep(Duration::from_millis(200 << attempts));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn upload_rest(
        &self,
        file: &mut std::fs::File,
        path: &str,
        offset: u64,
        length: u64,
        said: &[(&str, String)],
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), CliError> {
        let unreadable = |source| CliError::file("read", Path::new("the packed artifact"), source);
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        let mut rest = Counted { file: file.take(length - offset), sent: offset, progress };
        let request = self
            .agent
            .patch(self.at(path))
            .query("offset", offset.to_string())
            .query("length", length.to_string())
            .query_pairs(said.iter().map(|(name, value)| (*name, value.as_str())))
            .header("Authorization", self.bearer())
            .header("Content-Length", (length - offset).to_string());
        let answer = self.accept(request.send(SendBody::from_reader(&mut rest)));
        answer.map(|_| ())
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.expose_secret())
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, CliError> {
        let body = self.accept(answer)?;
        serde_json::from_slice(&body).map_err(|error| self.unreadable(&error))
    }

    fn accept(
        &self,
        answer: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<Vec<u8>, CliError> {
        let unreachable = |error: ureq::Error| CliError::Network {
            url: self.url.clone(),
            message: error.to_string(),
        };
        let mut response = answer.map_err(unreachable)?;
        let coding = response.headers().get("Content-Encoding");
        let coding = Coding::named(coding.map_or("", |name| name.to_str().unwrap_or("unreadable")));
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(unreachable)?;
        let body =
            coding.decode(body, ANSWER_BYTES_MAX).map_err(|error| self.unreadable(&error))?;
        if response.status().is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(CliError::Server(Box::new(problem))),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> CliError {
        CliError::Network {
            url: self.url.clone(),
            message: format!("the answer is not one of a Mainstay server: {error}"),
        }
    }
}

/// Whether an upload can be taken up again after `error`: the network failed, or the server has not
/// noticed yet that it did.
fn is_passing(error: &CliError) -> bool {
    match error {
        CliError::Network { .. } => true,
        CliError::Server(problem) => ["UPLOAD_BUSY", "UPLOAD_OFFSET"].contains(&&*problem.code),
        _ => false,
    }
}

fn certificates(ca: &Path) -> Result<RootCerts, CliError> {
    let pem = std::fs::read(ca).map_err(|source| CliError::file("read", ca, source))?;
    let certificates: Vec<Certificate<'static>> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(CliError::Input(format!("{}: expected PEM certificates", ca.display())));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

struct Counted<'a> {
    file: std::io::Take<&'a mut std::fs::File>,
    sent: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl std::io::Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.sent += read as u64;
        (self.progress)(self.sent);
        Ok(read)
    }
}
