//! Actions over several machines: what is shown, ordered, approved and carried out, and who sees what.

use std::collections::BTreeSet;

use mainstay_client::format::wire::Problem;
use serde_json::{Value, json};

use crate::{
    by_hand::BareMachine,
    fleet::{as_role, assert_runs, shown},
    harness::{Machine, PRODUCT, Ran, Server, eventually, platform, write},
    http::Answer,
    organisation::Served,
    publish::opened,
};

/// Adds a customer with a contract that is in term, and says its activation key.
fn customer(server: &Server, name: &str) -> String {
    server.customer(name, "premium", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
}

/// Does `verb` to the machines that `more` selects, as a technician of the vendor's.
fn act(server: &Server, verb: &str, more: &[&str]) -> Ran {
    let command = ["--json", "machine", verb, "--reason", "reports are slow", "--ticket", "SUP-1"];
    as_role(server, "support", &[&command[..], more].concat())
}

fn id(ordered: &Value) -> &str {
    ordered["id"].as_str().unwrap()
}

fn progress(server: &Server, id: &str) -> Value {
    server.mainstay(&["--json", "action", "show", id]).succeeds().json()
}

/// The action once it stands so.
fn once(server: &Server, id: &str, state: &str) -> Value {
    eventually(state, || Some(progress(server, id)).filter(|it| it["state"] == state))
}

/// What the progress says of a machine: how far it has come, and why.
fn of<'a>(progress: &'a Value, machine: &str) -> (&'a str, &'a str) {
    let machines = progress["progress"].as_array().unwrap();
    let found = machines.iter().find(|it| it["machine"] == machine).unwrap();
    (found["state"].as_str().unwrap(), found["detail"].as_str().unwrap())
}

fn audited(server: &Server, action: &str) -> Vec<Value> {
    let trail: Vec<Value> = server.get("/v1/audit").has_status(200).json();
    trail.into_iter().filter(|record| record["action"] == action).collect()
}

