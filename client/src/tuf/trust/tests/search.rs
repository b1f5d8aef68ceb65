//! The search through delegations.

use serde_json::json;

use super::*;

/// A targets role by `name` that lists nothing and delegates to each of `roles` (name, paths,
/// whether it is terminating), whose key is always the same.
fn delegating(roles: &[(&str, &str, bool)]) -> Targets {
    let roles = roles
        .iter()
        .map(|(name, path, terminating)| DelegatedRole {
            terminating: *terminating,
            ..delegated(name, role(&[Signer::Bugfix], 1), &[path])
        })
        .collect();
    let delegations = Delegations { keys: keys(&[Signer::Bugfix]), roles, succinct_roles: None };
    Targets { delegations: Some(delegations), ..targets(1, &[]) }
}

/// Searches for `path`, taking in each role that is asked for from `documents`, and says which were
/// and how it ended: with the target's length, where it is found.
fn search(
    top: &Targets,
    documents: &[(&str, Targets)],
    path: &str,
) -> (Vec<String>, Result<Option<u64>, Refusal>) {
    let listed: Vec<_> = documents.iter().map(|(name, _)| (*name, 1)).collect();
    let mut repository = repository(Limits::DEFAULT, top, &listed);
    let mut asked = Vec::new();
    loop {
        let delegation = match repository.search(path) {
            Ok(Search::Load(delegation)) => delegation,
            Ok(Search::Found(target)) => return (asked, Ok(Some(target.length))),
            Ok(Search::Absent) => return (asked, Ok(None)),
            Err(refusal) => return (asked, Err(refusal)),
        };
        let name = delegation.role().to_owned();
        let document = documents.iter().find(|(known, _)| *known == name);
        asked.push(name);
        let bytes = document.map(|(_, document)| signed(document, &[Signer::Bugfix]));
        if let Err(refusal) = repository.accept(&delegation, &bytes.unwrap_or_default()) {
            return (asked, Err(refusal));
        }
    }
}

fn with(mut document: Targets, path: &str, length: u64) -> Targets {
    document.targets.extend(targets(1, &[(path, length)]).targets);
    document
}

#[test]
fn roles_are_asked_in_pre_order() {
    let top = delegating(&[("a", "*", false), ("b", "*", false)]);
    let documents = [
        ("a", delegating(&[("c", "*", false), ("d", "x", false), ("e", "y", false)])),
        ("b", with(targets(1, &[]), "x", 2)),
        ("c", targets(1, &[])),
        ("d", targets(1, &[])),
        ("e", targets(1, &[])),
    ];
    let (asked, found) = search(&top, &documents, "x");
    assert_eq!((asked.join(" "), found.unwrap()), ("a c d b".to_owned(), Some(2)));
    let (asked, found) = search(&top, &documents, "z");
    assert_eq!((asked.join(" "), found.unwrap()), ("a c b".to_owned(), None));
}

#[test]
fn a_terminating_role_and_its_own_have_the_last_word() {
    let top = delegating(&[("a", "*", false), ("b", "*", false)]);
    let documents = [
        ("a", delegating(&[("c", "*", true), ("d", "*", false)])),
        ("b", with(targets(1, &[]), "x", 2)),
        ("c", delegating(&[("e", "*", false)])),
        ("d", with(targets(1, &[]), "x", 4)),
        ("e", targets(1, &[])),
    ];
    let (asked, found) = search(&top, &documents, "x");
    assert_eq!((asked.join(" "), found.unwrap()), ("a c e".to_owned(), None));
}

#[test]
fn a_cycle_ends() {
    let top = delegating(&[("a", "*", false)]);
    let documents = [
        ("a", delegating(&[("b", "*", false)])),
        ("b", delegating(&[("a", "*", false), ("b", "*", false), ("c", "*", false)])),
        ("c", with(targets(1, &[]), "x", 3)),
    ];
    let (asked, found) = search(&top, &documents, "x");
    assert_eq!((asked.join(" "), found.unwrap()), ("a b c".to_owned(), Some(3)));
}

#[test]
fn so_many_roles_are_asked_and_no_more() {
    let names: Vec<_> = (0..=Limits::DEFAULT.delegations_max).map(|i| format!("r{i}")).collect();
    let roles: Vec<_> = names.iter().map(|name| (name.as_str(), "*", false)).collect();
    let documents: Vec<_> = names.iter().map(|name| (name.as_str(), targets(1, &[]))).collect();
    let (asked, found) = search(&delegating(&roles), &documents, "x");
    assert_eq!(asked.len(), 32);
    let message = refused(found, "x", Rule::Length);
    insta::assert_snapshot!(message, @"x is refused (length): more than 32 roles may speak for it");
    let (asked, found) = search(&delegating(&roles[1..]), &documents, "x");
    assert_eq!((asked.len(), found.unwrap()), (32, None));
}

