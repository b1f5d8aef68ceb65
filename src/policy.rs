//! The decisions: pure functions of values.
//!
//! Nothing here reads a clock, a file or the network; the instant is always an argument. So every
//! route (list, check, download, delta, explain) asks the same functions and gets the same answer,
//! and each promise of the design can be tested over thousands of made-up cases.
//!
//! | module | question |
//! |---|---|
//! | [`contract`] | what does the contract say at an instant? |
//! | [`catalogue`] | what has the vendor published of the product? |
//! | [`entitlement`] | which of the releases does the contract grant, and why? |
//! | [`mod@resolve`] | which of the granted releases does this machine install next? |
//! | [`rollout`] | has a release come to this machine yet, and do its outcomes stop it? |
//! | [`requirement`] | can this machine run a release, by what it says of itself? |
//! | [`action`] | what can be wanted of a machine, and when is that done? |
//! | [`alone`] | how many machines may one person act on? |
//! | [`safeguard`] | is this machine one on which a release is known to do harm? |
//! | [`upgrade`] | which hops lead up from what a machine runs, and what does the contract lack for them? |
//! | [`retirement`] | which releases can move to the archive, and what is listed then? |
//! | [`seats`] | which machines of a contract have a seat? |
//! | [`census`] | as what is a machine counted, and what changes in the counts when it changes? |
//! | [`exposure`] | which versions have the fix of an advisory, and why does a machine lack it? |
//! | [`sbom`] | which components are in a release? |
//! | [`simulation`] | how many machines does a bad release reach before it is stopped? |
//! | [`scenario`] | what would be decided, by documents alone? |
//! | [`lifecycle`] | how near are the ends of a line and of the paid time, and what is said of that? |
//! | [`expiry`] | how near its end is what only the vendor can renew, and is a warning due? |
//! | [`notification`] | what is told to other systems, and whom does it interest? |
//! | [`delivery`] | what is done after a try to tell it? |
//! | [`delta`] | which deltas are made and kept, and which ways do they make? |
//!
//! Read in that order, the first four are the path from a customer's amendments to the action in a plan.

pub mod action;
pub mod alone;
pub mod catalogue;
pub mod census;
pub mod contract;
pub mod delivery;
pub mod delta;
pub mod entitlement;
pub mod expiry;
pub mod exposure;
pub(crate) mod instant;
pub mod lifecycle;
pub mod notification;
pub mod requirement;
pub mod resolve;
pub mod retirement;
pub mod rollout;
pub mod safeguard;
pub mod sbom;
pub mod scenario;
pub mod seats;
pub mod simulation;
pub mod upgrade;

pub use action::{Completion, MachineAction, Reopening, RollbackTarget};
pub use alone::AloneLimits;
pub use catalogue::{Catalogue, DuplicateEntry, Line, Release, Status};
pub use census::{Cell, Count, Counted, Day, Figures, Setup, Stage};
pub use contract::{
    Amendment, Bridge, Change, Contract, Exit, Fallback, PatchDays, Preset, State, Term, Tier,
    Tiers,
};
pub use delivery::{Outcome, Schedule};
pub use entitlement::{
    Code, Decision, Lack, OwnChannels, Standing, Verdict, decide, decide_all, decide_version,
    explain,
};
pub use expiry::Expiry;
pub use notification::{Interest, Notification, NotificationType, Occasion};
pub use resolve::{
    Action, Admission, Block, DeliveryCode, Machine, Offer, OrderRefusal, Pin, Reason, Resolution,
    Ring, Seat, Wait, Withheld, kept_build, resolve,
};
pub use retirement::Listing;
pub use rollout::{Outcomes, Rollout, RolloutRules, RolloutState, RolloutStep, RolloutWish};
pub use scenario::{Explained, Scenario};
pub use seats::{Allocation, Claim, Hour, Silence};
pub use upgrade::{Hop, NoPath, UpgradePath, upgrade_path};
