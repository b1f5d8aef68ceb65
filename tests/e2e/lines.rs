//! Lines come to their ends: the vendor signs when, everybody is told ahead, and what comes out
//! afterwards is for nobody.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use mainstay::clock::Clock;
use serde_json::Value;

use crate::{
    fleet::{as_role, assert_runs, at_the_first_release, customer, explained, shown, withheld},
    harness::{Machine, PRODUCT, Ran, Server, eventually},
};

pub(crate) fn set_line(server: &Server, more: &[&str]) -> Ran {
    let command = ["product", "line", "set", "--product", PRODUCT, "--line", "1.0"];
    server.mainstay(&[&command, more].concat())
}

fn lines(server: &Server) -> Value {
    let command = ["--json", "product", "lines", "--product", PRODUCT];
    as_role(server, "viewer", &command).succeeds().json()
}

pub(crate) fn in_days(days: i64) -> String {
    let now = Timestamp::from_second(Clock::system().now().as_second()).unwrap();
    (now + SignedDuration::from_hours(24 * days)).to_string()
}

/// The first whole second at which all that is published now was out before, once it has come.
fn after_what_is_out() -> String {
    let second = Timestamp::from_second(Clock::system().now().as_second() + 1).unwrap();
    eventually("a second", || (Clock::system().now() > second).then_some(()));
    second.to_string()
}

fn notices(document: &Value) -> Vec<(String, String)> {
    let text = |notice: &Value, name: &str| notice[name].as_str().unwrap().to_owned();
    let notices = document["notices"].as_array().unwrap().iter();
    notices.map(|notice| (text(notice, "code"), text(notice, "message"))).collect()
}

#[test]
fn what_comes_out_after_the_end_of_life_is_for_nobody() {
    let (server, machine) = at_the_first_release("premium");
    server.publish("1.0.1", "bugfix", &[]);
    let end = after_what_is_out();
    let refused = set_line(&server, &["--eos", &end, "--eol", &end]).exits(2);
    assert!(refused.stderr().contains("it lies in the PAST"), "{}", refused.stderr());
    assert!(refused.stderr().contains("give --yes"), "{}", refused.stderr());
    let set = set_line(&server, &["--eos", &end, "--eol", &end, "--yes"]).succeeds();
    let expected = format!("line 1.0: EOL {end} (until now none)");
    assert!(set.stdout().contains(&expected), "{}", set.stdout());
    server.publish("1.0.2", "bugfix", &[]);

    let (exit, check) = machine.agent_json(&["update"]);
    assert_eq!((exit, withheld(&check, "1.0.2")), (0, Some("LINE_EOL")), "{check}");
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(explained(&server, &machine, "1.0.1"), "ROLLBACK");
    let fresh = server.mainstay(&["contract", "activation-key", "premium"]).succeeds().stdout();
    let fresh = server.machine(fresh.trim());
    fresh.agent(&["update"]).succeeds();
    assert_runs(&server, &fresh, "1.0.1");
    let contract = ["--json", "contract", "explain", "premium", "--product", PRODUCT];
    let decided = server.mainstay(&contract).succeeds().json();
    assert_eq!((&decided[1]["code"], &decided[2]["code"]), (&"IN_TERM".into(), &"LINE_EOL".into()));

    let listed = lines(&server);
    assert_eq!(listed[0]["status"], "past_eol", "{listed}");
    assert_eq!((&listed[0]["newest"], &listed[0]["eol"]), (&"1.0.2".into(), &end.as_str().into()));
    let table = server.mainstay(&["product", "lines", "--product", PRODUCT]).succeeds().stdout();
    assert!(table.contains("NEWEST") && table.contains("past EOL"), "{table}");
    let trail = server.mainstay(&["--json", "audit"]).succeeds().stdout();
    assert!(trail.contains("dates of line 1.0"), "{trail}");

    // An end that was a slip of the pen is taken back.
    set_line(&server, &["--eos", "none", "--eol", "none"]).succeeds();
    assert_eq!(lines(&server)[0]["status"], "supported");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.2");
}

#[test]
fn who_has_bought_extended_support_gets_patches_past_the_end_of_support() {
    let (server, plain) = at_the_first_release("premium");
    let extended = server.machine(&customer(&server, "standard"));
    let change = r#"{"kind":"add_els_line","line":"1.0"}"#;
    server.mainstay(&["contract", "amend", "standard", "--change", change]).succeeds();
    set_line(&server, &["--eos", &after_what_is_out(), "--yes"]).succeeds();
    server.publish("1.0.1", "bugfix", &[]);
    let (_, update) = plain.agent_json(&["update"]);
    assert_eq!(withheld(&update, "1.0.1"), Some("LINE_EOS"), "{update}");
    assert_runs(&server, &plain, "1.0.0");
    extended.agent(&["update"]).succeeds();
    assert_runs(&server, &extended, "1.0.1");
    let (_, check) = extended.agent_json(&["check"]);
    assert_eq!(notices(&check), []);
    assert_eq!(lines(&server)[0]["status"], "past_eos");
}

/// What a machine is told when its line has so many days.
fn told(server: &Server, machine: &Machine, days: i64) -> Vec<String> {
    set_line(server, &["--eol", &in_days(days), "--yes"]).succeeds();
    let (_, check) = machine.agent_json(&["check"]);
    notices(&check).into_iter().map(|(code, _)| code).collect()
}

