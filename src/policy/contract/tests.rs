use mainstay_client::format::Tag;
use proptest::prelude::*;

use super::*;

fn contract(extra: &str) -> Contract {
    let text = format!(
        r#"{{"products": ["demo"], "channels": ["bugfix"], "base_line": "1.0",
            "terms": [{{"start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}}] {extra}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn day(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn term(start: &str, end: &str) -> Term {
    Term { start: day(start), end: day(end) }
}

fn amendments(text: &str) -> Vec<Amendment> {
    let created = serde_json::to_string(&contract("")).unwrap();
    let text = text.replace("CREATED", &format!(r#"{{"kind": "create", "contract": {created}}}"#));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_is_absent_means_the_least() {
    let plain = contract("");
    assert_eq!(plain.state, State::Active);
    assert_eq!((plain.grace_days, plain.security_tail_days), (0, 0));
    assert_eq!((plain.cap, plain.seats, plain.tier), (None, None, None));
    assert_eq!((plain.fallback, plain.bridge), (Fallback::None, Bridge::Never));
    assert!(plain.addons.is_empty() && plain.els_lines.is_empty() && plain.audience.is_empty());
    assert_eq!(plain.problems(), Vec::<String>::new());
}

#[test]
fn a_misspelt_field_is_refused() {
    let text = serde_json::to_string(&contract("")).unwrap().replace("grace_days", "graze_days");
    let error = serde_json::from_str::<Contract>(&text).unwrap_err().to_string();
    assert!(error.contains("graze_days"), "{error}");
}

#[test]
fn a_contract_survives_being_written_down() {
    let mut written = contract(r#", "cap": "2.0", "seats": 3, "state": "suspended""#);
    written.set_tier(Tier::Premium, Tier::Premium.preset());
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<Contract>(&text).unwrap(), written);
}

#[test]
fn all_problems_are_told_at_once() {
    let mut wrong = contract(r#", "cap": "0.9", "seats": 0, "grace_days": 40000"#);
    wrong.products.clear();
    wrong.channels.clear();
    wrong.terms = vec![
        term("2027-01-01", "2026-01-01"),
        term("2024-01-01", "2024-01-01"),
        term("2025-01-01", "2026-01-01"),
        term("2025-02-01", "2025-03-01"),
        term("2025-12-31", "2026-06-01"),
    ];
    let problems = wrong.problems();
    let expected = [
        "products is empty",
        "channels is empty",
        "starts at 2027-01-01T00:00:00Z and ends at 2026-01-01T00:00:00Z: expected the end after",
        "starts at 2024-01-01T00:00:00Z and ends at 2024-01-01T00:00:00Z: expected the end after",
        "from 2025-02-01T00:00:00Z to 2025-03-01T00:00:00Z overlaps the term from 2025-01-01",
        "from 2025-12-31T00:00:00Z to 2026-06-01T00:00:00Z overlaps the term from 2025-01-01",
        "cap is 0.9: expected at least the base_line, which is 1.0",
        "seats is 0",
        "grace_days is 40000",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem:?} does not contain {expected:?}");
    }
    wrong.terms.clear();
    assert!(wrong.problems().iter().any(|problem| problem.contains("terms is empty")));
}

#[test]
fn touching_terms_are_no_problem() {
    let mut renewed = contract("");
    renewed.terms.push(term("2026-01-01", "2027-01-01"));
    assert_eq!(renewed.problems(), Vec::<String>::new());
}

#[test]
fn paid_until_is_the_latest_end_among_started_terms() {
    let mut paid = contract("");
    paid.terms.push(term("2026-03-01", "2027-03-01"));
    for (now, expected) in [
        ("2024-12-31", None),
        ("2025-01-01", Some("2026-01-01")),
        ("2026-02-28", Some("2026-01-01")),
        ("2026-03-01", Some("2027-03-01")),
        ("2030-01-01", Some("2027-03-01")),
    ] {
        assert_eq!(paid.paid_until(day(now)), expected.map(day), "{now}");
    }
    paid.terms.push(term("2026-01-01", "2026-03-01"));
    assert_eq!(paid.paid_until(day("2025-01-01")), Some(day("2027-03-01")), "no gap, no seam");
    paid.terms.clear();
    assert_eq!(paid.paid_until(day("2025-01-01")), None);
}

#[test]
fn days_are_exact_and_end_with_time_itself() {
    assert_eq!(days_after(day("2026-03-28"), 2), day("2026-03-30"));
    assert_eq!(days_after(day("2026-03-28"), u32::MAX), Timestamp::MAX);
}

#[test]
fn nothing_is_before_its_creation() {
    let amendments = amendments(
        r#"[{"at": "2025-01-01T00:00:00Z", "change": {"kind": "suspend"}},
            {"at": "2025-02-01T00:00:00Z", "change": CREATED}]"#,
    );
    assert_eq!(Contract::at(&amendments, day("2025-01-31")), None);
    assert_eq!(Contract::at(&amendments, day("2025-02-01")), Some(contract("")));
}

#[test]
fn every_change_does_what_it_says() {
    let amendments = amendments(
        r#"[{"at": "2025-01-01T00:00:00Z", "change": CREATED},
            {"at": "2025-01-02T00:00:00Z", "change": {"kind": "renew",
                "term": {"start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}}},
            {"at": "2025-01-03T00:00:00Z", "change": {"kind": "set_tier", "tier": "standard"}},
            {"at": "2025-01-04T00:00:00Z", "change": {"kind": "end_channel", "channel": "bugfix"}},
            {"at": "2025-01-05T00:00:00Z", "change": {"kind": "add_channel", "channel": "major"}},
            {"at": "2025-01-06T00:00:00Z", "change": {"kind": "add_addon", "addon": "maps"}},
            {"at": "2025-01-07T00:00:00Z", "change": {"kind": "add_els_line", "line": "1.0"}},
            {"at": "2025-01-07T12:00:00Z", "change": {"kind": "end_els_line", "line": "1.0"}},
            {"at": "2025-01-07T12:00:00Z", "change": {"kind": "add_audience", "audience": "beta"}},
            {"at": "2025-01-08T00:00:00Z", "change": {"kind": "end_audience", "audience": "beta"}},
            {"at": "2025-01-08T00:00:00Z", "change": {"kind": "set_cap", "cap": "3.0"}},
            {"at": "2025-01-09T00:00:00Z", "change": {"kind": "set_seats", "seats": 5}},
            {"at": "2025-01-10T00:00:00Z", "change": {"kind": "suspend"}},
            {"at": "2025-01-11T00:00:00Z", "change": {"kind": "resume"}},
            {"at": "2025-01-12T00:00:00Z", "change": {"kind": "end_addon", "addon": "maps"}},
            {"at": "2025-01-13T00:00:00Z", "change": {"kind": "terminate"}},
            {"at": "2025-01-14T00:00:00Z", "change": {"kind": "resume"}}]"#,
    );
    let on = |text: &str| Contract::at(&amendments, day(text)).unwrap();
    assert_eq!(on("2025-01-02").paid_until(day("2025-01-02")), Some(day("2027-01-01")));
    assert_eq!((on("2025-01-03").tier, on("2025-01-03").grace_days), (Some(Tier::Standard), 30));
    assert_eq!(
        on("2025-01-05").channels,
        BTreeSet::from([Channel::Security, Channel::Feature, Channel::Major])
    );
    assert_eq!(on("2025-01-06").addons, BTreeSet::from(["maps".parse().unwrap()]));
    assert_eq!(on("2025-01-07").els_lines, BTreeSet::from(["1.0".parse().unwrap()]));
    assert!(on("2025-01-08").els_lines.is_empty() && on("2025-01-08").audience.is_empty());
    let noon = "2025-01-07T12:00:00Z".parse().unwrap();
    let at_noon = Contract::at(&amendments, noon).unwrap();
    assert_eq!(at_noon.audience, BTreeSet::from(["beta".parse().unwrap()]));
    assert_eq!(on("2025-01-08").cap, Some("3.0".parse().unwrap()));
    assert_eq!(on("2025-01-09").seats, Some(5));
    assert_eq!(on("2025-01-10").state, State::Suspended);
    assert_eq!(on("2025-01-11").state, State::Active);
    assert!(on("2025-01-12").addons.is_empty());
    assert_eq!(on("2025-01-13").state, State::Terminated);
    assert_eq!(on("2025-01-14").state, State::Terminated, "terminated is for ever");
    let text = serde_json::to_string(&amendments).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Amendment>>(&text).unwrap(), amendments);
}

#[test]
fn a_contract_can_end_and_leave_what_was_paid_for() {
    let mut contract = contract(r#", "fallback": "perpetual", "grace_days": 30"#);
    contract.terms.push(term("2026-01-01", "2027-01-01"));
    let end = Change::Terminate { exit: Exit::Fallback };
    let ended = contract.clone().amended(&end, day("2025-03-01"));
    assert_eq!(ended.terms, [term("2025-01-01", "2025-03-01")]);
    assert_eq!((ended.state, ended.grace_days), (State::Active, 0));
    assert_eq!(ended.paid_until(day("2030-01-01")), Some(day("2025-03-01")));
    let nothing: Change = serde_json::from_str(r#"{"kind": "terminate"}"#).unwrap();
    assert_eq!(contract.amended(&nothing, day("2025-03-01")).state, State::Terminated);
}

#[test]
fn a_term_is_lengthened_and_never_shortened() {
    let contract = contract("");
    let extend = |day_text| Change::Extend { until: day(day_text) };
    let longer = contract.clone().amended(&extend("2026-03-01"), day("2025-06-01"));
    assert_eq!(longer.terms, [term("2025-01-01", "2026-03-01")]);
    assert_eq!(contract.objection(&extend("2026-03-01")), None);
    let objection = contract.objection(&extend("2026-01-01")).unwrap();
    assert!(objection.contains("the latest term ends at 2026-01-01"), "{objection}");
    let unsigned = Contract { terms: Vec::new(), ..contract };
    assert!(unsigned.objection(&extend("2026-03-01")).unwrap().contains("expected `renew`"));
}

#[test]
fn conditions_of_their_own_are_for_enterprise_contracts_and_those_without_a_tier() {
    let change: Change = serde_json::from_str(
        r#"{"kind": "set_conditions", "grace_days": 7, "bridge": "critical"}"#,
    )
    .unwrap();
    let tiers = Tiers::default();
    for tier in Tier::ALL {
        let mut contract = contract("");
        contract.set_tier(tier, tier.preset());
        let is_free = tier == Tier::Enterprise;
        assert_eq!(contract.objection(&change).is_none(), is_free, "{tier}");
        assert!(tiers.deviations(&contract).is_empty(), "{tier}");
        contract = contract.amended(&change, day("2025-06-01"));
        assert_eq!((contract.grace_days, contract.bridge), (7, Bridge::Critical), "{tier}");
        assert_eq!(contract.security_tail_days, tier.preset().security_tail_days, "{tier}");
        assert_eq!(tiers.deviations(&contract).is_empty(), is_free, "{tier}");
    }
    assert_eq!(contract("").objection(&change), None);
    let short = Contract { tier: Some(Tier::Basic), ..contract(r#", "grace_days": 7"#) };
    let deviations = tiers.deviations(&short);
    assert_eq!(deviations.len(), 2, "{deviations:?}");
    assert!(deviations[0].contains("grace_days is 7, and the tier basic stands for 0"));
    assert!(deviations[1].contains("fallback is \"none\""), "{deviations:?}");
}

/// Should an operator change what a tier stands for, what was agreed before stays what it was.
#[test]
fn a_tier_is_what_it_was_when_it_was_agreed() {
    let preset = Preset { grace_days: 5, ..Tier::Standard.preset() };
    let change = Change::SetTier { tier: Tier::Standard, preset: Some(preset) };
    let amended = contract("").amended(&change, day("2025-03-01"));
    assert_eq!((amended.tier, amended.grace_days), (Some(Tier::Standard), 5));
}

#[test]
fn an_amendment_takes_effect_in_its_own_time() {
    let amendments = amendments(
        r#"[{"at": "2025-01-01T00:00:00Z", "change": CREATED},
            {"at": "2025-06-01T00:00:00Z", "change": {"kind": "set_seats", "seats": 6}},
            {"at": "2025-03-01T00:00:00Z", "change": {"kind": "set_seats", "seats": 3}},
            {"at": "2025-06-01T00:00:00Z", "change": {"kind": "set_seats", "seats": 7}}]"#,
    );
    let seats = |text: &str| Contract::at(&amendments, day(text)).unwrap().seats;
    assert_eq!(seats("2025-05-31"), Some(3));
    assert_eq!(seats("2025-06-01"), Some(7), "of two at one instant the later recorded holds");
}

#[test]
fn a_higher_tier_never_gives_less() {
    for pair in Tier::ALL.windows(2) {
        let [lower, higher] = pair else { unreachable!() };
        let (lower, higher) = (lower.preset(), higher.preset());
        assert!(lower.channels.iter().all(|channel| higher.channels.contains(channel)));
        assert!(lower.grace_days <= higher.grace_days);
        assert!(lower.security_tail_days <= higher.security_tail_days);
        assert!(lower.poll_seconds > higher.poll_seconds);
        assert!(lower.bridge == Bridge::Never || higher.bridge == Bridge::Critical);
    }
    assert!(Tier::ALL.iter().all(|tier| tier.preset().fallback == Fallback::Perpetual));
    assert_eq!(Tiers::default().poll_seconds(Some(&contract(""))), 3600);
    assert_eq!(Tiers::default().poll_seconds(None), 3600);
}

/// Any change but those by which a contract is made, or cut short.
fn later_change() -> impl Strategy<Value = Change> {
    let line: LineName = "9.0".parse().unwrap();
    let tag: Tag = "maps".parse().unwrap();
    prop_oneof![
        (1..400_u32).prop_map(|days| Change::Renew {
            term: Term { start: day("2026-01-01"), end: days_after(day("2026-01-01"), days) },
        }),
        Just(Change::Extend { until: day("2030-01-01") }),
        prop::sample::select(Tier::ALL.to_vec())
            .prop_map(|tier| Change::SetTier { tier, preset: None }),
        prop::sample::select(Channel::ALL.to_vec())
            .prop_map(|channel| Change::AddChannel { channel }),
        Just(Change::AddAddon { addon: tag.clone() }),
        Just(Change::AddElsLine { line }),
        Just(Change::AddAudience { audience: tag }),
        Just(Change::SetCap { cap: None }),
        Just(Change::SetSeats { seats: None }),
        Just(Change::SetConditions {
            grace_days: Some(400),
            security_tail_days: Some(400),
            fallback: Some(Fallback::Perpetual),
            bridge: Some(Bridge::Critical),
        }),
        Just(Change::Suspend),
        Just(Change::Resume),
        Just(Change::Terminate { exit: Exit::Nothing }),
    ]
}

proptest! {
    /// What it says stays as it is: it is suspended and resumed at most, or ends altogether.
    #[test]
    fn nothing_but_a_new_contract_adds_to_one_that_has_ended(
        exit in prop::sample::select(vec![Exit::Nothing, Exit::Fallback]),
        end in 0..300_u32,
        changes in prop::collection::vec((0..400_u32, later_change()), 0..8),
    ) {
        let created = contract(r#", "cap": "1.0", "seats": 3, "grace_days": 30"#);
        let begin = day("2025-01-02");
        let amendment = |days, change| Amendment {
            at: days_after(begin, days),
            recorded_at: None,
            change,
        };
        let mut amendments = vec![amendment(0, Change::Create { contract: created.clone() })];
        let later = changes.into_iter().map(|(days, change)| amendment(end + days, change));
        let later: Vec<_> = later.collect();
        amendments.push(amendment(end, Change::Terminate { exit }));
        let ended = Contract::at(&amendments, days_after(begin, end)).unwrap();
        amendments.extend(later.iter().cloned());
        let after = Contract::at(&amendments, day("2029-01-01")).unwrap();
        prop_assert_eq!(&Contract { state: ended.state, ..after.clone() }, &ended);
        prop_assert!(ended.state != State::Terminated || after.state == State::Terminated);

        amendments.push(amendment(1000, Change::Create { contract: created.clone() }));
        amendments.push(amendment(1001, Change::Extend { until: day("2031-01-01") }));
        let anew = Contract::at(&amendments, day("2029-01-01")).unwrap();
        prop_assert_eq!(anew.paid_until(day("2029-01-01")), Some(day("2031-01-01")));
    }
}
