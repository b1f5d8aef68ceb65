//! How many machines run what, and which they are.

use serde_json::{Value, json};

use crate::{
    harness::{PRODUCT, Server, platform},
    organisation::Served,
};

/// The rows of the census: version, customer, installed, confirmed, and whether the version is known.
fn census(server: &Server, token: &str, query: &str) -> Vec<Value> {
    let answer = server.request("GET", &format!("/v1/census{query}"), token, b"").has_status(200);
    let census: Value = answer.json();
    assert_eq!(census["next"], Value::Null);
    let rows = census["rows"].as_array().unwrap().iter();
    rows.map(|row| {
        assert_eq!((&row["product"], &row["platform"]), (&PRODUCT.into(), &platform().into()));
        assert_eq!(row["silent"], 0, "they have just been heard of");
        let members = ["version", "customer", "installed", "confirmed", "known"];
        members.iter().map(|member| row[member].clone()).collect()
    })
    .collect()
}

#[test]
fn the_census_follows_what_machines_report() {
    let scene = Served::new();
    let (server, own, other) = (&scene.server, &scene.own, &scene.other);
    let [admin, helper] = [server.admin_token(), scene.token("support")];
    let none = Value::Null;
    let expected = [json!([none, "acme", 1, 0, none]), json!([none, "globex", 1, 0, none])];
    assert_eq!(census(server, &admin, ""), expected);

    own.check(server);
    own.report(server, "1.0.0", &json!([])).has_status(204);
    // What a machine says is believed, whether or not there ever was such a version.
    other.report(server, "7.7.7", &json!([])).has_status(204);
    let installed = [json!(["1.0.0", "acme", 1, 0, true]), json!(["7.7.7", "globex", 1, 0, false])];
    assert_eq!(census(server, &admin, ""), installed);

    let confirmed = json!([{ "number": 1, "kind": "confirmed", "to": "1.0.0" }]);
    own.report(server, "1.0.0", &confirmed).has_status(204);
    let expected = [json!(["1.0.0", "acme", 1, 1, true]), installed[1].clone()];
    assert_eq!(census(server, &admin, ""), expected);
    let filters = [
        ("?product=acme-db", 0..2),
        ("?customer=globex", 1..2),
        ("?version=1.0.0", 0..1),
        ("?version=1.0.0&customer=globex", 0..0),
        ("?platform=plan9-mips", 0..0),
    ];
    for (query, rows) in filters {
        assert_eq!(census(server, &admin, query), expected[rows], "{query}");
    }
    let together = [json!(["1.0.0", none, 1, 1, true]), json!(["7.7.7", none, 1, 0, false])];
    assert_eq!(census(server, &admin, "?customers=together"), together);

    // An organisation's people are told of whom they serve, and not what others have.
    let theirs = [json!(["1.0.0", "acme", 1, 1, none])];
    assert_eq!(census(server, &helper, ""), theirs);
    let theirs = [json!(["1.0.0", none, 1, 1, none])];
    assert_eq!(census(server, &helper, "?customers=together"), theirs);
    assert_eq!(census(server, &helper, "?version=7.7.7"), [none; 0]);
    let outside = |path: &str| server.request("GET", path, &helper, b"").refuses(404, "NOT_FOUND");
    let customer = outside("/v1/census?customer=globex");
    assert_eq!(customer.detail, outside("/v1/machines?customer=globex").detail);
    server.get("/v1/census?product=other-db").refuses(404, "NOT_FOUND");
    server.get("/v1/census?after=nowhere").refuses(400, "INVALID_REQUEST");

    let told = server.mainstay(&["census"]).succeeds().stdout();
    assert!(told.contains("7.7.7 (unknown)"), "{told}");
    assert!(told.contains("2 machine(s), of which 1 have confirmed"), "{told}");
    let told = server.mainstay(&["--json", "census", "--together", "--version", "7.7.7"]);
    assert_eq!(told.succeeds().json()["rows"][0]["installed"], 1);

    let retire = ["machine", "retire", other.0.machine.as_str(), "--reason", "scrapped"];
    server.mainstay(&retire).succeeds();
    assert_eq!(census(server, &admin, ""), expected[..1]);
}

