//! Seats, retired machines, and copies of one machine.

use mainstay_client::format::{
    Action, Channel, ContractName, MachineName, Notice,
    wire::{CheckRequest, EnrollResponse, KnownMetadata},
};

use super::world::{World, actor, after_days, event, plan, platform, product};
use crate::{
    policy::{Change, Tier},
    service::{
        ErrorClass,
        contract::AmendContract,
        seats::{RetireMachine, SeatStanding},
        story::ShowMachine,
    },
};
use mainstay_client::format::wire::EventKind;

/// A contract with so many seats, and its activation key.
async fn with_seats(world: &World, seats: u32) -> String {
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    world.publish(0, Channel::Bugfix, "1.0.1").await.unwrap();
    let key = world.customer("globex", Tier::Basic).await;
    amend(world, 0, Some(seats)).await;
    key
}

async fn amend(world: &World, day: i64, seats: Option<u32>) {
    let request = AmendContract { at: None, change: Change::SetSeats { seats } };
    world.on_day(day).amend_contract(&actor(), &contract(), request).await.unwrap();
}

fn contract() -> ContractName {
    "globex".parse().unwrap()
}

async fn enroll_on(world: &World, day: i64, key: &str, seed: u8) -> MachineName {
    world.enroll_as(day, key, seed, "host").await.unwrap().machine
}

/// Whether the machine is offered something, and the codes of its notices, where it runs `running`.
async fn told(
    world: &World,
    day: i64,
    name: &MachineName,
    running: Option<&str>,
) -> (Option<String>, Vec<String>) {
    let plan = plan(&world.check(day, name, running).await);
    let offered = plan.action.target().map(|target| target.version.to_string());
    (offered, plan.notices.into_iter().map(|notice: Notice| notice.code).collect())
}

const EXCEEDED: &str = "SEATS_EXCEEDED";

async fn retire(world: &World, day: i64, name: &MachineName) {
    let request = RetireMachine { reason: "scrapped".to_owned(), ticket: None };
    world.on_day(day).retire_machine(&actor(), name, request).await.unwrap();
}

#[tokio::test]
async fn the_newest_machine_over_the_limit_is_told_and_gets_security_releases_only() {
    let world = World::new().await;
    let key = with_seats(&world, 1).await;
    let first = enroll_on(&world, 0, &key, 7).await;
    let second = enroll_on(&world, 1, &key, 8).await;
    assert_eq!(told(&world, 1, &first, None).await, (Some("1.0.1".to_owned()), vec![]));
    assert_eq!(told(&world, 1, &second, None).await, (None, vec![EXCEEDED.to_owned()]));

    let answer = plan(&world.check(1, &second, Some("1.0.0")).await);
    assert_eq!(answer.action, Action::Stay);
    assert_eq!(answer.withheld[0].code, EXCEEDED);
    let message = &answer.notices[0].message;
    assert!(message.contains("1 for 2 machines") && message.contains("retired"), "{message}");

    world.publish(2, Channel::Security, "1.0.2").await.unwrap();
    assert_eq!(told(&world, 2, &second, Some("1.0.0")).await.0, Some("1.0.2".to_owned()));
    assert_eq!(told(&world, 2, &second, None).await.0, None, "no first installation");
    let shown = world.on_day(2).story(&actor(), &second, ShowMachine::default()).await.unwrap();
    assert_eq!(shown.seat, SeatStanding::Exceeded);
}

#[tokio::test]
async fn seats_are_raised_lowered_and_lifted_by_amendments() {
    let world = World::new().await;
    let key = with_seats(&world, 2).await;
    let machines = [
        enroll_on(&world, 0, &key, 7).await,
        enroll_on(&world, 1, &key, 8).await,
        enroll_on(&world, 2, &key, 9).await,
    ];
    let service = world.on_day(3);
    for (seats, held) in [(Some(2), 2), (Some(3), 3), (Some(1), 1), (None, 3), (Some(4), 3)] {
        amend(&world, 3, seats).await;
        for (number, name) in machines.iter().enumerate() {
            let machine = service.story(&actor(), name, ShowMachine::default()).await.unwrap();
            let is_held = machine.seat == SeatStanding::Held;
            assert_eq!(is_held, number < held, "{seats:?}, machine {number}");
            assert_eq!(machine.next.version.is_some(), is_held);
        }
        let usage = service.contract(&actor(), &contract()).await.unwrap().seats.unwrap();
        assert_eq!((usage.limit, usage.used, usage.machines), (seats, held, 3));
    }
}

