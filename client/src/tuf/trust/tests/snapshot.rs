use super::*;

fn by_snapshot_key(document: &impl Serialize) -> Vec<u8> {
    signed(document, &[Signer::Snapshot])
}

/// What becomes of `new` where `old` was trusted before and the timestamp lists `new`'s version.
fn accepted_after(old: &[u8], new: &Snapshot) -> Result<TrustedSnapshot, Refusal> {
    let listed = FileMeta { length: None, hashes: None, version: new.header.version };
    let mut trusted = awaiting_snapshot(Limits::DEFAULT, listed);
    trusted.recall(old);
    trusted.accept(&by_snapshot_key(new))
}

#[test]
fn a_snapshot_has_the_length_that_the_timestamp_lists() {
    let bytes = by_snapshot_key(&snapshot(1, &[("targets", 1)]));
    for (length, accepted) in [(0, true), (1, false), (-1, false)] {
        let mut listed = FileMeta::of(version(1), &bytes);
        listed.length = listed.length.and_then(|right| right.checked_add_signed(length));
        let found = awaiting_snapshot(Limits::DEFAULT, listed).accept(&bytes);
        if accepted {
            found.unwrap();
        } else {
            refused(found, "snapshot", Rule::Length);
        }
    }
}

#[test]
fn a_snapshot_has_the_digest_that_the_timestamp_lists() {
    let bytes = by_snapshot_key(&snapshot(1, &[("targets", 1)]));
    let other = by_snapshot_key(&snapshot(1, &[("targets", 2)]));
    assert_eq!(bytes.len(), other.len());
    let found = awaiting_snapshot(Limits::DEFAULT, FileMeta::of(version(1), &other)).accept(&bytes);
    refused(found, "snapshot", Rule::Digest);
}

#[test]
fn a_snapshot_has_the_version_that_the_timestamp_lists() {
    for listed in [1, 3] {
        let found = awaiting_snapshot(Limits::DEFAULT, only_version(listed))
            .accept(&by_snapshot_key(&snapshot(2, &[("targets", 1)])));
        let message = refused(found, "snapshot", Rule::Version);
        let detail = format!("the timestamp lists version {listed}");
        assert_eq!(message, format!("snapshot version 2 is refused (version): {detail}"));
    }
}

#[test]
fn no_role_disappears_from_a_snapshot() {
    let old = by_snapshot_key(&snapshot(1, &[("security", 2), ("targets", 1)]));
    let found = accepted_after(&old, &snapshot(2, &[("targets", 1)]));
    let message = refused(found, "snapshot", Rule::Rollback);
    insta::assert_snapshot!(message, @"snapshot version 2 is refused (rollback): security.json has disappeared");
}

#[test]
fn no_role_falls_in_a_snapshot() {
    let old = by_snapshot_key(&snapshot(1, &[("security", 2), ("targets", 1)]));
    let found = accepted_after(&old, &snapshot(2, &[("security", 1), ("targets", 2)]));
    let message = refused(found, "snapshot", Rule::Rollback);
    insta::assert_snapshot!(message, @"snapshot version 2 is refused (rollback): security.json fell from version 2 to 1");
}

#[test]
fn roles_stay_rise_and_appear_in_a_snapshot() {
    let old = by_snapshot_key(&snapshot(1, &[("security", 2), ("targets", 1)]));
    let new = snapshot(2, &[("bugfix", 1), ("security", 3), ("targets", 1)]);
    assert_eq!(accepted_after(&old, &new).unwrap().targets().unwrap(), &only_version(1));
}

#[test]
fn a_recalled_snapshot_that_does_not_verify_is_forgotten() {
    let old = snapshot(5, &[("targets", 5)]);
    let new = snapshot(6, &[("targets", 1)]);
    let damaged = String::from_utf8(by_snapshot_key(&old)).unwrap().replace(":5", ":6");
    for forgotten in [damaged.as_bytes(), b"", &signed(&old, &[Signer::Stranger])] {
        accepted_after(forgotten, &new).unwrap();
    }
    refused(accepted_after(&by_snapshot_key(&old), &new), "snapshot", Rule::Rollback);
}

#[test]
fn an_expired_trusted_snapshot_still_shows_a_rollback() {
    let mut old = snapshot(5, &[("targets", 5)]);
    old.header.expires = time(JUST_BEFORE);
    let found = accepted_after(&by_snapshot_key(&old), &snapshot(6, &[("targets", 4)]));
    refused(found, "snapshot", Rule::Rollback);
}

#[test]
fn a_snapshot_expires_at_the_instant_that_it_names() {
    for (expires, expired) in [(JUST_BEFORE, true), (NOW, true), (JUST_AFTER, false)] {
        let mut document = snapshot(1, &[("targets", 1)]);
        document.header.expires = time(expires);
        let found = accepted_after(b"", &document);
        if expired {
            refused(found, "snapshot", Rule::Expired);
        } else {
            found.unwrap();
        }
    }
}

#[test]
fn only_the_snapshot_key_signs_snapshots() {
    for signer in [Signer::Timestamp, Signer::Targets, Signer::Stranger] {
        let bytes = signed(&snapshot(1, &[("targets", 1)]), &[signer]);
        let found = awaiting_snapshot(Limits::DEFAULT, only_version(1)).accept(&bytes);
        refused(found, "snapshot", Rule::Threshold);
    }
}

#[test]
fn a_timestamp_is_not_a_snapshot_whoever_signs_it() {
    let bytes = by_snapshot_key(&timestamp(1, only_version(1)));
    let found = awaiting_snapshot(Limits::DEFAULT, only_version(1)).accept(&bytes);
    refused(found, "snapshot", Rule::Form);
}

#[test]
fn a_snapshot_without_targets_leads_nowhere() {
    let found = accepted_after(b"", &snapshot(1, &[("security", 1)])).unwrap();
    refused(found.targets(), "targets", Rule::NotListed);
    let bytes = signed(&vendor_targets(), &[Signer::Targets]);
    refused(found.accept(&bytes), "targets", Rule::NotListed);
}
