use serde_json::json;

use super::*;
use crate::format::{Action, PLAN_FORMAT, Plan};

fn plan(number: u64) -> Plan {
    Plan {
        kind: Plan::KIND.to_owned(),
        format: PLAN_FORMAT,
        version: number,
        product: "acme-db".parse().unwrap(),
        customer: "globex".parse().unwrap(),
        machine: "m-1".parse().unwrap(),
        issued: time(JUST_BEFORE),
        expires: time("2026-06-08T00:00:00Z"),
        action: Action::Stay,
        withheld: Vec::new(),
        notices: Vec::new(),
        retry: None,
        collect: None,
        poll_seconds: 900,
    }
}

fn binding() -> PlanBinding {
    let Plan { product, customer, machine, .. } = plan(1);
    PlanBinding { product, customer, machine, version_min: 7 }
}

/// What this machine, which has seen plan 7, makes of `document`.
fn accepted(document: &impl Serialize, signers: &[Signer]) -> Result<Plan, Refusal> {
    let repository = repository(Limits::DEFAULT, &vendor_targets(), &[]);
    repository.plan(&signed(document, signers), &binding())
}

fn by_director(document: &impl Serialize) -> Result<Plan, Refusal> {
    accepted(document, &[Signer::Director])
}

#[test]
fn a_plan_for_this_machine_is_accepted() {
    assert_eq!(by_director(&plan(8)).unwrap(), plan(8));
}

#[test]
fn a_plan_for_anybody_else_is_refused() {
    let product = Plan { product: "acme-web".parse().unwrap(), ..plan(8) };
    let customer = Plan { customer: "initech".parse().unwrap(), ..plan(8) };
    let machine = Plan { machine: "m-2".parse().unwrap(), ..plan(8) };
    for other in [&product, &customer, &machine] {
        refused(by_director(other), "plan", Rule::Binding);
    }
    insta::assert_snapshot!(by_director(&machine).unwrap_err(), @"plan version 8 is refused (binding): it is for product acme-db, customer globex, machine m-2: this is product acme-db, customer globex, machine m-1");
}

#[test]
fn a_plan_older_than_one_that_was_seen_is_a_replay() {
    assert_eq!(by_director(&plan(7)).unwrap().version, 7);
    let message = refused(by_director(&plan(6)), "plan", Rule::Rollback);
    insta::assert_snapshot!(message, @"plan version 6 is refused (rollback): version 7 was seen already");
}

#[test]
fn a_plan_expires_at_the_instant_that_it_names() {
    for (expires, expired) in [(JUST_BEFORE, true), (NOW, true), (JUST_AFTER, false)] {
        let found = by_director(&Plan { expires: time(expires), ..plan(8) });
        if expired {
            refused(found, "plan", Rule::Expired);
        } else {
            found.unwrap();
        }
    }
}

#[test]
fn only_the_director_signs_plans() {
    for signer in [
        Signer::Timestamp,
        Signer::Snapshot,
        Signer::Targets,
        Signer::SecurityA,
        Signer::Bugfix,
        Signer::Stranger,
    ] {
        refused(accepted(&plan(8), &[signer]), "plan", Rule::Threshold);
    }
}

#[test]
fn without_a_director_there_are_no_plans() {
    let bytes = signed(&plan(8), &[Signer::Director]);
    let mut document = vendor_targets();
    document.delegations.as_mut().unwrap().roles.retain(|role| role.name != DIRECTOR);
    for targets in [document, targets(1, &[])] {
        let repository = repository(Limits::DEFAULT, &targets, &[]);
        refused(repository.plan(&bytes, &binding()), DIRECTOR, Rule::NotListed);
    }
}

#[test]
fn only_a_plan_is_a_plan() {
    for (member, value) in [("_type", json!("targets")), ("format", json!(2))] {
        let mut document = serde_json::to_value(plan(8)).unwrap();
        document[member] = value;
        refused(by_director(&document), "plan", Rule::Form);
    }
    let renamed = Plan { kind: "targets".to_owned(), ..plan(8) };
    insta::assert_snapshot!(by_director(&renamed).unwrap_err(), @"plan version 8 is refused (form): it is `targets` of format 1: expected `plan` of format 1");
}

#[test]
fn no_other_document_is_a_plan_and_a_plan_is_no_other_document() {
    refused(by_director(&targets(8, &[])), "plan", Rule::Form);
    refused(by_director(&snapshot(8, &[])), "plan", Rule::Form);
    let mut repository = repository(Limits::DEFAULT, &vendor_targets(), &[("bugfix", 8)]);
    let offered = repository.accept_role("bugfix", &signed(&plan(8), &[Signer::Bugfix]));
    refused(offered, "bugfix", Rule::Form);
}

/// A document that has the members of both kinds is what its `_type` says and nothing else.
#[test]
fn a_document_with_two_shapes_has_one_kind() {
    let mut both = serde_json::to_value(targets(8, &[])).unwrap();
    let members = serde_json::to_value(plan(8)).unwrap();
    both.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    assert_eq!(both["_type"], "plan");
    by_director(&both).unwrap();
    let mut repository = repository(Limits::DEFAULT, &vendor_targets(), &[("bugfix", 8)]);
    let offered = repository.accept_role("bugfix", &signed(&both, &[Signer::Bugfix])).cloned();
    refused(offered, "bugfix", Rule::Form);
    both["_type"] = json!("targets");
    refused(by_director(&both), "plan", Rule::Form);
    repository.accept_role("bugfix", &signed(&both, &[Signer::Bugfix])).unwrap();
}

#[test]
fn a_plan_is_strict_json() {
    let bytes = String::from_utf8(signed(&plan(8), &[Signer::Director])).unwrap();
    let twice = bytes.replacen("\"version\":8", "\"version\":8,\"version\":8", 1);
    assert_ne!(twice, bytes);
    let repository = repository(Limits::DEFAULT, &vendor_targets(), &[]);
    let message = refused(repository.plan(twice.as_bytes(), &binding()), "plan", Rule::Form);
    assert!(message.contains("member `version` stands twice"), "{message}");
}

#[test]
fn a_plan_has_a_greatest_length() {
    let bytes = signed(&plan(8), &[Signer::Director]);
    let judge = |length| {
        let limits = Limits { plan_bytes_max: length, ..Limits::DEFAULT };
        repository(limits, &vendor_targets(), &[]).plan(&bytes, &binding())
    };
    judge(bytes.len() as u64).unwrap();
    refused(judge(bytes.len() as u64 - 1), "plan", Rule::Length);
}
