//! Organisations that support customers: what their people see, and that there is nothing else.

use serde_json::{Value, json};

use crate::{
    by_hand::BareMachine,
    harness::{PRODUCT, Server},
    http::Answer,
    publish::opened,
};

/// The organisation in these tests.
pub(crate) const ORGANISATION: &str = "helpers";

/// Two customers, acme and globex, each with a machine; an organisation serves acme.
pub(crate) struct Served {
    pub(crate) server: Server,
    pub(crate) own: BareMachine,
    pub(crate) other: BareMachine,
}

impl Served {
    pub(crate) fn new() -> Self {
        let server = opened();
        let [own, other] = ["acme", "globex"].map(|customer| {
            let key = server.customer(
                customer,
                "premium",
                "2020-01-01T00:00:00Z",
                "2099-01-01T00:00:00Z",
            );
            server.enroll(&key)
        });
        let create = ["organisation", "create", "--organisation", ORGANISATION];
        server.mainstay(&[&create[..], &["--title", "Helping Hands"]].concat()).succeeds();
        let scene = Self { server, own, other };
        scene.serve(&[]);
        scene
    }

    fn serve(&self, more: &[&str]) {
        let serve = ["organisation", "serve", "--organisation", ORGANISATION, "--customer", "acme"];
        self.server.mainstay(&[&serve[..], more].concat()).succeeds();
    }

    /// A token of the organisation.
    pub(crate) fn token(&self, role: &str) -> String {
        let create = ["token", "create", "--role", role, "--organisation", ORGANISATION];
        let ran = self.server.mainstay(&[&create[..], &["--label", "a technician"]].concat());
        ran.succeeds().stdout().trim().to_owned()
    }
}

/// What a technician asks about one machine, and the contract and customer that it belongs to.
fn questions(machine: &str, name: &str) -> Vec<(&'static str, String, Value)> {
    let explain = json!({ "product": PRODUCT });
    let rollback = json!({ "to": "1.0.0", "reason": "bad" });
    vec![
        ("GET", format!("/v1/customers/{name}"), Value::Null),
        ("GET", format!("/v1/contracts/{name}"), Value::Null),
        ("POST", format!("/v1/contracts/{name}/explain"), explain),
        ("GET", format!("/v1/machines/{machine}"), Value::Null),
        ("GET", format!("/v1/machines/{machine}/explain"), Value::Null),
        ("POST", format!("/v1/machines/{machine}/rollback"), rollback),
    ]
}

fn ask(server: &Server, token: &str, question: &(&str, String, Value)) -> Answer {
    let (method, path, body) = question;
    server.request(method, path, token, &serde_json::to_vec(body).unwrap())
}

#[test]
fn another_customers_machine_is_told_as_one_that_is_not_there() {
    let scene = Served::new();
    let (server, token) = (&scene.server, scene.token("support"));
    let other = scene.other.0.machine.as_str();
    let nobody = "m-000000000000";
    assert_eq!(nobody.len(), other.len());
    let outside = questions(other, "globex");
    for (outside, absent) in outside.iter().zip(&questions(nobody, "nobody")) {
        let outside_answer = ask(server, &token, outside).has_status(404);
        let absent_answer = ask(server, &token, absent).has_status(404);
        let text = |answer: &Answer| String::from_utf8(answer.body.clone()).unwrap();
        let expected = text(&absent_answer).replace(nobody, other).replace("nobody", "globex");
        assert_eq!(text(&outside_answer), expected, "{}", outside.1);
        outside_answer.refuses(404, "NOT_FOUND");
    }
    // A vendor's own technician is told of it all.
    let vendor = server.token("support");
    for question in &outside[..5] {
        ask(server, &vendor, question).has_status(200);
    }
}