/// The story that this exists for: a bad release on machines of several customers; one customer's go
/// back to what was good, are kept from the bad one, and get one patch, until all have it.
#[test]
fn one_customers_machines_go_back_from_a_bad_release_and_get_one_patch() {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let acme = customer(&server, "acme");
    let machines: Vec<Machine> = (0..3).map(|_| server.machine(&acme)).collect();
    let other = server.machine(&customer(&server, "globex"));
    let update = |machines: &[Machine]| {
        for machine in machines {
            machine.agent(&["update"]);
        }
    };
    update(&machines);
    other.agent(&["update"]).succeeds();
    for version in ["1.0.1", "1.0.2"] {
        server.publish(version, "bugfix", &[]);
    }
    // One of them has not got it yet.
    let [bad, spared] = [&machines[..2], &machines[2..]];
    update(bad);
    other.agent(&["update"]).succeeds();
    assert_runs(&server, &other, "1.0.2");

    let back = ["--running", "1.0.2", "--customer", "acme", "--to-last-good"];
    let plan = act(&server, "rollback", &[&back[..], &["--plan"]].concat()).succeeds().json();
    assert_eq!((&plan["possible"], &plan["needs_approval"]), (&json!(2), &json!(false)));
    let affected = plan["machines"].as_array().unwrap();
    for machine in affected {
        let after = &machine["outcome"]["after"];
        assert_eq!(*after, json!({ "action": "rollback", "version": "1.0.0" }));
    }
    let planned: BTreeSet<_> = affected.iter().map(|it| it["machine"].as_str().unwrap()).collect();
    let names = [bad[0].name(), bad[1].name()];
    assert_eq!(planned, names.iter().map(String::as_str).collect());
    assert_eq!(shown(&server, &bad[0])["machine"]["order"], Value::Null, "nothing is done");

    let ordered = act(&server, "rollback", &[&back[..], &["--yes"]].concat()).succeeds().json();
    let action = id(&ordered);
    let waits = eventually("the orders", || {
        let progress = progress(&server, action);
        let has_order = |machine| shown(&server, machine)["machine"]["order"] != Value::Null;
        bad.iter().all(has_order).then_some(progress)
    });
    assert_eq!((&waits["state"], &waits["counts"]["waiting"]), (&json!("running"), &json!(2)));
    bad[0].agent(&["check"]);
    assert_eq!(of(&progress(&server, action), &names[0]).0, "told");
    // Another technician sees it before acting on the same machines.
    let again = act(&server, "block", &["--customer", "acme", "1.0.2", "--plan"]).succeeds().json();
    let cautions = again["machines"].to_string();
    assert!(again["possible"] == json!(1) && cautions.contains("is blocked"), "{again}");
    let hold = ["--customer", "acme", "--until", "2100-01-01T00:00:00Z", "--plan"];
    let hold = act(&server, "hold", &hold).succeeds().json().to_string();
    assert!(hold.contains("has ordered rollback to last_good of it"), "{hold}");
    assert!(hold.contains(action) && hold.contains("reports are slow"), "{hold}");
    let page = server.mainstay(&["machine", "show", &names[1]]).succeeds().stdout();
    assert!(page.contains(&format!("(action {action}, running): reports are slow")), "{page}");

    update(&machines[..2]);
    let done = once(&server, action, "done");
    assert_eq!(done["counts"]["carried_out"], 2);
    for machine in bad {
        assert_runs(&server, machine, "1.0.0");
    }
    assert_runs(&server, &other, "1.0.2");
    let watched = server.mainstay(&["action", "show", action, "--watch"]).succeeds().stdout();
    assert!(watched.contains("2 carried out") && watched.contains("acme"), "{watched}");
    let list = server.mainstay(&["action", "list"]).succeeds().stdout();
    assert!(list.contains(action) && list.contains("rollback to last_good"), "{list}");
    let records = audited(&server, "machine.rollback");
    assert_eq!(records.len(), 2);
    for record in records {
        let detail = format!("from 1.0.2 to 1.0.0; action {action}");
        assert_eq!((&record["detail"], &record["ticket"]), (&detail.into(), &"SUP-1".into()));
        assert!(record["actor"].as_str().unwrap().ends_with("(support)"), "{record}");
    }

    // The third is kept from it too; then the patch before it is for all three.
    let block = act(&server, "block", &["1.0.2", "--customer", "acme", "--yes"]).succeeds().json();
    let block = once(&server, id(&block), "done");
    assert_eq!(of(&block, &spared[0].name()).0, "carried_out");
    assert_eq!(
        (&block["counts"]["carried_out"], &block["counts"]["cannot"]),
        (&json!(1), &json!(2))
    );
    let list = server.path("machines.txt");
    write(&list, 0o644, &format!("{}\n\n{}\n", names[0], names[1]));
    let list = list.to_str().unwrap();
    let unblock =
        act(&server, "unblock", &["--machines", list, "1.0.1", "--yes"]).succeeds().json();
    once(&server, id(&unblock), "done");
    let patch = ["--customer", "acme", "--running", "1.0.0", "1.0.1", "--yes"];
    let patch = act(&server, "install", &patch).succeeds().json();
    eventually("the pins", || {
        let has_pin = |machine| shown(&server, machine)["machine"]["pin"] != Value::Null;
        machines.iter().all(has_pin).then_some(())
    });
    update(&machines);
    let done = once(&server, id(&patch), "done");
    assert_eq!(done["counts"]["carried_out"], 3, "{done}");
    for machine in &machines {
        assert_runs(&server, machine, "1.0.1");
        assert_eq!(shown(&server, machine)["machine"]["pin"], Value::Null);
    }
}

fn post(server: &Server, token: &str, path: &str, body: &Value) -> Answer {
    server.request("POST", path, token, body.to_string().as_bytes())
}

fn wanted(selection: &Value, action: &Value) -> Value {
    json!({ "selection": selection, "action": action, "reason": "reports are slow" })
}

fn hold() -> Value {
    json!({ "kind": "hold", "until": "2100-01-01T00:00:00Z" })
}

fn running(version: &str) -> Value {
    json!({ "kind": "filter", "filter": { "version": version } })
}

fn names(machines: &[&BareMachine]) -> Value {
    machines.iter().map(|machine| machine.0.machine.to_string()).collect()
}

/// Machines of acme that run 1.0.0.
fn bare(server: &Server, key: &str, count: usize) -> Vec<BareMachine> {
    let machines: Vec<_> = (0..count).map(|_| server.enroll(key)).collect();
    for machine in &machines {
        machine.report(server, "1.0.0", &json!([])).has_status(204);
    }
    machines
}

