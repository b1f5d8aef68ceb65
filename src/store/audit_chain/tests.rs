use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::contract::{at, entry},
    AuditEntry, AuditHead, ChainBreak,
};

/// A trail of so many records, as a program reads it.
fn trail(records: usize) -> Vec<Value> {
    let mut head = AuditHead::start();
    let mut record = |number: usize| {
        let before =
            number.is_multiple_of(3).then(|| json!({ "until": number, "names": ["a", "ü"] }));
        let entry = AuditEntry { before, ..entry(&format!("action.{number}")) };
        let record = head.next(&entry).unwrap();
        head = record.head();
        serde_json::to_value(record).unwrap()
    };
    (0..records).map(&mut record).collect()
}

fn check(records: &[Value]) -> Result<AuditHead, ChainBreak> {
    records.iter().try_fold(AuditHead::start(), |head, record| head.check(record))
}

#[test]
fn a_trail_follows_from_its_beginning() {
    let records = trail(5);
    let head = check(&records).unwrap();
    assert_eq!(head.number, 5);
    assert_eq!(head.to_string().parse(), Ok(head));
    assert_eq!(check(&records[..0]), Ok(AuditHead::start()));
    assert!("5".parse::<AuditHead>().unwrap_err().contains("expected NUMBER:DIGEST"));
}

/// The digest that another program must come to.
#[test]
fn the_digest_is_over_canonical_json() {
    let entry = AuditEntry { at: at(0), ..entry("contract.amend") };
    let record = AuditHead::start().next(&entry).unwrap();
    let canonical = format!(
        concat!(
            r#"{{"action":"contract.amend","actor":"token-1","address":null,"at":"2026-09-21T14:13:20Z","#,
            r#""detail":"","digest":"{}","number":1,"reason":null,"subject":"subject","ticket":null}}"#
        ),
        "0".repeat(64)
    );
    assert_eq!(record.digest, mainstay_client::format::Digest::of(canonical.as_bytes()));
}

#[test]
fn what_is_missing_is_named() {
    let mut records = trail(4);
    records.remove(1);
    let error = check(&records).unwrap_err();
    assert_eq!(error, ChainBreak::Number { expected: 2, found: 3 });
    let error = check(&[json!({ "number": 1 })]).unwrap_err();
    assert!(error.to_string().contains("missing field `digest`"), "{error}");
}

proptest! {
    /// Whatever is changed, the first record that was is named, or the one after it where somebody has
    /// made its digest anew.
    #[test]
    fn a_change_is_noticed(
        records in 1usize..12,
        place in any::<prop::sample::Index>(),
        member in prop::sample::select(vec![
            "at", "actor", "address", "action", "subject", "reason", "ticket", "detail", "before", "new",
        ]),
        is_signed_anew: bool,
    ) {
        let mut records = trail(records);
        let head = check(&records).unwrap();
        let place = place.index(records.len());
        let before = check(&records[..place]).unwrap();
        records[place][member] = json!("changed");
        if is_signed_anew {
            let digest = before.digest_of_next(records[place].clone());
            records[place]["digest"] = json!(digest);
        }
        match check(&records) {
            Ok(found) => prop_assert!(is_signed_anew && place + 1 == records.len() && found != head),
            Err(error) => {
                let named = place + 1 + usize::from(is_signed_anew);
                prop_assert_eq!(error, ChainBreak::Digest(named as u64));
            }
        }
    }
}
