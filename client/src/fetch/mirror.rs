use std::io::{Read as _, Seek, Write};

use super::{
    Accepted, Answer, Limits, Method, Request, Retry, Transport, coding::read_bounded, rate::paced,
};
use crate::{
    error::Error,
    tuf::{HashesChecker, Rule, Target},
};

/// Plain files below an address: a TUF repository as any web server serves it. Every answer is bounded
/// in length and, whatever the transport, in slowness; what may pass by itself is retried.
pub struct Mirror {
    transport: Box<dyn Transport>,
    limits: Limits,
    retry: Retry,
}

impl Mirror {
    /// The files behind `transport`.
    pub fn new(transport: Box<dyn Transport>, limits: Limits, retry: Retry) -> Self {
        Self { transport, limits, retry }
    }

    /// The file at `path`, which begins with `/`, of at most `bytes_max` bytes; nothing where the
    /// mirror says that it has none (404), or tells nobody whether it has (403).
    pub fn file(&self, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
        self.retry.run(|| match self.get(path, Accepted::Zstd)? {
            answer @ Answer { status: 200, .. } => read_bounded(path, answer, bytes_max).map(Some),
            Answer { status: 403 | 404, .. } => Ok(None),
            answer => Err(Error::server(answer.status, None)),
        })
    }

    /// Writes the target at `path` to `destination`, from its beginning, and says whether it is
    /// `target` indeed: the caller must not use what was written before.
    pub fn target(
        &self,
        path: &str,
        target: &Target,
        destination: &mut (impl Write + Seek),
    ) -> Result<(), Error> {
        self.retry.run(|| {
            destination.rewind().map_err(|error| Error::local(error.to_string()))?;
            self.try_target(path, target, destination)
        })
    }

    fn try_target(
        &self,
        path: &str,
        target: &Target,
        destination: &mut impl Write,
    ) -> Result<(), Error> {
        let answer = match self.get(path, Accepted::AsStored)? {
            answer @ Answer { status: 200, .. } => answer,
            answer => return Err(Error::server(answer.status, None)),
        };
        let refuse = |rule: Rule, detail: String| {
            Err(Error::rule(rule.as_str(), format!("{path} is refused: {detail}")))
        };
        let mut body = answer.body.take(target.length.saturating_add(1));
        let mut checker = HashesChecker::new(target.hashes);
        let mut buffer = vec![0; 64 << 10];
        let mut length = 0;
        loop {
            let count = body.read(&mut buffer).map_err(|error| Error::network(path, error))?;
            let Some(bytes @ [_, ..]) = buffer.get(..count) else { break };
            length += count as u64;
            checker.update(bytes);
            destination.write_all(bytes).map_err(|error| Error::local(error.to_string()))?;
        }
        if length != target.length {
            let more = if length > target.length { "more than " } else { "" };
            let shown = length.min(target.length);
            return refuse(
                Rule::Length,
                format!("{more}{shown} bytes: {} were announced", target.length),
            );
        }
        checker.finish().or_else(|detail| refuse(Rule::Digest, detail))
    }

    fn get(&self, path: &str, accepted: Accepted) -> Result<Answer, Error> {
        let method = Method::Get;
        let request = Request { method, path, token: None, resume: None, accepted };
        Ok(paced(self.transport.send(&request)?, &self.limits))
    }
}
