//! What a technician asks and orders.

use mainstay_client::format::{Channel, MachineName, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Actor, ErrorClass, Hidden, Service, ServiceError, ServiceResult,
    action::{ActOnMachine, MachineAction},
    standing::ProductStanding,
};
use crate::{
    policy::{
        Code, DeliveryCode, Listing, NoPath, Reopening, RollbackTarget, Seat, Status, UpgradePath,
        Verdict,
    },
    store::{AuditHead, AuditRecord, MachineRecord, OrderRecord, StoreError},
};

/// What a machine would be told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NextStep {
    /// `stay`, `update` or `rollback`.
    pub action: String,
    /// The version to install.
    pub version: Option<Version>,
}

/// Why a machine gets a release or does not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The version.
    pub version: Version,
    /// Its channel.
    pub channel: Channel,
    /// Whether the vendor still gives it out.
    pub status: Status,
    /// Whether the contract grants it.
    pub verdict: Verdict,
    /// The stable code: the contract's, or of a release that is granted and yet not delivered.
    pub code: String,
    /// The reason in a sentence.
    pub message: String,
    /// Whether the machine runs it, would be given it next, has confirmed it before.
    pub standing: MachineStanding,
    /// A release that the machine would get instead.
    pub alternative: Option<Version>,
}

/// What a release is to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MachineStanding {
    /// It runs.
    Running,
    /// It would be installed at the next check.
    Next,
    /// It is above what runs and is withheld.
    Withheld,
    /// It ran and was confirmed before.
    Confirmed,
    /// It may be had, and nothing asks for it.
    Available,
    /// It may not be had.
    Denied,
}

/// `POST /v1/machines/{machine}/rollback`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderRollback {
    /// The version to go back to, or `last_good`.
    pub to: RollbackTarget,
    /// Whether advisories may open again by that.
    #[serde(default)]
    pub exposure: Reopening,
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}

impl Service {
    /// The way up from what a machine runs to `to`, or to the newest line that is supported, and
    /// what its contract lacks for it.
    pub async fn upgrade_path(
        &self,
        actor: &Actor,
        name: &MachineName,
        to: Option<&Version>,
    ) -> ServiceResult<UpgradePath> {
        let machine = self.machine_in(&actor.scope, name).await?;
        let standing = self.standing(&machine.contract, &machine.product).await?;
        let no_path = |message: String| ServiceError::new(ErrorClass::Conflict, "NO_PATH", message);
        match standing.path(&machine, to) {
            Some(Ok(path)) => Ok(path),
            Some(Err(NoPath::Unknown(version))) => Err(ServiceError::new(
                ErrorClass::NotFound,
                "NOT_FOUND",
                format!("{} has no release {version}", machine.product),
            )),
            Some(Err(problem)) => Err(no_path(problem.to_string())),
            None => Err(no_path(format!("contract {} has not begun", machine.contract))),
        }
    }

    /// For every release why the machine gets it or does not, the lowest version first.
    pub async fn explain(
        &self,
        actor: &Actor,
        name: &MachineName,
        hidden: Hidden,
    ) -> ServiceResult<Vec<Explanation>> {
        let machine = self.machine_in(&actor.scope, name).await?;
        let standing = self.standing(&machine.contract, &machine.product).await?;
        let seat = self.seat(&standing, &machine).await?;
        Ok(explanations(&standing, &machine, seat, |code| actor.scope.shows(code, hidden)))
    }

    /// Orders a machine to go back, and keeps it from all that is out above the version ordered, up
    /// to what it goes back from. What comes out later it may have.
    pub async fn order_rollback(
        &self,
        actor: &Actor,
        name: &MachineName,
        request: OrderRollback,
    ) -> ServiceResult<OrderRecord> {
        let OrderRollback { to, exposure, reason, ticket } = request;
        let action = MachineAction::Rollback { to, exposure };
        let acted = self.act(actor, name, &ActOnMachine { action, reason, ticket }).await?;
        acted.after.order.ok_or_else(|| {
            ServiceError::internal(format!("machine {name} was ordered back, and has no order"))
        })
    }

    /// The newest record's place in the audit trail.
    pub async fn audit_head(&self) -> ServiceResult<AuditHead> {
        Ok(self.meta.audit_head().await?)
    }

    /// The audit trail after record `after`.
    pub async fn audit_trail(&self, after: u64) -> ServiceResult<Vec<AuditRecord>> {
        Ok(self.meta.audit(after, self.limits.page_records_max).await?)
    }
}

/// What it means for a technician that the machine's record could not be changed.
pub(super) fn changed_meanwhile(error: StoreError, name: &MachineName) -> ServiceError {
    match error {
        StoreError::Conflict(_) => ServiceError::new(
            ErrorClass::Conflict,
            "CONFLICT",
            format!("machine {name} changed just now: look at it again and repeat the command"),
        ),
        other => other.into(),
    }
}

pub(super) fn next_step(
    standing: &ProductStanding,
    machine: &MachineRecord,
    seat: Seat,
) -> NextStep {
    use crate::policy::Action;
    let (action, version) = match standing.resolve(machine, seat).action {
        Action::Stay => ("stay", None),
        Action::Update(version) => ("update", Some(version)),
        Action::Rollback(version) => ("rollback", Some(version)),
    };
    NextStep { action: action.to_owned(), version }
}

/// For every release that is shown why the machine gets it or does not, the lowest version first.
pub(super) fn explanations(
    standing: &ProductStanding,
    machine: &MachineRecord,
    seat: Seat,
    is_shown: impl Fn(Code) -> bool,
) -> Vec<Explanation> {
    let withheld = standing.resolve(machine, seat).withheld;
    let next = next_step(standing, machine, seat).version;
    let judged = standing.judge(&machine.confirmed).into_iter();
    let shown = judged.filter(|judged| is_shown(judged.decision.code));
    let explanations = shown.filter_map(|judged| {
        let decision = judged.decision;
        let record = standing.release(&decision.version)?;
        let release = &record.release;
        let entry = withheld.iter().find(|entry| entry.version == decision.version);
        let was_here = machine.confirmed.contains(&decision.version);
        let is_out_of_reach =
            standing.listing(record) == Listing::Archive && !was_here && decision.is_grant();
        let (code, message) = match entry {
            Some(entry) => (entry.code.to_string(), entry.sentence.clone()),
            None if is_out_of_reach => {
                let retired = DeliveryCode::Retired;
                (retired.to_string(), retired.sentence(&decision.version, ""))
            }
            None => (decision.code.to_string(), judged.sentence),
        };
        let place = if machine.running.as_ref() == Some(&decision.version) {
            MachineStanding::Running
        } else if next.as_ref() == Some(&decision.version) {
            MachineStanding::Next
        } else if entry.is_some() {
            MachineStanding::Withheld
        } else if was_here {
            MachineStanding::Confirmed
        } else if decision.is_grant() && !is_out_of_reach {
            MachineStanding::Available
        } else {
            MachineStanding::Denied
        };
        Some(Explanation {
            channel: release.channel,
            status: release.status,
            verdict: decision.verdict,
            code,
            message,
            standing: place,
            alternative: decision.alternative,
            version: decision.version,
        })
    });
    explanations.collect()
}
