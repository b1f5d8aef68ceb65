//! The transactions on customers, contracts and credentials.

use jiff::Timestamp;

use super::{
    super::{
        ActivationKeyRecord, AuditEntry, ContractImport, ContractRecord, CustomerRecord,
        OrganisationRecord, StoreError, StoreResult, TokenRecord,
    },
    audit,
    tables::{
        ACTIVATION_KEYS, ACTIVATION_KEYS_BY_DIGEST, CONTRACTS, CONTRACTS_BY_CUSTOMER, CUSTOMERS,
        ORGANISATIONS, TOKENS, TOKENS_BY_DIGEST,
    },
    transaction::Transaction,
};

pub(super) fn create_customer(
    transaction: &Transaction,
    customer: &CustomerRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    CUSTOMERS.add(transaction, &customer.name, customer)?;
    audit::append(transaction, entry)
}

pub(super) fn change_customer(
    transaction: &Transaction,
    before: &CustomerRecord,
    after: &CustomerRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let name = &after.name;
    if CUSTOMERS.read(transaction, name)? != *before {
        return Err(StoreError::Conflict(format!(
            "customer `{name}` has changed since it was read; read it again and retry"
        )));
    }
    CUSTOMERS.put(transaction, name, after)?;
    audit::append(transaction, entry)
}

pub(super) fn create_organisation(
    transaction: &Transaction,
    organisation: &OrganisationRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    require_customers(transaction, organisation)?;
    ORGANISATIONS.add(transaction, &organisation.name, organisation)?;
    audit::append(transaction, entry)
}

pub(super) fn change_organisation(
    transaction: &Transaction,
    before: &OrganisationRecord,
    after: &OrganisationRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let name = &after.name;
    if ORGANISATIONS.read(transaction, name)? != *before {
        return Err(StoreError::Conflict(format!(
            "organisation `{name}` has changed since it was read; read it again and retry"
        )));
    }
    require_customers(transaction, after)?;
    ORGANISATIONS.put(transaction, name, after)?;
    audit::append(transaction, entry)
}

fn require_customers(
    transaction: &Transaction,
    organisation: &OrganisationRecord,
) -> StoreResult<()> {
    organisation
        .customers
        .iter()
        .try_for_each(|customer| CUSTOMERS.read(transaction, customer).map(drop))
}

pub(super) fn create_contract(
    transaction: &Transaction,
    contract: &ContractRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    CUSTOMERS.read(transaction, &contract.customer)?;
    CONTRACTS.add(transaction, &contract.name, contract)?;
    let key = (contract.customer.clone(), contract.name.clone());
    CONTRACTS_BY_CUSTOMER.add(transaction, &key, &contract.name)?;
    audit::append(transaction, entry)
}

pub(super) fn amend_contract(
    transaction: &Transaction,
    contract: &ContractRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let stored = CONTRACTS.read(transaction, &contract.name)?;
    let before = contract.amendments.split_last().map(|(_, before)| before);
    if stored.customer != contract.customer || before != Some(&stored.amendments) {
        return Err(StoreError::Conflict(format!(
            "contract `{}` has {} amendments: expected the same ones and one more, found {}; read \
             the contract again and retry",
            contract.name,
            stored.amendments.len(),
            contract.amendments.len()
        )));
    }
    CONTRACTS.put(transaction, &contract.name, contract)?;
    audit::append(transaction, entry)
}

pub(super) fn import_contracts(
    transaction: &Transaction,
    import: &ContractImport,
) -> StoreResult<()> {
    let ContractImport { customers, created, changed } = import;
    customers
        .iter()
        .try_for_each(|(customer, entry)| create_customer(transaction, customer, entry))?;
    created
        .iter()
        .try_for_each(|(contract, entry)| create_contract(transaction, contract, entry))?;
    changed.iter().try_for_each(|(contract, entry)| amend_contract(transaction, contract, entry))
}

pub(super) fn create_token(
    transaction: &Transaction,
    token: &TokenRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    if let Some(organisation) = &token.organisation {
        ORGANISATIONS.read(transaction, organisation)?;
    }
    TOKENS.add(transaction, &token.id, token)?;
    TOKENS_BY_DIGEST.add(transaction, &token.sha256, &token.id)?;
    audit::append(transaction, entry)
}

pub(super) fn revoke_token(
    transaction: &Transaction,
    id: &str,
    provided: Option<&str>,
    at: Timestamp,
    entry: &AuditEntry,
) -> StoreResult<()> {
    if let Some(provided) = provided
        && TOKENS.read(transaction, &provided.to_owned())?.revoked_at.is_some()
    {
        return Err(StoreError::Conflict(format!(
            "token `{provided}` was revoked just now; look at the tokens again and retry"
        )));
    }
    let id = id.to_owned();
    let mut token = TOKENS.read(transaction, &id)?;
    // What was revoked once has been so since then.
    token.revoked_at.get_or_insert(at);
    TOKENS.put(transaction, &id, &token)?;
    audit::append(transaction, entry)
}

pub(super) fn create_activation_key(
    transaction: &Transaction,
    key: &ActivationKeyRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    CONTRACTS.read(transaction, &key.contract)?;
    ACTIVATION_KEYS.add(transaction, &key.id, key)?;
    ACTIVATION_KEYS_BY_DIGEST.add(transaction, &key.sha256, &key.id)?;
    audit::append(transaction, entry)
}
