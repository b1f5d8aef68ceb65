//! Whom advisories still concern: which machines lack a fix, since when and why.
//!
//! What a question costs: the setups of the product in which a version is affected are found in the
//! census, so machines that have the fix are not read. Of each machine that lacks it the record, its
//! newest event and its resolution are looked at; of each contract the decisions are made once a page.

mod breaches;
mod components;
mod patching;

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

use jiff::Timestamp;
use mainstay_client::format::{
    AdvisoryId, Channel, ContractName, CustomerName, MachineName, Platform, ProductName, Severity,
    Version, schema::Instant,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use breaches::{BreachReport, ListBreaches};
pub use components::{ComponentPage, ComponentUse, Holder, ListComponents};
pub use patching::{AskPatching, PatchingReport, TierPatching};

use super::{
    Actor, ErrorClass, Scope, Service, ServiceError, ServiceResult, standing::ProductStanding,
};
use crate::{
    policy::{
        Code, Setup, Status, Tier,
        contract::days_after,
        exposure::{Advisory, AffectedRange, Cause, CauseKind, Circumstances, Exposure},
    },
    store::{AdvisoryRecord, ListPlace, Listed, MachineRecord, Selection},
};

/// `GET /v1/exposure`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListExposure {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The product; all of them where it is absent.
    #[serde(default)]
    pub product: Option<ProductName>,
    /// Whose machines; everybody's where it is absent.
    #[serde(default)]
    pub customer: Option<CustomerName>,
    /// The `next` of the page before; absent for the first page.
    #[serde(default)]
    pub after: Option<String>,
    /// At most so many machines on the page, 1 to 1,000; 1,000 where it is absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// A page of the machines that lack the fix of an advisory, by product, customer, version and platform.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExposurePage {
    /// When it was looked at.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The releases that name it. Nothing for an organisation, which is not to learn what others have.
    pub fixes: Vec<Fix>,
    /// The machines.
    pub machines: Vec<OpenMachine>,
    /// Where the next page begins; nothing where there is none. The last page may be empty.
    pub next: Option<String>,
}

/// A release that fixes an advisory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fix {
    /// The product.
    pub product: ProductName,
    /// The version.
    pub version: Version,
    /// Its channel.
    pub channel: Channel,
    /// How much it matters.
    pub severity: Severity,
    /// When it was published.
    #[schemars(with = "Instant")]
    pub published_at: Timestamp,
    /// Whether the vendor still gives it out.
    pub status: Status,
}

/// A machine that lacks the fix of an advisory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenMachine {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// How severe it is.
    pub severity: Severity,
    /// The machine.
    pub machine: MachineName,
    /// What its owner calls it.
    pub host: String,
    /// Whose machine it is.
    pub customer: CustomerName,
    /// The contract that covers it.
    pub contract: ContractName,
    /// The tier of the contract, where it has one.
    pub tier: Option<Tier>,
    /// The product.
    pub product: ProductName,
    /// What it runs on.
    pub platform: Platform,
    /// What it runs.
    pub running: Version,
    /// Since when it has lacked the fix.
    #[schemars(with = "Instant")]
    pub since: Timestamp,
    /// By when it is to have the fix, by its tier and the severity; nothing where the contract gives none,
    /// there is none, or nothing is agreed.
    #[schemars(with = "Option<Instant>")]
    pub agreed_until: Option<Timestamp>,
    /// When it was last heard of.
    #[schemars(with = "Instant")]
    pub seen_at: Timestamp,
    /// Why.
    pub cause: Cause,
}

/// Which open machines are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked<'a> {
    /// Those that lack the fix of this advisory; of any where it is absent.
    pub(super) advisory: Option<&'a AdvisoryId>,
    /// Those of this product.
    pub(super) product: Option<&'a ProductName>,
    /// Those of this customer.
    pub(super) customer: Option<&'a CustomerName>,
}

/// Some machines that lack a fix.
#[derive(Debug, Default)]
pub(super) struct OpenMachines {
    /// One for each machine and advisory.
    pub(super) found: Vec<OpenMachine>,
    /// After which machine the next ones come; nothing where there are none.
    pub(super) next: Option<ListPlace>,
}

