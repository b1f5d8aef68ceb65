//! Contracts from another system, a CRM say, which is where they are looked after.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_client::format::{ContractName, CustomerName, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Actor, Service, ServiceError, ServiceResult, contract::problems_from, instant};
use crate::{
    policy::{Amendment, Change, Contract},
    store::{AuditEntry, ContractImport, ContractRecord, CustomerRecord, found},
};

/// `POST /v1/contracts/import`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportContracts {
    /// The rows, each an [`ImportedContract`]. They are read one by one, so that each that is wrong
    /// is named.
    #[schemars(with = "Vec<ImportedContract>")]
    pub contracts: Vec<Value>,
    /// Whether only to say what would come of it.
    #[serde(default)]
    pub check_only: bool,
}

/// A contract as another system has it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedContract {
    /// The name.
    pub name: ContractName,
    /// Whose contract it is. A customer that is not there yet is added.
    pub customer: CustomerName,
    /// What people call a customer that is added; the short name where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// From when on it says so, which may be before it is recorded or after; now where it is absent.
    #[serde(default, deserialize_with = "instant::read", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub at: Option<Timestamp>,
    /// What the contract says.
    pub contract: Contract,
}

/// What came of an import, or would come of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// The customers that were added.
    pub customers: Vec<CustomerName>,
    /// The contracts that are new.
    pub created: Vec<ContractName>,
    /// The contracts that say something else than before.
    pub changed: Vec<ContractName>,
    /// How many contracts say what they said.
    pub unchanged: usize,
}

/// What an import comes to.
#[derive(Default)]
struct Changes {
    customers: Vec<CustomerRecord>,
    created: Vec<ContractRecord>,
    /// Each with what it said before.
    changed: Vec<(ContractRecord, Option<Contract>)>,
    unchanged: usize,
}

impl Changes {
    fn summary(&self) -> Imported {
        Imported {
            customers: self.customers.iter().map(|customer| customer.name.clone()).collect(),
            created: self.created.iter().map(|contract| contract.name.clone()).collect(),
            changed: self.changed.iter().map(|(contract, _)| contract.name.clone()).collect(),
            unchanged: self.unchanged,
        }
    }
}

impl Service {
    /// Takes over contracts from another system: all of them, or none and everything that is wrong
    /// with them. Importing the same again changes nothing, and a contract that is not among them
    /// stays as it is.
    pub async fn import_contracts(
        &self,
        actor: &Actor,
        request: ImportContracts,
    ) -> ServiceResult<Imported> {
        let (rows, mut problems) = parse(&request.contracts);
        let mut customers = BTreeSet::new();
        let now = self.clock.now();
        let mut changes = Changes::default();
        for (index, row) in rows {
            let name = row.name.clone();
            let known = found(self.meta.contract(&name).await)?;
            // A contract that is there has its customer.
            if known.is_none()
                && customers.insert(row.customer.clone())
                && found(self.meta.customer(&row.customer).await)?.is_none()
            {
                match self.new_customer(&row, now) {
                    Ok(customer) => changes.customers.push(customer),
                    Err(error) => problems.push(told(index, &name, &error.to_string())),
                }
            }
            let wrong = changes.take(row, known.as_ref(), now);
            problems.extend(wrong.iter().map(|problem| told(index, &name, problem)));
        }
        if !problems.is_empty() {
            let message = "the import is refused; nothing was changed";
            return Err(ServiceError::refused("IMPORT_REFUSED", message, problems));
        }
        let imported = changes.summary();
        if !request.check_only && changes.unchanged < request.contracts.len() {
            self.meta.import_contracts(self.audited(actor, changes)?).await?;
        }
        Ok(imported)
    }

    fn new_customer(
        &self,
        row: &ImportedContract,
        now: Timestamp,
    ) -> ServiceResult<CustomerRecord> {
        let name = row.customer.clone();
        let title = self.remark("title", row.title.as_deref().unwrap_or(name.as_str()))?;
        Ok(CustomerRecord { name, title, created_at: now, tags: BTreeSet::new() })
    }

    /// The changes with an audit entry each.
    fn audited(&self, actor: &Actor, changes: Changes) -> ServiceResult<ContractImport> {
        let audit = |action: &str, subject: &dyn std::fmt::Display| {
            let detail = "imported".to_owned();
            AuditEntry { detail, ..self.audit(actor, action, subject) }
        };
        let contract_audit = |action: &str, contract: &ContractRecord| {
            let effect = contract.amendments.last().map(|newest| newest.at);
            let effect = effect.map(|at| format!("imported, in effect from {at} on"));
            let detail = effect.unwrap_or_default();
            AuditEntry { detail, ..audit(action, &contract.name) }
        };
        let mut import = ContractImport::default();
        for customer in changes.customers {
            let entry = audit("customer.create", &customer.name);
            import.customers.push((customer, entry));
        }
        for contract in changes.created {
            let entry = contract_audit("contract.create", &contract);
            import.created.push((contract, entry));
        }
        for (contract, before) in changes.changed {
            let before = before.map(serde_json::to_value).transpose()?;
            let entry = AuditEntry { before, ..contract_audit("contract.amend", &contract) };
            import.changed.push((contract, entry));
        }
        Ok(import)
    }
}

impl Changes {
    /// Takes in a row, upon what is `known` of its contract, and says everything that is wrong with
    /// it. A contract that says something else is signed anew in place of what it said.
    fn take(
        &mut self,
        row: ImportedContract,
        known: Option<&ContractRecord>,
        now: Timestamp,
    ) -> Vec<String> {
        let ImportedContract { name, customer, at, contract, .. } = row;
        if let Some(known) = known.filter(|known| known.customer != customer) {
            return vec![format!(
                "customer is {customer}: the contract is one of {}",
                known.customer
            )];
        }
        let at = at.unwrap_or(now);
        let said_at = |at| known.and_then(|known| Contract::at(&known.amendments, at));
        if said_at(at).as_ref() == Some(&contract) {
            self.unchanged += 1;
            return Vec::new();
        }
        let began_at = known.and_then(ContractRecord::began_at);
        if let Some(began_at) = began_at.filter(|began_at| at < *began_at) {
            return vec![format!(
                "at is {at}, before the contract began: expected {began_at} or later"
            )];
        }
        let before = said_at(now);
        let mut amendments = known.map(|known| known.amendments.clone()).unwrap_or_default();
        let change = Change::Create { contract };
        amendments.push(Amendment { at, recorded_at: Some(now), change });
        let record = ContractRecord { name, customer, amendments };
        match known {
            Some(_) => self.changed.push((record.clone(), before)),
            None => self.created.push(record.clone()),
        }
        problems_from(&record, at)
    }
}

/// The rows that can be read, by their places, and what is wrong with the others.
fn parse(documents: &[Value]) -> (Vec<(usize, ImportedContract)>, Vec<String>) {
    let (mut rows, mut problems) = (Vec::with_capacity(documents.len()), Vec::new());
    let mut names = BTreeSet::new();
    for (index, document) in documents.iter().enumerate() {
        match ImportedContract::deserialize(document) {
            Ok(row) if !names.insert(row.name.clone()) => {
                problems.push(told(index, &row.name, "the contract stands here twice"));
            }
            Ok(row) => rows.push((index, row)),
            Err(error) => {
                let name = document["name"].as_str().unwrap_or("without a name");
                problems.push(told(index, name.escape_debug(), &error.to_string()));
            }
        }
    }
    (rows, problems)
}

/// A row is known by its number, from 1, and by its name.
fn told(index: usize, name: impl std::fmt::Display, problem: &str) -> String {
    format!("row {} ({name}): {problem}", index + 1)
}
