//! Documents and the small types that they are made of.
//!
//! Every identifier is a newtype whose only constructor parses it, so a value that exists is a
//! value that is well formed. Documents are plain `serde` structures; what a document must satisfy
//! beyond its shape is checked by its `problems` method, which lists *all* that is wrong.

mod bundle;
mod digest;
mod facts;
mod identifier;
mod lines;
mod plan;
mod release;
pub mod requirements;
#[cfg(feature = "schema")]
pub mod schema;
mod target_path;
mod version;
pub mod wire;

pub use bundle::BundleHeading;
pub use digest::{Digest, Hasher};
pub use facts::{Distribution, Facts, Libc, SystemVersion};
pub use identifier::{
    AdvisoryId, ChannelName, ComponentName, ContractName, CustomerName, DistributionName,
    DistributionVersion, MachineName, OrganisationName, Platform, PrivateChannelName, ProductName,
    Tag,
};
pub use lines::{LineDates, Lines, LinesError};
pub use plan::{
    Action, CollectOrder, DeltaPath, DeltaProfile, DeltaStep, Notice, PLAN_FORMAT, Plan,
    PlanTarget, RetryOrder, RollbackOrder, TargetFile, Withheld,
};
pub use release::{
    Artifact, DataEpochs, EpochRange, HealthCheck, Hook, Hooks, RELEASE_DESCRIPTION,
    RELEASE_FORMAT, ReleaseDescription, ReleaseManifest, Severity,
};
pub use requirements::{Missing, Requirements, VersionRange};
pub use target_path::TargetPath;
pub use version::{Channel, LineName, Version};

/// Text that is not a well-formed value of the type asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{found}` is not valid: expected {expected}")]
pub struct ParseError {
    what: &'static str,
    found: String,
    expected: &'static str,
}

impl ParseError {
    /// At most so many characters of the offending text are repeated in a message.
    const FOUND_CHARS_MAX: usize = 80;

    pub(crate) fn new(what: &'static str, found: &str, expected: &'static str) -> Self {
        let found = found.chars().take(Self::FOUND_CHARS_MAX).collect::<String>();
        Self { what, found: found.escape_debug().to_string(), expected }
    }
}

/// Implements serde, by `FromStr` and `Display`, of a type that is text in documents; with its schema,
/// which says what is `expected`, or that the text is one of those that `ALL` has.
macro_rules! text_serde {
    ($name:ident, one of ALL) => {
        $crate::format::text_serde!(
            $name;
            "enum": $name::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>()
        );
    };
    ($name:ident, $expected:expr) => {
        $crate::format::text_serde!($name; "description": $expected);
    };
    ($name:ident; $said:literal: $value:expr) => {
        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", $said: $value })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text =
                    <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_serde;
