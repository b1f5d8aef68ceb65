use serde_json::json;

use super::*;

fn both() -> Vec<Signer> {
    [Signer::OLD_ROOTS, Signer::NEW_ROOTS].concat()
}

/// What becomes of the first root when it is offered `next`.
fn rotated(next: &Root, signers: &[Signer]) -> Result<u64, Refusal> {
    let mut trusted = pinned(Limits::DEFAULT);
    trusted.rotate(&signed(next, signers)).map(|_| trusted.version())
}

#[test]
fn a_rotation_needs_the_thresholds_of_both_roots() {
    let next = root(2, &Signer::NEW_ROOTS);
    assert_eq!(rotated(&next, &both()).unwrap(), 2);
    refused(rotated(&next, &Signer::OLD_ROOTS), "root", Rule::Threshold);
    refused(rotated(&next, &Signer::NEW_ROOTS), "root", Rule::Threshold);
    let one_old = [&Signer::NEW_ROOTS[..], &[Signer::RootA]].concat();
    refused(rotated(&next, &one_old), "root", Rule::Threshold);
    let one_new = [&Signer::OLD_ROOTS[..], &[Signer::NewRootA]].concat();
    let message = refused(rotated(&next, &one_new), "root", Rule::Threshold);
    insta::assert_snapshot!(message, @"root version 2 is refused (threshold): 1 of the role's 2 keys have signed: expected at least 2");
}

#[test]
fn a_rotation_takes_exactly_the_next_version() {
    for (number, accepted) in [(1, false), (2, true), (3, false)] {
        let found = rotated(&root(number, &Signer::NEW_ROOTS), &both());
        if accepted {
            assert_eq!(found.unwrap(), number);
        } else {
            refused(found, "root", Rule::Version);
        }
    }
    let skipped = rotated(&root(3, &Signer::NEW_ROOTS), &both()).unwrap_err();
    insta::assert_snapshot!(skipped, @"root version 3 is refused (version): expected the one after version 1");
}

#[test]
fn the_last_version_that_there_is_has_no_next_one() {
    let last = signed(&root(u64::MAX, &Signer::OLD_ROOTS), &Signer::OLD_ROOTS);
    let mut trusted = TrustedRoot::pin(&last, Limits::DEFAULT).unwrap();
    refused(trusted.rotate(&last), "root", Rule::Version);
}

#[test]
fn a_refused_rotation_changes_nothing() {
    let mut trusted = pinned(Limits::DEFAULT);
    let skipped = signed(&root(3, &Signer::NEW_ROOTS), &both());
    refused(trusted.rotate(&skipped), "root", Rule::Version);
    assert_eq!(trusted.version(), 1);
    trusted.rotate(&signed(&root(2, &Signer::NEW_ROOTS), &both())).unwrap();
    assert_eq!(trusted.root(), &root(2, &Signer::NEW_ROOTS));
}

#[test]
fn after_a_rotation_the_replaced_keys_are_worth_nothing() {
    let mut trusted = pinned(Limits::DEFAULT);
    trusted.rotate(&signed(&root(2, &Signer::NEW_ROOTS), &both())).unwrap();
    let by_old = signed(&root(3, &Signer::OLD_ROOTS), &Signer::OLD_ROOTS);
    refused(trusted.rotate(&by_old), "root", Rule::Threshold);
}

#[test]
fn only_the_last_root_must_be_unexpired() {
    let mut expired = root(2, &Signer::NEW_ROOTS);
    expired.header.expires = time(JUST_BEFORE);
    let mut trusted = pinned(Limits::DEFAULT);
    trusted.rotate(&signed(&expired, &both())).unwrap();
    let message = refused(trusted.clone().settle(time(NOW)), "root", Rule::Expired);
    insta::assert_snapshot!(message, @"root version 2 is refused (expired): it expired at 2026-05-31T23:59:59Z; it is 2026-06-01T00:00:00Z now");
    trusted.rotate(&signed(&root(3, &Signer::NEW_ROOTS), &Signer::NEW_ROOTS)).unwrap();
    trusted.settle(time(NOW)).unwrap();
}

