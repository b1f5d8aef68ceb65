use serde::{Deserialize, Serialize};

/// What the vendor's support may have of this machine: the table `support`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SupportSettings {
    /// What is done where support asks for a bundle.
    pub collect: CollectConsent,
}

/// What is done where support asks for a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CollectConsent {
    /// None is made, and support is told so.
    Forbid,
    /// It is made and sent once somebody at the machine says so (`mainstay-agent collect --approve`):
    /// nothing leaves a machine of which nobody has decided anything.
    #[default]
    Ask,
    /// It is made and sent.
    Allow,
}
