use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_client::format::{ProductName, Version};

use super::super::{Service, ServiceResult};
use crate::{
    policy::{
        Admission, Rollout, Wait,
        rollout::{Acquaintance, Applicant, admission},
    },
    store::{MachineRecord, RolloutRecord, StopState},
};

/// What of a product's releases has come to whom. A release that is not in it has come to everybody.
#[derive(Clone, Debug)]
pub(in crate::service) struct Spread {
    live: BTreeMap<Version, Rollout>,
    stop: StopState,
}

impl Service {
    /// How far the releases of a product have spread. What a check reads of it does not grow with the
    /// rollouts that have ended.
    pub(in crate::service) async fn spread(&self, product: &ProductName) -> ServiceResult<Spread> {
        let live = self.meta.live_rollouts(product).await?.into_iter();
        let stop = self.meta.stop(product).await?;
        Ok(Spread {
            live: live.map(|RolloutRecord { version, rollout, .. }| (version, rollout)).collect(),
            stop: stop.map_or(StopState::Lifted, |stop| stop.state),
        })
    }
}

impl Spread {
    /// Whether a release has come to a machine.
    pub(in crate::service) fn admission(
        &self,
        (product, version): (&ProductName, &Version),
        machine: &MachineRecord,
        now: Timestamp,
    ) -> Admission {
        if self.stop == StopState::Stopped {
            return Admission::Waits(Wait::Stopped);
        }
        self.live.get(version).map_or(Admission::Admitted, |rollout| {
            admission(rollout, (product, version), applicant(machine, version), now)
        })
    }

    /// The first instant after `now` at which a release comes to somebody, or is kept from somebody, with time
    /// alone.
    pub(in crate::service) fn next_turn(&self, now: Timestamp) -> Option<Timestamp> {
        self.live.values().filter_map(|rollout| rollout.next_turn(now)).min()
    }

    /// Lets everybody have a release.
    pub(in crate::service) fn free(&mut self, version: &Version) {
        self.live.remove(version);
        self.stop = StopState::Lifted;
    }
}

/// The machine as one that the rollout of `version` may reach.
pub(super) fn applicant<'a>(machine: &'a MachineRecord, version: &Version) -> Applicant<'a> {
    let is_had = machine.running.as_ref() == Some(version) || machine.confirmed.contains(version);
    let acquaintance = if is_had {
        Acquaintance::Had
    } else if machine.pin.as_ref().is_some_and(|pin| pin.version == *version) {
        Acquaintance::Wanted
    } else if machine.offered.contains(version) {
        Acquaintance::Offered
    } else {
        Acquaintance::None
    };
    Applicant {
        machine: &machine.name,
        customer: &machine.customer,
        ring: machine.ring,
        acquaintance,
    }
}
