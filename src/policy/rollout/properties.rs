//! The promises to machines, whatever the terms and whatever is done.

use proptest::{prelude::*, sample::select};

use super::{
    tests::{hour, terms},
    *,
};

const RINGS: [Ring; 4] = [Ring::Preview, Ring::Early, Ring::General, Ring::Last];

fn waves() -> impl Strategy<Value = String> {
    let soak = || 0..40_u32;
    let early = select(vec!["", "canaries", "preview", "canaries,early", "early"]);
    (
        early,
        prop::collection::btree_set(1..=10_000_u16, 0..5),
        any::<bool>(),
        prop::collection::vec(soak(), 12),
    )
        .prop_map(|(early, shares, to_last, soaks)| {
            let early = early.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
            let shares =
                shares.into_iter().filter_map(Share::of_basis_points).map(|it| it.to_string());
            let last = to_last.then(|| "last".to_owned());
            let waves: Vec<_> = early.chain(shares).chain(last).collect();
            let waves = if waves.is_empty() { vec!["10%".to_owned()] } else { waves };
            let waves =
                waves.into_iter().zip(soaks).map(|(reach, soak)| format!("{reach}:{soak}h"));
            waves.collect::<Vec<_>>().join(",")
        })
}

fn schedule() -> impl Strategy<Value = Option<Schedule>> {
    let hours = select(vec!["mon-thu, fri 00:00-16:00", "tue 09:00-17:00", "mon-sun 06:00-07:00"]);
    prop::option::of(hours).prop_map(|hours| {
        hours.map(|hours| Schedule {
            zone: "Europe/Berlin".parse().unwrap(),
            open: hours.parse().unwrap(),
        })
    })
}

fn agreed() -> impl Strategy<Value = Terms> {
    let threshold = || {
        let share = (1..=10_000_u16).prop_map(|share| Share::of_basis_points(share).unwrap());
        let tried_min = (1..20_u32).prop_map(|min| min.try_into().unwrap());
        prop::option::of(
            (share, tried_min).prop_map(|(share, tried_min)| Threshold { share, tried_min }),
        )
    };
    let failed_min = (1..4_u32).prop_map(|min| min.try_into().unwrap());
    (waves(), schedule(), threshold(), failed_min, threshold()).prop_map(
        |(waves, schedule, failure, failed_min, success)| Terms {
            schedule,
            thresholds: Thresholds {
                failure: failure.map(|Threshold { share, tried_min }| FailureThreshold {
                    share,
                    tried_min,
                    failed_min,
                }),
                success,
            },
            ..terms(&waves)
        },
    )
}

/// What happens to a rollout.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Step(RolloutStep),
    Told(Outcomes),
}

/// Happenings, each so many hours after the one before.
fn happenings() -> impl Strategy<Value = Vec<(i64, Happening)>> {
    let steps =
        vec![RolloutStep::Approve, RolloutStep::Pause, RolloutStep::Resume, RolloutStep::Finish];
    let told = (0..40_u64, 0..40_u64, 0..40_u64).prop_map(|(succeeded, failed, more)| {
        Happening::Told(Outcomes { tried: succeeded + failed + more, succeeded, failed })
    });
    let happening = prop_oneof![2 => select(steps).prop_map(Happening::Step), 3 => told];
    prop::collection::vec((0..60_i64, happening), 0..8)
}

fn machine(number: u32) -> MachineName {
    format!("m-{number:012x}").parse().unwrap()
}

