//! Contracts as they are amended and imported, and what enrolling makes of them.

use mainstay_client::format::Channel;
use serde_json::{Value, json};

use super::world::{World, actor, after_days};
use crate::{
    policy::{Amendment, Change, Contract, Exit, Term, Tier},
    service::{
        ServiceError, ServiceResult,
        contract::{AmendContract, ContractView, CreateActivationKey, CreateContract},
        import::{ImportContracts, Imported},
    },
    store::MetaStore as _,
};

/// Amends the contract of globex on day `day`, from day `from` on.
async fn amend(world: &World, day: i64, from: i64, change: Change) -> ServiceResult<ContractView> {
    let request = AmendContract { at: Some(after_days(from)), change };
    world.on_day(day).amend_contract(&actor(), &"globex".parse().unwrap(), request).await
}

fn days_of_grace(days: u32) -> Change {
    let change = json!({ "kind": "set_conditions", "grace_days": days });
    serde_json::from_value(change).unwrap()
}

fn set_tier(tier: Tier) -> Change {
    Change::SetTier { tier, preset: None }
}

#[track_caller]
fn refused(answer: ServiceResult<ContractView>, expected: &str) {
    let error = answer.unwrap_err();
    assert_eq!(error.code(), "CONTRACT_REFUSED");
    let problems = error.problems();
    assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:?}");
}

async fn amendments(world: &World) -> Vec<Amendment> {
    world.meta.contract(&"globex".parse().unwrap()).await.unwrap().amendments
}

#[tokio::test]
async fn what_was_agreed_for_later_does_not_revive_a_contract_that_ends_before() {
    let world = World::new().await;
    world.customer("globex", Tier::Basic).await;
    let extend = Change::Extend { until: after_days(5000) };
    amend(&world, 1, 400, extend.clone()).await.unwrap();
    let end = Change::Terminate { exit: Exit::Fallback };
    amend(&world, 2, 300, end).await.unwrap();
    let amendments = amendments(&world).await;
    let later = Contract::at(&amendments, after_days(401)).unwrap();
    assert_eq!(later.paid_until(after_days(401)), Some(after_days(300)));
    // One that has ended is not lengthened any more, and says so.
    refused(amend(&world, 301, 301, extend).await, "has ended for good: expected a new contract");
}

#[tokio::test]
async fn a_change_that_is_dated_back_leaves_no_past_that_cannot_be() {
    let world = World::new().await;
    world.customer("globex", Tier::Basic).await;
    let signed = Contract::at(&amendments(&world).await, after_days(0)).unwrap();
    // From day 10 to 20 the terms overlap; on day 30 the contract is signed anew.
    amend(&world, 30, 20, Change::Create { contract: signed }).await.unwrap();
    let term = Term { start: after_days(100), end: after_days(4000) };
    refused(amend(&world, 30, 10, Change::Renew { term }).await, "overlaps");
}

#[tokio::test]
async fn the_conditions_of_a_lower_tier_are_its_own_whatever_was_agreed_for_later() {
    let world = World::new().await;
    world.customer("globex", Tier::Enterprise).await;
    amend(&world, 1, 200, days_of_grace(400)).await.unwrap();
    refused(amend(&world, 2, 2, set_tier(Tier::Basic)).await, "set_conditions is for");
    // Once the contract is of that tier again by then, it may.
    amend(&world, 2, 150, set_tier(Tier::Enterprise)).await.unwrap();
    amend(&world, 2, 2, set_tier(Tier::Basic)).await.unwrap();

    let mut contract = Contract::at(&amendments(&world).await, after_days(2)).unwrap();
    contract.grace_days = 400;
    let anew = Change::Create { contract };
    refused(amend(&world, 3, 3, anew).await, "grace_days is 400, and the tier basic stands for 0");
}

/// What comes of a row that says of globex's contract, or a new one, what `contract` does.
async fn import(world: &World, row: Value, check_only: bool) -> ServiceResult<Imported> {
    let request = ImportContracts { contracts: vec![row], check_only };
    world.on_day(1).import_contracts(&actor(), request).await
}

#[tokio::test]
async fn a_contract_does_not_change_hands_by_an_import_that_changes_nothing_else() {
    let world = World::new().await;
    world.customer("globex", Tier::Basic).await;
    let contract = Contract::at(&amendments(&world).await, after_days(1)).unwrap();
    let row = json!({ "name": "globex", "customer": "hooli", "contract": contract });
    for check_only in [true, false] {
        let error: ServiceError = import(&world, row.clone(), check_only).await.unwrap_err();
        assert_eq!(error.code(), "IMPORT_REFUSED");
        let expected = "row 1 (globex): customer is hooli: the contract is one of globex";
        assert_eq!(error.problems(), [expected]);
    }
    world.meta.customer(&"hooli".parse().unwrap()).await.unwrap_err();
    let row = json!({ "name": "globex", "customer": "globex", "contract": contract });
    let imported = import(&world, row, false).await.unwrap();
    assert_eq!((imported.unchanged, imported.customers.len()), (1, 0));
}

#[tokio::test]
async fn a_machine_that_enrols_too_early_is_told_when_its_contract_begins() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    world.customer("globex", Tier::Basic).await;
    let contract = Contract::at(&amendments(&world).await, after_days(0)).unwrap();
    let request = CreateContract {
        name: "globex-2".parse().unwrap(),
        customer: "globex".parse().unwrap(),
        at: Some(after_days(30)),
        contract,
    };
    world.on_day(0).create_contract(&actor(), request).await.unwrap();
    let (name, request) = ("globex-2".parse().unwrap(), CreateActivationKey::default());
    let key = world.on_day(0).create_activation_key(&actor(), name, request).await.unwrap();
    let error = world.enroll(&key.activation_key, 7).await.unwrap_err();
    assert_eq!(error.code(), "NOT_STARTED");
    assert_eq!(
        error.message(),
        format!("contract globex-2 has not begun: expected {} or later", after_days(30))
    );
    world.enroll_as(30, &key.activation_key, 7, "host").await.unwrap();
}
