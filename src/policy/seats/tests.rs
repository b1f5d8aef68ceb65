use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

const SILENCE: Silence = Silence(90);

fn day(day: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + day * 86_400).unwrap()
}

fn claim(number: usize, since: i64, seen: i64) -> Claim {
    let machine = format!("m-{number:03}").parse().unwrap();
    Claim { machine, since: day(since), seen_at: day(seen) }
}

fn holders(claims: &[Claim], seats: u32, now: i64) -> BTreeSet<MachineName> {
    let allocation = Allocation::new(claims.to_vec(), seats, SILENCE, day(now));
    let heard = claims.iter().filter(|claim| !SILENCE.is_broken_off(claim.seen_at, day(now)));
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
fn a_silent_machine_gives_its_seat_up_on_the_day() {
    let claims = [claim(1, 0, 10), claim(2, 1, 99)];
    assert_eq!(holders(&claims, 1, 99), names(&[&claims[0]]));
    assert_eq!(holders(&claims, 1, 100), names(&[&claims[1]]), "90 days after day 10");
    let second = SignedDuration::from_secs(1);
    assert!(!SILENCE.is_broken_off(day(10), day(100) - second));
    assert_eq!(SILENCE.since(day(100)), day(10));
    assert!(!SILENCE.is_broken_off(SILENCE.since(day(100)) + second, day(100)));
}

#[test]
fn one_that_comes_back_takes_a_free_seat_or_none() {
    let claims = [claim(1, 0, 10), claim(2, 1, 99)];
    let back = claim(1, 100, 100);
    let free = Allocation::new(claims.to_vec(), 2, SILENCE, day(100));
    assert_eq!(free.seat(&back), Seat::Held);
    let full = Allocation::new(claims.to_vec(), 1, SILENCE, day(100));
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
            if SILENCE.is_broken_off(claim.seen_at, day(now)) {
                claim.since = day(now);
            }
            claim.seen_at = day(now);
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