#[test]
fn a_root_expires_at_the_instant_that_it_names() {
    for (expires, expired) in [(JUST_BEFORE, true), (NOW, true), (JUST_AFTER, false)] {
        let mut root = root(1, &Signer::OLD_ROOTS);
        root.header.expires = time(expires);
        let pinned = TrustedRoot::pin(&signed(&root, &Signer::OLD_ROOTS), Limits::DEFAULT).unwrap();
        assert_eq!(pinned.settle(time(NOW)).is_err(), expired, "{expires}");
    }
}

#[test]
fn the_first_root_is_signed_by_its_own_threshold() {
    let first = root(1, &Signer::OLD_ROOTS);
    let pin = |signers: &[Signer]| TrustedRoot::pin(&signed(&first, signers), Limits::DEFAULT);
    pin(&Signer::OLD_ROOTS).unwrap();
    refused(pin(&[Signer::RootA]), "root", Rule::Threshold);
    refused(pin(&[Signer::RootA, Signer::Timestamp]), "root", Rule::Threshold);
    refused(pin(&Signer::NEW_ROOTS), "root", Rule::Threshold);
}

#[test]
fn a_document_of_another_kind_is_not_a_root() {
    let mut first = root(1, &Signer::OLD_ROOTS);
    first.header.kind = "targets".to_owned();
    let pinned = TrustedRoot::pin(&signed(&first, &Signer::OLD_ROOTS), Limits::DEFAULT);
    let message = refused(pinned, "root", Rule::Form);
    insta::assert_snapshot!(message, @"root version 1 is refused (form): its _type is `targets`: expected `root`");
}

#[test]
fn only_the_first_major_version_of_the_specification_is_read() {
    for (spec_version, accepted) in
        [("1.0.0", true), ("1.99.0", true), ("2.0.0", false), ("10.0.0", false), ("", false)]
    {
        let mut first = root(1, &Signer::OLD_ROOTS);
        first.header.spec_version = spec_version.to_owned();
        let pinned = TrustedRoot::pin(&signed(&first, &Signer::OLD_ROOTS), Limits::DEFAULT);
        assert_eq!(pinned.is_ok(), accepted, "{spec_version}");
        assert_eq!(pinned.err().and_then(|refusal| refusal.version()), (!accepted).then_some(1));
    }
}

#[test]
fn a_refusal_shows_what_was_found_without_control_characters() {
    let mut first = root(1, &Signer::OLD_ROOTS);
    first.header.kind = "root\u{1b}[31m\u{202e}".to_owned();
    let pinned = TrustedRoot::pin(&signed(&first, &Signer::OLD_ROOTS), Limits::DEFAULT);
    let message = refused(pinned, "root", Rule::Form);
    insta::assert_snapshot!(message, @r"root version 1 is refused (form): its _type is `root\u{1b}[31m\u{202e}`: expected `root`");
}

#[test]
fn what_cannot_be_read_in_one_way_only_is_not_a_root() {
    let pin = |document: &serde_json::Value| {
        TrustedRoot::pin(&signed(document, &Signer::OLD_ROOTS), Limits::DEFAULT)
    };
    let good = serde_json::to_value(root(1, &Signer::OLD_ROOTS)).unwrap();
    pin(&good).unwrap();
    let one_id = good["roles"]["timestamp"]["keyids"][0].clone();
    for (pointer, bad, why) in [
        ("/roles/timestamp/threshold", json!(0), "nonzero"),
        ("/roles/timestamp/threshold", json!(-1), "-1"),
        ("/roles/timestamp/keyids", json!([one_id, one_id]), "stands twice in one role"),
        ("/roles/timestamp/keyids", json!(["\u{1b}"]), "key id"),
        ("/roles/timestamp", json!(null), "null"),
        ("/version", json!(0), "nonzero"),
        ("/version", json!("1"), "string"),
        ("/expires", json!("tomorrow"), "expected 0-9 but got t"),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = bad.clone();
        let message = refused(pin(&document), "root", Rule::Form);
        assert!(message.contains(why), "{pointer} = {bad}: {message}");
    }
}

