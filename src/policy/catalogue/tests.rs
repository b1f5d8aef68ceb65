use super::*;

fn release(version: &str, published_at: &str, extra: &str) -> Release {
    let text = format!(
        r#"{{"version": "{version}", "channel": "feature", "severity": "minor",
            "published_at": "{published_at}T00:00:00Z" {extra}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn day(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn catalogue(releases: Vec<Release>) -> Catalogue {
    Catalogue::new("demo".parse().unwrap(), [], releases).unwrap()
}

fn ga(catalogue: &Catalogue) -> Option<Timestamp> {
    catalogue.line("1.1".parse().unwrap()).ga
}

#[test]
fn a_line_is_dated_by_its_opening_release() {
    let opened = catalogue(vec![
        release("1.1.0-rc.1", "2025-01-01", ""),
        release("1.1.0", "2025-02-01", ""),
        release("1.1.1", "2025-03-01", ""),
    ]);
    assert_eq!(ga(&opened), Some(day("2025-02-01")));
}

#[test]
fn a_given_date_holds_against_the_opening_release() {
    let line: Line =
        serde_json::from_str(r#"{"line": "1.1", "ga": "2024-01-01T00:00:00Z"}"#).unwrap();
    let opened = [release("1.1.0", "2025-02-01", "")];
    let dated = Catalogue::new("demo".parse().unwrap(), [line], opened).unwrap();
    assert_eq!(ga(&dated), Some(day("2024-01-01")));
}

#[test]
fn a_preview_stands_in_until_the_line_is_opened() {
    let previewed = catalogue(vec![
        release("1.1.0-rc.2", "2025-01-05", ""),
        release("1.1.0-rc.10", "2025-01-09", ""),
        release("1.1.0", "2025-02-01", r#", "status": "draft""#),
    ]);
    assert_eq!(ga(&previewed), Some(day("2025-01-05")));
}

#[test]
fn drafts_and_patches_date_nothing() {
    let drafted = catalogue(vec![release("1.1.0", "2025-02-01", r#", "status": "draft""#)]);
    assert_eq!(ga(&drafted), None);
    assert_eq!(ga(&catalogue(vec![release("1.1.1", "2025-02-01", "")])), None);
    assert_eq!(ga(&catalogue(Vec::new())), None);
}

#[test]
fn whoever_withdrew_the_opening_release_does_not_close_the_line() {
    let withdrawn = catalogue(vec![release("1.1.0", "2025-02-01", r#", "status": "revoked""#)]);
    assert_eq!(ga(&withdrawn), Some(day("2025-02-01")));
}

#[test]
fn an_entry_given_twice_is_refused() {
    let one = release("1.1.0", "2025-02-01", "");
    let error = Catalogue::new("demo".parse().unwrap(), [], [one.clone(), one]).unwrap_err();
    assert_eq!(error.to_string(), "release 1.1.0 is given twice: expected it once");
    let line = Line::undated("1.1".parse().unwrap());
    let error = Catalogue::new("demo".parse().unwrap(), [line, line], []).unwrap_err();
    assert_eq!(error.to_string(), "line 1.1 is given twice: expected it once");
}

#[test]
fn fixing_at_least_wants_all_advisories() {
    let fixes = |list: &str| format!(r#", "advisories": [{list}]"#);
    let wanted = release("2.0.1", "2025-01-01", &fixes(r#""A", "B""#));
    let fixing = catalogue(vec![
        wanted.clone(),
        release("1.0.1", "2025-01-01", &fixes(r#""A""#)),
        release("1.0.2", "2025-01-01", &fixes(r#""A", "B", "C""#)),
        release("1.0.3", "2025-01-01", &fixes(r#""B", "A""#)),
        release("1.0.4", "2025-01-01", ""),
    ]);
    let versions = |release: &Release| -> Vec<String> {
        fixing.fixing_at_least(release).map(|release| release.version.to_string()).collect()
    };
    assert_eq!(versions(&wanted), ["2.0.1", "1.0.3", "1.0.2"]);
    assert_eq!(versions(&release("3.0.0", "2025-01-01", "")), Vec::<String>::new());
}

#[test]
fn effective_at_is_published_at_unless_given() {
    assert_eq!(release("1.1.0", "2025-02-01", "").effective_at(), day("2025-02-01"));
    let back = release("1.1.0", "2025-02-01", r#", "effective_at": "2025-01-01T00:00:00Z""#);
    assert_eq!(back.effective_at(), day("2025-01-01"));
}
