use super::{
    vendor::{self, Particulars, version},
    *,
};
use crate::{
    error::ErrorKind,
    fetch::test_server::{Body, Reply},
    format::{
        Action, Channel, Digest,
        wire::{CheckResponse, EventKind},
    },
};

fn refused(machine: &Machine) -> (ErrorKind, String) {
    let error = machine.update().unwrap_err();
    (error.kind(), error.code().to_owned())
}

fn trust(code: &str) -> (ErrorKind, String) {
    (ErrorKind::Trust, code.to_owned())
}

fn refusals(machine: &Machine) -> usize {
    let _ = machine.client().report();
    let server = machine.server();
    server.events.iter().filter(|event| event.kind == EventKind::Refused).count()
}

#[test]
fn another_machines_plan() {
    let machine = Machine::running("2.4.0");
    machine.server().plan.machine = "m-0002".parse().unwrap();
    assert_eq!(refused(&machine), trust("binding"));
}

#[test]
fn another_customers_plan() {
    let machine = Machine::running("2.4.0");
    machine.server().plan.customer = "globex".parse().unwrap();
    assert_eq!(refused(&machine), trust("binding"));
}

#[test]
fn an_older_plan() {
    let machine = Machine::running("2.4.0");
    machine.server().set(Action::Stay);
    machine.check().unwrap();
    machine.server().plan.version -= 1;
    assert_eq!(refused(&machine), trust("rollback"));
}

#[test]
fn a_damaged_plan_does_not_bring_an_order_back() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    machine.server().order_rollback(7, "2.4.0");
    machine.update().unwrap();
    machine.server().offer("2.4.2", &Particulars::default());
    machine.update().unwrap();
    std::fs::write(machine.trust_file("plan.json"), b"damaged").unwrap();
    machine.server().order_rollback(7, "2.4.0");
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.2")));
}

#[test]
fn an_expired_plan() {
    let machine = Machine::running("2.4.0");
    machine.server().plan.expires = begin();
    assert_eq!(refused(&machine), trust("expired"));
}

#[test]
fn a_frozen_timestamp() {
    let machine = Machine::running("2.4.0");
    machine.pass(24 * 3600);
    assert_eq!(refused(&machine), trust("expired"));
    machine.server().vendor.timestamp_expires = begin() + jiff::SignedDuration::from_hours(100);
    machine.server().vendor.sign();
    machine.check().unwrap();
}

#[test]
fn an_older_timestamp() {
    let machine = Machine::running("2.4.0");
    let old = machine.server().vendor.files["timestamp.json"].clone();
    machine.server().set(Action::Stay);
    machine.server().vendor.sign();
    machine.check().unwrap();
    let trusted = std::fs::read(machine.trust_file("timestamp.json")).unwrap();
    machine.server().meddle = Some(Box::new(move |request, reply| {
        let Body::Whole(body) = &reply.body else { return reply };
        if request.path != "/v1/check" {
            return reply;
        }
        let mut answer: CheckResponse = serde_json::from_slice(body).unwrap();
        let old = String::from_utf8(old.clone()).unwrap();
        answer.metadata.insert("timestamp.json".to_owned(), old);
        Reply::ok(serde_json::to_vec(&answer).unwrap())
    }));
    assert_eq!(refused(&machine), trust("rollback"));
    let kept = std::fs::read(machine.trust_file("timestamp.json")).unwrap();
    assert_eq!(kept, trusted, "what is refused is not stored");
}

#[test]
fn a_snapshot_from_which_a_channel_has_disappeared() {
    let machine = Machine::running("2.4.0");
    machine.server().vendor.lose_channel(Channel::Security);
    assert_eq!(refused(&machine), trust("rollback"));
}

#[test]
fn a_plan_that_nobody_signed() {
    let machine = Machine::running("2.4.0");
    machine.server().meddle = Some(Box::new(|request, mut reply| {
        if request.path == "/v1/check"
            && let Body::Whole(body) = &reply.body
        {
            let text = String::from_utf8(body.clone()).unwrap();
            reply.body = Body::Whole(
                text.replace(r#"\"poll_seconds\":900"#, r#"\"poll_seconds\":901"#).into(),
            );
        }
        reply
    }));
    assert_eq!(refused(&machine), trust("threshold"));
}

#[test]
fn an_update_that_leads_downwards_is_refused_and_reported_once() {
    let machine = Machine::running("2.4.0");
    let old = machine.server().vendor.targets.values().next().unwrap().clone();
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    machine.server().set(Action::Update { target: old[&version("2.4.0")].clone() });
    assert_eq!(refused(&machine), trust("direction"));
    assert_eq!(refused(&machine), trust("direction"));
    assert_eq!(machine.runs(), Some(version("2.4.1")));
    assert_eq!(refusals(&machine), 1);
}

#[test]
fn a_rollback_below_the_floor() {
    let machine = Machine::running("2.4.0");
    let floor = Particulars { floor: Some("2.4.1"), ..Particulars::default() };
    machine.server().offer("2.4.1", &floor);
    machine.update().unwrap();
    machine.server().order_rollback(1, "2.4.0");
    assert_eq!(refused(&machine), trust("floor"));
    assert_eq!(machine.runs(), Some(version("2.4.1")));
    assert_eq!(refusals(&machine), 1);
    let order = machine.server().events.last().unwrap().order;
    assert_eq!(order, Some(1), "the server is told that it need not wait for this order");
}

#[test]
fn a_floor_of_a_later_release_of_the_line_counts() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    let floor = Particulars { floor: Some("2.4.1"), ..Particulars::default() };
    machine.server().vendor.publish("2.4.2", &floor);
    machine.server().order_rollback(1, "2.4.0");
    assert_eq!(refused(&machine), trust("floor"));
}

