//! Custom builds for one customer: its machines get them, and nobody else learns of them.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    by_hand::BareMachine,
    data::tree_reading,
    fleet::{assert_runs, withheld},
    harness::{Machine, PRODUCT, Ran, Server},
    http::Answer,
    lines::{in_days, set_line},
    organisation::ORGANISATION,
};

const CUSTOM: &str = "1.0.2-custom.1";

/// A server with 1.0.0 and 1.0.1, which a machine of acme and one of globex run.
struct Scene {
    server: Server,
    acme: Machine,
    globex: Machine,
    /// Another machine of globex, without an agent.
    by_hand: BareMachine,
}

impl Scene {
    fn new() -> Self {
        let server = Server::with_product();
        server.publish("1.0.0", "major", &[]);
        server.publish("1.0.1", "bugfix", &[]);
        let key = |customer: &str| {
            server.customer(customer, "premium", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
        };
        let (acme_key, globex_key) = (key("acme"), key("globex"));
        let (acme, globex) = (server.machine(&acme_key), server.machine(&globex_key));
        let by_hand = server.enroll(&globex_key);
        for machine in [&acme, &globex] {
            machine.agent(&["update"]).succeeds();
            assert_runs(&server, machine, "1.0.1");
        }
        server.mainstay(&["keys", "generate", "--no-passphrase", "custom"]).succeeds();
        Self { server, acme, globex, by_hand }
    }

    fn channel(&self, verb: &str, arguments: &[&str]) -> Ran {
        let command = ["--json", "channel", verb, "--product", PRODUCT];
        self.server.mainstay(&[&command[..], arguments].concat())
    }

    /// Makes a private channel for acme, which the key `custom` signs; says its name.
    fn create(&self) -> String {
        let created = self.channel("create", &["--customer", "acme", "--release-key", "custom"]);
        created.succeeds().json()["channel"].as_str().unwrap().to_owned()
    }

    fn publish(&self, version: &str, channel: &str, key: &str) -> Ran {
        let more = ["--private-channel", channel, "--release-key", key];
        self.server.publish_tree(version, "bugfix", &self.server.tree(version), &more)
    }

    /// The paths of manifest and artifact of the custom build.
    fn target_paths(&self, channel: &str) -> [String; 2] {
        let visible = self.server.visible();
        let custom = |release: &&Value| release["release"]["version"] == CUSTOM;
        let release = visible.releases.iter().find(custom).unwrap();
        let platform = crate::harness::platform();
        let path = |listed: &Value, name: &str| {
            let digest = listed["sha256"].as_str().unwrap();
            format!("targets/{channel}/{CUSTOM}/{digest}.{name}")
        };
        [
            path(&release["manifest"], "release.json"),
            path(&release["artifacts"][&platform], &format!("{platform}.tar.zst")),
        ]
    }
}

/// The files below `folder` that contain `text`, by name.
fn files_with(folder: &Path, text: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files_with(&path, text, found);
        } else if String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).contains(text) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found.sort();
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[test]
fn a_custom_build_reaches_its_customer_and_nobody_else_learns_of_it() {
    let scene = Scene::new();
    let Scene { server, acme, globex, by_hand } = &scene;
    let channel = scene.create();
    assert!(!channel.contains("acme") && channel.len() == 26, "{channel}");
    scene.publish(CUSTOM, &channel, "custom").succeeds();

    acme.agent(&["update"]).succeeds();
    assert_runs(server, acme, CUSTOM);
    let (_, updated) = globex.agent_json(&["update"]);
    assert_eq!(updated["outcome"], "up_to_date", "{updated}");
    assert_eq!(updated["withheld"], json!([]), "{updated}");
    assert_runs(server, globex, "1.0.1");
    // What the machine keeps, trust and plan among it, names the role where it cannot but do so.
    let mut named = Vec::new();
    files_with(globex.root(), &channel, &mut named);
    assert_eq!(named, ["snapshot.json", "targets.json"]);
    let mut named = Vec::new();
    files_with(globex.root(), CUSTOM, &mut named);
    assert_eq!(named, [""; 0]);

    // By whatever address it is asked for, it is as what has never been there.
    let never = if channel.starts_with('a') { "b" } else { "a" }.repeat(26);
    let targets = scene.target_paths(&channel);
    let metadata = ["1", "2"].map(|version| format!("{version}.{channel}.json"));
    for path in targets.iter().chain(&metadata) {
        let hidden = by_hand.file(server, PRODUCT, path).has_status(404);
        let absent = by_hand.file(server, PRODUCT, &path.replace(&channel, &never));
        assert_eq!(hidden.status, absent.status);
        assert_eq!(text(&hidden).replace(&channel, &never), text(&absent), "{path}");
    }
    let create = ["organisation", "create", "--organisation", ORGANISATION];
    server.mainstay(&create).succeeds();
    let serve = ["organisation", "serve", "--organisation", ORGANISATION, "--customer", "globex"];
    server.mainstay(&serve).succeeds();
    let token = ["token", "create", "--role", "support", "--organisation", ORGANISATION];
    let token = server.mainstay(&[&token[..], &["--label", "in-house"]].concat()).succeeds();
    let token = token.stdout().trim().to_owned();
    let machine = globex.name();
    let explain = json!({ "product": PRODUCT }).to_string();
    let rollback = json!({ "to": CUSTOM, "reason": "try" }).to_string();
    for (method, path, body) in [
        ("GET", format!("/v1/machines/{machine}"), ""),
        ("GET", format!("/v1/machines/{machine}/explain"), ""),
        ("GET", format!("/v1/machines/{machine}/path"), ""),
        ("POST", "/v1/contracts/globex/explain".to_owned(), explain.as_str()),
        ("GET", format!("/v1/products/{PRODUCT}/channels"), ""),
        ("GET", format!("/v1/products/{PRODUCT}/releases"), ""),
    ] {
        let answer = text(&server.request(method, &path, &token, body.as_bytes()));
        assert!(!answer.contains(CUSTOM) && !answer.contains(&channel), "{path}: {answer}");
    }
    for (method, path, body) in [
        ("GET", format!("/v1/machines/{machine}/path?to={CUSTOM}"), ""),
        ("POST", format!("/v1/machines/{machine}/rollback"), rollback.as_str()),
    ] {
        let absent = |text: &str| text.replace(CUSTOM, "1.0.2-custom.7");
        let hidden = server.request(method, &path, &token, body.as_bytes());
        let asked = server.request(method, &absent(&path), &token, absent(body).as_bytes());
        assert_eq!((hidden.status, absent(&text(&hidden))), (asked.status, text(&asked)), "{path}");
    }
}