#[test]
fn everybody_is_told_ahead_and_which_way_leads_up() {
    let (server, machine) = at_the_first_release("standard");
    assert!(told(&server, &machine, 200).is_empty());
    assert_eq!(told(&server, &machine, 100), ["LINE_EOL_NEAR"]);
    server.publish("1.1.0", "feature", &[]);
    server.publish("2.0.0", "major", &["--min-from", "1.1.0"]);

    let (_, check) = machine.agent_json(&["check"]);
    let [(code, message)] = &notices(&check)[..] else { panic!("{check}") };
    assert_eq!(code, "LINE_EOL_NEAR");
    assert!(message.contains("in 180 days or less"), "{message}");
    let way = "The way up: 1.0.0 → 1.1.0 → 2.0.0 (needs the channel major).";
    assert!(message.ends_with(way), "{message}");
    // Nothing is signed anew while nothing new is to be said.
    let (_, again) = machine.agent_json(&["status"]);
    let plan = |document: &Value| document["status"]["plan"]["version"].clone();
    machine.agent(&["check"]).exits(11);
    assert_eq!(plan(&machine.agent_json(&["status"]).1), plan(&again));
    assert_eq!(notices(&again), notices(&check));
    let text = machine.agent(&["status"]).succeeds().stdout();
    assert!(text.contains("Notice: The life of line 1.0 ends"), "{text}");
    assert_eq!(notices(&shown(&server, &machine)), notices(&check));
    let page = server.mainstay(&["machine", "show", &machine.name()]).succeeds().stdout();
    assert!(page.contains("Notice: The life of line 1.0 ends"), "{page}");

    let path = |more: &[&str]| {
        let name = machine.name();
        let command = ["--json", "machine", "path", name.as_str()];
        as_role(&server, "viewer", &[&command, more].concat())
    };
    let up = path(&[]).succeeds().json();
    assert_eq!((&up["from"], &up["to"]), (&"1.0.0".into(), &"2.0.0".into()), "{up}");
    assert_eq!(up["hops"][0]["verdict"], "grant");
    assert_eq!(up["hops"][1]["code"], "CHANNEL_NOT_COVERED");
    assert_eq!(up["hops"][1]["lacks"][0]["channel"], "major");
    assert_eq!(path(&["--to", "1.1.0"]).succeeds().json()["hops"].as_array().unwrap().len(), 1);
    let page = server.mainstay(&["machine", "path", &machine.name()]).succeeds().stdout();
    assert!(page.contains("NEEDS") && page.contains("the channel major"), "{page}");
    assert_eq!(path(&["--to", "3.0.0"]).exits(3).json()["code"], "NOT_FOUND");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.1.0");
    // It has not told the server yet; its check does.
    let (_, check) = machine.agent_json(&["check"]);
    assert_eq!(notices(&check), []);
    assert_eq!(path(&["--to", "1.0.0"]).exits(4).json()["code"], "NO_PATH");
}

#[test]
fn the_end_of_the_paid_time_is_told_ahead() {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    for (name, days, expected) in [
        ("northwind", 100, None),
        ("globex", 60, Some("CONTRACT_ENDS")),
        ("initech", -1, Some("CONTRACT_ENDED")),
    ] {
        let key = server.customer(name, "standard", "2020-01-01T00:00:00Z", &in_days(days));
        let (_, check) = server.machine(&key).agent_json(&["check"]);
        let codes: Vec<_> = notices(&check).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, Vec::from_iter(expected), "{check}");
    }
}

/// Several lines in one proposal, signed by somebody else; and who has not the key is told how.
#[test]
fn dates_of_lines_are_a_matter_for_the_ceremony() {
    let (server, machine) = at_the_first_release("standard");
    let first = "1.0,eos=2090-01-01T00:00:00Z,eol=2091-01-01T00:00:00Z";
    let change = ["--line", first, "--line", "1.1,ga=2090-06-01T00:00:00Z"];
    let shown = server.propose("lines.json", &change).succeeds().stdout();
    let expected = "  line 1.0: EOS 2090-01-01T00:00:00Z (until now none)\n";
    assert!(shown.contains(expected) && shown.contains("line 1.1: GA 2090"), "{shown}");
    server.change_trust(&change, &["targets"]);
    assert_eq!(lines(&server)[0]["eos"], "2090-01-01T00:00:00Z");
    let again = server.propose("again.json", &change).exits(2);
    assert!(again.stderr().contains("nothing to change"), "{}", again.stderr());
    let wrong = server.propose("wrong.json", &["--line", "1.0,eol=2089-01-01T00:00:00Z"]).exits(2);
    assert!(wrong.stderr().contains("at or after its eos"), "{}", wrong.stderr());

    fs::rename(server.path("keys/targets.pem"), server.path("targets.pem")).unwrap();
    let refused = set_line(&server, &["--eol", "2092-01-01T00:00:00Z"]).exits(2);
    assert!(refused.stderr().contains("mainstay trust propose"), "{}", refused.stderr());
    // Machines take the new targets, and publishing goes on.
    machine.agent(&["check"]).exits(10);
    server.publish("1.0.1", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}