#[tokio::test]
async fn a_retired_machine_frees_its_seat_and_takes_one_again_when_it_enrols() {
    let world = World::new().await;
    let key = with_seats(&world, 1).await;
    let first = enroll_on(&world, 0, &key, 7).await;
    let second = enroll_on(&world, 1, &key, 8).await;
    // The same server, so that what it keeps in memory is put to the test.
    let service = world.on_day(2);
    assert_eq!(
        service.story(&actor(), &second, ShowMachine::default()).await.unwrap().seat,
        SeatStanding::Exceeded
    );
    let request = RetireMachine { reason: " ".to_owned(), ticket: None };
    let error = service.retire_machine(&actor(), &first, request).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Input);
    let request = RetireMachine { reason: "scrapped".to_owned(), ticket: Some("SUP-1".to_owned()) };
    service.retire_machine(&actor(), &first, request.clone()).await.unwrap();
    assert_eq!(
        service.story(&actor(), &second, ShowMachine::default()).await.unwrap().seat,
        SeatStanding::Held
    );
    assert_eq!(
        service.story(&actor(), &first, ShowMachine::default()).await.unwrap().seat,
        SeatStanding::Retired
    );
    let error = service.retire_machine(&actor(), &first, request).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::Conflict, "MACHINE_RETIRED"));
    let trail = service.audit_trail(0).await.unwrap();
    let entry = trail.iter().find(|record| record.entry.action == "machine.retire").unwrap();
    assert_eq!(entry.entry.reason.as_deref(), Some("scrapped"));
    assert_eq!(entry.entry.ticket.as_deref(), Some("SUP-1"));

    // A check that was under way as the machine was retired is refused as well.
    let request = CheckRequest {
        product: product(),
        platform: platform(),
        running: None,
        known: KnownMetadata::default(),
        agent: String::new(),
        facts: None,
        waits: None,
    };
    let record = world.machine(&first).await;
    let error = service.check(record, &request).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::Unauthenticated, "MACHINE_RETIRED"));

    assert_eq!(enroll_on(&world, 3, &key, 7).await, first, "it keeps its name");
    assert_eq!(told(&world, 3, &first, None).await, (None, vec![EXCEEDED.to_owned()]));
    assert_eq!(told(&world, 3, &second, None).await.1, [] as [&str; 0]);
    retire(&world, 4, &second).await;
    assert_eq!(told(&world, 4, &first, None).await.1, [] as [&str; 0]);
}

#[tokio::test]
async fn who_has_a_seat_is_kept_in_memory_and_told_anew_after_a_change() {
    let world = World::new().await;
    let key = with_seats(&world, 1).await;
    let first = enroll_on(&world, 0, &key, 7).await;
    let second = enroll_on(&world, 1, &key, 8).await;
    let (service, other) = (world.on_day(2), world.on_day(2));
    let seat = |name: MachineName| {
        let service = &service;
        async move { service.story(&actor(), &name, ShowMachine::default()).await.unwrap().seat }
    };
    assert_eq!(seat(second.clone()).await, SeatStanding::Exceeded);
    let request = RetireMachine { reason: "scrapped".to_owned(), ticket: None };
    other.retire_machine(&actor(), &first, request.clone()).await.unwrap();
    assert_eq!(seat(second.clone()).await, SeatStanding::Exceeded, "from memory, for a minute");
    assert_eq!(
        other.story(&actor(), &second, ShowMachine::default()).await.unwrap().seat,
        SeatStanding::Held
    );
    service.retire_machine(&actor(), &second, request).await.unwrap();
    assert_eq!(seat(enroll_on(&world, 2, &key, 9).await).await, SeatStanding::Held);
}

