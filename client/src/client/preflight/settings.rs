use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    format::{ComponentName, Version},
};

/// What the machine's administrator has set for what comes before an update: the table
/// `[preflight]` of `.mainstay/agent.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreflightSettings {
    /// Program and arguments of a command that is asked before an update: exit status 0 means go, 21
    /// not now, anything else no. None where there are no words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// How long it may take, in seconds.
    pub timeout_seconds: u32,
    /// Whether the server learns what the machine is.
    pub facts: FactsReport,
    /// Other programs on the machine that releases may depend on. What stands here counts, and not
    /// what [`Components`](super::Components) has of the same name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<ComponentName, Version>,
}

/// Whether the server learns what the machine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FactsReport {
    /// With each check.
    #[default]
    Sent,
    /// Never. The server offers what the machine then refuses where it lacks something.
    Withheld,
}

impl Default for PreflightSettings {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            timeout_seconds: 60,
            facts: FactsReport::default(),
            components: BTreeMap::new(),
        }
    }
}

impl PreflightSettings {
    /// The longest that the command may take, in seconds.
    pub const TIMEOUT_SECONDS_MAX: u32 = 3600;
    /// How much of its output is kept, in bytes: the end of it.
    pub const OUTPUT_BYTES_MAX: usize = 2048;

    /// Refuses what makes no sense; `path` is where it was read.
    pub(in crate::client) fn expect_sound(&self, path: &Path) -> Result<(), Error> {
        let refuse = |detail: String| Err(Error::local(format!("{}: {detail}", path.display())));
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        if program.is_empty() || (program.contains('/') && !program.starts_with('/')) {
            return refuse(format!(
                "preflight.command begins with `{}`: expected an absolute path or a program in PATH",
                program.escape_debug()
            ));
        }
        if !(1..=Self::TIMEOUT_SECONDS_MAX).contains(&self.timeout_seconds) {
            return refuse(format!(
                "preflight.timeout_seconds is {}: expected 1 to {}",
                self.timeout_seconds,
                Self::TIMEOUT_SECONDS_MAX
            ));
        }
        Ok(())
    }
}
