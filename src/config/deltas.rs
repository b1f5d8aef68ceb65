use serde::Deserialize;

use super::ConfigError;
use crate::policy::delta::{DeltaRules, Making};

/// What the file says of deltas.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeltaSection {
    enabled: Option<bool>,
    compact: Option<bool>,
    seconds_a_day: Option<u32>,
    memory_bytes: Option<u64>,
    disk_bytes: Option<u64>,
}

impl DeltaSection {
    /// What is said, with what is usual where nothing is.
    pub(super) fn rules(self) -> Result<DeltaRules, ConfigError> {
        let default = DeltaRules::default();
        let rules = DeltaRules {
            making: match (self.enabled, self.compact) {
                (Some(false), _) => Making::Off,
                (_, Some(false)) => Making::FastOnly,
                _ => Making::On,
            },
            seconds_a_day: self.seconds_a_day.unwrap_or(default.seconds_a_day),
            memory_bytes: self.memory_bytes.unwrap_or(default.memory_bytes),
            disk_bytes: self.disk_bytes.unwrap_or(default.disk_bytes),
        };
        match rules.problem() {
            None => Ok(rules),
            Some(problem) => Err(ConfigError::Deltas(problem)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::load, *};

    #[test]
    fn deltas_cost_what_the_file_says() {
        assert_eq!(load("").unwrap().deltas, DeltaRules::default());
        let deltas = load("[deltas]\nenabled = false\nseconds_a_day = 60").unwrap().deltas;
        let expected =
            DeltaRules { making: Making::Off, seconds_a_day: 60, ..DeltaRules::default() };
        assert_eq!(deltas, expected);
        let deltas = load("[deltas]\ncompact = false").unwrap().deltas;
        assert_eq!(deltas, DeltaRules { making: Making::FastOnly, ..DeltaRules::default() });
        for (wrong, expected) in [
            ("seconds_a_day = 0", "deltas.seconds_a_day is 0: expected 1 to 86400"),
            ("memory_bytes = 1", "deltas.memory_bytes is 1: expected at least 67108864"),
            ("disk_bytes = 1", "deltas.disk_bytes is 1: expected at least 1048576"),
            ("seconds = 1", "unknown field `seconds`"),
        ] {
            let error = load(&format!("[deltas]\n{wrong}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
    }
}
