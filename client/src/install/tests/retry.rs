use super::*;
use crate::format::RetryOrder;

fn retry(number: u64, text: &str) -> RetryOrder {
    let (reason, ticket) = ("the disk is larger now".to_owned(), Some("SUP-7".to_owned()));
    RetryOrder { number, version: version(text), reason, ticket }
}

fn failing(text: &str) -> Release {
    release(text).checked("exit 3")
}

#[test]
fn an_order_lifts_the_block_once_and_says_so() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    installation.update(&failing("1.1.0"));
    installation.delivered(u64::MAX).unwrap();

    installation.retry(&retry(7, "1.1.0")).unwrap();
    assert_eq!(installation.record().block(&version("1.1.0")), None);
    let [event] = installation.events() else { panic!("{:?}", installation.events()) };
    assert_eq!((event.kind, event.order), (EventKind::Retried, Some(7)));
    for part in ["order 7 (SUP-7): the disk is larger now", "blocked until now", "exit status: 3"] {
        assert!(event.detail.contains(part), "{part} in {}", event.detail);
    }
    // It fails again, and is blocked again: the same order does not lift that, nor does an older one.
    installation.update(&failing("1.1.0"));
    for number in [7, 6, 0] {
        installation.retry(&retry(number, "1.1.0")).unwrap();
        assert!(installation.record().block(&version("1.1.0")).is_some());
    }
    drop(installation);
    let mut installation = machine.open();
    installation.retry(&retry(7, "1.1.0")).unwrap();
    assert!(installation.record().block(&version("1.1.0")).is_some());
    installation.retry(&retry(8, "1.1.0")).unwrap();
    installation.update(&release("1.1.0"));
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
}

#[test]
fn a_version_that_is_not_blocked_is_told_of_and_not_counted() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    installation.delivered(u64::MAX).unwrap();
    installation.retry(&retry(1, "1.1.0")).unwrap();
    let [event] = installation.events() else { panic!("{:?}", installation.events()) };
    assert!(event.detail.contains("was not blocked"), "{}", event.detail);
    installation.forget_retry_orders().unwrap();
    let journal = fs::read_to_string(machine.layout().journal()).unwrap();
    assert!(!journal.contains("retries"), "{journal}");
}

/// What a thief of the key that signs plans can do: have a bad release tried a few times.
#[test]
fn a_version_is_not_tried_again_for_ever_unless_somebody_at_the_machine_says_so() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    installation.update(&failing("1.1.0"));
    let max = u64::from(Limits::default().retries_max);
    for number in 1..=max {
        installation.retry(&retry(number, "1.1.0")).unwrap();
        installation.update(&failing("1.1.0"));
    }
    // Another director begins anew with its numbers, and not with what was counted.
    installation.forget_retry_orders().unwrap();
    installation.delivered(u64::MAX).unwrap();
    installation.retry(&retry(1, "1.1.0")).unwrap();
    let [event] = installation.events() else { panic!("{:?}", installation.events()) };
    assert_eq!((event.kind, event.order), (EventKind::Refused, Some(1)));
    assert!(event.detail.contains("mainstay-agent unblock 1.1.0"), "{}", event.detail);
    assert!(installation.record().block(&version("1.1.0")).is_some());

    installation.unblock(&version("1.1.0")).unwrap();
    installation.update(&failing("1.1.0"));
    installation.retry(&retry(2, "1.1.0")).unwrap();
    assert_eq!(installation.record().block(&version("1.1.0")), None);
}
