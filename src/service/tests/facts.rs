use mainstay_client::format::{
    Channel, Facts,
    wire::{Awaited, CheckRequest, EventKind, KnownMetadata, Waiting},
};

use super::{
    Tier,
    world::{World, event, platform, product, version},
};
use crate::service::ErrorClass;

fn request(facts: Option<Facts>) -> CheckRequest {
    CheckRequest {
        product: product(),
        platform: platform(),
        running: None,
        known: KnownMetadata { root: 1, ..KnownMetadata::default() },
        agent: "test".to_owned(),
        facts,
        waits: None,
    }
}

#[tokio::test]
async fn what_a_machine_says_of_itself_is_kept_until_it_says_something_else_or_nothing() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let key = world.customer("globex", Tier::Basic).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    let service = world.on_day(1);
    let facts = Facts { kernel: "6.1".parse().ok(), ..Facts::default() };
    for said in [Some(facts), Some(Facts::default()), None] {
        let record = world.machine(&name).await;
        service.check(record, &request(said.clone())).await.unwrap();
        assert_eq!(world.machine(&name).await.facts, said);
    }
    let component = |number| (format!("c{number}").parse().unwrap(), "1.0.0".parse().unwrap());
    let many = Facts { components: (0..65).map(component).collect(), ..Facts::default() };
    let error = service.check(world.machine(&name).await, &request(Some(many))).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::Input, "INVALID_REQUEST"));
}

#[tokio::test]
async fn what_a_machine_waits_for_is_kept_until_it_says_so_no_more_or_runs_it() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let key = world.customer("globex", Tier::Basic).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    let service = world.on_day(1);
    let wait = |awaited| Some(Waiting { version: version("1.0.0"), awaited });
    let window = Awaited::Window(jiff::Timestamp::MAX);
    for said in [wait(Awaited::Approval), wait(window), None, wait(Awaited::Command)] {
        let record = world.machine(&name).await;
        let request = CheckRequest { waits: said.clone(), ..request(None) };
        service.check(record, &request).await.unwrap();
        assert_eq!(world.machine(&name).await.waits.as_deref(), said.as_ref());
    }
    let other = vec![event(1, EventKind::Installed, "1.0.0")];
    world.report(1, &name, None, other).await;
    assert!(world.machine(&name).await.waits.is_some(), "it runs nothing");
    world.report(1, &name, Some("1.0.0"), Vec::new()).await;
    assert_eq!(world.machine(&name).await.waits, None);
    let running = Some(version("1.0.0"));
    let waits = wait(Awaited::Approval);
    let request = CheckRequest { running, waits, ..request(None) };
    service.check(world.machine(&name).await, &request).await.unwrap();
    assert_eq!(world.machine(&name).await.waits, None, "it runs");
}
