//! Whose affairs somebody may see. Whatever people ask for of customers, their contracts and their
//! machines is loaded here, and by nothing else: each function wants the scope of whoever asks.

use std::{collections::BTreeSet, fmt::Display};

use mainstay_client::format::{ContractName, CustomerName, MachineName, ProductName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actor, ErrorClass, Service, ServiceError, ServiceResult, standing::ProductStanding};
use crate::{
    policy::{Code, Contract},
    store::{ContractRecord, CustomerRecord, MachineRecord, Role, StoreError, StoreResult},
};

/// Whose affairs somebody may see and act on. What lies outside does not exist for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The vendor's: all customers.
    Everything,
    /// Those of these customers.
    Customers(BTreeSet<CustomerName>),
}

/// Whether decisions on what a customer is not to know of are among the others: for the vendor's own
/// tokens alone, and not for what is passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hidden {
    /// They are left out.
    #[default]
    LeftOut,
    /// They are listed, as `NOT_FOUND`.
    Listed,
}

/// What is some customer's.
trait OfCustomer {
    fn customer(&self) -> &CustomerName;
}

impl OfCustomer for CustomerRecord {
    fn customer(&self) -> &CustomerName {
        &self.name
    }
}

impl OfCustomer for ContractRecord {
    fn customer(&self) -> &CustomerName {
        &self.customer
    }
}

impl OfCustomer for MachineRecord {
    fn customer(&self) -> &CustomerName {
        &self.customer
    }
}

impl Scope {
    /// The roles that a token of an organisation can have.
    pub const ROLES: [Role; 2] = [Role::Support, Role::Viewer];

    /// Whether a decision is shown. What the vendor keeps from a customer's machines, it keeps from
    /// whoever supports that customer, whatever they ask for.
    pub(super) fn shows(&self, code: Code, hidden: Hidden) -> bool {
        !code.is_hidden() || (*self == Self::Everything && hidden == Hidden::Listed)
    }

    /// A customer as far as it is told of: its tags are the vendor's affair.
    fn told(&self, customer: CustomerRecord) -> CustomerRecord {
        match self {
            Self::Everything => customer,
            Self::Customers(_) => CustomerRecord { tags: BTreeSet::new(), ..customer },
        }
    }

    /// The customers that lie within, where not all do.
    pub(super) fn customers(&self) -> Option<&BTreeSet<CustomerName>> {
        match self {
            Self::Everything => None,
            Self::Customers(customers) => Some(customers),
        }
    }

    fn contains(&self, what: &impl OfCustomer) -> bool {
        match self {
            Self::Everything => true,
            Self::Customers(customers) => customers.contains(what.customer()),
        }
    }

    /// What was found, if it lies within. What lies outside is told as what is not there, by the
    /// same words.
    fn one<T: OfCustomer>(
        &self,
        what: &str,
        name: &impl Display,
        found: StoreResult<T>,
    ) -> ServiceResult<T> {
        match found {
            Ok(found) if self.contains(&found) => Ok(found),
            Ok(_) | Err(StoreError::NotFound(_)) => Err(not_found(what, name)),
            Err(error) => Err(error.into()),
        }
    }

    fn all<T: OfCustomer>(&self, mut found: Vec<T>) -> Vec<T> {
        found.retain(|found| self.contains(found));
        found
    }
}

/// Some contracts in the order of their names.
pub(super) struct ContractsRead {
    /// The contracts.
    pub(super) contracts: Vec<ContractRecord>,
    /// Whether there are more after them.
    pub(super) rest: Rest,
}

/// What comes after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    More,
    Nothing,
}

impl Actor {
    /// Refuses what is between the vendor and its customers.
    pub(super) fn require_vendor(&self, what: &str) -> ServiceResult<()> {
        if self.scope == Scope::Everything {
            return Ok(());
        }
        Err(ServiceError::new(
            ErrorClass::Forbidden,
            "VENDOR_ONLY",
            format!("a token of an organisation may not {what}: expected one of the vendor's own"),
        ))
    }
}

impl Service {
    pub(super) async fn customer_in(
        &self,
        scope: &Scope,
        name: &CustomerName,
    ) -> ServiceResult<CustomerRecord> {
        scope.one("customer", name, self.meta.customer(name).await).map(|it| scope.told(it))
    }

    pub(super) async fn customers_in(&self, scope: &Scope) -> ServiceResult<Vec<CustomerRecord>> {
        let customers = scope.all(self.meta.customers().await?);
        Ok(customers.into_iter().map(|customer| scope.told(customer)).collect())
    }

    pub(super) async fn contract_in(
        &self,
        scope: &Scope,
        name: &ContractName,
    ) -> ServiceResult<ContractRecord> {
        scope.one("contract", name, self.meta.contract(name).await)
    }

    pub(super) async fn contracts_in(&self, scope: &Scope) -> ServiceResult<Vec<ContractRecord>> {
        Ok(self.contracts_after_in(scope, None, None, usize::MAX).await?.contracts)
    }

    /// The next `limit` contracts within the scope, those of `customer` where one is named, which is
    /// within the scope.
    pub(super) async fn contracts_after_in(
        &self,
        scope: &Scope,
        customer: Option<&CustomerName>,
        after: Option<&ContractName>,
        limit: usize,
    ) -> ServiceResult<ContractsRead> {
        let one_more = limit.saturating_add(1);
        let mut contracts = match (customer, scope) {
            (None, Scope::Customers(customers)) => {
                let mut theirs = Vec::new();
                for customer in customers {
                    theirs
                        .extend(self.meta.contracts_after(Some(customer), after, one_more).await?);
                }
                theirs.sort_unstable_by(|one, other| one.name.cmp(&other.name));
                theirs
            }
            (customer, _) => self.meta.contracts_after(customer, after, one_more).await?,
        };
        let rest = if contracts.len() > limit { Rest::More } else { Rest::Nothing };
        contracts.truncate(limit);
        Ok(ContractsRead { contracts: scope.all(contracts), rest })
    }

    pub(super) async fn machine_in(
        &self,
        scope: &Scope,
        name: &MachineName,
    ) -> ServiceResult<MachineRecord> {
        scope.one("machine", name, self.meta.machine(name).await)
    }

    /// The product as its vendor sees it. Who asks for customers learns of products that are in the
    /// contract in question only.
    pub(super) async fn product_in(
        &self,
        scope: &Scope,
        (customer, contract): (&CustomerName, &Contract),
        name: &ProductName,
    ) -> ServiceResult<ProductStanding> {
        if *scope != Scope::Everything && !contract.products.contains(name) {
            return Err(not_found("product", name));
        }
        self.product_standing(name, Some(customer)).await
    }
}

fn not_found(what: &str, name: &impl Display) -> ServiceError {
    let message = format!("{what} `{name}` does not exist");
    ServiceError::new(ErrorClass::NotFound, "NOT_FOUND", message)
}
