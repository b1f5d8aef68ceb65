use serde_json::json;

use super::*;
use crate::format::TargetPath;

const SECURITY: [Signer; 2] = [Signer::SecurityA, Signer::SecurityB];

fn path(text: &str) -> TargetPath {
    text.parse().unwrap()
}

/// A repository whose snapshot lists version 1 of every delegated role, and of `stray` besides.
fn delegating(targets: &Targets) -> TrustedRepository {
    let roles = [("security", 1), ("bugfix", 1), ("stray", 1), (DIRECTOR, 1)];
    repository(Limits::DEFAULT, targets, &roles)
}

/// The length of the target `text`, by which these tests tell who spoke for it.
fn found(repository: &TrustedRepository, text: &str) -> Result<u64, Refusal> {
    repository.target(&path(text)).map(|target| target.length)
}

#[test]
fn the_top_level_targets_are_those_that_the_snapshot_lists() {
    let document = targets(2, &[]);
    let bytes = signed(&document, &[Signer::Targets]);
    let accept = |listed: FileMeta| {
        let mut snapshot = snapshot(1, &[]);
        snapshot.meta.insert("targets.json".to_owned(), listed);
        awaiting_targets(Limits::DEFAULT, &snapshot).accept(&bytes)
    };
    let right = FileMeta::of(version(2), &bytes);
    assert_eq!(accept(right.clone()).unwrap().targets(), &document);
    refused(accept(only_version(1)), "targets", Rule::Version);
    let message = refused(accept(only_version(3)), "targets", Rule::Version);
    insta::assert_snapshot!(message, @"targets version 2 is refused (version): the snapshot lists version 3");
    refused(accept(FileMeta { length: Some(1), ..right.clone() }), "targets", Rule::Length);
    let hashes = Some(Hashes::sha256(Digest::of(b"other")));
    refused(accept(FileMeta { hashes, ..right }), "targets", Rule::Digest);
}

#[test]
fn only_the_targets_key_signs_top_level_targets() {
    for signer in [Signer::Timestamp, Signer::Snapshot, Signer::SecurityA, Signer::Director] {
        let trusted = awaiting_targets(Limits::DEFAULT, &snapshot(1, &[("targets", 1)]));
        let found = trusted.accept(&signed(&vendor_targets(), &[signer]));
        refused(found, "targets", Rule::Threshold);
    }
}

#[test]
fn targets_expire_at_the_instant_that_they_name() {
    for (expires, expired) in [(JUST_BEFORE, true), (NOW, true), (JUST_AFTER, false)] {
        let mut document = vendor_targets();
        document.header.expires = time(expires);
        let top = awaiting_targets(Limits::DEFAULT, &snapshot(1, &[("targets", 1)]))
            .accept(&signed(&document, &[Signer::Targets]));
        let mut document = targets(1, &[]);
        document.header.expires = time(expires);
        let mut repository = delegating(&vendor_targets());
        let delegated = repository.accept_role("security", &signed(&document, &SECURITY));
        if expired {
            refused(top, "targets", Rule::Expired);
            refused(delegated, "security", Rule::Expired);
        } else {
            top.unwrap();
            delegated.unwrap();
        }
    }
}

#[test]
fn a_role_to_amend_may_have_expired_and_nothing_else() {
    let mut document = targets(1, &[]);
    document.header.expires = time(JUST_BEFORE);
    let repository = delegating(&vendor_targets());
    let expired = signed(&document, &SECURITY);
    assert_eq!(repository.role_to_amend("security", &expired).unwrap(), document);
    assert!(repository.roles().is_empty(), "nothing is looked up in it");
    let forged = signed(&document, &[Signer::Stranger, Signer::SecurityA]);
    refused(repository.role_to_amend("security", &forged), "security", Rule::Threshold);
    let director = signed(&document, &[Signer::Director]);
    refused(repository.role_to_amend(DIRECTOR, &director), DIRECTOR, Rule::NotListed);
}

