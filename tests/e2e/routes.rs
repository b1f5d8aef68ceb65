//! Every route of the server, and every kind of bearer.

use std::collections::BTreeSet;

use mainstay::{
    api::{Route, routes},
    service::access::IssuedToken,
};
use mainstay_client::format::Digest;
use serde_json::{Value, json};

use crate::{
    harness::{PRODUCT, Server, eventually},
    http::Answer,
    organisation::{ORGANISATION, Served},
};

/// Who may use which route: `-` is anybody. An administrator may use every one that is for any of
/// the staff; `helper` and `onlooker` are the support and viewer roles of an organisation.
const MATRIX: &[(&str, &str)] = &[
    ("GET /healthz", "-"),
    ("GET /readyz", "-"),
    ("GET /v1/openapi.json", "-"),
    ("POST /v1/enroll", "-"),
    ("POST /v1/check", "machine"),
    ("POST /v1/report", "machine"),
    ("PUT /v1/collections/{order}", "machine"),
    ("POST /v1/collections/{order}/refusal", "machine"),
    ("GET /v1/machines/{machine}/bundles", "support helper admin"),
    ("GET /v1/machines/{machine}/bundles/{order}", "support helper admin"),
    ("GET /repo/{product}/{path:.*}", "machine publisher support admin"),
    ("HEAD /repo/{product}/{path:.*}", "machine publisher support admin"),
    ("GET /v1/server-keys", "publisher admin"),
    ("GET /v1/status", "publisher account support viewer admin"),
    ("GET /metrics", "publisher account support viewer admin"),
    ("GET /v1/products", "publisher account support viewer admin"),
    ("POST /v1/products", "publisher admin"),
    ("GET /v1/products/{product}/publishing", "publisher admin"),
    ("POST /v1/products/{product}/metadata", "publisher admin"),
    ("GET /v1/products/{product}/deltas", "publisher account support viewer admin"),
    ("GET /v1/products/{product}/lines", "publisher account support viewer admin"),
    ("GET /v1/products/{product}/releases", "publisher account support viewer admin"),
    ("POST /v1/products/{product}/releases", "publisher admin"),
    ("POST /v1/products/{product}/retirements", "publisher admin"),
    ("GET /v1/products/{product}/channels", "publisher account support viewer admin"),
    ("POST /v1/products/{product}/channels", "publisher admin"),
    ("POST /v1/products/{product}/channels/{channel}/end", "publisher admin"),
    ("GET /v1/products/{product}/rollouts", "publisher account support viewer admin"),
    ("GET /v1/products/{product}/rollouts/{version}", "publisher account support viewer admin"),
    (
        "POST /v1/products/{product}/rollouts/{version}/plan",
        "publisher account support viewer admin",
    ),
    ("POST /v1/products/{product}/rollouts/{version}/actions", "publisher support admin"),
    ("POST /v1/products/{product}/rollouts/{version}/actions/preview", "publisher support admin"),
    ("POST /v1/products/{product}/stop", "publisher support admin"),
    ("POST /v1/products/{product}/unstop", "publisher support admin"),
    ("GET /v1/uploads/{digest}", "publisher admin"),
    ("PATCH /v1/uploads/{digest}", "publisher admin"),
    ("GET /v1/customers", "account support viewer helper onlooker admin"),
    ("POST /v1/customers", "account admin"),
    ("GET /v1/customers/{customer}", "account support viewer helper onlooker admin"),
    ("POST /v1/customers/{customer}/tags", "account admin"),
    ("GET /v1/products/{product}/safeguards", "publisher account support viewer admin"),
    ("POST /v1/products/{product}/safeguards", "publisher support admin"),
    ("POST /v1/products/{product}/safeguards/preview", "publisher support admin"),
    ("POST /v1/products/{product}/safeguards/{number}/lift", "publisher support admin"),
    ("GET /v1/tiers", "account support viewer admin"),
    ("GET /v1/contracts", "account support viewer helper onlooker admin"),
    ("POST /v1/contracts", "account admin"),
    ("POST /v1/contracts/import", "account admin"),
    ("GET /v1/contracts/{contract}", "account support viewer helper onlooker admin"),
    ("GET /v1/contracts/{contract}/seats", "account support viewer helper onlooker admin"),
    ("POST /v1/contracts/{contract}/amendments", "account admin"),
    ("POST /v1/contracts/{contract}/explain", "account support viewer helper onlooker admin"),
    ("POST /v1/contracts/{contract}/activation-keys", "account admin"),
    ("GET /v1/organisations", "account support viewer admin"),
    ("POST /v1/organisations", "account admin"),
    ("GET /v1/organisations/{organisation}", "account support viewer admin"),
    ("PUT /v1/organisations/{organisation}/customers/{customer}", "account admin"),
    ("DELETE /v1/organisations/{organisation}/customers/{customer}", "account admin"),
    ("GET /v1/decisions", "account support viewer helper onlooker admin"),
    ("GET /v1/tokens", "admin"),
    ("POST /v1/tokens", "admin"),
    ("DELETE /v1/tokens/{id}", "admin"),
    ("GET /v1/census", "account support viewer helper onlooker admin"),
    ("GET /v1/exposure", "publisher account support viewer helper onlooker admin"),
    ("GET /v1/exposure/breaches", "publisher account support viewer helper onlooker admin"),
    ("GET /v1/exposure/components", "publisher account support viewer helper onlooker admin"),
    ("GET /v1/products/{product}/advisories", "publisher account support viewer admin"),
    ("GET /v1/products/{product}/advisories/{advisory}", "publisher account support viewer admin"),
    ("PUT /v1/products/{product}/advisories/{advisory}", "publisher admin"),
    (
        "GET /v1/products/{product}/advisories/{advisory}/csaf",
        "publisher account support viewer admin",
    ),
    (
        "GET /v1/products/{product}/releases/{version}/sbom",
        "publisher account support viewer admin",
    ),
    ("POST /v1/products/{product}/releases/{version}/sbom", "publisher admin"),
    (
        "GET /v1/products/{product}/releases/{version}/sbom/document",
        "publisher account support viewer admin",
    ),
    ("GET /v1/exposure/patching", "publisher account support viewer helper onlooker admin"),
    ("GET /v1/machines", "account support viewer helper onlooker admin"),
    ("GET /v1/machines/{machine}", "account support viewer helper onlooker admin"),
    ("GET /v1/machines/{machine}/explain", "account support viewer helper onlooker admin"),
    ("GET /v1/machines/{machine}/path", "account support viewer helper onlooker admin"),
    ("GET /v1/actions", "account support viewer helper onlooker admin"),
    ("POST /v1/actions", "support helper admin"),
    ("POST /v1/actions/preview", "support helper admin"),
    ("GET /v1/actions/{action}", "account support viewer helper onlooker admin"),
    ("POST /v1/actions/{action}/approve", "support helper admin"),
    ("POST /v1/actions/{action}/cancel", "support helper admin"),
    ("POST /v1/machines/{machine}/actions", "support helper admin"),
    ("POST /v1/machines/{machine}/actions/preview", "support helper admin"),
    ("POST /v1/machines/{machine}/rollback", "support helper admin"),
    ("POST /v1/machines/{machine}/retire", "account support helper admin"),
    ("GET /v1/webhooks", "account support viewer admin"),
    ("POST /v1/webhooks", "admin"),
    ("GET /v1/webhooks/{webhook}", "account support viewer admin"),
    ("DELETE /v1/webhooks/{webhook}", "admin"),
    ("POST /v1/webhooks/{webhook}/disable", "admin"),
    ("POST /v1/webhooks/{webhook}/enable", "admin"),
    ("POST /v1/webhooks/{webhook}/rotate", "admin"),
    ("GET /v1/deliveries", "account support viewer admin"),
    ("POST /v1/deliveries/{delivery}/replay", "support admin"),
    ("GET /v1/audit", "support viewer admin"),
    ("GET /v1/audit/head", "support viewer admin"),
];

