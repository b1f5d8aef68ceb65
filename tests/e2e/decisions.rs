//! What account managers and auditors take into a spreadsheet: decisions, one by one and all at once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    fleet::as_role,
    harness::{PRODUCT, Ran, Server, write},
    organisation::Served,
};

/// The table as JSON documents, each by the names of the columns.
fn rows(table: &str) -> Vec<Value> {
    let mut table = csv::Reader::from_reader(table.as_bytes());
    let headings = table.headers().unwrap().clone();
    let document = |row: csv::StringRecord| {
        headings.iter().zip(&row).map(|(name, cell)| (name.to_owned(), json!(cell))).collect()
    };
    table.records().map(|row| document(row.unwrap())).collect()
}

/// An answer's document as a table has it: everything is text, and what is not there is empty.
fn as_text(document: &Value) -> Value {
    let members = document.as_object().unwrap().iter().map(|(name, value)| {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        (name.clone(), Value::from(text))
    });
    members.collect()
}

fn texts(documents: &Value) -> Vec<Value> {
    documents.as_array().unwrap().iter().map(as_text).collect()
}

#[test]
fn an_explanation_is_a_table_with_the_names_of_the_interface() {
    let scene = Served::new();
    let server = &scene.server;
    let contract = ["contract", "explain", "acme", "--product", PRODUCT];
    let machine = ["machine", "explain", scene.own.0.machine.as_str()];
    let scenario = server.path("scenario.json");
    let document = json!({
        "now": "2026-06-01T00:00:00Z", "product": "acme-db",
        "contract": { "products": ["acme-db"], "channels": ["security"], "base_line": "2.4",
            "terms": [{ "start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z" }] },
        "releases": [{ "version": "2.4.1", "channel": "security", "severity": "critical",
            "published_at": "2026-03-01T00:00:00Z", "advisories": ["CVE-2026-1"] }],
    });
    write(&scenario, 0o644, &document.to_string());
    let scenario = ["contract", "explain", "--scenario", scenario.to_str().unwrap()];

    for command in [&contract[..], &machine] {
        let table = server.mainstay(&[command, &["--csv"]].concat()).succeeds().stdout();
        let answer = server.mainstay(&[&["--json"], command].concat()).succeeds().json();
        assert!(!rows(&table).is_empty());
        assert_eq!(rows(&table), texts(&answer), "every member is a column: {table}");
        server.mainstay(&[&["--json"], command, &["--csv"]].concat()).exits(2);
    }
    let header = "version,channel,status,published_at,verdict,code,rule,alternative,message\n";
    let table = server.mainstay(&[&contract[..], &["--csv"]].concat()).succeeds().stdout();
    assert!(table.starts_with(header), "{table}");
    let table = server.mainstay(&[&scenario[..], &["--csv"]].concat()).succeeds().stdout();
    assert!(table.starts_with("version,verdict,code,rule,alternative,message\n"), "{table}");
    let [row] = rows(&table).try_into().unwrap();
    assert_eq!((&row["code"], &row["rule"]), (&json!("IN_TERM"), &json!("12")));
    let with = ["--csv", "--with", r#"{"kind":"suspend"}"#];
    server.mainstay(&[&contract[..], &with].concat()).exits(2);
}

#[test]
fn all_decisions_are_what_each_contract_says_by_itself() {
    let scene = Served::new();
    let server = &scene.server;
    server.publish("1.0.1", "bugfix", &[]);
    server.customer("initech", "basic", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let now = server.publishing_state().now.to_string();
    let decisions = ["contract", "decisions", "--at", &now];

    let table = server.mainstay(&[&decisions[..], &["--csv"]].concat()).succeeds().stdout();
    let list = server.mainstay(&[&["--json"], &decisions[..]].concat()).succeeds().json();
    assert_eq!(rows(&table), texts(&list));
    let mut expected = Vec::new();
    for contract in ["acme", "globex", "initech"] {
        let explain = ["contract", "explain", contract, "--product", PRODUCT, "--at", &now];
        let explained = server.mainstay(&[&["--json"], &explain[..]].concat()).succeeds().json();
        for mut row in explained.as_array().unwrap().iter().cloned() {
            row["contract"] = json!(contract);
            row["customer"] = json!(contract);
            row["product"] = json!(PRODUCT);
            expected.push(row);
        }
    }
    assert_eq!(list, Value::from(expected));

    let only = ["--customer", "initech", "--product", PRODUCT];
    let only = [&["--json"], &decisions[..], &only].concat();
    let only = server.mainstay(&only).succeeds().json();
    assert_eq!(only.as_array().unwrap().len(), 2);
    assert!(only.as_array().unwrap().iter().all(|row| row["customer"] == "initech"), "{only}");
    for missing in [["--customer", "nobody"], ["--product", "no-such"]] {
        let ran = server.mainstay(&[&["--json"], &decisions[..], &missing].concat());
        assert_eq!(ran.exits(3).json()["code"], "NOT_FOUND");
    }
    let ran = server.mainstay(&decisions).exits(2).stderr();
    assert!(ran.contains("expected --csv or --json"), "{ran}");
    // Before any of the contracts began there is nothing to decide.
    let before = ["--json", "contract", "decisions", "--at", "2001-01-01T00:00:00Z"];
    assert_eq!(server.mainstay(&before).succeeds().json(), json!([]));
    let misspelt = server.get("/v1/decisions?prodct=acme-db");
    assert!(misspelt.refuses(400, "INVALID_REQUEST").detail.contains("prodct"));
}

#[test]
fn an_organisation_gets_the_decisions_of_its_customers_only() {
    let scene = Served::new();
    let server = &scene.server;
    // A release for an audience that acme is not of, and a product that is in no contract of acme's.
    server.publish("1.0.1", "bugfix", &["--audience", "beta"]);
    let customers = |token: &str| -> (BTreeSet<String>, usize) {
        let page: Value = server.request("GET", "/v1/decisions", token, b"").has_status(200).json();
        let rows = page["decisions"].as_array().unwrap();
        let names = rows.iter().map(|row| row["customer"].as_str().unwrap().to_owned());
        (names.collect(), rows.len())
    };
    let both = BTreeSet::from(["acme".to_owned(), "globex".to_owned()]);
    assert_eq!(customers(&server.token("viewer")), (both, 2));
    for role in ["support", "viewer"] {
        let token = scene.token(role);
        assert_eq!(customers(&token), (BTreeSet::from(["acme".to_owned()]), 1));
        let outside = server.request("GET", "/v1/decisions?customer=globex", &token, b"");
        let outside = outside.refuses(404, "NOT_FOUND");
        let absent = server.request("GET", "/v1/decisions?customer=nobody", &token, b"");
        let absent = absent.refuses(404, "NOT_FOUND").detail;
        assert_eq!(absent.replace("nobody", "globex"), outside.detail);
        // A product of others is told as one that nobody has.
        let page = |product: &str| -> Value {
            let path = format!("/v1/decisions?at=2026-01-01T00:00:00Z&product={product}");
            server.request("GET", &path, &token, b"").has_status(200).json()
        };
        assert_eq!(page("no-such"), page(PRODUCT));
    }
}

/// What one customer is not to know of is left out of tables, and somebody who wonders is told so.
#[test]
fn what_is_hidden_from_a_customer_is_listed_for_the_vendor_who_asks() {
    let scene = Served::new();
    let server = &scene.server;
    server.publish("1.0.1", "bugfix", &["--audience", "beta"]);
    let machine = scene.own.0.machine.as_str();
    for (command, hidden) in [
        (&["contract", "explain", "acme", "--product", PRODUCT][..], 1),
        (&["machine", "explain", machine], 1),
        (&["contract", "decisions"], 2),
    ] {
        let run =
            |more: &[&str]| server.mainstay(&[&["--json"], command, more].concat()).succeeds();
        let codes = |ran: &Ran| -> Vec<String> {
            let list = ran.json();
            let codes = list.as_array().unwrap().iter().map(|row| row["code"].to_string());
            codes.filter(|code| code.contains("NOT_FOUND")).collect()
        };
        let (plain, all) = (run(&[]), run(&["--with-hidden"]));
        assert_eq!((codes(&plain).len(), codes(&all).len()), (0, hidden), "{command:?}");
        assert!(plain.stderr().starts_with(&format!("{hidden} decision")), "{}", plain.stderr());
        assert!(plain.stderr().contains("--with-hidden lists them"), "{}", plain.stderr());
        assert_eq!(all.stderr(), "");
        let table = server.mainstay(&[command, &["--csv"]].concat()).succeeds().stdout();
        assert!(!table.contains("NOT_FOUND"), "{table}");
    }
}

/// As many contracts as fill several pages: none is left out and none comes twice.
#[test]
fn many_contracts_come_in_pages() {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    server.publish("1.0.1", "bugfix", &[]);
    let contract = |number: usize| {
        json!({ "name": format!("c-{number}"), "customer": format!("customer-{}", number % 7),
            "contract": { "products": [PRODUCT, "not-here"], "channels": ["bugfix", "major"],
                "terms": [{ "start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z" }],
                "base_line": "1.0" } })
    };
    let contracts: Vec<_> = (0..1201).map(contract).collect();
    server.post("/v1/contracts/import", &json!({ "contracts": contracts })).has_status(200);

    let first: Value = server.get("/v1/decisions").has_status(200).json();
    assert_eq!(first["decisions"].as_array().unwrap().len(), 1000);
    assert!(first["next"].is_string(), "{}", first["next"]);
    // A page is of so many contracts at most, and one after the last is not offered.
    let page = |query: &str| server.get(&format!("/v1/decisions{query}")).has_status(200).json();
    let early: Value = page("?at=2001-01-01T00:00:00Z");
    assert_eq!((&early["decisions"], &early["next"]), (&json!([]), &json!("c-817")));
    let end: Value = page("?after=c-548");
    assert_eq!(end["decisions"].as_array().unwrap().len(), 1000);
    assert_eq!(end["next"], Value::Null);
    let list = as_role(&server, "viewer", &["--json", "contract", "decisions"]).succeeds().json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2402);
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let told: BTreeSet<_> =
        list.iter().map(|row| (text(row, "contract"), text(row, "version"))).collect();
    assert_eq!(told.len(), 2402);
    let table = server.mainstay(&["contract", "decisions", "--csv"]).succeeds().stdout();
    assert_eq!(rows(&table).len(), 2402);
    assert_eq!(table.lines().filter(|line| line.starts_with("contract,customer")).count(), 1);
    let of_one = ["--json", "contract", "decisions", "--customer", "customer-3"];
    let of_one = server.mainstay(&of_one).succeeds().json();
    assert_eq!(of_one.as_array().unwrap().len(), 2 * (0..1201).filter(|it| it % 7 == 3).count());
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let scene = Served::new();
    for (before, after) in [(&["--json"][..], &[][..]), (&[], &["--csv"])] {
        let arguments = [before, &["contract", "decisions"], after].concat();
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        Ran::run(scene.server.command(&arguments).stdout(full)).exits(1);
    }
}
