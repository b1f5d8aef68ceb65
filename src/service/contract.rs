//! Customers, their contracts and activation keys.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_client::format::{
    Channel, ContractName, CustomerName, ProductName, Tag, schema::Instant,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Actor, Hidden, Service, ServiceError, ServiceResult,
    access::{ACTIVATION_KEY_PREFIX, Secret},
    instant,
    seats::SeatUse,
};
use crate::{
    policy::{Amendment, Change, Contract, Explained, Status, Tiers, safeguard::Condition},
    store::{ActivationKeyRecord, ContractRecord, CustomerRecord},
};

/// `POST /v1/customers`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCustomer {
    /// The short name.
    pub name: CustomerName,
    /// What people call it; the short name where it is absent.
    #[serde(default)]
    pub title: Option<String>,
}

/// `POST /v1/customers/{customer}/tags`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagCustomer {
    /// The tags that the customer is to have.
    #[serde(default)]
    pub add: BTreeSet<Tag>,
    /// The tags that it is not to have.
    #[serde(default)]
    pub remove: BTreeSet<Tag>,
}

/// `POST /v1/contracts`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateContract {
    /// The name.
    pub name: ContractName,
    /// Whose contract it is.
    pub customer: CustomerName,
    /// From when on it is in effect, which may be before it is recorded or after; now where it is
    /// absent.
    #[serde(default, deserialize_with = "instant::read")]
    #[schemars(with = "Option<Instant>")]
    pub at: Option<Timestamp>,
    /// What it says.
    pub contract: Contract,
}

/// `POST /v1/contracts/{contract}/amendments`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AmendContract {
    /// From when on it is in force; now where it is absent.
    #[serde(default, deserialize_with = "instant::read")]
    #[schemars(with = "Option<Instant>")]
    pub at: Option<Timestamp>,
    /// What changes.
    pub change: Change,
}

/// `POST /v1/contracts/{contract}/activation-keys`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateActivationKey {
    /// From when on it is not accepted.
    #[serde(default, deserialize_with = "instant::read")]
    #[schemars(with = "Option<Instant>")]
    pub expires_at: Option<Timestamp>,
}

/// An activation key as it is shown once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IssuedActivationKey {
    /// By what people and the audit trail name it.
    pub id: String,
    /// The secret.
    pub activation_key: String,
    /// The contract under which machines enrol.
    pub contract: ContractName,
    /// From when on it is not accepted.
    #[schemars(with = "Option<Instant>")]
    pub expires_at: Option<Timestamp>,
}

/// `POST /v1/contracts/{contract}/explain`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainContract {
    /// The product.
    pub product: ProductName,
    /// The instant; now where it is absent.
    #[serde(default, deserialize_with = "instant::read")]
    #[schemars(with = "Option<Instant>")]
    pub at: Option<Timestamp>,
    /// A change to try. It is not made.
    #[serde(default)]
    pub with: Option<Change>,
    /// Whether releases that the customer is not to know of are among them.
    #[serde(default)]
    pub hidden: Hidden,
}

/// What a contract grants of one release, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContractExplanation {
    /// The decision, its rule and its sentence.
    #[serde(flatten)]
    pub explained: Explained,
    /// The kind of the release.
    pub channel: Channel,
    /// Whether the vendor still gives it out.
    pub status: Status,
    /// When it was published.
    #[schemars(with = "Instant")]
    pub published_at: Timestamp,
}

/// A contract with what it says now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ContractView {
    /// Its amendments.
    #[serde(flatten)]
    pub record: ContractRecord,
    /// What it says now; nothing before it begins.
    pub now: Option<Contract>,
    /// How many of its seats are taken, where one contract was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<SeatUse>,
}

impl Service {
    /// Adds a customer.
    pub async fn create_customer(
        &self,
        actor: &Actor,
        request: CreateCustomer,
    ) -> ServiceResult<CustomerRecord> {
        let CreateCustomer { name, title } = request;
        let title = title.unwrap_or_else(|| name.to_string());
        let title = self.remark("title", &title)?;
        let (created_at, tags) = (self.clock.now(), BTreeSet::new());
        let customer = CustomerRecord { name, title, created_at, tags };
        let audit = self.audit(actor, "customer.create", &customer.name);
        self.meta.create_customer(customer.clone(), audit).await?;
        Ok(customer)
    }

    /// All customers that the actor may see.
    pub async fn customers(&self, actor: &Actor) -> ServiceResult<Vec<CustomerRecord>> {
        self.customers_in(&actor.scope).await
    }

