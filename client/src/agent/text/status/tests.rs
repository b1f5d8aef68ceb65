use serde_json::json;

use super::*;
use crate::{
    client::{
        CollectionRequest, Offer, Status,
        settings::{CollectConsent, step},
    },
    format::{
        Action, CollectOrder, Lines, Plan, RetryOrder,
        wire::{FailedWay, Fetched, FetchedBy},
    },
    install::{Block, KeptTree, Probation, Record, Recorded},
};

const ROWS: usize = 24;
const COLUMNS: usize = 100;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn versions<const N: usize>(texts: [&str; N]) -> Vec<Version> {
    texts.map(|text| text.parse().unwrap()).into()
}

/// A machine that has been enrolled and has done nothing since.
fn fresh() -> Status {
    let enrolment = toml::from_str(&format!(
        "server = \"https://updates.example.com\"\nproduct = \"acme-db\"\nmachine = \"m-0001\"\n\
         customer = \"initech\"\ncontract = \"initech-2026\"\nroot_version = 1\n\
         root_sha256 = \"{}\"\n",
        "0".repeat(64)
    ));
    Status {
        enrolment: enrolment.unwrap(),
        recorded: Recorded::default(),
        plan: None,
        offer: None,
        lines: Lines::default(),
        history: History::default(),
        collection: None,
    }
}

fn tree(version: &Version) -> KeptTree {
    let digest = "0".repeat(64);
    serde_json::from_value(json!({
        "version": version,
        "channel": "bugfix",
        "artifact": {
            "length": 1, "sha256": digest, "payload_length": 1, "payload_sha256": digest,
            "window_log": 20,
        },
    }))
    .unwrap()
}

fn plan(action: &serde_json::Value) -> Plan {
    serde_json::from_value(json!({
        "_type": "plan",
        "format": 1,
        "version": 7,
        "product": "acme-db",
        "customer": "initech",
        "machine": "m-0001",
        "issued": "2026-06-01T12:00:00.25Z",
        "expires": "2026-06-08T12:00:00.25Z",
        "action": action,
        "withheld": [
            {
                "version": "2.5.0",
                "channel": "feature",
                "code": "PINNED",
                "message": "The machine is pinned to 2.4.x by support (SUP-17).",
            },
            {
                "version": "3.0.0",
                "channel": "major",
                "code": "CHANNEL_NOT_COVERED",
                "message": "The contract initech-2026 does not have the channel major, which 3.0.0 \
                            was published in; an account manager can add it.",
                "alternative": "2.4.9",
            },
        ],
        "notices": [{
            "code": "CONTRACT_ENDS",
            "message": "The paid time of contract initech-2026 ends on 2026-07-01.",
        }],
        "poll_seconds": 900,
    }))
    .unwrap()
}

fn update() -> serde_json::Value {
    let file = |path: &str| json!({ "path": path, "length": 1, "sha256": "0".repeat(64) });
    json!({
        "do": "update",
        "target": {
            "version": "2.4.1",
            "channel": "bugfix",
            "manifest": file("bugfix/2.4.1/release.json"),
            "artifact": file("bugfix/2.4.1/linux-x86_64.tar.zst"),
        },
    })
}

/// A machine in its daily life.
fn ordinary() -> Status {
    let confirmed = versions(["2.3.8", "2.3.9", "2.4.0"]);
    let record = Record {
        running: confirmed.last().cloned(),
        trees: confirmed.iter().map(tree).collect(),
        confirmed,
        floor: Some("2.3.0".parse().unwrap()),
        ..Record::default()
    };
    let lines = json!({
        "2.4": { "eos": "2027-01-01T00:00:00Z", "eol": "2028-01-01T00:00:00Z" },
        "3.0": { "eol": "2030-01-01T00:00:00Z" },
    });
    let history = History { checked: Some(at("2026-06-02T08:15:00Z")), ..History::default() };
    let running_since = Some(at("2026-03-01T12:00:00Z"));
    Status {
        recorded: Recorded { record, running_since, ..Recorded::default() },
        plan: Some(plan(&json!({ "do": "stay" }))),
        lines: serde_json::from_value(lines).unwrap(),
        history,
        ..fresh()
    }
}

/// The same, to which an update is offered that waits for a window.
fn offered() -> Status {
    let (status, plan) = (ordinary(), plan(&update()));
    let windows = "[[windows]]\ndays = [\"sat\"]\nfrom = \"22:00\"\nuntil = \"04:00\"\n";
    let settings: crate::client::settings::UpdateSettings = toml::from_str(windows).unwrap();
    let opening = settings.windows.at(at("2026-06-02T08:16:00Z"));
    let step = step(&plan.action, settings.channels, None, opening);
    let offer = Some(Offer { action: plan.action.clone(), probation: None, step });
    Status { offer, plan: Some(plan), ..status }
}

