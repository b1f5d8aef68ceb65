use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use mainstay_client::format::{
    Version,
    wire::{Awaited, Event, EventKind, Waiting},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Advisory;
use crate::policy::resolve::{Action, DeliveryCode, Reason, Resolution, Withheld};

/// On what it depends that a machine still lacks a fix.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// The contract does not grant it.
    NotEntitled,
    /// No release has it to which the machine could go from where it is.
    NoFix,
    /// The contract grants it, and something keeps it from the machine.
    HeldBack,
    /// It was tried, and failed on the machine.
    Failed,
    /// The machine is silent.
    Silent,
    /// It is there for the machine to take.
    Waiting,
}

impl CauseKind {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotEntitled => "not_entitled",
            Self::NoFix => "no_fix",
            Self::HeldBack => "held_back",
            Self::Failed => "failed",
            Self::Silent => "silent",
            Self::Waiting => "waiting",
        }
    }

    /// Whether the time counts that was agreed for fixing it: not where the contract gives no fix, nor
    /// where the vendor has made none.
    pub const fn counts(self) -> bool {
        !matches!(self, Self::NotEntitled | Self::NoFix)
    }
}

impl fmt::Display for CauseKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Why a machine still lacks a fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// On what it depends.
    pub kind: CauseKind,
    /// The stable code: that of the decision where there is one, as `machine explain` has it, and else
    /// one of `NO_FIX`, `OTHER_TARGET`, `GOING_BACK`, `FAILED`, `SILENT`, `DEFERRED`, `WINDOW`,
    /// `APPROVAL`, `CONFIRMATION`, `COMMAND`, `OFFERED`, `NOT_CHECKED`.
    pub code: String,
    /// The same in a sentence.
    pub message: String,
    /// The release that would fix it and that it is about; nothing where there is none.
    pub remedy: Option<Version>,
}

/// What is known of a machine that lacks a fix, beside what is resolved for it.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// When it was last heard of, where it has been silent for too long since.
    pub silent_since: Option<Timestamp>,
    /// The version to which it is ordered to go back, while it has not.
    pub going_back_to: Option<&'a Version>,
    /// The versions that its plans have told it to install.
    pub offered: &'a BTreeSet<Version>,
    /// The versions that it has blocked by itself, because they failed or somebody went back from them.
    pub failed: &'a BTreeSet<Version>,
    /// What it said at its last check that it waits for.
    pub waits: Option<&'a Waiting>,
    /// The newest event that it has reported.
    pub last: Option<&'a Event>,
    /// When it is asked.
    pub at: Timestamp,
}

impl Circumstances<'_> {
    /// Why `hop` is not installed, which was offered and did not fail. What the machine says of another
    /// version says nothing of this one, and a window that has opened is waited for no more.
    fn not_taken(&self, hop: &Version) -> (&'static str, String) {
        let waits = self.waits.filter(|waits| waits.version == *hop);
        match waits.map(|waits| waits.awaited) {
            Some(Awaited::Window(opens)) if self.at < opens => (
                "WINDOW",
                format!(
                    "{hop} was offered; the machine waits for its window, which opens at {opens}."
                ),
            ),
            Some(Awaited::Approval) => (
                "APPROVAL",
                format!(
                    "{hop} was offered; the machine waits for somebody's approval there \
                     (`mainstay-agent approve {hop}`)."
                ),
            ),
            Some(Awaited::Confirmation) => (
                "CONFIRMATION",
                format!(
                    "{hop} was offered; the machine waits until what is on probation there is \
                     confirmed or undone."
                ),
            ),
            Some(Awaited::Command) => (
                "COMMAND",
                format!(
                    "{hop} was offered; its administrator lets nothing of its channel be installed \
                     by itself (`mainstay-agent update` installs it)."
                ),
            ),
            Some(Awaited::Window(_)) | None => (
                "OFFERED",
                format!(
                    "{hop} was offered and is not installed yet: the next update on the machine \
                     installs it, unless it waits for something that it has not told."
                ),
            ),
        }
    }
}

