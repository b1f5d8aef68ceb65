//! What a rollout will do, before it does: how many machines of which customers, when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_client::format::{
    AdvisoryId, Artifact, Channel, ChannelName, ContractName, CustomerName, Digest, Hooks,
    Platform, PrivateChannelName, ProductName, Requirements, Severity, Tag, TargetFile, TargetPath,
    Version, schema::Instant,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::{Actor, Service, ServiceError, ServiceResult, standing::ProductStanding},
    WaveView,
    spread::applicant,
    unknown, waves,
};
use crate::{
    policy::{
        Outcomes, Release, Resolution, RolloutState, RolloutStep, RolloutWish, Seat, Status,
        rollout::wave_of,
    },
    store::{MachineRecord, ReleaseRecord, RolloutRecord, found},
};

/// `POST /v1/products/{product}/rollouts/{version}/plan`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRollout {
    /// How it is to spread, where it has no rollout yet.
    #[serde(default)]
    pub rollout: RolloutWish,
    /// What the release is to be, where it is not published yet.
    #[serde(default)]
    pub release: Option<PlannedRelease>,
}

/// A release that is not published yet, as far as it depends on that who gets it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedRelease {
    /// The kind of the release.
    pub channel: Channel,
    /// The private channel, where it is a custom build.
    #[serde(default)]
    pub private_channel: Option<PrivateChannelName>,
    /// How much it matters.
    pub severity: Severity,
    /// What it runs on.
    pub platforms: BTreeSet<Platform>,
    /// What it fixes.
    #[serde(default)]
    pub advisories: BTreeSet<AdvisoryId>,
    /// Add-ons that a contract must have.
    #[serde(default)]
    pub requires_addons: BTreeSet<Tag>,
    /// Audiences of which a contract must have one.
    #[serde(default)]
    pub audience: BTreeSet<Tag>,
    /// Whether it is given to every owner of its line.
    #[serde(default)]
    pub courtesy: bool,
    /// The lowest version that can be updated to it in one step.
    #[serde(default)]
    pub min_from: Option<Version>,
    /// From when on a contract must have run to cover it.
    #[serde(default)]
    #[schemars(with = "Option<Instant>")]
    pub effective_at: Option<Timestamp>,
}

/// What a rollout will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutPlan {
    /// The product.
    pub product: ProductName,
    /// The version.
    pub version: Version,
    /// Where the rollout stands, or would stand when it starts.
    pub state: RolloutState,
    /// The waves, the first one first. Of a rollout that awaits approval they begin as if it were
    /// approved now.
    pub waves: Vec<PlannedWave>,
    /// How many machines would get it that no wave reaches: the rollout has to be finished for them.
    pub unreached: u64,
    /// How many have it.
    pub having: u64,
    /// How many run something higher, or are to get that instead.
    pub beyond: u64,
    /// How many do not get it whatever the rollout, by the code that says why.
    pub withheld: BTreeMap<String, u64>,
}

/// What a wave will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedWave {
    /// The wave.
    #[serde(flatten)]
    pub wave: WaveView,
    /// How many machines it reaches that no wave before reaches, and that do not have the release.
    pub machines: u64,
    /// Whose they are, by customer.
    pub customers: Vec<CustomerShare>,
}

/// How many machines of one customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CustomerShare {
    /// The customer.
    pub customer: CustomerName,
    /// How many of its machines.
    pub machines: u64,
}

/// What becomes of a release on a machine, apart from its rollout.
enum Prospect {
    Has,
    Beyond,
    Gets,
    Withheld(String),
}

impl Service {
    /// What the rollout of a release will do, or would do if it started now. The machines of the product
    /// are looked at one by one. Nothing is done.
    pub async fn plan_rollout(
        &self,
        actor: &Actor,
        product: &ProductName,
        version: &Version,
        request: PlanRollout,
    ) -> ServiceResult<RolloutPlan> {
        let PlanRollout { rollout: wish, release: planned } = request;
        let releases = self.meta.releases(product).await?;
        let wish = if releases.is_empty() { wish.of_first_release() } else { wish };
        let known = releases.into_iter().find(|release| release.release.version == *version);
        let (release, planned) = match (known, planned) {
            (Some(_), Some(_)) => {
                let message = format!("{product} {version} is published already: plan it without");
                return Err(ServiceError::input(message));
            }
            (Some(known), None) => (known.release, None),
            (None, Some(planned)) => {
                let planned = planned.record(version, self.clock.now());
                (planned.release.clone(), Some(planned))
            }
            (None, None) => return Err(unknown(product, version)),
        };
        let record = match found(self.meta.rollout(product, version).await)? {
            Some(record) => record,
            None => self.first_rollout(self.word(actor, "plan", None)?, product, &release, wish)?,
        };
        self.plan_of(&record, planned.as_ref()).await
    }

