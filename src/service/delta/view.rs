use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_client::format::{Digest, Platform, ProductName, Version, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Service, ServiceResult};
use crate::{
    policy::delta::{
        DeltaPair, DeltaRules, DeltaState, Hindrance, Wanted, profile_name, seconds_spent,
        with_compact,
    },
    store::{DeltaDownloads, DeltaRecord},
};

/// `GET /v1/products/{product}/deltas`: the deltas of a product, and what they save.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeltaPage {
    /// The product.
    pub product: ProductName,
    /// When it was looked at what machines run; nothing where that has not been done yet.
    #[schemars(with = "Option<Instant>")]
    pub looked_at: Option<Timestamp>,
    /// The deltas: those that most machines want first.
    pub deltas: Vec<DeltaView>,
    /// What was saved with each release, the highest version first.
    pub releases: Vec<ReleaseSavings>,
    /// What was saved in all.
    pub saved: DeltaDownloads,
    /// How many bytes those have together that are kept.
    pub kept_bytes: u64,
    /// How many seconds were spent on those of the product in the last 24 hours.
    pub seconds_of_day: u64,
}

/// A delta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeltaView {
    /// The platform.
    pub platform: Platform,
    /// The release that it is applied to.
    pub from: Version,
    /// The release that it makes.
    pub to: Version,
    /// How it is packed.
    pub profile: String,
    /// How far it has come.
    pub stage: DeltaStage,
    /// How many machines run the one and would get the other next.
    pub machines: u64,
    /// Its length in bytes, where it was made.
    pub length: Option<u64>,
    /// The length of the artifact in bytes; nothing where no machine wants the delta.
    pub artifact_length: Option<u64>,
    /// Its digest, where it is kept.
    pub sha256: Option<Digest>,
    /// How many seconds were spent on it when it was last tried, and before that where each try followed
    /// on the one before within a day.
    pub seconds: u64,
    /// Why it is not there, where there is something to say of that.
    pub reason: Option<String>,
    /// How often it was sent to its end, and what that has saved.
    #[serde(flatten)]
    pub sent: DeltaDownloads,
}

/// How far a delta has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeltaStage {
    /// Its turn has not come.
    Waiting,
    /// It is being made.
    Making,
    /// It is given out.
    Kept,
    /// It was made, and weighs too much.
    NotWorth,
    /// It was kept, and had to give way to others.
    Dropped,
    /// It cannot be made.
    Failed,
    /// What is fetched otherwise is so short that none is made.
    TooSmall,
    /// Making it would take more memory than there is for it.
    TooLarge,
}

impl DeltaStage {
    /// The stage in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Making => "making",
            Self::Kept => "kept",
            Self::NotWorth => "not worth it",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::TooSmall => "too small",
            Self::TooLarge => "too large",
        }
    }
}

/// What was saved with the deltas to one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseSavings {
    /// The version.
    pub version: Version,
    /// How often deltas to it were sent to their ends, and what that has saved.
    #[serde(flatten)]
    pub saved: DeltaDownloads,
}

impl Service {
    /// The deltas of a product: those that are wanted and those of which something is known.
    pub async fn deltas(&self, product: &ProductName) -> ServiceResult<DeltaPage> {
        self.meta.product(product).await?;
        self.save_delta_downloads().await?;
        let records = self.meta.deltas_of(product).await?.into_iter();
        let records: BTreeMap<_, _> = records.map(|record| (record.pair.clone(), record)).collect();
        let sent = self.meta.delta_downloads(product).await?;
        let sent: BTreeMap<DeltaPair, DeltaDownloads> = sent.into_iter().collect();
        let demand = self.deltas.demand();
        let wanted = demand.wanted.iter().filter(|(pair, _)| pair.product == *product);
        let wanted = wanted.map(|(pair, wanted)| (pair.clone(), *wanted)).collect();
        let tried = records.iter().map(|(pair, record)| (pair.clone(), record.tried.clone()));
        let wanted = with_compact(wanted, &tried.collect());
        let pairs = wanted.keys().chain(records.keys()).chain(sent.keys());
        let view = |pair: &DeltaPair| {
            let sent = sent.get(pair).copied().unwrap_or_default();
            seen(pair, wanted.get(pair), records.get(pair), sent, &self.deltas.rules)
        };
        let mut deltas: Vec<DeltaView> =
            pairs.collect::<BTreeSet<_>>().into_iter().map(view).collect();
        deltas.sort_by_key(|delta| std::cmp::Reverse(delta.machines));
        let mut saved = DeltaDownloads::default();
        let mut releases = BTreeMap::<Version, DeltaDownloads>::new();
        for (pair, of_pair) in &sent {
            saved += *of_pair;
            *releases.entry(pair.to.clone()).or_default() += *of_pair;
        }
        let releases = releases.into_iter().rev();
        let kept = deltas.iter().filter(|delta| delta.stage == DeltaStage::Kept);
        let now = self.clock.now();
        Ok(DeltaPage {
            product: product.clone(),
            looked_at: demand.looked.as_ref().map(|look| look.at),
            kept_bytes: kept.filter_map(|delta| delta.length).sum(),
            releases: releases.map(|(version, saved)| ReleaseSavings { version, saved }).collect(),
            saved,
            seconds_of_day: seconds_spent(records.values().map(|record| &record.tried), now),
            deltas,
        })
    }
}

fn seen(
    pair: &DeltaPair,
    wanted: Option<&Wanted>,
    record: Option<&DeltaRecord>,
    sent: DeltaDownloads,
    rules: &DeltaRules,
) -> DeltaView {
    let (stage, length, sha256, reason) = match record.map(|record| &record.tried.state) {
        None => (untried(wanted, rules), None, None, None),
        Some(DeltaState::Waiting { reason, .. }) => {
            (untried(wanted, rules), None, None, Some(reason.clone()))
        }
        Some(DeltaState::Making { .. }) => (DeltaStage::Making, None, None, None),
        Some(DeltaState::Kept { length, sha256, .. }) => {
            (DeltaStage::Kept, Some(*length), Some(*sha256), None)
        }
        Some(DeltaState::NotWorth { length }) => (DeltaStage::NotWorth, Some(*length), None, None),
        Some(DeltaState::Dropped { length }) => (DeltaStage::Dropped, Some(*length), None, None),
        Some(DeltaState::Failed { reason }) => {
            (DeltaStage::Failed, None, None, Some(reason.clone()))
        }
    };
    DeltaView {
        platform: pair.platform.clone(),
        from: pair.from.clone(),
        to: pair.to.clone(),
        profile: profile_name(pair.profile).to_owned(),
        stage,
        machines: wanted.map_or(0, |wanted| wanted.machines),
        length,
        artifact_length: wanted.map(|wanted| wanted.artifact_bytes),
        sha256,
        seconds: record.map_or(0, |record| record.tried.seconds),
        reason,
        sent,
    }
}

/// Of what is not wanted any more, and was made before, only that is known what it has saved.
fn untried(wanted: Option<&Wanted>, rules: &DeltaRules) -> DeltaStage {
    let Some(wanted) = wanted else { return DeltaStage::Dropped };
    match wanted.hindrance(rules) {
        None => DeltaStage::Waiting,
        Some(Hindrance::TooSmall) => DeltaStage::TooSmall,
        Some(Hindrance::TooLarge) => DeltaStage::TooLarge,
    }
}
