//! Whose affairs somebody may see. Whatever people ask for of customers, their contracts and their
//! machines is loaded here, and by nothing else: each function wants the scope of whoever asks.

use std::{collections::BTreeSet, fmt::Display};

use mainstay_client::format::{ContractName, CustomerName, MachineName, ProductName};

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

    /// Whether a decision may be shown. What the vendor keeps from a customer's machines, it keeps
    /// from whoever supports that customer.
    pub(super) fn shows(&self, code: Code) -> bool {
        *self == Self::Everything || !matches!(code, Code::NotFound | Code::UnknownProduct)
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
    /// Those within the scope.
    pub(super) within: Vec<ContractRecord>,
    /// The last that was read; nothing where there are no more.
    pub(super) last: Option<ContractName>,
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
        scope.one("customer", name, self.meta.customer(name).await)
    }

    pub(super) async fn customers_in(&self, scope: &Scope) -> ServiceResult<Vec<CustomerRecord>> {
        Ok(scope.all(self.meta.customers().await?))
    }

    pub(super) async fn contract_in(
        &self,
        scope: &Scope,
        name: &ContractName,
    ) -> ServiceResult<ContractRecord> {
        scope.one("contract", name, self.meta.contract(name).await)
    }

    pub(super) async fn contracts_in(&self, scope: &Scope) -> ServiceResult<Vec<ContractRecord>> {
        Ok(scope.all(self.meta.contracts().await?))
    }

    /// The contracts within the scope among the next `limit` of all.
    pub(super) async fn contracts_after_in(
        &self,
        scope: &Scope,
        after: Option<ContractName>,
        limit: usize,
    ) -> ServiceResult<ContractsRead> {
        let read = self.meta.contracts_after(after.as_ref(), limit).await?;
        let last = read.last().map(|contract| contract.name.clone());
        Ok(ContractsRead { within: scope.all(read), last })
    }

    pub(super) async fn machine_in(
        &self,
        scope: &Scope,
        name: &MachineName,
    ) -> ServiceResult<MachineRecord> {
        scope.one("machine", name, self.meta.machine(name).await)
    }

    pub(super) async fn machines_in(&self, scope: &Scope) -> ServiceResult<Vec<MachineRecord>> {
        Ok(scope.all(self.meta.machines().await?))
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
