use std::num::NonZeroU32;

use jiff::SignedDuration;

use super::*;

/// The instant so many hours after a Monday's midnight.
pub(super) fn hour(hours: i64) -> Timestamp {
    let monday: Timestamp = "2026-05-04T00:00:00Z".parse().unwrap();
    monday.checked_add(SignedDuration::from_hours(hours)).unwrap()
}

pub(super) fn terms(waves: &str) -> Terms {
    Terms {
        waves: waves.parse().unwrap(),
        canaries: Canaries::default(),
        schedule: None,
        thresholds: Thresholds::default(),
    }
}

fn weekdays(waves: &str) -> Terms {
    let (zone, open) = ("UTC".parse().unwrap(), "mon-thu, fri 00:00-16:00".parse().unwrap());
    Terms { schedule: Some(Schedule { zone, open }), ..terms(waves) }
}

fn running(terms: Terms) -> Rollout {
    Rollout::new(terms, RolloutState::Running, hour(0))
}

fn outcomes(tried: u64, succeeded: u64, failed: u64) -> Outcomes {
    Outcomes { tried, succeeded, failed }
}

fn after(rollout: &Rollout, step: RolloutStep, at: i64) -> Rollout {
    rollout.after(step, Outcomes::default(), hour(at)).unwrap()
}

/// A machine of `ring` of the customer `globex`.
fn ask(rollout: &Rollout, ring: Ring, acquaintance: Acquaintance, at: i64) -> Admission {
    let (machine, customer) = ("m-0123456789ab".parse().unwrap(), "globex".parse().unwrap());
    let applicant = Applicant { machine: &machine, customer: &customer, ring, acquaintance };
    let release = ("demo".parse().unwrap(), "1.0.1".parse().unwrap());
    admission(rollout, (&release.0, &release.1), applicant, hour(at))
}

fn begins(rollout: &Rollout) -> Vec<Option<Timestamp>> {
    rollout.openings()
}

fn at_hours(hours: &[i64]) -> Vec<Option<Timestamp>> {
    hours.iter().map(|hours| Some(hour(*hours))).collect()
}

#[test]
fn waves_begin_one_after_the_other() {
    let rollout = running(terms("1%:1h,10%:4h,100%:24h"));
    assert_eq!(begins(&rollout), at_hours(&[0, 1, 5, 29]));
    let begun: Vec<_> = [0, 1, 4, 5, 28, 29].map(|at| rollout.waves_begun(hour(at))).into();
    assert_eq!(begun, [1, 2, 2, 3, 3, 4]);
    assert!(!rollout.is_over(hour(52)));
    assert!(rollout.is_over(hour(53)), "the last wave is watched for a day");
}

#[test]
fn a_wave_that_is_due_on_friday_evening_begins_on_monday() {
    // Friday's 16:00 is hour 112, the next Monday hour 168.
    let rollout = running(weekdays("1%:100h,10%:20h,100%:1h"));
    assert_eq!(begins(&rollout), at_hours(&[0, 100, 168, 169]));
    assert_eq!(rollout.waves_begun(hour(167)), 2);
    assert_eq!(rollout.waves_begun(hour(168)), 3);
    let late = Rollout::new(weekdays("1%:1h,100%"), RolloutState::Running, hour(120));
    assert_eq!(begins(&late), at_hours(&[168, 169, 169]), "nor does the first one");
}

#[test]
fn a_pause_stops_the_time() {
    let rollout = running(terms("1%:10h,100%:10h"));
    let paused = after(&rollout, RolloutStep::Pause, 4);
    assert_eq!(begins(&paused), [Some(hour(0)), None, None]);
    assert_eq!(paused.waves_begun(hour(400)), 1);
    let resumed = after(&paused, RolloutStep::Resume, 100);
    assert_eq!(begins(&resumed), at_hours(&[0, 106, 116]));
    let again = after(&after(&resumed, RolloutStep::Pause, 103), RolloutStep::Resume, 200);
    assert_eq!(begins(&again), at_hours(&[0, 203, 213]));
}

#[test]
fn each_step_is_possible_in_some_states_alone() {
    use RolloutState::{AwaitingApproval, Finished, Paused, Running, Withdrawn};
    let states = [AwaitingApproval, Running, Paused, Finished, Withdrawn];
    for (step, possible) in [
        (RolloutStep::Approve, vec![(AwaitingApproval, Running)]),
        (RolloutStep::Pause, vec![(Running, Paused)]),
        (RolloutStep::Resume, vec![(Paused, Running)]),
        (RolloutStep::Finish, vec![(Running, Finished), (Paused, Finished)]),
        (
            RolloutStep::Withdraw,
            [AwaitingApproval, Running, Paused, Finished].map(|from| (from, Withdrawn)).into(),
        ),
    ] {
        for state in states {
            let rollout = Rollout::new(terms("10%:1h,100%"), state, hour(0));
            let after = rollout.after(step, Outcomes::default(), hour(1)).map(|it| it.state);
            let expected = possible.iter().find(|(from, _)| *from == state).map(|(_, to)| *to);
            assert_eq!(after, expected, "{step:?} while {state:?}");
        }
    }
}

