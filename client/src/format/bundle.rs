use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CustomerName, MachineName, ProductName};

/// What a support bundle says of itself: the file [`BundleHeading::FILE`] in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleHeading {
    /// Always [`BundleHeading::KIND`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// [`BundleHeading::FORMAT`].
    pub format: u32,
    /// Which machine it is of.
    pub machine: MachineName,
    /// Whose machine that is.
    pub customer: CustomerName,
    /// What it runs.
    pub product: ProductName,
    /// The order that asked for it; absent where somebody at the machine wanted to see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// When it was made, by the machine's clock.
    pub made_at: Timestamp,
    /// The agent's version.
    pub agent: String,
    /// In how many places something was removed that is or looks like a secret.
    pub removed: u64,
    /// The files of which there was more than fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<String>,
}

impl BundleHeading {
    /// The name of the file.
    pub const FILE: &'static str = "bundle.json";
    /// What [`BundleHeading::kind`] always says.
    pub const KIND: &'static str = "support-bundle";
    /// The code by which a server says that it asks for no bundle, or not for this one.
    pub const UNASKED: &'static str = "COLLECTION_UNASKED";
    /// The format number that this program writes and reads.
    pub const FORMAT: u32 = 1;
    /// The most files in a bundle.
    pub const FILES_MAX: u64 = 32;
    /// The longest file in a bundle, in bytes.
    pub const FILE_BYTES_MAX: usize = 512 << 10;
    /// The longest archive of a bundle before it is compressed, in bytes.
    pub const PAYLOAD_BYTES_MAX: u64 = 8 << 20;
    /// The longest bundle, in bytes.
    pub const BYTES_MAX: u64 = 4 << 20;
}