#[test]
fn more_machines_than_one_person_may_touch_wait_for_a_second_person() {
    let server = Server::with_config("[support.alone]\nsupport = 1\n");
    server.publish("1.0.0", "major", &[]);
    let machines = bare(&server, &customer(&server, "acme"), 2);
    let [token, second] = [server.token("support"), server.token("support")];
    let all = names(&[&machines[0], &machines[1]]);
    let order = |token: &str| -> Value {
        let body = json!({ "wanted": wanted(&running("1.0.0"), &hold()), "shown": all });
        post(&server, token, "/v1/actions", &body).has_status(201).json()
    };
    let preview = post(&server, &token, "/v1/actions/preview", &wanted(&running("1.0.0"), &hold()));
    let preview: Value = preview.has_status(200).json();
    assert_eq!((&preview["alone_max"], &preview["needs_approval"]), (&json!(1), &json!(true)));
    let ordered = order(&token);
    assert_eq!(ordered["state"], "awaiting_approval");
    let path = |verb: &str| format!("/v1/actions/{}/{verb}", id(&ordered));
    let why = json!({ "reason": "I have seen it", "ticket": "SUP-2" });
    post(&server, &token, &path("approve"), &why).refuses(403, "SAME_PERSON");
    post(&server, &server.token("viewer"), &path("approve"), &why).refuses(403, "ROLE_NOT_ALLOWED");
    let list: Value = server.request("GET", "/v1/actions", &second, b"").has_status(200).json();
    assert_eq!((&list[0]["id"], &list[0]["counts"]["waiting"]), (&ordered["id"], &json!(2)));
    let record = |machine: &BareMachine| -> Value {
        let path = format!("/v1/machines/{}", machine.0.machine);
        server.get(&path).has_status(200).json::<Value>()["machine"].clone()
    };
    assert_eq!(record(&machines[0])["hold"], Value::Null);

    let approve =
        ["action", "approve", id(&ordered), "--reason", "I have seen it", "--ticket", "SUP-2"];
    let asked = as_role(&server, "support", &approve).exits(2).stderr();
    assert!(asked.contains("awaiting approval") && asked.contains("nobody is there"), "{asked}");
    as_role(&server, "support", &[&approve[..], &["--yes"]].concat()).succeeds();
    let done = once(&server, id(&ordered), "done");
    assert_eq!(done["counts"]["carried_out"], 2);
    assert_eq!(record(&machines[1])["hold"]["until"], "2100-01-01T00:00:00Z");
    post(&server, &second, &path("approve"), &why).refuses(409, "ACTION_IMPOSSIBLE");
    post(&server, &second, &path("cancel"), &why).refuses(409, "ACTION_IMPOSSIBLE");
    eventually("the record", || (!audited(&server, "action.done").is_empty()).then_some(()));
    for (action, reason) in
        [("action.order", "reports are slow"), ("action.approve", "I have seen it")]
    {
        assert_eq!(audited(&server, action)[0]["reason"], reason);
    }

    // What was cancelled is not done, and one machine needs no second person.
    let cancelled = order(&token);
    let cancel = ["action", "cancel", id(&cancelled), "--reason", "it was the network", "--yes"];
    server.mainstay(&cancel).succeeds();
    let cancelled = progress(&server, id(&cancelled));
    assert_eq!(
        (&cancelled["state"], &cancelled["counts"]["cancelled"]),
        (&json!("cancelled"), &json!(2))
    );
    let watch = ["action", "show", id(&cancelled), "--watch"];
    server.mainstay(&watch).exits(8);
    let shown = names(&[&machines[0]]);
    let one = json!({ "kind": "listed", "machines": shown });
    let one = json!({ "wanted": wanted(&one, &json!({ "kind": "unhold" })), "shown": shown });
    let one: Value = post(&server, &token, "/v1/actions", &one).has_status(201).json();
    once(&server, id(&one), "done");
    assert_eq!(record(&machines[0])["hold"], Value::Null);
    assert_eq!(record(&machines[1])["hold"]["reason"], "reports are slow");
}

