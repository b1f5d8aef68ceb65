//! The Update Framework, specification 1.0.34: keys, signatures, metadata and the client workflow,
//! without any input or output.
//!
//! | part | what is there |
//! |---|---|
//! | [`json`] | strict parsing and the canonical form that signatures cover |
//! | [`PublicKey`], [`SigningKey`] | keys and their identifiers, PKCS#8 PEM files |
//! | [`Envelope`] | a signed document, and the one place where a threshold is counted |
//! | [`Root`], [`Targets`], … | the roles' metadata |
//! | [`Trust`] and what it becomes | the workflow of §5.3 to §5.6 as typed states |

mod envelope;
mod error;
pub mod json;
mod key;
mod metadata;
mod path_pattern;
mod trust;

pub use envelope::{Envelope, Signature, sign};
pub use error::{Refusal, Rule};
pub use key::{KeyFileError, KeyId, PublicKey, SigningKey};
pub use metadata::{
    DelegatedRole, Delegations, FileMeta, Hashes, Header, Metadata, RoleKeys, Root, RootRoles,
    SPEC_VERSION, Snapshot, Target, TargetKind, Targets, TargetsCustom, Timestamp,
};
pub use path_pattern::PathPattern;
pub use trust::{
    DIRECTOR, Limits, PlanBinding, Trust, TrustedRepository, TrustedRoot, TrustedSnapshot,
    TrustedTimestamp,
};