/// The name of a private channel.
const CHANNEL: &str = "abcdefghijklmnopqrstuvwxyz";

fn name(route: &Route) -> String {
    format!("{} {}", route.method, route.path)
}

/// Those who bear a token: what they are in [`MATRIX`], and the token.
fn bearers(scene: &Served) -> Vec<(&'static str, String)> {
    let server = &scene.server;
    let expired = server.expiring_token("admin").token;
    let revoked = json!({ "role": "admin", "label": "revoked" });
    let revoked: IssuedToken = server.post("/v1/tokens", &revoked).has_status(201).json();
    server.mainstay(&["token", "revoke", &revoked.id]).succeeds();
    eventually("the expiry", || {
        let answer = server.request("GET", "/v1/products", &expired, b"");
        (answer.status == 401).then_some(())
    });
    let mut bearers = vec![
        ("nobody", String::new()),
        ("garbage", "garbage".to_owned()),
        ("garbage", format!("mst_{}", "0".repeat(64))),
        ("garbage", format!("mmt_{}", "0".repeat(64))),
        ("garbage", format!("{} ", server.admin_token().replace("mst_", "mmt_"))),
        ("expired", expired),
        ("revoked", revoked.token),
        ("admin", server.admin_token()),
        ("machine", scene.own.0.token.clone()),
        ("machine", scene.other.0.token.clone()),
        ("helper", scene.token("support")),
        ("onlooker", scene.token("viewer")),
    ];
    for role in ["publisher", "account", "support", "viewer"] {
        bearers.push((role, server.token(role)));
    }
    bearers
}

