//! How many machines run what, and which they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::{CustomerName, Platform, ProductName, Version, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actor, Scope, Service, ServiceError, ServiceResult};
use crate::{
    policy::{Cell, Day, Figures, Ring, Setup},
    store::{ListPlace, Listed, MachineRecord, Selection, StoreError},
};

/// `GET /v1/census`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCensus {
    /// The product; all of them where it is absent.
    #[serde(default)]
    pub product: Option<ProductName>,
    /// Whose machines; everybody's where it is absent.
    #[serde(default)]
    pub customer: Option<CustomerName>,
    /// The platform; all of them where it is absent.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// The version that runs; all of them where it is absent.
    #[serde(default)]
    pub version: Option<Version>,
    /// Whether each customer is counted by itself.
    #[serde(default)]
    pub customers: Customers,
    /// The `next` of the page before; absent for the first page.
    #[serde(default)]
    pub after: Option<String>,
}

/// Whether each customer is counted by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Customers {
    /// It is.
    #[default]
    Apart,
    /// All that are asked for are counted together, on one page.
    Together,
}

/// A page of the census, by product, version, platform and customer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CensusPage {
    /// When it was taken.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// Machines that were last heard of before this instant are counted as silent. It is the beginning
    /// of a day by UTC, so a machine is counted as silent up to a day after it falls silent.
    #[schemars(with = "Instant")]
    pub heard_from: Timestamp,
    /// At most 1,000 on a page.
    pub rows: Vec<CensusRow>,
    /// Where the next page begins; nothing where there is none.
    pub next: Option<String>,
}

/// How many machines run the same. Retired ones are not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CensusRow {
    /// The product.
    pub product: ProductName,
    /// The version that they report as running; nothing where nothing runs yet.
    pub version: Option<Version>,
    /// Whether the vendor has published that version. Nothing where nothing runs, and for an
    /// organisation, which is not to learn what others have.
    pub known: Option<bool>,
    /// The platform.
    pub platform: Platform,
    /// Whose machines; nothing where customers are counted together.
    pub customer: Option<CustomerName>,
    /// How many.
    #[serde(flatten)]
    pub figures: Figures,
}

/// `GET /v1/machines`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMachines {
    /// The product; all of them where it is absent.
    #[serde(default)]
    pub product: Option<ProductName>,
    /// Whose machines; everybody's where it is absent.
    #[serde(default)]
    pub customer: Option<CustomerName>,
    /// The platform; all of them where it is absent.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// The version that runs; all of them where it is absent.
    #[serde(default)]
    pub version: Option<Version>,
    /// How early they get releases; all rings where it is absent.
    #[serde(default)]
    pub ring: Option<Ring>,
    /// Those only that have not been heard of for so long: `90m`, `36h`, `14d`, or `configured` for as
    /// long as it takes until a machine gives its seat up.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub silent: Option<SilentFor>,
    /// Those that are retired, in place of those that are not.
    #[serde(default)]
    pub retired: bool,
    /// The `next` of the page before; absent for the first page.
    #[serde(default)]
    pub after: Option<String>,
    /// At most so many machines on the page, 1 to 1,000; 1,000 where it is absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// For how long a machine has not been heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum SilentFor {
    /// For as long as it takes until a machine gives its seat up.
    Configured,
    /// For so long.
    Length(SignedDuration),
}

/// How a request names [`SilentFor::Configured`].
const CONFIGURED: &str = "configured";

/// A page of machines, by product, version, platform and customer, those first that have been silent
/// for longest. Retired ones are in the order of their customers and names.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MachinePage {
    /// The machines.
    pub machines: Vec<MachineRecord>,
    /// Where the next page begins; nothing where there is none.
    pub next: Option<String>,
}

/// What is asked for of the fleet, as requests name it.
pub(super) struct Asked {
    pub(super) product: Option<ProductName>,
    pub(super) customer: Option<CustomerName>,
    pub(super) platform: Option<Platform>,
    pub(super) version: Option<Version>,
}

