//! The tables. Their names are part of the format on disk.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_client::{
    format::{
        AdvisoryId, ContractName, CustomerName, Digest, MachineName, OrganisationName, Platform,
        PrivateChannelName, ProductName, Version,
    },
    tuf::PublicKey,
};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    super::{
        ActionId, ActionMachine, ActionRecord, ActivationKeyRecord, AdvisoryRecord, AuditHead,
        AuditRecord, BundleRecord, ComponentsRecord, ContractRecord, CustomerRecord,
        DeliveryRecord, DeltaDownloads, DeltaRecord, EndpointRecord, EventRecord, MachineRecord,
        OrganisationRecord, PlanSummary, PrivateChannelRecord, ProductRecord, ReleaseRecord,
        RolloutRecord, SafeguardRecord, SbomRecord, StopRecord, StoredFile, TokenRecord,
        Whereabouts,
    },
    table::Table,
};
use crate::policy::{
    Cell, Claim, Count, Day, Hour, Notification, Outcomes, Setup, Stage, delta::DeltaPair,
};

pub(super) const PRODUCTS: Table<ProductName, ProductRecord> = Table::new("products", "product");
pub(super) const REPOSITORY_FILES: Table<(ProductName, String), StoredFile> =
    Table::new("repository-files", "repository file");
pub(super) const RELEASES: Table<(ProductName, Version), ReleaseRecord> =
    Table::new("releases", "version");
pub(super) const PRIVATE_CHANNELS: Table<(ProductName, PrivateChannelName), PrivateChannelRecord> =
    Table::new("private-channels", "private channel");
/// Those in force: a check reads them all.
pub(super) const SAFEGUARDS: Table<(ProductName, u64), SafeguardRecord> =
    Table::new("safeguards", "safeguard");
pub(super) const LIFTED_SAFEGUARDS: Table<(ProductName, u64), SafeguardRecord> =
    Table::new("lifted-safeguards", "lifted safeguard");

pub(super) const ADVISORIES: Table<(ProductName, AdvisoryId), AdvisoryRecord> =
    Table::new("advisories", "advisory");
pub(super) const SBOMS: Table<(ProductName, Version), SbomRecord> =
    Table::new("sboms", "bill of materials");
/// By the word under which they are looked for.
pub(super) const COMPONENTS: Table<(String, (ProductName, Version)), ComponentsRecord> =
    Table::new("components", "components");

pub(super) const ROLLOUTS: Table<(ProductName, Version), RolloutRecord> =
    Table::new("rollouts", "rollout");
/// Which of them a check has to heed.
pub(super) const LIVE_ROLLOUTS: Table<(ProductName, Version), (ProductName, Version)> =
    Table::new("rollouts-live", "rollout");
pub(super) const OUTCOMES: Table<(ProductName, Version), Outcomes> =
    Table::new("outcomes", "outcomes");
pub(super) const STOPS: Table<ProductName, StopRecord> = Table::new("stops", "stop of product");

pub(super) const CUSTOMERS: Table<CustomerName, CustomerRecord> =
    Table::new("customers", "customer");
pub(super) const ORGANISATIONS: Table<OrganisationName, OrganisationRecord> =
    Table::new("organisations", "organisation");
pub(super) const CONTRACTS: Table<ContractName, ContractRecord> =
    Table::new("contracts", "contract");
pub(super) const CONTRACTS_BY_CUSTOMER: Table<(CustomerName, ContractName), ContractName> =
    Table::new("contracts-by-customer", "contract");

pub(super) const TOKENS: Table<String, TokenRecord> = Table::new("tokens", "token");
pub(super) const TOKENS_BY_DIGEST: Table<Digest, String> = Table::new("tokens-by-digest", "token");

pub(super) const ACTIVATION_KEYS: Table<String, ActivationKeyRecord> =
    Table::new("activation-keys", "activation key");
pub(super) const ACTIVATION_KEYS_BY_DIGEST: Table<Digest, String> =
    Table::new("activation-keys-by-digest", "activation key");

pub(super) const MACHINES: Table<MachineName, MachineRecord> = Table::new("machines", "machine");
/// Of the same records the revision alone.
pub(super) const MACHINE_REVISIONS: Table<MachineName, MachineRevision> = MACHINES.seen_as();
/// Of the same records what a change of one goes by.
pub(super) const MACHINES_BEFORE: Table<MachineName, MachineBefore> = MACHINES.seen_as();

/// What is read of a machine's record where nothing else is asked for.
#[derive(Deserialize)]
pub(super) struct MachineRevision {
    pub(super) revision: u64,
}

/// What is read of a machine's record that another one is to replace.
#[derive(Deserialize)]
pub(super) struct MachineBefore {
    pub(super) revision: u64,
    pub(super) name: MachineName,
    pub(super) customer: CustomerName,
    pub(super) contract: ContractName,
    pub(super) product: ProductName,
    pub(super) platform: Platform,
    #[serde(deserialize_with = "PublicKey::deserialize_proven")]
    pub(super) public_key: PublicKey,
    pub(super) token_sha256: Digest,
    pub(super) enrolled_at: Timestamp,
    pub(super) seen_at: Timestamp,
    pub(super) running: Option<Version>,
    pub(super) confirmed: BTreeSet<Version>,
    #[serde(default)]
    pub(super) seated_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) retired: Option<IgnoredAny>,
}