/// A request at a route, about what is acme's, that changes nothing that matters here.
fn request(scene: &Served, route: &Route, token: &str) -> Answer {
    let digest = Digest::of(b"").to_string();
    // Who may end what the organisation does for acme must not do so in the middle of the test.
    let customer = if route.method == "DELETE" { "nobody" } else { "acme" };
    let mut path = route.path.to_owned();
    for (part, value) in [
        ("{product}", PRODUCT),
        ("{path:.*}", "timestamp.json"),
        ("{channel}", CHANNEL),
        ("{number}", "1"),
        ("{advisory}", "CVE-2026-1"),
        ("{order}", "1"),
        ("{version}", "1.0.0"),
        ("{digest}", &digest),
        ("{customer}", customer),
        ("{contract}", "acme"),
        ("{organisation}", ORGANISATION),
        ("{machine}", scene.own.0.machine.as_str()),
        ("{id}", "tok-00000000"),
        ("{action}", "act-000000000000"),
        ("{webhook}", "hook-00000000"),
        ("{delivery}", "4711"),
    ] {
        path = path.replace(part, value);
    }
    assert!(!path.contains('{'), "{path}: a part that the matrix does not know");
    if route.method == "PATCH" {
        path += "?offset=0&length=0";
    }
    if ["/v1/exposure", "/v1/exposure/patching"].contains(&route.path) {
        path += "?advisory=CVE-2026-1";
    }
    if route.path == "/v1/exposure/components" {
        path += "?component=openssl";
    }
    let is_explain = route.method == "POST" && route.path.ends_with("/explain");
    let body = if is_explain { json!({ "product": PRODUCT }) } else { json!({}) };
    let body = if route.method == "POST" { body.to_string() } else { String::new() };
    let bearer = format!("Bearer {token}");
    let headers = if token.is_empty() { vec![] } else { vec![("Authorization", bearer.as_str())] };
    scene.server.request_with(route.method.as_str(), &path, &headers, body.as_bytes())
}

