use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::Timestamp;
use mainstay_client::format::{CustomerName, MachineName, Platform, ProductName, Version};

use super::MachineRecord;
use crate::policy::{Cell, Counted, Day, Ring, Setup};

/// A part of the fleet. What is absent is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The machines of this product.
    pub product: Option<ProductName>,
    /// Those of these customers.
    pub customers: Option<BTreeSet<CustomerName>>,
    /// Those on this platform.
    pub platform: Option<Platform>,
    /// Those that report that this version runs.
    pub version: Option<Version>,
    /// Those of this ring. Machines are counted whatever their ring.
    pub ring: Option<Ring>,
}

/// Which machines are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Those that are in use: not retired.
    InUse,
    /// Those of them that were last heard of at this instant or before.
    SeenUntil(Timestamp),
    /// Those that are retired.
    Retired,
}

/// Where in a listing a machine is: behind all that run something older, on other platforms, of other
/// customers, and behind those of its own cell that have been silent for longer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPlace {
    /// Among which others it is.
    pub cell: Cell,
    /// On which day it was last heard of.
    pub seen: Day,
    /// Its name.
    pub machine: MachineName,
}

impl Selection {
    /// Whether machines with this setup can be in it.
    pub fn has_setup(&self, setup: &Setup) -> bool {
        let Self { product, customers: _, platform, version, ring: _ } = self;
        product.as_ref().is_none_or(|product| *product == setup.product)
            && platform.as_ref().is_none_or(|platform| *platform == setup.platform)
            && version.as_ref().is_none_or(|version| Some(version) == setup.version.as_ref())
    }

    /// Whether machines of this customer can be in it.
    pub fn has_customer(&self, customer: &CustomerName) -> bool {
        self.customers.as_ref().is_none_or(|customers| customers.contains(customer))
    }

    /// Whether the machine is in it.
    pub fn has(&self, machine: &MachineRecord) -> bool {
        let Counted { cell, .. } = machine.whereabouts().place();
        self.has_setup(&cell.setup)
            && self.has_customer(&cell.customer)
            && self.ring.is_none_or(|ring| ring == machine.ring)
    }
}

impl Listed {
    /// Whether the machine is among those.
    pub fn has(self, machine: &MachineRecord) -> bool {
        match self {
            Self::InUse => machine.retired.is_none(),
            Self::SeenUntil(until) => machine.retired.is_none() && machine.seen_at <= until,
            Self::Retired => machine.retired.is_some(),
        }
    }
}

impl ListPlace {
    /// Where the machine is.
    pub fn of(machine: &MachineRecord) -> Self {
        let Counted { cell, seen, .. } = machine.whereabouts().place();
        Self { cell, seen, machine: machine.name.clone() }
    }
}

impl fmt::Display for ListPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.cell, self.seen.number(), self.machine)
    }
}

impl FromStr for ListPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (rest, machine) = text.rsplit_once('/')?;
            let (cell, day) = rest.rsplit_once('/')?;
            Some(Self {
                cell: cell.parse().ok()?,
                seen: Day::numbered(day.parse().ok()?),
                machine: machine.parse().ok()?,
            })
        };
        parse().ok_or_else(|| {
            format!(
                "`{}` is no place in a listing: expected the `next` of the page before",
                text.chars().take(400).collect::<String>().escape_debug()
            )
        })
    }
}
