//! What the customer's administrator lets happen by itself.

use serde::{Deserialize, Serialize};

use super::Opening;
use crate::format::{Action, Channel, ChannelName, Version};

/// What is done with an update that the server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consent {
    /// It is installed.
    Auto,
    /// It is downloaded, and installed once it is approved.
    Download,
    /// It is downloaded and installed once it is approved.
    Ask,
    /// It is left alone. It can still be installed by `mainstay-agent update`.
    Off,
}

/// What is done with the updates of each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consents {
    /// Security releases.
    pub security: Consent,
    /// Bug fixes.
    pub bugfix: Consent,
    /// New lines.
    pub feature: Consent,
    /// New major versions.
    pub major: Consent,
    /// Builds for this customer alone.
    pub private: Consent,
}

impl Default for Consents {
    /// What mends a program is installed by itself; what changes it is asked about.
    fn default() -> Self {
        Self {
            security: Consent::Auto,
            bugfix: Consent::Auto,
            feature: Consent::Ask,
            major: Consent::Ask,
            private: Consent::Ask,
        }
    }
}

impl Consents {
    fn of(self, channel: &ChannelName) -> Consent {
        match channel.as_str().parse() {
            Ok(Channel::Security) => self.security,
            Ok(Channel::Bugfix) => self.bugfix,
            Ok(Channel::Feature) => self.feature,
            Ok(Channel::Major) => self.major,
            Err(_) => self.private,
        }
    }
}

/// What the service does about what the server's plan says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Download, so that installing takes no time later.
    Fetch(Wait),
    /// Nothing before something happens.
    Wait(Wait),
    /// Install, or roll back.
    Apply,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// That somebody approves of the version.
    Approval,
    /// That a window opens.
    Window(jiff::Timestamp),
}

/// What is done about `action` at a time when `opening` is so.
///
/// A technician's order to roll back is carried out at once: what runs is broken, and whoever set
/// the windows did so for updates.
pub fn step(
    action: &Action,
    consents: Consents,
    approved: Option<&Version>,
    opening: Opening,
) -> Step {
    let target = match action {
        Action::Stay => return Step::Rest,
        Action::Rollback { .. } => return Step::Apply,
        Action::Update { target } => target,
    };
    let is_approved = approved == Some(&target.version);
    match (consents.of(&target.channel), opening) {
        (Consent::Off, _) if !is_approved => Step::Rest,
        (Consent::Ask, _) if !is_approved => Step::Wait(Wait::Approval),
        (Consent::Download, _) if !is_approved => Step::Fetch(Wait::Approval),
        (_, Opening::Closed { until }) => Step::Fetch(Wait::Window(until)),
        (_, Opening::Open) => Step::Apply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Digest, PlanTarget, Platform, RollbackOrder, TargetFile, TargetPath};

    fn target(channel: &str) -> PlanTarget {
        let (channel, version): (ChannelName, Version) =
            (channel.parse().unwrap(), "2.4.1".parse().unwrap());
        let file = |path| TargetFile { path, length: 1, sha256: Digest::of(b"") };
        let platform = Platform::of_this_program();
        PlanTarget {
            manifest: file(TargetPath::manifest(&channel, &version)),
            artifact: file(TargetPath::artifact(&channel, &version, &platform)),
            deltas: Vec::new(),
            version,
            channel,
        }
    }

    fn update(channel: &str) -> Action {
        Action::Update { target: target(channel) }
    }

    fn closed() -> (Opening, jiff::Timestamp) {
        let until = "2026-06-06T22:00:00Z".parse().unwrap();
        (Opening::Closed { until }, until)
    }

    #[test]
    fn what_mends_is_installed_and_what_changes_is_asked_about() {
        for (channel, expected) in [
            ("security", Step::Apply),
            ("bugfix", Step::Apply),
            ("feature", Step::Wait(Wait::Approval)),
            ("major", Step::Wait(Wait::Approval)),
            ("abcdefghijklmnopqrstuvwxyz", Step::Wait(Wait::Approval)),
        ] {
            let found = step(&update(channel), Consents::default(), None, Opening::Open);
            assert_eq!(found, expected, "{channel}");
        }
        let rest = step(&Action::Stay, Consents::default(), None, Opening::Open);
        assert_eq!(rest, Step::Rest);
    }

    #[test]
    fn approval_is_for_one_version_and_still_waits_for_a_window() {
        let (shut, until) = closed();
        let (approved, other) = ("2.4.1".parse().unwrap(), "2.4.0".parse().unwrap());
        for consent in [Consent::Download, Consent::Ask, Consent::Off] {
            let consents = Consents { feature: consent, ..Consents::default() };
            let step = |approved, opening| step(&update("feature"), consents, approved, opening);
            assert_eq!(step(Some(&approved), Opening::Open), Step::Apply);
            assert_eq!(step(Some(&approved), shut), Step::Fetch(Wait::Window(until)));
            let expected = match consent {
                Consent::Download => Step::Fetch(Wait::Approval),
                Consent::Ask => Step::Wait(Wait::Approval),
                _ => Step::Rest,
            };
            for opening in [Opening::Open, shut] {
                assert_eq!(step(Some(&other), opening), expected);
                assert_eq!(step(None, opening), expected);
            }
        }
    }

    #[test]
    fn an_order_to_roll_back_waits_for_nothing() {
        let order = RollbackOrder { number: 1, reason: "bad".to_owned(), ticket: None };
        let action = Action::Rollback { target: target("feature"), order };
        let off = Consents { feature: Consent::Off, ..Consents::default() };
        assert_eq!(step(&action, off, None, closed().0), Step::Apply);
    }
}
