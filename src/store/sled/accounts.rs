//! The transactions on customers, contracts and credentials.

use jiff::Timestamp;
use sled::transaction::TransactionalTree;

use super::{
    super::{
        ActivationKeyRecord, AuditEntry, ContractImport, ContractRecord, CustomerRecord,
        StoreError, StoreResult, TokenRecord,
    },
    audit,
    tables::{
        ACTIVATION_KEYS, ACTIVATION_KEYS_BY_DIGEST, CONTRACTS, CUSTOMERS, TOKENS, TOKENS_BY_DIGEST,
    },
};

pub(super) fn create_customer(
    transaction: &TransactionalTree,
    customer: &CustomerRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    CUSTOMERS.add(transaction, &customer.name, customer)?;
    audit::append(transaction, entry)
}

pub(super) fn create_contract(
    transaction: &TransactionalTree,
    contract: &ContractRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    CUSTOMERS.read(transaction, &contract.customer)?;
    CONTRACTS.add(transaction, &contract.name, contract)?;
    audit::append(transaction, entry)
}

pub(super) fn amend_contract(
    transaction: &TransactionalTree,
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
    transaction: &TransactionalTree,
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
    transaction: &TransactionalTree,
    token: &TokenRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    TOKENS.add(transaction, &token.id, token)?;
    TOKENS_BY_DIGEST.add(transaction, &token.sha256, &token.id)?;
    audit::append(transaction, entry)
}

pub(super) fn revoke_token(
    transaction: &TransactionalTree,
    id: &str,
    at: Timestamp,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let id = id.to_owned();
    let mut token = TOKENS.read(transaction, &id)?;
    // What was revoked once has been so since then.
    token.revoked_at.get_or_insert(at);
    TOKENS.put(transaction, &id, &token)?;
    audit::append(transaction, entry)
}

pub(super) fn create_activation_key(
    transaction: &TransactionalTree,
    key: &ActivationKeyRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    CONTRACTS.read(transaction, &key.contract)?;
    ACTIVATION_KEYS.add(transaction, &key.id, key)?;
    ACTIVATION_KEYS_BY_DIGEST.add(transaction, &key.sha256, &key.id)?;
    audit::append(transaction, entry)
}