/// The names of the machines of a listing, over all its pages.
fn listed(server: &Server, query: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let page: Value =
            server.get(&format!("/v1/machines?{query}{after}")).has_status(200).json();
        let machines = page["machines"].as_array().unwrap().iter();
        names.extend(machines.map(|machine| machine["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { return names };
        after = format!("&after={next}");
    }
}

#[test]
fn machines_are_listed_by_what_they_run_a_page_at_a_time() {
    let scene = Served::new();
    let server = &scene.server;
    let key = server.mainstay(&["contract", "activation-key", "acme"]).succeeds().stdout();
    let more = server.enroll(key.trim());
    let machines = [&scene.own, &scene.other, &more];
    let [own, other, more] = machines.map(|machine| machine.0.machine.to_string());
    for (machine, running) in machines.into_iter().zip(["1.0.0", "1.0.10", "1.0.9"]) {
        machine.report(server, running, &json!([])).has_status(204);
    }
    let in_order = [own.as_str(), more.as_str(), other.as_str()];
    for limit in ["", "limit=1", "limit=2&product=acme-db"] {
        assert_eq!(listed(server, limit), in_order, "{limit}");
    }
    assert_eq!(listed(server, "version=1.0.9"), [more.as_str()]);
    assert_eq!(listed(server, "customer=acme&limit=1"), in_order[..2]);
    assert_eq!(listed(server, "platform=plan9-mips"), [""; 0]);
    let ring = ["machine", "ring", &more, "early", "--reason", "it is a test machine", "--yes"];
    server.mainstay(&ring).succeeds();
    assert_eq!(listed(server, "ring=early"), [more.as_str()]);
    assert_eq!(listed(server, "ring=general&limit=1"), [own.as_str(), other.as_str()]);
    assert_eq!(listed(server, "ring=early&customer=globex"), [""; 0]);
    assert_eq!(listed(server, "silent=0m"), in_order, "at the very instant they are silent");
    for silent in ["1h", "14d", "configured"] {
        assert_eq!(listed(server, &format!("silent={silent}")), [""; 0], "{silent}");
    }
    assert_eq!(listed(server, "retired=true"), [""; 0]);
    for query in
        ["silent=soon", "silent=1d&retired=true", "limit=0", "limit=1001", "after=x", "ring=x"]
    {
        server.get(&format!("/v1/machines?{query}")).refuses(400, "INVALID_REQUEST");
    }

    let retire = ["machine", "retire", &more, "--reason", "scrapped"];
    server.mainstay(&retire).succeeds();
    assert_eq!(listed(server, ""), [own.as_str(), other.as_str()]);
    assert_eq!(listed(server, "retired=true&customer=acme&version=1.0.9"), [more.as_str()]);
    assert_eq!(listed(server, "retired=true&customer=globex"), [""; 0]);

    let list = |more: &[&str]| server.mainstay(&[&["machine", "list"], more].concat()).succeeds();
    let first = list(&["--limit", "1"]);
    assert!(first.stdout().contains(&own) && !first.stdout().contains(&other));
    let stderr = first.stderr();
    let after = stderr.trim().strip_prefix("There are more: --after ").unwrap();
    let rest = list(&["--after", after]);
    assert!(rest.stdout().contains(&other) && !rest.stdout().contains(&own));
    assert_eq!(rest.stderr(), "");
    assert!(list(&["--retired"]).stdout().contains(&more));
    assert!(!list(&["--ring", "early"]).stdout().contains(&own));
    assert!(!list(&["--silent"]).stdout().contains(&own));
    assert!(list(&["--silent", "0m", "--customer", "globex"]).stdout().contains(&other));
    server.mainstay(&["machine", "list", "--silent", "soon"]).exits(2);
}