#[test]
fn every_route_is_for_whom_it_is_for_and_for_nobody_else() {
    let scene = Served::new();
    let registered: BTreeSet<_> = routes().map(name).collect();
    let listed: BTreeSet<_> = MATRIX.iter().map(|(route, _)| (*route).to_owned()).collect();
    assert_eq!(registered, listed, "the matrix has every route and no other");

    let bearers = bearers(&scene);
    let other = scene.other.0.machine.as_str();
    for route in routes() {
        let name = name(route);
        let (_, who) = MATRIX.iter().find(|(listed, _)| *listed == name).unwrap();
        for (bearer, token) in &bearers {
            let answer = request(&scene, route, token);
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            let told = format!("{name} by {bearer}: {} {body}", answer.status);
            let may = *who == "-" || who.split(' ').any(|may| may == *bearer);
            if may {
                assert!(![401, 403].contains(&answer.status) && answer.status < 500, "{told}");
                assert!(route.method != "GET" || [200, 404].contains(&answer.status), "{told}");
            } else {
                let is_known = !["nobody", "garbage", "expired", "revoked"].contains(bearer);
                assert_eq!(answer.status, if is_known { 403 } else { 401 }, "{told}");
                for secret in ["acme", "globex", other, token.as_str()] {
                    assert!(secret.is_empty() || !body.contains(secret), "{told}");
                }
            }
            if ["helper", "onlooker"].contains(bearer) {
                assert!(!body.contains("globex") && !body.contains(other), "{told}");
            }
        }
    }
}

/// Whoever is turned away is in the audit trail: as whom their token was made for, where it is known,
/// even if it is not accepted any more; and once, however often they try.
#[test]
fn whoever_is_turned_away_is_written_down_once_in_a_while() {
    let scene = Served::new();
    let route = routes().find(|route| name(route) == "POST /v1/tokens").unwrap();
    let bearers = bearers(&scene);
    let denied = || -> Vec<Value> {
        let trail: Vec<Value> = scene.server.get("/v1/audit").has_status(200).json();
        trail.into_iter().filter(|record| record["action"] == "denied").collect()
    };
    let before = denied().len();
    let mut expected = BTreeSet::new();
    for (bearer, token) in bearers.iter().filter(|(bearer, _)| *bearer != "admin") {
        let answers = [0; 3].map(|_| request(&scene, route, token));
        let problem: Value = answers[2].json();
        let actor = match *bearer {
            "nobody" | "garbage" => "nobody".to_owned(),
            "machine" => {
                let machines = [&scene.own.0, &scene.other.0];
                let machine = machines.into_iter().find(|machine| machine.token == *token).unwrap();
                format!("machine {}", machine.machine)
            }
            _ => {
                let tokens: Vec<Value> = scene.server.get("/v1/tokens").has_status(200).json();
                let digest = Digest::of(token.as_bytes()).to_string();
                let known = tokens.iter().find(|known| known["sha256"] == digest).unwrap();
                let [id, label] = ["id", "label"].map(|part| known[part].as_str().unwrap());
                format!("{id} ({label})")
            }
        };
        expected.insert((actor, problem["code"].as_str().unwrap().to_owned()));
    }
    let denied = denied().split_off(before);
    let found: Vec<_> = denied
        .iter()
        .map(|record| {
            let [actor, detail] = ["actor", "detail"].map(|part| record[part].as_str().unwrap());
            assert_eq!(record["subject"], "POST /v1/tokens");
            assert_eq!(record["address"], "127.0.0.1");
            (actor.to_owned(), detail.split(':').next().unwrap().to_owned())
        })
        .collect();
    assert_eq!(found.len(), expected.len(), "each once: {found:?}");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    let codes: BTreeSet<_> = expected.iter().map(|(_, code)| code.as_str()).collect();
    let all = ["ROLE_NOT_ALLOWED", "STAFF_ONLY", "TOKEN_EXPIRED", "UNAUTHENTICATED"];
    assert_eq!(codes, all.into());
}

