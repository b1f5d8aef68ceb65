//! Actions over several machines: the port to them, and its transactions.

use async_trait::async_trait;
use mainstay_client::format::{CustomerName, MachineName};

use super::{
    super::{
        ActionId, ActionMachine, ActionRecord, ActionState, ActionStore, AuditEntry, MachineChange,
        Reach, StoreError, StoreResult,
    },
    SledStore, audit, fleet,
    tables::{ACTION_MACHINES, ACTIONS, ACTIONS_BY_CUSTOMER, OPEN_ACTIONS},
    transaction::Transaction,
};

#[async_trait]
impl ActionStore for SledStore {
    async fn create_action(
        &self,
        action: ActionRecord,
        machines: Vec<ActionMachine>,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| create_action(transaction, &action, &machines, &audit)).await
    }

    async fn action(&self, id: &ActionId) -> StoreResult<ActionRecord> {
        ACTIONS.read(&*self.database, id)
    }

    async fn actions_before(
        &self,
        customer: Option<&CustomerName>,
        before: Option<&ActionId>,
        limit: usize,
    ) -> StoreResult<Vec<ActionRecord>> {
        let is_before = |id: &ActionId| before.is_none_or(|before| id < before);
        match customer {
            None => {
                let actions = ACTIONS.newest(&self.database);
                let wanted = |found: &StoreResult<ActionRecord>| {
                    found.as_ref().map_or(true, |action| is_before(&action.id))
                };
                actions.filter(wanted).take(limit).collect()
            }
            Some(customer) => {
                let index = ACTIONS_BY_CUSTOMER;
                let ids = index.of(&self.database, customer).rev();
                let ids = ids.filter(|found| found.as_ref().map_or(true, is_before)).take(limit);
                ids.map(|id| index.pointed(&*self.database, &id?, &ACTIONS)).collect()
            }
        }
    }

    async fn open_actions(&self) -> StoreResult<Vec<ActionRecord>> {
        let ids = OPEN_ACTIONS.all(&self.database)?.into_iter();
        ids.map(|id| OPEN_ACTIONS.pointed(&*self.database, &id, &ACTIONS)).collect()
    }

    async fn open_actions_of(&self, machine: &MachineName) -> StoreResult<Vec<ActionRecord>> {
        let mut open = Vec::new();
        for id in OPEN_ACTIONS.all(&self.database)? {
            let key = (id, machine.clone());
            let found = ACTION_MACHINES.find(&*self.database, &key)?;
            if found.is_some_and(|machine| machine.end.is_none()) {
                open.push(OPEN_ACTIONS.pointed(&*self.database, &key.0, &ACTIONS)?);
            }
        }
        Ok(open)
    }

    async fn machines_of_action(&self, id: &ActionId) -> StoreResult<Vec<ActionMachine>> {
        ACTION_MACHINES.of(&self.database, id).collect()
    }

    async fn change_action(&self, action: ActionRecord, audit: AuditEntry) -> StoreResult<()> {
        self.write(move |transaction| change_action(transaction, &action, &audit)).await
    }

    async fn carry_out(
        &self,
        id: &ActionId,
        machine: ActionMachine,
        change: MachineChange,
    ) -> StoreResult<()> {
        let id = id.clone();
        let change = fleet::Ready::new(change, &*self.database)?;
        self.write_reaching(move |transaction| carry_out(transaction, &id, &machine, &change)).await
    }

    async fn note_progress(&self, id: &ActionId, machines: Vec<ActionMachine>) -> StoreResult<()> {
        let id = id.clone();
        self.write_aside(move |transaction| note_progress(transaction, &id, &machines)).await
    }
}

fn create_action(
    transaction: &Transaction,
    action: &ActionRecord,
    machines: &[ActionMachine],
    entry: &AuditEntry,
) -> StoreResult<()> {
    let id = &action.id;
    ACTIONS.add(transaction, id, &ActionRecord { revision: 1, ..action.clone() })?;
    index(transaction, action)?;
    for machine in machines {
        ACTION_MACHINES.add(transaction, &(id.clone(), machine.machine.clone()), machine)?;
        if let Some(customer) = &machine.customer {
            ACTIONS_BY_CUSTOMER.put(transaction, &(customer.clone(), id.clone()), id)?;
        }
    }
    audit::append(transaction, entry)
}

fn change_action(
    transaction: &Transaction,
    action: &ActionRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let stored = ACTIONS.read(transaction, &action.id)?;
    if stored.revision != action.revision {
        return Err(StoreError::Conflict(format!(
            "{} is at revision {}: expected {}; look at it again and retry",
            ACTIONS.shown(&action.id),
            stored.revision,
            action.revision
        )));
    }
    let action = ActionRecord { revision: stored.revision + 1, ..action.clone() };
    ACTIONS.put(transaction, &action.id, &action)?;
    index(transaction, &action)?;
    audit::append(transaction, entry)
}

fn carry_out(
    transaction: &Transaction,
    id: &ActionId,
    machine: &ActionMachine,
    change: &fleet::Ready,
) -> StoreResult<Reach> {
    require_running(transaction, id)?;
    let key = (id.clone(), machine.machine.clone());
    let stored = ACTION_MACHINES.read(transaction, &key)?;
    if stored.recorded.is_some() || stored.end.is_some() {
        let shown = ACTION_MACHINES.shown(&key);
        return Err(StoreError::Conflict(format!("{shown} is not open any more")));
    }
    let reach = fleet::change_machine(transaction, change)?;
    ACTION_MACHINES.put(transaction, &key, machine)?;
    Ok(reach)
}

fn note_progress(
    transaction: &Transaction,
    id: &ActionId,
    machines: &[ActionMachine],
) -> StoreResult<()> {
    require_running(transaction, id)?;
    for machine in machines {
        let key = (id.clone(), machine.machine.clone());
        let stored = ACTION_MACHINES.read(transaction, &key)?;
        if stored.end.is_none() && stored.recorded == machine.recorded {
            ACTION_MACHINES.put(transaction, &key, machine)?;
        }
    }
    Ok(())
}

fn require_running(transaction: &Transaction, id: &ActionId) -> StoreResult<()> {
    let action = ACTIONS.read(transaction, id)?;
    if action.state == ActionState::Running {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "{} is {}: expected one that is running",
        ACTIONS.shown(id),
        action.state.as_str()
    )))
}

/// Keeps the actions for which something is to be done where they are found without reading all.
fn index(transaction: &Transaction, action: &ActionRecord) -> StoreResult<()> {
    if action.state.is_open() {
        return OPEN_ACTIONS.put(transaction, &action.id, &action.id);
    }
    OPEN_ACTIONS.remove(transaction, &action.id)?;
    Ok(())
}