/// A machine of which everything has to be said.
fn troubled() -> Status {
    let mut status = offered();
    let incident = |instant: &str, version: Option<&str>, code: Option<&str>, message: &str| {
        Some(Incident {
            at: at(instant),
            version: version.map(|text| text.parse().unwrap()),
            code: code.map(str::to_owned),
            message: message.to_owned(),
        })
    };
    status.history = History {
        checked: Some(at("2026-06-02T08:15:00Z")),
        obstacle: incident(
            "2026-06-02T08:15:01Z",
            Some("2.4.1"),
            None,
            "kernel 99.0 or later is required, this one is 6.1",
        ),
        failed: incident(
            "2026-06-02T07:45:00Z",
            None,
            Some("network"),
            "the connection to /v1/check failed: Connection refused (os error 111)",
        ),
        undone: incident(
            "2026-05-01T22:00:30Z",
            Some("2.4.0-rc.1"),
            None,
            &format!("the check failed with exit status 1:\n{}", "no such table; ".repeat(40)),
        ),
        refused: incident(
            "2026-05-02T22:00:00Z",
            None,
            Some("floor"),
            "plan version 6 rolls back to 2.2.0 by order 3: expected at least the floor 2.3.0",
        ),
        ..History::default()
    };
    let record = &mut status.recorded.record;
    let blocked = (0..9).map(|patch| Block {
        version: format!("2.2.{patch}").parse().unwrap(),
        reason: "rolled back by order 3 (SUP-1): reports are slow".to_owned(),
    });
    record.blocked = blocked.collect();
    record.probation = Some(Probation {
        version: "2.4.0".parse().unwrap(),
        from: Some("2.3.9".parse().unwrap()),
        deadline: at("2026-06-02T09:00:00Z"),
        watch: None,
    });
    status.recorded.pending_events = 2;
    status
}

fn shown(status: &Status) -> String {
    super::super::render(&Document::of_status(status))
}

fn json(status: &Status) -> String {
    serde_json::to_string_pretty(&Document::of_status(status)).unwrap()
}

#[test]
fn a_machine_that_has_done_nothing_yet() {
    insta::assert_snapshot!(shown(&fresh()));
    insta::assert_snapshot!(json(&fresh()));
}

#[test]
fn an_ordinary_machine() {
    insta::assert_snapshot!(shown(&ordinary()));
    insta::assert_snapshot!(json(&ordinary()));
}

#[test]
fn a_machine_whose_update_waits_for_a_window() {
    insta::assert_snapshot!(shown(&offered()));
    insta::assert_snapshot!(json(&offered()));
}

#[test]
fn a_machine_of_which_everything_has_to_be_said() {
    insta::assert_snapshot!(shown(&troubled()));
    insta::assert_snapshot!(json(&troubled()));
}

#[test]
fn by_which_way_the_last_release_came_is_said() {
    let mut status = ordinary();
    status.history.fetched = Some(FetchedRelease {
        at: at("2026-05-01T22:00:10Z"),
        version: "2.4.0".parse().unwrap(),
        artifact_bytes: 4_089_446,
        way: Fetched { by: FetchedBy::Delta, bytes: 12_288, failed: Vec::new() },
    });
    let said = |status: &Status| {
        let text = shown(status);
        let words = text.split_once("Last fetched: ").unwrap().1.split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    };
    let delta = "2026-05-01T22:00:10Z, 2.4.0, by a delta of 12.0 KiB in place of 3.9 MiB";
    assert_eq!(said(&status), delta);
    let way = &mut status.history.fetched.as_mut().unwrap().way;
    way.by = FetchedBy::Full;
    way.failed = vec![FailedWay::new(FetchedBy::Delta, "it is gone")];
    let full =
        "2026-05-01T22:00:10Z, 2.4.0, by the full artifact of 3.9 MiB; before that: it is gone";
    assert_eq!(said(&status), full);
}

