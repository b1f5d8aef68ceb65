use super::{scenario::Scenario, *};

#[test]
fn every_scenario_is_decided_as_expected() {
    let scenarios = Scenario::all();
    assert!(scenarios.len() >= 60, "only {} scenarios", scenarios.len());
    let mut wrong = Vec::new();
    for scenario in &scenarios {
        let decisions = scenario.decisions();
        let codes: Vec<Code> = decisions.iter().map(|decision| decision.code).collect();
        let alternatives = decisions
            .into_iter()
            .filter_map(|decision| Some((decision.version, decision.alternative?)))
            .collect();
        if codes != scenario.expect || scenario.alternatives != alternatives {
            wrong.push(format!(
                "{}: expected {:?} {:?}, found {codes:?} {alternatives:?}",
                scenario.name, scenario.expect, scenario.alternatives
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_scenarios_show_every_code() {
    let shown: BTreeSet<Code> =
        Scenario::all().into_iter().flat_map(|scenario| scenario.expect).collect();
    let missing: Vec<&Code> = Code::ALL.iter().filter(|code| !shown.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn scenarios_have_names_of_their_own() {
    let scenarios = Scenario::all();
    let names: BTreeSet<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    assert_eq!(names.len(), scenarios.len());
}

#[test]
fn a_version_that_does_not_exist_is_answered_like_a_hidden_one() {
    let hidden = Scenario::all()
        .into_iter()
        .find(|scenario| scenario.name == "another audience's release does not exist")
        .unwrap();
    let catalogue = hidden.catalogue();
    let asked = |version: &str| {
        let version = version.parse().unwrap();
        let Scenario { contract, history, now, .. } = &hidden;
        let decision = decide_version(contract, catalogue.as_ref(), &version, history, *now);
        let sentence = explain(&decision, contract, catalogue.as_ref(), *now);
        (decision.code, sentence.replace(&version.to_string(), "X"))
    };
    assert_eq!(asked("1.0.1"), asked("9.9.9"));
    assert_eq!(asked("1.0.1").0, Code::NotFound);
}

#[test]
fn all_routes_agree() {
    for scenario in Scenario::all() {
        let Some(catalogue) = scenario.catalogue() else { continue };
        let Scenario { contract, history, now, .. } = &scenario;
        let all = decide_all(contract, &catalogue, history, *now);
        let singly: Vec<Decision> = catalogue
            .releases()
            .map(|release| decide(contract, &catalogue, release, history, *now))
            .collect();
        assert_eq!(all, singly, "{}", scenario.name);
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
        r#"{"version":"1.0.2","verdict":"grant","code":"COURTESY"}"#
    );
}