#[test]
fn an_approved_rollout_begins_when_it_is_approved() {
    let waiting = Rollout::new(terms("1%:1h,100%"), RolloutState::AwaitingApproval, hour(0));
    assert_eq!(begins(&waiting), [None, None, None]);
    let waits = Admission::Waits(Wait::Approval);
    assert_eq!(ask(&waiting, Ring::Preview, Acquaintance::Wanted, 50), waits);
    assert_eq!(begins(&after(&waiting, RolloutStep::Approve, 7)), at_hours(&[7, 8, 8]));
}

#[test]
fn who_waits_is_told_what_for() {
    let wait = |rollout: &Rollout, ring, at| match ask(rollout, ring, Acquaintance::None, at) {
        Admission::Admitted => None,
        Admission::Waits(wait) => Some(wait),
    };
    let rollout = running(weekdays("canaries:1h,preview:1h,early:1h,100%:1h,last:1h"));
    let wave = |number, at| Some(Wait::Wave { number, of: 5, from: Some(hour(at)) });
    assert_eq!(wait(&rollout, Ring::Preview, 0), wave(2, 1));
    assert_eq!(wait(&rollout, Ring::Early, 1), wave(3, 2));
    assert_eq!(wait(&rollout, Ring::General, 2), wave(4, 3));
    assert_eq!(wait(&rollout, Ring::Last, 3), wave(5, 4));
    assert_eq!(wait(&rollout, Ring::Last, 4), None);
    let closed = Some(Wait::Closed { until: Some(hour(168)) });
    let slow = running(weekdays("100%:200h"));
    assert_eq!(wait(&slow, Ring::General, 111), None);
    assert_eq!(wait(&slow, Ring::General, 112), closed);
    assert_eq!(wait(&running(terms("early:1h")), Ring::General, 500), Some(Wait::Finish));
    assert_eq!(wait(&after(&rollout, RolloutStep::Pause, 9), Ring::Early, 9), Some(Wait::Paused));
    let withdrawn = after(&rollout, RolloutStep::Withdraw, 9);
    assert_eq!(wait(&withdrawn, Ring::Early, 9), Some(Wait::Withdrawn));
    assert_eq!(wait(&after(&rollout, RolloutStep::Finish, 0), Ring::Last, 0), None);
}

#[test]
fn what_was_offered_stays_so_out_of_hours_and_not_in_a_pause() {
    let rollout = running(weekdays("100%:200h"));
    assert_eq!(ask(&rollout, Ring::General, Acquaintance::Offered, 120), Admission::Admitted);
    let paused = after(&rollout, RolloutStep::Pause, 50);
    let waits = Admission::Waits(Wait::Paused);
    assert_eq!(ask(&paused, Ring::General, Acquaintance::Offered, 51), waits);
    for state in [&paused, &after(&rollout, RolloutStep::Withdraw, 50)] {
        assert_eq!(ask(state, Ring::Last, Acquaintance::Had, 51), Admission::Admitted);
    }
}

