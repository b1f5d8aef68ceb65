use super::{golden::Case, *};
use crate::policy::Scenario;

#[test]
fn every_case_is_decided_as_expected() {
    let cases = Case::all();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let decisions = case.decisions();
        let codes: Vec<Code> = decisions.iter().map(|decision| decision.code).collect();
        let alternatives = decisions
            .into_iter()
            .filter_map(|decision| Some((decision.version, decision.alternative?)))
            .collect();
        if codes != case.expect || case.alternatives != alternatives {
            wrong.push(format!(
                "{}: expected {:?} {:?}, found {codes:?} {alternatives:?}",
                case.name, case.expect, case.alternatives
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_cases_show_every_code() {
    let shown: BTreeSet<Code> = Case::all().into_iter().flat_map(|case| case.expect).collect();
    let missing: Vec<&Code> = Code::ALL.iter().filter(|code| !shown.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn cases_have_names_of_their_own() {
    let cases = Case::all();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len());
}

/// What a product manager reads is what is tested.
#[test]
fn the_readable_cases_are_those_that_are_tested() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/entitlement/cases.md");
    let document = golden::document();
    if std::env::var_os("MAINSTAY_WRITE_CASES").is_some() {
        std::fs::write(path, &document).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == document, "write {path} anew: set MAINSTAY_WRITE_CASES for this test");
}

#[test]
fn a_version_that_does_not_exist_is_answered_like_a_hidden_one() {
    let hidden = Case::all()
        .into_iter()
        .find(|case| case.name == "another audience's release does not exist")
        .unwrap();
    let catalogue = hidden.catalogue();
    let asked = |version: &str| {
        let version = version.parse().unwrap();
        let Scenario { contract, history, now, .. } = &hidden.scenario;
        let decision = decide_version(contract, catalogue.as_ref(), &version, history, *now);
        let sentence = explain(&decision, contract, catalogue.as_ref(), *now);
        (decision.code, sentence.replace(&version.to_string(), "X"))
    };
    assert_eq!(asked("1.0.1"), asked("9.9.9"));
    assert_eq!(asked("1.0.1").0, Code::NotFound);
}

#[test]
fn all_routes_agree() {
    for case in Case::all() {
        let Some(catalogue) = case.catalogue() else { continue };
        let Scenario { contract, history, now, .. } = &case.scenario;
        let all = decide_all(contract, &catalogue, history, *now);
        let singly: Vec<Decision> = catalogue
            .releases()
            .map(|release| decide(contract, &catalogue, release, history, *now))
            .collect();
        assert_eq!(all, singly, "{}", case.name);
    }
}

#[test]
fn codes_have_one_spelling() {
    for code in Code::ALL {
        let json = serde_json::to_string(code).unwrap();
        assert_eq!(json, format!("\"{code}\""));
        assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), *code);
        assert!(json.bytes().all(|byte| byte.is_ascii_uppercase() || b"_\"".contains(&byte)));
    }
}

#[test]
fn a_decision_is_written_as_the_api_shows_it() {
    let decision = Decision::new(&"1.0.2".parse().unwrap(), Code::Courtesy, None);
    assert_eq!(
        serde_json::to_string(&decision).unwrap(),
        r#"{"version":"1.0.2","verdict":"grant","code":"COURTESY","alternative":null}"#
    );
}
