use super::{
    vendor::{Particulars, version},
    *,
};
use crate::{
    client::{Components, Enrolment, Preflight},
    format::{Missing, wire::EventKind},
};

/// A release that requires `requires` (TOML).
fn requiring(requires: &str) -> Particulars {
    Particulars { requires: toml::from_str(requires).unwrap(), ..Particulars::default() }
}

/// Sets the table `[preflight]` of the machine's settings.
fn set(machine: &Machine, preflight: &str) {
    let path = machine.folder.path().join(".mainstay/agent.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.split("\n[preflight]").next().unwrap();
    std::fs::write(path, format!("{text}\n[preflight]\n{preflight}\n")).unwrap();
}

fn artifacts_fetched(machine: &Machine) -> usize {
    let server = machine.server();
    server.requests.iter().filter(|request| request.path.ends_with(".tar.zst")).count()
}

fn what(missing: &[Missing]) -> Vec<String> {
    missing.iter().map(Missing::what).collect()
}

#[test]
fn what_is_missing_is_told_all_at_once_and_nothing_is_fetched() {
    let machine = Machine::running("2.4.0");
    machine.server().requests.clear();
    let much = "kernel = \"99.0\"\nglibc = \"99.0\"\nfree_bytes = 1125899906842624\n\
                [components]\npostgres = \">=15\"\n";
    machine.server().offer("2.4.1", &requiring(much));
    set(&machine, "command = [\"sh\", \"-c\", \"echo a backup runs; exit 1\"]");
    let update = machine.update().unwrap();
    assert_eq!(update.outcome, None);
    let all = ["kernel", "libc", "component postgres", "space", "consent"];
    assert_eq!(what(&update.missing), all);
    assert_eq!(artifacts_fetched(&machine), 0);
    assert_eq!(machine.runs(), Some(version("2.4.0")));
    let event = machine.server().events.last().unwrap().clone();
    assert_eq!((event.kind, &event.to), (EventKind::Refused, &version("2.4.1")));
    assert!(event.detail.contains("kernel 99.0 or later is required"), "{}", event.detail);
    assert!(event.detail.contains("a backup runs"), "{}", event.detail);

    let told = machine.server().events.len();
    machine.update().unwrap();
    machine.update().unwrap();
    assert_eq!(machine.server().events.len(), told, "the same is told once");
}

#[test]
fn what_was_missing_and_is_there_now_stands_in_the_way_no_more() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &requiring("[components]\npostgres = \">=15\"\n"));
    assert_eq!(what(&machine.update().unwrap().missing), ["component postgres"]);
    let components = Components::open(machine.folder.path()).unwrap();
    components.set(&"postgres".parse().unwrap(), &version("14.2.0")).unwrap();
    let check = machine.check().unwrap();
    let found = machine.client().preflight(&check).unwrap();
    assert!(matches!(found, Preflight::Missing(_)), "{found:?}");
    components.set(&"postgres".parse().unwrap(), &version("15.1.0")).unwrap();
    assert_eq!(machine.client().preflight(&check).unwrap(), Preflight::Passed);
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.1")));
}

#[test]
fn a_command_that_says_not_now_puts_the_update_off() {
    let machine = Machine::running("2.4.0");
    machine.server().requests.clear();
    machine.server().offer("2.4.1", &Particulars::default());
    let asks = "command = [\"sh\", \"-c\", \"echo $MAINSTAY_PREVIOUS_VERSION to \
                $MAINSTAY_PRODUCT $MAINSTAY_VERSION, $MAINSTAY_CHANNEL; exit 21\"]";
    set(&machine, asks);
    for _ in 0..2 {
        let outcome = machine.update().unwrap().outcome.unwrap();
        let Outcome::Deferred { reason, .. } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("2.4.0 to acme-db 2.4.1, bugfix"), "{reason}");
    }
    assert_eq!(artifacts_fetched(&machine), 0);
    let events = machine.server().events.clone();
    let deferred = events.iter().filter(|event| event.kind == EventKind::Deferred).count();
    assert_eq!(deferred, 1, "it is told once");
    set(&machine, "command = [\"true\"]");
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.1")));
}

/// What waits for a window is fetched once, and not looked at again at each check.
#[test]
fn what_is_here_is_neither_fetched_nor_asked_about_again_before_it_is_applied() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    set(&machine, "command = [\"sh\", \"-c\", \"echo asked >> asked\"]");
    let asked = || {
        let said = std::fs::read_to_string(machine.folder.path().join("asked")).unwrap();
        said.lines().count()
    };
    let mut client = machine.client();
    let check = client.check().unwrap();
    assert_eq!(client.fetch(&check, &mut |_| {}).unwrap(), Preflight::Passed);
    assert_eq!((artifacts_fetched(&machine), asked()), (1, 1));
    machine.server().requests.clear();
    assert_eq!(client.fetch(&check, &mut |_| {}).unwrap(), Preflight::Passed);
    assert!(machine.server().requests.is_empty());
    assert_eq!(asked(), 1);
    client.apply(check, &mut |_| {}).unwrap();
    assert_eq!((artifacts_fetched(&machine), asked()), (0, 2));
    assert_eq!(client.installation.running(), Some(&version("2.4.1")));
}

#[test]
fn a_command_that_takes_too_long_or_is_not_there_is_no_consent() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    for (command, problem) in [
        ("command = [\"sleep\", \"1000\"]\ntimeout_seconds = 1", "took longer than 1 seconds"),
        ("command = [\"/no/such/program\"]", "cannot be started"),
    ] {
        set(&machine, command);
        let missing = machine.update().unwrap().missing;
        assert_eq!(what(&missing), ["consent"]);
        assert!(missing[0].to_string().contains(problem), "{}", missing[0]);
    }
}

#[test]
fn the_way_back_asks_for_nothing() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    set(&machine, "command = [\"false\"]");
    machine.server().order_rollback(1, "2.4.0");
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.0")));
}

#[test]
fn the_server_is_told_what_the_machine_is_unless_it_is_not_to_know() {
    let machine = Machine::running("2.4.0");
    let asked = |machine: &Machine| {
        machine.server().requests.clear();
        machine.check().unwrap();
        let server = machine.server();
        let check = server.requests.iter().find(|it| it.path == "/v1/check").unwrap();
        serde_json::from_slice::<serde_json::Value>(&check.body).unwrap()["facts"].clone()
    };
    set(&machine, "components = { java = \"21.0.1\" }");
    let facts = asked(&machine);
    assert!(facts["kernel"].is_string(), "{facts}");
    assert_eq!(facts["components"], serde_json::json!({ "java": "21.0.1" }));
    set(&machine, "facts = \"withheld\"");
    assert!(asked(&machine).is_null());
}

#[test]
fn settings_outlive_another_enrolment() {
    let machine = Machine::enrolled();
    set(&machine, "command = [\"true\"]\ncomponents = { java = \"21.0.1\" }");
    machine.enroll(&machine.options()).unwrap();
    let layout = crate::install::Layout::new(machine.folder.path());
    let preflight = Enrolment::read(&layout).unwrap().preflight;
    assert_eq!(preflight.command, ["true"]);
    assert_eq!(preflight.components.len(), 1);
}
