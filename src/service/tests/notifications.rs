//! What is told of dates, to whom, and what comes of each try.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use mainstay_client::format::{Channel, wire::EventKind};

use super::{
    Tier,
    world::{World, actor, after_days, event, product},
};
use crate::{
    outlet::{Outlet, OutletConfig, signature::SigningKey, webhook::WebhookConfig},
    policy::{Interest, NotificationType, Outcome, Schedule},
    service::{
        ErrorClass, Service,
        webhook::{CreateEndpoint, ListDeliveries, RotateSecret},
    },
    store::{DeliveryRecord, DeliveryState, EndpointAddress, Outbox as _},
};

/// The use cases on a day, with a way out that waits ten seconds between three tries.
fn on_day(world: &World, day: i64) -> Service {
    with_key(world, day, 1)
}

fn with_key(world: &World, day: i64, key: u8) -> Service {
    let schedule = Schedule::of_seconds(&[10, 10]).unwrap();
    let webhooks = WebhookConfig { schedule, ..WebhookConfig::default() };
    let config = OutletConfig { webhooks, mail: None };
    world.on_day(day).with_outlet(Outlet::new(SigningKey::new(&[key; 32]), &config).unwrap())
}

async fn create(service: &Service, types: &[NotificationType]) -> String {
    let interest = Interest { types: types.iter().copied().collect(), ..Interest::default() };
    let address = EndpointAddress::Url("https://1.1.1.1/".to_owned());
    let request = CreateEndpoint { address, label: "test".to_owned(), interest };
    service.create_endpoint(&actor(), request).await.unwrap().endpoint.id
}

async fn deliveries(service: &Service) -> Vec<DeliveryRecord> {
    service.deliveries(&ListDeliveries::default()).await.unwrap()
}

fn failed(retry_after: Option<Duration>) -> Outcome {
    Outcome::Failed { retry_after, why: "answered 500".to_owned() }
}

fn due_at(delivery: &DeliveryRecord) -> Timestamp {
    let DeliveryState::Waiting { due_at } = delivery.state else { panic!("{delivery:?}") };
    due_at
}

#[tokio::test]
async fn the_end_of_a_contract_is_told_once_for_each_step() {
    let world = World::new().await;
    world.customer("globex", Tier::Basic).await;
    let contract = world.on_day(1).contract(&actor(), &"globex".parse().unwrap()).await.unwrap();
    let end = contract.now.unwrap().terms[0].end;
    let last = (end.as_second() - after_days(0).as_second()) / 86_400;
    let mut told = Vec::new();
    for day in [last - 91, last - 90, last - 89, last - 30, last - 29, last, last + 1, last + 40] {
        // As often as somebody looks, on a server that starts anew each time.
        for _ in 0..2 {
            world.on_day(day).announce_dates().await.unwrap();
        }
        let all = world.meta.announced(usize::MAX).await.unwrap();
        let new: Vec<_> = all.iter().skip(told.len()).map(|_| last - day).collect();
        told.extend(new);
    }
    assert_eq!(told, [90, 30, 0]);
}

#[tokio::test]
async fn what_a_machine_reports_goes_to_whoever_wants_it_and_to_nobody_else() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let key = world.customer("globex", Tier::Basic).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    let service = on_day(&world, 1);
    let wanting = create(&service, &[NotificationType::RolledBack]).await;
    create(&service, &[NotificationType::UpdateFailed]).await;
    world.report(1, &name, Some("1.0.0"), vec![event(1, EventKind::Undone, "1.0.1")]).await;
    // A second server that spreads at the same time adds nothing.
    for _ in 0..2 {
        service.spread_notifications().await.unwrap();
    }
    let found = deliveries(&service).await;
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].endpoint, found[0].tries), (&wanting, 0));
    assert_eq!(due_at(&found[0]), after_days(1));
}

#[tokio::test]
async fn what_fails_waits_for_as_long_as_the_schedule_or_the_receiver_says() {
    let world = World::new().await;
    let (service, delivery) = one_delivery(&world).await;
    let due = service.due_deliveries(&BTreeSet::new(), 9).await.unwrap();
    assert_eq!(due[0].1, delivery);
    let busy = BTreeSet::from([delivery.endpoint.clone()]);
    assert!(service.due_deliveries(&busy, 9).await.unwrap().is_empty());

    service.settle_delivery(delivery.clone(), &failed(None)).await.unwrap();
    // What has been settled is not settled again by one who comes too late.
    service.settle_delivery(delivery.clone(), &Outcome::Accepted).await.unwrap();
    let second = deliveries(&service).await.remove(0);
    let waits = due_at(&second).duration_since(service.now()).as_secs();
    assert!((10..=12).contains(&waits), "{waits}");
    assert!(service.due_deliveries(&BTreeSet::new(), 9).await.unwrap().is_empty());
    let asked = Duration::from_hours(1);
    service.settle_delivery(second, &failed(Some(asked))).await.unwrap();
    let third = deliveries(&service).await.remove(0);
    assert_eq!(due_at(&third).duration_since(service.now()).as_secs(), 3600);
    service.settle_delivery(third, &failed(None)).await.unwrap();
    let dead = deliveries(&service).await.remove(0);
    assert_eq!((&dead.state, dead.tries), (&DeliveryState::Dead { at: service.now() }, 3));
    assert_eq!(service.dead_deliveries().await.unwrap(), 1);

    let replayed = service.replay_delivery(&actor(), dead.number).await.unwrap();
    assert_eq!((replayed.tries, &replayed.message), (0, &delivery.message));
    service.settle_delivery(replayed, &Outcome::Accepted).await.unwrap();
    assert_eq!(service.dead_deliveries().await.unwrap(), 0);
}