#[test]
fn members_of_later_versions_are_passed_over_and_signed() {
    let mut document = serde_json::to_value(root(1, &Signer::OLD_ROOTS)).unwrap();
    document["x-vendor"] = json!({ "anything": [1, 2] });
    let bytes = signed(&document, &Signer::OLD_ROOTS);
    let pinned = TrustedRoot::pin(&bytes, Limits::DEFAULT).unwrap();
    assert_eq!(pinned.root(), &root(1, &Signer::OLD_ROOTS));
    let changed = String::from_utf8(bytes).unwrap().replace("anything", "anythinG");
    refused(TrustedRoot::pin(changed.as_bytes(), Limits::DEFAULT), "root", Rule::Threshold);
}

#[test]
fn keys_of_unknown_kinds_are_passed_over_and_do_not_count() {
    let mut document = serde_json::to_value(root(1, &Signer::OLD_ROOTS)).unwrap();
    let id = Signer::RootB.key().public().id().to_string();
    document["keys"][&id]["scheme"] = json!("post-quantum");
    let bytes = signed(&document, &Signer::OLD_ROOTS);
    refused(TrustedRoot::pin(&bytes, Limits::DEFAULT), "root", Rule::Threshold);
    document["roles"]["root"]["threshold"] = json!(1);
    let bytes = signed(&document, &Signer::OLD_ROOTS);
    let pinned = TrustedRoot::pin(&bytes, Limits::DEFAULT).unwrap();
    assert_eq!(pinned.root().keys.len(), root(1, &Signer::OLD_ROOTS).keys.len() - 1);
}

proptest::proptest! {
    /// The document carries one signature more than it needs, so that some changes are harmless.
    #[test]
    fn a_changed_byte_is_refused_or_changes_nothing(
        position: proptest::sample::Index,
        byte: u8,
    ) {
        let roots = [Signer::RootA, Signer::RootB, Signer::RootC];
        let document = root(1, &roots);
        let mut bytes = signed(&document, &roots);
        let index = position.index(bytes.len());
        bytes[index] = byte;
        if let Ok(trusted) = TrustedRoot::pin(&bytes, Limits::DEFAULT) {
            proptest::prop_assert_eq!(trusted.root(), &document);
        }
    }
}

#[test]
fn a_signature_more_than_needed_may_be_damaged() {
    let roots = [Signer::RootA, Signer::RootB, Signer::RootC];
    let bytes = String::from_utf8(signed(&root(1, &roots), &roots)).unwrap();
    let damage = |count| bytes.replacen("\"sig\":\"", "\"sig\":\"00", count);
    let pin = |text: String| TrustedRoot::pin(text.as_bytes(), Limits::DEFAULT);
    pin(damage(1)).unwrap();
    refused(pin(damage(2)), "root", Rule::Threshold);
}

#[test]
fn another_key_or_threshold_of_one_online_role_is_told() {
    let rotated = |change: &dyn Fn(&mut Root)| {
        let mut next = root(2, &Signer::OLD_ROOTS);
        next.keys.extend(keys(&[Signer::Stranger]));
        change(&mut next);
        pinned(Limits::DEFAULT).rotate(&signed(&next, &Signer::OLD_ROOTS)).unwrap()
    };
    assert_eq!(rotated(&|_| {}), Rotation::SameOnlineSigners);
    let more = [Signer::Targets, Signer::Stranger];
    assert_eq!(rotated(&|next| next.roles.targets = role(&more, 2)), Rotation::SameOnlineSigners);
    let both = [Signer::Timestamp, Signer::Stranger];
    for (signers, threshold) in [(&both[1..], 1), (&both, 2)] {
        let other = rotated(&|next| next.roles.timestamp = role(signers, threshold));
        assert_eq!(other, Rotation::OtherOnlineSigners);
        let other = rotated(&|next| next.roles.snapshot = role(signers, threshold));
        assert_eq!(other, Rotation::OtherOnlineSigners);
    }
}
