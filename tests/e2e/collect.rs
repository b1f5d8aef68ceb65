//! Support bundles: asked for, sent as the machine's administrator has it, and fetched.

use std::{collections::BTreeMap, fs};

use mainstay_client::{format::BundleHeading, pack::Bundle};
use serde_json::{Value, json};

use crate::{
    fleet::{as_role, at_the_first_release, publish_checked, shown},
    harness::{Machine, Ran, Server},
};

/// What must not leave the machine, wherever it stands there.
const PLANTED: [&str; 8] = [
    "hunter2-in-the-proxy",
    "hunter2-in-a-command",
    "hunter2-in-the-output",
    "hunter2-in-a-header",
    "hunter2-in-the-environment",
    "mak_0123456789abcdef0123456789abcdef",
    "mst_0123456789abcdef0123456789abcdef",
    "hunter2-in-the-data",
];

fn ask(server: &Server, machine: &Machine) -> Ran {
    let name = machine.name();
    let command =
        ["--json", "machine", "collect", name.as_str(), "--reason", "to see why", "--yes"];
    as_role(server, "support", &[&command[..], &["--ticket", "SUP-7"]].concat())
}

/// Lets the machine's administrator decide.
fn consent(machine: &Machine, consent: &str) {
    let path = machine.root().join(".mainstay/agent.toml");
    let settings = fs::read_to_string(&path).unwrap();
    let settings = settings.split("\n[support]").next().unwrap();
    fs::write(path, format!("{settings}\n[support]\ncollect = \"{consent}\"\n")).unwrap();
}

fn state(server: &Server, machine: &Machine) -> Value {
    shown(server, machine)["machine"]["collection"]["state"].clone()
}

fn token(machine: &Machine) -> String {
    fs::read_to_string(machine.root().join(".mainstay/token")).unwrap().trim().to_owned()
}

/// The files of the bundle by order `number`, as support fetches it.
fn fetched(server: &Server, machine: &Machine, number: u64) -> BTreeMap<String, Vec<u8>> {
    let file = server.path(&format!("bundle-{number}"));
    let (name, number, output) = (machine.name(), number.to_string(), file.to_str().unwrap());
    let command = ["machine", "bundle", &name, &number, "--output", output];
    as_role(server, "support", &command).succeeds();
    // What is there is not written over.
    as_role(server, "support", &command).exits(1);
    Bundle::read(&fs::read(&file).unwrap()).unwrap().0
}

fn assert_no_secret(files: &BTreeMap<String, Vec<u8>>, machine: &Machine) {
    let key = fs::read_to_string(machine.root().join(".mainstay/machine.key")).unwrap();
    let key = key.lines().filter(|line| !line.starts_with("-----")).map(ToOwned::to_owned);
    let own = key.chain([token(machine)]);
    for secret in PLANTED.into_iter().map(ToOwned::to_owned).chain(own) {
        for (name, content) in files {
            assert!(!String::from_utf8_lossy(content).contains(&secret), "{secret} is in {name}");
        }
    }
}

#[test]
fn a_bundle_has_what_support_needs_and_no_secret_in_any_file() {
    let (server, machine) = at_the_first_release("standard");
    let token = token(&machine);
    let check = format!(
        "echo \"the database is gone at db://admin:{}@db/\"\n\
         echo 'Authorization: Bearer {}'\necho 'with {} and {}'\necho {token}\n\
         cat \"$MAINSTAY_ROOT/.mainstay/machine.key\"\nexit 3",
        PLANTED[2], PLANTED[3], PLANTED[5], PLANTED[6]
    );
    publish_checked(&server, "1.0.1", &check);
    let path = machine.root().join(".mainstay/agent.toml");
    let settings = fs::read_to_string(&path).unwrap();
    let more = format!(
        "\n[preflight]\ncommand = [\"/bin/true\", \"--password\", \"{}\"]\n# {token}\n\
         [support]\ncollect = \"allow\"\n",
        PLANTED[1]
    );
    fs::write(&path, settings + &more).unwrap();
    crate::fleet::write_data(&machine, PLANTED[7]);
    machine.agent(&["update"]).exits(14);

    ask(&server, &machine).succeeds();
    // The check that support wants to see is one that fails, or has nothing to do.
    let mut check = machine.command(&["--json", "check"]);
    let check = check.env("DATABASE_URL", PLANTED[4]).env("API_KEY", PLANTED[4]).env("TZ", "UTC");
    let check = Ran::run(check).exits(15).json();
    assert_eq!(check["collection"]["outcome"], "sent", "{check}");
    assert_eq!(state(&server, &machine), "collected");

    let files = fetched(&server, &machine, 1);
    assert_no_secret(&files, &machine);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    insta::assert_snapshot!(names.join(" "), @"agent.toml bundle.json disk.json doctor.json environment.json facts.json history.json journal.json metadata.json status.json versions.json");
    let read = |name: &str| String::from_utf8(files[name].clone()).unwrap();
    assert!(read("journal.json").contains("the database is gone"), "{}", read("journal.json"));
    assert!(read("agent.toml").contains("[removed]"), "{}", read("agent.toml"));
    let environment: Value = serde_json::from_str(&read("environment.json")).unwrap();
    assert!(environment["names"].as_array().unwrap().contains(&json!("API_KEY")), "{environment}");
    assert!(environment["values"].to_string().contains("UTC"), "{environment}");
    let heading: BundleHeading = serde_json::from_str(&read("bundle.json")).unwrap();
    assert_eq!((heading.machine.as_str(), heading.order), (&*machine.name(), Some(1)));
    assert!(heading.removed > 5, "{heading:?}");

    // It is sent once, and who had it is known.
    assert_eq!(machine.agent_json(&["check"]).1["collection"], Value::Null);
    let trail = server.mainstay(&["--json", "audit"]).succeeds().json();
    let actions = trail.as_array().unwrap().iter().filter_map(|record| record["action"].as_str());
    let actions: Vec<_> =
        actions.filter(|it| it.contains("collect") || it.contains("bundle")).collect();
    assert_eq!(
        actions,
        ["machine.collect", "machine.collected", "machine.bundle", "machine.bundle"]
    );
    let listed = server.mainstay(&["machine", "bundles", &machine.name()]).succeeds().stdout();
    assert!(listed.contains("to see why") && listed.contains("SUP-7"), "{listed}");
    // What is retired is nobody's concern any more.
    let retire = ["machine", "retire", &machine.name(), "--reason", "scrapped"];
    server.mainstay(&retire).succeeds();
    let listed = server.mainstay(&["--json", "machine", "bundles", &machine.name()]).succeeds();
    assert_eq!(listed.json(), json!([]));
}

