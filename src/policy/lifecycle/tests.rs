use std::collections::BTreeSet;

use super::*;
use crate::policy::contract::Term;

const HOUR: i64 = 3600;

/// So many hours from the end.
fn hours(hours: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + HOUR * hours).unwrap()
}

fn seconds_before_days(days: i64, seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 - 24 * HOUR * days - seconds).unwrap()
}

fn contract(end: Timestamp) -> Contract {
    let text = r#"{"products": ["demo"], "channels": ["bugfix"], "base_line": "2.4", "terms": []}"#;
    let contract: Contract = serde_json::from_str(text).unwrap();
    Contract { terms: vec![Term { start: hours(-24 * 9999), end }], ..contract }
}

/// A product of which line 2.4 has these ends.
fn catalogue(eos: Option<Timestamp>, eol: Option<Timestamp>) -> Catalogue {
    let line = Line { line: name(), ga: None, eos, eol };
    Catalogue::new("demo".parse().unwrap(), [line], []).unwrap()
}

fn name() -> LineName {
    "2.4".parse().unwrap()
}

fn codes(contract: &Contract, catalogue: &Catalogue, now: Timestamp) -> Vec<(&'static str, i64)> {
    let found = ahead(contract, catalogue, Some(name()), now);
    let days = |one: &Ahead| match one.nearness {
        Nearness::WithinDays(days) => days,
        Nearness::Over => 0,
    };
    found.iter().map(|one| (one.code(), days(one))).collect()
}

#[test]
fn the_steps_are_met_to_the_second() {
    let contract = contract(Timestamp::MAX);
    for (days, seconds, expected) in [
        (180, 1, None),
        (180, 0, Some(180)),
        (90, 1, Some(180)),
        (90, 0, Some(90)),
        (30, 1, Some(90)),
        (30, 0, Some(30)),
        (0, 1, Some(30)),
        (0, 0, Some(0)),
        (-9999, 0, Some(0)),
    ] {
        let now = seconds_before_days(days, seconds);
        for (catalogue, near, over) in [
            (catalogue(Some(hours(0)), None), "LINE_EOS_NEAR", "LINE_EOS"),
            (catalogue(None, Some(hours(0))), "LINE_EOL_NEAR", "LINE_EOL"),
        ] {
            let code = |days| if days == 0 { over } else { near };
            let expected: Vec<_> = expected.iter().map(|days| (code(*days), *days)).collect();
            assert_eq!(codes(&contract, &catalogue, now), expected, "{days} days {seconds} s");
        }
    }
}

#[test]
fn the_end_of_the_paid_time_is_told_within_ninety_days() {
    let (contract, catalogue) = (contract(hours(0)), catalogue(None, None));
    for (days, seconds, expected) in [
        (90, 1, None),
        (90, 0, Some(("CONTRACT_ENDS", 90))),
        (30, 1, Some(("CONTRACT_ENDS", 90))),
        (30, 0, Some(("CONTRACT_ENDS", 30))),
        (0, 1, Some(("CONTRACT_ENDS", 30))),
        (0, 0, Some(("CONTRACT_ENDED", 0))),
    ] {
        let found = codes(&contract, &catalogue, seconds_before_days(days, seconds));
        assert_eq!(found, Vec::from_iter(expected), "{days} days {seconds} s");
    }
    let suspended = Contract { state: State::Suspended, ..contract.clone() };
    assert_eq!(codes(&suspended, &catalogue, hours(-1)), []);
    // A renewal that follows at once is no end.
    let renewal = Term { start: hours(0), end: hours(24 * 365) };
    let terms = [contract.terms.clone(), vec![renewal]].concat();
    assert_eq!(codes(&Contract { terms, ..contract }, &catalogue, hours(-1)), []);
}

#[test]
fn extended_support_makes_the_end_of_support_no_end() {
    let catalogue = catalogue(Some(hours(0)), Some(hours(24 * 100)));
    let plain = contract(Timestamp::MAX);
    assert_eq!(codes(&plain, &catalogue, hours(0)), [("LINE_EOS", 0), ("LINE_EOL_NEAR", 180)]);
    let extended = Contract { els_lines: BTreeSet::from([name()]), ..plain.clone() };
    assert_eq!(codes(&extended, &catalogue, hours(0)), [("LINE_EOL_NEAR", 180)]);
    // And the end of life ends that too.
    for contract in [plain, extended] {
        assert_eq!(codes(&contract, &catalogue, hours(24 * 100)), [("LINE_EOL", 0)]);
    }
}

#[test]
fn only_the_line_that_runs_is_told_of() {
    let (contract, catalogue) = (contract(Timestamp::MAX), catalogue(Some(hours(0)), None));
    assert_eq!(ahead(&contract, &catalogue, None, hours(1)), []);
    let other = "2.5".parse().ok();
    assert_eq!(ahead(&contract, &catalogue, other, hours(1)), []);
}

/// A notice stays word for word the same between two steps.
#[test]
fn what_is_said_changes_at_the_steps_alone() {
    let catalogue = catalogue(Some(hours(0)), Some(hours(24 * 400)));
    let contract = Contract { grace_days: 7, ..contract(hours(24 * 20)) };
    let mut said = Vec::new();
    for hour in -24 * 200..24 * 30 {
        let found = ahead(&contract, &catalogue, Some(name()), hours(hour));
        let sentences: Vec<_> = found.iter().map(|one| one.sentence(&contract)).collect();
        if said.last() != Some(&sentences) {
            said.push(sentences);
        }
    }
    // 180, 90 and 30 days before EOS; EOS; 90 and 30 days before the end of the paid time; its end;
    // and before all that nothing.
    assert_eq!(said.len(), 8, "{said:#?}");
}

#[test]
fn a_sentence_says_when_and_what_is_next() {
    let contract = Contract { grace_days: 7, security_tail_days: 30, ..contract(hours(0)) };
    let [ahead] = ahead(&contract, &catalogue(None, None), None, hours(-1))[..] else { panic!() };
    insta::assert_snapshot!(ahead.sentence(&contract), @"The paid time of your contract ends on 2026-09-21, in 30 days or less. What comes out from then on is not in it, but for patches until 2026-09-28 (grace) and security patches until 2026-10-21; renew it before.");
}

#[test]
fn lines_are_listed_with_where_they_stand() {
    let catalogue = catalogue(Some(hours(0)), Some(hours(24)));
    for (hour, expected) in [
        (-1, LineStatus::Supported),
        (0, LineStatus::PastEos),
        (23, LineStatus::PastEos),
        (24, LineStatus::PastEol),
    ] {
        let [view] = &lines(&catalogue, hours(hour))[..] else { panic!() };
        assert_eq!((view.status, &view.newest), (expected, &None), "{hour}");
    }
}
