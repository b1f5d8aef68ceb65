use super::Enrolment;
use crate::{
    format::Plan,
    install::{Installation, Record},
};

/// What is known about a machine without asking anybody.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whose machine it is and where its updates come from.
    pub enrolment: Enrolment,
    /// What runs, what ran, what is kept, blocked and on probation.
    pub record: Record,
    /// The newest plan that was verified.
    pub plan: Option<Plan>,
    /// How many events the server has not been told of.
    pub pending_events: usize,
    /// What had to be mended when the installation was opened.
    pub recovery: Option<String>,
}

impl Status {
    pub(super) fn of(
        enrolment: &Enrolment,
        installation: &Installation,
        plan: Option<Plan>,
    ) -> Self {
        Self {
            enrolment: enrolment.clone(),
            record: installation.record().clone(),
            plan,
            pending_events: installation.events().len(),
            recovery: installation.recovery().map(ToOwned::to_owned),
        }
    }
}
