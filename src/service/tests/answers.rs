//! When the answer to a check is given again, and when everything is decided anew.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::Timestamp;
use mainstay_client::format::{
    Channel,
    wire::{CheckRequest, EnrollResponse, EventKind, KnownMetadata},
};

use super::world::{World, actor, after_days, event, platform, product, version};
use crate::{
    clock::Clock,
    policy::{Change, MachineAction, Term, Tier},
    service::{
        Service,
        action::ActOnMachine,
        answer::{Answered, Encoded, Holds, Question},
        contract::AmendContract,
        seats::RetireMachine,
    },
    store::MetaStore as _,
};

struct Asking {
    world: World,
    service: Service,
    now: Arc<AtomicI64>,
    machine: EnrollResponse,
}

impl Asking {
    /// A machine that asks on day 1.
    async fn begin() -> Self {
        let world = World::new().await;
        world.publish(0, Channel::Major, "1.0.0").await.unwrap();
        let key = world.customer("globex", Tier::Basic).await;
        let machine = world.enroll(&key, 7).await.unwrap();
        let now = Arc::new(AtomicI64::new(after_days(1).as_second()));
        let service = world.by(Clock::moved(Arc::clone(&now)));
        Self { world, service, now, machine }
    }

    fn question(text: &str) -> Question<'_> {
        Question { body: text.as_bytes(), takes_zstd: false }
    }

    /// Has a check answered.
    async fn ask(&self) -> Answered {
        let machine = self.service.authenticate_machine(&self.machine.token).await.unwrap();
        let request = CheckRequest {
            product: product(),
            platform: platform(),
            running: Some(version("1.0.0")),
            known: KnownMetadata { root: 1, ..KnownMetadata::default() },
            agent: "test".to_owned(),
            facts: None,
            waits: None,
        };
        self.service.answer_check(machine, &request).await.unwrap()
    }

    /// Has a check answered, and keeps the answer.
    async fn check(&self) -> Holds {
        let Answered { response, holds } = self.ask().await;
        let answer = Encoded { body: response.plan.into(), is_zstd: false };
        let holds = holds.unwrap();
        self.service.keep_answer(&self.machine.token, Self::question("a"), &answer, holds.clone());
        assert!(self.is_known(), "an answer holds when it is given");
        holds
    }

    fn is_known(&self) -> bool {
        self.service.last_answer(&self.machine.token, self.service.now()).is_some()
    }

    fn move_to(&self, at: Timestamp) {
        self.now.store(at.as_second(), Ordering::Relaxed);
    }
}

#[tokio::test]
async fn the_same_question_has_the_same_answer_and_another_has_not() {
    let asking = Asking::begin().await;
    let Asking { service, machine, world, .. } = &asking;
    assert!(service.last_answer(&machine.token, service.now()).is_none(), "nothing was asked yet");
    asking.check().await;
    let last = service.last_answer(&machine.token, service.now()).unwrap();
    assert_eq!(last.machine(), &machine.machine);
    let again = |question| service.answer_again(&last, question, service.now());
    let answer = again(Asking::question("a")).unwrap();
    assert_eq!(answer.body.to_bytes(), world.meta.plan(&machine.machine).await.unwrap().as_bytes());
    assert!(again(Asking::question("b")).is_none());
    assert!(again(Question { takes_zstd: true, ..Asking::question("a") }).is_none());
    assert!(service.last_answer("mmt_another", service.now()).is_none());
}

#[tokio::test]
async fn whatever_an_answer_depends_on_ends_it() {
    let asking = Asking::begin().await;
    let Asking { service, machine, world, .. } = &asking;
    let amend = async |change| {
        let request = AmendContract { at: None, change };
        service.amend_contract(&actor(), &"globex".parse().unwrap(), request).await.unwrap();
    };
    let act = async |action| {
        let request = ActOnMachine { action, reason: "a test".to_owned(), ticket: None };
        service.act_on_machine(&actor(), &machine.machine, request).await.unwrap();
    };

    asking.check().await;
    world.publish(1, Channel::Bugfix, "1.0.1").await.unwrap();
    assert!(!asking.is_known(), "a release");
    asking.check().await;
    amend(Change::Suspend).await;
    assert!(!asking.is_known(), "an amendment");
    asking.check().await;
    act(MachineAction::Hold { until: after_days(2) }).await;
    assert!(!asking.is_known(), "an order");
    asking.check().await;
    let events = vec![event(1, EventKind::Confirmed, "1.0.1")];
    world.report(1, &machine.machine, Some("1.0.1"), events).await;
    assert!(!asking.is_known(), "a report");
    asking.check().await;
    let request = RetireMachine { reason: "scrapped".to_owned(), ticket: None };
    service.retire_machine(&actor(), &machine.machine, request).await.unwrap();
    assert!(!asking.is_known(), "the machine was retired");
}

#[tokio::test]
async fn an_answer_ends_when_time_would_change_it() {
    let asking = Asking::begin().await;
    let [hour, minute] = [1, 60].map(|part| jiff::SignedDuration::from_secs(3600 / part));
    assert_eq!(asking.check().await.until, after_days(1) + hour);

    // From here on the end of the contract's paid time is told.
    let told = after_days(3650 - 90);
    asking.move_to(told - minute);
    // It was silent for years, and has its seat anew.
    asking.ask().await;
    assert_eq!(asking.check().await.until, told);
    asking.move_to(told);
    assert!(!asking.is_known());

    let term = Term { start: after_days(3650), end: after_days(4000) };
    let change = Change::Renew { term };
    let request = AmendContract { at: Some(told + minute), change };
    let contract = "globex".parse().unwrap();
    asking.service.amend_contract(&actor(), &contract, request).await.unwrap();
    assert_eq!(asking.check().await.until, told + minute, "an amendment is ahead");
}

#[tokio::test]
async fn that_a_machine_asked_again_is_written_down_with_that_of_others() {
    let asking = Asking::begin().await;
    let Asking { service, machine, world, .. } = &asking;
    let asked = asking.check().await;
    let before = world.machine(&machine.machine).await;
    let later = after_days(1) + jiff::SignedDuration::from_mins(15);
    asking.move_to(later);
    let last = service.last_answer(&machine.token, service.now()).unwrap();
    service.answer_again(&last, Asking::question("a"), service.now()).unwrap();
    assert_eq!(world.machine(&machine.machine).await, before, "it is in memory");
    service.write_seen().await.unwrap();
    assert_eq!(asked.seen_at, before.seen_at);
    assert_eq!(world.machine(&machine.machine).await.seen_at, later);
    assert!(asking.is_known(), "that it was heard of changes nothing of its answer");
}