    /// One customer.
    pub async fn customer(
        &self,
        actor: &Actor,
        name: &CustomerName,
    ) -> ServiceResult<CustomerRecord> {
        self.customer_in(&actor.scope, name).await
    }

    /// Gives a customer tags and takes others from it.
    pub async fn tag_customer(
        &self,
        actor: &Actor,
        name: &CustomerName,
        request: TagCustomer,
    ) -> ServiceResult<CustomerRecord> {
        let before = self.customer(actor, name).await?;
        let TagCustomer { add, remove } = request;
        if let Some(both) = add.intersection(&remove).next() {
            return Err(ServiceError::input(format!(
                "tag {both} is to be added and removed: expected one of the two"
            )));
        }
        let mut after = before.clone();
        after.tags.retain(|tag| !remove.contains(tag));
        after.tags.extend(add);
        if after.tags.len() > Condition::ENTRIES_MAX {
            return Err(ServiceError::input(format!(
                "customer {name} would have {} tags: expected at most {}",
                after.tags.len(),
                Condition::ENTRIES_MAX
            )));
        }
        if after == before {
            return Ok(after);
        }
        let mut audit = self.audit(actor, "customer.tag", name);
        let tags: Vec<_> = after.tags.iter().map(Tag::as_str).collect();
        audit.detail = format!("tags: {}", tags.join(", "));
        audit.before = Some(serde_json::to_value(&before.tags)?);
        self.meta.change_customer(before, after.clone(), audit).await?;
        Ok(after)
    }

    /// Adds a contract.
    pub async fn create_contract(
        &self,
        actor: &Actor,
        request: CreateContract,
    ) -> ServiceResult<ContractView> {
        let CreateContract { name, customer, at, contract } = request;
        let problems = [contract.problems(), self.tiers.deviations(&contract)].concat();
        refuse_if_any(&name, problems)?;
        let now = self.clock.now();
        let at = at.unwrap_or(now);
        let change = Change::Create { contract };
        let amendments = vec![Amendment { at, recorded_at: Some(now), change }];
        let record = ContractRecord { name, customer, amendments };
        let mut audit = self.audit(actor, "contract.create", &record.name);
        audit.detail = format!("customer {}, in effect from {at} on", record.customer);
        self.meta.create_contract(record.clone(), audit).await?;
        Ok(view(record, now))
    }

    /// Adds an amendment to a contract.
    pub async fn amend_contract(
        &self,
        actor: &Actor,
        name: &ContractName,
        request: AmendContract,
    ) -> ServiceResult<ContractView> {
        let now = self.clock.now();
        let mut record = self.contract_in(&actor.scope, name).await?;
        let at = request.at.unwrap_or(now);
        if let Some(began_at) = record.began_at().filter(|began_at| at < *began_at) {
            return Err(ServiceError::input(format!(
                "the amendment is dated {at}, before the contract began: expected {began_at} or \
                 later"
            )));
        }
        let change = self.settled(request.change)?;
        let detail = format!("in effect from {at} on: {}", serde_json::to_string(&change)?);
        let before = Contract::at(&record.amendments, now);
        let objection = Contract::objection_at(&record.amendments, &change, at);
        let deviations = match &change {
            Change::Create { contract } => self.tiers.deviations(contract),
            _ => Vec::new(),
        };
        refuse_if_any(name, objection.into_iter().chain(deviations).collect())?;
        record.amendments.push(Amendment { at, recorded_at: Some(now), change });
        let misplaced = Contract::misplaced_conditions(&record.amendments, at);
        refuse_if_any(name, [problems_from(&record, at), misplaced].concat())?;
        let mut audit = self.audit(actor, "contract.amend", name);
        audit.detail = detail;
        audit.before = before.map(serde_json::to_value).transpose()?;
        self.meta.amend_contract(record.clone(), audit).await?;
        Ok(view(record, now))
    }

    /// The change as it is recorded: with what its tier stands for now.
    fn settled(&self, change: Change) -> ServiceResult<Change> {
        match change {
            Change::SetTier { tier, preset: None } => {
                Ok(Change::SetTier { tier, preset: Some(self.tiers.preset(tier)) })
            }
            Change::SetTier { preset: Some(_), .. } => Err(ServiceError::input(
                "set_tier has a preset: expected the tier alone, what it stands for is the \
                 server's to say",
            )),
            change => Ok(change),
        }
    }

    /// What each tier stands for.
    pub fn tiers(&self) -> &Tiers {
        &self.tiers
    }

