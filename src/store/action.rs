//! Actions over several machines: what was wanted, of which machines, and how far that has come.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use jiff::Timestamp;
use mainstay_client::format::{
    CustomerName, MachineName, Platform, ProductName, Version, schema::Instant,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AuditEntry, MachineChange, StoreResult, Word};
use crate::policy::{MachineAction, Ring};

/// By what people name an action: `act-`, and twelve hexadecimal digits, of which the first eight are
/// the second in which it was ordered and the others are random. Names are in the order of time.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct ActionId(String);

/// An action over several machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionRecord {
    /// Its name.
    pub id: ActionId,
    /// Rises by one with every change.
    pub revision: u64,
    /// The product of the machines.
    pub product: ProductName,
    /// What is wanted.
    pub action: MachineAction,
    /// By what the machines were selected; nothing where they were named one by one, or where that is
    /// not for whoever looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<MachineFilter>,
    /// How many machines were selected.
    pub machines: usize,
    /// Who has ordered it, when, and why.
    pub word: Word,
    /// As one of whose people.
    pub side: OrderingSide,
    /// How it stands.
    pub state: ActionState,
    /// By whose word it stands so.
    pub changed: Word,
}

/// Whose people have ordered an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderingSide {
    /// The vendor's own.
    Vendor,
    /// Those of an organisation that serves the customers of all its machines.
    Organisation,
}

/// How an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// A second person has to approve it first.
    AwaitingApproval,
    /// It is being carried out.
    Running,
    /// Every machine has come to an end of it.
    Done,
    /// Nothing more is done for it.
    Cancelled,
}

/// By what machines are selected. What is absent is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MachineFilter {
    /// Whose machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerName>,
    /// The version that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// How early they get releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<Ring>,
}

/// A machine of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionMachine {
    /// The machine.
    pub machine: MachineName,
    /// Whose it was when the action was ordered; nothing where there was no such machine.
    pub customer: Option<CustomerName>,
    /// Since when the server has recorded what is wanted of it; nothing where it has not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<RecordedAction>,
    /// What has become of it; nothing where that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<ActionEnd>,
}

/// What is recorded with a machine for an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedAction {
    /// When.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// The number of the order that it was given, where it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// The number of the newest event that it had reported then.
    pub event_number: u64,
    /// The version of the newest plan that it had been sent then; 0 where there was none.
    pub plan: u64,
}

/// What has become of a machine of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionEnd {
    /// When that was known.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// What.
    pub result: ActionResult,
    /// Why, or what the machine said of it.
    pub detail: String,
}

/// What has become of a machine of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionResult {
    /// It is done.
    CarriedOut,
    /// The machine has reported that it could not or would not.
    Refused,
    /// The server could not order it of the machine.
    Cannot,
    /// Somebody has wanted something else since.
    Cancelled,
}

impl ActionId {
    const PREFIX: &str = "act-";
    const DIGITS: usize = 12;

    /// The name of an action that is ordered at `at`.
    pub fn new(at: Timestamp, random: [u8; 2]) -> Self {
        let second = u32::try_from(at.as_second()).unwrap_or(u32::MAX);
        Self(format!("{}{second:08x}{:04x}", Self::PREFIX, u16::from_be_bytes(random)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ActionId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let digits = text.strip_prefix(Self::PREFIX);
        if digits.is_some_and(|it| it.len() == Self::DIGITS && it.bytes().all(is_digit)) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "action `{}` is not valid: expected {} and {} hexadecimal digits",
            text.chars().take(80).collect::<String>().escape_debug(),
            Self::PREFIX,
            Self::DIGITS
        ))
    }
}

impl TryFrom<String> for ActionId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ActionId> for String {
    fn from(id: ActionId) -> Self {
        id.0
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl ActionState {
    /// The state in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting approval",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether something more may be done for it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::AwaitingApproval | Self::Running)
    }
}

/// As people name it.
impl fmt::Display for MachineFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { customer, version, platform, ring } = self;
        let parts = [
            customer.as_ref().map(|customer| format!("of {customer}")),
            version.as_ref().map(|version| format!("running {version}")),
            platform.as_ref().map(|platform| format!("on {platform}")),
            ring.map(|ring| format!("in ring {ring}")),
        ];
        formatter.pad(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// The port to actions over several machines.
#[async_trait]
pub trait ActionStore: Send + Sync + 'static {
    /// Adds an action at revision 1, whose name must be new, with its machines.
    async fn create_action(
        &self,
        action: ActionRecord,
        machines: Vec<ActionMachine>,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// The action called `id`.
    async fn action(&self, id: &ActionId) -> StoreResult<ActionRecord>;

    /// The newest actions, at most `limit`, the newest first: those before `before`, or the newest of
    /// all. Where a customer is named, those that had a machine of that customer.
    async fn actions_before(
        &self,
        customer: Option<&CustomerName>,
        before: Option<&ActionId>,
        limit: usize,
    ) -> StoreResult<Vec<ActionRecord>>;

    /// The actions for which something more may be done, the oldest first. It costs no more where others
    /// have ended.
    async fn open_actions(&self) -> StoreResult<Vec<ActionRecord>>;

    /// Those of them that have this machine, where it has not come to an end.
    async fn open_actions_of(&self, machine: &MachineName) -> StoreResult<Vec<ActionRecord>>;

    /// The machines of an action by name.
    async fn machines_of_action(&self, id: &ActionId) -> StoreResult<Vec<ActionMachine>>;

    /// Changes an action if it is still at the revision that `action` carries. The revision rises by
    /// one.
    async fn change_action(&self, action: ActionRecord, audit: AuditEntry) -> StoreResult<()>;

    /// Changes a machine as [`change_machine`](super::MetaStore::change_machine) does, and notes that
    /// with the action: if the action runs, and neither was anything recorded with the machine for it
    /// nor has the machine come to an end of it.
    async fn carry_out(
        &self,
        id: &ActionId,
        machine: ActionMachine,
        change: MachineChange,
    ) -> StoreResult<()>;

    /// Notes to what end some machines of an action have come, if the action runs. One that has come to an
    /// end before, or with which something else is recorded, stays as it is.
    async fn note_progress(&self, id: &ActionId, machines: Vec<ActionMachine>) -> StoreResult<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_time() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let [one, other] = [at(1_790_000_000), at(1_790_000_001)];
        let (one, other) = (ActionId::new(one, [0xff, 0xff]), ActionId::new(other, [0, 0]));
        assert_eq!(one.as_str(), "act-6ab13b80ffff");
        assert!(one < other);
        assert_eq!(one.as_str().parse(), Ok(one));
        for wrong in
            ["", "act-", "act-6ab13b80fff", "act-6AB13B80FFFF", "6ab13b80ffff", "act-6ab13b80fff/"]
        {
            assert!(wrong.parse::<ActionId>().is_err(), "{wrong}");
        }
    }
}