impl Service {
    /// Has `look` look at every machine of a product that is not retired, in no order. One that changes
    /// meanwhile may be left out.
    pub(super) async fn each_machine(
        &self,
        product: &ProductName,
        look: impl FnMut(MachineRecord),
    ) -> ServiceResult<()> {
        let selection = Selection { product: Some(product.clone()), ..Selection::default() };
        self.each_selected(&selection, look).await
    }

    /// The same of a part of the fleet.
    pub(super) async fn each_selected(
        &self,
        selection: &Selection,
        mut look: impl FnMut(MachineRecord),
    ) -> ServiceResult<()> {
        let (limit, mut after) = (self.limits.page_records_max, None);
        loop {
            let machines =
                self.meta.machines_after(selection, Listed::InUse, after.as_ref(), limit).await?;
            let Some(last) = machines.last() else { return Ok(()) };
            after = Some(ListPlace::of(last));
            machines.into_iter().for_each(&mut look);
        }
    }

    /// How many machines run what, of those that the actor may see. It is counted as machines change,
    /// so that it costs no more where there are more of them.
    pub async fn census(&self, actor: &Actor, question: ListCensus) -> ServiceResult<CensusPage> {
        let ListCensus { product, customer, platform, version, customers, after } = question;
        let asked = Asked { product, customer, platform, version };
        let selection = self.selection(&actor.scope, asked).await?;
        let at = self.clock.now();
        let heard_from = Day::of(self.silence.heard_from(at));
        let (counts, next) = match customers {
            Customers::Apart => {
                let after = after.map(|after| after.parse::<Cell>()).transpose();
                let after = after.map_err(|problem| ServiceError::input(problem.to_string()))?;
                let max = self.limits.page_records_max;
                let mut cells = self.meta.census_after(&selection, after.as_ref(), max + 1).await?;
                let is_last = cells.len() <= max;
                cells.truncate(max);
                let next = cells.last().filter(|_| !is_last).map(|(cell, _)| cell.to_string());
                let counts = cells.into_iter().map(|(Cell { setup, customer }, count)| {
                    (setup, Some(customer), count.figures(heard_from))
                });
                (counts.collect::<Vec<_>>(), next)
            }
            Customers::Together => {
                let setups = self.together(&selection, heard_from).await?.into_iter();
                (setups.map(|(setup, figures)| (setup, None, figures)).collect(), None)
            }
        };
        let known = self.known(&actor.scope, counts.iter().map(|(setup, _, _)| setup)).await?;
        let rows = counts.into_iter().map(|(setup, customer, figures)| CensusRow {
            known: known.get(&setup).copied(),
            product: setup.product,
            version: setup.version,
            platform: setup.platform,
            customer,
            figures,
        });
        Ok(CensusPage { at, heard_from: heard_from.start(), rows: rows.collect(), next })
    }

    /// A page of the machines that the actor may see.
    pub async fn machines(
        &self,
        actor: &Actor,
        question: ListMachines,
    ) -> ServiceResult<MachinePage> {
        let ListMachines { product, customer, platform, version, .. } = question;
        let asked = Asked { product, customer, platform, version };
        let ring = question.ring;
        let selection = Selection { ring, ..self.selection(&actor.scope, asked).await? };
        let listed = match (question.silent, question.retired) {
            (None, false) => Listed::InUse,
            (None, true) => Listed::Retired,
            (Some(silent), false) => Listed::SeenUntil(self.silent_since(silent)),
            (Some(_), true) => {
                return Err(ServiceError::input(
                    "a machine that is retired is not silent: expected `silent` or `retired`, not \
                     both",
                ));
            }
        };
        let after = question.after.map(|after| after.parse::<ListPlace>()).transpose();
        let after = after.map_err(ServiceError::input)?;
        let max = self.limits.page_records_max;
        let limit = question.limit.unwrap_or(max);
        if !(1..=max).contains(&limit) {
            return Err(ServiceError::input(format!("limit is {limit}: expected 1 to {max}")));
        }
        let found = self.meta.machines_after(&selection, listed, after.as_ref(), limit + 1);
        let mut machines = found.await?;
        let is_last = machines.len() <= limit;
        machines.truncate(limit);
        let last = machines.last().filter(|_| !is_last);
        let next = last.map(|machine| ListPlace::of(machine).to_string());
        Ok(MachinePage { machines, next })
    }

