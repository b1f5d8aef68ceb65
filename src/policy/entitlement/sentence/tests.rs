use std::collections::BTreeMap;

use super::*;
use crate::policy::entitlement::golden::Case;

/// Each case's sentences, by the case's name.
fn sentences() -> BTreeMap<String, Vec<(Code, String)>> {
    let explained = |case: Case| {
        let catalogue = case.catalogue();
        let explain = |decision: &Decision| {
            let catalogue = catalogue.as_ref();
            (
                decision.code,
                explain(decision, &case.scenario.contract, catalogue, case.scenario.now),
            )
        };
        let sentences = case.decisions().iter().map(explain).collect();
        (case.name.clone(), sentences)
    };
    Case::all().into_iter().map(explained).collect()
}

/// Cases and the sentence for the last of their releases.
const SENTENCES: &[(&str, &str)] = &[
    ("a product that the server does not have", "This server has no product of that name."),
    ("a draft does not exist", "There is no release 1.0.1 of this product."),
    ("terminated", "Your contract is terminated and grants no releases any more."),
    ("suspended", "Your contract is suspended and grants no releases until it is resumed."),
    ("a second before the start", "Your maintenance starts on 2025-01-01."),
    ("no term at all", "Your contract has no maintenance term yet."),
    ("another product", "Your contract does not cover the product demo."),
    (
        "revoked",
        "1.0.1 was revoked because it is known to be harmful; it is never installed again, \
             not even by a rollback.",
    ),
    (
        "published, and it ran here",
        "1.0.1 has run well on this machine before, so the machine may always return to it.",
    ),
    ("withdrawn", "1.0.1 was withdrawn by the vendor."),
    (
        "one of two add-ons is not enough",
        "1.0.1 needs the add-on voice, which your contract lacks.",
    ),
    (
        "published when the end of life was reached",
        "1.0.1 was published on 2025-03-01T00:00:00Z, at the instant at which line 1.0 reached \
             its end of life.",
    ),
    (
        "extended support of another line",
        "1.0.1 was published on 2025-03-01T00:00:00Z, at the instant at which support of line \
             1.0 ended. Extended support for the line would cover it.",
    ),
    (
        "a critical fix that no owned line has",
        "3.0.1 is granted as a bridge: it fixes the advisory CVE-2025-1, critical, and no \
             release on a line of your contract does yet. Line 3.0 itself stays outside your \
             contract.",
    ),
    (
        "fallback none: gone when the grace ends",
        "Your maintenance ended on 2026-01-01, its grace on 2026-01-31, and your contract \
             keeps nothing after it.",
    ),
    (
        "above the cap the backport is named too",
        "Line 3.0 is above line 2.0, the highest that your contract licenses. Release 1.0.1 \
             fixes the same advisories and is granted to you.",
    ),
    (
        "bridge never",
        "3.0.1 fixes the advisory CVE-2025-1, but line 3.0 is outside your contract and no \
             release on a line of your contract has the fix yet.",
    ),
    (
        "no advisories",
        "The step from line 1.0 to line 3.0 needs the channel major, which your contract \
             lacks.",
    ),
    (
        "tail: only with the security channel",
        "1.0.1 is a security release and your contract lacks the security channel.",
    ),
    (
        "in the gap its lines are not opened",
        "Line 1.1 came out on 2026-04-01, after your maintenance ended on 2026-01-01.",
    ),
    ("a line that nobody opened is not owned", "Line 1.1 has not come out yet."),
    (
        "the opening release is owned without its own channel",
        "1.0.0 opens line 1.0, which your contract includes.",
    ),
    ("courtesy: long after the paid time", "The vendor gives 1.0.9 to every owner of line 1.0."),
    (
        "in the paid time, which runs",
        "1.0.1 was published on 2025-03-01 and your maintenance runs until 2026-01-01.",
    ),
    (
        "in the paid time, years after",
        "1.0.1 was published on 2025-03-01, before your maintenance ended on 2026-01-01; it \
             stays yours.",
    ),
    (
        "fallback none: to be had until the grace ends",
        "1.0.1 was published on 2025-03-01, before your maintenance ended on 2026-01-01; you \
             may have it until the grace ends on 2026-01-31.",
    ),
    (
        "an effective instant in the grace",
        "1.0.1 counts as published on 2026-01-10, within the 30 days of grace after your \
             maintenance ended on 2026-01-01.",
    ),
    (
        "tail: security releases",
        "1.0.3 was published on 2026-04-01, after your maintenance ended on 2026-01-01.",
    ),
    (
        "the seed story: the security patch after the paid time",
        "1.0.2 was published on 2026-11-24, after your maintenance ended on 2026-10-25.",
    ),
];

#[test]
fn every_code_has_its_sentence() {
    let all = sentences();
    for (case, expected) in SENTENCES {
        let found = all.get(*case).and_then(|sentences| sentences.last()).unwrap();
        assert_eq!(found.1, *expected, "{case}");
    }
    let (code, tail) = &all["tail: security releases"][0];
    assert_eq!(*code, Code::SecurityTail);
    assert!(tail.contains("within the 90 days after your maintenance ended on 2026-01-01"));
}

#[test]
fn a_sentence_is_one_line_that_names_no_placeholder() {
    for (case, sentences) in sentences() {
        for (code, sentence) in sentences {
            assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{case}: {sentence}");
            assert!(!sentence.contains("  ") && !sentence.contains('{'), "{case}: {sentence}");
            assert!(!sentence.contains("1970-"), "{case}: {code}: {sentence}");
        }
    }
}

#[test]
fn a_hidden_release_is_not_told_of() {
    let all = sentences();
    let hidden = &all["another audience's release does not exist"];
    assert!(hidden.iter().all(|(_, sentence)| !sentence.contains("navy")));
}

#[test]
fn events_of_one_day_are_told_apart_by_their_time() {
    let sentence = after(
        "A happened",
        "2026-01-01T10:00:00Z".parse().unwrap(),
        "B ended",
        Some("2026-01-01T09:00:00Z".parse().unwrap()),
    );
    assert_eq!(
        sentence,
        "A happened on 2026-01-01T10:00:00Z, after B ended on 2026-01-01T09:00:00Z."
    );
}

#[test]
fn lists_read_well() {
    assert_eq!(listed("add-on", ["a"]), "the add-on a");
    assert_eq!(listed("advisory", ["a", "b", "c"]), "the advisories a, b and c");
    assert_eq!(listed::<&str>("channel", []), "no channel");
}