/// A machine can claim to run anything: what a technician may order must not tell what there is.
#[test]
fn a_rollback_order_tells_nothing_of_the_data_of_builds_for_others() {
    let server = Server::with_product();
    let publish = |version: &str, channel: &str, epochs: (u32, u32), more: &[&str]| {
        let tree = tree_reading(&server, version, epochs.0, epochs.1);
        server.publish_tree(version, channel, &tree, more).succeeds();
    };
    publish("1.0.0", "major", (1, 1), &[]);
    publish("1.0.1", "bugfix", (1, 2), &["--audience", "beta"]);
    publish("1.0.2", "bugfix", (1, 2), &[]);
    let years = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    server.customer("acme", "premium", years.0, years.1);
    let create = ["--json", "channel", "create", "--product", PRODUCT, "--customer", "acme"];
    let created = server.mainstay(&create).succeeds().json();
    let channel = created["channel"].as_str().unwrap();
    publish(CUSTOM, "bugfix", (1, 2), &["--private-channel", channel]);

    let machine = server.enroll(&server.customer("globex", "premium", years.0, years.1));
    let order = |running: &str| {
        let check = json!({
            "product": PRODUCT, "platform": crate::harness::platform(), "running": running,
            "known": { "root": 1 }, "agent": "by hand",
        });
        let check = check.to_string();
        server.request("POST", "/v1/check", &machine.0.token, check.as_bytes()).has_status(200);
        let path = format!("/v1/machines/{}/rollback", machine.0.machine);
        let order = json!({ "to": "1.0.0", "reason": "try" }).to_string();
        let answer = server.request("POST", &path, &server.admin_token(), order.as_bytes());
        (answer.status, text(&answer))
    };
    let (status, told) = order("1.0.2");
    assert!(status == 409 && told.contains("1.0.2 writes epoch 2"), "{told}");
    for hidden in [CUSTOM, "1.0.1", "1.0.2-custom.7"] {
        let (status, told) = order(hidden);
        assert!(status == 201 && !told.contains("epoch"), "{hidden}: {told}");
    }
}

#[test]
fn a_machine_stays_with_custom_builds_until_their_channel_ends() {
    let scene = Scene::new();
    let Scene { server, acme, globex, .. } = &scene;
    let channel = scene.create();
    let refused = scene.publish(CUSTOM, &channel, "release").exits(2).stderr();
    assert!(refused.contains(&format!("may not sign channel {channel}")), "{refused}");
    let refused = scene.publish("1.0.2", &channel, "custom").exits(2).stderr();
    assert!(refused.contains("expected X.Y.Z-NAME.N"), "{refused}");
    scene.publish(CUSTOM, &channel, "custom").succeeds();
    acme.agent(&["update"]).succeeds();
    server.publish("1.0.2", "bugfix", &[]);
    for (machine, runs, exit) in [(acme, CUSTOM, 15), (globex, "1.0.2", 0)] {
        machine.agent(&["update"]).exits(exit);
        assert_runs(server, machine, runs);
    }
    let (_, checked) = acme.agent_json(&["check"]);
    assert_eq!(withheld(&checked, "1.0.2"), Some("CUSTOM_BUILD"), "{checked}");
    scene.publish("1.0.3-custom.1", &channel, "custom").succeeds();
    acme.agent(&["update"]).succeeds();
    assert_runs(server, acme, "1.0.3-custom.1");

    let retire = ["release", "retire", "--product", PRODUCT, "--release-key", "custom", CUSTOM];
    let refused = server.mainstay(&retire).exits(2).stderr();
    assert!(refused.contains("stays in its private channel"), "{refused}");
    let listed = scene.channel("list", &[]).succeeds().json();
    let expected = json!({
        "product": PRODUCT, "name": channel, "customer": "acme", "delegated": true,
        "releases": 2, "newest": "1.0.3-custom.1", "ended_at": null,
        "created_at": listed[0]["created_at"],
    });
    assert_eq!(listed, json!([expected]));
    scene.channel("end", &[&channel]).succeeds();
    let table = server.mainstay(&["channel", "list", "--product", PRODUCT]).succeeds().stdout();
    assert!(table.contains("ended ") && table.contains("acme"), "{table}");

    server.publish("1.0.3", "bugfix", &[]);
    acme.agent(&["update"]).succeeds();
    assert_runs(server, acme, "1.0.3");
    let back = ["machine", "rollback", &acme.name(), "--to", "1.0.3-custom.1"];
    server.mainstay(&[&back[..], &["--reason", "it was better"]].concat()).succeeds();
    acme.agent(&["update"]).succeeds();
    assert_runs(server, acme, "1.0.3-custom.1");
}

