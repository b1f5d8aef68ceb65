use std::os::unix::fs::PermissionsExt as _;

use super::{
    vendor::{self, Particulars, version},
    *,
};
use crate::{
    error::ErrorKind,
    fetch::test_server::TestServer,
    format::{Action, Digest, wire::EventKind},
};

fn kinds(machine: &Machine) -> Vec<EventKind> {
    machine.server().events.iter().map(|event| event.kind).collect()
}

#[test]
fn enroll_check_update_up_to_date() {
    let machine = Machine::enrolled();
    assert_eq!(machine.check().unwrap().action, Action::Stay);

    machine.server().offer("2.4.0", &Particulars::default());
    let check = machine.check().unwrap();
    assert_eq!(check.action.target().unwrap().version, version("2.4.0"));
    assert_eq!(machine.runs(), None, "a check changes nothing");

    let mut seen = Vec::new();
    let update = machine.client().update(&mut |progress| seen.push(progress)).unwrap();
    assert_eq!(update.outcome, Some(Outcome::Committed { from: None, to: version("2.4.0") }));
    assert!(update.undelivered.is_none());
    assert_eq!(seen.last(), Some(&Progress::Installing { version: version("2.4.0") }));
    let program = machine.folder.path().join("versions/2.4.0/bin/acme-db");
    assert_eq!(std::fs::read_to_string(program).unwrap(), "version 2.4.0\n");
    let cache = machine.folder.path().join(".mainstay/cache");
    assert_eq!(std::fs::read_dir(cache).unwrap().count(), 0, "the cache is empty afterwards");
    assert_eq!(kinds(&machine), [EventKind::Installed, EventKind::Confirmed]);

    machine.server().set(Action::Stay);
    let update = machine.update().unwrap();
    assert_eq!(update.outcome, None);
    assert_eq!(update.check.running, Some(version("2.4.0")));
    assert!(machine.client().verify().unwrap().is_intact());
}

#[test]
fn the_same_over_a_socket_with_a_cut() {
    let machine = Machine::new();
    let server = Arc::clone(&machine.server);
    let cuts = Mutex::new(0);
    let http = TestServer::start(move |request| {
        let reply = server.lock().unwrap().handle(request);
        let mut cuts = cuts.lock().unwrap();
        if request.path.ends_with(".tar.zst") && *cuts < 2 {
            *cuts += 1;
            return reply.cut_after(10);
        }
        reply
    });
    let surroundings = || Surroundings {
        retry: Retry::AT_ONCE,
        clock: machine.surroundings().clock,
        ..Surroundings::default()
    };
    let options = EnrollOptions { server_url: http.url(), ..machine.options() };
    Client::enroll_within(&options, surroundings()).unwrap();
    machine.server().offer("2.4.0", &Particulars::default());
    let mut client = Client::open_within(machine.folder.path(), surroundings()).unwrap();
    let update = client.update(&mut |_| {}).unwrap();
    assert_eq!(update.outcome, Some(Outcome::Committed { from: None, to: version("2.4.0") }));
    let ranges: Vec<_> = http
        .received()
        .iter()
        .filter(|request| request.path.ends_with(".tar.zst"))
        .map(|request| request.header("range").map(ToOwned::to_owned))
        .collect();
    assert_eq!(ranges, [None, Some("bytes=10-".to_owned()), Some("bytes=20-".to_owned())]);
    assert!(http.connections() <= 4, "connections are kept: {}", http.connections());
}

#[test]
fn enrolling_again_is_the_same_machine_and_keeps_what_it_knows() {
    let machine = Machine::running("2.4.0");
    let key = std::fs::read(machine.folder.path().join(".mainstay/machine.key")).unwrap();
    machine.enroll(&machine.options()).unwrap();
    let again = std::fs::read(machine.folder.path().join(".mainstay/machine.key")).unwrap();
    assert_eq!(key, again);
    assert!(machine.trust_file("plan.json").exists());
    machine.server().plan.version = 1;
    assert_eq!(machine.check().unwrap_err().code(), "rollback");
}

