use jiff::Timestamp;
use mainstay_client::format::{Channel, LineName, Tag, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bridge, Contract, Fallback, Preset, State, Term, Tier};

/// One change of a contract, in force from an instant on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amendment {
    /// From when on the change is in force.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// When it was written down; absent in records from before that was kept apart. It decides
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub recorded_at: Option<Timestamp>,
    /// What changes.
    pub change: Change,
}

/// What an amendment changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// The contract as first signed, or signed anew in place of all that was said before.
    Create {
        /// What it says.
        contract: Contract,
    },
    /// Maintenance is paid for a further time.
    Renew {
        /// The time.
        term: Term,
    },
    /// The latest term ends later.
    Extend {
        /// Its end from now on.
        #[schemars(with = "Instant")]
        until: Timestamp,
    },
    /// The contract takes over all that a tier stands for ([`Contract::set_tier`]).
    SetTier {
        /// The tier.
        tier: Tier,
        /// What it stood for when the amendment was recorded, which the server fills in: should the
        /// operator change a tier, what was agreed before stays what it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preset: Option<Preset>,
    },
    /// A kind of release is covered from now on.
    AddChannel {
        /// The kind.
        channel: Channel,
    },
    /// A kind of release is covered no longer.
    EndChannel {
        /// The kind.
        channel: Channel,
    },
    /// An add-on was bought.
    AddAddon {
        /// The add-on.
        addon: Tag,
    },
    /// An add-on was given up.
    EndAddon {
        /// The add-on.
        addon: Tag,
    },
    /// Support past its end of support was bought for a line.
    AddElsLine {
        /// The line.
        line: LineName,
    },
    /// Support past its end of support is given up for a line.
    EndElsLine {
        /// The line.
        line: LineName,
    },
    /// The customer belongs to an audience from now on.
    AddAudience {
        /// The audience.
        audience: Tag,
    },
    /// The customer belongs to an audience no longer.
    EndAudience {
        /// The audience.
        audience: Tag,
    },
    /// The highest line licensed changes.
    SetCap {
        /// The line; absent for no limit.
        cap: Option<LineName>,
    },
    /// The number of machines changes.
    SetSeats {
        /// The number; absent for no limit.
        seats: Option<u32>,
    },
    /// The conditions that otherwise come with the tier change; what is absent stays. Only for a
    /// contract of the tier `enterprise`, or of none: what the others stand for is the operator's to
    /// say.
    SetConditions {
        /// Days of grace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grace_days: Option<u32>,
        /// Days of the security tail.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        security_tail_days: Option<u32>,
        /// What stays when the paid time is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fallback: Option<Fallback>,
        /// Whether a critical fix may come from a line that is not owned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bridge: Option<Bridge>,
    },
    /// Nothing is granted until a resumption.
    Suspend,
    /// A suspension is over.
    Resume,
    /// The contract ends for good.
    Terminate {
        /// What the customer keeps.
        #[serde(default)]
        exit: Exit,
    },
}

/// What a customer keeps of a contract that was terminated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// Nothing is granted any more.
    #[default]
    Nothing,
    /// The paid time ends with the contract, without grace or tail; what the fallback keeps of the
    /// time before, stays.
    Fallback,
}

impl Contract {
    /// What the contract says at `instant`, or nothing before it was created.
    ///
    /// Amendments take effect in the order of their instants, and of two at the same instant the
    /// one recorded later takes effect later; so an amendment agreed on ahead of time does not
    /// depend on when it was written down. `== at` is in force.
    ///
    /// Once it has been terminated, by whatever exit, only a [`Change::Create`] grants more: what was
    /// agreed on for later falls away.
    pub fn at(amendments: &[Amendment], instant: Timestamp) -> Option<Self> {
        heeded(amendments, instant).into_iter().fold(None, Self::next)
    }

    /// The first instant after `instant` at which `amendments` say something else.
    pub fn next_amended(amendments: &[Amendment], instant: Timestamp) -> Option<Timestamp> {
        amendments.iter().map(|amendment| amendment.at).filter(|at| *at > instant).min()
    }

    /// Why `change` cannot be made from `at` on of what `amendments` say, where it cannot.
    pub fn objection_at(
        amendments: &[Amendment],
        change: &Change,
        at: Timestamp,
    ) -> Option<String> {
        let newest = heeded(amendments, at).into_iter().rev().find_map(|it| it.change.end());
        if newest == Some(End::Ended) && change.end().is_none() && !change.is_of_state() {
            return Some(
                "the contract has ended for good: expected a new contract, or `create` in its place"
                    .to_owned(),
            );
        }
        Self::at(amendments, at)?.objection(change)
    }

    /// Where amendments from `from` on set conditions of a contract that is of a tier which has its
    /// own by then. An extension that comes to nothing by then is no harm.
    pub fn misplaced_conditions(amendments: &[Amendment], from: Timestamp) -> Vec<String> {
        let mut contract: Option<Self> = None;
        let mut misplaced = Vec::new();
        for amendment in heeded(amendments, Timestamp::MAX) {
            let Amendment { at, change, .. } = amendment;
            if *at >= from && matches!(change, Change::SetConditions { .. }) {
                let objection = contract.as_ref().and_then(|contract| contract.objection(change));
                misplaced.extend(objection.map(|objection| format!("from {at} on: {objection}")));
            }
            contract = Self::next(contract, amendment);
        }
        misplaced
    }

