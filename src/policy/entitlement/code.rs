use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Granted or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The contract grants the release.
    Grant,
    /// It does not.
    Deny,
}

/// Defines [`Code`] once: variant, stable text, verdict.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal $verdict:ident,)*) => {
        /// Why a release is granted or denied. The text form is stable: programs may rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// Whether nobody is to learn from the decision that there is such a release: it is the
            /// one on a version that never was.
            pub const fn is_hidden(self) -> bool {
                matches!(self, Self::UnknownProduct | Self::NotFound)
            }

            /// Whether the code grants or denies.
            pub const fn verdict(self) -> Verdict {
                match self {
                    $(Self::$variant => Verdict::$verdict,)*
                }
            }
        }
    };
}

codes! {
    /// The server has no such product.
    UnknownProduct = "UNKNOWN_PRODUCT" Deny,
    /// There is no such release, as far as the customer may know.
    NotFound = "NOT_FOUND" Deny,
    /// The contract is terminated.
    ContractTerminated = "CONTRACT_TERMINATED" Deny,
    /// The contract is suspended.
    ContractSuspended = "CONTRACT_SUSPENDED" Deny,
    /// No term has started yet.
    NotStarted = "NOT_STARTED" Deny,
    /// The contract does not cover the product.
    ProductNotCovered = "PRODUCT_NOT_COVERED" Deny,
    /// The release is known to be harmful.
    Revoked = "REVOKED" Deny,
    /// The machine has run the release before and may return to it.
    Rollback = "ROLLBACK" Grant,
    /// The vendor has withdrawn the release.
    Withdrawn = "WITHDRAWN" Deny,
    /// The contract lacks an add-on that the release needs.
    AddonMissing = "ADDON_MISSING" Deny,
    /// The release came out after its line's end of life.
    LineEol = "LINE_EOL" Deny,
    /// The release came out after its line's end of support, without extended support.
    LineEos = "LINE_EOS" Deny,
    /// A critical fix from a line that is not owned, for want of one on an owned line.
    Bridge = "BRIDGE" Grant,
    /// The paid time and the grace are over, and the contract keeps nothing after them.
    FallbackEnded = "FALLBACK_ENDED" Deny,
    /// The line is above the highest that is licensed.
    LineAboveCap = "LINE_ABOVE_CAP" Deny,
    /// A fix from a line that is not owned; no owned line has it yet.
    NoBackport = "NO_BACKPORT" Deny,
    /// The contract lacks a channel that the release, or the step to its line, needs.
    ChannelNotCovered = "CHANNEL_NOT_COVERED" Deny,
    /// The line came out after the paid time.
    LineAfterTerm = "LINE_AFTER_TERM" Deny,
    /// The release opens a line that is owned.
    LineOwned = "LINE_OWNED" Grant,
    /// A security release that the vendor gives to every owner of the line.
    Courtesy = "COURTESY" Grant,
    /// The release came out in the paid time, which still runs.
    InTerm = "IN_TERM" Grant,
    /// The release came out in the paid time, which is over.
    Perpetual = "PERPETUAL" Grant,
    /// The grace after the paid time covers it.
    Grace = "GRACE" Grant,
    /// The security tail after the paid time covers it.
    SecurityTail = "SECURITY_TAIL" Grant,
    /// The release came out after all that was paid for.
    PublishedAfterTerm = "PUBLISHED_AFTER_TERM" Deny,
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
