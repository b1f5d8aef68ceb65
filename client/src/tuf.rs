//! The Update Framework, specification 1.0.34: keys, signatures, metadata and the client workflow,
//! without any input or output.
//!
//! | part | what is there |
//! |---|---|
//! | [`json`] | strict parsing and the canonical form that signatures cover |
//! | [`PublicKey`], [`SigningKey`] | keys and their identifiers, PKCS#8 PEM files |
//! | [`Signer`] | the port to a private key, wherever it is kept |
//! | [`Envelope`] | a signed document, and the one place where a threshold is counted |
//! | [`Root`], [`Targets`], … | the roles' metadata |
//! | [`Authored`] | what a document must be for people to sign it, which is stricter than what a client takes |
//! | [`Delegations`] | the roles that a targets role delegates to, and for which paths they speak |
//! | [`Hashes`] | the digests of a file |
//! | [`Trust`] and what it becomes | the workflow of §5.3 to §5.6 as typed states |

mod authored;
mod delegation;
mod envelope;
mod error;
mod hashes;
pub mod json;
mod key;
mod metadata;
mod path_pattern;
mod signer;
mod signing_key;
mod trust;

pub use authored::Authored;
pub use delegation::{BitLength, DelegatedRole, Delegations, PathHashPrefix, Paths, SuccinctRoles};
pub use envelope::{Envelope, Signature, sign};
pub use error::{Refusal, Rule};
pub use hashes::{Hashes, HashesChecker, Sha512Digest};
pub use key::{KeyId, PublicKey};
#[cfg(all(feature = "http", feature = "install"))]
pub(crate) use metadata::percent_encoded;
pub use metadata::{
    FileMeta, Header, Metadata, RoleKeys, Root, RootRoles, SPEC_VERSION, Snapshot, Target,
    TargetKind, Targets, TargetsCustom, Timestamp, role_file_name,
};
pub use path_pattern::PathPattern;
pub use signer::{SignError, Signer};
pub use signing_key::{KeyFileError, SigningKey};
pub use trust::{
    DIRECTOR, Delegation, Limits, PlanBinding, Rotation, Search, Trust, TrustedRepository,
    TrustedRoot, TrustedSnapshot, TrustedTimestamp,
};
