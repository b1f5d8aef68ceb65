use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use secrecy::SecretString;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Accepted, Answer, Download, Limits, Method, Request, Retry, Transport, coding::read_bounded,
    rate::paced,
};
use crate::{
    error::Error,
    format::{
        DeltaStep, ProductName, TargetFile,
        wire::{
            CheckRequest, CheckResponse, CollectionRefusal, EnrollRequest, EnrollResponse, Problem,
            ReportRequest,
        },
    },
    tuf::{self, json},
};

/// A server: its routes as methods. Every answer is bounded in length and, whatever the transport,
/// in slowness; what may pass by itself is retried.
pub struct Remote {
    transport: Box<dyn Transport>,
    token: Option<SecretString>,
    limits: Limits,
    retry: Retry,
    cancellation: Cancellation,
}

/// By which another thread ends what a [`Remote`] is doing. All copies are the same one.
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Asks for it. What is being fetched ends with an error of kind
    /// [`Cancelled`](crate::error::ErrorKind::Cancelled), at the latest when the connection has
    /// brought something more or has been idle for too long.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked for it.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Remote {
    /// A server behind `transport`, to which the caller is not known yet.
    pub fn new(transport: Box<dyn Transport>, limits: Limits, retry: Retry) -> Self {
        Self { transport, token: None, limits, retry, cancellation: Cancellation::default() }
    }

    /// The same server, to which `token` makes the machine known.
    #[must_use]
    pub fn with_token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// The same server, from which nothing more is fetched once `cancellation` is asked for.
    #[must_use]
    pub fn until(mut self, cancellation: Cancellation) -> Self {
        self.cancellation = cancellation;
        self
    }

    /// `POST /v1/enroll`.
    pub fn enroll(&self, request: &EnrollRequest) -> Result<EnrollResponse, Error> {
        self.ask("/v1/enroll", request, self.limits.enroll_bytes_max)
    }

    /// `POST /v1/check`.
    pub fn check(&self, request: &CheckRequest) -> Result<CheckResponse, Error> {
        self.ask("/v1/check", request, self.limits.check_bytes_max)
    }

    /// `POST /v1/report`. The answer's body does not matter.
    pub fn report(&self, request: &ReportRequest) -> Result<(), Error> {
        self.post("/v1/report", request, |_| Ok(()))
    }

    /// `PUT /v1/collections/<order>`: the support bundle that the order asks for.
    pub fn send_bundle(&self, order: u64, bundle: &[u8]) -> Result<(), Error> {
        let path = format!("/v1/collections/{order}");
        let (method, accepted) = (Method::Put(bundle), Accepted::AsStored);
        let request = Request { method, path: &path, token: None, resume: None, accepted };
        self.retry.run(|| self.send(&request).map(drop))
    }

    /// `POST /v1/collections/<order>/refusal`: why the bundle is not sent.
    pub fn refuse_collection(&self, order: u64, refusal: &CollectionRefusal) -> Result<(), Error> {
        self.post(&format!("/v1/collections/{order}/refusal"), refusal, |_| Ok(()))
    }

    /// `GET /repo/<product>/<file>`: a metadata file of at most `bytes_max` bytes.
    pub fn metadata(
        &self,
        product: &ProductName,
        file: &str,
        bytes_max: u64,
    ) -> Result<Vec<u8>, Error> {
        let path = format!("/repo/{product}/{file}");
        self.retry.run(|| read_bounded(&path, self.get(&path, Accepted::Zstd)?, bytes_max))
    }

    /// A target that fits into memory, of exactly the length and digest that `file` announces.
    pub fn target(&self, product: &ProductName, file: &TargetFile) -> Result<Vec<u8>, Error> {
        let path = target_route(product, file);
        self.retry.run(|| {
            let bytes = read_bounded(&path, self.get(&path, Accepted::AsStored)?, file.length)?;
            let found = crate::format::Digest::of(&bytes);
            if bytes.len() as u64 != file.length || found != file.sha256 {
                let detail = format!(
                    "{} is {} bytes with SHA-256 {found}: {} bytes with {} were announced",
                    file.path,
                    bytes.len(),
                    file.length,
                    file.sha256
                );
                return Err(Error::rule(tuf::Rule::Digest.as_str(), detail));
            }
            Ok(bytes)
        })
    }

    /// The download of a target that is too large for memory.
    pub fn download<'a>(&'a self, product: &ProductName, file: &TargetFile) -> Download<'a> {
        let route = target_route(product, file);
        Download::new(self, route, file.length, file.sha256, self.retry)
    }

    /// The download of a delta, which the plan names by length and digest and nobody lists.
    pub fn delta<'a>(&'a self, product: &ProductName, delta: &DeltaStep) -> Download<'a> {
        let route = format!("/repo/{product}/deltas/{}", delta.sha256);
        Download::new(self, route, delta.length, delta.sha256, self.retry)
    }

    /// Sends `request` as the machine. Whatever its answer is, it must not come too slowly.
    pub(super) fn send(&self, request: &Request<'_>) -> Result<Answer, Error> {
        self.expect_wanted()?;
        let answer = self.transport.send(&Request { token: self.token.as_ref(), ..*request })?;
        let answer = paced(answer, &self.limits);
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let (status, retry_after) = (answer.status, answer.retry_after);
        // A refusal whose document does not arrive is still a refusal.
        let body = read_bounded(request.path, answer, self.limits.problem_bytes_max);
        let problem = body.ok().and_then(|body| json::from_slice::<Problem>(&body).ok());
        Err(Error::server(status, problem).after(retry_after))
    }

    /// An error once somebody has asked for the end.
    pub(crate) fn expect_wanted(&self) -> Result<(), Error> {
        if self.cancellation.is_requested() { Err(Error::cancelled()) } else { Ok(()) }
    }

    fn get(&self, path: &str, accepted: Accepted) -> Result<Answer, Error> {
        self.send(&Request { method: Method::Get, path, token: None, resume: None, accepted })
    }

    fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &impl Serialize,
        bytes_max: u64,
    ) -> Result<T, Error> {
        self.post(path, question, |answer| {
            let bytes = read_bounded(path, answer, bytes_max)?;
            json::from_slice(&bytes).map_err(|error| Error::malformed_answer(path, error))
        })
    }

    fn post<T>(
        &self,
        path: &str,
        document: &impl Serialize,
        read: impl Fn(Answer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(document).map_err(|error| Error::local(error.to_string()))?;
        let method = Method::Post(&body);
        let request = Request { method, path, token: None, resume: None, accepted: Accepted::Zstd };
        self.retry.run(|| read(self.send(&request)?))
    }
}

fn target_route(product: &ProductName, file: &TargetFile) -> String {
    format!("/repo/{product}/targets/{}", file.path.consistent(&file.sha256))
}

#[cfg(test)]
mod tests;