#[test]
fn an_organisations_technician_acts_on_its_own_machines_and_learns_of_no_others() {
    let scene = Served::new();
    let (server, token) = (&scene.server, scene.token("support"));
    for machine in [&scene.own, &scene.other] {
        machine.report(server, "1.0.0", &json!([])).has_status(204);
    }
    let [own, other] = [&scene.own, &scene.other].map(|machine| machine.0.machine.to_string());
    let told = |answer: &Answer| String::from_utf8(answer.body.clone()).unwrap();
    let hides = |answer: &Answer| {
        assert!(
            !told(answer).contains("globex") && !told(answer).contains(&other),
            "{}",
            told(answer)
        );
    };
    let preview = |selection: &Value| {
        post(server, &token, "/v1/actions/preview", &wanted(selection, &hold()))
    };
    let answer = preview(&running("1.0.0")).has_status(200);
    hides(&answer);
    let shown: Value = answer.json();
    assert_eq!((&shown["possible"], &shown["machines"][0]["machine"]), (&json!(1), &json!(own)));
    // A machine of others is as one that is not there.
    let absent = other.replace(|c: char| c.is_ascii_hexdigit() && c != 'm', "0");
    let absent = if absent == other { "m-000000000000".to_owned() } else { absent };
    let listed = |name: &str| {
        let both = json!({ "kind": "listed", "machines": [&own, name] });
        told(&preview(&both).has_status(200)).replace(name, "it")
    };
    let (theirs, nobodys): (Value, Value) = (
        serde_json::from_str(&listed(&other)).unwrap(),
        serde_json::from_str(&listed(&absent)).unwrap(),
    );
    let find = |preview: &Value| {
        let machines = preview["machines"].as_array().unwrap();
        machines.iter().find(|it| it["machine"] == "it").unwrap().clone()
    };
    assert_eq!(find(&theirs), find(&nobodys));
    assert_eq!(theirs["possible"], 1);
    let of_globex = json!({ "kind": "filter", "filter": { "customer": "globex" } });
    preview(&of_globex).refuses(404, "NOT_FOUND");

    // Of what the vendor orders they see their part, and have no say in it.
    let vendor = server.token("support");
    let order = |selection: &Value, shown: &Value| -> Value {
        let body = json!({ "wanted": wanted(selection, &hold()), "shown": shown });
        post(server, &vendor, "/v1/actions", &body).has_status(201).json()
    };
    let both = order(&running("1.0.0"), &json!([own, other]));
    let others = order(&of_globex, &json!([other]));
    once(server, id(&both), "done");
    let list = server.request("GET", "/v1/actions", &token, b"").has_status(200);
    hides(&list);
    let list: Value = list.json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!((&list[0]["machines"], &list[0]["counts"]["carried_out"]), (&json!(1), &json!(1)));
    assert_eq!(list[0]["filter"], Value::Null);
    let show =
        |action: &Value| server.request("GET", &format!("/v1/actions/{}", id(action)), &token, b"");
    let seen = show(&both).has_status(200);
    hides(&seen);
    assert_eq!(seen.json::<Value>()["progress"].as_array().unwrap().len(), 1);
    let missing = show(&others).refuses(404, "NOT_FOUND").detail;
    let unknown = show(&json!({ "id": "act-000000000000" })).refuses(404, "NOT_FOUND").detail;
    assert_eq!(missing.replace(id(&others), "act-000000000000"), unknown);
    let why = json!({ "reason": "why not" });
    for verb in ["approve", "cancel"] {
        let path = |action: &Value| format!("/v1/actions/{}/{verb}", id(action));
        let refused = post(server, &token, &path(&both), &why).refuses(403, "VENDOR_ONLY");
        assert!(refused.detail.contains("what others have ordered"), "{}", refused.detail);
        post(server, &token, &path(&others), &why).refuses(404, "NOT_FOUND");
    }

    // Their own they order and steer.
    let body = json!({
        "wanted": wanted(&running("1.0.0"), &json!({ "kind": "unhold" })),
        "shown": [own],
    });
    let mine: Value = post(server, &token, "/v1/actions", &body).has_status(201).json();
    assert_eq!((&mine["machines"], &mine["filter"]), (&json!(1), &json!({ "version": "1.0.0" })));
    eventually("the end of the hold", || {
        let seen: Value = show(&mine).has_status(200).json();
        (seen["counts"]["carried_out"] == 1).then_some(())
    });
    let machine: Value = server.get(&format!("/v1/machines/{other}")).has_status(200).json();
    assert!(machine["machine"]["hold"] != Value::Null, "globex's is as it was");
}