/// A change by a route that changes something: which, by what action the audit trail tells of it,
/// and how it comes about.
struct Change {
    route: &'static str,
    action: &'static str,
    /// Whether there was something before.
    replaces: bool,
    make: fn(&Served),
}

/// Routes that neither look nor change anything that somebody answers for: questions, what machines
/// say of themselves, and bytes that nothing names yet.
const UNAUDITED: &[&str] = &[
    "POST /v1/check",
    "POST /v1/report",
    "PUT /v1/collections/{order}",
    "POST /v1/collections/{order}/refusal",
    "POST /v1/contracts/{contract}/explain",
    "POST /v1/machines/{machine}/actions/preview",
    "POST /v1/actions/preview",
    "POST /v1/products/{product}/safeguards/preview",
    "POST /v1/products/{product}/rollouts/{version}/plan",
    "POST /v1/products/{product}/rollouts/{version}/actions/preview",
    "PATCH /v1/uploads/{digest}",
];

const CHANGES: &[Change] = &[
    Change {
        route: "POST /v1/enroll",
        action: "machine.enroll",
        replaces: false,
        make: |scene| {
            let key = scene.server.mainstay(&["contract", "activation-key", "acme"]).succeeds();
            scene.server.enroll(key.stdout().trim());
        },
    },
    Change {
        route: "POST /v1/products",
        action: "product.create",
        replaces: false,
        make: |scene| run(scene, &["product", "create", "--product", "other-db"]),
    },
    Change {
        route: "POST /v1/products/{product}/metadata",
        action: "metadata.amend",
        replaces: true,
        make: |scene| {
            run(scene, &["trust", "renew", "--product", PRODUCT, "--within", "90"]);
        },
    },
    Change {
        route: "POST /v1/products/{product}/releases",
        action: "release.publish",
        replaces: false,
        make: |scene| scene.server.publish("1.0.1", "bugfix", &[]),
    },
    Change {
        route: "POST /v1/products/{product}/retirements",
        action: "release.retire",
        replaces: false,
        make: |scene| {
            scene.server.publish("1.0.2", "bugfix", &[]);
            run(scene, &["release", "retire", "--product", PRODUCT, "1.0.1"]);
        },
    },
    Change {
        route: "POST /v1/products/{product}/rollouts/{version}/actions",
        action: "rollout.pause",
        replaces: true,
        make: |scene| {
            scene.server.publish("1.0.4", "bugfix", &["--waves", "10%:1h"]);
            let pause = ["rollout", "pause", "--product", PRODUCT, "1.0.4"];
            run(scene, &[&pause[..], &["--reason", "it is bad", "--yes"]].concat());
        },
    },
    Change {
        route: "POST /v1/products/{product}/stop",
        action: "product.stop",
        replaces: true,
        make: |scene| {
            run(scene, &["rollout", "stop", PRODUCT, "--reason", "it is bad", "--yes"]);
        },
    },
    Change {
        route: "POST /v1/products/{product}/unstop",
        action: "product.unstop",
        replaces: true,
        make: |scene| {
            run(scene, &["rollout", "unstop", PRODUCT, "--reason", "it is well", "--yes"]);
        },
    },
    Change {
        route: "POST /v1/products/{product}/channels",
        action: "channel.create",
        replaces: false,
        make: |scene| {
            let request = json!({ "name": CHANNEL, "customer": "globex" });
            let path = format!("/v1/products/{PRODUCT}/channels");
            scene.server.post(&path, &request).has_status(201);
        },
    },
    Change {
        route: "POST /v1/products/{product}/channels/{channel}/end",
        action: "channel.end",
        replaces: true,
        make: |scene| run(scene, &["channel", "end", "--product", PRODUCT, CHANNEL]),
    },
    Change {
        route: "PUT /v1/products/{product}/advisories/{advisory}",
        action: "advisory.set",
        replaces: false,
        make: |scene| {
            let set = ["advisory", "set", "--product", PRODUCT, "CVE-2026-1", "--title", "A title"];
            run(scene, &set);
        },
    },
    Change {
        route: "POST /v1/products/{product}/releases/{version}/sbom",
        action: "sbom.attach",
        replaces: false,
        make: |scene| {
            let file = scene.server.path("sbom.json");
            let sbom = json!({
                "bomFormat": "CycloneDX",
                "specVersion": "1.5",
                "components": [{ "name": "openssl", "version": "3.0.1" }],
            });
            std::fs::write(&file, sbom.to_string()).unwrap();
            let attach = ["release", "sbom", "attach", "--product", PRODUCT, "1.0.0"];
            run(scene, &[&attach[..], &[file.to_str().unwrap()]].concat());
        },
    },
    Change {
        route: "POST /v1/products/{product}/safeguards",
        action: "safeguard.create",
        replaces: false,
        make: |scene| {
            let condition = ["--customer-tag", "bank", "--reason", "it crashes there", "--yes"];
            let command = ["safeguard", "create", "--product", PRODUCT, "1.0.0"];
            run(scene, &[&command[..], &condition].concat());
        },
    },
    Change {
        route: "POST /v1/products/{product}/safeguards/{number}/lift",
        action: "safeguard.lift",
        replaces: false,
        make: |scene| {
            let command = ["safeguard", "lift", "--product", PRODUCT, "1", "--reason", "mended"];
            run(scene, &command);
        },
    },
    Change {
        route: "POST /v1/customers/{customer}/tags",
        action: "customer.tag",
        replaces: true,
        make: |scene| run(scene, &["customer", "tag", "globex", "--add", "bank"]),
    },
    Change {
        route: "POST /v1/customers",
        action: "customer.create",
        replaces: false,
        make: |scene| run(scene, &["customer", "create", "--customer", "initech"]),
    },
    Change {
        route: "POST /v1/contracts",
        action: "contract.create",
        replaces: false,
        make: |scene| {
            let view: Value = scene.server.get("/v1/contracts/globex").has_status(200).json();
            let contract =
                json!({ "name": "globex-2", "customer": "globex", "contract": view["now"] });
            scene.server.post("/v1/contracts", &contract).has_status(201);
        },
    },
    Change {
        route: "POST /v1/contracts/import",
        action: "contract.amend",
        replaces: true,
        make: |scene| {
            let view: Value = scene.server.get("/v1/contracts/globex").has_status(200).json();
            let mut contract = view["now"].clone();
            contract["seats"] = 7.into();
            let row = json!({ "name": "globex", "customer": "globex", "contract": contract });
            let import = json!({ "contracts": [row] });
            scene.server.post("/v1/contracts/import", &import).has_status(200);
        },
    },
    Change {
        route: "POST /v1/contracts/{contract}/amendments",
        action: "contract.amend",
        replaces: true,
        make: |scene| {
            let change = r#"{"kind":"add_addon","addon":"replication"}"#;
            run(scene, &["contract", "amend", "acme", "--change", change]);
        },
    },
    Change {
        route: "POST /v1/contracts/{contract}/activation-keys",
        action: "activation_key.create",
        replaces: false,
        make: |scene| run(scene, &["contract", "activation-key", "acme"]),
    },
    Change {
        route: "POST /v1/organisations",
        action: "organisation.create",
        replaces: false,
        make: |scene| run(scene, &["organisation", "create", "--organisation", "in-house"]),
    },
    Change {
        route: "PUT /v1/organisations/{organisation}/customers/{customer}",
        action: "organisation.serve",
        replaces: true,
        make: |scene| serve(scene, &["--customer", "globex"]),
    },
    Change {
        route: "DELETE /v1/organisations/{organisation}/customers/{customer}",
        action: "organisation.serve",
        replaces: true,
        make: |scene| serve(scene, &["--customer", "acme", "--end"]),
    },
    Change {
        route: "POST /v1/tokens",
        action: "token.create",
        replaces: false,
        make: |scene| drop(scene.server.token("viewer")),
    },
    Change {
        route: "DELETE /v1/tokens/{id}",
        action: "token.revoke",
        replaces: true,
        make: |scene| {
            let request = json!({ "role": "viewer", "label": "leaked" });
            let issued: Value = scene.server.post("/v1/tokens", &request).json();
            run(scene, &["token", "revoke", issued["id"].as_str().unwrap()]);
        },
    },
    Change {
        route: "POST /v1/machines/{machine}/rollback",
        action: "machine.rollback",
        replaces: true,
        make: |scene| {
            scene.server.publish("1.0.3", "bugfix", &[]);
            let check = json!({
                "product": PRODUCT,
                "platform": crate::harness::platform(),
                "running": "1.0.3",
                "known": { "root": 1 },
                "agent": "by hand",
            });
            let body = check.to_string();
            let token = &scene.own.0.token;
            scene.server.request("POST", "/v1/check", token, body.as_bytes()).has_status(200);
            let rollback = ["machine", "rollback", scene.own.0.machine.as_str(), "--to", "1.0.0"];
            for reason in ["it is bad", "it still is"] {
                run(scene, &[&rollback[..], &["--reason", reason]].concat());
            }
        },
    },
    Change {
        route: "POST /v1/machines/{machine}/actions",
        action: "machine.pin",
        replaces: true,
        make: |scene| {
            let machine = scene.own.0.machine.as_str();
            run(scene, &["machine", "pin", machine, "1.0.0", "--reason", "it works", "--yes"]);
        },
    },
    Change {
        route: "POST /v1/actions",
        action: "action.order",
        replaces: false,
        make: |scene| drop(ordered(scene, &scene.server.admin_token())),
    },
    Change {
        route: "POST /v1/actions/{action}/approve",
        action: "action.approve",
        replaces: true,
        make: |scene| {
            let id = ordered(scene, &scene.server.token("support"));
            run(scene, &["action", "approve", &id, "--reason", "I have seen it", "--yes"]);
        },
    },
    Change {
        route: "POST /v1/actions/{action}/cancel",
        action: "action.cancel",
        replaces: true,
        make: |scene| {
            let id = ordered(scene, &scene.server.admin_token());
            run(scene, &["action", "cancel", &id, "--reason", "it was the network", "--yes"]);
        },
    },
    Change {
        route: "POST /v1/machines/{machine}/retire",
        action: "machine.retire",
        replaces: false,
        make: |scene| {
            let machine = scene.own.0.machine.as_str();
            run(scene, &["machine", "retire", machine, "--reason", "scrapped"]);
        },
    },
    Change {
        route: "POST /v1/webhooks",
        action: "webhook.create",
        replaces: false,
        make: |scene| {
            // Nobody listens there.
            run(scene, &["webhook", "create", "--url", "http://127.0.0.1:1/", "--label", "test"]);
        },
    },
    Change {
        route: "POST /v1/webhooks/{webhook}/disable",
        action: "webhook.disable",
        replaces: true,
        make: |scene| webhook(scene, "disable", &["--reason", "moved"]),
    },
    Change {
        route: "POST /v1/webhooks/{webhook}/enable",
        action: "webhook.enable",
        replaces: true,
        make: |scene| webhook(scene, "enable", &[]),
    },
    Change {
        route: "POST /v1/webhooks/{webhook}/rotate",
        action: "webhook.rotate",
        replaces: true,
        make: |scene| webhook(scene, "rotate", &[]),
    },
    Change {
        route: "POST /v1/deliveries/{delivery}/replay",
        action: "webhook.replay",
        replaces: true,
        make: |scene| {
            let event = json!({ "number": 1, "kind": "refused", "to": "1.0.3" });
            let report = json!({ "product": PRODUCT, "events": [event] }).to_string();
            let token = &scene.other.0.token;
            let answer = scene.server.request("POST", "/v1/report", token, report.as_bytes());
            answer.has_status(204);
            let delivery = eventually("a delivery", || {
                let found: Vec<Value> = scene.server.get("/v1/deliveries").json();
                found.first().map(|found| found["number"].to_string())
            });
            // A try that ends at the same moment has it asked again.
            eventually("the replay", || {
                let ran = scene.server.mainstay(&["webhook", "replay", &delivery]);
                (ran.code() == 0).then_some(())
            });
        },
    },
    Change {
        route: "DELETE /v1/webhooks/{webhook}",
        action: "webhook.delete",
        replaces: true,
        make: |scene| webhook(scene, "delete", &[]),
    },
];

