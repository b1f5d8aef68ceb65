use serde::Serialize;

use super::{Answer, Document, Exit};
use crate::client::doctor::{Diagnosis, Finding, Repair, Treatment, Tried};

/// What is wrong with an installation, and what was done about it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DoctorDocument {
    /// What was tried, in this order; absent where nothing was to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repairs: Option<Vec<RepairDocument>>,
    /// What is (still) wrong.
    pub findings: Vec<FindingDocument>,
}

/// Something that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct FindingDocument {
    /// What, as a stable code: one of
    /// [`What`](crate::client::doctor::What).
    pub what: &'static str,
    /// Where.
    pub path: String,
    /// What was expected, what was found, and what to do where only people can.
    pub message: String,
    /// Whether `doctor --repair` puts it right.
    pub repairable: bool,
    /// How it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<String>,
    /// Whether it needs the server for that.
    pub needs_server: bool,
}

/// A repair that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct RepairDocument {
    /// What was wrong.
    pub what: &'static str,
    /// Where.
    pub path: String,
    /// How it ended: `done` or `failed`.
    pub outcome: &'static str,
    /// What was done, or why it could not be.
    pub message: String,
}

/// What [`Diagnosis::read`] has found.
pub fn diagnosed(diagnosis: &Diagnosis) -> Answer {
    let outcome = if diagnosis.is_well() { "well" } else { "unwell" };
    let exit = if diagnosis.is_well() { Exit::Done } else { Exit::Unwell };
    (Document::of_findings(outcome, diagnosis, None), exit)
}

/// What has come of [`Doctor::treat`](crate::client::doctor::Doctor::treat).
pub fn treated(treatment: &Treatment) -> Answer {
    let Treatment { repairs, diagnosis } = treatment;
    let (outcome, exit) = match (diagnosis.is_well(), repairs.is_empty()) {
        (true, true) => ("well", Exit::Done),
        (true, false) => ("repaired", Exit::Done),
        (false, _) => ("unwell", Exit::Unwell),
    };
    (Document::of_findings(outcome, diagnosis, Some(repairs)), exit)
}

impl Document {
    /// That these findings are about to be put right.
    #[cfg(feature = "agent")]
    pub(crate) fn of_repairs(planned: &[Finding]) -> Self {
        let findings = planned.iter().map(FindingDocument::from).collect();
        let doctor = Some(DoctorDocument { repairs: None, findings });
        Self { outcome: "repairing", doctor, ..Self::default() }
    }

    fn of_findings(
        outcome: &'static str,
        diagnosis: &Diagnosis,
        repairs: Option<&Vec<Tried>>,
    ) -> Self {
        let document = match &diagnosis.enrolment {
            Some(enrolment) => Self::of_machine(outcome, enrolment),
            None => Self { outcome, ..Self::default() },
        };
        let doctor = DoctorDocument {
            repairs: repairs.map(|it| it.iter().map(RepairDocument::from).collect()),
            findings: diagnosis.findings.iter().map(FindingDocument::from).collect(),
        };
        Self { doctor: Some(doctor), ..document }
    }
}

impl From<&Finding> for FindingDocument {
    fn from(finding: &Finding) -> Self {
        let Finding { what, path, message, repair } = finding;
        Self {
            what: what.as_str(),
            path: path.display().to_string(),
            message: message.clone(),
            repairable: repair.is_some(),
            repair: repair.as_ref().map(ToString::to_string),
            needs_server: repair.as_ref().is_some_and(Repair::needs_server),
        }
    }
}

impl From<&Tried> for RepairDocument {
    fn from(tried: &Tried) -> Self {
        let (outcome, message) = match &tried.outcome {
            Ok(done) => ("done", done.clone()),
            Err(why) => ("failed", why.clone()),
        };
        let Finding { what, path, .. } = &tried.finding;
        Self { what: what.as_str(), path: path.display().to_string(), outcome, message }
    }
}
