use mainstay_client::format::{
    Channel, Facts,
    wire::{CheckRequest, KnownMetadata},
};

use super::{
    Tier,
    world::{World, platform, product},
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
