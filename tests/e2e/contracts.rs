//! What account managers and support ask of contracts.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::{
    fleet::as_role,
    harness::{PRODUCT, Ran, Server, write},
};

/// Two releases of 1.0 and one of 1.1, and a basic contract for line 1.0.
fn with_a_basic_contract() -> Server {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    server.publish("1.0.1", "bugfix", &[]);
    server.publish("1.1.0", "feature", &[]);
    server.customer("initech", "basic", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    server
}

fn explain(server: &Server, more: &[&str]) -> Ran {
    let arguments = ["--json", "contract", "explain", "initech", "--product", PRODUCT];
    as_role(server, "viewer", &[&arguments[..], more].concat())
}

fn codes(ran: &Ran) -> Vec<(String, String, u64)> {
    let rows = ran.json();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let row =
        |row: &Value| (text(row, "version"), text(row, "code"), row["rule"].as_u64().unwrap());
    rows.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_contract_says_of_every_release_why() {
    let server = with_a_basic_contract();
    let expected =
        [("1.0.0", "LINE_OWNED", 9), ("1.0.1", "IN_TERM", 12), ("1.1.0", "CHANNEL_NOT_COVERED", 8)];
    let expected =
        expected.map(|(version, code, rule)| (version.to_owned(), code.to_owned(), rule));
    assert_eq!(codes(&explain(&server, &[]).succeeds()), expected);
    // Long after the term what was paid for stays.
    let later = explain(&server, &["--at", "2100-06-01T00:00:00Z"]).succeeds();
    assert_eq!(codes(&later)[1].1, "PERPETUAL");

    let text = ["contract", "explain", "initech", "--product", PRODUCT];
    let table = server.mainstay(&text).succeeds().stdout();
    let row = table.lines().find(|line| line.trim_start().starts_with("1.1.0")).unwrap();
    assert!(row.contains("feature") && row.contains("deny"), "{table}");
}

#[test]
fn a_change_is_tried_and_not_made() {
    let server = with_a_basic_contract();
    let change = r#"{"kind":"set_tier","tier":"standard"}"#;
    let tried = explain(&server, &["--with", change]).succeeds().json();
    let [difference] = tried.as_array().unwrap().as_slice() else { panic!("{tried}") };
    assert_eq!(difference["version"], "1.1.0");
    assert_eq!(difference["before"]["code"], "CHANNEL_NOT_COVERED");
    assert_eq!(difference["after"]["code"], "LINE_OWNED");
    assert_eq!(codes(&explain(&server, &[]).succeeds())[2].1, "CHANNEL_NOT_COVERED");
}

#[test]
fn what_cannot_be_explained_is_said() {
    let server = with_a_basic_contract();
    let before = explain(&server, &["--at", "2001-01-01T00:00:00Z"]);
    assert!(before.exits(3).json()["message"].as_str().unwrap().contains("had not begun"));
    let cap = r#"{"kind":"set_cap","cap":"0.9"}"#;
    let refused = explain(&server, &["--with", cap]).exits(3).json();
    assert!(refused["problems"][0].as_str().unwrap().contains("cap is 0.9"), "{refused}");
    explain(&server, &["--with", r#"{"kind":"upgrade"}"#]).exits(2);
    explain(&server, &["--at", "2026-05-03"]).exits(2);
}

#[test]
fn a_contract_is_amended_by_verbs() {
    let server = with_a_basic_contract();
    let amend = |verb: &[&str]| {
        let arguments = ["--json", "contract", "amend", "initech"];
        as_role(&server, "account", &[&arguments[..], verb].concat())
    };
    let now = |verb: &[&str]| amend(verb).succeeds().json()["now"].clone();
    assert_eq!(
        now(&["extend", "--until", "2101-01-01T00:00:00Z"])["terms"][0]["end"],
        "2101-01-01T00:00:00Z"
    );
    assert_eq!(now(&["set-seats", "5"])["seats"], 5);
    assert_eq!(now(&["set-seats"])["seats"], json!(null));
    assert_eq!(now(&["add-channel", "feature"])["channels"][2], "feature");
    assert_eq!(now(&["suspend"])["state"], "suspended");
    assert_eq!(now(&["resume"])["state"], "active");

    let own = ["set-conditions", "--grace-days", "7", "--bridge", "critical"];
    let refused = amend(&own).exits(3).json();
    assert!(refused["problems"][0].as_str().unwrap().contains("this one is basic"), "{refused}");
    now(&["set-tier", "enterprise"]);
    let conditions = now(&own);
    assert_eq!((&conditions["grace_days"], &conditions["bridge"]), (&json!(7), &json!("critical")));

    let shorter = amend(&["extend", "--until", "2099-01-01T00:00:00Z"]).exits(3).json();
    assert!(
        shorter["problems"][0].as_str().unwrap().contains("expected a later time"),
        "{shorter}"
    );
    amend(&["extend", "--until", "2101-06-01"]).exits(2);
    amend(&["set-conditions"]).exits(2);
    amend(&["set-conditions", "--bridge", "always"]).exits(2);
    amend(&[]).exits(2);
    amend(&["--change", r#"{"kind":"resume"}"#, "suspend"]).exits(2);
    assert_eq!(now(&["terminate", "--exit", "fallback"])["grace_days"], 0);
}

#[test]
fn a_contract_of_a_lower_tier_is_made_as_the_tier_is() {
    let server = with_a_basic_contract();
    let mut document =
        server.mainstay(&["--json", "contract", "show", "initech"]).succeeds().json()["now"].take();
    document["grace_days"] = json!(7);
    let file = server.path("contract.json");
    let create = |document: &Value| {
        write(&file, 0o644, &document.to_string());
        let arguments =
            ["--json", "contract", "create", "--contract", "own", "--customer", "initech"];
        server.mainstay(&[&arguments[..], &["--file", file.to_str().unwrap()]].concat())
    };
    let refused = create(&document).exits(3).json();
    assert!(refused["problems"][0].as_str().unwrap().starts_with("grace_days is 7"), "{refused}");
    document["tier"] = json!("enterprise");
    assert_eq!(create(&document).succeeds().json()["now"]["grace_days"], 7);
}

/// Runs `contract explain --scenario` on a document, from a file or from standard input.
fn scenario(server: &Server, document: &Value, more: &[&str]) -> Ran {
    let file = server.path("scenario.json");
    write(&file, 0o644, &document.to_string());
    let arguments = ["--json", "contract", "explain", "--scenario"];
    let mut command = server.command(&[&arguments[..], &[file.to_str().unwrap()], more].concat());
    Ran::run(command.env_remove("MAINSTAY_SERVER").env_remove("MAINSTAY_TOKEN_FILE"))
}

fn document() -> Value {
    json!({
        "now": "2026-06-01T00:00:00Z",
        "product": PRODUCT,
        "contract": {
            "products": [PRODUCT], "channels": ["bugfix", "security"], "base_line": "2.4",
            "terms": [{ "start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z" }]
        },
        "releases": [
            { "version": "2.5.0", "channel": "feature", "severity": "minor",
              "published_at": "2026-04-01T00:00:00Z" },
            { "version": "2.4.1", "channel": "security", "severity": "critical",
              "published_at": "2026-03-01T00:00:00Z", "advisories": ["CVE-2026-1"] }
        ]
    })
}

#[test]
fn documents_are_evaluated_without_a_server() {
    let server = Server::with_product();
    let decided = scenario(&server, &document(), &[]).succeeds().stdout();
    let expected = concat!(
        r#"[{"version":"2.5.0","verdict":"deny","code":"CHANNEL_NOT_COVERED","alternative":null},"#,
        r#"{"version":"2.4.1","verdict":"grant","code":"IN_TERM","alternative":null}]"#,
    );
    assert_eq!(decided.trim(), expected);

    let mut command = server.command(&["--json", "contract", "explain", "--scenario", "-"]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(document().to_string().as_bytes()).unwrap();
    let answered = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&answered.stdout).trim(), expected);
}

#[test]
fn a_document_that_cannot_be_is_refused_with_all_that_is_wrong() {
    let server = Server::with_product();
    let mut wrong = document();
    wrong["contract"]["cap"] = json!("1.0");
    wrong["releases"][0] = wrong["releases"][1].clone();
    let refused = scenario(&server, &wrong, &[]).exits(2).json();
    assert_eq!(refused["problems"].as_array().unwrap().len(), 2, "{refused}");
    let mut unzoned = document();
    unzoned["now"] = json!("2026-06-01T00:00:00");
    assert_eq!(scenario(&server, &unzoned, &[]).exits(2).json()["code"], "INVALID_INPUT");
}

fn restart_with_grace(server: &mut Server, days: u32) {
    let text = format!("[tiers.standard]\ngrace_days = {days}\nsecurity_tail_days = 0\n");
    write(&server.path("server/mainstay.toml"), 0o644, &text);
    server.kill_and_restart();
}

/// What was agreed before an operator changed a tier stays what it was.
#[test]
fn a_tier_is_what_the_operator_says() {
    let mut server = with_a_basic_contract();
    restart_with_grace(&mut server, 7);
    let change = r#"{"kind":"set_tier","tier":"standard"}"#;
    let amended = ["--json", "contract", "amend", "initech", "--change", change];
    let amended = server.mainstay(&amended).succeeds().json();
    assert_eq!(
        (&amended["now"]["grace_days"], &amended["now"]["channels"][1]),
        (&json!(7), &json!("security"))
    );
    restart_with_grace(&mut server, 99);
    let shown = server.mainstay(&["--json", "contract", "show", "initech"]).succeeds().json();
    assert_eq!(shown["now"]["grace_days"], 7);
    server.customer("globex", "standard", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    let shown = server.mainstay(&["--json", "contract", "show", "globex"]).succeeds().json();
    assert_eq!(shown["now"]["grace_days"], 99);
}

/// Imports `text` from a file called `name`.
fn import(server: &Server, name: &str, text: &str, more: &[&str]) -> Ran {
    let file = server.path(name);
    write(&file, 0o644, text);
    let arguments = ["--json", "contract", "import", file.to_str().unwrap()];
    as_role(server, "account", &[&arguments[..], more].concat())
}

#[test]
fn contracts_come_from_another_system_as_often_as_it_likes() {
    let server = with_a_basic_contract();
    let exported = server.mainstay(&["contract", "export"]).succeeds().json();
    let mut rows = exported.as_array().unwrap().clone();
    rows[0]["contract"]["seats"] = json!(7);
    for number in 0..300 {
        let mut row = rows[0].clone();
        row["name"] = json!(format!("globex-{number}"));
        row["customer"] = json!("globex");
        row["title"] = json!("Globex Ltd");
        rows.push(row);
    }
    let text = Value::from(rows).to_string();
    let checked = import(&server, "crm.json", &text, &["--check"]).succeeds().json();
    assert_eq!(checked["created"].as_array().unwrap().len(), 300);
    let before = server.mainstay(&["--json", "contract", "list"]).succeeds().json();
    assert_eq!(before.as_array().unwrap().len(), 1, "a check changes nothing");

    let imported = import(&server, "crm.json", &text, &[]).succeeds().json();
    assert_eq!(imported, checked);
    assert_eq!(
        (&imported["changed"], &imported["customers"]),
        (&json!(["initech"]), &json!(["globex"]))
    );
    let again = import(&server, "crm.json", &text, &[]).succeeds().json();
    assert_eq!(
        (&again["unchanged"], &again["created"], &again["changed"]),
        (&json!(301), &json!([]), &json!([]))
    );

    let trail = server.mainstay(&["--json", "audit"]).succeeds().json();
    let amended: Vec<_> =
        trail.as_array().unwrap().iter().filter(|it| it["action"] == "contract.amend").collect();
    assert_eq!(amended.len(), 1);
    assert_eq!(
        (&amended[0]["before"]["seats"], &amended[0]["before"]["tier"]),
        (&json!(null), &json!("basic"))
    );

    let table = server.mainstay(&["contract", "export", "--format", "csv"]).succeeds().stdout();
    let again = import(&server, "crm.csv", &table, &[]).succeeds().json();
    assert_eq!(again["unchanged"], 301);
}

/// One bad row among thousands, and every bad row is named.
#[test]
fn an_import_with_a_bad_row_changes_nothing() {
    let server = with_a_basic_contract();
    let row = |number: usize| {
        let line = match number {
            1500 => "reversed,initech,demo,bugfix,2027-01-01T00:00:00Z/2026-01-01T00:00:00Z,1.0,",
            1700 => "capped,initech,demo,bugfix,2026-01-01T00:00:00Z/2027-01-01T00:00:00Z,1.0,0.9",
            1800 => "unzoned,initech,demo,bugfix,2026-01-01/2027-01-01,1.0,",
            1900 => "beta,initech,demo,beta,2026-01-01T00:00:00Z/2027-01-01T00:00:00Z,1.0,",
            1950 => "initech,globex,demo,bugfix,2026-01-01T00:00:00Z/2027-01-01T00:00:00Z,1.0,",
            _ => {
                return format!(
                    "c-{number},c-{number},demo,bugfix,2026-01-01T00:00:00Z/2027-01-01T00:00:00Z,1.0,\n"
                );
            }
        };
        format!("{line}\n")
    };
    let table: String = (1..=2000).map(row).collect();
    let table = format!("name,customer,products,channels,terms,base_line,cap\n{table}");
    let refused = import(&server, "crm.csv", &table, &[]).exits(3).json();
    assert_eq!(refused["code"], "IMPORT_REFUSED");
    let problems: Vec<_> =
        refused["problems"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    for expected in [
        "row 1500 (reversed): a term starts at",
        "row 1700 (capped): cap is 0.9",
        "row 1800 (unzoned): ",
        "row 1900 (beta): ",
        "row 1950 (initech): customer is globex",
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{problems:#?}");
    }
    assert_eq!(problems.len(), 5, "{problems:#?}");
    let contracts = server.mainstay(&["--json", "contract", "list"]).succeeds().json();
    assert_eq!(contracts.as_array().unwrap().len(), 1);
}

/// Creates a contract of initech's, by the command line, which is in effect from `at` on.
fn create_at(server: &Server, name: &str, at: &str) -> Ran {
    let create = ["--json", "contract", "create", "--contract", name, "--customer", "initech"];
    let says = ["--tier", "basic", "--product", PRODUCT, "--base-line", "1.0"];
    let term = ["--start", "2020-01-01T00:00:00Z", "--end", "2100-01-01T00:00:00Z"];
    as_role(server, "account", &[&create[..], &says, &term, &["--at", at]].concat())
}

#[test]
fn a_contract_that_is_entered_late_tells_what_it_granted_before() {
    let server = with_a_basic_contract();
    // The releases are out; the contract is recorded after that.
    let before = server.publishing_state().now.to_string();
    let created = create_at(&server, "late", &before).succeeds().json();
    let [first] = created["amendments"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!(first["at"], before.as_str());
    assert!(first["recorded_at"].as_str().unwrap() >= before.as_str(), "{first}");

    let explain = |name: &str, at: &str| {
        let explain = ["--json", "contract", "explain", name, "--product", PRODUCT, "--at", at];
        server.mainstay(&explain)
    };
    assert_eq!(codes(&explain("late", &before).succeeds())[1].1, "IN_TERM");
    let refused = explain("late", "2020-05-03T00:00:00Z").exits(3).json();
    assert!(refused["message"].as_str().unwrap().contains(&before), "{refused}");
    // One from long before all releases granted none of them, and that is no error.
    let may = "2020-05-03T00:00:00Z";
    let created = create_at(&server, "old", may).succeeds().json();
    assert_eq!(explain("old", may).succeeds().json(), json!([]));

    let recorded_at = created["amendments"][0]["recorded_at"].as_str().unwrap();
    let shown = server.mainstay(&["contract", "show", "old"]).succeeds().stdout();
    let row = shown.lines().find(|line| line.contains("create")).unwrap();
    assert!(row.contains(may) && row.contains(recorded_at), "{shown}");
    let trail = server.mainstay(&["--json", "audit"]).succeeds().json();
    let told = trail.as_array().unwrap().iter().find(|it| it["subject"] == "old").unwrap();
    assert!(told["detail"].as_str().unwrap().contains(may), "{told}");
    assert!(told["at"].as_str().unwrap() >= recorded_at, "{told}");
}

#[test]
fn a_contract_can_be_entered_ahead_of_time() {
    let server = with_a_basic_contract();
    let begins = "2099-01-01T00:00:00Z";
    let created = create_at(&server, "ahead", begins).succeeds().json();
    assert_eq!((&created["now"], &created["amendments"][0]["at"]), (&json!(null), &json!(begins)));
    // It goes to another system and comes back as what it is to say then.
    for format in ["json", "csv"] {
        let exported = server.mainstay(&["contract", "export", "--format", format]).succeeds();
        let exported = exported.stdout();
        assert!(exported.contains(begins), "{exported}");
        let again = import(&server, &format!("crm.{format}"), &exported, &[]).succeeds().json();
        assert_eq!(again["unchanged"], 2, "{again}");
    }
    let early = r#"{"kind":"suspend"}"#;
    let refused = server.mainstay(&["contract", "amend", "ahead", "--change", early]).exits(3);
    assert!(refused.stderr().contains("before the contract began"), "{}", refused.stderr());
}

#[test]
fn what_is_imported_has_its_own_time_too() {
    let server = with_a_basic_contract();
    let header = "name,customer,at,products,channels,terms,base_line,seats";
    let terms = "2020-01-01T00:00:00Z/2100-01-01T00:00:00Z";
    let table = |at: &str, seats: &str| {
        format!("{header}\nlate,initech,{at},{PRODUCT},bugfix,{terms},1.0,{seats}\n")
    };
    let may = table("2026-05-03T00:00:00Z", "5");
    let imported = import(&server, "crm.csv", &may, &[]).succeeds().json();
    assert_eq!(imported["created"], json!(["late"]));
    let show = || server.mainstay(&["--json", "contract", "show", "late"]).succeeds().json();
    assert_eq!(show()["amendments"][0]["at"], "2026-05-03T00:00:00Z");
    // What was amended since stays so, however often the same is imported.
    let change = r#"{"kind":"set_seats","seats":7}"#;
    server.mainstay(&["contract", "amend", "late", "--change", change]).succeeds();
    let again = import(&server, "crm.csv", &may, &[]).succeeds().json();
    assert_eq!((&again["unchanged"], &show()["now"]["seats"]), (&json!(1), &json!(7)));
    // What it said from June on was recorded late as well.
    let june = table("2026-06-01T00:00:00Z", "6");
    let changed = import(&server, "crm.csv", &june, &[]).succeeds().json();
    assert_eq!(changed["changed"], json!(["late"]));
    assert_eq!(show()["now"]["seats"], 7);

    for (at, expected) in [
        ("2026-05-02T00:00:00Z", "before the contract began: expected 2026-05-03T00:00:00Z"),
        ("2026-05-03T00:00:00", "row 1 (late): time `2026-05-03T00:00:00` is not valid"),
        ("3 May", "row 1 (late): time `3 May` is not valid"),
    ] {
        let refused = import(&server, "crm.csv", &table(at, "8"), &[]).exits(3).json();
        let problem = refused["problems"][0].as_str().unwrap();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_time_has_a_zone() {
    let server = with_a_basic_contract();
    for time in ["2026-05-03", "2026-05-03T00:00:00", "yesterday"] {
        let refused = create_at(&server, "late", time).exits(2).stderr();
        assert!(refused.contains("--at") && refused.contains("2026-05-03T00:00:00Z"), "{refused}");
    }
    let view: Value = server.get("/v1/contracts/initech").has_status(200).json();
    let mut request = json!({ "name": "late", "customer": "initech", "contract": view["now"] });
    request["at"] = json!("2026-05-03T00:00:00");
    let problem = server.post("/v1/contracts", &request).refuses(400, "INVALID_REQUEST");
    let expected = "time `2026-05-03T00:00:00` is not valid: expected one with its zone";
    assert!(problem.detail.contains(expected), "{}", problem.detail);
}
