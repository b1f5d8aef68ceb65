//! Customers, contracts and credentials.

use std::collections::BTreeSet;

use mainstay_client::format::{ContractName, CustomerName, Digest};

use super::{
    super::{
        ActivationKeyRecord, ContractImport, ContractRecord, CustomerRecord, MetaStore,
        OrganisationRecord, Role, StoreResult, TokenRecord,
    },
    at, entry, expect_audited, expect_conflict, missing,
};
use crate::policy::{Amendment, Change};

pub(super) async fn customers_and_contracts(store: &dyn MetaStore, scope: &str) {
    let customer = customer(scope, "contracts");
    let contract = contract(scope, "c1", &customer.name);
    missing(store.customer(&customer.name).await);
    missing(store.contract(&contract.name).await);
    missing(store.create_contract(contract.clone(), entry("x")).await);

    let change = store.create_customer(customer.clone(), entry("customer.create"));
    expect_audited(store, "customer.create", change).await;
    assert_eq!(store.customer(&customer.name).await.unwrap(), customer);
    let customers = store.customers().await.unwrap();
    assert!(customers.contains(&customer));
    assert!(customers.is_sorted_by_key(|customer| customer.name.clone()));
    let other = CustomerRecord { title: "Other".to_owned(), ..customer.clone() };
    expect_conflict(store, store.create_customer(other, entry("x"))).await;
    assert_eq!(store.customer(&customer.name).await.unwrap(), customer);

    let tagged = CustomerRecord { tags: ["bank".parse().unwrap()].into(), ..customer.clone() };
    let change = store.change_customer(customer.clone(), tagged.clone(), entry("customer.tag"));
    expect_audited(store, "customer.tag", change).await;
    assert_eq!(store.customer(&customer.name).await.unwrap(), tagged);
    let stale = store.change_customer(customer.clone(), customer.clone(), entry("x"));
    expect_conflict(store, stale).await;
    assert_eq!(store.customer(&customer.name).await.unwrap(), tagged);
    let nobody = CustomerRecord { name: "nobody".parse().unwrap(), ..customer.clone() };
    missing(store.change_customer(nobody.clone(), nobody, entry("x")).await);

    let change = store.create_contract(contract.clone(), entry("contract.create"));
    expect_audited(store, "contract.create", change).await;
    expect_conflict(store, store.create_contract(contract.clone(), entry("x"))).await;
    let contracts = store.contracts().await.unwrap();
    assert!(contracts.contains(&contract));
    assert!(contracts.is_sorted_by_key(|contract| contract.name.clone()));
    amendments(store, contract).await;
    import(store, scope).await;
    pages(store).await;
}

/// Whatever the size of a page, the pages are all there is, in order.
async fn pages(store: &dyn MetaStore) {
    let all = store.contracts().await.unwrap();
    let customers: BTreeSet<_> = all.iter().map(|contract| contract.customer.clone()).collect();
    let before_all = "0".parse().unwrap();
    for customer in customers.iter().map(Some).chain([None]) {
        let is_theirs = |it: &&ContractRecord| customer.is_none_or(|one| it.customer == *one);
        let expected: Vec<_> = all.iter().filter(is_theirs).cloned().collect();
        for limit in [1, 2, expected.len(), expected.len() + 1] {
            let mut read = Vec::new();
            loop {
                let after = read.last().map(|contract: &ContractRecord| contract.name.clone());
                let page = store.contracts_after(customer, after.as_ref(), limit).await.unwrap();
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                read.extend(page);
            }
            assert_eq!(read, expected, "{customer:?}, {limit}");
        }
        let read = store.contracts_after(customer, Some(&before_all), all.len()).await.unwrap();
        assert_eq!(read, expected);
    }
    let nobody = "nobody".parse().unwrap();
    assert_eq!(store.contracts_after(Some(&nobody), None, 1).await.unwrap(), []);
}

async fn import(store: &dyn MetaStore, scope: &str) {
    let new_customer = customer(scope, "imported");
    let new = contract(scope, "c-imported", &new_customer.name);
    let import = ContractImport {
        customers: vec![(new_customer.clone(), entry("import"))],
        created: vec![(new.clone(), entry("import"))],
        changed: Vec::new(),
    };
    store.import_contracts(import.clone()).await.unwrap();
    assert_eq!(store.contract(&new.name).await.unwrap(), new);

    // One that cannot be keeps all the others out.
    let second = contract(scope, "c-second", &new_customer.name);
    let mut suspended = new.clone();
    suspended.amendments.push(amendment(10, Change::Suspend));
    let stale = ContractRecord { amendments: Vec::new(), ..new.clone() };
    for wrong in [stale, contract(scope, "c-unknown", &new_customer.name)] {
        let import = ContractImport {
            customers: Vec::new(),
            created: vec![(second.clone(), entry("x"))],
            changed: vec![(suspended.clone(), entry("x")), (wrong, entry("x"))],
        };
        store.import_contracts(import).await.unwrap_err();
        missing(store.contract(&second.name).await);
        assert_eq!(store.contract(&new.name).await.unwrap(), new);
    }
    expect_conflict(store, store.import_contracts(import)).await;
    let import = ContractImport {
        customers: Vec::new(),
        created: vec![(second.clone(), entry("import"))],
        changed: vec![(suspended.clone(), entry("import"))],
    };
    store.import_contracts(import).await.unwrap();
    assert_eq!(store.contract(&new.name).await.unwrap(), suspended);
    assert_eq!(store.contract(&second.name).await.unwrap(), second);
}