#[tokio::test]
async fn a_retired_machines_token_is_not_accepted_and_the_answer_says_what_to_do() {
    let world = World::new().await;
    let key = with_seats(&world, 1).await;
    let EnrollResponse { machine, token, .. } = world.enroll(&key, 7).await.unwrap();
    let service = world.on_day(1);
    service.authenticate_machine(&token).await.unwrap();
    retire(&world, 1, &machine).await;
    let error = service.authenticate_machine(&token).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::Unauthenticated, "MACHINE_RETIRED"));
    assert!(error.message().contains("enrol it again"), "{}", error.message());
    let token = world.enroll(&key, 7).await.unwrap().token;
    service.authenticate_machine(&token).await.unwrap();
}

#[tokio::test]
async fn a_silent_machine_gives_its_seat_up_and_comes_back_as_the_newest() {
    let world = World::new().await;
    let key = with_seats(&world, 1).await;
    let first = enroll_on(&world, 0, &key, 7).await;
    let second = enroll_on(&world, 1, &key, 8).await;
    assert_eq!(told(&world, 89, &second, None).await.1, [EXCEEDED]);
    assert_eq!(
        world.on_day(91).story(&actor(), &first, ShowMachine::default()).await.unwrap().seat,
        SeatStanding::Silent
    );
    assert_eq!(told(&world, 91, &second, None).await.1, [] as [&str; 0]);
    assert_eq!(told(&world, 92, &first, None).await.1, [EXCEEDED]);
    assert_eq!(told(&world, 92, &second, None).await.1, [] as [&str; 0]);
    let seats = world.on_day(92).contract_seats(&actor(), &contract()).await.unwrap();
    let standings: Vec<_> =
        seats.machines.iter().map(|view| (view.machine.clone(), view.seat)).collect();
    let expected = [(second.clone(), SeatStanding::Held), (first.clone(), SeatStanding::Exceeded)];
    assert_eq!(standings, expected);
    // A report breaks the silence too.
    world.report(200, &first, None, vec![]).await;
    assert_eq!(told(&world, 200, &first, None).await.1, [] as [&str; 0], "the other is silent");
}

#[tokio::test]
async fn of_two_that_come_back_to_one_free_seat_one_has_it() {
    let world = World::new().await;
    let key = with_seats(&world, 1).await;
    let names = [enroll_on(&world, 0, &key, 7).await, enroll_on(&world, 0, &key, 8).await];
    let service = world.on_day(100);
    let check = |name: MachineName| {
        let service = &service;
        let world = &world;
        async move {
            let request = CheckRequest {
                product: product(),
                platform: platform(),
                running: None,
                known: KnownMetadata::default(),
                agent: String::new(),
                facts: None,
                waits: None,
            };
            service.check(world.machine(&name).await, &request).await.unwrap()
        }
    };
    let [one, two] = names.clone();
    let _first_answers = tokio::join!(check(one.clone()), check(two.clone()));
    let answers = tokio::join!(check(one), check(two));
    let offered = [answers.0, answers.1].map(|answer| plan(&answer).action != Action::Stay);
    assert_eq!(offered.iter().filter(|offered| **offered).count(), 1);
}

#[tokio::test]
async fn a_machine_that_enrols_again_keeps_its_seat_and_under_another_contract_takes_a_new_one() {
    let world = World::new().await;
    let key = with_seats(&world, 1).await;
    let first = enroll_on(&world, 0, &key, 7).await;
    let second = enroll_on(&world, 1, &key, 8).await;
    enroll_on(&world, 2, &key, 7).await;
    assert_eq!(told(&world, 2, &first, None).await.1, [] as [&str; 0]);
    let other = world.customer("initech", Tier::Basic).await;
    assert_eq!(enroll_on(&world, 3, &other, 7).await, first);
    assert_eq!(told(&world, 3, &second, None).await.1, [] as [&str; 0], "the seat is free");
    enroll_on(&world, 4, &key, 7).await;
    assert_eq!(told(&world, 4, &first, None).await.1, [EXCEEDED]);
}