#[test]
fn a_floor_counts_as_soon_as_its_release_runs() {
    let machine = Machine::running("2.4.0");
    let floor = Particulars { floor: Some("2.5.0"), ..Particulars::default() };
    machine.server().offer("2.5.0", &floor);
    machine.update().unwrap();
    assert_eq!(machine.client().status().recorded.record.floor, Some(version("2.5.0")));
}

#[test]
fn a_floor_does_not_count_where_its_release_was_not_installed() {
    let machine = Machine::running("2.4.0");
    let floor = Particulars { floor: Some("2.5.0"), ..Particulars::default() };
    machine.server().offer("2.5.0", &floor);
    machine.server().meddle = Some(Box::new(|request, mut reply| {
        if request.path.ends_with(".tar.zst")
            && let Body::Whole(body) = &mut reply.body
        {
            body[10] ^= 1;
        }
        reply
    }));
    assert_eq!(refused(&machine), trust("digest"));
    assert_eq!(machine.client().status().recorded.record.floor, None);
}

#[test]
fn a_floor_of_another_line_does_not_count_before_it_runs() {
    let machine = Machine::running("2.4.0");
    let floor = Particulars { floor: Some("2.4.1"), ..Particulars::default() };
    machine.server().vendor.publish("2.5.0", &floor);
    machine.server().set(Action::Stay);
    machine.check().unwrap();
    assert_eq!(machine.client().status().recorded.record.floor, None);
}

#[test]
fn a_rollback_that_leads_upwards() {
    let machine = Machine::running("2.4.0");
    machine.server().vendor.publish("2.4.1", &Particulars::default());
    machine.server().order_rollback(1, "2.4.1");
    assert_eq!(refused(&machine), trust("direction"));
}

#[test]
fn a_target_that_the_repository_lists_otherwise() {
    let machine = Machine::running("2.4.0");
    let target = machine.server().vendor.publish("2.4.1", &Particulars::default());
    let mut other = target.clone();
    other.artifact.sha256 = Digest::of(b"other");
    machine.server().set(Action::Update { target: other });
    assert_eq!(refused(&machine), trust("digest"));
    let mut other = target.clone();
    other.artifact.length += 1;
    machine.server().set(Action::Update { target: other });
    assert_eq!(refused(&machine), trust("digest"));
    let mut other = target.clone();
    other.version = version("2.4.9");
    machine.server().set(Action::Update { target: other });
    assert_eq!(refused(&machine), trust("path"));
    let mut other = target.clone();
    other.artifact.path = "bugfix/2.4.1/other-platform.tar.zst".parse().unwrap();
    machine.server().set(Action::Update { target: other });
    assert_eq!(refused(&machine), trust("path"));
    let mut other = target;
    other.channel = "secret".parse().unwrap();
    machine.server().set(Action::Update { target: other });
    assert_eq!(refused(&machine), trust("not_listed"));
    assert_eq!(machine.runs(), Some(version("2.4.0")));
    assert_eq!(refusals(&machine), 4, "one that names no known channel is not judged");
}

#[test]
fn a_step_that_the_release_does_not_allow() {
    let machine = Machine::running("2.4.0");
    let far = Particulars { min_from: Some("2.4.5"), ..Particulars::default() };
    machine.server().offer("2.4.6", &far);
    assert_eq!(refused(&machine), trust("step"));
    assert_eq!(refusals(&machine), 1);
}

#[test]
fn bytes_that_are_not_the_announced_ones() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    for (end, code) in [(".tar.zst", "digest"), (".release.json", "digest")] {
        machine.server().meddle = Some(Box::new(move |request, mut reply| {
            if request.path.ends_with(end)
                && let Body::Whole(body) = &mut reply.body
            {
                body[10] ^= 1;
            }
            reply
        }));
        assert_eq!(refused(&machine), trust(code), "{end}");
    }
    machine.server().meddle = Some(Box::new(|request, mut reply| {
        if request.path.ends_with(".tar.zst")
            && let Body::Whole(body) = &mut reply.body
        {
            body.push(0);
        }
        reply
    }));
    assert_eq!(refused(&machine), trust("length"));
    assert_eq!(machine.runs(), Some(version("2.4.0")));
    machine.server().meddle = None;
    machine.update().unwrap();
}

#[test]
fn an_answer_that_is_none() {
    let machine = Machine::running("2.4.0");
    machine.server().meddle = Some(Box::new(|_, _| Reply::ok("<html>Please log in</html>")));
    let error = machine.check().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Server, "malformed_answer"));
    machine.server().meddle = Some(Box::new(|_, _| vendor::problem(403, "MACHINE_REVOKED")));
    let error = machine.check().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Server, "MACHINE_REVOKED"));
}

#[test]
fn a_version_that_failed_here_is_not_tried_again() {
    let machine = Machine::running("2.4.0");
    let probing = Particulars { confirm_within_seconds: Some(60), ..Particulars::default() };
    machine.server().offer("2.4.1", &probing);
    machine.update().unwrap();
    machine.pass(61);
    let error = machine.update().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Blocked);
    assert_eq!(machine.runs(), Some(version("2.4.0")));
    assert_eq!(refusals(&machine), 1);
}
