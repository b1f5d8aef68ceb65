//! How many machines one person may act on without a second one.

use serde::Deserialize;

/// How many machines one action of one person may touch. What touches more waits until another person
/// approves it; where it is 0, everything does that is ordered for several machines at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AloneLimits {
    /// An administrator's.
    pub admin: usize,
    /// That of a technician of the vendor's own.
    pub support: usize,
    /// That of a technician of an organisation.
    pub organisation: usize,
}

impl Default for AloneLimits {
    fn default() -> Self {
        Self { admin: 500, support: 50, organisation: 50 }
    }
}
