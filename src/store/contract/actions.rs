//! Actions over several machines.

use mainstay_client::format::CustomerName;

use super::{
    super::{
        ActionEnd, ActionId, ActionMachine, ActionRecord, ActionResult, ActionState, MachineFilter,
        MachineRecord, MetaStore, OrderingSide, RecordedAction,
    },
    accounts::contracted,
    at, entry, expect_audited, expect_conflict,
    fleet::{change, fixture, machine, version, word},
    missing,
};
use crate::policy::MachineAction;

/// An action on machines of `base`'s product that is ordered so many seconds after some instant.
fn action(base: &MachineRecord, scope: &str, seconds: i64) -> ActionRecord {
    // Names must differ between the scopes.
    let random = u8::from(scope == "first");
    ActionRecord {
        id: ActionId::new(at(seconds), [random, 7]),
        revision: 0,
        product: base.product.clone(),
        action: MachineAction::Block { version: version("1.3.0") },
        filter: Some(MachineFilter { version: Some(version("1.3.0")), ..MachineFilter::default() }),
        machines: 2,
        word: word("T-1"),
        side: OrderingSide::Vendor,
        state: ActionState::Running,
        changed: word("T-1"),
    }
}

/// A machine for which nothing was done.
fn waiting(machine: &MachineRecord) -> ActionMachine {
    ActionMachine {
        machine: machine.name.clone(),
        customer: Some(machine.customer.clone()),
        recorded: None,
        end: None,
    }
}

fn recorded(machine: &MachineRecord) -> ActionMachine {
    let recorded = RecordedAction { at: at(9), order: Some(4), event_number: 2, plan: 3 };
    ActionMachine { recorded: Some(recorded), ..waiting(machine) }
}

fn ended(machine: ActionMachine, result: ActionResult) -> ActionMachine {
    let end = ActionEnd { at: at(10), result, detail: "so it is".to_owned() };
    ActionMachine { end: Some(end), ..machine }
}

pub(super) async fn listing(store: &dyn MetaStore, scope: &str) {
    let base = fixture(store, scope, "actions").await;
    let other = contracted(store, scope, "fleet-actions-2").await.unwrap();
    let other: CustomerName = other.as_str().parse().unwrap();
    let theirs = MachineRecord { customer: other.clone(), ..machine(&base, "2") };
    let own = machine(&base, "1");
    let (first, second) = (action(&base, scope, 100), action(&base, scope, 200));
    missing(store.action(&first.id).await);
    let machines = vec![waiting(&theirs), waiting(&own)];
    let create = store.create_action(first.clone(), machines, entry("action.order"));
    expect_audited(store, "action.order", create).await;
    let again = store.create_action(first.clone(), Vec::new(), entry("action.order"));
    expect_conflict(store, again).await;
    let gone = ActionMachine { customer: None, ..waiting(&own) };
    store.create_action(second.clone(), vec![gone.clone()], entry("action.order")).await.unwrap();

    let stored = |action: &ActionRecord| ActionRecord { revision: 1, ..action.clone() };
    let (first, second) = (stored(&first), stored(&second));
    let only_first = [first.clone()];
    assert_eq!(store.action(&first.id).await.unwrap(), first);
    let machines = store.machines_of_action(&first.id).await.unwrap();
    let mut expected = vec![waiting(&own), waiting(&theirs)];
    expected.sort_by(|one, other| one.machine.cmp(&other.machine));
    assert_eq!(machines, expected, "by name");
    assert_eq!(store.machines_of_action(&second.id).await.unwrap(), [gone]);

    let before = async |customer: Option<&CustomerName>, before: Option<&ActionId>, limit| {
        let mut found = store.actions_before(customer, before, limit).await.unwrap();
        found.retain(|found| found.product == base.product);
        found
    };
    let all = before(None, None, usize::MAX).await;
    assert_eq!(all, [second.clone(), first.clone()], "the newest first");
    assert_eq!(before(None, Some(&second.id), usize::MAX).await, only_first);
    assert_eq!(store.actions_before(None, Some(&second.id), 1).await.unwrap().len(), 1);
    assert_eq!(before(None, Some(&first.id), usize::MAX).await, []);
    for customer in [&own.customer, &other] {
        assert_eq!(before(Some(customer), None, 9).await, only_first);
        assert_eq!(before(Some(customer), Some(&first.id), 9).await, []);
    }
}