/// A delivery that is due on day 1.
async fn one_delivery(world: &World) -> (Service, DeliveryRecord) {
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let key = world.customer("globex", Tier::Basic).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    let service = on_day(world, 1);
    create(&service, &[]).await;
    world.report(1, &name, Some("1.0.0"), vec![event(1, EventKind::Undone, "1.0.1")]).await;
    service.spread_notifications().await.unwrap();
    let delivery = deliveries(&service).await.remove(0);
    (service, delivery)
}

#[tokio::test]
async fn what_was_delivered_is_forgotten_after_a_month() {
    let world = World::new().await;
    let (service, delivery) = one_delivery(&world).await;
    service.settle_delivery(delivery, &Outcome::Accepted).await.unwrap();
    on_day(&world, 31).forget_deliveries().await.unwrap();
    assert_eq!(deliveries(&service).await.len(), 1);
    on_day(&world, 32).forget_deliveries().await.unwrap();
    assert_eq!(deliveries(&service).await.len(), 0);
}

#[tokio::test]
async fn a_receiver_that_wants_nothing_more_gets_nothing_more() {
    let world = World::new().await;
    let (service, delivery) = one_delivery(&world).await;
    let id = delivery.endpoint.clone();
    service.settle_delivery(delivery, &Outcome::Gone).await.unwrap();
    let endpoint = service.endpoint(&id).await.unwrap();
    assert_eq!(endpoint.disabled.unwrap().by, "server");
    assert!(matches!(deliveries(&service).await[0].state, DeliveryState::Dead { .. }));
    let trail = service.audit_trail(0).await.unwrap();
    assert_eq!(trail.last().unwrap().entry.action, "webhook.disable");
    service.enable_endpoint(&actor(), &id).await.unwrap();
    assert_eq!(service.endpoint(&id).await.unwrap().disabled, None);
}

#[tokio::test]
async fn a_secret_of_a_lost_key_is_told_and_replaced() {
    let world = World::new().await;
    let id = create(&on_day(&world, 1), &[]).await;
    let service = with_key(&world, 2, 9);
    let endpoint = service.endpoint(&id).await.unwrap();
    let key = SigningKey::new(&[9; 32]);
    assert!(key.secrets(&endpoint, service.now()).is_err());
    service.rotate_secret(&actor(), &id, RotateSecret::default()).await.unwrap();
    let endpoint = service.endpoint(&id).await.unwrap();
    assert_eq!(key.secrets(&endpoint, service.now()).map(|secrets| secrets.len()), Ok(1));
}

#[tokio::test]
async fn what_an_endpoint_is_to_be_is_said_without_mistakes() {
    let world = World::new().await;
    let service = on_day(&world, 1);
    let url = |text: &str| EndpointAddress::Url(text.to_owned());
    let of = |address, interest| CreateEndpoint { address, label: "test".to_owned(), interest };
    let everything = Interest::default;
    let nobody = Interest { customer: Some("nobody".parse().unwrap()), ..everything() };
    let nothing = Interest { product: Some("nothing".parse().unwrap()), ..everything() };
    for (request, class) in [
        (of(url("https://127.0.0.1/"), everything()), ErrorClass::Refused),
        (of(EndpointAddress::Mail("a@b.c".to_owned()), everything()), ErrorClass::Refused),
        (of(url("https://1.1.1.1/"), nobody), ErrorClass::NotFound),
        (of(url("https://1.1.1.1/"), nothing), ErrorClass::NotFound),
        (
            CreateEndpoint { label: String::new(), ..of(url("https://1.1.1.1/"), everything()) },
            ErrorClass::Input,
        ),
    ] {
        let error = service.create_endpoint(&actor(), request).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
    }
    let product = Interest { product: Some(product()), ..everything() };
    let request = of(url("https://1.1.1.1/"), product);
    service.create_endpoint(&actor(), request).await.unwrap();
}
