use super::{
    vendor::{Particulars, problem, version},
    *,
};
use crate::{
    client::settings::{Opening, Step, Wait},
    format::Action,
};

fn history(machine: &Machine) -> History {
    machine.client().status().history
}

fn now(machine: &Machine) -> Timestamp {
    *machine.now.lock().unwrap()
}

/// Appends to the machine's settings.
fn set(machine: &Machine, tables: &str) {
    let path = machine.folder.path().join(".mainstay/agent.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{text}\n{tables}\n")).unwrap();
}

#[test]
fn what_happened_is_remembered_with_its_instant() {
    let machine = Machine::running("2.4.0");
    let installed = now(&machine);
    assert_eq!(history(&machine).checked, Some(installed));
    assert_eq!(history(&machine).failed, None);

    machine.pass(60);
    machine.server().meddle = Some(Box::new(|_, _| vendor::unreachable_server()));
    machine.check().unwrap_err();
    let failed = history(&machine).failed.unwrap();
    assert_eq!((failed.at, failed.code.as_deref()), (now(&machine), Some("network")));
    assert!(failed.message.contains("/repo") || failed.message.contains("/v1"), "{failed:?}");
    assert_eq!(history(&machine).checked, Some(installed), "nobody answered since");

    machine.pass(60);
    machine.server().meddle = Some(Box::new(|_, _| problem(403, "MACHINE_REVOKED")));
    machine.check().unwrap_err();
    assert_eq!(history(&machine).failed.unwrap().code.as_deref(), Some("MACHINE_REVOKED"));

    machine.pass(60);
    machine.server().meddle = None;
    let before = history(&machine).failed;
    machine.server().offer("2.3.0", &Particulars::default());
    machine.check().unwrap_err();
    let refused = history(&machine).refused.unwrap();
    assert_eq!((refused.at, refused.code.as_deref()), (now(&machine), Some("direction")));
    assert_eq!(history(&machine).failed, before, "a refusal is no failure");

    machine.pass(60);
    machine.server().set(Action::Stay);
    machine.check().unwrap();
    assert_eq!(history(&machine).checked, Some(now(&machine)));
    assert_eq!(history(&machine).refused.unwrap().at, refused.at, "it stays the last one");
}

#[test]
fn an_undone_update_is_remembered_whoever_notices_it() {
    let machine = Machine::running("2.4.0");
    let probing = Particulars { confirm_within_seconds: Some(60), ..Particulars::default() };
    machine.server().offer("2.4.1", &probing);
    machine.update().unwrap();
    machine.client().roll_back(None, &mut |_| {}).unwrap();
    let undone = history(&machine).undone.unwrap();
    assert_eq!((undone.at, undone.version), (now(&machine), Some(version("2.4.1"))));
    assert_eq!(undone.message, "rolled back by an order given at the machine");

    machine.server().offer("2.4.2", &probing);
    machine.update().unwrap();
    machine.pass(61);
    let undone = history(&machine).undone.unwrap();
    assert_eq!((undone.at, undone.version), (now(&machine), Some(version("2.4.2"))));

    machine.server().offer("2.4.3", &probing);
    machine.update().unwrap();
    let mut client = machine.client();
    machine.pass(61);
    machine.server().set(Action::Stay);
    client.check().unwrap();
    assert_eq!(client.status().history.undone.unwrap().version, Some(version("2.4.3")));
}

#[test]
fn what_somebody_ended_is_no_failure() {
    let machine = Machine::running("2.4.0");
    let surroundings = machine.surroundings();
    surroundings.cancellation.request();
    let mut client = Client::open_within(machine.folder.path(), surroundings).unwrap();
    client.check().unwrap_err();
    assert_eq!(client.status().history.failed, None);
}

#[test]
fn what_stands_in_the_way_is_remembered_for_as_long_as_it_does() {
    let machine = Machine::running("2.4.0");
    let requires = toml::from_str("kernel = \"99.0\"").unwrap();
    machine.server().offer("2.4.1", &Particulars { requires, ..Particulars::default() });
    machine.update().unwrap();
    let obstacle = history(&machine).obstacle.unwrap();
    assert_eq!((obstacle.at, obstacle.version), (now(&machine), Some(version("2.4.1"))));
    assert!(obstacle.message.contains("kernel 99.0 or later"), "{}", obstacle.message);

    machine.server().offer("2.4.2", &Particulars::default());
    machine.check().unwrap();
    assert_eq!(history(&machine).obstacle, None, "it was another release's");
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.2")));
    let file = std::fs::read_to_string(machine.folder.path().join(".mainstay/history.json"));
    assert!(!file.unwrap().contains("obstacle"));
}

#[test]
fn a_damaged_history_is_as_none() {
    let machine = Machine::running("2.4.0");
    let path = machine.folder.path().join(".mainstay/history.json");
    for damage in ["", "{", "[]", "{\"checked\":7}"] {
        std::fs::write(&path, damage).unwrap();
        assert_eq!(history(&machine), History::default(), "{damage}");
        machine.check().unwrap();
        assert_eq!(history(&machine).checked, Some(now(&machine)));
    }
    // What a newer agent remembers besides is no damage.
    std::fs::write(&path, "{\"checked\":\"2026-01-01T00:00:00Z\",\"seen\":1}").unwrap();
    assert!(history(&machine).checked.is_some());
}

