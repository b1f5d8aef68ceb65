//! What a machine gets that a rollout has not come to.

use super::*;

#[test]
fn outside_the_wave_a_machine_gets_the_one_before() {
    let resolution = scene(Some("1.0.0"), &["1.0.1", "1.0.2"])
        .with_offer("1.0.2", |offer| {
            let from = Some("2025-06-02T00:00:00Z".parse().unwrap());
            offer.admission = Admission::Waits(Wait::Wave { number: 2, of: 4, from });
        })
        .expect(&update("1.0.1"), &[("1.0.2", "ROLLOUT_WAIT")]);
    let sentence = "1.0.2 is being rolled out and has not come to this machine yet: this machine is \
                    in wave 2 of 4, which is to begin at 2025-06-02T00:00:00Z.";
    assert_eq!(resolution.withheld.first().unwrap().sentence, sentence);
}

#[test]
fn every_wait_says_what_it_waits_for() {
    let until = Some("2025-06-02T08:00:00Z".parse().unwrap());
    for (wait, expected) in [
        (Wait::Approval, ": it has to be approved first."),
        (
            Wait::Wave { number: 2, of: 3, from: None },
            ": this machine is in wave 2 of 3, which begins once enough machines have confirmed it.",
        ),
        (Wait::Finish, ": its waves do not reach this machine."),
        (
            Wait::Closed { until },
            ": nothing new is given out at this hour, until 2025-06-02T08:00:00Z.",
        ),
        (Wait::Closed { until: None }, ": nothing new is given out at this hour."),
        (Wait::Paused, ": it is paused."),
        (Wait::Withdrawn, ": it was withdrawn."),
        (Wait::Stopped, ": all updates of the product are stopped for now."),
    ] {
        let scene = scene(Some("1.0.0"), &["1.0.1"])
            .with_offer("1.0.1", |offer| offer.admission = Admission::Waits(wait));
        let resolution = scene.expect(&Action::Stay, &[("1.0.1", "ROLLOUT_WAIT")]);
        let sentence = &resolution.withheld.first().unwrap().sentence;
        assert!(sentence.ends_with(expected), "{wait:?}: {sentence}");
    }
}

#[test]
fn a_rollout_stands_in_no_orders_way() {
    scene(Some("1.0.1"), &["1.0.0", "1.0.1"])
        .with_offer("1.0.0", |offer| offer.admission = Admission::Waits(Wait::Stopped))
        .with_machine(|machine| machine.rollback = Some(version("1.0.0")))
        .expect(&rollback("1.0.0"), &[]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A machine that rollouts have not come to gets what it would get if there were no such releases:
    /// the last that was rolled out, and never nothing in its place.
    #[test]
    fn a_machine_that_waits_gets_what_was_there_before(
        world in world(),
        luck in prop::collection::vec(any::<Index>(), 16),
        waits in prop::collection::vec(any::<bool>(), 16),
        start in prop::option::of(any::<Index>()),
    ) {
        let (decisions, mut offers) = (world.decisions(), offers(&world, &luck));
        let running = start.map(|start| start.get(&world.releases).version.clone());
        let machine = Machine::new(running, "linux-x86_64".parse().unwrap());
        let waiting: BTreeSet<Version> = offers
            .keys()
            .zip(waits)
            .filter(|(_, waits)| *waits)
            .map(|(version, _)| version.clone())
            .collect();
        for version in &waiting {
            offers.get_mut(version).unwrap().admission = Admission::Waits(Wait::Paused);
        }
        let before: Vec<Release> =
            world.releases.iter().filter(|it| !waiting.contains(&it.version)).cloned().collect();
        let without: Vec<Decision> =
            decisions.iter().filter(|it| !waiting.contains(&it.version)).cloned().collect();
        let (all, fewer) = (world.catalogue(), {
            Catalogue::new("demo".parse().unwrap(), world.lines.clone(), before).unwrap()
        });
        let standing = |catalogue| Standing::new(&world.contract, catalogue, world.now);
        let waits = resolve(&standing(&all), &decisions, &offers, &machine);
        let expected = resolve(&standing(&fewer), &without, &offers, &machine);
        prop_assert_eq!(waits.action, expected.action);
        let listed = |version: &Version| waits.withheld.iter().any(|it| it.version == *version);
        for entry in expected.withheld {
            prop_assert!(listed(&entry.version));
        }
    }
}
