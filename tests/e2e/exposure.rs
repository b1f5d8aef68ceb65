//! Whom advisories still concern: who is open and why, and how long others took.

use serde_json::{Value, json};

use crate::{
    by_hand::BareMachine,
    fleet::{at_the_first_release, customer},
    harness::{Machine, PRODUCT, Server},
    organisation::Served,
    service::{closed_window, set as add_settings},
};

const CVE: &str = "CVE-2026-4711";

/// Publishes a security release that fixes [`CVE`].
fn fix(server: &Server, version: &str, severity: &str) {
    server.publish(version, "security", &["--advisory", CVE, "--severity", severity]);
}

/// Has a machine that was offered a version say that it runs and was confirmed.
fn confirm(server: &Server, machine: &BareMachine, number: u64, version: &str) {
    machine.check(server);
    let event = json!([{ "number": number, "kind": "confirmed", "to": version }]);
    machine.report(server, version, &event).has_status(204);
}

fn exposure(server: &Server, more: &[&str]) -> Value {
    server.mainstay(&[&["--json", "exposure"], more].concat()).succeeds().json()
}

/// The machines of a report: which, and the code of why it is open.
fn open(report: &Value) -> Vec<(&str, &str)> {
    let machines = report["machines"].as_array().unwrap().iter();
    machines
        .map(|it| (it["machine"].as_str().unwrap(), it["cause"]["code"].as_str().unwrap()))
        .collect()
}