#[test]
fn canaries_are_first_whatever_their_ring() {
    let canaries = |json: &str| Terms {
        canaries: serde_json::from_str(json).unwrap(),
        ..terms("canaries:10h,preview:1h,100%")
    };
    let admitted = |terms: Terms, acquaintance| {
        ask(&running(terms), Ring::Last, acquaintance, 0) == Admission::Admitted
    };
    assert!(admitted(canaries(r#"{"machines":["m-0123456789ab"]}"#), Acquaintance::None));
    assert!(admitted(canaries(r#"{"customers":["globex"]}"#), Acquaintance::None));
    assert!(!admitted(canaries(r#"{"customers":["initech"]}"#), Acquaintance::None));
    assert!(admitted(canaries("{}"), Acquaintance::Wanted), "a technician wants it");
    assert_eq!(
        ask(&running(canaries("{}")), Ring::Preview, Acquaintance::None, 0),
        Admission::Waits(Wait::Wave { number: 2, of: 4, from: Some(hour(10)) })
    );
}

fn thresholds(failure: &str, success: Option<&str>) -> Thresholds {
    let threshold = |share: &str| Threshold {
        share: share.parse().unwrap(),
        tried_min: 10.try_into().unwrap(),
    };
    let Threshold { share, tried_min } = threshold(failure);
    let failure = FailureThreshold { share, tried_min, failed_min: NonZeroU32::MIN };
    Thresholds { failure: Some(failure), success: success.map(threshold) }
}

#[test]
fn failures_pause_and_are_not_held_against_it_once_it_was_resumed() {
    let rollout =
        running(Terms { thresholds: thresholds("20%", None), ..terms("1%:10h,100%:10h") });
    assert_eq!(rollout.heed(outcomes(9, 0, 9), hour(1)), None);
    assert_eq!(rollout.heed(outcomes(10, 9, 1), hour(1)), None);
    let paused = rollout.heed(outcomes(10, 8, 2), hour(4)).unwrap();
    assert_eq!((paused.state, paused.waves_begun(hour(99))), (RolloutState::Paused, 1));
    assert_eq!(paused.heed(outcomes(99, 0, 99), hour(5)), None, "it is paused already");

    let resumed = paused.after(RolloutStep::Resume, outcomes(12, 8, 4), hour(20)).unwrap();
    assert_eq!(begins(&resumed), at_hours(&[0, 26, 36]));
    assert_eq!(resumed.heed(outcomes(21, 15, 6), hour(21)), None, "nine have tried since");
    let again = resumed.heed(outcomes(22, 16, 6), hour(21)).unwrap();
    assert_eq!(again.state, RolloutState::Paused);
}

#[test]
fn failures_count_until_the_last_wave_was_watched() {
    let rollout =
        running(Terms { thresholds: thresholds("20%", None), ..terms("100%:1h,last:1h") });
    assert!(rollout.heed(outcomes(10, 0, 10), hour(1)).is_some());
    assert_eq!(rollout.heed(outcomes(10, 0, 10), hour(2)), None);
}

#[test]
fn too_few_successes_hold_the_next_wave_until_there_are_more() {
    let terms =
        Terms { thresholds: thresholds("50%", Some("90%")), ..terms("1%:10h,10%:10h,100%") };
    let rollout = running(terms);
    let held = rollout.heed(outcomes(10, 8, 0), hour(3)).unwrap();
    assert_eq!((held.state, held.waves_begun(hour(99))), (RolloutState::Running, 1));
    assert_eq!(begins(&held), [Some(hour(0)), None, None, None]);
    let wait = Wait::Wave { number: 4, of: 4, from: None };
    assert_eq!(ask(&held, Ring::Last, Acquaintance::None, 99), Admission::Waits(wait));
    assert_eq!(held.heed(outcomes(11, 8, 0), hour(5)), None, "it is held already");
    // Time has gone by meanwhile: the next wave begins at once, the one after that in its turn.
    let free = held.heed(outcomes(11, 10, 0), hour(50)).unwrap();
    assert_eq!(begins(&free), at_hours(&[0, 50, 60, 60]));
    // What has begun stays so.
    let held = free.heed(outcomes(20, 10, 0), hour(55)).unwrap();
    assert_eq!(held.waves_begun(hour(99)), 2);
    let paused = held.heed(outcomes(30, 10, 15), hour(56)).unwrap();
    assert_eq!(paused.state, RolloutState::Paused);
}

#[test]
fn a_clock_that_is_set_back_takes_nothing_back() {
    let rollout = running(terms("1%:10h,100%:10h"));
    let paused = after(&rollout, RolloutStep::Pause, 12);
    assert_eq!(paused.waves_begun(hour(12)), 2);
    let resumed = after(&paused, RolloutStep::Resume, 5);
    assert_eq!(resumed.waves_begun(hour(5)), 2);
    assert_eq!(begins(&resumed), at_hours(&[0, 10, 13]));
}

#[test]
fn the_place_of_a_machine_never_changes() {
    let place = |version: &str, machine: &str| {
        let (product, machine) = ("demo".parse().unwrap(), machine.parse().unwrap());
        needed_share(&product, &version.parse().unwrap(), &machine).basis_points()
    };
    let known = [
        place("1.0.1", "m-0123456789ab"),
        place("1.0.2", "m-0123456789ab"),
        place("1.0.1", "m-0123456789ac"),
    ];
    assert_eq!(known, [1437, 3840, 398], "machines that have a release would wait for it again");
}

#[test]
fn what_is_stored_is_read_again() {
    let mut rollout = running(Terms {
        canaries: Canaries {
            machines: ["m-0123456789ab".parse().unwrap()].into(),
            customers: ["globex".parse().unwrap()].into(),
        },
        thresholds: thresholds("20%", Some("90%")),
        ..weekdays("early:1h,2.5%:4h,100%")
    });
    rollout = rollout.heed(outcomes(10, 8, 0), hour(3)).unwrap();
    let json = serde_json::to_string(&rollout).unwrap();
    assert_eq!(serde_json::from_str::<Rollout>(&json).unwrap(), rollout);
}