impl MachineBefore {
    /// Its claim to a seat, as [`MachineRecord::claim`] says.
    pub(super) fn claim(&self) -> Option<Claim> {
        self.retired.is_none().then(|| Claim {
            machine: self.name.clone(),
            since: self.seated_at.unwrap_or(self.enrolled_at),
            seen_in: Hour::of(self.seen_at),
        })
    }

    /// What the census goes by.
    pub(super) fn whereabouts(&self) -> Whereabouts<'_> {
        Whereabouts {
            name: &self.name,
            customer: &self.customer,
            product: &self.product,
            platform: &self.platform,
            running: self.running.as_ref(),
            stage: Stage::of(self.running.as_ref(), &self.confirmed),
            seen: Day::of(self.seen_at),
            is_retired: self.retired.is_some(),
        }
    }
}

pub(super) const MACHINES_BY_TOKEN: Table<Digest, MachineName> =
    Table::in_runs("machines-by-token-in-runs", "machine with a token");
pub(super) const MACHINES_BY_KEY: Table<(ProductName, PublicKey), MachineName> =
    Table::in_runs("machines-by-key-in-runs", "machine with the key");
/// The claims to the seats of a contract: kept with the machines, so that who has a seat can be told
/// without reading all of them.
pub(super) const CLAIMS: Table<(ContractName, MachineName), Claim> =
    Table::new("claims", "claim of machine");
/// In use, and in the order in which they are listed.
pub(super) const MACHINES_IN_USE: Table<(Cell, (u32, MachineName)), (Day, MachineName)> =
    Table::new("machines-in-use", "machine");
pub(super) const MACHINES_RETIRED: Table<(CustomerName, MachineName), MachineName> =
    Table::new("machines-retired", "machine");
pub(super) const CENSUS: Table<(Setup, CustomerName), (Cell, Count)> =
    Table::new("census", "count of machines");
pub(super) const CENSUS_TOGETHER: Table<Setup, (Setup, Count)> =
    Table::new("census-together", "count of all machines");
pub(super) const PLANS: Table<MachineName, String> = Table::new("plans", "plan of machine");
pub(super) const PLANS_SENT: Table<(MachineName, u64), PlanSummary> =
    Table::in_runs("plans-sent-in-runs", "plan");
pub(super) const EVENTS: Table<(MachineName, u64), EventRecord> = Table::new("events", "event");

/// What was tried of deltas.
pub(super) const DELTAS: Table<DeltaPair, DeltaRecord> = Table::new("deltas", "delta");
/// What each has saved, also of those that there are no more.
pub(super) const DELTA_DOWNLOADS: Table<DeltaPair, (DeltaPair, DeltaDownloads)> =
    Table::new("delta-downloads", "downloads of delta");

pub(super) const ACTIONS: Table<ActionId, ActionRecord> = Table::new("actions", "action");
/// For which of them something is to be done.
pub(super) const OPEN_ACTIONS: Table<ActionId, ActionId> = Table::new("actions-open", "action");
pub(super) const ACTIONS_BY_CUSTOMER: Table<(CustomerName, ActionId), ActionId> =
    Table::new("actions-by-customer", "action");
pub(super) const ACTION_MACHINES: Table<(ActionId, MachineName), ActionMachine> =
    Table::new("machines-of-actions", "machine");
/// The support bundles that machines have sent, by the order that asked for each.
pub(super) const BUNDLES: Table<(MachineName, u64), BundleRecord> =
    Table::new("bundles", "support bundle");
/// The same by the second when they came.
pub(super) const BUNDLES_BY_AGE: Table<(u64, (MachineName, u64)), BundleRecord> =
    Table::new("bundles-by-age", "support bundle");

pub(super) const AUDIT: Table<u64, AuditRecord> = Table::in_runs("audit-in-runs", "audit record");
pub(super) const AUDIT_BY_SUBJECT: Table<(String, u64), u64> =
    Table::in_runs("audit-by-subject-in-runs", "audit record");

/// What is to be told and was not spread yet, by its number.
pub(super) const OUTBOX: Table<u64, (u64, Notification)> = Table::new("outbox", "notification");
/// In [`NUMBERS`]: that of the newest notification.
pub(super) const OUTBOX_NUMBER: &str = "outbox";
/// When something was announced that is announced once, by its mark.
pub(super) const ANNOUNCED: Table<String, Timestamp> = Table::new("announced", "announcement");
pub(super) const ENDPOINTS: Table<String, EndpointRecord> = Table::new("endpoints", "endpoint");
pub(super) const DELIVERIES: Table<u64, DeliveryRecord> = Table::new("deliveries", "delivery");
/// In [`NUMBERS`]: that of the newest delivery.
pub(super) const DELIVERY_NUMBER: &str = "delivery";
/// The deliveries that wait, by endpoint and by the second when they are due.
pub(super) const DUE: Table<(String, (u64, u64)), u64> = Table::new("due", "due delivery");
/// The deliveries that are dead.
pub(super) const DEAD: Table<u64, u64> = Table::new("dead", "dead delivery");

/// Where chains stand.
pub(super) const HEADS: Table<&'static str, AuditHead> = Table::new("heads", "head of a chain");
/// In [`HEADS`]: that of the audit trail.
pub(super) const AUDIT_HEAD: &str = "audit";

pub(super) const NUMBERS: Table<&'static str, u64> = Table::new("numbers", "number");
/// In [`NUMBERS`]: the format of the whole store.
pub(super) const FORMAT_NUMBER: &str = "format";
