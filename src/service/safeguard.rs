//! Safeguards: releases that the vendor holds back from machines on which they do harm.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use mainstay_client::format::{CustomerName, ProductName, Tag, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ATTEMPTS_MAX, Actor, ErrorClass, Service, ServiceError, ServiceResult};
use crate::{
    policy::safeguard::{Condition, Match, Subject, WhereUnknown},
    store::{MachineRecord, SafeguardRecord, StoreError},
};

/// `POST /v1/products/{product}/safeguards`, and `…/safeguards/preview`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSafeguard {
    /// The releases that are held back.
    pub versions: BTreeSet<Version>,
    /// Which machines they are held back from.
    pub condition: Condition,
    /// What becomes of machines that have not told what the condition is about.
    #[serde(default)]
    pub where_unknown: WhereUnknown,
    /// Why. Owners of machines are shown it.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// `POST /v1/products/{product}/safeguards/{number}/lift`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiftSafeguard {
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// The safeguards of a product.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Safeguards {
    /// Those in force, by number.
    pub in_force: Vec<SafeguardRecord>,
    /// Those that were lifted, by number.
    pub lifted: Vec<SafeguardRecord>,
}

/// Which machines a safeguard reaches, as they are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SafeguardReach {
    /// How many machines the product has that are not retired.
    pub machines: usize,
    /// How many of them the releases are held back from, by customer.
    pub held: BTreeMap<CustomerName, usize>,
    /// How many of those have not told what the condition is about, and are held back from for that.
    pub held_as_unknown: usize,
    /// How many are given the releases because they have not told what the condition is about.
    pub delivered_as_unknown: usize,
    /// How many run one of the releases already and meet the condition. They go on running it.
    pub running: usize,
}

impl Service {
    /// Which machines a safeguard would reach. Nothing is done.
    pub async fn preview_safeguard(
        &self,
        actor: &Actor,
        product: &ProductName,
        request: CreateSafeguard,
    ) -> ServiceResult<SafeguardReach> {
        let safeguard = self.safeguard(actor, product, request).await?;
        let customers = self.meta.customers().await?;
        let tags: BTreeMap<&CustomerName, &BTreeSet<Tag>> =
            customers.iter().map(|customer| (&customer.name, &customer.tags)).collect();
        let none = BTreeSet::new();
        let mut reach = SafeguardReach {
            machines: 0,
            held: BTreeMap::new(),
            held_as_unknown: 0,
            delivered_as_unknown: 0,
            running: 0,
        };
        self.each_machine(product, |machine| {
            let tags = tags.get(&machine.customer).copied().unwrap_or(&none);
            reach.count(&safeguard, &machine, tags);
        })
        .await?;
        Ok(reach)
    }

    /// Holds releases back from the machines that meet a condition, from their next check on.
    pub async fn create_safeguard(
        &self,
        actor: &Actor,
        product: &ProductName,
        request: CreateSafeguard,
    ) -> ServiceResult<SafeguardRecord> {
        let safeguard = self.safeguard(actor, product, request).await?;
        for _ in 0..ATTEMPTS_MAX {
            let number = self.next_safeguard(product).await?;
            let safeguard = SafeguardRecord { number, ..safeguard.clone() };
            let mut audit = self.audit(actor, "safeguard.create", subject(product, number));
            audit.reason = Some(safeguard.word.reason.clone());
            audit.ticket.clone_from(&safeguard.word.ticket);
            audit.detail = serde_json::to_string(&(&safeguard.versions, &safeguard.condition))?;
            match self.meta.create_safeguard(safeguard.clone(), audit).await {
                // Somebody else has had the number.
                Err(StoreError::Conflict(_)) => {}
                created => {
                    created?;
                    return Ok(safeguard);
                }
            }
        }
        Err(ServiceError::new(
            ErrorClass::Unavailable,
            "BUSY",
            format!("safeguards of {product} keep being added; try again"),
        ))
    }

    /// Gives the releases to the machines that they were held back from.
    pub async fn lift_safeguard(
        &self,
        actor: &Actor,
        product: &ProductName,
        number: u64,
        request: LiftSafeguard,
    ) -> ServiceResult<SafeguardRecord> {
        let LiftSafeguard { reason, ticket } = request;
        let word = self.word(actor, &reason, ticket.as_deref())?;
        let mut audit = self.audit(actor, "safeguard.lift", subject(product, number));
        audit.reason = Some(word.reason.clone());
        audit.ticket.clone_from(&word.ticket);
        self.meta.lift_safeguard(product, number, word, audit).await?;
        let lifted = self.meta.lifted_safeguards(product).await?;
        lifted.into_iter().find(|safeguard| safeguard.number == number).ok_or_else(|| {
            ServiceError::internal(format!("safeguard {number} was lifted, and is gone"))
        })
    }

