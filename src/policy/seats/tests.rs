use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

const SILENCE: Silence = Silence(90);

fn day(day: i64) -> Timestamp {
    Timestamp::from_second(1_789_999_200 + day * 86_400).unwrap()
}

fn claim(number: usize, since: i64, seen: i64) -> Claim {
    let machine = format!("m-{number:03}").parse().unwrap();
    Claim { machine, since: day(since), seen_in: Hour::of(day(seen)) }
}

fn holders(claims: &[Claim], seats: u32, now: i64) -> BTreeSet<MachineName> {
    let allocation = Allocation::new(claims.to_vec(), seats, SILENCE, day(now));
    let heard = claims.iter().filter(|claim| !claim.is_silent(SILENCE, day(now)));
    heard
        .filter(|claim| allocation.seat(claim) == Seat::Held)
        .map(|claim| claim.machine.clone())
        .collect()
}

fn names(claims: &[&Claim]) -> BTreeSet<MachineName> {
    claims.iter().map(|claim| claim.machine.clone()).collect()
}

#[test]
fn the_oldest_claims_hold_and_the_name_decides_between_equals() {
    let claims = [claim(3, 1, 5), claim(2, 1, 5), claim(1, 2, 5)];
    assert_eq!(holders(&claims, 1, 5), names(&[&claims[1]]));
    assert_eq!(holders(&claims, 2, 5), names(&[&claims[0], &claims[1]]));
    assert_eq!(holders(&claims, 3, 5).len(), 3, "exactly at the limit all hold");
    let over = Allocation::new(claims.to_vec(), 2, SILENCE, day(5));
    assert_eq!(over.seat(&claims[2]), Seat::Exceeded { seats: 2, machines: 3 });
    assert_eq!((over.used(), over.machines), (2, 3));
}

#[test]
fn a_silent_machine_gives_its_seat_up_when_the_hour_is_over() {
    let claims = [claim(1, 0, 10), claim(2, 1, 99)];
    let first_holds = |now| {
        let allocation = Allocation::new(claims.to_vec(), 1, SILENCE, now);
        allocation.seat(&claims[0]) == Seat::Held && allocation.seat(&claims[1]) != Seat::Held
    };
    let (hour, second) = (SignedDuration::from_hours(1), SignedDuration::from_secs(1));
    assert!(first_holds(day(100)), "90 days after day 10");
    assert!(first_holds(day(100) + hour - second));
    assert!(!first_holds(day(100) + hour));
    for seen_at in [day(10), day(10) + second, day(10) + hour - second] {
        assert!(!SILENCE.is_broken_off(seen_at, day(100) + hour - second), "{seen_at}");
        assert!(SILENCE.is_broken_off(seen_at, day(100) + hour), "{seen_at}");
    }
}

/// As stores from before have it.
#[test]
fn a_claim_that_knows_the_instant_knows_the_hour() {
    let text =
        r#"{"machine":"m-001","since":"2026-09-01T00:00:07Z","seen_at":"2026-09-21T13:59:59.9Z"}"#;
    let claim: Claim = serde_json::from_str(text).unwrap();
    assert_eq!(claim.seen_in, Hour::of("2026-09-21T13:00:00Z".parse().unwrap()));
    assert_eq!(
        serde_json::to_string(&claim).unwrap(),
        r#"{"machine":"m-001","since":"2026-09-01T00:00:07Z","seen_in":"2026-09-21T13:00:00Z"}"#
    );
}

#[test]
fn the_hours_at_the_ends_of_time_begin_in_time() {
    assert_eq!(Hour::of(Timestamp::MIN).start(), Timestamp::MIN);
    assert!(Hour::of(Timestamp::MAX).start() < Timestamp::MAX);
    let before = "1969-12-31T23:30:00Z".parse().unwrap();
    assert_eq!(Hour::of(before).start(), "1969-12-31T23:00:00Z".parse().unwrap());
}

#[test]
fn one_that_comes_back_takes_a_free_seat_or_none() {
    let claims = [claim(1, 0, 10), claim(2, 1, 99)];
    let back = claim(1, 101, 101);
    let free = Allocation::new(claims.to_vec(), 2, SILENCE, day(101));
    assert_eq!(free.seat(&back), Seat::Held);
    let full = Allocation::new(claims.to_vec(), 1, SILENCE, day(101));
    assert_eq!(full.seat(&back), Seat::Exceeded { seats: 1, machines: 2 });
}

