//! Notifications: a receiver that fails, one that hangs, one that lies, and mail.

#[path = "webhooks/receiver.rs"]
mod receiver;
#[path = "webhooks/smtp.rs"]
mod smtp;

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::SignedDuration;
use mainstay_client::format::Digest;
use serde_json::{Value, json};

use self::{
    receiver::{Behaviour, Got, Receiver, verify},
    smtp::MailServer,
};
use crate::{
    by_hand::BareMachine,
    harness::{PRODUCT, Server, eventually, write},
};

/// A receiver on this machine may be sent to, and what fails is tried three times more, at once.
const CONFIG: &str = "[webhooks]\nallow_networks = [\"127.0.0.0/8\"]\n\
                      retry_seconds = [1, 1, 1]\ntimeout_seconds = 2\n";

/// A server that may send to this machine, and a machine of the customer acme.
struct Scene {
    server: Server,
    key: String,
    machine: BareMachine,
}

impl Scene {
    fn new(config: &str) -> Self {
        Self::of(Server::with_config(config))
    }

    fn of(server: Server) -> Self {
        server.publish("1.0.0", "major", &[]);
        let key =
            server.customer("acme", "premium", "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
        let machine = server.enroll(&key);
        Self { server, key, machine }
    }

    /// Adds an endpoint; says its identifier and its secret.
    fn endpoint(&self, more: &[&str]) -> (String, String) {
        let create = ["--json", "webhook", "create", "--label", "a test"];
        let issued = self.server.mainstay(&[&create, more].concat()).succeeds().json();
        let id = issued["endpoint"]["id"].as_str().unwrap().to_owned();
        (id, issued["secret"].as_str().unwrap_or_default().to_owned())
    }

    /// Has the machine say that it refused what its plan said.
    fn refuse(&self, number: u64) {
        let event = json!({
            "number": number,
            "kind": "refused",
            "from": "1.0.0",
            "to": "1.0.1",
            "detail": "no room",
        });
        let report = json!({ "product": PRODUCT, "running": "1.0.0", "events": [event] });
        let (token, body) = (&self.machine.0.token, report.to_string());
        self.server.request("POST", "/v1/report", token, body.as_bytes()).has_status(204);
    }

    fn deliveries(&self, more: &[&str]) -> Vec<Value> {
        let list = ["--json", "webhook", "deliveries"];
        let found = self.server.mainstay(&[&list, more].concat()).succeeds().json();
        found.as_array().unwrap().clone()
    }

    fn endpoint_record(&self, id: &str) -> Value {
        self.server.mainstay(&["--json", "webhook", "show", id]).succeeds().json()
    }
}

fn state(delivery: &Value) -> &str {
    delivery["state"]["state"].as_str().unwrap()
}

#[test]
fn an_update_that_is_undone_is_told_to_whoever_wants_that_and_signed() {
    let scene = Scene::new(CONFIG);
    let server = &scene.server;
    let (receiver, other) =
        (Receiver::new(Behaviour::Answer(204)), Receiver::new(Behaviour::Answer(200)));
    let (id, secret) = scene.endpoint(&["--url", &receiver.url(), "--type", "machine.rolled_back"]);
    scene.endpoint(&["--url", &other.url(), "--type", "rollout.paused"]);
    let machine = server.machine(&scene.key);
    machine.agent(&["update"]).succeeds();
    let tree = server.tree("1.0.1");
    write(&tree.join("bin/run"), 0o755, "#!/bin/sh\nexit 1\n");
    server.publish_tree("1.0.1", "bugfix", &tree, &[]).succeeds();
    assert_ne!(machine.agent(&["update"]).code(), 0);

    let got = eventually("the notification", || receiver.got().into_iter().next());
    verify(&secret, &got);
    assert_eq!(got.header("content-type"), Some("application/json"));
    let told: Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(told["type"], "machine.rolled_back");
    let data = &told["data"];
    assert_eq!(data["machine"], json!(machine.name()));
    assert_eq!((&data["customer"], &data["product"]), (&json!("acme"), &json!(PRODUCT)));
    assert_eq!((&data["from"], &data["to"]), (&json!("1.0.0"), &json!("1.0.1")));
    assert_eq!((&data["automatic"], &data["kind"]), (&json!(true), &json!("undone")));

    let delivered = eventually("the end of the delivery", || {
        let found = scene.deliveries(&["--webhook", &id]);
        (state(&found[0]) == "delivered").then_some(found)
    });
    assert_eq!(delivered.len(), 1);
    assert_eq!(delivered[0]["message"], json!(got.header("webhook-id").unwrap()));
    assert_eq!(other.got().len(), 0);
    let shown = server.mainstay(&["webhook", "list"]).succeeds().stdout();
    assert!(shown.contains(&receiver.url()) && !shown.contains(&secret), "{shown}");
}

#[test]
fn what_fails_is_tried_again_until_it_is_dead_and_replayed_by_hand() {
    let scene = Scene::new(CONFIG);
    let receiver = Receiver::new(Behaviour::Answer(500));
    let (_, secret) = scene.endpoint(&["--url", &receiver.url()]);
    scene.refuse(1);
    // What is reported again is not told again.
    scene.refuse(1);
    let dead = eventually("the last try", || scene.deliveries(&["--dead"]).pop());
    assert_eq!((&dead["tries"], &dead["last"]["outcome"]), (&json!(4), &json!("answered 500")));
    let tries = receiver.got();
    assert_eq!(tries.len(), 4);
    for got in &tries {
        verify(&secret, got);
        assert_eq!(got.header("webhook-id"), tries[0].header("webhook-id"));
        assert_eq!(got.body, tries[0].body);
    }
    let measures = || {
        let token = scene.server.token("viewer");
        let answer = scene.server.request("GET", "/metrics", &token, b"").has_status(200);
        String::from_utf8(answer.body).unwrap()
    };
    let told = measures();
    for line in [
        "mainstay_dead_deliveries 1\n",
        "mainstay_delivery_tries_total{outcome=\"failed\"} 3\n",
        "mainstay_delivery_tries_total{outcome=\"given_up\"} 1\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }

    receiver.behave(Behaviour::Answer(200));
    let number = dead["number"].to_string();
    scene.server.mainstay(&["webhook", "replay", &number]).succeeds();
    eventually("the replay", || {
        let found = scene.deliveries(&["--state", "delivered"]);
        found.iter().any(|it| it["number"] == dead["number"]).then_some(())
    });
    assert_eq!(scene.deliveries(&["--dead"]), Vec::<Value>::new());
    assert_eq!(scene.deliveries(&[]).len(), 1);
    let got = receiver.got().pop().unwrap();
    assert_eq!(got.header("webhook-id"), tries[0].header("webhook-id"));
    assert!(measures().contains("mainstay_dead_deliveries 0\n"));
    scene.server.mainstay(&["webhook", "replay", "999"]).exits(3);
}

#[test]
fn a_receiver_that_hangs_keeps_no_other_waiting() {
    let config = CONFIG.replace("timeout_seconds = 2", "timeout_seconds = 60");
    let scene = Scene::new(&config);
    let hanging = Receiver::new(Behaviour::Hang);
    let good = Receiver::new(Behaviour::Answer(200));
    let (hanging_id, _) = scene.endpoint(&["--url", &hanging.url()]);
    let (good_id, _) = scene.endpoint(&["--url", &good.url()]);
    scene.refuse(1);
    scene.refuse(2);
    eventually("the hanging receiver", || (hanging.got().len() == 1).then_some(()));
    eventually("the other receiver", || (good.got().len() == 2).then_some(()));
    eventually("the end of its deliveries", || {
        let found = scene.deliveries(&["--webhook", &good_id]);
        (found.len() == 2 && found.iter().all(|it| state(it) == "delivered")).then_some(())
    });
    // One after the other: the second one is not begun.
    assert_eq!(hanging.got().len(), 1);
    for delivery in scene.deliveries(&["--webhook", &hanging_id]) {
        assert_eq!((state(&delivery), &delivery["tries"]), ("waiting", &json!(0)));
    }
}

#[test]
fn a_receiver_that_hangs_for_ever_is_given_up() {
    let scene = Scene::new(&CONFIG.replace("retry_seconds = [1, 1, 1]", "retry_seconds = []"));
    let hanging = Receiver::new(Behaviour::Hang);
    scene.endpoint(&["--url", &hanging.url()]);
    scene.refuse(1);
    let dead = eventually("the end of the try", || scene.deliveries(&["--dead"]).pop());
    assert_eq!(dead["last"]["outcome"], "no answer within 2 s");
}

#[test]
fn a_receiver_that_lies_gains_nothing_by_it() {
    let scene = Scene::new(CONFIG);
    let elsewhere = Receiver::new(Behaviour::Answer(200));
    let endless = Receiver::new(Behaviour::Endless);
    let redirecting = Receiver::new(Behaviour::Redirect(elsewhere.url()));
    let gone = Receiver::new(Behaviour::Answer(410));
    let (endless_id, _) = scene.endpoint(&["--url", &endless.url()]);
    let (redirecting_id, _) = scene.endpoint(&["--url", &redirecting.url()]);
    let (gone_id, _) = scene.endpoint(&["--url", &gone.url()]);
    scene.refuse(1);
    let settled = |id: &str, wanted: &str| {
        eventually(wanted, || {
            let found = scene.deliveries(&["--webhook", id]).into_iter().next()?;
            (state(&found) == wanted).then_some(found)
        })
    };
    settled(&endless_id, "delivered");
    let dead = settled(&redirecting_id, "dead");
    assert_eq!(dead["last"]["outcome"], "answered 307: redirects are not followed");
    assert_eq!((elsewhere.got().len(), redirecting.got().len()), (0, 4));
    let dead = settled(&gone_id, "dead");
    assert_eq!(dead["tries"], 1);
    let disabled = scene.endpoint_record(&gone_id);
    assert!(disabled["disabled"]["reason"].as_str().unwrap().contains("410"), "{disabled}");

    // Nothing more is sent to the one that wants nothing more, until somebody says so.
    scene.refuse(2);
    eventually("the second notification", || (endless.got().len() == 2).then_some(()));
    assert_eq!(scene.deliveries(&["--webhook", &gone_id]).len(), 1);
    gone.behave(Behaviour::Answer(200));
    scene.server.mainstay(&["webhook", "enable", &gone_id]).succeeds();
    scene.refuse(3);
    eventually("the third notification", || (gone.got().len() == 2).then_some(()));
}

#[test]
fn an_address_inside_is_refused() {
    let scene = Scene::new("");
    let receiver = Receiver::new(Behaviour::Answer(200));
    let port = receiver.url().rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let create = ["--json", "webhook", "create", "--label", "inside", "--url"];
    for url in [
        receiver.url(),
        format!("http://localhost:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://10.0.0.1/".to_owned(),
        "https://192.168.0.1/".to_owned(),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://[fd00:ec2::254]/".to_owned(),
        "http://1.1.1.1/".to_owned(),
        "ftp://1.1.1.1/".to_owned(),
        "https://user:secret@1.1.1.1/".to_owned(),
    ] {
        let problem = scene.server.mainstay(&[&create[..], &[&url]].concat()).exits(3).json();
        assert_eq!(problem["code"], "ENDPOINT_REFUSED", "{url}");
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains("expected"), "{message}");
    }
    let listed = scene.server.mainstay(&["--json", "webhook", "list"]).succeeds().json();
    assert_eq!(listed, json!([]));
    // Without mail in the configuration there is none.
    let mail = ["webhook", "create", "--label", "x", "--mail", "ops@example.com"];
    scene.server.mainstay(&mail).exits(3);
}

#[test]
fn a_crash_loses_nothing_and_invents_nothing() {
    let mut scene = Scene::new(CONFIG);
    let receiver = Receiver::new(Behaviour::Hang);
    let (_, secret) = scene.endpoint(&["--url", &receiver.url()]);
    for number in 1..=5 {
        scene.refuse(number);
    }
    // Some are not spread yet, and one is under way.
    scene.server.kill_and_restart();
    receiver.behave(Behaviour::Answer(200));
    let delivered = eventually("all deliveries", || {
        let found = scene.deliveries(&["--state", "delivered"]);
        (found.len() == 5).then_some(found)
    });
    assert_eq!(scene.deliveries(&[]).len(), 5);
    let got = receiver.got();
    for got in &got {
        verify(&secret, got);
    }
    for delivery in delivered {
        let id = delivery["message"].as_str();
        assert!(got.iter().any(|got| got.header("webhook-id") == id), "{delivery}");
    }
}

#[test]
fn while_a_secret_is_rotated_the_old_one_and_the_new_one_verify() {
    let scene = Scene::new(CONFIG);
    let receiver = Receiver::new(Behaviour::Answer(200));
    let (id, first) = scene.endpoint(&["--url", &receiver.url()]);
    let rotate = |more: &[&str]| {
        let rotate = ["--json", "webhook", "rotate", id.as_str()];
        let issued = scene.server.mainstay(&[&rotate, more].concat()).succeeds().json();
        issued["secret"].as_str().unwrap().to_owned()
    };
    let signatures = |number: usize| -> Got {
        scene.refuse(number as u64);
        eventually("the notification", || receiver.got().into_iter().nth(number - 1))
    };
    let second = rotate(&[]);
    assert_ne!(first, second);
    let got = signatures(1);
    verify(&first, &got);
    verify(&second, &got);
    let third = rotate(&["--keep-hours", "0"]);
    let got = signatures(2);
    verify(&third, &got);
    assert_eq!(got.header("webhook-signature").unwrap().split(' ').count(), 1);

    // The secrets are not in the store's records nor in the audit trail.
    let trail = scene.server.mainstay(&["--json", "audit"]).succeeds().stdout();
    let records = scene.server.path("server/records/db");
    let records = std::fs::read(records).unwrap();
    for secret in [&first, &second, &third] {
        let bytes = secret.strip_prefix("whsec_").unwrap().as_bytes();
        assert!(!trail.contains(secret.as_str()));
        assert!(!records.windows(bytes.len()).any(|window| window == bytes));
    }
}

#[test]
fn a_contract_that_ends_soon_is_told_once_however_often_somebody_looks() {
    let mut scene = Scene::new(CONFIG);
    let end = scene.server.publishing_state().now + SignedDuration::from_hours(20 * 24);
    for customer in ["initech", "globex"] {
        scene.server.customer(customer, "basic", "2020-01-01T00:00:00Z", &end.to_string());
    }
    let receiver = Receiver::new(Behaviour::Answer(200));
    let of = ["--url", &receiver.url(), "--type", "contract.ending"];
    let (id, _) = scene.endpoint(&[&of[..], &["--customer", "initech"]].concat());
    let (everything, _) = scene.endpoint(&["--url", &receiver.url()]);
    for round in 1..=2 {
        // Dates are looked at when the server starts.
        look_again(&mut scene);
        // What comes last is told last.
        scene.refuse(round);
        eventually("what is told last", || {
            let found = scene.deliveries(&["--webhook", &everything, "--state", "delivered"]);
            let is_refusal = |it: &&Value| it["notification"]["type"] == "machine.update_failed";
            (found.iter().filter(is_refusal).count() as u64 == round).then_some(())
        });
    }
    let told = scene.deliveries(&["--webhook", &id]);
    assert_eq!(told.len(), 1, "{told:?}");
    let data = &told[0]["notification"]["data"];
    assert_eq!((&data["contract"], &data["within_days"]), (&json!("initech"), &json!(30)));
    assert_eq!(data["ends_at"], json!(end));
    // The one of everybody else's, too.
    assert_eq!(scene.deliveries(&["--webhook", &everything]).len(), 4);
}

/// Has the server look at dates, as it does when it starts.
fn look_again(scene: &mut Scene) {
    scene.server.kill_and_restart();
    eventually("a look at dates", || {
        let token = scene.server.token("viewer");
        let answer = scene.server.request("GET", "/metrics", &token, b"").has_status(200);
        let told = String::from_utf8(answer.body).unwrap();
        let series = "mainstay_job_last_success_timestamp_seconds{job=\"dates\"} ";
        let at = told.lines().find_map(|line| line.strip_prefix(series)).unwrap();
        (at != "0").then_some(())
    });
}

#[test]
fn a_fix_that_will_be_late_is_told_once_and_once_more_when_it_is() {
    let mut scene = Scene::of(Server::with_clock(CONFIG));
    let server = &scene.server;
    scene.machine.check(server);
    let confirmed = json!([{ "number": 1, "kind": "confirmed", "to": "1.0.0" }]);
    scene.machine.report(server, "1.0.0", &confirmed).has_status(204);
    // A premium contract has seven days for what is critical.
    let named = ["--advisory", "CVE-2026-4711", "--severity", "critical"];
    server.publish("1.0.1", "security", &named);
    let receiver = Receiver::new(Behaviour::Answer(204));
    scene.endpoint(&["--url", &receiver.url()]);
    let breaches = |scene: &Scene, within: &str| {
        let command = ["--json", "exposure", "--breaches", "--within", within];
        scene.server.mainstay(&command).succeeds().json()["breaches"].clone()
    };
    assert_eq!(breaches(&scene, "6d"), json!([]));
    let ahead = breaches(&scene, "8d");
    assert_eq!((&ahead[0]["state"], &ahead[0]["machines"]), (&json!("ahead"), &json!(1)));

    // What was told just before the server was killed may be told again, with the same identifier.
    let got = || -> Vec<Value> {
        let mut known = BTreeSet::new();
        let mut got = receiver.got();
        got.retain(|got| known.insert(got.header("webhook-id").map(str::to_owned)));
        got.iter().map(|got| serde_json::from_slice(&got.body).unwrap()).collect()
    };
    let rounds = [("+5d", 0), ("+6d", 1), ("+6d", 1), ("+8d", 2), ("+9d", 2)];
    for (round, (offset, told)) in (1..).zip(rounds) {
        scene.server.set_clock(offset);
        look_again(&mut scene);
        // What comes last is told last.
        scene.refuse(round + 1);
        let got = eventually("what is told last", || {
            let got = got();
            let refusals = got.iter().filter(|it| it["type"] == "machine.update_failed").count();
            (refusals as u64 == round).then_some(got)
        });
        assert_eq!(got.len() as u64 - round, told, "{offset}: {got:?}");
    }
    let mut got = got();
    got.retain(|told| told["type"] != "machine.update_failed");
    let types: Vec<_> = got.iter().map(|told| told["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["exposure.breach_ahead", "exposure.breached"]);
    let data = &got[0]["data"];
    assert_eq!((&data["customer"], &data["version"]), (&json!("acme"), &json!("1.0.1")));
    assert_eq!(data["agreed_until"], ahead[0]["agreed_until"]);
    assert_eq!(breaches(&scene, "0d")[0]["state"], "breached");
    let shown = scene.server.mainstay(&["exposure", "--breaches"]).succeeds().stdout();
    assert!(shown.contains("breached") && shown.contains("CVE-2026-4711"), "{shown}");
}

#[test]
fn mail_tells_the_same() {
    let mail = MailServer::new();
    let config = format!(
        "{CONFIG}[mail]\nserver = \"127.0.0.1\"\nport = {}\nencryption = \"none\"\n\
         from = \"updates@example.com\"\n",
        mail.port()
    );
    let scene = Scene::new(&config);
    mail.refuse(1);
    let (id, secret) = scene.endpoint(&["--mail", "ops@example.com", "--customer", "acme"]);
    assert_eq!(secret, "");
    scene.refuse(1);
    let message = eventually("the mail", || mail.got().into_iter().next());
    for expected in [
        "MAIL FROM:<updates@example.com>",
        "RCPT TO:<ops@example.com>",
        "To: <ops@example.com>",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(message.contains(expected), "{expected}\n{message}");
    }
    let (_, body) = message.split_once("\n\n").unwrap();
    let body = BASE64_STANDARD.decode(body.replace('\n', "").trim_end_matches('.')).unwrap();
    let body = String::from_utf8(body).unwrap();
    for expected in ["could not carry out its plan", "\"machine.update_failed\"", "\"no room\""] {
        assert!(body.contains(expected), "{expected}\n{body}");
    }
    let delivered = eventually("the end of the delivery", || {
        scene.deliveries(&["--webhook", &id, "--state", "delivered"]).pop()
    });
    // The first try was refused.
    assert_eq!(delivered["tries"], 2);
    assert!(message.contains(delivered["message"].as_str().unwrap()), "{message}");
}

#[test]
fn what_is_deleted_is_sent_nothing() {
    let scene = Scene::new(CONFIG);
    let receiver = Receiver::new(Behaviour::Answer(500));
    let (id, _) = scene.endpoint(&["--url", &receiver.url()]);
    scene.refuse(1);
    eventually("a delivery", || scene.deliveries(&[]).pop());
    scene.server.mainstay(&["webhook", "delete", &id]).succeeds();
    assert_eq!(scene.deliveries(&[]), Vec::<Value>::new());
    scene.server.mainstay(&["webhook", "show", &id]).exits(3);
}

/// HMAC-SHA256 (RFC 2104), written down again here so that the server's is not its own witness.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = [&block.map(|byte| byte ^ 0x36)[..], message].concat();
    let outer = [&block.map(|byte| byte ^ 0x5c)[..], Digest::of(&inner).as_bytes()].concat();
    *Digest::of(&outer).as_bytes()
}
