//! What a server makes of releases, where nobody says anything else of one.

use std::collections::BTreeMap;

use mainstay_client::format::{Channel, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Canaries, FailureThreshold, RolloutState, Schedule, Terms, Threshold, Thresholds, Waves,
};
use crate::policy::Release;

/// The rules by which rollouts start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutRules {
    /// The terms of releases in channels that have none of their own.
    pub terms: Terms,
    /// Those of the channels that have.
    pub channels: BTreeMap<Channel, Terms>,
    /// Whether a second person has to approve a rollout.
    pub approval: Approval,
    /// What becomes of critical security releases.
    pub critical_security: CriticalSecurity,
}

/// Whether a second person has to approve a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Nobody has to.
    #[default]
    None,
    /// Somebody has to who bears another token than whoever started it.
    SecondPerson,
}

/// What becomes of critical security releases of which nobody has said how they spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CriticalSecurity {
    /// Everybody may have them at once.
    #[default]
    AtOnce,
    /// They go in waves as all others.
    InWaves,
}

/// What somebody wants of one rollout. What is absent is as the server's rules have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutWish {
    /// Whether it goes in waves.
    #[serde(default)]
    pub pace: Pace,
    /// Whom it reaches when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waves: Option<Waves>,
    /// Who is first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canaries: Option<Canaries>,
    /// When it may go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Where so many have failed it pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureThreshold>,
    /// While fewer than so many have succeeded, no further wave begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Threshold>,
}

/// Whether a rollout goes in waves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// As the rules or the wish have it.
    #[default]
    AsAgreed,
    /// Everybody at once, at any hour.
    AtOnce,
}

impl RolloutWish {
    /// Everybody at once, at any hour.
    pub fn at_once() -> Self {
        Self { pace: Pace::AtOnce, ..Self::default() }
    }

    /// Whether it leaves everything to the rules.
    pub fn says_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The same for the first release of a product: unless waves are wanted, everybody may have it at once,
    /// since there is none that whoever waits could have instead.
    #[must_use]
    pub fn of_first_release(self) -> Self {
        match &self.waves {
            Some(_) => self,
            None => Self { pace: Pace::AtOnce, schedule: None, ..self },
        }
    }

    /// What is wrong with it.
    pub fn problem(&self) -> Option<String> {
        if self.pace == Pace::AtOnce && (self.waves.is_some() || self.schedule.is_some()) {
            return Some(
                "at once, and yet with waves or a schedule: expected one or the other".to_owned(),
            );
        }
        let count = self.canaries.as_ref().map_or(0, Canaries::count);
        let most = Canaries::COUNT_MAX;
        (count > most).then(|| format!("{count} canaries: expected at most {most}"))
    }

    /// The terms with what is wanted put in.
    pub fn over(self, terms: Terms) -> Terms {
        let Self { pace, waves, canaries, schedule, failure, success } = self;
        let (waves, schedule) = match pace {
            Pace::AsAgreed => (waves.unwrap_or(terms.waves), schedule.or(terms.schedule)),
            Pace::AtOnce => (Waves::at_once(), None),
        };
        Terms {
            waves,
            canaries: canaries.unwrap_or(terms.canaries),
            schedule,
            thresholds: Thresholds {
                failure: failure.or(terms.thresholds.failure),
                success: success.or(terms.thresholds.success),
            },
        }
    }
}

impl RolloutRules {
    /// The terms of the rollout of `release`.
    ///
    /// Unless waves are wanted, custom builds and, by the usual rules, critical security releases are
    /// for everybody at once. What stops a rollout stops these too.
    pub fn agreed(&self, wish: RolloutWish, release: &Release) -> Terms {
        let is_critical =
            release.channel == Channel::Security && release.severity == Severity::Critical;
        let is_urgent = is_critical && self.critical_security == CriticalSecurity::AtOnce;
        let is_spared = wish.waves.is_none() && (is_urgent || release.private_channel.is_some());
        let pace = if is_spared { Pace::AtOnce } else { wish.pace };
        let terms = self.channels.get(&release.channel).unwrap_or(&self.terms).clone();
        RolloutWish { pace, ..wish }.over(terms)
    }

    /// In which state a rollout starts.
    pub fn first_state(&self) -> RolloutState {
        match self.approval {
            Approval::None => RolloutState::Running,
            Approval::SecondPerson => RolloutState::AwaitingApproval,
        }
    }
}

