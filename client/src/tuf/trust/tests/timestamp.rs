use super::*;

fn by_timestamp_key(document: &impl Serialize) -> Vec<u8> {
    signed(document, &[Signer::Timestamp])
}

/// What becomes of `new` where `old` was trusted before; the outcome is the timestamp's version and
/// that of the snapshot which it lists.
fn accepted_after(old: &[u8], new: &Timestamp) -> Result<(u64, u64), Refusal> {
    let mut trust = awaiting_timestamp(Limits::DEFAULT);
    trust.recall(old);
    let trusted = trust.accept(&by_timestamp_key(new))?;
    Ok((trusted.version(), trusted.snapshot().version.get()))
}

#[test]
fn a_timestamp_never_falls() {
    let old = by_timestamp_key(&timestamp(5, only_version(7)));
    assert_eq!(accepted_after(&old, &timestamp(6, only_version(8))).unwrap(), (6, 8));
    let message =
        refused(accepted_after(&old, &timestamp(4, only_version(8))), "timestamp", Rule::Rollback);
    insta::assert_snapshot!(message, @"timestamp version 4 is refused (rollback): 5 is trusted already");
}

#[test]
fn the_snapshot_that_a_timestamp_lists_never_falls() {
    let old = by_timestamp_key(&timestamp(5, only_version(7)));
    assert_eq!(accepted_after(&old, &timestamp(6, only_version(7))).unwrap(), (6, 7));
    let message =
        refused(accepted_after(&old, &timestamp(6, only_version(6))), "timestamp", Rule::Rollback);
    insta::assert_snapshot!(message, @"timestamp version 6 is refused (rollback): it lists snapshot version 6: 7 is trusted already");
}

#[test]
fn of_two_timestamps_of_one_version_the_trusted_one_stays() {
    let old = by_timestamp_key(&timestamp(5, only_version(7)));
    assert_eq!(accepted_after(&old, &timestamp(5, only_version(9))).unwrap(), (5, 7));
}

#[test]
fn the_trusted_timestamp_that_stays_must_itself_be_unexpired() {
    let mut old = timestamp(5, only_version(7));
    old.header.expires = time(NOW);
    let found = accepted_after(&by_timestamp_key(&old), &timestamp(5, only_version(7)));
    refused(found, "timestamp", Rule::Expired);
}

#[test]
fn an_expired_trusted_timestamp_still_shows_a_rollback() {
    let mut old = timestamp(5, only_version(7));
    old.header.expires = time(JUST_BEFORE);
    let old = by_timestamp_key(&old);
    let found = accepted_after(&old, &timestamp(4, only_version(7)));
    refused(found, "timestamp", Rule::Rollback);
    assert_eq!(accepted_after(&old, &timestamp(6, only_version(7))).unwrap(), (6, 7));
}

#[test]
fn a_recalled_timestamp_that_does_not_verify_is_forgotten() {
    let old = timestamp(5, only_version(7));
    let new = timestamp(1, only_version(1));
    let damaged = String::from_utf8(by_timestamp_key(&old)).unwrap().replace(":5", ":6");
    for forgotten in [damaged.as_bytes(), b"", &signed(&old, &[Signer::Stranger])] {
        assert_eq!(accepted_after(forgotten, &new).unwrap(), (1, 1));
    }
    refused(accepted_after(&by_timestamp_key(&old), &new), "timestamp", Rule::Rollback);
}

#[test]
fn a_new_root_with_another_timestamp_key_undoes_a_fast_forward() {
    let mut next = root(2, &Signer::OLD_ROOTS);
    next.keys.extend(keys(&[Signer::Stranger]));
    next.roles.timestamp = role(&[Signer::Stranger], 1);
    let mut pinned = pinned(Limits::DEFAULT);
    pinned.rotate(&signed(&next, &Signer::OLD_ROOTS)).unwrap();
    let mut trust = pinned.settle(time(NOW)).unwrap();
    trust.recall(&by_timestamp_key(&timestamp(u64::MAX, only_version(u64::MAX))));
    let trusted = trust.accept(&signed(&timestamp(1, only_version(1)), &[Signer::Stranger]));
    assert_eq!(trusted.unwrap().version(), 1);
}

#[test]
fn a_timestamp_expires_at_the_instant_that_it_names() {
    for (expires, expired) in [(JUST_BEFORE, true), (NOW, true), (JUST_AFTER, false)] {
        let mut document = timestamp(1, only_version(1));
        document.header.expires = time(expires);
        let found = awaiting_timestamp(Limits::DEFAULT).accept(&by_timestamp_key(&document));
        if expired {
            refused(found, "timestamp", Rule::Expired);
        } else {
            found.unwrap();
        }
    }
}

#[test]
fn only_the_timestamp_key_signs_timestamps() {
    for signer in [Signer::Snapshot, Signer::Targets, Signer::RootA, Signer::Stranger] {
        let bytes = signed(&timestamp(1, only_version(1)), &[signer]);
        let found = awaiting_timestamp(Limits::DEFAULT).accept(&bytes);
        refused(found, "timestamp", Rule::Threshold);
    }
}

#[test]
fn a_timestamp_without_a_snapshot_is_refused() {
    let mut document = timestamp(1, only_version(1));
    document.meta.clear();
    let found = awaiting_timestamp(Limits::DEFAULT).accept(&by_timestamp_key(&document));
    let message = refused(found, "timestamp", Rule::NotListed);
    insta::assert_snapshot!(message, @"timestamp version 1 is refused (not_listed): it does not list snapshot.json");
}

#[test]
fn a_snapshot_is_not_a_timestamp_whoever_signs_it() {
    let mut document = snapshot(1, &[]);
    document.meta.insert(Timestamp::SNAPSHOT.to_owned(), only_version(1));
    let found = awaiting_timestamp(Limits::DEFAULT).accept(&by_timestamp_key(&document));
    let message = refused(found, "timestamp", Rule::Form);
    insta::assert_snapshot!(message, @"timestamp version 1 is refused (form): its _type is `snapshot`: expected `timestamp`");
}

#[test]
fn a_bit_flipped_anywhere_in_the_signed_part_is_noticed() {
    let document = timestamp(1, only_version(1));
    let bytes = by_timestamp_key(&document);
    let text = std::str::from_utf8(&bytes).unwrap();
    let signed_part = text.find("\"signed\":").unwrap() + "\"signed\":".len()..bytes.len() - 1;
    for index in signed_part {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1 << bit;
            let found = awaiting_timestamp(Limits::DEFAULT).verify(&flipped);
            assert!(found.is_err(), "bit {bit} of byte {index}");
        }
    }
    assert_eq!(awaiting_timestamp(Limits::DEFAULT).verify(&bytes).unwrap(), document);
}