    /// All contracts that the actor may see.
    pub async fn contracts(&self, actor: &Actor) -> ServiceResult<Vec<ContractView>> {
        let now = self.clock.now();
        let contracts = self.contracts_in(&actor.scope).await?;
        Ok(contracts.into_iter().map(|record| view(record, now)).collect())
    }

    /// One contract.
    pub async fn contract(
        &self,
        actor: &Actor,
        name: &ContractName,
    ) -> ServiceResult<ContractView> {
        let view = view(self.contract_in(&actor.scope, name).await?, self.clock.now());
        let limit = view.now.as_ref().and_then(|now| now.seats);
        Ok(ContractView { seats: Some(self.seat_use(name, limit).await?), ..view })
    }

    /// For every release of a product that was out by then what the contract grants, the lowest
    /// version first. A machine's history does not come into it. To try a change is the vendor's
    /// affair: it could bring to light what is kept from the customer.
    pub async fn explain_contract(
        &self,
        actor: &Actor,
        name: &ContractName,
        question: ExplainContract,
    ) -> ServiceResult<Vec<ContractExplanation>> {
        let ExplainContract { product, at, with, hidden } = question;
        let record = self.contract_in(&actor.scope, name).await?;
        if with.is_some() {
            actor.require_vendor("try a change of a contract")?;
        }
        let at = at.unwrap_or_else(|| self.clock.now());
        let contract = Contract::at(&record.amendments, at).ok_or_else(|| {
            let began_at = record.began_at().unwrap_or(Timestamp::MAX);
            ServiceError::input(format!(
                "contract {name} had not begun at {at}: expected {began_at} or later"
            ))
        })?;
        let whose = (&record.customer, &contract);
        let standing = self.product_in(&actor.scope, whose, &product).await?;
        let contract = match with {
            Some(change) => {
                let objection = Contract::objection_at(&record.amendments, &change, at);
                refuse_if_any(name, objection.into_iter().collect())?;
                contract.amended(&self.settled(change)?, at)
            }
            None => contract,
        };
        require_sound(name, &contract)?;
        let mut explanations = standing.explain_contract(&contract, at)?;
        explanations.retain(|it| actor.scope.shows(it.explained.decision.code, hidden));
        Ok(explanations)
    }

    /// Makes an activation key of a contract.
    pub async fn create_activation_key(
        &self,
        actor: &Actor,
        contract: ContractName,
        request: CreateActivationKey,
    ) -> ServiceResult<IssuedActivationKey> {
        let CreateActivationKey { expires_at } = request;
        let now = self.clock.now();
        if expires_at.is_some_and(|expires| expires <= now) {
            return Err(ServiceError::input(format!(
                "expires_at is past: expected a time after {now}"
            )));
        }
        let secret = Secret::generate(ACTIVATION_KEY_PREFIX)?;
        let id = secret.id("key-");
        let record = ActivationKeyRecord {
            id: id.clone(),
            sha256: secret.sha256,
            contract: contract.clone(),
            created_at: now,
            expires_at,
        };
        let mut audit = self.audit(actor, "activation_key.create", &id);
        audit.detail = format!("contract {contract}");
        self.meta.create_activation_key(record, audit).await?;
        Ok(IssuedActivationKey { id, activation_key: secret.text, contract, expires_at })
    }
}

fn view(record: ContractRecord, now: Timestamp) -> ContractView {
    ContractView { now: Contract::at(&record.amendments, now), record, seats: None }
}

/// Everything that is wrong with the contract from `instant` on: with what it says then, and with
/// every later amendment.
pub(super) fn problems_from(record: &ContractRecord, instant: Timestamp) -> Vec<String> {
    let instants = record.amendments.iter().map(|amendment| amendment.at.max(instant));
    let instants: BTreeSet<_> = instants.chain([instant]).collect();
    let contracts = instants.into_iter().map(|at| Contract::at(&record.amendments, at));
    let problems = contracts.flat_map(|contract| match contract {
        Some(contract) => contract.problems(),
        None => vec!["the contract has not begun".to_owned()],
    });
    let mut told = BTreeSet::new();
    problems.filter(|problem| told.insert(problem.clone())).collect()
}

fn require_sound(name: &ContractName, contract: &Contract) -> ServiceResult<()> {
    refuse_if_any(name, contract.problems())
}

fn refuse_if_any(name: &ContractName, problems: Vec<String>) -> ServiceResult<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!("contract {name} is refused; nothing was changed");
    Err(ServiceError::refused("CONTRACT_REFUSED", message, problems))
}