#[test]
fn a_delegated_role_is_delegated_and_listed() {
    let role = targets(1, &[]);
    let mut unlisted = repository(Limits::DEFAULT, &vendor_targets(), &[("security", 1)]);
    let refusal = refused(
        unlisted.accept_role("bugfix", &signed(&role, &[Signer::Bugfix])),
        "bugfix",
        Rule::NotListed,
    );
    insta::assert_snapshot!(refusal, @"bugfix is refused (not_listed): the snapshot does not list it");
    let mut listed = delegating(&vendor_targets());
    let refusal = refused(
        listed.accept_role("stray", &signed(&role, &[Signer::Bugfix])),
        "stray",
        Rule::NotListed,
    );
    insta::assert_snapshot!(refusal, @"stray is refused (not_listed): the product's targets do not delegate to it");
    let mut nobody = delegating(&targets(1, &[]));
    refused(
        nobody.accept_role("bugfix", &signed(&role, &[Signer::Bugfix])),
        "bugfix",
        Rule::NotListed,
    );
}

#[test]
fn a_delegated_role_is_signed_by_the_threshold_of_its_own_keys() {
    let role = targets(1, &[]);
    let mut repository = delegating(&vendor_targets());
    for signers in [
        &[Signer::SecurityA][..],
        &[Signer::SecurityA, Signer::Bugfix],
        &[Signer::SecurityA, Signer::Targets],
        &[Signer::Bugfix, Signer::Director],
    ] {
        let found = repository.accept_role("security", &signed(&role, signers));
        refused(found, "security", Rule::Threshold);
    }
    repository.accept_role("security", &signed(&role, &SECURITY)).unwrap();
    assert_eq!(repository.roles().keys().collect::<Vec<_>>(), ["security"]);
}

#[test]
fn a_delegated_role_has_the_version_that_the_snapshot_lists() {
    let mut repository = repository(Limits::DEFAULT, &vendor_targets(), &[("security", 2)]);
    for (number, accepted) in [(1, false), (2, true), (3, false)] {
        let bytes = signed(&targets(number, &[]), &SECURITY);
        let found = repository.accept_role("security", &bytes);
        if accepted {
            found.unwrap();
        } else {
            refused(found, "security", Rule::Version);
        }
    }
}

#[test]
fn a_refused_role_leaves_the_accepted_one_in_place() {
    let mut repository = delegating(&vendor_targets());
    let role = targets(1, &[("bugfix/1.0.1/release.json", 3)]);
    repository.accept_role("bugfix", &signed(&role, &[Signer::Bugfix])).unwrap();
    let other = targets(2, &[]);
    repository.accept_role("bugfix", &signed(&other, &[Signer::Bugfix])).unwrap_err();
    assert_eq!(found(&repository, "bugfix/1.0.1/release.json").unwrap(), 3);
}

#[test]
fn a_role_speaks_only_for_the_paths_that_are_delegated_to_it() {
    let mut repository = delegating(&vendor_targets());
    let paths = [("bugfix/1.0.1/release.json", 1), ("security/1.0.1/release.json", 1)];
    let bugfix = targets(1, &paths);
    repository.accept_role("bugfix", &signed(&bugfix, &[Signer::Bugfix])).unwrap();
    repository.accept_role("security", &signed(&targets(1, &[]), &SECURITY)).unwrap();
    assert_eq!(found(&repository, "bugfix/1.0.1/release.json").unwrap(), 1);
    let message = refused(
        found(&repository, "security/1.0.1/release.json"),
        "security/1.0.1/release.json",
        Rule::NotListed,
    );
    insta::assert_snapshot!(message, @"security/1.0.1/release.json is refused (not_listed): no role that may speak for it lists it");
}

/// Targets in which `security` and `bugfix` may both speak for `shared/…`, `security` first.
fn sharing(first_is_terminating: bool) -> TrustedRepository {
    let mut document = vendor_targets();
    for role in &mut document.delegations.as_mut().unwrap().roles {
        widen(role, "shared/*");
        role.terminating = first_is_terminating;
    }
    delegating(&document)
}

#[test]
fn the_first_role_that_lists_a_target_has_the_word() {
    let mut repository = sharing(false);
    let both = |length| targets(1, &[("shared/both", length)]);
    repository.accept_role("bugfix", &signed(&both(2), &[Signer::Bugfix])).unwrap();
    repository.accept_role("security", &signed(&both(1), &SECURITY)).unwrap();
    assert_eq!(found(&repository, "shared/both").unwrap(), 1);
}

#[test]
fn a_terminating_role_has_the_last_word() {
    for (terminating, expected) in [(false, Some(2)), (true, None)] {
        let mut repository = sharing(terminating);
        let second = targets(1, &[("shared/second", 2)]);
        repository.accept_role("bugfix", &signed(&second, &[Signer::Bugfix])).unwrap();
        repository.accept_role("security", &signed(&targets(1, &[]), &SECURITY)).unwrap();
        assert_eq!(found(&repository, "shared/second").ok(), expected, "{terminating}");
    }
}