#[test]
fn who_lacks_a_fix_is_listed_with_the_reason_and_nobody_sees_other_peoples() {
    let scene = Served::new();
    let (server, own, other) = (&scene.server, &scene.own, &scene.other);
    let key = server.customer("basil", "basic", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let late = server.enroll(&key);
    for machine in [own, other, &late] {
        confirm(server, machine, 1, "1.0.0");
    }
    fix(server, "1.0.1", "critical");
    let report = exposure(server, &[CVE]);
    let [own_name, other_name, late_name] =
        [own, other, &late].map(|machine| machine.0.machine.as_str());
    let mut expected = [
        (own_name, "NOT_CHECKED"),
        (late_name, "PUBLISHED_AFTER_TERM"),
        (other_name, "NOT_CHECKED"),
    ];
    assert_eq!(open(&report), expected);
    assert_eq!(report["machines"][1]["cause"]["kind"], "not_entitled");
    assert_eq!(report["machines"][0]["since"], report["fixes"][0]["published_at"]);
    assert_eq!(report["fixes"][0]["version"], "1.0.1");

    let until = "2099-01-01T00:00:00Z";
    let hold = ["machine", "hold", own_name, "--until", until, "--reason", "year's end", "--yes"];
    server.mainstay(&hold).succeeds();
    expected[0].1 = "HELD";
    confirm(server, other, 2, "1.0.1");
    let report = exposure(server, &[CVE, "--product", PRODUCT]);
    assert_eq!(open(&report), expected[..2]);
    let patched = report["patching"]["tiers"].as_array().unwrap();
    let premium = patched.iter().find(|tier| tier["tier"] == "premium").unwrap();
    assert_eq!((&premium["open"], &premium["patched"]), (&json!(1), &json!(1)));
    assert!(premium["p99_minutes"].is_u64(), "{premium}");
    let told = server.mainstay(&["exposure", CVE]).succeeds().stdout();
    for expected in ["year's end", "not_entitled", "2 machine(s) of 2 customer(s) lack", "PATCHED"]
    {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    assert_eq!(open(&exposure(server, &[CVE, "--customer", "globex"])), []);

    // Going back below the fix opens it again.
    let back = ["machine", "rollback", other_name, "--to", "1.0.0", "--reason", "slow"];
    let back = [&back[..], &["--accept-exposure"]].concat();
    server.mainstay(&back).succeeds();
    let event = json!([{ "number": 3, "kind": "rolled_back", "from": "1.0.1", "to": "1.0.0" }]);
    other.report(server, "1.0.0", &event).has_status(204);
    let report = exposure(server, &[CVE, "--customer", "globex"]);
    assert_eq!(open(&report), [(other_name, "BLOCKED")]);

    // An organisation's people are told of whom they serve, and of nothing else.
    let helper = scene.token("support");
    for path in ["/v1/exposure", "/v1/exposure/patching"] {
        let ask = |query: &str| {
            let path = format!("{path}?advisory={CVE}{query}");
            server.request("GET", &path, &helper, b"")
        };
        let answer = ask("").has_status(200);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        for others in ["globex", "basil", "basic", other_name, late_name, "fixes\":[{"] {
            assert!(!text.contains(others), "{others}\n{text}");
        }
        ask("&customer=globex").refuses(404, "NOT_FOUND");
    }
    let answer = server.request("GET", &format!("/v1/exposure?advisory={CVE}"), &helper, b"");
    assert_eq!(open(&answer.has_status(200).json::<Value>()), expected[..1]);
}

#[test]
fn an_advisory_that_only_others_are_told_of_does_not_exist() {
    let scene = Served::new();
    let (server, own) = (&scene.server, &scene.own);
    confirm(server, own, 1, "1.0.0");
    server.publish("1.0.1", "security", &["--advisory", CVE, "--audience", "government"]);
    let helper = scene.token("support");
    let ask = |token: &str, advisory: &str| {
        let path = format!("/v1/exposure?advisory={advisory}");
        server.request("GET", &path, token, b"")
    };
    let hidden = ask(&helper, CVE).refuses(404, "ADVISORY_UNKNOWN");
    let absent = ask(&helper, "CVE-2026-4712").refuses(404, "ADVISORY_UNKNOWN");
    assert_eq!(hidden.detail.replace(CVE, "CVE-2026-4712"), absent.detail);
    // The vendor is told that the machine lacks it, and that nothing is out for it.
    let told: Value = ask(&server.admin_token(), CVE).has_status(200).json();
    assert_eq!(open(&told), [(own.0.machine.as_str(), "NO_FIX")]);
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let scene = Served::new();
    let server = &scene.server;
    let unknown = server.mainstay(&["--json", "exposure", CVE]).exits(3).json();
    assert_eq!(unknown["code"], "ADVISORY_UNKNOWN", "{unknown}");
    server.mainstay(&["exposure", "CVE 2026"]).exits(2);
    for query in ["", "?advisory=CVE%202026", "?advisory=CVE-1&after=x", "?advisory=CVE-1&limit=0"]
    {
        server.get(&format!("/v1/exposure{query}")).refuses(400, "INVALID_REQUEST");
    }
    for query in ["advisory=CVE-1&product=other-db", "advisory=CVE-1&customer=nobody"] {
        server.get(&format!("/v1/exposure?{query}")).refuses(404, "NOT_FOUND");
    }
}

/// A bill of materials with these components, written down.
fn sbom(server: &Server, components: &Value) -> String {
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": components,
        "vulnerabilities": [{ "id": CVE, "ratings": [{ "score": 9.8 }] }],
    });
    let file = server.path("sbom.json");
    std::fs::write(&file, document.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

fn attach(server: &Server, version: &str, file: &str) -> crate::harness::Ran {
    let attach = ["--json", "release", "sbom", "attach", "--product", PRODUCT, version, file];
    server.mainstay(&attach)
}

/// The releases that have a component, and who runs them.
fn component(server: &Server, query: &str) -> Vec<(String, Value)> {
    let found = exposure(server, &["--component", query]);
    let releases = found["releases"].as_array().unwrap().iter();
    releases.map(|it| (it["version"].as_str().unwrap().to_owned(), it["holders"].clone())).collect()
}

#[test]
fn a_component_is_found_in_the_releases_that_have_it_with_whoever_runs_them() {
    let scene = Served::new();
    let (server, own, other) = (&scene.server, &scene.own, &scene.other);
    let openssl =
        json!({ "name": "OpenSSL", "version": "3.0.1", "purl": "pkg:generic/openssl@3.0.1" });
    let zlib = json!({ "name": "zlib", "version": "1.3", "components": [openssl] });
    let record = attach(server, "1.0.0", &sbom(server, &json!([zlib]))).succeeds().json();
    assert_eq!((&record["components"], &record["spec_version"]), (&json!(2), &json!("1.6")));
    for machine in [own, other] {
        confirm(server, machine, 1, "1.0.0");
    }
    let holder = |customer: &str| json!({ "customer": customer, "machines": 1 });
    let both = vec![("1.0.0".to_owned(), json!([holder("acme"), holder("globex")]))];
    for query in ["openssl", "openssl@3.0.1", "pkg:generic/openssl", "zlib@1.3"] {
        assert_eq!(component(server, query), both, "{query}");
    }
    for query in ["openssl@3.0.2", "ssl", "pkg:npm/openssl"] {
        assert_eq!(component(server, query), [], "{query}");
    }
    let told = server.mainstay(&["exposure", "--component", "openssl"]).succeeds().stdout();
    assert!(told.contains("OpenSSL@3.0.1") && told.contains("globex (1)"), "{told}");

    // An organisation's people see what runs at whom they serve, and learn nothing by a lie.
    let helper = scene.token("viewer");
    let ask = |query: &str| -> Value {
        let path = format!("/v1/exposure/components?component={query}");
        server.request("GET", &path, &helper, b"").has_status(200).json()
    };
    assert_eq!(ask("openssl")["releases"][0]["holders"], json!([holder("acme")]));
    let file = sbom(server, &json!([{ "name": "hidden" }]));
    server.publish("1.0.1", "security", &["--audience", "government", "--sbom", &file]);
    own.report(server, "1.0.1", &json!([])).has_status(204);
    assert_eq!(ask("hidden")["releases"], json!([]));
    assert_eq!(ask("openssl")["releases"], json!([]));
    assert_eq!(component(server, "hidden").len(), 1);

    // What is attached later takes the place of what was before; both are in the audit trail.
    let before = record["sha256"].as_str().unwrap();
    attach(server, "1.0.0", &sbom(server, &json!([{ "name": "zlib" }]))).succeeds();
    assert_eq!(component(server, "openssl"), []);
    assert_eq!(component(server, "zlib").len(), 1);
    let trail = server.mainstay(&["--json", "audit"]).succeeds().json();
    let mut attached = trail.as_array().unwrap().iter().filter(|it| it["action"] == "sbom.attach");
    let last = attached.next_back().unwrap();
    assert_eq!(last["before"]["sha256"], before);
    let path = format!("/v1/products/{PRODUCT}/releases/1.0.0/sbom/document");
    let document: Value = server.get(&path).has_status(200).json();
    assert_eq!(document["components"], json!([{ "name": "zlib" }]));
    let show = ["release", "sbom", "show", "--product", PRODUCT, "1.0.0"];
    let shown = server.mainstay(&show).succeeds().stdout();
    assert!(shown.contains("1 component(s), by CycloneDX 1.6"), "{shown}");
}

#[test]
fn what_is_no_bill_of_materials_is_not_attached() {
    let scene = Served::new();
    let server = &scene.server;
    let file = server.path("wrong.json");
    for (text, expected) in [
        ("<bom/>", "not CycloneDX JSON"),
        ("{\"spdxVersion\": \"SPDX-2.3\"}", "missing field `bomFormat`"),
        ("{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.3\"}", "expected one of 1.4, 1.5, 1.6"),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = attach(server, "1.0.0", file.to_str().unwrap()).exits(2).json();
        assert!(refused["message"].as_str().unwrap().contains(expected), "{refused}");
        // Whoever sends it all the same is told the same.
        let digest = mainstay_client::format::Digest::of(text.as_bytes());
        let upload = crate::by_hand::upload_path(&digest, 0, text.len());
        server.request("PATCH", &upload, &server.admin_token(), text.as_bytes()).has_status(200);
        let path = format!("/v1/products/{PRODUCT}/releases/1.0.0/sbom");
        let problem = server.post(&path, &json!({ "sha256": digest })).refuses(422, "SBOM_REFUSED");
        assert!(problem.detail.contains(expected), "{problem:?}");
    }
    let large = std::fs::File::create(&file).unwrap();
    large.set_len((16 << 20) + 1).unwrap();
    let refused = attach(server, "1.0.0", file.to_str().unwrap()).exits(2).json();
    assert!(refused["message"].as_str().unwrap().contains("too large"), "{refused}");
    let whole = sbom(server, &json!([{ "name": "zlib" }]));
    attach(server, "9.9.9", &whole).exits(3);
    let path = format!("/v1/products/{PRODUCT}/releases/1.0.0/sbom");
    let digest = mainstay_client::format::Digest::of(b"nobody sent this");
    server.post(&path, &json!({ "sha256": digest })).refuses(422, "SBOM_REFUSED");
    server.get(&path).refuses(404, "NOT_FOUND");
    assert!(component(server, "zlib").is_empty());
    server.mainstay(&["exposure", "--component", "a@"]).exits(2);
    server.get("/v1/exposure/components?component=a%40").refuses(400, "INVALID_REQUEST");
}

#[test]
fn what_is_recorded_of_an_advisory_narrows_who_is_open_and_is_exported() {
    let config = "[publisher]\nname = \"Acme\"\nnamespace = \"https://acme.example\"\n";
    let server = Server::with_config(config);
    server.publish("1.0.0", "major", &[]);
    let key = server.customer("acme", "premium", "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    let machine = server.enroll(&key);
    confirm(&server, &machine, 1, "1.0.0");
    fix(&server, "1.0.1", "minor");
    let of = ["--product", PRODUCT, CVE];
    let set = |more: &[&str]| {
        let set = ["--json", "advisory", "set", "--title", "Rows are read without permission"];
        server.mainstay(&[&set[..], &of, more].concat())
    };
    set(&["--affected", "1.0.0..1.0.1", "--severity", "critical"]).succeeds();
    let report = exposure(&server, &[CVE]);
    assert_eq!(report["machines"][0]["severity"], "critical");
    assert_eq!(open(&report).len(), 1);
    let export = |more: &[&str]| {
        server.mainstay(&[&["--json", "advisory", "export"], &of[..], more].concat())
    };
    let document = export(&["--format", "csaf"]).succeeds().json();
    assert_eq!(document, export(&[]).succeeds().json());
    assert_eq!(document["document"]["category"], "csaf_vex");
    assert_eq!(document["document"]["publisher"]["name"], "Acme");
    let vulnerability = &document["vulnerabilities"][0];
    assert_eq!(vulnerability["cve"], CVE);
    assert_eq!(vulnerability["product_status"]["fixed"], json!(["acme-db:1.0.1"]));
    assert_eq!(vulnerability["remediations"][0]["product_ids"], json!(["acme-db:1.0.0"]));
    let file = server.path("csaf.json");
    export(&["--out", file.to_str().unwrap()]).succeeds();
    let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, document);

    set(&["--affected", "2.0.0.."]).succeeds();
    assert_eq!(open(&exposure(&server, &[CVE])), []);
    let listed = server.mainstay(&["advisory", "list", "--product", PRODUCT]).succeeds().stdout();
    assert!(listed.contains("2.0.0..") && listed.contains("1.0.1"), "{listed}");
    server.mainstay(&["advisory", "show", "--product", PRODUCT, "CVE-1"]).exits(3);
    set(&["--affected", "1.0.1..1.0.0"]).exits(2);
    set(&["--url", "nowhere"]).exits(3);

    // Without a publisher nothing is published.
    let scene = Served::new();
    fix(&scene.server, "1.0.1", "minor");
    let refused = [&["--json", "advisory", "export"], &of[..]].concat();
    let refused = scene.server.mainstay(&refused).exits(4).json();
    assert_eq!(refused["code"], "PUBLISHER_UNKNOWN");
}

#[test]
fn a_machine_that_waits_for_approval_and_one_that_waits_for_a_window_are_told_apart() {
    let (server, asking) = at_the_first_release("standard");
    let [patient, old] = ["premium", "basic"].map(|tier| server.machine(&customer(&server, tier)));
    for machine in [&patient, &old] {
        machine.agent(&["update"]).succeeds();
    }
    add_settings(&asking, "[updates.channels]\nsecurity = \"ask\"");
    add_settings(&patient, &format!("[[updates.windows]]\n{}", closed_window()));
    fix(&server, "1.0.1", "critical");
    let code = |machine: &Machine| {
        let (report, name) = (exposure(&server, &[CVE]), machine.name());
        let machines = open(&report).into_iter();
        let found = machines.filter(|(machine, _)| *machine == name).map(|(_, code)| code);
        found.map(str::to_owned).next()
    };
    let all = [&asking, &patient, &old];
    let codes = || all.map(&code).map(Option::unwrap);
    assert_eq!(codes(), ["NOT_CHECKED"; 3]);
    let check = || all.map(|machine| machine.agent(&["check"]).exits(11));
    check();
    assert_eq!(codes(), ["OFFERED"; 3], "a machine tells what it waits for once it was offered it");
    check();
    assert_eq!(codes(), ["APPROVAL", "WINDOW", "OFFERED"]);

    let opens = patient.agent(&["--json", "status"]).succeeds().json();
    let opens = opens["status"]["offered"]["opens"].as_str().unwrap();
    let told = server.mainstay(&["exposure", CVE]).succeeds().stdout();
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in ["mainstay-agent approve 1.0.1", &format!("which opens at {opens}")] {
        assert!(words.contains(expected), "{expected}\n{told}");
    }
    let page = |machine: &Machine| {
        server.mainstay(&["machine", "show", &machine.name()]).succeeds().stdout()
    };
    assert!(page(&asking).contains("with 1.0.1, for approval"), "{}", page(&asking));
    let window = format!("with 1.0.1, for its window, which opens at {opens}");
    assert!(page(&patient).contains(&window), "{}", page(&patient));

    asking.agent(&["approve", "1.0.1"]).succeeds();
    asking.agent(&["check"]).exits(11);
    assert_eq!(code(&asking).as_deref(), Some("OFFERED"));
    asking.agent(&["update"]).succeeds();
    assert_eq!(code(&asking), None);
    // Whoever is at the machine need not wait; then it waits no more.
    patient.agent(&["update"]).succeeds();
    let shown = server.mainstay(&["--json", "machine", "show", &patient.name()]).succeeds().json();
    assert_eq!((code(&patient), &shown["machine"]["waits"]), (None, &Value::Null));
}

#[test]
fn what_a_machine_says_that_it_waits_for_is_one_of_what_there_is() {
    let scene = Served::new();
    let (server, machine) = (&scene.server, &scene.own);
    confirm(server, machine, 1, "1.0.0");
    fix(server, "1.0.1", "critical");
    let check = |waits: &Value| {
        let request = json!({
            "product": PRODUCT, "platform": crate::harness::platform(), "running": "1.0.0",
            "known": { "root": 1 }, "agent": "by hand", "waits": waits,
        });
        let body = serde_json::to_vec(&request).unwrap();
        server.request("POST", "/v1/check", &machine.0.token, &body)
    };
    let long = format!("1.0.1-{}", "x".repeat(64));
    for wrong in [
        json!({ "version": "1.0.1", "for": "<script>" }),
        json!({ "version": "1.0.1", "for": { "window": "soon" } }),
        json!({ "version": "1.0.1", "for": { "window": "99999-01-01T00:00:00Z" } }),
        json!({ "version": "1.0.1\u{1b}[2J", "for": "approval" }),
        json!({ "version": long, "for": "approval" }),
        json!({ "version": "1.0.1", "for": "approval", "note": "x" }),
        json!({ "version": "1.0.1" }),
        json!("approval"),
    ] {
        check(&wrong).refuses(400, "INVALID_REQUEST");
    }
    let code = || open(&exposure(server, &[CVE, "--customer", "acme"]))[0].1.to_owned();
    for (waits, expected) in [
        (json!({ "version": "1.0.1", "for": "approval" }), "APPROVAL"),
        (json!({ "version": "1.0.1", "for": { "window": "0001-01-01T00:00:00Z" } }), "OFFERED"),
        (json!({ "version": "1.0.1", "for": { "window": "9999-01-01T00:00:00Z" } }), "WINDOW"),
        (json!({ "version": "1.0.9", "for": "approval" }), "OFFERED"),
        (json!({ "version": "1.0.1", "for": "command" }), "COMMAND"),
        (Value::Null, "OFFERED"),
    ] {
        check(&waits).has_status(200);
        assert_eq!(code(), expected, "{waits}");
    }
}
