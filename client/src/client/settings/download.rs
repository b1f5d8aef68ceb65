use serde::{Deserialize, Serialize};

/// What is saved where a release can be fetched in more than one way: the table `download`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownloadSettings {
    /// What is saved.
    #[serde(default)]
    pub prefer: Preference,
}

/// What is saved where a release can be fetched in more than one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// Time: what arrives and is unpacked soonest, as far as that can be told.
    #[default]
    Time,
    /// Bytes: what weighs least, however long it takes to unpack. For links that are paid for by the byte.
    Bytes,
}