#[test]
fn secrets_are_the_owners_alone() {
    let machine = Machine::enrolled();
    for name in ["machine.key", "token", "agent.toml"] {
        let path = machine.folder.path().join(".mainstay").join(name);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let settings = machine.folder.path().join(".mainstay/agent.toml");
    assert!(!std::fs::read_to_string(settings).unwrap().contains("mst_token"));
    let root = std::fs::read(machine.trust_file("root.json")).unwrap();
    assert_eq!(root, machine.server().vendor.roots[0], "byte for byte");
}

#[test]
fn a_refused_enrolment_leaves_nothing_half_done() {
    let machine = Machine::new();
    let refused = |options: &EnrollOptions| {
        let error = machine.enroll(options).unwrap_err();
        let error_of_open = Client::open_within(machine.folder.path(), machine.surroundings());
        assert_eq!(error_of_open.err().unwrap().kind(), ErrorKind::NotEnrolled);
        assert!(!machine.trust_file("root.json").exists());
        (error.kind(), error.code().to_owned())
    };
    let wrong_key =
        EnrollOptions { activation_key: "key-2".to_owned().into(), ..machine.options() };
    assert_eq!(refused(&wrong_key), (ErrorKind::Server, "ACTIVATION_KEY".to_owned()));
    let wrong_root =
        EnrollOptions { root_sha256: Some(Digest::of(b"another")), ..machine.options() };
    assert_eq!(refused(&wrong_root), (ErrorKind::Trust, "digest".to_owned()));
    let no_host = EnrollOptions { host: String::new(), ..machine.options() };
    assert_eq!(refused(&no_host), (ErrorKind::Input, "input".to_owned()));
    let right = Digest::of(&machine.server().vendor.roots[0]);
    let right_root = EnrollOptions { root_sha256: Some(right), ..machine.options() };
    machine.enroll(&right_root).unwrap();
}

#[test]
fn a_folder_holds_one_product() {
    let machine = Machine::running("2.4.0");
    let other = EnrollOptions { product: "acme-web".parse().unwrap(), ..machine.options() };
    assert_eq!(machine.enroll(&other).unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn an_unknown_folder_is_not_enrolled_and_not_made() {
    let machine = Machine::new();
    let path = machine.folder.path().join("missing");
    let error = Client::open_within(&path, machine.surroundings()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotEnrolled);
    assert!(!path.exists());
}

#[test]
fn one_agent_at_a_time() {
    let machine = Machine::enrolled();
    let _first = machine.client();
    let second = Client::open_within(machine.folder.path(), machine.surroundings());
    assert_eq!(second.err().unwrap().kind(), ErrorKind::Locked);
}

#[test]
fn what_cannot_be_reported_is_reported_later() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.server().meddle = Some(Box::new(|request, reply| {
        if request.path == "/v1/report" { vendor::unreachable_server() } else { reply }
    }));
    // The server never hears of it in this test, so what it hears later is everything.
    let update = machine.update().unwrap();
    assert_eq!(
        update.outcome.unwrap(),
        Outcome::Committed { from: Some(version("2.4.0")), to: version("2.4.1") }
    );
    assert_eq!(update.undelivered.unwrap().kind(), ErrorKind::Network);
    assert_eq!(machine.client().status().recorded.pending_events, 2);

    machine.server().meddle = None;
    machine.server().events.clear();
    machine.server().set(Action::Stay);
    machine.check().unwrap();
    assert_eq!(kinds(&machine), [EventKind::Installed, EventKind::Confirmed]);
    assert_eq!(machine.client().status().recorded.pending_events, 0);
}

#[test]
fn a_probation_is_confirmed_or_undone() {
    let machine = Machine::running("2.4.0");
    let probing = Particulars { confirm_within_seconds: Some(60), ..Particulars::default() };
    machine.server().offer("2.4.1", &probing);
    let outcome = machine.update().unwrap().outcome.unwrap();
    assert!(matches!(outcome, Outcome::Probation { .. }), "{outcome:?}");

    machine.server().offer("2.4.2", &probing);
    assert_eq!(machine.update().unwrap().outcome, None, "one thing at a time");
    assert!(matches!(machine.client().confirm().unwrap(), Outcome::Committed { .. }));
    let outcome = machine.update().unwrap().outcome.unwrap();
    assert!(matches!(outcome, Outcome::Probation { .. }), "{outcome:?}");

    let mut client = machine.client();
    machine.pass(61);
    machine.server().set(Action::Stay);
    let settled = client.check().unwrap().settled.unwrap();
    assert!(matches!(settled, Outcome::Undone { .. }), "{settled:?}");
    drop(client);
    assert_eq!(machine.runs(), Some(version("2.4.1")));

    machine.server().offer("2.4.3", &probing);
    machine.update().unwrap();
    machine.pass(61);
    machine.server().set(Action::Stay);
    let settled = machine.check().unwrap().settled.unwrap();
    assert!(matches!(settled, Outcome::Undone { .. }), "already when it was opened: {settled:?}");
    assert_eq!(machine.check().unwrap().settled, None, "it is told once");
}

#[test]
fn an_ordered_rollback_uses_the_kept_tree_and_happens_once() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    machine.server().requests.clear();
    machine.server().order_rollback(1, "2.4.0");
    let outcome = machine.update().unwrap().outcome.unwrap();
    let expected = Outcome::RolledBack { from: version("2.4.1"), to: version("2.4.0") };
    assert_eq!(outcome, expected);
    assert_eq!(machine.server().paths(), ["/v1/check", "/v1/report"], "nothing was fetched");
    let reported = machine.server().events.last().cloned().unwrap();
    assert_eq!((reported.kind, reported.order), (EventKind::RolledBack, Some(1)));

    machine.server().offer("2.4.2", &Particulars::default());
    machine.update().unwrap();
    machine.server().order_rollback(1, "2.4.0");
    assert_eq!(machine.update().unwrap().outcome, None, "the order was carried out before");
    machine.server().order_rollback(2, "2.4.0");
    assert!(machine.update().unwrap().outcome.is_some());
}

#[test]
fn a_changed_tree_is_fetched_for_a_rollback() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    let program = machine.folder.path().join("versions/2.4.0/bin/acme-db");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&program, "changed").unwrap();
    machine.server().order_rollback(1, "2.4.0");
    let outcome = machine.update().unwrap().outcome.unwrap();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(&program).unwrap(), "version 2.4.0\n");
}

