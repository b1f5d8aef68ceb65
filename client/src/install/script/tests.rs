use super::*;

/// Runs `test` for a release with an empty tree.
fn in_place<T>(output_bytes_max: usize, test: impl FnOnce(&Place<'_>) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    let (layout, version) = (Layout::new(dir.path()), "1.0.0".parse().unwrap());
    std::fs::create_dir_all(layout.tree(&version)).unwrap();
    test(&Place {
        layout: &layout,
        version: &version,
        previous: None,
        data: String::new(),
        run: "a-test",
        output_bytes_max,
    })
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).into()
}

fn check(script: &str, output_bytes_max: usize) -> Result<(), String> {
    in_place(output_bytes_max, |place| match place.run(Occasion::Check, &shell(script), 600) {
        Verdict::Passed(_) => Ok(()),
        Verdict::NotNow(reason) | Verdict::Failed(reason) => Err(reason),
    })
}

#[test]
fn a_failing_check_is_tried_as_often_as_its_release_says() {
    let counting = "echo x >> runs; test \"$(wc -l < runs)\" -ge 3";
    let health = |retries| HealthCheck { retries, ..HealthCheck::of(shell(counting)) };
    let verdict = in_place(64, |place| place.check(&health(2)));
    assert_eq!(verdict, Verdict::Passed(String::new()));
    let Verdict::Failed(reason) = in_place(64, |place| place.check(&health(1))) else { panic!() };
    assert!(reason.starts_with("2 times: the health check"), "{reason}");
}

#[test]
fn a_failure_within_the_grace_does_not_count() {
    let counting = "echo x >> runs; test \"$(wc -l < runs)\" -ge 3";
    let health = HealthCheck { grace_seconds: 3600, ..HealthCheck::of(shell(counting)) };
    let verdict = in_place(64, |place| place.check(&health));
    assert_eq!(verdict, Verdict::Passed(String::new()));
}

#[test]
fn a_program_can_say_not_now_and_is_believed_at_once() {
    let health = HealthCheck { retries: 9, ..HealthCheck::of(shell("echo at night; exit 21")) };
    let Verdict::NotNow(reason) = in_place(64, |place| place.check(&health)) else { panic!() };
    assert!(reason.contains("said not now") && reason.ends_with("at night"), "{reason}");
}

fn in_a_group(script: &str) -> (Child, PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    let mut command = Command::new("sh");
    let command = command.args(["-c", script]).stdin(Stdio::null()).stdout(writer);
    (command.process_group(0).spawn().unwrap(), reader)
}

#[test]
fn the_end_of_the_output_is_kept() {
    let script = "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i + 1)); done; exit 1";
    let reason = check(script, 64).unwrap_err();
    let (_, said) = reason.split_once("it said: \n").unwrap();
    assert!(said.ends_with("line 499"), "{reason}");
    assert!(said.len() <= 64 && said.len() > 50, "{reason}");
}

#[test]
fn a_check_that_says_nothing_and_one_that_is_killed_are_told_apart() {
    assert_eq!(check("exit 0", 64), Ok(()));
    let reason = check("exit 7", 64).unwrap_err();
    assert!(reason.contains("(exit status: 7)") && reason.ends_with("nothing"), "{reason}");
    let reason = check("kill -TERM $$", 64).unwrap_err();
    assert!(reason.contains("SIGTERM"), "{reason}");
}

#[test]
fn what_takes_too_long_is_killed_with_all_that_it_started() {
    let (child, mut output) = in_a_group("sleep 600 & echo started; wait");
    // Wait until both processes are there.
    let mut started = [0; 8];
    output.read_exact(&mut started).unwrap();
    assert_eq!(ended_within(child, Duration::ZERO).unwrap(), None);
    // This ends only once nobody holds the other end.
    assert_eq!(output.read(&mut started).unwrap(), 0);
}

#[test]
fn what_a_check_leaves_running_is_killed() {
    let (child, mut output) = in_a_group("sleep 600 & exit 3");
    let status = ended_within(child, Duration::from_mins(10)).unwrap().unwrap();
    assert_eq!(status.code(), Some(3));
    assert_eq!(output.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn programs_with_a_slash_are_those_of_the_tree() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (layout, version) = (Layout::new(dir.path()), "1.0.0".parse().unwrap());
    let bin = layout.tree(&version).join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("check"), "#!/bin/sh\ntest \"$1\" = word && pwd\nexit 4\n").unwrap();
    std::fs::set_permissions(bin.join("check"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let place = Place {
        layout: &layout,
        version: &version,
        previous: None,
        data: String::new(),
        run: "a-test",
        output_bytes_max: 4096,
    };
    let command = ["bin/check", "word"].map(str::to_owned);
    let Verdict::Failed(reason) = place.run(Occasion::Check, &command, 600) else { panic!() };
    assert!(reason.contains("exit status: 4") && reason.contains("versions/1.0.0"), "{reason}");
}