impl Service {
    /// The machines that lack the fix of an advisory, of those that the actor may see.
    pub async fn exposure(
        &self,
        actor: &Actor,
        question: ListExposure,
    ) -> ServiceResult<ExposurePage> {
        let ListExposure { advisory, product, customer, after, limit } = question;
        let max = self.limits.page_records_max;
        let limit = limit.unwrap_or(max);
        if !(1..=max).contains(&limit) {
            return Err(ServiceError::input(format!("limit is {limit}: expected 1 to {max}")));
        }
        let after = after.map(|after| after.parse::<ListPlace>()).transpose();
        let after = after.map_err(ServiceError::input)?;
        self.require_asked(&actor.scope, product.as_ref(), customer.as_ref()).await?;
        let fixes = self.fixes(&actor.scope, &advisory, product.as_ref()).await?;
        let asked = Asked {
            advisory: Some(&advisory),
            product: product.as_ref(),
            customer: customer.as_ref(),
        };
        let OpenMachines { found, next } =
            self.open_machines(&actor.scope, &asked, after.as_ref(), limit).await?;
        Ok(ExposurePage {
            at: self.clock.now(),
            advisory,
            fixes,
            machines: found,
            next: next.map(|next| next.to_string()),
        })
    }

    /// Refuses a customer or product that the actor may not see, or that there is not.
    pub(super) async fn require_asked(
        &self,
        scope: &Scope,
        product: Option<&ProductName>,
        customer: Option<&CustomerName>,
    ) -> ServiceResult<()> {
        if let Some(customer) = customer {
            self.customer_in(scope, customer).await?;
        }
        if let Some(product) = product.filter(|_| *scope == Scope::Everything) {
            self.meta.product(product).await?;
        }
        Ok(())
    }

    /// The releases that name an advisory, as far as whoever asks is told of them. That none does is
    /// told, for it must not be taken for that all machines have the fix.
    pub(super) async fn fixes(
        &self,
        scope: &Scope,
        advisory: &AdvisoryId,
        product: Option<&ProductName>,
    ) -> ServiceResult<Vec<Fix>> {
        let unknown = || {
            let of =
                product.map_or_else(|| "no release".to_owned(), |it| format!("no release of {it}"));
            let message = format!("{of} names the advisory {advisory}");
            Err(ServiceError::new(ErrorClass::NotFound, "ADVISORY_UNKNOWN", message))
        };
        if *scope != Scope::Everything {
            let is_known = self.is_named_for(scope, advisory, product).await?;
            return if is_known { Ok(Vec::new()) } else { unknown() };
        }
        let mut fixes = Vec::new();
        for product in self.products_asked(product).await? {
            let releases = self.meta.releases(&product).await?.into_iter().map(|it| it.release);
            let naming = releases.filter(|release| {
                release.status != Status::Draft && release.advisories.contains(advisory)
            });
            fixes.extend(naming.map(|release| Fix {
                product: product.clone(),
                version: release.version,
                channel: release.channel,
                severity: release.severity,
                published_at: release.published_at,
                status: release.status,
            }));
        }
        if fixes.is_empty() { unknown() } else { Ok(fixes) }
    }

