use super::{
    vendor::{Particulars, problem, version},
    *,
};
use crate::{
    error::ErrorKind,
    fetch::test_server::{Body, Reply},
    format::{Action, ChannelName, TargetPath},
};

/// A machine that runs 2.4.2, came over 2.4.1 and has lost the tree of that, which is retired now.
fn beyond_a_retired_release() -> Machine {
    let machine = Machine::running("2.4.1");
    machine.server().offer("2.4.2", &Particulars::default());
    machine.update().unwrap();
    machine.server().vendor.retire("2.4.1");
    std::fs::remove_dir_all(machine.folder.path().join("versions/2.4.1")).unwrap();
    machine.server().set(Action::Stay);
    machine.server().requests.clear();
    machine
}

fn order(machine: &Machine) {
    machine.server().order_rollback(1, "2.4.1");
}

fn rolled_back() -> Outcome {
    Outcome::RolledBack { from: version("2.4.2"), to: version("2.4.1") }
}

#[test]
fn the_archive_is_of_no_interest_until_a_plan_names_it() {
    let machine = beyond_a_retired_release();
    let copy = machine.trust_file("channels/archive.json");
    machine.check().unwrap();
    machine.server().offer("2.4.3", &Particulars::default());
    machine.update().unwrap();
    assert!(!copy.exists());
    let asked =
        |machine: &Machine| machine.server().paths().iter().any(|path| path.contains("archive"));
    assert!(!asked(&machine));

    machine.server().order_rollback(1, "2.4.1");
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.1")));
    assert!(copy.exists() && asked(&machine));

    // What was taken in once and is old by now is not fetched again.
    machine.server().offer("2.4.4", &Particulars::default());
    machine.server().requests.clear();
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.4")));
    assert!(!asked(&machine));
}

#[test]
fn a_machine_goes_back_to_what_is_retired() {
    let machine = beyond_a_retired_release();
    for later in ["2.4.3", "2.4.4", "2.4.5"] {
        machine.server().offer(later, &Particulars::default());
        machine.update().unwrap();
    }
    assert!(machine.client().status().recorded.record.kept_tree(&version("2.4.1")).is_none());
    machine.server().requests.clear();
    order(&machine);
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.1")));
    // It was brought by the check, and the release by its paths in the archive.
    let server = machine.server();
    let fetched: Vec<_> = server.paths().into_iter().filter(|it| it.contains("/repo/")).collect();
    assert_eq!(fetched.len(), 2, "{fetched:?}");
    assert!(fetched.iter().all(|path| path.contains("targets/archive/bugfix/2.4.1/")));
}

#[test]
fn an_archive_that_is_not_brought_or_is_damaged_heals() {
    let machine = beyond_a_retired_release();
    order(&machine);
    let copy = machine.trust_file("channels/archive.json");
    machine.check().unwrap();
    for damage in [None, Some("{")] {
        match damage {
            None => std::fs::remove_file(&copy).unwrap(),
            Some(text) => std::fs::write(&copy, text).unwrap(),
        }
        machine.server().meddle = Some(Box::new(|request, reply| {
            if request.path != "/v1/check" {
                return reply;
            }
            let Body::Whole(bytes) = reply.body else { panic!("only whole bodies") };
            let mut answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            answer["metadata"].as_object_mut().unwrap().remove("archive.json");
            Reply::ok(answer.to_string().into_bytes())
        }));
        machine.check().unwrap();
        assert!(
            serde_json::from_slice::<serde_json::Value>(&std::fs::read(&copy).unwrap()).is_ok()
        );
    }
    assert_eq!(machine.update().unwrap().outcome.unwrap(), rolled_back());
}

#[test]
fn a_plan_that_takes_the_archive_for_something_else_is_refused() {
    let machine = beyond_a_retired_release();
    order(&machine);
    let ordered = machine.server().plan.action.clone();
    let planned = |change: &dyn Fn(&mut crate::format::PlanTarget)| {
        let mut action = ordered.clone();
        let Action::Rollback { target, .. } = &mut action else { panic!("an order") };
        change(target);
        machine.server().set(action);
        let error = machine.check().unwrap_err();
        (error.kind(), error.code().to_owned())
    };
    let security = ChannelName::from(crate::format::Channel::Security);
    let elsewhere = TargetPath::manifest(&security, &version("2.4.1"));
    let trust = |code: &str| (ErrorKind::Trust, code.to_owned());
    // It is listed there no more, or never was.
    assert_eq!(planned(&|it| it.channel = "bugfix".parse().unwrap()), trust("path"));
    assert_eq!(planned(&|it| it.manifest.path = elsewhere.archived()), trust("path"));
    assert_eq!(planned(&|it| it.manifest.path = elsewhere.clone()), trust("path"));
    let no_channel = "archive/archive/2.4.1/release.json".parse::<TargetPath>().unwrap();
    assert_eq!(planned(&|it| it.manifest.path = no_channel.clone()), trust("path"));
    assert_eq!(machine.runs(), Some(version("2.4.2")));
    machine.server().set(ordered);
    assert_eq!(machine.update().unwrap().outcome.unwrap(), rolled_back());
}

#[test]
fn what_came_from_the_archive_is_found_again_by_whoever_is_at_the_machine() {
    let machine = beyond_a_retired_release();
    order(&machine);
    machine.update().unwrap();
    machine.server().offer("2.4.3", &Particulars::default());
    machine.update().unwrap();
    let tree = machine.folder.path().join("versions/2.4.1");
    std::fs::remove_dir_all(&tree).unwrap();
    // A server keeps what is retired where it was, too.
    machine.server().meddle = Some(Box::new(|request, reply| {
        if request.path.contains("/targets/bugfix/2.4.1/") { problem(418, "THERE") } else { reply }
    }));
    let error = machine.client().roll_back(None, &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), "THERE");
}