#[test]
fn what_support_wants_is_said() {
    let mut status = ordinary();
    let plan = status.plan.as_mut().unwrap();
    let ticket = Some("SUP-7".to_owned());
    plan.retry = Some(RetryOrder {
        number: 4,
        version: "2.4.1".parse().unwrap(),
        reason: "the disk is larger now".to_owned(),
        ticket: ticket.clone(),
    });
    let order = CollectOrder {
        number: 5,
        reason: "to see why 2.4.1 fails".to_owned(),
        ticket,
        expires: at("2026-06-09T08:15:00Z"),
    };
    let asked = |consent, is_approved| {
        let collection = Some(CollectionRequest { order: order.clone(), consent, is_approved });
        let shown = shown(&Status { collection, ..status.clone() });
        let begin = shown.find("To be tried again").unwrap();
        shown[begin..].split("Withheld").next().unwrap().to_owned()
    };
    insta::assert_snapshot!(asked(CollectConsent::Ask, false), @r"
    To be tried again: 2.4.1 (order 4, SUP-7: the disk is larger now)
    Support asks for a bundle until 2026-06-09T08:15:00Z (order 5, SUP-7: to see why 2.4.1 fails); it
        waits for approval: `mainstay-agent collect --approve`, and `collect --output FILE` shows it
    ");
    assert!(asked(CollectConsent::Ask, true).contains("at the next check"));
    assert!(asked(CollectConsent::Allow, false).contains("at the next check"));
    assert!(asked(CollectConsent::Forbid, false).contains("forbid it"));
}

#[test]
fn what_an_update_waits_for_is_said() {
    let waits = |change: &dyn Fn(&mut Offer)| {
        let mut status = offered();
        change(status.offer.as_mut().unwrap());
        let document = Document::of_status(&status).status.unwrap();
        let offered = document.offered.clone().unwrap();
        (offered.waits_for, offer(&document))
    };
    let consents = crate::client::settings::Consents::default();
    let by_hand = crate::client::settings::Consents {
        bugfix: crate::client::settings::Consent::Off,
        ..consents
    };
    let ask = crate::client::settings::Consents {
        bugfix: crate::client::settings::Consent::Ask,
        ..consents
    };
    let open = crate::client::settings::Opening::Open;
    let (found, text) = waits(&|offer| offer.step = step(&offer.action, consents, None, open));
    assert_eq!(found, None);
    insta::assert_snapshot!(text, @"Offered: update to 2.4.1 (bugfix); 2.4.1 is installed by the next update");
    let (found, text) = waits(&|offer| offer.step = step(&offer.action, ask, None, open));
    assert_eq!(found, Some(Waits::Approval));
    insta::assert_snapshot!(text, @"Offered: update to 2.4.1 (bugfix); 2.4.1 waits for approval: `mainstay-agent approve 2.4.1`");
    let (found, text) = waits(&|offer| offer.step = step(&offer.action, by_hand, None, open));
    assert_eq!(found, Some(Waits::Command));
    insta::assert_snapshot!(text, @"Offered: update to 2.4.1 (bugfix); 2.4.1 is installed by `mainstay-agent update` alone");
    let (found, text) = waits(&|offer| offer.probation = Some("2.4.0".parse().unwrap()));
    assert_eq!(found, Some(Waits::Confirmation));
    insta::assert_snapshot!(text, @"Offered: update to 2.4.1 (bugfix); 2.4.1 waits until 2.4.0 is confirmed or undone");
}

#[test]
fn everything_fits_on_one_screen() {
    for status in [fresh(), ordinary(), offered()] {
        let text = shown(&status);
        assert!(text.lines().count() <= ROWS, "{text}");
    }
    for status in [fresh(), ordinary(), offered(), troubled()] {
        let text = shown(&status);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    }
}

#[test]
fn a_line_is_broken_between_words_and_a_word_that_is_too_long_is_not() {
    let long = "x".repeat(COLUMNS_MAX + 1);
    let words = "word ".repeat(30);
    assert_eq!(wrapped("a short line"), ["a short line"]);
    let lines = wrapped(&format!("{words}{long} end"));
    assert_eq!(lines[0].split(' ').count(), (COLUMNS_MAX + 1) / 5);
    assert!(lines[1].starts_with("    word"), "{lines:?}");
    assert_eq!(lines[2..], [format!("    {long}"), "    end".to_owned()]);
}

#[test]
fn a_rollback_is_offered_with_its_reason() {
    let mut status = ordinary();
    let mut action = update();
    action["do"] = "rollback".into();
    action["order"] = json!({ "number": 3, "reason": "reports are slow" });
    let action: Action = serde_json::from_value(action).unwrap();
    let consents = crate::client::settings::Consents::default();
    let step = step(&action, consents, None, crate::client::settings::Opening::Open);
    status.offer = Some(Offer { action, probation: None, step });
    let document = Document::of_status(&status).status.unwrap();
    insta::assert_snapshot!(offer(&document), @"Offered: rollback to 2.4.1 (bugfix): reports are slow; 2.4.1 is installed by the next update");
}
