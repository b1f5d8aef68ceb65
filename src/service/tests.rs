//! The use cases over real stores, with the clock in the test's hand.

pub(crate) mod world;

use mainstay_client::format::Channel;
use world::{World, product};

#[tokio::test]
async fn a_channel_that_has_expired_keeps_no_other_channel_from_a_release() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    world.publish(60, Channel::Bugfix, "1.0.1").await.unwrap();
    world.publish(100, Channel::Bugfix, "1.0.2").await.unwrap();
    world.publish(300, Channel::Bugfix, "1.0.3").await.unwrap();
    world.publish(301, Channel::Major, "2.0.0").await.unwrap();
}

#[tokio::test]
async fn a_release_that_no_machine_could_look_up_is_refused() {
    let world = World::with_paths(|channel| format!("{channel}/1.*/*")).await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let error = world.publish(1, Channel::Major, "2.0.0").await.unwrap_err();
    assert_eq!(error.code(), "RELEASE_REFUSED");
    let refused: Vec<_> =
        error.problems().iter().filter(|problem| problem.contains("major/2.0.0/")).collect();
    assert_eq!(refused.len(), 2, "{:?}", error.problems());
    assert_eq!(world.on_day(1).releases(&product()).await.unwrap().len(), 1);
}