async fn amendments(store: &dyn MetaStore, contract: ContractRecord) {
    let amend = |amendments: Vec<Amendment>| {
        store.amend_contract(ContractRecord { amendments, ..contract.clone() }, entry("amend"))
    };
    let [first] = <[Amendment; 1]>::try_from(contract.amendments.clone()).unwrap();
    let [suspend, resume] = [amendment(10, Change::Suspend), amendment(20, Change::Resume)];

    expect_audited(store, "amend", amend(vec![first.clone(), suspend.clone()])).await;
    let stored = store.contract(&contract.name).await.unwrap();
    assert_eq!(stored.amendments, [first.clone(), suspend.clone()]);

    let refused = [
        vec![],
        vec![first.clone()],
        // Somebody else's amendment, made upon what was read before.
        vec![first.clone(), resume.clone()],
        vec![suspend.clone(), first.clone(), resume.clone()],
        vec![first.clone(), suspend.clone(), resume.clone(), resume.clone()],
    ];
    for amendments in refused {
        let message = expect_conflict(store, amend(amendments)).await;
        assert!(message.contains("has 2 amendments"), "{message}");
    }
    let elsewhere = ContractRecord {
        customer: "somebody-else".parse().unwrap(),
        amendments: vec![first.clone(), suspend.clone(), resume.clone()],
        ..contract.clone()
    };
    expect_conflict(store, store.amend_contract(elsewhere, entry("x"))).await;
    assert_eq!(store.contract(&contract.name).await.unwrap(), stored);
    let unknown = ContractRecord { name: "no-such-contract".parse().unwrap(), ..contract.clone() };
    missing(store.amend_contract(unknown, entry("x")).await);
    amend(vec![first, suspend, resume]).await.unwrap();
}

pub(super) async fn organisations(store: &dyn MetaStore, scope: &str) {
    let served = customer(scope, "served");
    let bare = OrganisationRecord {
        name: format!("{scope}-support").parse().unwrap(),
        title: "Support & Sons".to_owned(),
        created_at: at(0),
        customers: [].into(),
    };
    let serving = OrganisationRecord { customers: [served.name.clone()].into(), ..bare.clone() };
    missing(store.organisation(&bare.name).await);
    missing(store.create_organisation(serving.clone(), entry("x")).await);
    missing(store.change_organisation(bare.clone(), serving.clone(), entry("x")).await);

    let change = store.create_organisation(bare.clone(), entry("create"));
    expect_audited(store, "create", change).await;
    expect_conflict(store, store.create_organisation(bare.clone(), entry("x"))).await;
    missing(store.change_organisation(bare.clone(), serving.clone(), entry("x")).await);
    assert_eq!(store.organisation(&bare.name).await.unwrap(), bare);

    store.create_customer(served, entry("customer.create")).await.unwrap();
    let serve = || store.change_organisation(bare.clone(), serving.clone(), entry("serve"));
    expect_audited(store, "serve", serve()).await;
    expect_conflict(store, serve()).await;
    assert_eq!(store.organisation(&bare.name).await.unwrap(), serving);
    let organisations = store.organisations().await.unwrap();
    assert!(organisations.contains(&serving));
    assert!(organisations.is_sorted_by_key(|organisation| organisation.name.clone()));

    let theirs = TokenRecord { organisation: Some(bare.name), ..token(scope, "theirs") };
    let nobodys = Some(format!("{scope}-nobody").parse().unwrap());
    let nobodys = TokenRecord { organisation: nobodys, ..theirs.clone() };
    missing(store.create_token(nobodys, entry("x")).await);
    store.create_token(theirs.clone(), entry("token")).await.unwrap();
    assert_eq!(store.token(&theirs.sha256).await.unwrap(), theirs);
}

