use jiff::Timestamp;
use mainstay_client::format::{Channel, LineName, Tag};
use serde::{Deserialize, Serialize};

use super::{Contract, State, Term, Tier};

/// One change of a contract, in force from an instant on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amendment {
    /// From when on the change is in force.
    pub at: Timestamp,
    /// What changes.
    pub change: Change,
}

/// What an amendment changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The contract takes over all that a tier stands for ([`Contract::set_tier`]).
    SetTier {
        /// The tier.
        tier: Tier,
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
    /// Nothing is granted until a resumption.
    Suspend,
    /// A suspension is over.
    Resume,
    /// Nothing is granted any more.
    Terminate,
}

impl Contract {
    /// What the contract says at `instant`, or nothing before it was created.
    ///
    /// Amendments take effect in the order of their instants, and of two at the same instant the
    /// one recorded later takes effect later; so an amendment agreed on ahead of time does not
    /// depend on when it was written down. `== at` is in force.
    pub fn at(amendments: &[Amendment], instant: Timestamp) -> Option<Self> {
        let mut in_force: Vec<_> =
            amendments.iter().filter(|amendment| amendment.at <= instant).collect();
        in_force.sort_by_key(|amendment| amendment.at);
        in_force.into_iter().fold(None, |contract, amendment| match &amendment.change {
            Change::Create { contract } => Some(contract.clone()),
            change => contract.map(|contract| contract.amended(change)),
        })
    }

    /// What the contract says once `change` is in force.
    #[must_use]
    pub fn amended(mut self, change: &Change) -> Self {
        match change {
            Change::Create { contract } => self.clone_from(contract),
            Change::Renew { term } => self.terms.push(*term),
            Change::SetTier { tier } => self.set_tier(*tier),
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
            Change::SetCap { cap } => self.cap = *cap,
            Change::SetSeats { seats } => self.seats = *seats,
            Change::Suspend => self.move_to(State::Suspended),
            Change::Resume => self.move_to(State::Active),
            Change::Terminate => self.move_to(State::Terminated),
        }
        self
    }

    /// A terminated contract stays so: only a new one brings the customer back.
    fn move_to(&mut self, state: State) {
        if self.state != State::Terminated {
            self.state = state;
        }
    }
}