#[test]
fn a_path_has_a_greatest_length() {
    let repository = repository(Limits::DEFAULT, &delegating(&[]), &[]);
    assert!(matches!(repository.search(&"a".repeat(1024)).unwrap(), Search::Absent));
    let message = refused(repository.search(&"a".repeat(1025)), "target path", Rule::Length);
    insta::assert_snapshot!(message, @"target path is refused (length): 1025 bytes: expected at most 1024");
}

/// What one delegator has vouched for is not believed in another's name: `shared` is signed by
/// the key that `a` names for it and not by the one that `b` does.
#[test]
fn a_role_is_verified_for_each_who_delegates_to_it() {
    let top = delegating(&[("a", "a/*", false), ("b", "b/*", false)]);
    let shared = |path: &str, signer: Signer| {
        let roles = vec![delegated("shared", role(&[signer], 1), &[path])];
        let delegations = Delegations { keys: keys(&[signer]), roles, succinct_roles: None };
        Targets { delegations: Some(delegations), ..targets(1, &[]) }
    };
    let listed = [("a", 1), ("b", 1), ("shared", 1)];
    let mut repository = repository(Limits::DEFAULT, &top, &listed);
    for (name, signer) in [("a", Signer::SecurityA), ("b", Signer::SecurityB)] {
        let document = shared(&format!("{name}/*"), signer);
        repository.accept_role(name, &signed(&document, &[Signer::Bugfix])).unwrap();
    }
    let shared = targets(1, &[("a/x", 1), ("b/x", 666)]);
    let bytes = signed(&shared, &[Signer::SecurityA]);
    let Search::Load(for_a) = repository.search("a/x").unwrap() else { unreachable!() };
    repository.accept(&for_a, &bytes).unwrap();
    assert!(matches!(repository.search("a/x").unwrap(), Search::Found(_)));
    let Search::Load(for_b) = repository.search("b/x").unwrap() else {
        panic!("what `a` vouched for was found in the name of `b`")
    };
    refused(repository.accept(&for_b, &bytes), "shared", Rule::Threshold);
    // Nor may the two be told different things.
    let other = signed(&targets(1, &[("b/x", 666)]), &[Signer::SecurityB]);
    let message = refused(repository.accept(&for_b, &other), "shared", Rule::Digest);
    insta::assert_snapshot!(message, @"shared version 1 is refused (digest): two documents of one version: expected the same from all who delegate");
    let same = signed(&shared, &[Signer::SecurityB]);
    repository.accept(&for_b, &same).unwrap();
    assert!(matches!(repository.search("b/x").unwrap(), Search::Found(_)));
}

#[test]
fn roles_alike_divide_the_paths_among_them() {
    let succinct = serde_json::from_value(json!({
        "keyids": keys(&[Signer::Bugfix]).keys().collect::<Vec<_>>(),
        "threshold": 1,
        "bit_length": 4,
        "name_prefix": "bin",
    }))
    .unwrap();
    let delegations = Delegations {
        keys: keys(&[Signer::Bugfix]),
        roles: Vec::new(),
        succinct_roles: Some(succinct),
    };
    let top = Targets { delegations: Some(delegations), ..targets(1, &[]) };
    // `printf a/b | sha256sum` begins with c
    let documents = [("bin-c", with(targets(1, &[]), "a/b", 7)), ("bin-d", targets(1, &[]))];
    let (asked, found) = search(&top, &documents, "a/b");
    assert_eq!((asked.join(" "), found.unwrap()), ("bin-c".to_owned(), Some(7)));
    let stranger = repository(Limits::DEFAULT, &top, &[("bin-10", 1)])
        .accept_role("bin-10", &signed(&targets(1, &[]), &[Signer::Bugfix]))
        .cloned();
    refused(stranger, "bin-10", Rule::NotListed);
}

#[test]
fn a_role_that_the_snapshot_does_not_list_is_not_taken() {
    let top = delegating(&[("a", "*", false)]);
    let mut repository = repository(Limits::DEFAULT, &top, &[]);
    let bytes = signed(&targets(1, &[]), &[Signer::Bugfix]);
    let Search::Load(delegation) = repository.search("x").unwrap() else { unreachable!() };
    refused(repository.accept(&delegation, &bytes).cloned(), "a", Rule::NotListed);
}