pub(super) async fn tokens(store: &dyn MetaStore, scope: &str) {
    let [second, first] = [token(scope, "b"), token(scope, "a")];
    missing(store.token(&first.sha256).await);
    for token in [&second, &first] {
        expect_audited(store, "token", store.create_token(token.clone(), entry("token"))).await;
        assert_eq!(store.token(&token.sha256).await.unwrap(), *token);
    }
    let tokens = store.tokens().await.unwrap();
    assert!(tokens.contains(&first) && tokens.contains(&second));
    assert!(tokens.is_sorted_by_key(|token| token.id.clone()));

    let same_id = TokenRecord { sha256: Digest::of(b"another secret"), ..first.clone() };
    expect_conflict(store, store.create_token(same_id.clone(), entry("x"))).await;
    missing(store.token(&same_id.sha256).await);
    let same_secret = TokenRecord { id: format!("{scope}-c"), ..first.clone() };
    expect_conflict(store, store.create_token(same_secret.clone(), entry("x"))).await;
    assert!(!store.tokens().await.unwrap().contains(&same_secret));

    let revoke = |seconds| store.revoke_token(&first.id, None, at(seconds), entry("revoke"));
    expect_audited(store, "revoke", revoke(50)).await;
    expect_audited(store, "revoke", revoke(60)).await;
    let revoked = TokenRecord { revoked_at: Some(at(50)), ..first.clone() };
    assert_eq!(store.token(&first.sha256).await.unwrap(), revoked, "the first revocation counts");
    assert_eq!(store.token(&second.sha256).await.unwrap(), second);
    missing(store.revoke_token("no-such-token", None, at(0), entry("x")).await);

    // Of two who revoke each other, one is left.
    let upon = |provided| store.revoke_token(&second.id, provided, at(70), entry("revoke"));
    missing(upon(Some("no-such-token")).await);
    expect_conflict(store, upon(Some(&first.id))).await;
    assert_eq!(store.token(&second.sha256).await.unwrap(), second);
    let third = token(scope, "third");
    store.create_token(third.clone(), entry("token")).await.unwrap();
    expect_audited(store, "revoke", upon(Some(&third.id))).await;
}

pub(super) async fn activation_keys(store: &dyn MetaStore, scope: &str) {
    let key = |id: &str, secret: &str, contract: &ContractName| ActivationKeyRecord {
        id: format!("{scope}-{id}"),
        sha256: Digest::of(format!("{scope} key {secret}").as_bytes()),
        contract: contract.clone(),
        created_at: at(0),
        expires_at: Some(at(99)),
    };
    let contract = contracted(store, scope, "keys").await.unwrap();
    let first = key("a", "1", &contract);
    missing(store.activation_key(&first.sha256).await);
    let nowhere = key("a", "1", &"no-such-contract".parse().unwrap());
    missing(store.create_activation_key(nowhere, entry("x")).await);

    let change = store.create_activation_key(first.clone(), entry("key"));
    expect_audited(store, "key", change).await;
    assert_eq!(store.activation_key(&first.sha256).await.unwrap(), first);
    for taken in [key("a", "2", &contract), key("b", "1", &contract)] {
        expect_conflict(store, store.create_activation_key(taken, entry("x"))).await;
    }
    missing(store.activation_key(&key("a", "2", &contract).sha256).await);
    assert_eq!(store.activation_key(&first.sha256).await.unwrap(), first);
}

/// A contract that is stored already, and its customer of the same name.
pub(super) async fn contracted(
    store: &dyn MetaStore,
    scope: &str,
    name: &str,
) -> StoreResult<ContractName> {
    let customer = customer(scope, name);
    let contract = contract(scope, name, &customer.name);
    let name = contract.name.clone();
    store.create_customer(customer, entry("customer.create")).await?;
    store.create_contract(contract, entry("contract.create")).await?;
    Ok(name)
}

fn customer(scope: &str, name: &str) -> CustomerRecord {
    let name = format!("{scope}-{name}").parse().unwrap();
    CustomerRecord {
        name,
        title: "Ä Customer, Ltd.".to_owned(),
        created_at: at(0),
        tags: BTreeSet::new(),
    }
}

fn contract(scope: &str, name: &str, customer: &CustomerName) -> ContractRecord {
    ContractRecord {
        name: format!("{scope}-{name}").parse().unwrap(),
        customer: customer.clone(),
        amendments: vec![amendment(0, Change::SetSeats { seats: Some(5) })],
    }
}

fn amendment(seconds: i64, change: Change) -> Amendment {
    Amendment { at: at(seconds), recorded_at: Some(at(seconds + 1)), change }
}

fn token(scope: &str, id: &str) -> TokenRecord {
    TokenRecord {
        id: format!("{scope}-{id}"),
        sha256: Digest::of(format!("{scope} {id}").as_bytes()),
        role: Role::Support,
        label: "a person".to_owned(),
        organisation: None,
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
    }
}
