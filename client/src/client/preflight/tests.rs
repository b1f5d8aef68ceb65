use super::*;

#[test]
fn space_is_missing_only_where_there_is_less_than_is_needed() {
    let room = Room { needed: 90, available: 100 };
    assert_eq!(lack_of_space(room, 10), None);
    assert_eq!(lack_of_space(room, 11), Some(Missing::Space { required: 101, found: 100 }));
    let endless = Missing::Space { required: u64::MAX, found: 100 };
    assert_eq!(lack_of_space(room, u64::MAX), Some(endless));
}

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