#[test]
fn a_machine_on_a_custom_build_is_told_what_its_way_up_is() {
    let scene = Scene::new();
    let Scene { server, acme, .. } = &scene;
    let channel = scene.create();
    scene.publish(CUSTOM, &channel, "custom").succeeds();
    acme.agent(&["update"]).succeeds();
    server.publish("1.1.0", "feature", &[]);
    set_line(server, &["--eol", &in_days(100), "--yes"]).succeeds();
    let told = || {
        let (_, check) = acme.agent_json(&["check"]);
        check["notices"][0]["message"].as_str().unwrap().to_owned()
    };
    let kept = told();
    assert!(kept.ends_with("the way up is the next one, or the end of its channel."), "{kept}");
    scene.channel("end", &[&channel]).succeeds();
    let free = told();
    assert!(free.ends_with("The way up: 1.0.2-custom.1 → 1.1.0."), "{free}");
}

#[test]
fn a_private_channel_waits_for_the_targets_key() {
    let scene = Scene::new();
    let Scene { server, acme, .. } = &scene;
    let (key, away) = (server.path("keys/targets.pem"), server.path("targets.pem"));
    fs::rename(&key, &away).unwrap();
    let customer = ["--customer", "acme"];
    let refused = scene.channel("create", &customer).exits(2).stdout();
    assert!(refused.contains("not every key that must sign the targets is here"), "{refused}");
    assert_eq!(scene.channel("list", &[]).succeeds().json(), json!([]));

    let file = server.path("channel.json").display().to_string();
    let propose = [&customer[..], &["--propose", &file]].concat();
    let shown = scene.channel("create", &propose).succeeds().json();
    let listed = scene.channel("list", &[]).succeeds().json();
    assert_eq!(listed[0]["delegated"], false);
    let channel = listed[0]["name"].as_str().unwrap();
    let words = shown["text"].as_str().unwrap();
    assert!(words.contains(&format!("NEW role {channel}")), "{words}");
    assert!(words.contains(&format!("paths: `{channel}/*/*`")), "{words}");
    assert!(!fs::read_to_string(&file).unwrap().contains("acme\""));
    let early = scene.publish(CUSTOM, channel, "release").exits(2).stderr();
    assert!(early.contains(&format!("the product has no channel {channel}")), "{early}");

    fs::rename(&away, &key).unwrap();
    server.mainstay(&["trust", "sign", &file, "--key", "targets", "--yes"]).succeeds();
    server.mainstay(&["trust", "submit", &file]).succeeds();
    scene.publish(CUSTOM, channel, "release").succeeds();
    acme.agent(&["update"]).succeeds();
    assert_runs(server, acme, CUSTOM);
}

#[test]
fn a_private_channel_has_keys_of_its_own_and_is_renewed_with_the_others() {
    let scene = Scene::new();
    let server = &scene.server;
    let channel = scene.create();
    scene.publish(CUSTOM, &channel, "custom").succeeds();
    server.mainstay(&["keys", "generate", "--no-passphrase", "alice"]).succeeds();
    let file = server.path("change.json").display().to_string();
    let propose = |more: &[&str]| {
        let propose = ["--json", "trust", "propose", "--product", PRODUCT, "--out", &file];
        let add = ["--add-release-key", "alice"];
        let shown = server.mainstay(&[&propose[..], &add, more].concat()).succeeds().json();
        let words = shown["text"].as_str().unwrap().to_owned();
        [&channel, "bugfix"].map(|role| words.contains(&format!("keys of {role}: added")))
    };
    assert_eq!(propose(&[]), [false, true]);
    assert_eq!(propose(&["--channel", &channel]), [true, false]);
    let renew = ["--json", "trust", "renew", "--product", PRODUCT, "--within", "90"];
    let renewed = server.mainstay(&renew).succeeds().json();
    let mut expected = [channel.as_str(), "bugfix", "major"];
    expected.sort_unstable();
    assert_eq!(renewed["renewed"], json!(expected), "{renewed}");
}
