//! Fetching: the [`Transport`] port, its HTTP implementation, and what the client asks a server for.
//!
//! | part | what is there |
//! |---|---|
//! | [`Transport`] | one request, one answer whose body is still to be read |
//! | [`HttpTransport`] | the port over HTTP or HTTPS |
//! | [`Remote`] | the routes of a server as methods, bounded and retried |
//! | [`Coding`] | how a document travels: as it is, or compressed |
//! | [`Mirror`] | plain files below an address, as any TUF repository has them |
//! | [`Download`] | an artifact or a delta into the cache: resumed, bounded, hashed |
//!
//! Nothing that arrives here is trusted. Metadata and plans are verified by [`crate::tuf`]; an
//! artifact is known by the digest that verified metadata announced.

mod coding;
mod download;
mod header;
mod http;
mod mirror;
mod rate;
mod remote;
mod retry;
#[cfg(test)]
pub(crate) mod test_server;

use std::{io::Read, num::NonZeroU64, time::Duration};

use secrecy::SecretString;

pub use coding::{Accepted, Coding};
pub use download::Download;
#[cfg(feature = "install")]
pub(crate) use download::{Arrival, others};
pub use header::{content_range_start, retry_after};
pub use http::{CertificateAuthority, HttpTransport};
pub use mirror::Mirror;
pub use remote::{Cancellation, Remote};
pub use retry::Retry;

use crate::{error::Error, format::Digest};

/// What carries a request to the server and its answer back.
pub trait Transport: Send {
    /// Sends `request`. An answer of whatever status is a success of the transport; an error is
    /// one of kind [`Network`](crate::error::ErrorKind::Network).
    fn send(&self, request: &Request<'_>) -> Result<Answer, Error>;
}

/// A request, relative to the server that the transport reaches.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is to be done.
    pub method: Method<'a>,
    /// The path, beginning with `/`.
    pub path: &'a str,
    /// The machine's credential.
    pub token: Option<&'a SecretString>,
    /// Where to go on with a file of which a part is here.
    pub resume: Option<Resume>,
    /// As what the body of the answer may come.
    pub accepted: Accepted,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// Asks for a file.
    Get,
    /// Sends a JSON document.
    Post(&'a [u8]),
    /// Sends a file.
    Put(&'a [u8]),
}

/// Where a download goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// How many bytes are here.
    pub from: u64,
    /// The whole file's digest, which is its entity tag.
    pub digest: Digest,
}

/// An answer whose body is still to be read.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The offset of the body's first byte where the server sends a part (206).
    pub range_start: Option<u64>,
    /// As what the body comes.
    pub coding: Coding,
    /// For how long the server asks to be left alone (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// The body as it travels. Whoever reads it bounds it.
    pub body: Box<dyn Read + Send>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .field("range_start", &self.range_start)
            .field("coding", &self.coding)
            .finish_non_exhaustive()
    }
}

/// How much and how long fetching is willing to take. What metadata may be is in
/// [`tuf::Limits`](crate::tuf::Limits).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The answer to `/v1/check`, in bytes: every role at its largest.
    pub check_bytes_max: u64,
    /// The answer to `/v1/enroll`, in bytes.
    pub enroll_bytes_max: u64,
    /// A problem document, in bytes.
    pub problem_bytes_max: u64,
    /// The head of an answer, in bytes: its status and all its headers.
    pub head_bytes_max: usize,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How long the server may think before it answers, until the whole head of its answer is here.
    pub answer_timeout: Duration,
    /// How long a connection may bring nothing.
    pub idle_timeout: Duration,
    /// The slowest transfer that is put up with, in bytes a second, once [`Limits::rate_window`]
    /// is over: what is slower is asked for again, as often as [`Retry`] says, and then given up.
    /// A server that trickles bytes cannot keep a machine busy for ever.
    pub rate_bytes_min: u64,
    /// Over how long the transfer rate is measured, again and again; the first time is what a
    /// transfer is given to come into its stride.
    pub rate_window: Duration,
    /// How many bytes a second are taken at the most; as many as come unless set.
    pub bytes_per_second_max: Option<NonZeroU64>,
}

impl Limits {
    /// Generous for any honest server on any line that is worth the name.
    pub const DEFAULT: Self = Self {
        check_bytes_max: 32 << 20,
        enroll_bytes_max: 1 << 20,
        problem_bytes_max: 64 << 10,
        head_bytes_max: 64 << 10,
        connect_timeout: Duration::from_secs(15),
        answer_timeout: Duration::from_mins(1),
        idle_timeout: Duration::from_secs(30),
        rate_bytes_min: 1024,
        rate_window: Duration::from_mins(1),
        bytes_per_second_max: None,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
