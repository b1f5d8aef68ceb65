//! Machines that fall silent, in the census and in the list.

use jiff::SignedDuration;

use super::world::{World, actor, after_days};
use crate::{
    policy::{Figures, Tier},
    service::census::{ListCensus, ListMachines, SilentFor},
};

/// How many are silent in the first hour of day `day`, as the census says and as are listed.
async fn silent(world: &World, day: i64, silent: &str) -> (u64, usize) {
    silent_at(world, (day, 0), silent).await
}

/// The same, so many hours later.
async fn silent_at(world: &World, (day, hour): (i64, i64), silent: &str) -> (u64, usize) {
    let at = after_days(day) + SignedDuration::from_hours(hour);
    let service = world.at(at);
    let census = service.census(&actor(), ListCensus::default()).await.unwrap();
    assert_eq!((census.at, census.heard_from), (at, after_days(day - 90)));
    let silent: SilentFor = silent.parse().unwrap();
    let question = ListMachines { silent: Some(silent), ..ListMachines::default() };
    let listed = service.machines(&actor(), question).await.unwrap();
    (census.rows.iter().map(|row| row.figures.silent).sum(), listed.machines.len())
}

#[tokio::test]
async fn a_machine_that_says_nothing_is_silent_and_no_longer_when_it_is_heard_of() {
    let world = World::new().await;
    let key = world.customer("globex", Tier::Basic).await;
    let first = world.enroll_as(0, &key, 7, "host").await.unwrap().machine;
    world.enroll_as(20, &key, 8, "host").await.unwrap();
    assert_eq!(silent(&world, 89, "configured").await, (0, 0));
    assert_eq!(silent(&world, 90, "configured").await, (0, 0), "the hour is not over");
    let heard = silent_at(&world, (90, 1), "configured").await;
    assert_eq!(heard, (0, 1), "on the day the list has it");
    assert_eq!(silent(&world, 91, "configured").await, (1, 1), "and the census on the next");
    assert_eq!(silent(&world, 91, "71d").await, (1, 2));
    assert_eq!(silent(&world, 91, "1704h").await, (1, 2), "71 days");
    assert_eq!(silent(&world, 91, "102241m").await, (1, 1), "71 days and a minute");

    world.report(95, &first, None, Vec::new()).await;
    assert_eq!(silent(&world, 95, "configured").await, (0, 0));
    let census = world.on_day(95).census(&actor(), ListCensus::default()).await.unwrap();
    let figures: Vec<_> = census.rows.iter().map(|row| row.figures).collect();
    assert_eq!(figures, [Figures { installed: 2, confirmed: 0, silent: 0 }]);
}

#[test]
fn a_length_of_silence_is_read_as_it_is_told() {
    for (text, told) in [("90m", "5400s"), ("36h", "129600s"), ("1d", "86400s")] {
        let silent: SilentFor = text.parse().unwrap();
        assert_eq!(silent.to_string(), told);
        assert_eq!(told.parse(), Ok(silent));
    }
    assert_eq!("configured".parse(), Ok(SilentFor::Configured));
    for text in ["", "d", "-1d", "1.5h", "1 d", "4294967296d", "soon"] {
        let refused = text.parse::<SilentFor>().unwrap_err();
        assert!(refused.contains("such as 90m, 36h or 14d"), "{refused}");
    }
}
