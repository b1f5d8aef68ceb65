use super::*;

#[test]
fn settings_that_make_no_sense_are_refused_with_what_is_expected() {
    let read = |text: &str| toml::from_str::<PreflightSettings>(text).unwrap();
    let refused = |text: &str| read(text).expect_sound("agent.toml".as_ref()).unwrap_err();
    insta::assert_snapshot!(
        refused("command = [\"bin/may\"]"),
        @"agent.toml: preflight.command begins with `bin/may`: expected an absolute path or a program in PATH"
    );
    insta::assert_snapshot!(
        refused("command = [\"true\"]\ntimeout_seconds = 0"),
        @"agent.toml: preflight.timeout_seconds is 0: expected 1 to 3600"
    );
    assert!(read("command = [\"/bin/true\"]").expect_sound("agent.toml".as_ref()).is_ok());
    assert!(toml::from_str::<PreflightSettings>("comand = []").is_err());
}
