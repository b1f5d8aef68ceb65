use proptest::{prelude::*, sample::select};

use super::*;
use crate::policy::{
    RolloutRules,
    rollout::{Share, Threshold, Thresholds, Waves},
};

fn share(text: &str) -> Share {
    text.parse().unwrap()
}

fn usual() -> Terms {
    RolloutRules::default().terms
}

fn bad(text: &str) -> FailureModel {
    FailureModel::bad(share(text), share("0.2%"))
}

fn live(fleet: &Fleet) -> u32 {
    (0..fleet.machines).fold(0, |sum, machine| sum + u32::from(!fleet.is_dead(machine)))
}

/// The promise of the manual, at a size at which it is to be kept always.
#[test]
fn by_the_usual_terms_a_release_that_fails_on_5_percent_is_stopped_before_2_percent_have_it() {
    for (machines, runs) in [(20_000, 12), (100_000, 2)] {
        let courses = Courses::of(&usual(), Fleet::new(1, machines), &bad("5%"), runs).unwrap();
        assert_eq!((courses.paused, courses.in_time), (runs, runs), "{machines}: {courses:?}");
    }
}

#[test]
fn by_the_usual_terms_a_good_release_is_rarely_paused() {
    let good = FailureModel::good(share("0.2%"));
    let courses = Courses::of(&usual(), Fleet::new(1, 1500), &good, 100).unwrap();
    assert!(courses.paused <= 1, "{courses:?}");
    assert_eq!(courses.held, 0);
}

/// A small fleet is not told much by 2 % of its machines, but what fails everywhere is seen at once.
#[test]
fn what_fails_everywhere_is_stopped_in_a_small_fleet_too() {
    let courses = Courses::of(&usual(), Fleet::new(1, 50), &bad("100%"), 20).unwrap();
    assert_eq!(courses.paused, 20);
    assert!(courses.reached.median <= 8, "{courses:?}");
}

#[test]
fn the_same_seed_gives_the_same_table_and_another_seed_another() {
    let terms = [usual(), Terms { waves: Waves::at_once(), ..usual() }];
    let table = |seed| compare(&terms, Fleet::new(seed, 2000), &bad("5%"), 3).unwrap();
    assert_eq!(table(7), table(7));
    assert_ne!(table(7), table(8));
}

#[test]
fn waves_keep_a_bad_release_from_machines() {
    let fleet = Fleet::new(3, 20_000);
    let reached = |waves: &str| {
        let terms = Terms { waves: waves.parse().unwrap(), ..usual() };
        run(&terms, &fleet, &bad("5%")).unwrap().reached
    };
    let (everybody, tenth, hundredth) =
        (reached("last"), reached("10%:1d,last"), reached("1%:1d,last"));
    assert!(everybody > 2 * tenth && tenth > hundredth, "{everybody}, {tenth}, {hundredth}");
}

#[test]
fn a_release_that_silences_machines_is_held_by_the_successes_alone() {
    let failure = FailureModel { manner: Manner::Silent, ..bad("30%") };
    let fleet = Fleet::new(3, 5000);
    let terms = usual();
    let without = Thresholds { success: None, ..terms.thresholds };
    let course = run(&Terms { thresholds: without, ..terms.clone() }, &fleet, &failure).unwrap();
    assert_eq!((course.end, course.reached), (End::Spread, live(&fleet)));

    let success = Some(Threshold { share: share("90%"), tried_min: 20.try_into().unwrap() });
    let with = Thresholds { success, ..terms.thresholds };
    let course = run(&Terms { thresholds: with, ..terms }, &fleet, &failure).unwrap();
    assert_eq!(course.end, End::Held);
    assert!(course.reached < 500, "{course:?}");
}

#[test]
fn a_fleet_is_made_as_it_is_described() {
    let fleet = Fleet::new(11, 100_000);
    let count = |is_such: &dyn Fn(u32) -> bool| {
        (0..fleet.machines).filter(|machine| is_such(*machine)).count()
    };
    let dead = count(&|it| fleet.is_dead(it));
    assert!((1800..2200).contains(&dead), "{dead}");
    let cut_off = count(&|it| fleet.is_cut_off(it, 5000));
    assert!((2250..2750).contains(&cut_off), "half of 5 %: {cut_off}");
    let early = count(&|it| fleet.ring(it) == crate::policy::Ring::Early);
    assert!((330..470).contains(&early), "{early}");

    let mut sum = 0;
    for (name, of_hundred) in PLATFORMS {
        let platform = name.parse().unwrap();
        let found = count(&|it| fleet.is_of(it, &platform));
        let expected = 1000 * of_hundred as usize;
        assert!(found.abs_diff(expected) < 500, "{name}: {found}");
        sum += found;
    }
    assert_eq!(sum, 100_000, "each machine is of one platform");
}

#[test]
fn a_release_that_is_bad_on_one_platform_fails_there_and_nowhere_else() {
    let platform = "windows-x86_64".parse().unwrap();
    let failure = FailureModel { platform: Some(platform), ..bad("100%") };
    let fleet = Fleet::new(11, 20_000);
    let platform = failure.platform.as_ref().unwrap();
    let (mut there, mut elsewhere) = (0, 0);
    for machine in 0..fleet.machines {
        let has_failed = failure.fate(&fleet, machine) == Fate::Fails;
        if fleet.is_of(machine, platform) {
            assert!(has_failed);
            there += 1;
        } else {
            elsewhere += u32::from(has_failed);
        }
    }
    assert!(there > 5000 && (5..80).contains(&elsewhere), "{there}, {elsewhere}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, cases: 48, ..ProptestConfig::default()
    })]

    /// Whatever the terms and the failures: who is reached is alive and is counted once, and only a
    /// rollout that is stopped leaves somebody out.
    #[test]
    fn a_course_adds_up(
        seed: u64,
        machines in 1..400_u32,
        waves in select(vec!["last", "early:4h,1%:12h,10%:1d,100%", "50%:1h,100%", "canaries:1h,last"]),
        failing in select(vec!["0.01%", "5%", "60%"]),
        manner in select(vec![Manner::Reported, Manner::Silent]),
        success in prop::option::of(select(vec!["50%", "99%"])),
    ) {
        let fleet = Fleet::new(seed, machines);
        let success = success.map(|text| Threshold {
            share: share(text),
            tried_min: 5.try_into().unwrap(),
        });
        let thresholds = Thresholds { success, ..usual().thresholds };
        let terms = Terms { waves: waves.parse().unwrap(), thresholds, ..usual() };
        let failure = FailureModel { manner, ..bad(failing) };
        let course = run(&terms, &fleet, &failure).unwrap();
        prop_assert_eq!(course, run(&terms, &fleet, &failure).unwrap());
        prop_assert!(course.reached <= live(&fleet));
        match course.end {
            End::Spread => prop_assert_eq!(course.reached, live(&fleet)),
            End::Held => prop_assert!(success.is_some()),
            End::Paused => prop_assert!(course.reached >= 3, "three must have failed"),
        }
    }

    /// Without thresholds nothing stops a release.
    #[test]
    fn without_thresholds_everybody_is_reached(seed: u64, machines in 1..400_u32) {
        let fleet = Fleet::new(seed, machines);
        let terms = Terms { thresholds: Thresholds::default(), ..usual() };
        let course = run(&terms, &fleet, &bad("100%")).unwrap();
        prop_assert_eq!((course.end, course.reached), (End::Spread, live(&fleet)));
    }
}