fn is_admitted(rollout: &Rollout, number: u32, ring: Ring, told: Acquaintance, at: i64) -> bool {
    let (machine, customer) = (machine(number), "globex".parse().unwrap());
    let applicant = Applicant { machine: &machine, customer: &customer, ring, acquaintance: told };
    let (product, version) = ("demo".parse().unwrap(), "1.0.1".parse().unwrap());
    admission(rollout, (&product, &version), applicant, hour(at)) == Admission::Admitted
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever was told of a release may have it for ever after, but for pauses; and a machine that
    /// waits was not admitted before, but for closed hours.
    #[test]
    fn who_is_admitted_stays_so(
        terms in agreed(),
        happenings in happenings(),
        number in any::<u32>(),
        ring in select(RINGS.to_vec()),
    ) {
        let mut rollout = Rollout::new(terms, RolloutState::Running, hour(0));
        let (mut at, mut was_admitted) = (0, false);
        for (hours, happening) in happenings {
            for later in at..=at + hours {
                let told = if was_admitted { Acquaintance::Offered } else { Acquaintance::None };
                let now_admitted = is_admitted(&rollout, number, ring, told, later);
                let pauses = rollout.state == RolloutState::Paused;
                prop_assert!(now_admitted || !was_admitted || pauses, "at {later}: {rollout:?}");
                prop_assert!(!pauses || !now_admitted, "nobody new in a pause");
                prop_assert!(is_admitted(&rollout, number, ring, Acquaintance::Had, later));
                was_admitted |= now_admitted;
            }
            at += hours;
            let after = match happening {
                Happening::Step(step) => rollout.after(step, Outcomes::default(), hour(at)),
                Happening::Told(outcomes) => rollout.heed(outcomes, hour(at)),
            };
            rollout = after.unwrap_or(rollout);
        }
    }

    /// Between its turns a rollout reaches whom it reached, with the same words.
    #[test]
    fn time_alone_changes_nothing_between_turns(
        terms in agreed(),
        happenings in happenings(),
        number in any::<u32>(),
        ring in select(RINGS.to_vec()),
        minutes in prop::collection::vec(0..6000_i64, 20),
    ) {
        let mut rollout = Rollout::new(terms, RolloutState::Running, hour(0));
        let mut at = 0;
        for (hours, happening) in happenings {
            at += hours;
            let after = match happening {
                Happening::Step(step) => rollout.after(step, Outcomes::default(), hour(at)),
                Happening::Told(outcomes) => rollout.heed(outcomes, hour(at)),
            };
            rollout = after.unwrap_or(rollout);
        }
        let (machine, customer) = (machine(number), "globex".parse().unwrap());
        let (product, version) = ("demo".parse().unwrap(), "1.0.1".parse().unwrap());
        let found_at = |now| [Acquaintance::None, Acquaintance::Offered].map(|acquaintance| {
            let applicant = Applicant { machine: &machine, customer: &customer, ring, acquaintance };
            admission(&rollout, (&product, &version), applicant, now)
        });
        let minute = |minutes| hour(at) + jiff::SignedDuration::from_mins(minutes);
        for now in minutes.iter().map(|minutes| minute(*minutes)) {
            let turn = rollout.next_turn(now).unwrap_or(minute(9000));
            let later = minutes.iter().map(|minutes| minute(*minutes));
            let last = turn - jiff::SignedDuration::from_secs(1);
            for later in later.chain([last]).filter(|later| now < *later && *later < turn) {
                prop_assert_eq!(found_at(later), found_at(now), "{} and {}: {:?}", now, later, rollout);
            }
        }
    }

    /// A larger share has everybody whom a smaller one has.
    #[test]
    fn raising_the_share_drops_no_machine(
        shares in [1..=10_000_u16, 1..=10_000_u16],
        number in any::<u32>(),
    ) {
        let [one, other] = shares.map(|share| {
            let share = Share::of_basis_points(share).unwrap();
            let rollout = Rollout::new(terms(&format!("{share}:1h")), RolloutState::Running, hour(0));
            is_admitted(&rollout, number, Ring::General, Acquaintance::None, 0)
        });
        let [less, more] = if shares[0] <= shares[1] { [one, other] } else { [other, one] };
        prop_assert!(more || !less);
    }

    /// Whenever a machine of a later ring may have a release, all of the earlier ones may.
    #[test]
    fn earlier_rings_are_never_after_later_ones(
        terms in agreed(),
        numbers in [any::<u32>(), any::<u32>()],
        at in 0..400_i64,
    ) {
        let rollout = Rollout::new(terms, RolloutState::Running, hour(0));
        for (earlier, ring) in RINGS.iter().enumerate() {
            for later in &RINGS[earlier + 1..] {
                let admitted = |number, ring| is_admitted(&rollout, number, ring, Acquaintance::None, at);
                prop_assert!(admitted(numbers[0], *ring) || !admitted(numbers[1], *later));
            }
        }
    }

    /// What a machine is told of its wave comes true, if nothing comes in between.
    #[test]
    fn waves_begin_when_it_was_said(terms in agreed(), number in any::<u32>(), ring in select(RINGS.to_vec())) {
        let rollout = Rollout::new(terms, RolloutState::Running, hour(0));
        let openings = rollout.openings();
        prop_assert!(openings.is_sorted());
        for (wave, opening) in openings.iter().enumerate() {
            let opening = opening.unwrap();
            let before = opening.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap();
            prop_assert!(rollout.waves_begun(before) <= wave);
            prop_assert!(rollout.waves_begun(opening) > wave);
            prop_assert!(rollout.terms.schedule.as_ref().is_none_or(|it| it.is_open(opening)));
        }
        let (machine, customer) = (machine(number), "globex".parse().unwrap());
        let acquaintance = Acquaintance::None;
        let applicant = Applicant { machine: &machine, customer: &customer, ring, acquaintance };
        let (product, version) = ("demo".parse().unwrap(), "1.0.1".parse().unwrap());
        let release = (&product, &version);
        if let Some(wave) = wave_of(&rollout.terms, release, applicant) {
            let opening = openings[wave].unwrap();
            prop_assert_eq!(admission(&rollout, release, applicant, opening), Admission::Admitted);
        } else {
            let late = hour(100_000);
            let waits = Admission::Waits(Wait::Finish);
            prop_assert_eq!(admission(&rollout, release, applicant, late), waits);
        }
    }
}

/// Of 20,000 machines the share is what was asked for, within five standard deviations.
#[test]
fn the_share_of_many_machines_is_close_to_what_was_asked_for() {
    const MACHINES: u32 = 20_000;
    for share in ["0.5%", "1%", "10%", "50%", "99%"] {
        let rollout = Rollout::new(terms(&format!("{share}:1h")), RolloutState::Running, hour(0));
        let admitted = (0..MACHINES)
            .filter(|number| is_admitted(&rollout, *number, Ring::General, Acquaintance::None, 0))
            .count();
        let share = f64::from(share.parse::<Share>().unwrap().basis_points()) / 10_000.0;
        let machines = f64::from(MACHINES);
        let deviation = (machines * share * (1.0 - share)).sqrt();
        let off = (f64::from(u32::try_from(admitted).unwrap()) - machines * share).abs();
        assert!(off < 5.0 * deviation, "{share}: {admitted} of {MACHINES}");
    }
}

/// It is not the same machines that are first each time.
#[test]
fn another_release_begins_with_other_machines() {
    let first = |version: &str| -> BTreeSet<u32> {
        let (product, version) = ("demo".parse().unwrap(), version.parse().unwrap());
        (0..2000)
            .filter(|number| {
                needed_share(&product, &version, &machine(*number)).basis_points() <= 1000
            })
            .collect()
    };
    let (one, other) = (first("1.0.1"), first("1.0.2"));
    let both = one.intersection(&other).count();
    assert!(both < one.len() / 3, "{both} of {}", one.len());
}
