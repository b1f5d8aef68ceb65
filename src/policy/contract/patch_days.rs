use mainstay_client::format::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Contract;

/// Within how many days after a fix came out machines are to have it, by the severity of what is fixed.
/// Nothing where nothing is agreed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchDays {
    /// Of what is critical.
    pub critical: Option<u32>,
    /// Of what is major.
    pub major: Option<u32>,
    /// Of what is minor.
    pub minor: Option<u32>,
}

impl PatchDays {
    /// Of what is so severe.
    pub const fn of(self, severity: Severity) -> Option<u32> {
        match severity {
            Severity::Critical => self.critical,
            Severity::Major => self.major,
            Severity::Minor => self.minor,
        }
    }

    /// Everything that is wrong with them.
    pub(super) fn problems(self) -> Vec<String> {
        let all = Severity::ALL.into_iter().filter_map(|it| Some((it, self.of(it)?)));
        let wrong = all.filter(|(_, days)| !(1..=Contract::DAYS_MAX).contains(days));
        let told = wrong.map(|(severity, days)| {
            format!("patch_days.{severity} is {days}: expected 1 to {}", Contract::DAYS_MAX)
        });
        told.collect()
    }
}