#[test]
fn a_history_that_cannot_be_written_is_in_nobodys_way() {
    let machine = Machine::running("2.4.0");
    let path = machine.folder.path().join(".mainstay/history.json");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("occupied")).unwrap();
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.1")));
}

#[test]
fn what_is_offered_is_what_is_still_to_be_done() {
    let machine = Machine::enrolled();
    let offer = || machine.client().status().offer;
    assert!(offer().is_none(), "nothing was asked yet");
    machine.server().offer("2.4.0", &Particulars::default());
    machine.check().unwrap();
    assert_eq!(offer().unwrap().action.target().unwrap().version, version("2.4.0"));
    assert!(
        matches!(offer().unwrap().step, Step::Wait(Wait::Approval)),
        "a new line is asked about"
    );
    machine.client().approve(&version("2.4.0")).unwrap();
    assert_eq!(offer().unwrap().step, Step::Apply);
    machine.update().unwrap();
    assert!(offer().is_none(), "it runs");

    let probing = Particulars { confirm_within_seconds: Some(60), ..Particulars::default() };
    machine.server().offer("2.4.1", &probing);
    machine.update().unwrap();
    machine.server().offer("2.4.2", &Particulars::default());
    machine.check().unwrap();
    let offered = offer().unwrap();
    assert_eq!((offered.probation, offered.step), (Some(version("2.4.1")), Step::Apply));
    machine.server().order_rollback(1, "2.4.0");
    machine.check().unwrap();
    let offered = offer().unwrap();
    assert!(matches!(offered.action, Action::Rollback { .. }));
    assert_eq!(offered.probation, None, "an order waits for nobody");
    machine.update().unwrap();
    assert!(offer().is_none(), "the order is carried out");

    machine.server().offer("2.4.1", &Particulars::default());
    machine.check().unwrap_err();
    assert!(offer().is_none(), "it is blocked here");
    set(&machine, "[updates.channels]\nbugfix = \"off\"");
    machine.server().offer("2.4.3", &Particulars::default());
    machine.check().unwrap();
    assert_eq!(offer().unwrap().step, Step::Rest);
}

#[test]
fn the_server_is_told_what_is_waited_for_with_the_next_check() {
    let machine = Machine::running("2.4.0");
    let told = |machine: &Machine| {
        machine.server().requests.clear();
        machine.check().unwrap();
        let server = machine.server();
        let check = server.requests.iter().find(|it| it.path == "/v1/check").unwrap();
        let told = serde_json::from_slice::<serde_json::Value>(&check.body).unwrap();
        told.get("waits").cloned()
    };
    machine.server().offer("2.5.0", &Particulars::default());
    assert_eq!(told(&machine), None, "it was offered nothing before");
    let waiting = |awaited| serde_json::json!({ "version": "2.5.0", "for": awaited });
    assert_eq!(told(&machine), Some(waiting(serde_json::json!("approval"))));

    machine.client().approve(&version("2.5.0")).unwrap();
    assert_eq!(told(&machine), None, "its next look installs it");
    // What an administrator will not have told of what the machine is says nothing of this.
    let window = "[[updates.windows]]\nfrom = \"HH:00\"\nuntil = \"HH:01\"";
    let hour = (now(&machine).to_zoned_datetime(jiff::tz::TimeZone::UTC).hour() + 2) % 24;
    let window = window.replace("HH", &format!("{hour:02}"));
    set(&machine, &format!("[preflight]\nfacts = \"withheld\"\n{window}"));
    let opens = machine.client().enrolment().updates.windows.at(now(&machine));
    let Opening::Closed { until } = opens else { panic!("{opens:?}") };
    assert_eq!(told(&machine), Some(waiting(serde_json::json!({ "window": until }))));

    machine.update().unwrap();
    assert_eq!(told(&machine), None, "it runs");
    set(&machine, "[updates.channels]\nbugfix = \"off\"");
    machine.server().offer("2.5.1", &Particulars::default());
    assert_eq!(told(&machine), None);
    let off = serde_json::json!({ "version": "2.5.1", "for": "command" });
    assert_eq!(told(&machine), Some(off));
    machine.server().set(Action::Stay);
    assert!(told(&machine).is_some(), "it goes by the plan that it had");
    assert_eq!(told(&machine), None);
}

#[test]
fn settings_that_cannot_be_read_are_not_called_a_missing_enrolment() {
    let machine = Machine::running("2.4.0");
    set(&machine, "[updates.channels]\nsecurity = \"approve\"");
    let message = Status::read(machine.folder.path()).unwrap_err().to_string();
    for said in ["agent.toml", "expected one of `auto`", "`mainstay-agent doctor`"] {
        assert!(message.contains(said), "{message}");
    }
    assert!(!message.contains("enroll"), "enrolling anew would not mend it: {message}");
}

#[test]
fn a_machine_knows_since_when_its_version_runs() {
    let machine = Machine::running("2.4.0");
    let since = |machine: &Machine| machine.client().status().recorded.running_since.unwrap();
    let link = || {
        use std::os::unix::fs::MetadataExt as _;
        let link = std::fs::symlink_metadata(machine.folder.path().join("current")).unwrap();
        Timestamp::from_second(link.mtime()).unwrap()
    };
    assert_eq!(since(&machine), link());
    std::fs::remove_file(machine.folder.path().join("current")).unwrap();
    let status = Status::read(machine.folder.path()).unwrap();
    assert_eq!(status.recorded.running_since, None, "it does not run by that name");
}
