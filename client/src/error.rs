//! The one error of fetching and of the client.

mod file_system;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use self::file_system::{Full, root_of};
#[cfg(feature = "delta")]
use crate::delta;
#[cfg(feature = "install")]
use crate::tuf::Rule;
use crate::{format::wire::Problem, tuf::Refusal};
#[cfg(feature = "install")]
use crate::{install, pack};

/// What went wrong, as far as a caller can act upon it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The machine has not been enrolled, or its enrolment cannot be read.
    NotEnrolled,
    /// Another process holds the installation's lock.
    Locked,
    /// The server could not be reached, or the connection broke.
    Network,
    /// The server answered and refused; [`Error::code`] is its stable code.
    Server,
    /// A document or an order broke a rule; [`Error::code`] is the rule's name.
    Trust,
    /// The disk, a permission, or another matter of this machine.
    Local,
    /// What the caller gave is not acceptable.
    Input,
    /// The release failed on this machine before and is not tried again.
    Blocked,
    /// There is nothing of the kind that was asked for.
    NotFound,
    /// The installed files are not those that were installed.
    Modified,
    /// The caller has asked for the end of it.
    Cancelled,
}

impl ErrorKind {
    /// The kind's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotEnrolled => "not_enrolled",
            Self::Locked => "locked",
            Self::Network => "network",
            Self::Server => "server",
            Self::Trust => "trust",
            Self::Local => "local",
            Self::Input => "input",
            Self::Blocked => "blocked",
            Self::NotFound => "not_found",
            Self::Modified => "modified",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The code of an error that a full disk or quota makes.
pub(crate) const SPACE: &str = "space";

/// The one error of this crate's library.
///
/// Its message says what was expected, what was found and what to do; what lies beneath is its
/// [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct Error(Box<Cause>);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[cfg(feature = "install")]
    #[error("this machine is not enrolled: {0}; run `mainstay-agent enroll`")]
    NotEnrolled(String),
    #[cfg(feature = "install")]
    #[error("this machine's settings cannot be read: {0}; `mainstay-agent doctor` says more")]
    Settings(String),
    #[error("the connection to {what} failed")]
    Network { what: String, source: io::Error },
    #[error("the server refused: {message} ({code}, HTTP {status})")]
    Server { status: u16, code: String, message: String, retry_after: Option<Duration> },
    #[error("{0}")]
    Refusal(#[from] Refusal),
    #[error("{detail}")]
    Rule { rule: &'static str, detail: String },
    #[error("cannot use `{}`", path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("{} `{}`", full.as_str(), file_system.display())]
    Full { full: Full, file_system: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{0}")]
    Local(String),
    #[error("{0}")]
    Input(String),
    #[error("it was ended before it was done; what has arrived is kept")]
    Cancelled,
    #[cfg(feature = "install")]
    #[error("{0}")]
    Blocked(String),
    #[cfg(feature = "install")]
    #[error("{0}")]
    NotFound(String),
    #[cfg(feature = "install")]
    #[error(transparent)]
    Install(#[from] install::Error),
    #[cfg(feature = "install")]
    #[error(transparent)]
    Pack(#[from] pack::Error),
    #[cfg(feature = "delta")]
    #[error(transparent)]
    Delta(#[from] delta::Error),
}

impl Error {
    /// What went wrong, as far as a caller can act upon it.
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            #[cfg(feature = "install")]
            Cause::NotEnrolled(_) | Cause::Settings(_) => ErrorKind::NotEnrolled,
            Cause::Network { .. } => ErrorKind::Network,
            Cause::Server { .. } => ErrorKind::Server,
            Cause::Refusal(_) | Cause::Rule { .. } => ErrorKind::Trust,
            Cause::Disk { .. } | Cause::Full { .. } | Cause::Local(_) => ErrorKind::Local,
            Cause::Input(_) => ErrorKind::Input,
            Cause::Cancelled => ErrorKind::Cancelled,
            #[cfg(feature = "install")]
            Cause::Blocked(_) => ErrorKind::Blocked,
            #[cfg(feature = "install")]
            Cause::NotFound(_) => ErrorKind::NotFound,
            #[cfg(feature = "install")]
            Cause::Install(error) => kind_of_install(error.kind()),
            #[cfg(feature = "install")]
            Cause::Pack(_) => ErrorKind::Trust,
            #[cfg(feature = "delta")]
            Cause::Delta(error) => match error.kind() {
                delta::ErrorKind::Cancelled => ErrorKind::Cancelled,
                delta::ErrorKind::Transfer => ErrorKind::Local,
                _ => ErrorKind::Trust,
            },
        }
    }

    /// The stable code: the server's own for [`ErrorKind::Server`], the name of the rule that was
    /// broken for [`ErrorKind::Trust`], `space` where a disk or a quota is full, otherwise the kind's
    /// name.
    pub fn code(&self) -> &str {
        match &*self.0 {
            Cause::Server { code, .. } => code,
            Cause::Refusal(refusal) => refusal.rule().as_str(),
            Cause::Rule { rule, .. } => rule,
            Cause::Full { .. } => SPACE,
            #[cfg(feature = "install")]
            Cause::Install(error) => match error.kind() {
                install::ErrorKind::BelowFloor => "floor",
                install::ErrorKind::WrongDirection => "direction",
                install::ErrorKind::DataUnreadable => "data",
                install::ErrorKind::Unpack => "payload",
                _ => self.kind().as_str(),
            },
            #[cfg(feature = "install")]
            Cause::Pack(_) => "payload",
            #[cfg(feature = "delta")]
            Cause::Delta(error) if error.kind() != delta::ErrorKind::Transfer => "delta",
            _ => self.kind().as_str(),
        }
    }

    /// Whether the same request may succeed a little later without anybody doing anything.
    pub fn is_retryable(&self) -> bool {
        match &*self.0 {
            Cause::Network { source, .. } => source.kind() != io::ErrorKind::InvalidData,
            // Too many requests, and what gateways say while a server restarts.
            Cause::Server { status, .. } => matches!(status, 408 | 425 | 429 | 502 | 503 | 504),
            #[cfg(feature = "install")]
            Cause::Install(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// Whether the thing that was asked for is not to be had, whoever asks how often: the server keeps
    /// it from this machine, or nobody lists it.
    #[cfg(feature = "install")]
    pub(crate) fn is_refusal(&self) -> bool {
        match &*self.0 {
            Cause::Server { status, .. } => (400..500).contains(status) && !self.is_retryable(),
            Cause::Refusal(refusal) => refusal.rule() == Rule::NotListed,
            _ => false,
        }
    }

    /// For how long the server asked to be left alone, where it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match &*self.0 {
            Cause::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same refusal of a server that asks to be left alone for so long.
    pub(crate) fn after(mut self, pause: Option<Duration>) -> Self {
        if let Cause::Server { retry_after, .. } = &mut *self.0 {
            *retry_after = pause;
        }
        self
    }

    pub(crate) fn cancelled() -> Self {
        Cause::Cancelled.into()
    }

    #[cfg(feature = "install")]
    pub(crate) fn not_enrolled(detail: impl Into<String>) -> Self {
        Cause::NotEnrolled(detail.into()).into()
    }

    #[cfg(feature = "install")]
    pub(crate) fn settings(detail: impl Into<String>) -> Self {
        Cause::Settings(detail.into()).into()
    }

    pub(crate) fn network(what: impl Into<String>, source: io::Error) -> Self {
        Cause::Network { what: what.into(), source }.into()
    }

    /// The server's refusal: its problem document where it sent one.
    pub(crate) fn server(status: u16, problem: Option<Problem>) -> Self {
        let (code, message) = match problem {
            Some(problem) => {
                let mut message =
                    if problem.detail.is_empty() { problem.title } else { problem.detail };
                for found in problem.problems {
                    message.push_str("; ");
                    message.push_str(&found);
                }
                (problem.code, message)
            }
            None => (format!("http_{status}"), "it gave no reason".to_owned()),
        };
        Cause::Server { status, code, message, retry_after: None }.into()
    }

    /// An answer that the server should never give.
    pub(crate) fn malformed_answer(what: &str, detail: impl fmt::Display) -> Self {
        let message = format!("its answer to {what} makes no sense: {detail}");
        Cause::Server {
            status: 200,
            code: "malformed_answer".to_owned(),
            message,
            retry_after: None,
        }
        .into()
    }

    pub(crate) fn rule(rule: &'static str, detail: impl Into<String>) -> Self {
        Cause::Rule { rule, detail: detail.into() }.into()
    }

    pub(crate) fn disk(path: &Path, source: io::Error) -> Self {
        let full = Full::beneath(&source);
        let cause = Cause::Disk { path: path.to_owned(), source };
        match full {
            Some(full) => {
                let (file_system, source) = (root_of(path), Box::new(Self::from(cause)));
                Cause::Full { full, file_system, source }.into()
            }
            None => cause.into(),
        }
    }

    pub(crate) fn local(detail: impl Into<String>) -> Self {
        Cause::Local(detail.into()).into()
    }

    pub(crate) fn input(detail: impl Into<String>) -> Self {
        Cause::Input(detail.into()).into()
    }

    #[cfg(feature = "install")]
    pub(crate) fn blocked(detail: impl Into<String>) -> Self {
        Cause::Blocked(detail.into()).into()
    }

    #[cfg(feature = "install")]
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Cause::NotFound(detail.into()).into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self(Box::new(cause))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Cause::Refusal(refusal).into()
    }
}

#[cfg(feature = "install")]
impl From<install::Error> for Error {
    fn from(error: install::Error) -> Self {
        let Some(path) = error.full_at() else { return Cause::Install(error).into() };
        let (full, file_system) = (Full::beneath(&error), root_of(path));
        Cause::Full { full: full.unwrap_or(Full::Space), file_system, source: Box::new(error) }
            .into()
    }
}

#[cfg(feature = "delta")]
impl From<delta::Error> for Error {
    fn from(error: delta::Error) -> Self {
        Cause::Delta(error).into()
    }
}

#[cfg(feature = "install")]
impl From<pack::Error> for Error {
    fn from(error: pack::Error) -> Self {
        Cause::Pack(error).into()
    }
}

#[cfg(feature = "install")]
/// An error and everything beneath it, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(beneath) = source {
        let text = beneath.to_string();
        // Some errors repeat what is beneath them.
        if !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
        source = beneath.source();
    }
    message
}

#[cfg(feature = "install")]
fn kind_of_install(kind: install::ErrorKind) -> ErrorKind {
    use install::ErrorKind as Kind;
    match kind {
        Kind::Locked => ErrorKind::Locked,
        Kind::Blocked => ErrorKind::Blocked,
        Kind::BelowFloor | Kind::WrongDirection | Kind::DataUnreadable | Kind::Unpack => {
            ErrorKind::Trust
        }
        Kind::OnProbation => ErrorKind::Input,
        Kind::NoProbation | Kind::NotInstalled => ErrorKind::NotFound,
        Kind::TreeModified => ErrorKind::Modified,
        _ => ErrorKind::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_servers_the_rules_or_the_kinds() {
        let refused = Error::server(
            403,
            Some(Problem {
                kind: "urn:mainstay:problem:NOT_ENTITLED".to_owned(),
                title: "Not entitled".to_owned(),
                status: 403,
                code: "NOT_ENTITLED".to_owned(),
                detail: "the contract does not cover it".to_owned(),
                problems: vec!["one more thing".to_owned()],
            }),
        );
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Server, "NOT_ENTITLED"));
        assert_eq!(
            refused.to_string(),
            "the server refused: the contract does not cover it; one more thing \
             (NOT_ENTITLED, HTTP 403)"
        );
        assert_eq!(Error::server(500, None).code(), "http_500");
        assert_eq!(Error::rule("floor", "no").code(), "floor");
        assert_eq!(Error::input("no").code(), "input");
    }

    #[test]
    fn a_full_disk_or_quota_is_told_by_its_file_system() {
        let path = Path::new("/proc/self/no/such/file");
        for (kind, expected) in [
            (io::ErrorKind::StorageFull, "no space is left on the file system at `/proc`"),
            (io::ErrorKind::QuotaExceeded, "the quota is used up on the file system at `/proc`"),
        ] {
            let error = Error::disk(path, kind.into());
            assert_eq!((error.kind(), error.code()), (ErrorKind::Local, "space"));
            assert!(!error.is_retryable(), "what was downloaded in vain is not downloaded again");
            let said = with_sources(&error);
            assert!(said.starts_with(expected) && said.contains("/no/such/file"), "{said}");
        }
        assert_eq!(Error::disk(path, io::ErrorKind::NotFound.into()).code(), "local");
    }

    #[test]
    fn only_what_passes_by_itself_is_retryable() {
        let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(Error::network("download", broken()).is_retryable());
        let stranger = io::Error::from(io::ErrorKind::InvalidData);
        assert!(!Error::network("download", stranger).is_retryable());
        assert!(Error::server(503, None).is_retryable());
        assert!(!Error::server(500, None).is_retryable());
        assert!(!Error::server(403, None).is_retryable());
        assert!(!Error::disk(Path::new("/x"), broken()).is_retryable());
    }
}