impl Cause {
    /// Why the machine for which `resolution` is resolved still lacks the fix of `advisory`, by the
    /// verdicts of [`mod@crate::policy::resolve`] alone. What comes first holds:
    ///
    /// - Where the contract grants no release above what runs that has the fix: the decision on the lowest.
    /// - Where there is no such release, or only such as are not made for the machine, are retired, or are
    ///   previews: there is none for it.
    /// - The machine is silent; it is going back.
    /// - What keeps a release that has it from the machine.
    /// - The release comes to it, and it has not taken it, or has tried and failed.
    pub fn of(
        advisory: &Advisory<'_>,
        resolution: &Resolution,
        machine: &Circumstances<'_>,
    ) -> Self {
        let target = resolution.target.as_ref().filter(|target| advisory.is_remedy(target));
        let withheld: Vec<&Withheld> =
            resolution.withheld.iter().filter(|it| advisory.is_remedy(&it.version)).collect();
        let kept = withheld.iter().find(|it| keeps(it.code));
        let passed_over = || resolution.reached.iter().find(|it| advisory.is_remedy(it));
        if target.is_none() && kept.is_none() {
            if let Some(remedy) = passed_over() {
                return Self::with_target(resolution, remedy);
            }
            let denied = withheld.iter().find(|it| is_contractual(it.code));
            return denied.or(withheld.first()).map_or_else(Self::no_fix, |it| Self::denied(it));
        }
        let remedy = target.or_else(|| kept.map(|it| &it.version));
        if let Some(since) = machine.silent_since {
            let message = format!("The machine has not been heard of since {since}.");
            return Self::new(CauseKind::Silent, "SILENT", message, remedy);
        }
        if let Some(back) = machine.going_back_to {
            let message = format!("The machine is ordered to go back to {back}, and has not yet.");
            return Self::new(CauseKind::HeldBack, "GOING_BACK", message, remedy);
        }
        match (target, kept) {
            (Some(target), _) => Self::waiting(resolution, target, machine),
            (None, Some(kept)) if machine.failed.contains(&kept.version) => {
                Self::new(CauseKind::Failed, "FAILED", kept.sentence.clone(), remedy)
            }
            (None, kept) => kept.map_or_else(Self::no_fix, |it| Self::denied(it)),
        }
    }

    fn waiting(resolution: &Resolution, target: &Version, machine: &Circumstances<'_>) -> Self {
        let hop = match &resolution.action {
            Action::Update(hop) => hop,
            Action::Stay | Action::Rollback(_) => target,
        };
        let last = machine.last.filter(|event| event.to == *hop);
        let told = |event: &Event| {
            let detail = event.detail.trim();
            if detail.is_empty() { String::new() } else { format!(": {detail}") }
        };
        let (kind, code, message) = match last.map(|event| (event.kind, event)) {
            Some((EventKind::Deferred, event)) => {
                let message =
                    format!("What runs asked to be updated to {hop} later{}.", told(event));
                (CauseKind::Waiting, "DEFERRED", message)
            }
            Some((EventKind::Interrupted | EventKind::Refused, event)) => {
                let message = format!("The update to {hop} was not carried out{}.", told(event));
                (CauseKind::Failed, "FAILED", message)
            }
            _ if machine.offered.contains(hop) => {
                let (code, message) = machine.not_taken(hop);
                (CauseKind::Waiting, code, message)
            }
            _ => {
                let message = format!("The machine has not checked since it can have {hop}.");
                (CauseKind::Waiting, "NOT_CHECKED", message)
            }
        };
        Self::new(kind, code, message, Some(target))
    }

    fn with_target(resolution: &Resolution, remedy: &Version) -> Self {
        let target = resolution.target.as_ref().map(ToString::to_string).unwrap_or_default();
        let message = format!(
            "{remedy} has the fix; the machine goes to {target}, which is higher and lacks it."
        );
        Self::new(CauseKind::HeldBack, "OTHER_TARGET", message, Some(remedy))
    }

    fn denied(withheld: &Withheld) -> Self {
        let kind = match withheld.code {
            code if is_contractual(code) => CauseKind::NotEntitled,
            code if keeps(code) => CauseKind::HeldBack,
            _ => CauseKind::NoFix,
        };
        Self::new(kind, withheld.code.as_str(), withheld.sentence.clone(), Some(&withheld.version))
    }

    fn no_fix() -> Self {
        let message = "No release above what runs has the fix and is for this machine.".to_owned();
        Self::new(CauseKind::NoFix, "NO_FIX", message, None)
    }

    fn new(kind: CauseKind, code: &str, message: String, remedy: Option<&Version>) -> Self {
        Self { kind, code: code.to_owned(), message, remedy: remedy.cloned() }
    }
}

/// Whether it is for the contract that a release is withheld.
fn is_contractual(reason: Reason) -> bool {
    matches!(reason, Reason::Entitlement(_) | Reason::Delivery(DeliveryCode::SeatsExceeded))
}

/// Whether a release that is withheld so is one that the machine ought to have.
fn keeps(reason: Reason) -> bool {
    match reason {
        Reason::Entitlement(_) => false,
        Reason::Delivery(code) => match code {
            DeliveryCode::Held
            | DeliveryCode::Pinned
            | DeliveryCode::Blocked
            | DeliveryCode::RolloutWait
            | DeliveryCode::Requirement
            | DeliveryCode::Safeguard
            | DeliveryCode::StepRequired => true,
            DeliveryCode::Retired
            | DeliveryCode::Platform
            | DeliveryCode::SeatsExceeded
            | DeliveryCode::Prerelease
            | DeliveryCode::CustomBuild => false,
        },
    }
}