    /// The safeguards of a product.
    pub async fn safeguards(&self, product: &ProductName) -> ServiceResult<Safeguards> {
        self.meta.product(product).await?;
        let in_force = self.meta.safeguards(product).await?;
        Ok(Safeguards { in_force, lifted: self.meta.lifted_safeguards(product).await? })
    }

    /// The safeguard that is asked for, which has no number yet.
    async fn safeguard(
        &self,
        actor: &Actor,
        product: &ProductName,
        request: CreateSafeguard,
    ) -> ServiceResult<SafeguardRecord> {
        let CreateSafeguard { versions, condition, where_unknown, reason, ticket } = request;
        let known = self.meta.releases(product).await?;
        let is_known = |version: &&Version| known.iter().any(|it| it.release.version == **version);
        if let Some(unknown) = versions.iter().find(|version| !is_known(version)) {
            return Err(ServiceError::new(
                ErrorClass::NotFound,
                "NOT_FOUND",
                format!("{product} has no release {unknown}"),
            ));
        }
        if versions.is_empty() {
            return Err(ServiceError::input(
                "no version is given: expected one or more".to_owned(),
            ));
        }
        if condition.is_empty() {
            return Err(ServiceError::input(
                "the condition asks for nothing, so that every machine would meet it: expected at \
                 least one of platform, running, kernel, distributions, components, customer_tags, \
                 customers"
                    .to_owned(),
            ));
        }
        if let Some(problem) = condition.problem() {
            return Err(ServiceError::input(problem));
        }
        let word = self.word(actor, &reason, ticket.as_deref())?;
        let product = product.clone();
        Ok(SafeguardRecord {
            product,
            number: 0,
            versions,
            condition,
            where_unknown,
            word,
            lifted: None,
        })
    }

    async fn next_safeguard(&self, product: &ProductName) -> ServiceResult<u64> {
        let Safeguards { in_force, lifted } = self.safeguards(product).await?;
        let last = in_force.iter().chain(&lifted).map(|safeguard| safeguard.number).max();
        Ok(last.unwrap_or(0) + 1)
    }
}

fn subject(product: &ProductName, number: u64) -> String {
    format!("{product} safeguard {number}")
}

impl SafeguardReach {
    fn count(
        &mut self,
        safeguard: &SafeguardRecord,
        machine: &MachineRecord,
        tags: &BTreeSet<Tag>,
    ) {
        self.machines += 1;
        let found = safeguard.condition.matches(&subject_of(machine, tags));
        let holds = found.holds(safeguard.where_unknown);
        if holds {
            *self.held.entry(machine.customer.clone()).or_default() += 1;
        }
        match found {
            Match::Unknown if holds => self.held_as_unknown += 1,
            Match::Unknown => self.delivered_as_unknown += 1,
            Match::Met => {
                let runs =
                    machine.running.as_ref().is_some_and(|it| safeguard.versions.contains(it));
                self.running += usize::from(runs);
            }
            Match::NotMet => {}
        }
    }
}

/// What a safeguard's condition looks at of a machine.
fn subject_of<'a>(machine: &'a MachineRecord, customer_tags: &'a BTreeSet<Tag>) -> Subject<'a> {
    Subject {
        platform: &machine.platform,
        running: machine.running.as_ref(),
        facts: machine.facts.as_ref(),
        customer: &machine.customer,
        customer_tags,
    }
}

/// The safeguards of a product that are in force, as they concern one customer.
#[derive(Debug, Default)]
pub(super) struct InForce {
    safeguards: Arc<Vec<SafeguardRecord>>,
    customer_tags: BTreeSet<Tag>,
}

impl InForce {
    /// Why releases are held back from the machine.
    pub(super) fn reasons(&self, machine: &MachineRecord) -> BTreeMap<&Version, &str> {
        let subject = subject_of(machine, &self.customer_tags);
        let mut reasons = BTreeMap::new();
        for safeguard in &*self.safeguards {
            if safeguard.condition.matches(&subject).holds(safeguard.where_unknown) {
                for version in &safeguard.versions {
                    reasons.entry(version).or_insert(safeguard.word.reason.as_str());
                }
            }
        }
        reasons
    }
}

impl Service {
    /// The safeguards of a product, as they concern `customer`.
    pub(super) async fn safeguards_for(
        &self,
        safeguards: &Arc<Vec<SafeguardRecord>>,
        customer: Option<&CustomerName>,
    ) -> ServiceResult<InForce> {
        let ask_for_tags = safeguards.iter().any(|it| !it.condition.customer_tags.is_empty());
        let customer_tags = match customer.filter(|_| ask_for_tags) {
            Some(customer) => self.meta.customer(customer).await?.tags,
            None => BTreeSet::new(),
        };
        Ok(InForce { safeguards: Arc::clone(safeguards), customer_tags })
    }
}
