//! What technicians want of a machine: orders to go back, holds, blocks and pins.

use super::*;

#[test]
fn an_order_is_carried_out_and_nothing_else_meanwhile() {
    let resolution = scene(Some("1.0.2"), &["1.0.1", "1.0.2", "1.0.3"])
        .with_machine(|machine| machine.rollback = Some(version("1.0.1")))
        .expect(&rollback("1.0.1"), &[("1.0.3", "HELD")]);
    assert_eq!(resolution.order_refusal, None);
    let sentence = "Updates of this machine are on hold: a rollback to 1.0.1 is pending.";
    assert_eq!(resolution.withheld.first().unwrap().sentence, sentence);
}

#[test]
fn a_hold_does_not_stop_an_order() {
    scene(Some("1.0.2"), &["1.0.1", "1.0.2"])
        .with_machine(|machine| {
            machine.rollback = Some(version("1.0.1"));
            machine.hold = Some("until Monday".to_owned());
        })
        .expect(&rollback("1.0.1"), &[]);
}

#[test]
fn an_order_that_cannot_be_carried_out_says_why() {
    let ordered = |to: &str| {
        scene(Some("1.0.2"), &["1.0.0", "1.0.1", "1.0.2", "1.0.3"])
            .with_machine(|machine| machine.rollback = Some(version(to)))
    };
    let refusal = |scene: Scene| {
        let resolution = scene.expect(&Action::Stay, &[("1.0.3", "HELD")]);
        resolution.order_refusal.unwrap().to_string()
    };
    let refused =
        |to: &str, why: &str| format!("The order to go back to {to} is not carried out: {why}.");
    assert_eq!(
        refusal(ordered("1.0.2")),
        refused("1.0.2", "it is not below what runs, which is 1.0.2")
    );
    assert_eq!(
        refusal(ordered("1.0.3")),
        refused("1.0.3", "it is not below what runs, which is 1.0.2")
    );
    assert_eq!(refusal(ordered("0.5.0")), refused("0.5.0", "the release is denied (NOT_FOUND)"));
    let revoked =
        ordered("1.0.1").with_release("1.0.1", |release| release.status = Status::Revoked);
    assert_eq!(refusal(revoked), refused("1.0.1", "the release is denied (REVOKED)"));
    let floored = ordered("1.0.0").with_machine(|m| m.floor = Some(version("1.0.1")));
    assert_eq!(refusal(floored), refused("1.0.0", "the vendor allows no version below 1.0.1"));
    let strange = ordered("1.0.1").with_offer("1.0.1", |offer| offer.listing = Listing::Archive);
    let text = "it is retired, and only machines that ran it before can go back to it";
    assert_eq!(refusal(strange), refused("1.0.1", text));
    let foreign = ordered("1.0.1").with_offer("1.0.1", |offer| offer.platforms.clear());
    assert_eq!(refusal(foreign), refused("1.0.1", "it is not made for linux-x86_64"));
    let fresh = ordered("1.0.1").with_machine(|machine| machine.running = None);
    let refusal = fresh.resolution().order_refusal.unwrap().to_string();
    assert_eq!(refusal, refused("1.0.1", "it is not below what runs, which is nothing"));
}

#[test]
fn a_block_ends_where_it_says() {
    scene(Some("1.0.1"), &["1.0.1", "1.0.2", "1.0.3", "1.0.4"])
        .with_machine(|machine| machine.blocks.push(block(Some("1.0.1"), "1.0.3")))
        .expect(&update("1.0.4"), &[("1.0.2", "BLOCKED"), ("1.0.3", "BLOCKED")]);
    scene(Some("1.0.0"), &["1.0.1", "1.0.2", "1.0.3"])
        .with_machine(|machine| machine.blocks.push(block(Some("1.0.1"), "1.0.3")))
        .expect(&update("1.0.1"), &[("1.0.2", "BLOCKED"), ("1.0.3", "BLOCKED")]);
    scene(Some("1.0.0"), &["1.0.1", "1.0.2", "1.0.3"])
        .with_machine(|machine| machine.blocks.push(block(None, "1.0.3")))
        .expect(&update("1.0.2"), &[("1.0.3", "BLOCKED")]);
}

#[test]
fn a_pin_leads_to_one_version_and_nowhere_else() {
    scene(Some("1.0.0"), &["1.0.1", "1.0.2", "1.0.3"])
        .with_machine(|machine| machine.pin = Some(pin("1.0.2")))
        .expect(&update("1.0.2"), &[("1.0.3", "PINNED")]);
    // A stop on the way is passed, and another version is not taken for the one wanted.
    let stop = || {
        let scene = scene(Some("1.0.0"), &["1.0.1", "1.0.2", "1.0.3"]);
        scene.with_min_from("1.0.3", "1.0.2").with_machine(|it| it.pin = Some(pin("1.0.3")))
    };
    stop().expect(&update("1.0.2"), &[]);
    let lost = [("1.0.1", "PINNED"), ("1.0.2", "PINNED"), ("1.0.3", "PLATFORM")];
    stop().with_offer("1.0.3", |offer| offer.platforms.clear()).expect(&Action::Stay, &lost);
    // On a fresh machine too; below what runs it keeps the machine where it is.
    scene(None, &["1.0.1", "1.0.2"])
        .with_machine(|machine| machine.pin = Some(pin("1.0.1")))
        .expect(&update("1.0.1"), &[("1.0.2", "PINNED")]);
    scene(Some("1.0.2"), &["1.0.1", "1.0.2", "1.0.3"])
        .with_machine(|machine| machine.pin = Some(pin("1.0.1")))
        .expect(&Action::Stay, &[("1.0.3", "PINNED")]);
}

proptest! {
    /// Whatever one version is taken out of: it alone is covered no more.
    #[test]
    fn one_version_is_lifted_out_of_a_block(
        over in prop::option::of(0_u64..12),
        through in 0_u64..12,
        lifted in 0_u64..12,
    ) {
        let patch = |number: u64| version(&format!("1.0.{number}"));
        let block = Block { over: over.map(patch), through: patch(through), reason: "x".to_owned() };
        let versions: Vec<Version> = (0..12).map(patch).collect();
        let parts = block.without(&patch(lifted), versions.iter());
        for version in &versions {
            let is_covered = parts.iter().any(|part| part.covers(version));
            prop_assert_eq!(is_covered, block.covers(version) && *version != patch(lifted));
        }
    }
}