/// A server that is killed in the middle goes on where it was, and does no machine twice.
#[test]
fn an_action_survives_the_death_of_the_server() {
    const MACHINES: usize = 40;
    let mut server = opened();
    let machines = bare(&server, &customer(&server, "acme"), MACHINES);
    let machines: Vec<_> = machines.iter().collect();
    let body = json!({ "wanted": wanted(&running("1.0.0"), &hold()), "shown": names(&machines) });
    let ordered: Value = server.post("/v1/actions", &body).has_status(201).json();
    for _ in 0..3 {
        server.kill_and_restart();
    }
    let done = once(&server, id(&ordered), "done");
    assert_eq!(done["counts"]["carried_out"], MACHINES);
    let trail = server.mainstay(&["--json", "audit"]).succeeds().json();
    let trail = trail.as_array().unwrap().iter();
    let held: Vec<_> = trail.filter(|it| it["action"] == "machine.hold").collect();
    let subjects: BTreeSet<_> = held.iter().map(|it| it["subject"].as_str().unwrap()).collect();
    assert_eq!((held.len(), subjects.len()), (MACHINES, MACHINES), "each exactly once");
}

#[test]
fn what_has_changed_since_it_was_shown_is_looked_at_again() {
    let server = opened();
    let key = customer(&server, "acme");
    let [one, gone] = <[_; 2]>::try_from(bare(&server, &key, 2)).ok().unwrap();
    let seen = names(&[&one, &gone]);
    let [new] = <[_; 1]>::try_from(bare(&server, &key, 1)).ok().unwrap();
    let order = |shown: &Value| {
        let body = json!({ "wanted": wanted(&running("1.0.0"), &hold()), "shown": shown });
        server.post("/v1/actions", &body)
    };
    let grown = order(&seen).refuses(409, "CONFLICT").detail;
    assert!(
        grown.contains(new.0.machine.as_str()) && grown.contains("look at it again"),
        "{grown}"
    );

    let retire = ["machine", "retire", gone.0.machine.as_str(), "--reason", "scrapped"];
    server.mainstay(&retire).succeeds();
    new.report(&server, "1.0.1", &json!([])).has_status(204);
    let mut shown = names(&[&one, &gone, &new]);
    shown.as_array_mut().unwrap().push("m-000000000000".into());
    let ordered: Value = order(&shown).has_status(201).json();
    let done = once(&server, id(&ordered), "done");
    assert_eq!(of(&done, one.0.machine.as_str()), ("carried_out", ""));
    for (machine, why) in [
        (gone.0.machine.as_str(), "is retired"),
        (new.0.machine.as_str(), "not in the selection any more"),
        ("m-000000000000", "does not exist"),
    ] {
        let (state, detail) = of(&done, machine);
        assert!(state == "cannot" && detail.contains(why), "{machine}: {state} {detail}");
    }
    // Between order and approval they can go as well.
    let shown = server.mainstay(&["action", "show", id(&ordered)]).succeeds().stdout();
    assert!(shown.contains("1 carried out, 0 refused, 3 cannot"), "{shown}");
}

#[test]
fn what_a_machine_says_of_its_order_is_told_with_the_action() {
    let server = opened();
    server.publish("1.0.1", "bugfix", &[]);
    let machines = bare(&server, &customer(&server, "acme"), 3);
    for machine in &machines {
        machine.report(&server, "1.0.1", &json!([])).has_status(204);
    }
    let [one, two, three] = <[_; 3]>::try_from(machines).ok().unwrap();
    let back = ["--running", "1.0.1", "--to", "1.0.0", "--yes"];
    let ordered = act(&server, "rollback", &back).succeeds().json();
    let order = |machine: &BareMachine| {
        let view: Value = server.get(&format!("/v1/machines/{}", machine.0.machine)).json();
        view["machine"]["order"]["number"].as_u64()
    };
    eventually("the orders", || {
        [&one, &two, &three].map(order).iter().all(Option::is_some).then_some(())
    });
    let detail = "the copy of its data is gone";
    let refused =
        json!([{ "number": 1, "kind": "refused", "to": "1.0.0", "order": 1, "detail": detail }]);
    one.report(&server, "1.0.1", &refused).has_status(204);
    let went = json!([
        { "number": 1, "kind": "rolled_back", "from": "1.0.1", "to": "1.0.0", "order": 1 }
    ]);
    two.report(&server, "1.0.0", &went).has_status(204);
    // Somebody else wants something else of the third.
    let name = three.0.machine.as_str();
    let again = ["machine", "rollback", name, "--to", "1.0.0", "--reason", "at once"];
    server.mainstay(&again).succeeds();
    let done = once(&server, id(&ordered), "done");
    assert_eq!(of(&done, one.0.machine.as_str()), ("refused", detail));
    assert_eq!(of(&done, two.0.machine.as_str()), ("carried_out", ""));
    let (state, detail) = of(&done, name);
    assert!(state == "cancelled" && detail.contains("order 2 of") && detail.contains("at once"));
    let watched = server.mainstay(&["action", "show", id(&ordered), "--watch"]).exits(8);
    assert!(watched.stdout().contains("the copy of its data is gone"), "{}", watched.stdout());
}