#[test]
fn an_organisation_sees_the_customers_that_it_serves_and_no_longer_than_that() {
    let scene = Served::new();
    let (server, token) = (&scene.server, scene.token("support"));
    let own = questions(scene.own.0.machine.as_str(), "acme");
    let lists = [
        ("/v1/machines", 1),
        ("/v1/machines?retired=true", 0),
        ("/v1/contracts", 1),
        ("/v1/customers", 1),
    ];
    let listed = |path: &str| -> usize {
        let answer = server.request("GET", path, &token, b"").has_status(200);
        assert!(!String::from_utf8_lossy(&answer.body).contains("globex"), "{path}");
        let listed: Value = answer.json();
        listed.get("machines").unwrap_or(&listed).as_array().unwrap().len()
    };
    for question in &own[..5] {
        let answer = ask(server, &token, question).has_status(200);
        assert!(!String::from_utf8_lossy(&answer.body).contains("globex"), "{}", question.1);
    }
    ask(server, &token, &own[5]).refuses(409, "ROLLBACK_IMPOSSIBLE");
    for (path, count) in lists {
        assert_eq!(listed(path), count, "{path}");
    }

    scene.serve(&["--end"]);
    for question in &own {
        ask(server, &token, question).refuses(404, "NOT_FOUND");
    }
    for (path, _) in lists {
        assert_eq!(listed(path), 0, "{path}");
    }
    scene.serve(&[]);
    assert_eq!(listed("/v1/machines"), 1);
}

#[test]
fn an_organisations_technician_orders_a_rollback_of_a_machine_that_it_serves() {
    let scene = Served::new();
    let server = &scene.server;
    server.publish("1.0.1", "bugfix", &[]);
    let check = json!({
        "product": PRODUCT,
        "platform": crate::harness::platform(),
        "running": "1.0.1",
        "known": { "root": 1 },
        "agent": "by hand",
    });
    let body = serde_json::to_vec(&check).unwrap();
    server.request("POST", "/v1/check", &scene.own.0.token, &body).has_status(200);
    let own = questions(scene.own.0.machine.as_str(), "acme");
    ask(server, &scene.token("viewer"), &own[5]).refuses(403, "ROLE_NOT_ALLOWED");
    ask(server, &scene.token("support"), &own[5]).has_status(201);
}

#[test]
fn what_could_be_agreed_and_what_is_not_covered_stay_the_vendors() {
    let scene = Served::new();
    let (server, token) = (&scene.server, scene.token("support"));
    let explain = |product: &str, with: &Value| {
        let question = json!({ "product": product, "with": with });
        ask(server, &token, &("POST", "/v1/contracts/acme/explain".to_owned(), question))
    };
    let change = json!({ "kind": "add_audience", "audience": "globex" });
    explain(PRODUCT, &change).refuses(403, "VENDOR_ONLY");
    let absent = explain("other-db", &Value::Null).refuses(404, "NOT_FOUND");
    server.mainstay(&["product", "create", "--product", "other-db"]).succeeds();
    assert_eq!(explain("other-db", &Value::Null).refuses(404, "NOT_FOUND"), absent);
}

#[test]
fn an_organisation_has_technicians_and_lookers_on_only() {
    let scene = Served::new();
    for role in ["admin", "publisher", "account"] {
        let request = json!({ "role": role, "label": "x", "organisation": ORGANISATION });
        let problem = scene.server.post("/v1/tokens", &request).refuses(400, "INVALID_REQUEST");
        assert!(problem.detail.contains("expected support or viewer"), "{}", problem.detail);
    }
    let request = json!({ "role": "support", "label": "x", "organisation": "nobody" });
    scene.server.post("/v1/tokens", &request).refuses(404, "NOT_FOUND");
}

#[test]
fn whom_an_organisation_serves_is_said_without_mistakes() {
    let scene = Served::new();
    let server = &scene.server;
    let serve = ["organisation", "serve", "--organisation", ORGANISATION, "--customer"];
    let before = server.get("/v1/audit").json::<Vec<Value>>().len();
    server.mainstay(&[&serve[..], &["acme"]].concat()).succeeds();
    let problem = [&["--json"], &serve[..], &["globex", "--end"]].concat();
    let problem = server.mainstay(&problem).exits(3).json();
    assert!(problem["message"].as_str().unwrap().contains("does not serve"), "{problem}");
    server.mainstay(&[&serve[..], &["nobody"]].concat()).exits(3);
    assert_eq!(server.get("/v1/audit").json::<Vec<Value>>().len(), before);

    let shown = server.mainstay(&["organisation", "show", ORGANISATION]).succeeds().stdout();
    assert!(shown.contains("Helping Hands") && shown.contains("acme"), "{shown}");
    let listed = server.mainstay(&["--json", "organisation", "list"]).succeeds().json();
    assert_eq!(listed[0]["customers"], json!(["acme"]));
}
