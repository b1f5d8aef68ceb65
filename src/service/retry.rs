//! That a version which failed on a machine is tried there once more.

use mainstay_client::format::{RetryOrder, Version};

use super::{
    ErrorClass, ServiceError, ServiceResult, action::impossible, standing::ProductStanding,
};
use crate::store::{MachineBlock, MachineRecord, OrderState, RetryRecord, Word};

/// Orders `machine` to try `version` again, or the one that failed last, and forgets that it did. Says
/// what whoever orders it ought to know.
pub(super) fn order(
    standing: &ProductStanding,
    machine: &mut MachineRecord,
    version: Option<&Version>,
    word: &Word,
) -> ServiceResult<Vec<String>> {
    let name = machine.name.clone();
    let failed =
        machine.blocks.iter().filter(|block| is_own(machine, block)).max_by_key(|it| it.at);
    let version = match version {
        Some(version) => version.clone(),
        None => failed.map(|block| block.block.through.clone()).ok_or_else(|| {
            impossible(format!(
                "machine {name} has told of no version that failed: expected the version to try again"
            ))
        })?,
    };
    if standing.known_release(&version).is_none() {
        return Err(ServiceError::new(
            ErrorClass::NotFound,
            "NOT_FOUND",
            format!("{} has no release {version}", machine.product),
        ));
    }
    if let Some(running) = machine.running.as_ref().filter(|running| version <= **running) {
        return Err(impossible(format!(
            "machine {name} runs {running}: expected a version above it to try again, not {version}"
        )));
    }
    let mut cautions = Vec::new();
    if let Some(before) = machine.pending_retry() {
        cautions.push(format!(
            "This takes the place of the order to try {} again, which {} gave at {}: {}.",
            before.version, before.word.by, before.word.at, before.word.reason
        ));
    }
    match machine.blocks.iter().find(|it| is_own(machine, it) && it.block.covers(&version)) {
        Some(block) => cautions.push(format!(
            "{version} is blocked since {}: {}. If it fails again, it is blocked again.",
            block.at, block.block.reason
        )),
        None => cautions.push(format!(
            "The machine has not told that {version} failed; it lifts its own block if it has one."
        )),
    }
    let kept = machine.blocks.iter().find(|it| !is_own(machine, it) && it.block.covers(&version));
    if let Some(kept) = kept {
        cautions.push(format!(
            "{} has blocked {version} at {}: {}. That stays: `mainstay machine unblock {name} {version}` \
             lifts it.",
            kept.by, kept.at, kept.block.reason
        ));
    }
    forget_failure(machine, &version);
    let (number, word) = (machine.next_order_number(), word.clone());
    machine.orders_given = number;
    let state = OrderState::Pending;
    machine.retry = Some(Box::new(RetryRecord { number, version, state, word }));
    Ok(cautions)
}

/// What the machine's plan says of it.
pub(super) fn planned(machine: &MachineRecord) -> Option<RetryOrder> {
    machine.pending_retry().map(|RetryRecord { number, version, word, .. }| RetryOrder {
        number: *number,
        version: version.clone(),
        reason: word.reason.clone(),
        ticket: word.ticket.clone(),
    })
}

/// Forgets that the version failed on the machine. What somebody else keeps from it stays.
pub(super) fn forget_failure(machine: &mut MachineRecord, version: &Version) {
    let own = machine.as_actor();
    machine
        .blocks
        .retain(|it| !(it.by == own && it.block.over.is_none() && it.block.through == *version));
}

fn is_own(machine: &MachineRecord, block: &MachineBlock) -> bool {
    block.by == machine.as_actor()
}

impl MachineRecord {
    /// That it has said it has carried out, or refuses, the order with this number, if it is to try a
    /// version again.
    pub(super) fn end_retry(&mut self, number: u64, state: OrderState) {
        if let Some(retry) = self.retry.as_mut().filter(|retry| retry.number == number) {
            retry.state = state;
        }
    }
}