#[test]
fn a_local_rollback_needs_no_network_and_is_blocked_from_coming_back() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    machine.server().requests.clear();
    let outcome = machine.client().roll_back(None, &mut |_| {}).unwrap();
    let expected = Outcome::RolledBack { from: version("2.4.1"), to: version("2.4.0") };
    assert_eq!(outcome, expected);
    assert!(machine.server().requests.is_empty());

    let error = machine.update().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Blocked);
    let error = machine.client().roll_back(None, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_local_rollback_on_probation_undoes_it() {
    let machine = Machine::running("2.4.0");
    let probing = Particulars { confirm_within_seconds: Some(60), ..Particulars::default() };
    machine.server().offer("2.4.1", &probing);
    machine.update().unwrap();
    let outcome = machine.client().roll_back(None, &mut |_| {}).unwrap();
    assert!(matches!(outcome, Outcome::Undone { .. }), "{outcome:?}");
    assert_eq!(machine.runs(), Some(version("2.4.0")));
}

#[test]
fn a_local_rollback_stays_above_the_floor_and_within_what_was_confirmed() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    let floor = Particulars { floor: Some("2.4.1"), ..Particulars::default() };
    machine.server().offer("2.4.2", &floor);
    machine.update().unwrap();
    machine.server().set(Action::Stay);
    machine.check().unwrap();
    assert_eq!(machine.client().status().recorded.record.floor, Some(version("2.4.1")));
    let try_to = |to: &str| {
        let error = machine.client().roll_back(Some(&version(to)), &mut |_| {}).unwrap_err();
        (error.kind(), error.code().to_owned())
    };
    assert_eq!(try_to("2.4.0"), (ErrorKind::Trust, "floor".to_owned()));
    assert_eq!(try_to("2.4.2"), (ErrorKind::Input, "input".to_owned()));
    assert_eq!(try_to("2.4.1-rc.1"), (ErrorKind::Trust, "floor".to_owned()));
    machine.client().roll_back(Some(&version("2.4.1")), &mut |_| {}).unwrap();
}

#[test]
fn a_client_can_go_to_another_thread() {
    fn expect_send<T: Send>() {}
    expect_send::<Client>();
}

#[test]
fn the_status_needs_no_server() {
    let machine = Machine::running("2.4.0");
    machine.server().meddle = Some(Box::new(|_, _| vendor::unreachable_server()));
    assert_eq!(machine.check().unwrap_err().kind(), ErrorKind::Network);
    let status = machine.client().status();
    assert_eq!(status.recorded.record.running, Some(version("2.4.0")));
    assert_eq!(status.plan.unwrap().version, 2);
    assert_eq!(status.enrolment.machine.as_str(), "m-0001");
}