pub(super) async fn states(store: &dyn MetaStore, scope: &str) {
    let base = fixture(store, scope, "action-states").await;
    let action = action(&base, scope, 300);
    let waits = ActionRecord { state: ActionState::AwaitingApproval, ..action.clone() };
    store.create_action(waits.clone(), Vec::new(), entry("action.order")).await.unwrap();
    let is_open = async || {
        let open = store.open_actions().await.unwrap();
        assert!(open.is_sorted_by_key(|open| open.id.clone()));
        open.into_iter().any(|open| open.id == action.id)
    };
    assert!(is_open().await);
    for (revision, state) in
        (1..).zip([ActionState::Running, ActionState::Done, ActionState::Cancelled])
    {
        let changed = ActionRecord { revision, state, changed: word("T-2"), ..action.clone() };
        let change = store.change_action(changed.clone(), entry("action.change"));
        expect_audited(store, "action.change", change).await;
        let stored = ActionRecord { revision: revision + 1, ..changed.clone() };
        assert_eq!(store.action(&action.id).await.unwrap(), stored);
        assert_eq!(is_open().await, state == ActionState::Running);
        let stale = store.change_action(changed, entry("action.change"));
        assert!(expect_conflict(store, stale).await.contains("look at it again"));
    }
}

pub(super) async fn progress(store: &dyn MetaStore, scope: &str) {
    let base = fixture(store, scope, "action-progress").await;
    let [one, other] = ["1", "2"].map(|number| machine(&base, number));
    for machine in [&one, &other] {
        store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    }
    let action = action(&base, scope, 400);
    let machines = vec![waiting(&one), waiting(&other)];
    let waits = ActionRecord { state: ActionState::AwaitingApproval, ..action.clone() };
    store.create_action(waits, machines, entry("action.order")).await.unwrap();
    let id = &action.id;
    let held = |machine: &MachineRecord| {
        let mut change = change(machine);
        change.machine.host = "changed".to_owned();
        change.audit = Some(entry("machine.block"));
        change
    };
    let refused = store.carry_out(id, recorded(&one), held(&one));
    assert!(expect_conflict(store, refused).await.contains("awaiting approval"));
    expect_conflict(store, store.note_progress(id, vec![recorded(&one)])).await;
    assert_eq!(store.machine(&one.name).await.unwrap(), one, "nothing is done before");
    let running = ActionRecord { revision: 1, ..action.clone() };
    store.change_action(running, entry("action.approve")).await.unwrap();

    let wanted = async |machine: &MachineRecord| {
        let open = store.open_actions_of(&machine.name).await.unwrap();
        open.into_iter().map(|open| open.id).collect::<Vec<_>>()
    };
    assert_eq!(wanted(&one).await, std::slice::from_ref(id));
    assert_eq!(wanted(&base).await, []);
    let stale = MachineRecord { revision: one.revision + 1, ..one.clone() };
    expect_conflict(store, store.carry_out(id, recorded(&one), held(&stale))).await;
    assert_eq!(store.machines_of_action(id).await.unwrap()[0], waiting(&one), "both or neither");
    // Of two who do the same machine, one is turned away.
    let (a, b) = tokio::join!(
        store.carry_out(id, recorded(&one), held(&one)),
        store.carry_out(id, recorded(&one), held(&one))
    );
    assert!(a.is_ok() != b.is_ok(), "exactly one: {a:?}, {b:?}");
    let changed = store.machine(&one.name).await.unwrap();
    assert_eq!((changed.revision, changed.host.as_str()), (one.revision + 1, "changed"));
    let twice = store.carry_out(id, recorded(&one), held(&changed));
    assert!(expect_conflict(store, twice).await.contains("not open any more"));

    let late = ended(waiting(&one), ActionResult::Cannot);
    store.note_progress(id, vec![late]).await.unwrap();
    assert_eq!(store.machines_of_action(id).await.unwrap()[0], recorded(&one), "it was recorded");
    let refused = ended(recorded(&one), ActionResult::Refused);
    let cannot = ended(waiting(&other), ActionResult::Cannot);
    store.note_progress(id, vec![refused.clone(), cannot.clone()]).await.unwrap();
    assert_eq!(wanted(&one).await, [], "it has come to an end");
    let done = ended(recorded(&one), ActionResult::CarriedOut);
    store.note_progress(id, vec![done]).await.unwrap();
    let mut expected = vec![refused, cannot];
    expected.sort_by(|one, other| one.machine.cmp(&other.machine));
    assert_eq!(store.machines_of_action(id).await.unwrap(), expected, "an end stays");
    let ended = store.carry_out(id, recorded(&other), held(&other));
    expect_conflict(store, ended).await;
    missing(store.note_progress(&ActionId::new(at(-1), [0, 0]), Vec::new()).await);
}