    /// The part of what lies in the scope that is asked for. A customer or product that there is not
    /// is no empty part.
    pub(super) async fn selection(&self, scope: &Scope, asked: Asked) -> ServiceResult<Selection> {
        let Asked { product, customer, platform, version } = asked;
        let customers = match customer {
            Some(customer) => {
                self.customer_in(scope, &customer).await?;
                Some(BTreeSet::from([customer]))
            }
            None => scope.customers().cloned(),
        };
        if let Some(product) = product.as_ref().filter(|_| *scope == Scope::Everything) {
            self.meta.product(product).await?;
        }
        Ok(Selection { product, customers, platform, version, ring: None })
    }

    /// How many machines of a selection run what, whoever's they are.
    async fn together(
        &self,
        selection: &Selection,
        heard_from: Day,
    ) -> ServiceResult<BTreeMap<Setup, Figures>> {
        let mut setups = BTreeMap::<Setup, Figures>::new();
        if selection.customers.is_some() {
            for (cell, count) in self.meta.census_after(selection, None, usize::MAX).await? {
                *setups.entry(cell.setup).or_default() += count.figures(heard_from);
            }
            return Ok(setups);
        }
        let products = match &selection.product {
            Some(product) => vec![product.clone()],
            None => self.meta.products().await?.into_iter().map(|product| product.name).collect(),
        };
        for product in products {
            let counts = self.meta.census_together(&product).await?.into_iter();
            let wanted = counts.filter(|(setup, _)| selection.has_setup(setup));
            setups.extend(wanted.map(|(setup, count)| (setup, count.figures(heard_from))));
        }
        Ok(setups)
    }

    /// Of the setups in which something runs, whether the vendor has published it.
    async fn known(
        &self,
        scope: &Scope,
        setups: impl Iterator<Item = &Setup>,
    ) -> ServiceResult<BTreeMap<Setup, bool>> {
        let mut known = BTreeMap::new();
        if *scope != Scope::Everything {
            return Ok(known);
        }
        for setup in setups.collect::<BTreeSet<_>>() {
            let Some(version) = &setup.version else { continue };
            let is_known = match self.meta.release(&setup.product, version).await {
                Ok(_) => true,
                Err(StoreError::NotFound(_)) => false,
                Err(error) => return Err(error.into()),
            };
            known.insert(setup.clone(), is_known);
        }
        Ok(known)
    }

    /// The last instant at which a machine can have been heard of that has been silent for so long.
    fn silent_since(&self, silent: SilentFor) -> Timestamp {
        let now = self.clock.now();
        match silent {
            SilentFor::Configured => self.silence.since(now),
            SilentFor::Length(length) => now.checked_sub(length).unwrap_or(Timestamp::MIN),
        }
    }
}

impl fmt::Display for SilentFor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => formatter.write_str(CONFIGURED),
            Self::Length(length) => write!(formatter, "{}s", length.as_secs()),
        }
    }
}

impl FromStr for SilentFor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == CONFIGURED {
            return Ok(Self::Configured);
        }
        let length = || {
            let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 24 * 3600)];
            let (number, seconds) = units
                .into_iter()
                .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
            Some(SignedDuration::from_secs(i64::from(number.parse::<u32>().ok()?) * seconds))
        };
        length().map(Self::Length).ok_or_else(|| {
            format!(
                "`{}` is no length of silence: expected a whole number of minutes, hours or days, such \
                 as 90m, 36h or 14d, or `{CONFIGURED}`",
                text.chars().take(80).collect::<String>().escape_debug()
            )
        })
    }
}

impl TryFrom<String> for SilentFor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SilentFor> for String {
    fn from(silent: SilentFor) -> Self {
        silent.to_string()
    }
}
