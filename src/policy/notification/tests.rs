use serde_json::json;

use super::*;
use crate::policy::contract::Term;

fn day(days: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + 86_400 * days).unwrap()
}

fn machine_news() -> MachineNews {
    MachineNews {
        machine: "m-1".parse().unwrap(),
        host: "db-7".to_owned(),
        customer: "acme".parse().unwrap(),
        contract: "acme-2026".parse().unwrap(),
        product: "acme-db".parse().unwrap(),
        kind: EventKind::Undone,
        automatic: true,
        from: Some("1.0.0".parse().unwrap()),
        to: "1.0.1".parse().unwrap(),
        order: None,
        event: 4,
        detail: "the health check failed".to_owned(),
    }
}

fn told(occasion: Occasion) -> Notification {
    Notification { timestamp: day(0), occasion }
}

#[test]
fn the_body_has_type_timestamp_and_data() {
    let notification = told(Occasion::RolledBack(machine_news()));
    let body = serde_json::to_value(&notification).unwrap();
    let expected = json!({
        "type": "machine.rolled_back",
        "timestamp": "2026-09-21T14:13:20Z",
        "data": {
            "machine": "m-1",
            "host": "db-7",
            "customer": "acme",
            "contract": "acme-2026",
            "product": "acme-db",
            "kind": "undone",
            "automatic": true,
            "from": "1.0.0",
            "to": "1.0.1",
            "order": null,
            "event": 4,
            "detail": "the health check failed",
        },
    });
    assert_eq!(body, expected);
    assert_eq!(serde_json::from_value::<Notification>(body).unwrap(), notification);
}

#[test]
fn an_identifier_is_that_of_the_occasion() {
    let one = told(Occasion::RolledBack(machine_news()));
    let next = told(Occasion::RolledBack(MachineNews { event: 5, ..machine_news() }));
    assert_eq!(one.id().unwrap(), one.clone().id().unwrap());
    assert_ne!(one.id().unwrap(), next.id().unwrap());
    assert!(one.id().unwrap().starts_with("msg_") && one.id().unwrap().len() == 36);
}

#[test]
fn each_type_has_one_name() {
    for kind in NotificationType::ALL {
        assert_eq!(kind.as_str().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    let refused = "machine.*".parse::<NotificationType>().unwrap_err();
    assert!(refused.contains("expected one of machine.update_failed"), "{refused}");
    let notification = told(Occasion::UpdateFailed(machine_news()));
    let body = serde_json::to_value(&notification).unwrap();
    assert_eq!(body["type"], notification.kind().as_str());
}

#[test]
fn an_interest_names_types_a_product_and_a_customer() {
    let failed = told(Occasion::UpdateFailed(machine_news()));
    let paused = told(Occasion::RolloutPaused(RolloutNews {
        product: "acme-db".parse().unwrap(),
        version: "1.0.1".parse().unwrap(),
        automatic: true,
        failed: 3,
        tried: 20,
        reason: "too many machines failed".to_owned(),
    }));
    let everything = Interest::default();
    let of_type =
        Interest { types: [NotificationType::UpdateFailed].into(), ..Interest::default() };
    let of_product = Interest { product: Some("acme-db".parse().unwrap()), ..Interest::default() };
    let of_other_product =
        Interest { product: Some("other".parse().unwrap()), ..Interest::default() };
    let of_customer = Interest { customer: Some("acme".parse().unwrap()), ..Interest::default() };
    let of_other_customer =
        Interest { customer: Some("globex".parse().unwrap()), ..Interest::default() };
    for (interest, in_failed, in_paused) in [
        (&everything, true, true),
        (&of_type, true, false),
        (&of_product, true, true),
        (&of_other_product, false, false),
        (&of_customer, true, false),
        (&of_other_customer, false, false),
    ] {
        assert_eq!(interest.includes(&failed), in_failed, "{interest:?}");
        assert_eq!(interest.includes(&paused), in_paused, "{interest:?}");
    }
}

fn contract(end: Timestamp) -> Contract {
    let text = r#"{"products": ["demo"], "channels": ["bugfix"], "base_line": "2.4", "terms": []}"#;
    let contract: Contract = serde_json::from_str(text).unwrap();
    Contract { terms: vec![Term { start: day(-999), end }], ..contract }
}

/// The marks in the order in which a daily look meets them for the first time.
fn marks(due: impl Fn(Timestamp) -> Vec<Due>) -> Vec<(i64, String)> {
    let mut marks: Vec<(i64, String)> = Vec::new();
    for days in -200..100 {
        for Due { mark, notification } in due(day(days)) {
            assert_eq!(notification.timestamp, day(days));
            if marks.iter().all(|(_, known)| *known != mark) {
                marks.push((days, mark));
            }
        }
    }
    marks
}

#[test]
fn a_contracts_end_is_told_at_each_step_and_not_long_afterwards() {
    let (name, customer) = ("c".parse().unwrap(), "acme".parse().unwrap());
    let due = |contract: &Contract, now| of_contract((&name, &customer), contract, now);
    let contract = contract(day(0));
    let told = marks(|now| due(&contract, now).into_iter().collect());
    let expected = [(-90, 90), (-30, 30), (0, 0)];
    let mark = |(days, step)| (days, format!("contract/c/2026-09-21T14:13:20Z/{step}"));
    assert_eq!(told, expected.map(mark));
    assert!(due(&contract, day(29)).is_some() && due(&contract, day(30)).is_none());
}

#[test]
fn a_lines_ends_are_told_at_each_step() {
    let (product, line) = ("demo".parse().unwrap(), "2.4".parse().unwrap());
    let line = Line { line, ga: None, eos: Some(day(0)), eol: Some(day(1)) };
    let told = marks(|now| of_line(&product, &line, now));
    let expected = [
        (-180, "eos", 0, 180),
        (-179, "eol", 1, 180),
        (-90, "eos", 0, 90),
        (-89, "eol", 1, 90),
        (-30, "eos", 0, 30),
        (-29, "eol", 1, 30),
        (0, "eos", 0, 0),
        (1, "eol", 1, 0),
    ];
    let mark = |(days, what, at, step)| (days, format!("{what}/demo/2.4/{}/{step}", day(at)));
    assert_eq!(told, expected.map(mark));
}

#[test]
fn what_a_machine_reports_is_told_where_it_went_wrong() {
    let kind = |kind, order| {
        let news = MachineNews { kind, order, automatic: false, ..machine_news() };
        of_machine(news, day(0)).map(|told| {
            let (Occasion::UpdateFailed(news) | Occasion::RolledBack(news)) = &told.occasion else {
                panic!("{told:?}")
            };
            (told.kind(), news.automatic)
        })
    };
    let (failed, back) = (NotificationType::UpdateFailed, NotificationType::RolledBack);
    for (event, order, expected) in [
        (EventKind::Undone, None, Some((back, true))),
        (EventKind::Undone, Some(1), Some((failed, false))),
        (EventKind::RolledBack, Some(1), Some((back, false))),
        (EventKind::RolledBack, None, Some((back, false))),
        (EventKind::Interrupted, None, Some((failed, false))),
        (EventKind::Refused, None, Some((failed, false))),
        (EventKind::Lost, None, Some((failed, false))),
        (EventKind::Installed, None, None),
        (EventKind::Confirmed, None, None),
        (EventKind::Deferred, None, None),
        (EventKind::MadeRoom, None, None),
        (EventKind::Unblocked, None, None),
        (EventKind::Retried, Some(1), None),
    ] {
        assert_eq!(kind(event, order), expected, "{event:?} {order:?}");
    }
}
