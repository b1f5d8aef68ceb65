use std::collections::BTreeSet;

use mainstay_client::format::{Facts, Platform, Tag, Version};
use proptest::prelude::*;

use super::*;

struct Known {
    platform: Platform,
    running: Option<Version>,
    facts: Option<Facts>,
    tags: BTreeSet<Tag>,
}

impl Known {
    fn of(facts: &str) -> Self {
        Self {
            platform: "linux-x86_64".parse().unwrap(),
            running: Some("2.4.0".parse().unwrap()),
            facts: Some(serde_json::from_str(facts).unwrap()),
            tags: ["pilot".parse().unwrap(), "bank".parse().unwrap()].into(),
        }
    }

    fn is(&self, condition: &str) -> Match {
        let condition: Condition = serde_json::from_str(condition).unwrap();
        condition.matches(&Subject {
            platform: &self.platform,
            running: self.running.as_ref(),
            facts: self.facts.as_ref(),
            customer: &"globex".parse().unwrap(),
            customer_tags: &self.tags,
        })
    }
}

const FACTS: &str = r#"{"kernel": "5.10.3", "distribution": {"name": "ubuntu", "version": "22.04"},
                        "components": {"postgres": "15.4.0"}}"#;

#[test]
fn a_machine_meets_a_condition_of_which_every_part_is_true() {
    use Match::{Met, NotMet};
    let machine = Known::of(FACTS);
    for (condition, expected) in [
        (r#"{"platform": "linux-x86_64"}"#, Met),
        (r#"{"platform": "linux-aarch64"}"#, NotMet),
        (r#"{"running": "<2.5.0"}"#, Met),
        (r#"{"running": ">=2.5.0"}"#, NotMet),
        (r#"{"kernel": ">=5.10, <5.15"}"#, Met),
        (r#"{"kernel": "<5.9"}"#, NotMet),
        (r#"{"distributions": {"ubuntu": "=22.4"}}"#, Met),
        (r#"{"distributions": {"ubuntu": "*"}}"#, Met),
        (r#"{"distributions": {"ubuntu": "<22", "debian": "*"}}"#, NotMet),
        (r#"{"distributions": {"debian": "*"}}"#, NotMet),
        (r#"{"components": {"postgres": "15"}}"#, Met),
        (r#"{"components": {"postgres": ">=16"}}"#, NotMet),
        (r#"{"components": {"postgres": "15", "redis": "*"}}"#, NotMet),
        (r#"{"customer_tags": ["bank"]}"#, Met),
        (r#"{"customer_tags": ["bank", "abroad"]}"#, NotMet),
        (r#"{"customers": ["globex", "initech"]}"#, Met),
        (r#"{"customers": ["initech"]}"#, NotMet),
        (r#"{"kernel": "<6", "customers": ["globex"], "running": "2"}"#, Met),
        (r#"{"kernel": "<6", "customers": ["initech"], "running": "2"}"#, NotMet),
    ] {
        assert_eq!(machine.is(condition), expected, "{condition}");
    }
}

#[test]
fn what_a_machine_has_not_told_is_neither_true_nor_false() {
    let silent = Known { facts: None, ..Known::of("{}") };
    let laconic = Known::of(r#"{"distribution": {"name": "arch"}}"#);
    for condition in [
        r#"{"kernel": ">=1"}"#,
        r#"{"kernel": ">=1", "customers": ["globex"]}"#,
        r#"{"distributions": {"arch": ">=1"}}"#,
    ] {
        assert_eq!(silent.is(condition), Match::Unknown, "{condition}");
        assert_eq!(laconic.is(condition), Match::Unknown, "{condition}");
    }
    assert_eq!(silent.is(r#"{"components": {"redis": "*"}}"#), Match::Unknown);
    assert_eq!(laconic.is(r#"{"components": {"redis": "*"}}"#), Match::NotMet);
    assert_eq!(silent.is(r#"{"kernel": ">=1", "customers": ["initech"]}"#), Match::NotMet);
    let fresh = Known { running: None, ..Known::of(FACTS) };
    assert_eq!(fresh.is(r#"{"running": "*"}"#), Match::NotMet, "nothing runs there");
}

#[test]
fn text_that_is_no_range_is_told_what_is_expected() {
    for text in ["", "5.10", ">=5.10,", ">=5.x", "~5", ">=1.2.3.4.5", ">=+1", ">= ", "=99999999999"]
    {
        let error = text.parse::<NumberRange>().unwrap_err().to_string();
        assert!(error.contains("expected up to 8 comparators"), "{error}");
    }
    let nine = [">=1"; 9].join(",");
    assert!(nine.parse::<NumberRange>().is_err());
    let error = serde_json::from_str::<Condition>(r#"{"kernel": "5"}"#).unwrap_err();
    assert!(error.to_string().contains("`5` is no range of versions"), "{error}");
}

#[test]
fn long_lists_are_problems() {
    let customers = (0..65).map(|number| format!("c{number}").parse().unwrap()).collect();
    let condition = Condition { customers, ..Condition::default() };
    insta::assert_snapshot!(
        condition.problem().unwrap(),
        @"customers has 65 entries: expected at most 64"
    );
    assert_eq!(Condition::default().problem(), None);
}

fn versions() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0..4_u32, 1..5)
}

fn text(version: &[u32]) -> String {
    version.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

proptest! {
    #[test]
    fn bounds_divide_all_versions(found in versions(), bound in versions()) {
        let holds = |sign: &str| {
            format!("{sign}{}", text(&bound)).parse::<NumberRange>().unwrap().contains(&text(&found))
        };
        prop_assert_eq!(holds(">="), !holds("<"));
        prop_assert_eq!(holds("<="), !holds(">"));
        prop_assert_eq!(holds("="), holds(">=") && holds("<="));
        let longer = [&found[..], &[0]].concat();
        if longer.len() <= 4 {
            let equal: NumberRange = format!("={}", text(&longer)).parse().unwrap();
            prop_assert!(equal.contains(&text(&found)), "a number that is not there is 0");
        }
    }

    #[test]
    fn ranges_are_read_as_they_were_written(
        bounds in prop::collection::vec((prop::sample::select(vec![">=", "<", "="]), versions()), 0..4)
    ) {
        let shown: Vec<_> = bounds.iter().map(|(sign, it)| format!("{sign}{}", text(it))).collect();
        let shown = if shown.is_empty() { "*".to_owned() } else { shown.join(", ") };
        let range: NumberRange = shown.parse().unwrap();
        prop_assert_eq!(range.to_string(), shown);
    }

    /// A part more never makes a machine meet what it did not meet.
    #[test]
    fn parts_narrow(kernel in prop::option::of(versions()), bound in versions(), other in any::<bool>()) {
        let facts = Facts {
            kernel: kernel.as_ref().filter(|it| (2..=3).contains(&it.len()))
                .map(|it| text(it).parse().unwrap()),
            ..Facts::default()
        };
        let machine = Known { facts: Some(facts), ..Known::of("{}") };
        let customer = if other { "initech" } else { "globex" };
        let narrow = format!(r#"{{"kernel": ">={}", "customers": ["{customer}"]}}"#, text(&bound));
        let wide = format!(r#"{{"kernel": ">={}"}}"#, text(&bound));
        match machine.is(&narrow) {
            Match::Met => prop_assert_eq!(machine.is(&wide), Match::Met),
            Match::Unknown => prop_assert_eq!(machine.is(&wide), Match::Unknown),
            Match::NotMet => prop_assert!(other || machine.is(&wide) == Match::NotMet),
        }
    }
}
