use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn document(components: &Value) -> Value {
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "timestamp": "2026-01-01T00:00:00Z" },
        "components": components,
    })
}

fn parse(document: &Value) -> Result<Sbom, SbomError> {
    Sbom::parse(document.to_string().as_bytes())
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(
        json!([{ "name": "innermost" }]),
        |inner, _| json!([{ "name": "outer", "components": inner }]),
    )
}

#[test]
fn components_are_found_wherever_they_are_nested() {
    let sbom = parse(&document(&json!([
        {
            "type": "library", "group": "@angular", "name": "core", "version": "17.0.1",
            "purl": "pkg:npm/%40angular/core@17.0.1",
            "evidence": { "identity": { "confidence": 0.8 } },
            "components": [{ "type": "library", "name": "OpenSSL", "version": "3.0.1" }],
        },
        { "type": "library", "name": "github.com/foo/bar", "version": "" },
    ])));
    let sbom = sbom.unwrap();
    let labels: Vec<_> = sbom.components.iter().map(Component::label).collect();
    assert_eq!(labels, ["@angular/core@17.0.1", "OpenSSL@3.0.1", "github.com/foo/bar"]);
    assert_eq!(sbom.indexed().into_keys().collect::<Vec<_>>(), ["bar", "core", "openssl"]);
    let found = |query: &str| {
        let query: ComponentQuery = query.parse().unwrap();
        let under = sbom.indexed().remove(&query.word()).unwrap_or_default();
        under.iter().filter(|it| query.matches(it)).count()
    };
    for query in [
        "openssl",
        "OPENSSL@3.0.1",
        "core",
        "core@17.0.1",
        "@angular/core",
        "@Angular/core@17.0.1",
        "pkg:npm/%40angular/core",
        "pkg:npm/%40angular/core@17.0.1?arch=any#lib",
        "github.com/foo/bar",
    ] {
        assert_eq!(found(query), 1, "{query}");
    }
    for query in ["openssl@3.0.2", "ssl", "bar", "other/core", "pkg:npm/core", "pkg:npm/core@1"] {
        assert_eq!(found(query), 0, "{query}");
    }
}

#[test]
fn what_is_no_bill_of_materials_is_refused_with_what_was_expected() {
    let one = json!([{ "name": "a" }]);
    let with = |member: &str, value: Value| {
        let mut document = document(&one);
        document[member] = value;
        document
    };
    let long = "x".repeat(257);
    let many: Vec<Value> = vec![json!({ "name": "a" }); Sbom::COMPONENTS_MAX + 1];
    for (document, expected) in [
        (json!([]), "not CycloneDX JSON"),
        (json!({}), "missing field `bomFormat`"),
        (with("bomFormat", json!("SPDX")), "bomFormat is `SPDX`: expected CycloneDX"),
        (with("specVersion", json!("1.3")), "specVersion is `1.3`: expected one of 1.4"),
        (with("components", json!([])), "lists no component"),
        (with("components", json!([{}])), "missing field `name`"),
        (with("components", json!([{ "name": "" }])), "component 1: name is not valid"),
        (with("components", json!([{ "name": "a\nb" }])), "component 1: name is not valid"),
        (with("components", json!([{ "name": long }])), "expected 1 to 256 characters"),
        (with("components", json!([{ "name": "a", "purl": "npm/a" }])), "purl is not valid"),
        (with("components", json!(many)), "more than 10000 components"),
        (with("components", nested(Sbom::DEPTH_MAX + 1)), "nested more than 16 deep"),
        (with("components", nested(100)), "recursion limit"),
    ] {
        let error = parse(&document).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(parse(&with("components", nested(Sbom::DEPTH_MAX))).is_ok());
    let more = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = document(&one).to_string().replacen('{', &format!("{{\"more\":{more},"), 1);
    assert!(Sbom::parse(deep.as_bytes()).is_ok(), "what is not used is passed over");
    let xml = Sbom::parse(b"<bom/>").unwrap_err().to_string();
    assert!(xml.contains("not CycloneDX JSON"), "{xml}");
}

#[test]
fn what_names_no_component_is_refused() {
    for bad in ["", "a@", "a/", "pkg:npm", "pkg:npm/", "pkg:npm/@1", "a\u{7}b", &"a".repeat(1025)] {
        assert!(bad.parse::<ComponentQuery>().is_err(), "{bad}");
    }
    let error = "a@".parse::<ComponentQuery>().unwrap_err().to_string();
    assert!(error.contains("expected NAME, NAME@VERSION"), "{error}");
}

proptest! {
    #[test]
    fn nothing_that_is_sent_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _refused = Sbom::parse(&bytes);
        let _refused = String::from_utf8_lossy(&bytes).parse::<ComponentQuery>();
    }

    #[test]
    fn a_component_is_found_by_its_name_and_by_its_package_url(
        group in prop::option::of("[a-zA-Z@][a-z.]{0,6}"),
        name in "[a-zA-Z0-9]{1,6}(/[a-zA-Z0-9]{1,6})?",
        version in "[0-9]{1,2}[.][0-9]",
    ) {
        let purl = Some(format!("pkg:generic/{name}@{version}"));
        let component =
            Component { group, name: name.clone(), version: Some(version.clone()), purl };
        let sbom = Sbom { spec_version: "1.5".to_owned(), components: vec![component.clone()] };
        let queries = [
            name.clone(),
            format!("{name}@{version}"),
            component.label(),
            component.label().to_uppercase(),
            format!("pkg:generic/{name}"),
        ];
        for query in queries {
            let query: ComponentQuery = query.parse().unwrap();
            let found = sbom.indexed().remove(&query.word()).unwrap_or_default();
            prop_assert!(found.iter().any(|it| query.matches(it)), "{query}");
        }
    }
}
