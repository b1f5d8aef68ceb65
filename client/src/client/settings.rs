//! What the machine's administrator has set: the tables of `.mainstay/agent.toml` that enrolling
//! keeps as they are.
//!
//! ```toml
//! [data]
//! directories = ["/var/lib/acme"]
//!
//! [disk]
//! spare_bytes = 1_000_000_000
//!
//! [download]
//! prefer = "bytes"
//!
//! [network]
//! proxy = "http://proxy.example.com:3128"
//! bytes_per_second_max = 1_000_000
//!
//! [updates]
//! trees_kept = 3
//!
//! [updates.channels]
//! feature = "auto"
//!
//! [[updates.windows]]
//! days = ["sat", "sun"]
//! from = "22:00"
//! until = "04:00"
//! zone = "Europe/Berlin"
//!
//! [support]
//! collect = "allow"
//! ```

mod consent;
mod download;
mod support;
mod window;

use std::{num::NonZeroU64, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use consent::{Consent, Consents, Step, Wait, step};
pub use download::{DownloadSettings, Preference};
pub use support::{CollectConsent, SupportSettings};
pub use window::{Day, Opening, TimeOfDay, TimeZone, Window, Windows};

use crate::{fetch, install};

/// What is kept of the program's data: the table `data`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// The directories beside `data`: absolute, or relative to the root of the installation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<PathBuf>,
    /// How many bytes of data are copied at the most before a switch; unlimited unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_bytes_max: Option<u64>,
    /// How many copies stay, the newest; 3 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots_kept: Option<usize>,
}

/// How much of the disks stays free: the table `disk`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskSettings {
    /// How many bytes stay free, whatever is installed, of each file system that an update writes to;
    /// 16 MiB unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare_bytes: Option<u64>,
}

/// How the server is reached: the table `network`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// The proxy, as in `http://proxy.example.com:3128`; none unless set. Environment variables such
    /// as `https_proxy` are not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// How many bytes a second are taken at the most; unlimited unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second_max: Option<NonZeroU64>,
}

/// What `mainstay-agent run` does by itself, and when: the table `updates`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateSettings {
    /// How many confirmed versions stay; 3 unless set. What runs and what ran before stay in any
    /// case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trees_kept: Option<usize>,
    /// What is done with the updates of each channel.
    #[serde(default)]
    pub channels: Consents,
    /// When updates may be applied; at any time unless set.
    #[serde(default, skip_serializing_if = "Windows::is_empty")]
    pub windows: Windows,
}

/// Whether a table has nothing to say, so that it is left out where the settings are written.
pub(super) fn is_default<T: Default + PartialEq>(table: &T) -> bool {
    *table == T::default()
}

impl DataSettings {
    /// These settings over those of `usual`.
    pub(super) fn within(&self, usual: install::Limits) -> install::Limits {
        install::Limits {
            data_directories: self.directories.clone(),
            data_bytes_max: self.snapshot_bytes_max.unwrap_or(usual.data_bytes_max),
            snapshots_kept: self.snapshots_kept.unwrap_or(usual.snapshots_kept),
            ..usual
        }
    }
}

impl DiskSettings {
    /// These settings over those of `usual`.
    pub(super) fn within(&self, usual: install::Limits) -> install::Limits {
        install::Limits { reserve_bytes: self.spare_bytes.unwrap_or(usual.reserve_bytes), ..usual }
    }
}

impl NetworkSettings {
    /// These settings over those of `usual`. What is slow by the administrator's own wish is not
    /// given up for its slowness.
    pub(super) fn within(&self, usual: fetch::Limits) -> fetch::Limits {
        let half = self.bytes_per_second_max.map_or(u64::MAX, |most| most.get() / 2);
        fetch::Limits {
            bytes_per_second_max: self.bytes_per_second_max,
            rate_bytes_min: usual.rate_bytes_min.min(half),
            ..usual
        }
    }
}

impl UpdateSettings {
    /// These settings over those of `usual`.
    pub(super) fn within(&self, usual: install::Limits) -> install::Limits {
        install::Limits { trees_kept: self.trees_kept.unwrap_or(usual.trees_kept), ..usual }
    }
}