/// What the machine is told that knows such a version of the repository's timestamp.
async fn told_that_knows(
    world: &World,
    day: i64,
    name: &MachineName,
    timestamp: u64,
) -> Vec<String> {
    let request = CheckRequest {
        product: product(),
        platform: platform(),
        running: Some("1.0.1".parse().unwrap()),
        known: KnownMetadata { root: 1, timestamp, ..KnownMetadata::default() },
        agent: String::new(),
        facts: None,
        waits: None,
    };
    let answer = world.on_day(day).check(world.machine(name).await, &request).await.unwrap();
    plan(&answer).notices.into_iter().map(|notice| notice.code).collect()
}

const SUSPECTED: &str = "CLONE_SUSPECTED";

#[tokio::test]
async fn two_machines_with_one_memory_are_noticed_and_one_from_a_backup_is_not() {
    let world = World::new().await;
    let key = with_seats(&world, 9).await;
    let name = enroll_on(&world, 0, &key, 7).await;
    for (day, timestamp) in [(1, 1), (1, 2), (1, 0), (2, 3), (3, 2), (3, 3), (20, 9), (20, 8)] {
        assert_eq!(told_that_knows(&world, day, &name, timestamp).await, [] as [&str; 0]);
    }
    assert_eq!(told_that_knows(&world, 21, &name, 9).await, [] as [&str; 0]);
    assert_eq!(told_that_knows(&world, 21, &name, 8).await, [SUSPECTED]);
    assert_eq!(told_that_knows(&world, 22, &name, 10).await, [SUSPECTED]);
    let suspicion = world.machine(&name).await.clone_suspected.unwrap();
    assert_eq!((suspicion.at, suspicion.last_at), (after_days(21), after_days(21)));
    let trail = world.on_day(22).audit_trail(0).await.unwrap();
    let noticed: Vec<_> = trail
        .iter()
        .filter(|record| record.entry.action == "machine.clone_suspected")
        .map(|record| record.entry.subject.clone())
        .collect();
    assert_eq!(noticed, [name.to_string()]);

    assert_eq!(told_that_knows(&world, 50, &name, 11).await, [SUSPECTED]);
    assert_eq!(told_that_knows(&world, 51, &name, 11).await, [] as [&str; 0], "30 days of peace");
}

#[tokio::test]
async fn one_key_under_two_host_names_within_a_day_is_noticed() {
    let world = World::new().await;
    let key = with_seats(&world, 9).await;
    let name = enroll_on(&world, 0, &key, 7).await;
    // A machine that was given another name, and had been off meanwhile.
    world.enroll_as(2, &key, 7, "renamed").await.unwrap();
    assert_eq!(told(&world, 2, &name, None).await.1, [] as [&str; 0]);
    world.enroll_as(2, &key, 7, "copy").await.unwrap();
    assert_eq!(told(&world, 2, &name, None).await.1, [SUSPECTED]);
    let suspicion = world.machine(&name).await.clone_suspected.unwrap();
    assert!(suspicion.why.contains("heard of as renamed"), "{}", suspicion.why);
    let trail = world.on_day(2).audit_trail(0).await.unwrap();
    let newest = &trail.last().unwrap().entry;
    assert!(newest.detail.contains("clone suspected: it was heard of as renamed"), "{newest:?}");

    retire(&world, 3, &name).await;
    world.enroll_as(3, &key, 7, "host").await.unwrap();
    assert_eq!(told(&world, 3, &name, None).await.1, [] as [&str; 0], "a clean slate");
    world.report(3, &name, Some("1.0.1"), vec![event(1, EventKind::Installed, "1.0.1")]).await;
}