#[test]
fn versions_are_tried_again_and_bundles_are_asked_for_on_several_machines() {
    let server = opened();
    server.publish("1.0.1", "bugfix", &[]);
    let machines = bare(&server, &customer(&server, "acme"), 2);
    let [one, two] = <[_; 2]>::try_from(machines).ok().unwrap();
    let given = |machine: &BareMachine, what: &str| {
        let view: Value = server.get(&format!("/v1/machines/{}", machine.0.machine)).json();
        view["machine"][what]["number"].as_u64()
    };
    let orders = |what: &str| eventually(what, || Some((given(&one, what)?, given(&two, what)?)));
    for machine in [&one, &two] {
        let failed = json!([{ "number": 1, "kind": "undone", "from": "1.0.0", "to": "1.0.1" }]);
        machine.report(&server, "1.0.0", &failed).has_status(204);
    }

    let retry = act(&server, "retry", &["--customer", "acme", "1.0.1", "--yes"]).succeeds().json();
    let (order, other) = orders("retry");
    let retried = |kind: &str, order: u64| {
        let to = "1.0.1";
        json!([{ "number": 2, "kind": kind, "from": "1.0.0", "to": to, "order": order }])
    };
    one.report(&server, "1.0.0", &retried("retried", order)).has_status(204);
    let detail = of(&progress(&server, id(&retry)), one.0.machine.as_str()).0.to_owned();
    assert_eq!(detail, "carried_out");
    two.report(&server, "1.0.0", &retried("refused", other)).has_status(204);
    let done = once(&server, id(&retry), "done");
    assert_eq!(of(&done, two.0.machine.as_str()).0, "refused");

    let collect = act(&server, "collect", &["--running", "1.0.0", "--yes"]).succeeds().json();
    let (number, _) = orders("collection");
    let path = format!("/v1/collections/{number}/refusal");
    let answer = json!({ "answer": "forbidden" });
    post(&server, &one.0.token, &path, &answer).has_status(204);
    let told = progress(&server, id(&collect));
    let forbidden = "the machine's administrator forbids it";
    assert_eq!(of(&told, one.0.machine.as_str()), ("refused", forbidden));
    assert_eq!(
        (of(&told, two.0.machine.as_str()).0, &told["state"]),
        ("waiting", &json!("running"))
    );
    // Somebody asks the other one anew, by itself.
    let name = two.0.machine.as_str();
    let again = ["machine", "collect", name, "--reason", "sooner", "--yes"];
    server.mainstay(&again).succeeds();
    let done = once(&server, id(&collect), "done");
    let (state, detail) = of(&done, name);
    assert!(state == "cancelled" && detail.contains("sooner"), "{state}: {detail}");
}