impl Default for RolloutRules {
    fn default() -> Self {
        let terms = Terms {
            waves: Waves::usual(),
            canaries: Canaries::default(),
            schedule: None,
            thresholds: Thresholds::usual(),
        };
        let (approval, critical_security) = (Approval::default(), CriticalSecurity::default());
        Self { terms, channels: BTreeMap::new(), approval, critical_security }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(channel: &str, severity: &str) -> Release {
        let json = format!(
            r#"{{"version": "1.0.1", "channel": "{channel}", "severity": "{severity}",
                "published_at": "2025-02-01T00:00:00Z"}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn wish(json: &str) -> RolloutWish {
        serde_json::from_str(json).unwrap()
    }

    fn waves(rules: &RolloutRules, wish: RolloutWish, release: &Release) -> String {
        rules.agreed(wish, release).waves.to_string()
    }

    #[test]
    fn what_nobody_speaks_of_is_as_the_rules_have_it() {
        let mut rules = RolloutRules::default();
        let bugfix = release("bugfix", "critical");
        assert_eq!(rules.agreed(wish("{}"), &bugfix), rules.terms);
        let terms = Terms { waves: "50%:1h,100%".parse().unwrap(), ..rules.terms.clone() };
        rules.channels.insert(Channel::Bugfix, terms.clone());
        assert_eq!(rules.agreed(wish("{}"), &bugfix), terms);
        assert_eq!(rules.agreed(wish("{}"), &release("feature", "minor")), rules.terms);

        let wanted = wish(
            r#"{"waves": "1%:1h", "canaries": {"customers": ["globex"]},
                "schedule": {"zone": "UTC", "open": "mon"},
                "success": {"share": "90%", "tried_min": 5}}"#,
        );
        let agreed = rules.agreed(wanted.clone(), &bugfix);
        assert_eq!((Some(agreed.waves), Some(agreed.canaries)), (wanted.waves, wanted.canaries));
        assert_eq!((agreed.schedule, agreed.thresholds.success), (wanted.schedule, wanted.success));
        assert_eq!(agreed.thresholds.failure, rules.terms.thresholds.failure);
    }

    #[test]
    fn critical_security_releases_and_custom_builds_are_for_everybody_at_once_unless_waves_are_wanted()
     {
        let zone = r#"{"zone": "UTC", "open": "mon"}"#;
        let mut rules = RolloutRules::default();
        rules.terms.schedule = Some(serde_json::from_str(zone).unwrap());
        let critical = release("security", "critical");
        let agreed = rules.agreed(wish("{}"), &critical);
        assert_eq!((agreed.waves, agreed.schedule), (Waves::at_once(), None));
        assert_eq!(agreed.thresholds, rules.terms.thresholds, "and yet failures pause it");
        assert_eq!(waves(&rules, wish(r#"{"waves": "1%:1h"}"#), &critical), "1%:1h");
        let usual = rules.terms.waves.to_string();
        assert_eq!(waves(&rules, wish("{}"), &release("security", "major")), usual);
        assert_eq!(waves(&rules, wish("{}"), &release("bugfix", "critical")), usual);
        rules.critical_security = CriticalSecurity::InWaves;
        assert_eq!(waves(&rules, wish("{}"), &critical), usual);

        let custom =
            Release { private_channel: "a".repeat(26).parse().ok(), ..release("bugfix", "minor") };
        assert_eq!(rules.agreed(wish("{}"), &custom).waves, Waves::at_once());
        assert_eq!(waves(&rules, wish(r#"{"waves": "1%:1h"}"#), &custom), "1%:1h");
    }

    #[test]
    fn at_once_is_at_any_hour_and_with_nothing_else() {
        let mut rules = RolloutRules::default();
        rules.terms.schedule = serde_json::from_str(r#"{"zone": "UTC", "open": "mon"}"#).unwrap();
        let agreed = rules.agreed(RolloutWish::at_once(), &release("bugfix", "minor"));
        assert_eq!((agreed.waves, agreed.schedule), (Waves::at_once(), None));
        assert_eq!(RolloutWish::at_once().problem(), None);
        let both = wish(r#"{"pace": "at_once", "waves": "1%:1h"}"#);
        assert!(both.problem().unwrap().contains("one or the other"));
        let machines = (0..501).map(|number| format!("m-{number:012x}").parse().unwrap()).collect();
        let canaries = Some(Canaries { machines, ..Canaries::default() });
        let first = RolloutWish::default().of_first_release();
        assert_eq!(rules.agreed(first, &release("major", "minor")).waves, Waves::at_once());
        let wanted = wish(r#"{"waves": "1%:1h"}"#).of_first_release();
        assert_eq!(waves(&rules, wanted, &release("major", "minor")), "1%:1h");
        let many = RolloutWish { canaries, ..RolloutWish::default() };
        assert_eq!(many.problem().unwrap(), "501 canaries: expected at most 500");
    }
}