    /// What a rollout will do; `planned` is its release where that is not published yet.
    pub(super) async fn plan_of(
        &self,
        record: &RolloutRecord,
        planned: Option<&ReleaseRecord>,
    ) -> ServiceResult<RolloutPlan> {
        let mut plan = self.empty_plan(record);
        let mut by_contract: BTreeMap<ContractName, Vec<MachineRecord>> = BTreeMap::new();
        self.each_machine(&record.product, |machine| {
            by_contract.entry(machine.contract.clone()).or_default().push(machine);
        })
        .await?;
        let mut counts: BTreeMap<(usize, CustomerName), u64> = BTreeMap::new();
        for (contract, machines) in by_contract {
            let standing = self
                .standing_with(&contract, &record.product, planned)
                .await?
                .freely(&record.version);
            for machine in machines {
                let seat = self.seat(&standing, &machine).await?;
                match standing.prospect(&machine, seat, &record.version) {
                    Prospect::Has => plan.having += 1,
                    Prospect::Beyond => plan.beyond += 1,
                    Prospect::Withheld(code) => *plan.withheld.entry(code).or_default() += 1,
                    Prospect::Gets => match wave(record, &machine) {
                        None => plan.unreached += 1,
                        Some(wave) => *counts.entry((wave, machine.customer)).or_default() += 1,
                    },
                }
            }
        }
        for ((index, customer), machines) in counts {
            if let Some(wave) = plan.waves.get_mut(index) {
                wave.machines += machines;
                wave.customers.push(CustomerShare { customer, machines });
            }
        }
        Ok(plan)
    }

    fn empty_plan(&self, record: &RolloutRecord) -> RolloutPlan {
        let now = self.clock.now();
        let approved = record.rollout.after(RolloutStep::Approve, Outcomes::default(), now);
        let timed = approved.as_ref().unwrap_or(&record.rollout);
        let wave = |wave| PlannedWave { wave, machines: 0, customers: Vec::new() };
        RolloutPlan {
            product: record.product.clone(),
            version: record.version.clone(),
            state: record.rollout.state,
            waves: waves(timed, now).into_iter().map(wave).collect(),
            unreached: 0,
            having: 0,
            beyond: 0,
            withheld: BTreeMap::new(),
        }
    }
}

/// The wave that reaches a machine. Who finishes a rollout has everybody in the last.
fn wave(record: &RolloutRecord, machine: &MachineRecord) -> Option<usize> {
    let RolloutRecord { product, version, rollout, .. } = record;
    if rollout.state == RolloutState::Finished {
        return rollout.terms.waves.count().checked_sub(1);
    }
    wave_of(&rollout.terms, (product, version), applicant(machine, version))
}

impl ProductStanding {
    /// What becomes of a release on a machine, as if its rollout had come to everybody.
    fn prospect(&self, machine: &MachineRecord, seat: Seat, version: &Version) -> Prospect {
        match &machine.running {
            Some(running) if running == version => return Prospect::Has,
            Some(running) if running > version => return Prospect::Beyond,
            _ => {}
        }
        let Resolution { target, withheld, .. } = self.resolve(machine, seat);
        if target.as_ref() == Some(version) {
            return Prospect::Gets;
        }
        match withheld.iter().find(|entry| entry.version == *version) {
            Some(entry) => Prospect::Withheld(entry.code.to_string()),
            None if target.is_some_and(|target| target > *version) => Prospect::Beyond,
            None => Prospect::Withheld(crate::policy::Code::NotFound.to_string()),
        }
    }
}

impl PlannedRelease {
    /// The release as if it were published at `now`.
    fn record(self, version: &Version, now: Timestamp) -> ReleaseRecord {
        let Self { channel, private_channel, severity, platforms, advisories, .. } = self;
        let nothing = Digest::of(b"");
        let artifact = Artifact {
            length: 0,
            sha256: nothing,
            payload_length: 0,
            payload_sha256: nothing,
            window_log: 0,
            health: None,
            hooks: Hooks::default(),
            data: None,
            requires: Requirements::default(),
        };
        let role = private_channel.clone().map_or_else(|| channel.into(), ChannelName::from);
        ReleaseRecord {
            release: Release {
                version: version.clone(),
                channel,
                private_channel,
                severity,
                published_at: now,
                effective_at: self.effective_at,
                status: Status::Published,
                advisories,
                requires_addons: self.requires_addons,
                audience: self.audience,
                courtesy: self.courtesy,
            },
            min_from: self.min_from,
            floor: None,
            manifest: TargetFile {
                path: TargetPath::manifest(&role, version),
                length: 0,
                sha256: nothing,
            },
            artifacts: platforms.into_iter().map(|it| (it, artifact.clone())).collect(),
            retired_at: None,
        }
    }
}