#[test]
fn nobody_speaks_in_place_of_a_role_that_is_not_loaded() {
    let mut repository = sharing(false);
    let second = targets(1, &[("shared/second", 2)]);
    repository.accept_role("bugfix", &signed(&second, &[Signer::Bugfix])).unwrap();
    let message = refused(found(&repository, "shared/second"), "shared/second", Rule::NotListed);
    insta::assert_snapshot!(message, @"shared/second is refused (not_listed): role security is not loaded");
}

#[test]
fn the_top_level_targets_come_before_every_delegated_role() {
    let mut document = vendor_targets();
    document.targets = targets(1, &[("bugfix/1.0.1/release.json", 9)]).targets;
    let mut repository = delegating(&document);
    let bugfix = targets(1, &[("bugfix/1.0.1/release.json", 1)]);
    repository.accept_role("bugfix", &signed(&bugfix, &[Signer::Bugfix])).unwrap();
    assert_eq!(found(&repository, "bugfix/1.0.1/release.json").unwrap(), 9);
}

/// The server holds the keys of director, snapshot and timestamp. If the director could list
/// targets, a stolen server could make machines install what the vendor never signed.
#[test]
fn the_director_signs_plans_and_never_targets() {
    let mut document = vendor_targets();
    let roles = &mut document.delegations.as_mut().unwrap().roles;
    widen(roles.last_mut().unwrap(), "*/*/*");
    roles.rotate_right(1);
    assert_eq!(roles[0].name, DIRECTOR);
    let mut repository = delegating(&document);
    let evil = targets(1, &[("bugfix/6.6.6/release.json", 666), (DIRECTOR, 666)]);
    let accepted = repository.accept_role(DIRECTOR, &signed(&evil, &[Signer::Director]));
    let message = refused(accepted, DIRECTOR, Rule::NotListed);
    insta::assert_snapshot!(message, @"director is refused (not_listed): it signs plans: expected a role that lists targets");
    let bugfix = targets(1, &[("bugfix/1.0.1/release.json", 1)]);
    repository.accept_role("bugfix", &signed(&bugfix, &[Signer::Bugfix])).unwrap();
    assert_eq!(found(&repository, "bugfix/1.0.1/release.json").unwrap(), 1);
    refused(found(&repository, DIRECTOR), DIRECTOR, Rule::NotListed);
}

#[test]
fn a_document_of_another_kind_is_not_a_targets_role() {
    let mut document = targets(1, &[]);
    document.header.kind = "plan".to_owned();
    let mut repository = delegating(&vendor_targets());
    let accepted = repository.accept_role("bugfix", &signed(&document, &[Signer::Bugfix]));
    let message = refused(accepted, "bugfix", Rule::Form);
    insta::assert_snapshot!(message, @"bugfix version 1 is refused (form): its _type is `plan`: expected `targets`");
}

#[test]
fn delegations_that_can_be_read_in_two_ways_are_refused() {
    let accept = |document: &serde_json::Value| {
        awaiting_targets(Limits::DEFAULT, &snapshot(1, &[("targets", 1)]))
            .accept(&signed(document, &[Signer::Targets]))
    };
    let good = serde_json::to_value(vendor_targets()).unwrap();
    accept(&good).unwrap();
    let one_id = good["delegations"]["roles"][0]["keyids"][0].clone();
    for (pointer, bad, why) in [
        ("/delegations/roles/0/threshold", json!(0), "nonzero"),
        ("/delegations/roles/0/keyids", json!([one_id, one_id]), "stands twice in one role"),
        ("/delegations/roles/0/name", json!("bugfix"), "role bugfix is delegated to twice"),
        ("/delegations/roles/0/name", json!("root"), "`root` is a top-level role"),
        ("/delegations/roles/0/name", json!("timestamp"), "`timestamp` is a top-level role"),
        ("/delegations/roles/0/name", json!("snapshot"), "`snapshot` is a top-level role"),
        ("/delegations/roles/0/name", json!("targets"), "`targets` is a top-level role"),
        ("/delegations/roles/0/paths", json!(["/etc/*"]), "path pattern"),
        ("/delegations/roles/0/paths", json!([""]), "path pattern"),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = bad.clone();
        let message = refused(accept(&document), "targets", Rule::Form);
        assert!(message.contains(why), "{pointer} = {bad}: {message}");
    }
}
