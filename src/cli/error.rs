use std::{path::Path, process::ExitCode};

use mainstay_client::{
    delta,
    format::{ParseError, wire::Problem},
    pack,
    tuf::{KeyFileError, Refusal, SignError},
};

use crate::{config::ConfigError, server::ServerError, service::chain};

/// What the `mainstay` command exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Done.
    Done = 0,
    /// Something else went wrong.
    Failed = 1,
    /// The command line or a file that it names is not what was expected.
    Input = 2,
    /// The server refused: the request, a document, or the token's role.
    Refused = 3,
    /// Somebody else changed the same thing; do it again upon the newest.
    Conflict = 4,
    /// The server cannot be reached or cannot serve now.
    Network = 5,
    /// A document does not verify: nothing was signed upon it; or the audit trail does not.
    Trust = 6,
    /// `status`: something expires within 3 days or has expired, or online keys are lost.
    Expiring = 7,
    /// `action show --watch`: it has come to an end, and not every machine has done it.
    Incomplete = 8,
}

impl ExitStatus {
    pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  something else went wrong
  2  the command line or a file that it names is not what was expected
  3  the server refused
  4  somebody else changed the same thing: do it again upon the newest
  5  the server cannot be reached or cannot serve now
  6  a document of the server or of a proposal does not verify: nothing was signed upon it; or the audit
     trail does not
  7  status: something expires within 3 days or has expired, or online keys are lost
  8  action show --watch: it has come to an end, and not every machine has done it";
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line or a file that it names is not what was expected.
    #[error("{0}")]
    Input(String),
    /// The server answered with a problem.
    #[error("{} ({})", .0.detail, .0.code)]
    Server(Box<Problem>),
    /// The server cannot be reached.
    #[error("the server {url} cannot be reached: {message}")]
    Network {
        /// Its address.
        url: String,
        /// Why.
        message: String,
    },
    /// A file could not be used.
    #[error("cannot {what} {path}: {source}")]
    File {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A key could not be used.
    #[error("{path}: {source}")]
    Key {
        /// Its file.
        path: String,
        /// Why not.
        source: KeyFileError,
    },
    /// A key in a token could not be used.
    #[error("{uri}: {message}")]
    Token {
        /// Which key.
        uri: String,
        /// Why not.
        message: String,
    },
    /// A document of the server does not verify.
    #[error("{0}")]
    Trust(#[from] Refusal),
    /// A proposal, or what it builds upon, is not what it must be.
    #[error("{0}; nothing was signed upon it")]
    Untrusted(String),
    /// The audit trail is not what was recorded.
    #[error("the audit trail does not verify: {0}")]
    AuditTrail(String),
    /// A document was not signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A tree could not be packed.
    #[error("{}", pack_message(.0))]
    Pack(#[from] pack::Error),
    /// A delta could not be made or applied.
    #[error("{}", chain(.0))]
    Delta(#[from] delta::Error),
    /// The release is refused before anything is sent.
    #[error("the release is not sound; nothing was sent")]
    Unsound(Vec<String>),
    /// A file is refused before anything is done with it.
    #[error("{file} is not sound; nothing was done with it")]
    UnsoundFile {
        /// Which.
        file: String,
        /// Everything that is wrong with it.
        problems: Vec<String>,
    },
    /// A retirement is refused before anything is sent.
    #[error("these releases cannot be retired; nothing was sent")]
    Unretirable(Vec<String>),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server did not start or go on.
    #[error(transparent)]
    Serve(#[from] ServerError),
    /// The machine's agent failed.
    #[error(transparent)]
    Agent(#[from] mainstay_client::error::Error),
    /// A document could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// What is wrong with a tree is listed one by one ([`CliError::problems`]) and not said here again.
fn pack_message(error: &pack::Error) -> String {
    if error.problems().is_empty() {
        chain(error)
    } else {
        "the tree cannot be packed; nothing was sent".to_owned()
    }
}

impl CliError {
    pub(super) fn file(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { what, path: path.display().to_string(), source }
    }

    /// What the command exits with.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Delta(error) if error.kind() == delta::ErrorKind::Transfer => ExitStatus::Failed,
            Self::Input(_)
            | Self::Key { .. }
            | Self::Token { .. }
            | Self::Pack(_)
            | Self::Delta(_)
            | Self::Unsound(_)
            | Self::UnsoundFile { .. }
            | Self::Unretirable(_)
            | Self::Config(_) => ExitStatus::Input,
            Self::Server(problem) => match problem.status {
                409 => ExitStatus::Conflict,
                503 => ExitStatus::Network,
                500.. => ExitStatus::Failed,
                _ => ExitStatus::Refused,
            },
            Self::Network { .. } => ExitStatus::Network,
            Self::Trust(_) | Self::Untrusted(_) | Self::AuditTrail(_) => ExitStatus::Trust,
            Self::File { .. } | Self::Sign(_) | Self::Serve(_) | Self::Agent(_) | Self::Json(_) => {
                ExitStatus::Failed
            }
        }
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Server(problem) => &problem.code,
            Self::Input(_) | Self::UnsoundFile { .. } | Self::Config(_) => "INVALID_INPUT",
            Self::Network { .. } => "NETWORK",
            Self::File { .. } => "FILE",
            Self::Key { .. } | Self::Token { .. } | Self::Sign(_) => "KEY",
            Self::Trust(_) | Self::Untrusted(_) | Self::AuditTrail(_) => "TRUST",
            Self::Pack(_) => "PACK",
            Self::Delta(_) => "DELTA",
            Self::Unsound(_) => "RELEASE_REFUSED",
            Self::Unretirable(_) => "RETIREMENT_REFUSED",
            Self::Serve(_) => "SERVE",
            Self::Agent(_) => "AGENT",
            Self::Json(_) => "INTERNAL",
        }
    }

    /// Everything that is wrong, where that is known one by one.
    pub fn problems(&self) -> &[String] {
        match self {
            Self::Server(problem) => &problem.problems,
            Self::Unsound(problems)
            | Self::UnsoundFile { problems, .. }
            | Self::Unretirable(problems) => problems,
            Self::Pack(error) => error.problems(),
            _ => &[],
        }
    }
}

impl From<ParseError> for CliError {
    fn from(error: ParseError) -> Self {
        Self::Input(error.to_string())
    }
}
