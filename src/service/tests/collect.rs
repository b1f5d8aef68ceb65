//! Support bundles in time.

use bytes::Bytes;
use futures_util::stream;
use mainstay_client::{
    format::{BundleHeading, Channel, MachineName},
    pack::Bundle,
};

use super::world::{World, actor, after_days, plan, product};
use crate::{
    policy::Tier,
    service::{
        ServiceError, ServiceResult,
        action::{ActOnMachine, MachineAction},
    },
    store::{BlobStore as _, BundleRecord, MetaStore as _, StoreError},
};

async fn ask(world: &World, days: i64, name: &MachineName) {
    let request = ActOnMachine {
        action: MachineAction::Collect {},
        reason: "to see why".to_owned(),
        ticket: None,
    };
    Box::pin(world.on_day(days).act_on_machine(&actor(), name, request)).await.unwrap();
}

async fn send(world: &World, days: i64, name: &MachineName, order: u64) -> ServiceResult<()> {
    let heading = BundleHeading {
        kind: BundleHeading::KIND.to_owned(),
        format: BundleHeading::FORMAT,
        machine: name.clone(),
        customer: "globex".parse().unwrap(),
        product: product(),
        order: Some(order),
        made_at: after_days(days),
        agent: "0.1.0".to_owned(),
        removed: 0,
        cut: Vec::new(),
    };
    let heading = serde_json::to_vec(&heading).unwrap();
    let bundle = Bundle([(BundleHeading::FILE.to_owned(), heading)].into()).to_bytes().unwrap();
    let content = stream::iter([Ok::<_, ServiceError>(Bytes::from(bundle))]);
    let machine = world.meta.machine(name).await.unwrap();
    Box::pin(world.on_day(days).take_in_bundle(machine, order, content)).await
}

async fn kept(world: &World, name: &MachineName) -> Vec<BundleRecord> {
    world.on_day(100).bundles(&actor(), name).await.unwrap()
}

#[tokio::test]
async fn a_request_expires_and_a_bundle_is_kept_for_a_month() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let key = world.customer("globex", Tier::Basic).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;

    ask(&world, 1, &name).await;
    let asked = plan(&world.check(2, &name, None).await).collect.unwrap();
    assert_eq!((asked.number, asked.expires), (1, after_days(8)));
    assert_eq!(plan(&world.check(8, &name, None).await).collect, None);
    let error = send(&world, 8, &name, 1).await.unwrap_err();
    assert_eq!(error.code(), BundleHeading::UNASKED);

    ask(&world, 9, &name).await;
    send(&world, 10, &name, 2).await.unwrap();
    assert_eq!(plan(&world.check(10, &name, None).await).collect, None);
    let [bundle] = kept(&world, &name).await.try_into().unwrap();
    world.on_day(40).forget_bundles().await.unwrap();
    assert_eq!(kept(&world, &name).await.len(), 1);
    let bytes = world.on_day(40).bundle(&actor(), &name, 2).await.unwrap();
    assert_eq!(Bundle::read(&bytes).unwrap().heading().unwrap().order, Some(2));
    world.on_day(41).forget_bundles().await.unwrap();
    assert_eq!(kept(&world, &name).await, []);
    let blob = world.blobs.length(&bundle.sha256).await;
    assert!(matches!(blob, Err(StoreError::NotFound(_))), "{blob:?}");
}