/// Orders that a machine waits, which a second person has to approve, and says the action's name.
fn ordered(scene: &Served, token: &str) -> String {
    let machines = json!([scene.own.0.machine]);
    let wanted = json!({
        "selection": { "kind": "listed", "machines": machines },
        "action": { "kind": "hold", "until": "2100-01-01T00:00:00Z" },
        "reason": "it is bad",
    });
    let order = json!({ "wanted": wanted, "shown": machines }).to_string();
    let answer = scene.server.request("POST", "/v1/actions", token, order.as_bytes());
    answer.has_status(201).json::<Value>()["id"].as_str().unwrap().to_owned()
}

/// Runs a command on the one webhook that there is.
fn webhook(scene: &Served, verb: &str, more: &[&str]) {
    let all: Vec<Value> = scene.server.get("/v1/webhooks").has_status(200).json();
    let id = all[0]["id"].as_str().unwrap();
    run(scene, &[&["webhook", verb, id], more].concat());
}

fn run(scene: &Served, command: &[&str]) {
    scene.server.mainstay(command).succeeds();
}

fn serve(scene: &Served, more: &[&str]) {
    let serve = ["organisation", "serve", "--organisation", ORGANISATION];
    run(scene, &[&serve[..], more].concat());
}

#[test]
fn every_change_is_in_the_audit_trail_once_with_who_and_from_where_and_what_was_before() {
    let changing = routes().filter(|route| !["GET", "HEAD"].contains(&route.method.as_str()));
    let changing: BTreeSet<_> = changing.map(name).collect();
    let known = CHANGES.iter().map(|change| change.route).chain(UNAUDITED.iter().copied());
    assert_eq!(changing, known.map(str::to_owned).collect(), "every route that changes something");

    let mut scene = Served::new();
    let config =
        "[webhooks]\nallow_networks = [\"127.0.0.0/8\"]\n[support.alone]\nadmin = 0\nsupport = 0\n";
    std::fs::write(scene.server.path("server/mainstay.toml"), config).unwrap();
    scene.server.kill_and_restart();
    let server: &Server = &scene.server;
    let trail = || server.get("/v1/audit").has_status(200).json::<Vec<Value>>();
    for change in CHANGES {
        let before = trail().len();
        (change.make)(&scene);
        let after = trail();
        // What else was needed comes first, and what an action over machines leads to comes later.
        let told: Vec<_> = after[before..].iter().collect();
        let told_of_it = told.iter().filter(|record| record["action"] == change.action).count();
        let expected = if change.action == "machine.rollback" { 2 } else { 1 };
        assert_eq!(told_of_it, expected, "{}: {told:#?}", change.route);
        let record = told.iter().rfind(|record| record["action"] == change.action).unwrap();
        let actor = record["actor"].as_str().unwrap();
        let is_admin = actor.ends_with("(first administrator)");
        assert!(is_admin || actor.starts_with("activation key key-"), "{record}");
        assert_eq!(record["address"], "127.0.0.1", "{record}");
        assert!(record["at"].is_string() && !record["subject"].as_str().unwrap().is_empty());
        assert_eq!(!record["before"].is_null(), change.replaces, "{}: {record}", change.route);
    }
}