#[test]
fn nobody_sends_machines_back_below_a_security_fix_by_the_dozen_without_saying_so() {
    let server = opened();
    let fix = ["--severity", "major", "--advisory", "CVE-2026-0042"];
    server.publish("1.0.1", "security", &fix);
    let machines = bare(&server, &customer(&server, "acme"), 2);
    for machine in &machines {
        machine.report(&server, "1.0.1", &json!([])).has_status(204);
    }
    let back = ["--running", "1.0.1", "--to", "1.0.0"];
    let plan = act(&server, "rollback", &[&back[..], &["--plan"]].concat()).succeeds().json();
    assert_eq!(plan["opens"], json!(["CVE-2026-0042"]));
    let refused = act(&server, "rollback", &[&back[..], &["--yes"]].concat()).exits(3).json();
    assert_eq!(refused["code"], "EXPOSURE_NOT_ACCEPTED");
    assert_eq!(refused["problems"], json!(["CVE-2026-0042"]));
    let accept = [&back[..], &["--yes", "--accept-exposure"]].concat();
    let ordered = act(&server, "rollback", &accept).succeeds().json();
    eventually("the orders", || (audited(&server, "machine.rollback").len() == 2).then_some(()));
    for record in audited(&server, "machine.rollback") {
        let detail = record["detail"].as_str().unwrap();
        let expected = format!("opens again: CVE-2026-0042; action {}", id(&ordered));
        assert!(detail.ends_with(&expected), "{detail}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_what_was_expected() {
    let server = opened();
    let machines = bare(&server, &customer(&server, "acme"), 1);
    let name = machines[0].0.machine.as_str();
    let preview = |selection: Value, action: Value, more: &Value| -> Problem {
        let mut body = wanted(&selection, &action);
        for (member, value) in more.as_object().unwrap() {
            body[member] = value.clone();
        }
        let answer = server.post("/v1/actions/preview", &body);
        assert!([400, 404, 409].contains(&answer.status), "{body}: {}", answer.status);
        answer.json()
    };
    let none = json!({});
    let filter = |filter: Value| json!({ "kind": "filter", "filter": filter });
    let past = json!({ "kind": "hold", "until": "2020-01-01T00:00:00Z" });
    for (problem, code, expected) in [
        (preview(filter(json!({})), hold(), &none), "INVALID_REQUEST", "at least one of customer"),
        (
            preview(filter(json!({ "host": "x" })), hold(), &none),
            "INVALID_REQUEST",
            "unknown field",
        ),
        (
            preview(filter(json!({ "ring": "x" })), hold(), &none),
            "INVALID_REQUEST",
            "unknown variant",
        ),
        (preview(running("7.7.7"), hold(), &none), "ACTION_IMPOSSIBLE", "no machine running 7.7.7"),
        (preview(running("1.0.0"), past, &none), "INVALID_REQUEST", "which is past"),
        (
            preview(running("1.0.0"), hold(), &json!({ "ticket": "a\u{1b}b" })),
            "INVALID_REQUEST",
            "ticket is not valid",
        ),
        (
            preview(running("1.0.0"), hold(), &json!({ "product": "other-db" })),
            "NOT_FOUND",
            "other-db",
        ),
        (
            preview(json!({ "kind": "listed", "machines": [] }), hold(), &none),
            "INVALID_REQUEST",
            "no machine is named",
        ),
        (
            preview(json!({ "kind": "listed", "machines": ["m-000000000000"] }), hold(), &none),
            "NOT_FOUND",
            "none of the machines exists",
        ),
    ] {
        assert!(problem.code == code && problem.detail.contains(expected), "{problem:?}");
    }
    let nothing = json!({
        "wanted": wanted(&running("1.0.0"), &json!({ "kind": "unpin" })),
        "shown": [name],
    });
    let problem = server.post("/v1/actions", &nothing).refuses(409, "ACTION_IMPOSSIBLE");
    assert!(problem.detail.contains("none of the 1 machines; the first: "), "{}", problem.detail);
    server.get("/v1/actions/act-1").refuses(400, "INVALID_REQUEST");
    server.get("/v1/actions?limit=0").refuses(400, "INVALID_REQUEST");

    let file = server.path("machines.txt");
    write(&file, 0o644, &format!("{name}\nnot a machine\n"));
    let file = file.to_str().unwrap();
    let told = act(&server, "unhold", &["--machines", file, "--yes"]).exits(2).json();
    assert!(told["problems"][0].as_str().unwrap().starts_with("line 2: "), "{told}");
    let platform = platform();
    for more in [
        &[name, "--customer", "acme"][..],
        &["--yes"],
        &["--machines", file, "--platform", &platform],
        &["--ring", "fast"],
    ] {
        act(&server, "unpin", more).exits(2);
    }
    for more in [&["1.0.1"][..], &[name, "1.0.1", "--ring", "early"], &[name, "1.0.1", "1.0.2"]] {
        act(&server, "block", &[more, &["--yes"]].concat()).exits(2);
    }
    act(&server, "ring", &["--product", PRODUCT, "early", "--yes"]).exits(3);
}