    /// Whether a release names the advisory that a customer within the scope may know of.
    async fn is_named_for(
        &self,
        scope: &Scope,
        advisory: &AdvisoryId,
        only: Option<&ProductName>,
    ) -> ServiceResult<bool> {
        for product in self.products_asked(None).await? {
            if only.is_some_and(|only| *only != product) {
                continue;
            }
            let releases = self.meta.releases(&product).await?;
            if !releases.iter().any(|it| it.release.advisories.contains(advisory)) {
                continue;
            }
            for contract in self.contracts_in(scope).await? {
                let standing = self.standing(&contract.name, &product).await?;
                let named = Advisory::new(standing.catalogue(), advisory, &[]);
                let is_known =
                    named.naming().any(|it| standing.known_release(&it.version).is_some());
                if standing.covers_product() && is_known {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What is recorded of the advisories of a product.
    pub(super) async fn recorded(&self, product: &ProductName) -> ServiceResult<Recorded> {
        let records = self.meta.advisories(product).await?.into_iter();
        Ok(records.map(|record| (record.advisory.clone(), record)).collect())
    }

    /// The products that are asked for, by name.
    pub(super) async fn products_asked(
        &self,
        product: Option<&ProductName>,
    ) -> ServiceResult<Vec<ProductName>> {
        match product {
            Some(product) => Ok(vec![product.clone()]),
            None => Ok(self.meta.products().await?.into_iter().map(|it| it.name).collect()),
        }
    }

    /// What the open machines are that come after `after`, at most `limit` machines.
    pub(super) async fn open_machines(
        &self,
        scope: &Scope,
        asked: &Asked<'_>,
        after: Option<&ListPlace>,
        limit: usize,
    ) -> ServiceResult<OpenMachines> {
        let mut open = OpenMachines::default();
        let mut room = limit;
        for product in self.products_asked(asked.product).await? {
            if after.is_some_and(|after| product < after.cell.setup.product) {
                continue;
            }
            let recorded = self.recorded(&product).await?;
            let Concerned { open: affecting, customers } =
                self.concerned(scope, asked, &product, &recorded).await?;
            for (customer, setups) in customers {
                let after = after.filter(|after| after.cell.setup.product == product);
                if after.is_some_and(|after| customer < after.cell.customer) {
                    continue;
                }
                let mut standings = HashMap::new();
                for setup in setups {
                    let after = after.filter(|after| after.cell.customer == customer);
                    if after.is_some_and(|after| setup < after.cell.setup) {
                        continue;
                    }
                    let after = after.filter(|after| after.cell.setup == setup);
                    let Some(advisories) =
                        setup.version.as_ref().and_then(|version| affecting.get(version))
                    else {
                        continue;
                    };
                    let selection = Selection {
                        product: Some(product.clone()),
                        customers: Some([customer.clone()].into()),
                        platform: Some(setup.platform),
                        version: setup.version.clone(),
                        ring: None,
                    };
                    let machines =
                        self.meta.machines_after(&selection, Listed::InUse, after, room).await?;
                    room -= machines.len();
                    for machine in machines {
                        open.next = Some(ListPlace::of(&machine));
                        let known = standing_of(self, &mut standings, &machine).await?;
                        open.found.extend(
                            self.open(scope, (known, &recorded), advisories, &machine).await?,
                        );
                    }
                    if room == 0 {
                        return Ok(open);
                    }
                }
            }
        }
        open.next = None;
        Ok(open)
    }

    /// Which machines of a product may lack the fix of an advisory that is asked for.
    async fn concerned(
        &self,
        scope: &Scope,
        asked: &Asked<'_>,
        product: &ProductName,
        recorded: &Recorded,
    ) -> ServiceResult<Concerned> {
        let standing = self.product_standing(product, None).await?;
        let catalogue = standing.catalogue();
        let advisories: Vec<_> = catalogue
            .advisories()
            .into_iter()
            .filter(|id| asked.advisory.is_none_or(|asked| asked == *id))
            .map(|id| (id, Advisory::new(catalogue, id, affected(recorded, id))))
            .collect();
        let affecting = |version: &Version| {
            let affecting =
                advisories.iter().filter(|(_, it)| it.exposure(version) == Exposure::Affected);
            affecting.map(|(id, _)| (*id).clone()).collect::<BTreeSet<_>>()
        };
        let customers = match asked.customer {
            Some(customer) => Some(BTreeSet::from([customer.clone()])),
            None => scope.customers().cloned(),
        };
        let selection =
            Selection { product: Some(product.clone()), customers, ..Selection::default() };
        let mut concerned = Concerned::default();
        for (cell, _) in self.meta.census_after(&selection, None, usize::MAX).await? {
            let Some(version) = &cell.setup.version else { continue };
            let open = concerned.open.entry(version.clone());
            if !open.or_insert_with_key(affecting).is_empty() {
                concerned.customers.entry(cell.customer).or_default().insert(cell.setup);
            }
        }
        Ok(concerned)
    }

    /// Of which of the advisories that affect what runs a machine lacks the fix, and why.
    async fn open(
        &self,
        scope: &Scope,
        (standing, recorded): (&ProductStanding, &Recorded),
        advisories: &BTreeSet<AdvisoryId>,
        machine: &MachineRecord,
    ) -> ServiceResult<Vec<OpenMachine>> {
        let Some(running) = &machine.running else { return Ok(Vec::new()) };
        let catalogue = standing.catalogue();
        let seat = self.seat(standing, machine).await?;
        let resolution = standing.resolve(machine, seat);
        let last = self.meta.events(&machine.name, 1).await?.pop();
        let last = last.filter(|told| told.event.number > machine.event_number_before);
        let failed = own_blocks(machine);
        let circumstances = Circumstances {
            silent_since: self
                .silence
                .is_broken_off(machine.seen_at, standing.now())
                .then_some(machine.seen_at),
            going_back_to: machine.pending_order().map(|order| &order.to),
            offered: &machine.offered,
            failed: &failed,
            waits: machine.waits.as_deref(),
            last: last.as_ref().map(|told| &told.event),
            at: standing.now(),
        };
        let open = advisories.iter().filter_map(|id| {
            let advisory = Advisory::new(catalogue, id, affected(recorded, id));
            let first_fix = first_fix(standing, &advisory, machine);
            // That there is something which only others may have is not told to a customer's people.
            if *scope != Scope::Everything && !first_fix.is_shown {
                return None;
            }
            let cause = match standing.contract() {
                Some(_) => Cause::of(&advisory, &resolution, &circumstances),
                None => not_begun(machine),
            };
            let tier = standing.contract().and_then(|contract| contract.tier);
            let said = recorded.get(id).and_then(|record| record.severity);
            let severity = said.or_else(|| advisory.severity())?;
            let since = advisory.open_since(first_fix.at?, machine.enrolled_at, &machine.runs);
            let days = self.tiers.patch_days(tier).of(severity).filter(|_| cause.kind.counts());
            Some(OpenMachine {
                advisory: id.clone(),
                severity,
                machine: machine.name.clone(),
                host: machine.host.clone(),
                customer: machine.customer.clone(),
                contract: machine.contract.clone(),
                tier,
                product: machine.product.clone(),
                platform: machine.platform.clone(),
                running: running.clone(),
                since,
                agreed_until: days.map(|days| days_after(since, days)),
                seen_at: machine.seen_at,
                cause,
            })
        });
        Ok(open.collect())
    }
}

/// What is recorded of the advisories of a product.
pub(super) type Recorded = BTreeMap<AdvisoryId, AdvisoryRecord>;

/// What is recorded as affected by an advisory; nothing where nothing is.
fn affected<'a>(recorded: &'a Recorded, id: &AdvisoryId) -> &'a [AffectedRange] {
    recorded.get(id).map_or(&[], |record| &record.affected)
}

/// Which machines of a product may lack a fix.
#[derive(Default)]
struct Concerned {
    /// The advisories that affect each version that runs anywhere.
    open: HashMap<Version, BTreeSet<AdvisoryId>>,
    /// The setups of those that run an affected one, by the customers whose machines have them.
    customers: BTreeMap<CustomerName, BTreeSet<Setup>>,
}

/// When the first fix came out, for a machine.
struct FirstFix {
    at: Option<Timestamp>,
    /// Whether a fix is out of which its customer may know.
    is_shown: bool,
}

/// The first fix that is made for a machine's platform and of which its customer may know; where there
/// is none, the first of all.
fn first_fix(
    standing: &ProductStanding,
    advisory: &Advisory<'_>,
    machine: &MachineRecord,
) -> FirstFix {
    let known = |version: &Version| standing.known_release(version);
    let fits = |version: &Version| {
        known(version).is_some_and(|release| release.artifacts.contains_key(&machine.platform))
    };
    let shown = advisory.first_fix(|release| known(&release.version).is_some());
    let own = advisory.first_fix(|release| fits(&release.version));
    let at = own.or(shown).or_else(|| advisory.first_fix(|_| true));
    FirstFix { at, is_shown: shown.is_some() }
}

/// The contract's standing, which is looked up once.
async fn standing_of<'a>(
    service: &Service,
    standings: &'a mut HashMap<ContractName, ProductStanding>,
    machine: &MachineRecord,
) -> ServiceResult<&'a ProductStanding> {
    match standings.entry(machine.contract.clone()) {
        Entry::Occupied(known) => Ok(known.into_mut()),
        Entry::Vacant(unknown) => {
            let standing = service.standing(&machine.contract, &machine.product).await?;
            Ok(unknown.insert(standing))
        }
    }
}

/// The versions that a machine has blocked by itself.
fn own_blocks(machine: &MachineRecord) -> BTreeSet<Version> {
    let own = machine.as_actor();
    let blocks = machine.blocks.iter().filter(|block| block.by == own);
    blocks.map(|block| block.block.through.clone()).collect()
}

fn not_begun(machine: &MachineRecord) -> Cause {
    Cause {
        kind: CauseKind::NotEntitled,
        code: Code::NotStarted.to_string(),
        message: format!("Contract {} has not begun.", machine.contract),
        remedy: None,
    }
}