#[test]
fn nothing_leaves_a_machine_whose_administrator_has_not_said_so() {
    let (server, machine) = at_the_first_release("standard");
    machine.agent(&["collect", "--approve"]).exits(36);
    let plan = ask(&server, &machine).succeeds().json();
    assert!(plan["cautions"][0].as_str().unwrap().contains("must approve"), "{plan}");
    // By default somebody is asked.
    for _ in 0..2 {
        let (_, check) = machine.agent_json(&["check"]);
        assert_eq!(check["collection"]["outcome"], "awaits_approval", "{check}");
        assert_eq!(state(&server, &machine), "awaits_approval");
    }
    let status = machine.agent(&["status"]).succeeds().stdout();
    assert!(status.contains("Support asks for a bundle") && status.contains("SUP-7"), "{status}");
    // What would be sent can be looked at.
    let file = server.path("local");
    machine.agent(&["collect", "--output", file.to_str().unwrap()]).succeeds();
    let local = Bundle::read(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(local.heading().unwrap().order, None);
    assert_no_secret(&local.0, &machine);
    machine.agent(&["collect", "--approve"]).succeeds();
    let (_, update) = machine.agent_json(&["update"]);
    assert_eq!(update["collection"]["outcome"], "sent", "{update}");
    let sent = fetched(&server, &machine, 1);
    assert!(sent.keys().eq(local.0.keys()), "the same files");

    consent(&machine, "forbid");
    ask(&server, &machine).succeeds();
    let (_, check) = machine.agent_json(&["check"]);
    assert_eq!(check["collection"]["outcome"], "forbidden", "{check}");
    let page = server.mainstay(&["machine", "show", &machine.name()]).succeeds().stdout();
    assert!(page.contains("forbidden by the machine's administrator"), "{page}");
    machine.agent(&["collect", "--approve"]).exits(36);
}

/// A bundle that says so.
fn bundle(machine: &str, order: Option<u64>) -> Vec<u8> {
    let heading = BundleHeading {
        kind: BundleHeading::KIND.to_owned(),
        format: BundleHeading::FORMAT,
        machine: machine.parse().unwrap(),
        customer: "standard".parse().unwrap(),
        product: crate::harness::PRODUCT.parse().unwrap(),
        order,
        made_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        agent: "0.1.0".to_owned(),
        removed: 0,
        cut: Vec::new(),
    };
    let heading = serde_json::to_vec(&heading).unwrap();
    Bundle([(BundleHeading::FILE.to_owned(), heading)].into()).to_bytes().unwrap()
}

#[test]
fn what_is_not_the_bundle_that_was_asked_for_is_refused() {
    let (server, machine) = at_the_first_release("standard");
    let (name, token) = (machine.name(), token(&machine));
    let put = |order: u64, bytes: &[u8]| {
        server.request("PUT", &format!("/v1/collections/{order}"), &token, bytes)
    };
    let good = bundle(&name, Some(1));
    put(1, &good).refuses(409, "COLLECTION_UNASKED");
    ask(&server, &machine).succeeds();
    put(2, &good).refuses(409, "COLLECTION_UNASKED");
    let too_large = vec![0; (4 << 20) + 1];
    put(1, &too_large).refuses(413, "BODY_TOO_LARGE");
    for bad in [b"nonsense".to_vec(), Vec::new(), good[..good.len() / 2].to_vec()] {
        put(1, &bad).refuses(422, "BUNDLE_REFUSED");
    }
    for other in [bundle("m-000000000000", Some(1)), bundle(&name, Some(2)), bundle(&name, None)] {
        put(1, &other).refuses(422, "BUNDLE_REFUSED");
    }
    assert_eq!(state(&server, &machine), "pending");
    // A bundle that is cut on its way leaves nothing, and is sent again.
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let mut cut = server.begin("PUT /v1/collections/1", &headers);
    let head = format!("Content-Length: {}\r\n\r\n", good.len());
    std::io::Write::write_all(&mut cut, head.as_bytes()).unwrap();
    std::io::Write::write_all(&mut cut, &good[..10]).unwrap();
    drop(cut);
    assert_eq!(state(&server, &machine), "pending");
    put(1, &good).has_status(204);
    // The same once more, or another one, changes nothing.
    put(1, &good).has_status(204);
    put(1, b"nonsense").has_status(204);
    assert_eq!(fetched(&server, &machine, 1).len(), 1);
    server.get(&format!("/v1/machines/{name}/bundles/2")).refuses(404, "NOT_FOUND");
    let refusal = json!({ "answer": "forbidden" }).to_string();
    let path = "/v1/collections/2/refusal";
    server.request("POST", path, &token, refusal.as_bytes()).refuses(409, "COLLECTION_UNASKED");
}