    /// What the contract says after one more amendment.
    fn next(contract: Option<Self>, amendment: &Amendment) -> Option<Self> {
        match &amendment.change {
            Change::Create { contract } => Some(contract.clone()),
            change => contract.map(|contract| contract.amended(change, amendment.at)),
        }
    }

    /// What the contract says once `change` is in force, which is from `at` on.
    #[must_use]
    pub fn amended(mut self, change: &Change, at: Timestamp) -> Self {
        match change {
            Change::Create { contract } => self.clone_from(contract),
            Change::Renew { term } => self.terms.push(*term),
            Change::Extend { until } => {
                if let Some(latest) = self.terms.iter_mut().max_by_key(|term| term.end) {
                    latest.end = latest.end.max(*until);
                }
            }
            Change::SetTier { tier, preset } => {
                self.set_tier(*tier, preset.clone().unwrap_or_else(|| tier.preset()));
            }
            Change::AddChannel { channel } => {
                self.channels.insert(*channel);
            }
            Change::EndChannel { channel } => {
                self.channels.remove(channel);
            }
            Change::AddAddon { addon } => {
                self.addons.insert(addon.clone());
            }
            Change::EndAddon { addon } => {
                self.addons.remove(addon);
            }
            Change::AddElsLine { line } => {
                self.els_lines.insert(*line);
            }
            Change::EndElsLine { line } => {
                self.els_lines.remove(line);
            }
            Change::AddAudience { audience } => {
                self.audience.insert(audience.clone());
            }
            Change::EndAudience { audience } => {
                self.audience.remove(audience);
            }
            Change::SetCap { cap } => self.cap = *cap,
            Change::SetSeats { seats } => self.seats = *seats,
            Change::SetConditions { grace_days, security_tail_days, fallback, bridge } => {
                self.grace_days = grace_days.unwrap_or(self.grace_days);
                self.security_tail_days = security_tail_days.unwrap_or(self.security_tail_days);
                self.fallback = fallback.unwrap_or(self.fallback);
                self.bridge = bridge.unwrap_or(self.bridge);
            }
            Change::Suspend => self.move_to(State::Suspended),
            Change::Resume => self.move_to(State::Active),
            Change::Terminate { exit: Exit::Nothing } => self.move_to(State::Terminated),
            Change::Terminate { exit: Exit::Fallback } => self.end_maintenance(at),
        }
        self
    }

    /// Why the change cannot be made of the contract as it stands, where it cannot.
    pub fn objection(&self, change: &Change) -> Option<String> {
        match change {
            Change::Extend { until } => match self.terms.iter().map(|term| term.end).max() {
                Some(end) if end < *until => None,
                Some(end) => Some(format!(
                    "extend says until {until}, and the latest term ends at {end}: expected a later \
                     time; a term is not shortened, but `terminate` ends a contract"
                )),
                None => Some("extend needs a term, and there is none: expected `renew`".to_owned()),
            },
            Change::SetConditions { .. } => match self.tier {
                None | Some(Tier::Enterprise) => None,
                Some(tier) => Some(format!(
                    "set_conditions is for a contract of the tier enterprise or of none, and this \
                     one is {tier}: set another tier first, or let the operator change what {tier} \
                     stands for"
                )),
            },
            _ => None,
        }
    }

    fn end_maintenance(&mut self, at: Timestamp) {
        self.terms.retain(|term| term.start < at);
        for term in &mut self.terms {
            term.end = term.end.min(at);
        }
        self.grace_days = 0;
        self.security_tail_days = 0;
    }

    /// A terminated contract stays so: only a new one brings the customer back.
    fn move_to(&mut self, state: State) {
        if self.state != State::Terminated {
            self.state = state;
        }
    }
}

/// Whether a contract can still be added to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Ended,
}

impl Change {
    /// What the change makes of the end of a contract; nothing where it leaves that as it is.
    const fn end(&self) -> Option<End> {
        match self {
            Self::Create { .. } => Some(End::Open),
            Self::Terminate { .. } => Some(End::Ended),
            _ => None,
        }
    }

    /// Whether it suspends what is there, or takes that back: it adds nothing.
    const fn is_of_state(&self) -> bool {
        matches!(self, Self::Suspend | Self::Resume)
    }
}

/// The amendments in force at `instant` in the order in which they take effect, without those that
/// come after the contract's end.
fn heeded(amendments: &[Amendment], instant: Timestamp) -> Vec<&Amendment> {
    let mut in_force: Vec<_> =
        amendments.iter().filter(|amendment| amendment.at <= instant).collect();
    in_force.sort_by_key(|amendment| amendment.at);
    let mut end = End::Open;
    in_force.retain(|Amendment { change, .. }| {
        let is_heeded = end == End::Open || change.end().is_some() || change.is_of_state();
        end = change.end().unwrap_or(end);
        is_heeded
    });
    in_force
}
