//! Going back: to what, whether that can come about, and what opens again by it.

use std::collections::BTreeSet;

use mainstay_client::format::{AdvisoryId, Version};

use super::Scene;
use crate::{
    policy::{Block, Listing, RollbackTarget, Status},
    service::{ErrorClass, ServiceError, ServiceResult, standing::ProductStanding},
    store::{MachineBlock, MachineRecord, OrderRecord, OrderState, Word},
};

impl Scene<'_> {
    /// Orders the machine back, and keeps it from what lies between.
    pub(super) fn rollback(&mut self, to: &RollbackTarget, word: &Word) -> ServiceResult<()> {
        let to = match to {
            RollbackTarget::Version(version) => version.clone(),
            RollbackTarget::LastGood => self.last_good()?,
        };
        let from = require_possible(self.standing, &self.machine, &to)?;
        let number = self.machine.next_order_number();
        self.machine.orders_given = number;
        let before = self.machine.order.take();
        if let Some(order) = before.filter(|order| order.state == OrderState::Pending) {
            self.cautions.push(format!(
                "This takes the place of order {} to go back to {}, which {} gave at {}: {}.",
                order.number, order.to, order.by, order.at, order.reason
            ));
        }
        self.opens = self.standing.opened(&from, &to);
        let caution = unreadable_data(self.standing, &self.machine, &from, &to).map(|conflict| {
            format!("{conflict}: the machine goes back only if it has kept its copy of the data")
        });
        self.cautions.extend(caution.iter().map(|caution| format!("{caution}.")));
        let Word { at, by, reason, ticket } = word.clone();
        let block = Block { over: Some(to.clone()), through: from.clone(), reason: reason.clone() };
        // What the new block covers needs no other; a record must not grow with every order.
        self.machine.blocks.retain(|known| {
            let begins_within = known.block.over.is_none() || known.block.over >= block.over;
            !(begins_within && block.covers(&known.block.through))
        });
        self.machine.blocks.push(MachineBlock { block, at, by: by.clone() });
        self.detail = format!("from {from} to {to}");
        if !self.opens.is_empty() {
            self.detail = format!("{}; opens again: {}", self.detail, named(&self.opens));
        }
        self.machine.order = Some(OrderRecord {
            number,
            to,
            from,
            reason,
            ticket,
            at,
            by,
            state: OrderState::Pending,
            caution,
            opens: self.opens.clone(),
        });
        Ok(())
    }

    /// The newest version that the machine has confirmed and nobody has said anything against.
    fn last_good(&self) -> ServiceResult<Version> {
        let Self { standing, machine, .. } = self;
        let running = require_running(machine)?;
        let is_good = |version: &&Version| {
            let release = standing.release(version);
            release.is_some_and(|release| release.release.status == Status::Published)
                && !standing.keeps(machine, version)
                && require_possible(standing, machine, version).is_ok()
        };
        machine.confirmed.iter().rev().find(is_good).cloned().ok_or_else(|| {
            impossible(format!(
                "machine {} has confirmed no version below {running} that it may go back to, and \
                 that is neither withdrawn nor blocked on it: name one (--to)",
                machine.name
            ))
        })
    }
}

/// Why nobody is sent back `where`, who has not accepted what opens again.
pub(in crate::service) fn exposed(place: &str, opens: &BTreeSet<AdvisoryId>) -> ServiceError {
    let message = format!(
        "what is gone back from fixes what would open again {place}: {}; accept that \
         (--accept-exposure, or \"exposure\": \"accepted\"), or go back to a version that fixes it",
        named(opens)
    );
    let problems = opens.iter().map(ToString::to_string).collect();
    ServiceError::refused("EXPOSURE_NOT_ACCEPTED", message, problems)
}

fn named(advisories: &BTreeSet<AdvisoryId>) -> String {
    advisories.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn impossible(message: String) -> ServiceError {
    ServiceError::new(ErrorClass::Conflict, "ROLLBACK_IMPOSSIBLE", message)
}

fn require_running(machine: &MachineRecord) -> ServiceResult<&Version> {
    machine.running.as_ref().ok_or_else(|| {
        impossible(format!("machine {} has not reported what it runs", machine.name))
    })
}

/// Why `to` could not read the data that `running` leaves, where the vendor said so of both. A
/// machine can claim to run anything, so nothing is said of a release that its customer may not know.
fn unreadable_data(
    standing: &ProductStanding,
    machine: &MachineRecord,
    running: &Version,
    to: &Version,
) -> Option<String> {
    let epochs = |version| standing.known_release(version)?.artifacts.get(&machine.platform)?.data;
    let (now, then) = (epochs(running)?, epochs(to)?);
    (!then.reads(now.writes)).then(|| {
        let (from, last) = (then.reads.from, then.reads.to);
        format!(
            "{to} reads data of the epochs {from} to {last}, {running} writes epoch {}",
            now.writes
        )
    })
}

/// Checks beforehand that the machine could carry the order out, and says what it would go back
/// from: an order that cannot come about helps nobody.
fn require_possible(
    standing: &ProductStanding,
    machine: &MachineRecord,
    to: &Version,
) -> ServiceResult<Version> {
    let running = require_running(machine)?.clone();
    if *to >= running {
        return Err(impossible(format!(
            "machine {} runs {running}: expected a version below it, not {to}",
            machine.name
        )));
    }
    if let Some(floor) = standing.floor(&running).filter(|floor| to < floor) {
        return Err(ServiceError::new(
            ErrorClass::Forbidden,
            "BELOW_FLOOR",
            format!("{to} is below the rollback floor that the vendor signed, which is {floor}"),
        ));
    }
    standing.require_grant(to, &machine.confirmed)?;
    let release = standing.release(to);
    let is_retired = release.is_some_and(|release| standing.listing(release) == Listing::Archive);
    if is_retired && !machine.confirmed.contains(to) {
        return Err(impossible(format!(
            "{to} is retired, and machine {} has not run it before: expected a version that it has \
             confirmed, or one that is not retired",
            machine.name
        )));
    }
    // What ran before may have left a copy of its data.
    if !machine.confirmed.contains(to)
        && let Some(conflict) = unreadable_data(standing, machine, &running, to)
    {
        return Err(impossible(format!(
            "{conflict}, and machine {} has not run {to} before, so that it has no copy of older data",
            machine.name
        )));
    }
    if !release.is_some_and(|release| release.artifacts.contains_key(&machine.platform)) {
        return Err(impossible(format!("{to} has no artifact for {}", machine.platform)));
    }
    Ok(running)
}