#[test]
fn silence_is_one_day_to_ten_years() {
    assert_eq!(Silence::days(0), None);
    assert_eq!(Silence::days(1), Some(Silence(1)));
    assert_eq!(Silence::days(3650), Some(Silence(3650)));
    assert_eq!(Silence::days(3651), None);
    assert_eq!(Silence::default(), SILENCE);
}

fn claims() -> impl Strategy<Value = Vec<Claim>> {
    let claim_dates = (0..20_i64, 0..150_i64);
    prop::collection::vec(claim_dates, 0..20).prop_map(|dates| {
        let numbered = dates.into_iter().enumerate();
        numbered.map(|(number, (since, later))| claim(number, since, since + later)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The days are counted from the end of the hour: never earlier than from the instant, and at most an hour later.
    #[test]
    fn silence_begins_with_the_end_of_an_hour(
        seen in 0..1_000_000_000_000_i64, days in Silence::DAYS, later in -9_000_000_000_000..9_000_000_000_000_i64,
    ) {
        let silence = Silence::days(days).unwrap();
        let hour = SignedDuration::from_hours(1);
        let days = SignedDuration::from_hours(24 * i64::from(days));
        let seen_at = day(0) + SignedDuration::from_micros(seen);
        let now = seen_at + days + SignedDuration::from_nanos(later);
        let start = Hour::of(seen_at).start();
        prop_assert!(start <= seen_at && seen_at < start + hour);
        let is_silent = silence.is_broken_off(seen_at, now);
        prop_assert_eq!(is_silent, start + hour + days <= now);
        prop_assert_eq!(is_silent, silence.is_broken_off(start, now), "the hour says as much");
        prop_assert_eq!(is_silent, seen_at <= silence.since(now));
        prop_assert_eq!(is_silent, seen_at < silence.heard_from(now));
        prop_assert!(!is_silent || seen_at + days <= now);
        prop_assert!(is_silent || now < seen_at + days + hour);
    }

    #[test]
    fn as_many_hold_as_there_are_seats_or_machines(
        claims in claims(), seats in 1..25_u32, now in 0..170_i64,
    ) {
        let allocation = Allocation::new(claims.clone(), seats, SILENCE, day(now));
        let holders = holders(&claims, seats, now);
        prop_assert_eq!(holders.len(), allocation.machines.min(seats as usize));
        prop_assert_eq!(holders.len(), allocation.used());
    }

    #[test]
    fn the_order_of_the_claims_does_not_matter(
        (claims, shuffled) in claims().prop_flat_map(|c| (Just(c.clone()), Just(c).prop_shuffle())),
        seats in 1..25_u32,
        now in 0..170_i64,
    ) {
        let of = |claims| Allocation::new(claims, seats, SILENCE, day(now));
        prop_assert_eq!(of(claims), of(shuffled));
    }

    #[test]
    fn more_seats_take_none_away(
        claims in claims(), seats in 1..25_u32, more in 0..5_u32, now in 0..170_i64,
    ) {
        let before = holders(&claims, seats, now);
        prop_assert!(before.is_subset(&holders(&claims, seats + more, now)));
    }

    #[test]
    fn a_machine_that_retires_takes_no_seat_from_another(
        mut claims in claims(), seats in 1..25_u32, now in 0..170_i64, which in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!claims.is_empty());
        let mut before = holders(&claims, seats, now);
        let retired = claims.remove(which.index(claims.len()));
        before.remove(&retired.machine);
        prop_assert!(before.is_subset(&holders(&claims, seats, now)));
    }

    /// Whoever comes later, and whoever comes back, takes no seat from one that is heard of.
    #[test]
    fn a_seat_stays_with_a_machine_that_is_heard_of(
        mut claims in claims(), seats in 1..25_u32, now in 20..170_i64, newcomers in 0..5_usize,
    ) {
        let before = holders(&claims, seats, now);
        for claim in &mut claims {
            if claim.is_silent(SILENCE, day(now)) {
                claim.since = day(now);
            }
            claim.seen_in = Hour::of(day(now));
        }
        claims.extend((0..newcomers).map(|number| claim(500 + number, now, now)));
        let after = holders(&claims, seats, now);
        // On the day itself the name decides between those that come and those that came.
        let came_earlier = before.iter().filter(|name| {
            claims.iter().any(|claim| claim.machine == **name && claim.since < day(now))
        });
        for name in came_earlier {
            prop_assert!(after.contains(name), "{name} lost its seat");
        }
    }
}
