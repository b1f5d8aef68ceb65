//! Which machines are selected, and what would come of an action on each.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::format::{ContractName, MachineName, ProductName};

use super::{
    ActionPreview, CannotAct, MachineSelection, PreviewedMachine, WantedAction, impossible,
};
use crate::{
    service::{
        Actor, ErrorClass, Service, ServiceError, ServiceResult,
        action::{Acted, Place},
        census::Asked,
        standing::ProductStanding,
    },
    store::{ActionRecord, ListPlace, Listed, MachineFilter, MachineRecord, Selection, Word},
};

/// Machines by name; nothing where there is no such machine for whoever selects.
type Found = BTreeMap<MachineName, Option<MachineRecord>>;

/// How many machines of one contract are looked at before the product is looked at again: what was read
/// of it gets old.
const MACHINES_A_STANDING: usize = 100;

/// The standing of the contract that was asked for last. Machines come sorted by their contracts, so
/// that not many are read, and no two are kept.
pub(super) struct LastStanding<'a> {
    service: &'a Service,
    product: &'a ProductName,
    last: Option<(ContractName, ProductStanding, usize)>,
}

impl<'a> LastStanding<'a> {
    pub(super) fn new(service: &'a Service, product: &'a ProductName) -> Self {
        Self { service, product, last: None }
    }

    pub(super) async fn of(&mut self, contract: &ContractName) -> ServiceResult<&ProductStanding> {
        let asked = match self.last.take() {
            Some((last, standing, asked)) if last == *contract && asked < MACHINES_A_STANDING => {
                (last, standing, asked + 1)
            }
            _ => (contract.clone(), self.service.standing(contract, self.product).await?, 1),
        };
        Ok(&self.last.insert(asked).1)
    }
}

impl Service {
    /// What would come of an action on the machines that are selected.
    pub(super) async fn previewed(
        &self,
        actor: &Actor,
        wanted: &WantedAction,
        word: &Word,
    ) -> ServiceResult<ActionPreview> {
        let found = match &wanted.selection {
            MachineSelection::Filter { filter } => {
                self.filtered(actor, wanted.product.clone(), filter).await?
            }
            MachineSelection::Listed { machines } => self.listed(actor, machines).await?,
        };
        let product = match &wanted.product {
            Some(product) => product.clone(),
            None => one_product(&found)?,
        };
        let mut machines: Vec<_> = found.into_iter().collect();
        machines.sort_by(|(_, one), (_, other)| {
            let contract = |it: &Option<MachineRecord>| it.as_ref().map(|it| it.contract.clone());
            contract(one).cmp(&contract(other))
        });
        let others = self.wanted_of_all().await?;
        let mut standings = LastStanding::new(self, &product);
        let mut previewed = Vec::new();
        for (name, record) in machines {
            // Whoever else this worker serves is not to wait for all of them.
            tokio::task::yield_now().await;
            let mut machine = match record {
                Some(record) => {
                    self.previewed_machine(record, wanted, word, &mut standings).await?
                }
                None => PreviewedMachine {
                    customer: None,
                    host: None,
                    outcome: None,
                    cannot: Some(CannotAct {
                        code: "NOT_FOUND".to_owned(),
                        message: format!("machine `{name}` does not exist"),
                    }),
                    machine: name,
                },
            };
            if let (Some(outcome), Some(others)) =
                (&mut machine.outcome, others.get(&machine.machine))
            {
                outcome.cautions.extend(others.iter().cloned());
            }
            previewed.push(machine);
        }
        previewed.sort_by(|one, other| one.machine.cmp(&other.machine));
        let outcomes = previewed.iter().filter_map(|machine| machine.outcome.as_ref());
        let possible = outcomes.clone().count();
        let alone_max = self.alone_max(actor);
        Ok(ActionPreview {
            product,
            action: wanted.action.clone(),
            possible,
            opens: outcomes.flat_map(|outcome| outcome.opens.iter().cloned()).collect(),
            alone_max,
            needs_approval: possible > alone_max,
            machines: previewed,
        })
    }

    async fn previewed_machine(
        &self,
        record: MachineRecord,
        wanted: &WantedAction,
        word: &Word,
        standings: &mut LastStanding<'_>,
    ) -> ServiceResult<PreviewedMachine> {
        let (machine, customer) = (record.name.clone(), Some(record.customer.clone()));
        let host = Some(record.host.clone());
        let acted = if record.product == *standings.product {
            let standing = standings.of(&record.contract).await?;
            let seat = self.seat(standing, &record).await?;
            let place = Place { standing, seat, limits: &self.limits };
            Acted::of(record, &wanted.action, word, place)
        } else {
            Err(impossible(format!("machine {machine} runs another product: {}", record.product)))
        };
        let (outcome, cannot) = match acted {
            Ok(acted) => (Some(acted.outcome), None),
            Err(error) => (None, Some(CannotAct::from(&require_of_machine(error)?))),
        };
        Ok(PreviewedMachine { machine, customer, host, outcome, cannot })
    }

    async fn filtered(
        &self,
        actor: &Actor,
        product: Option<ProductName>,
        filter: &MachineFilter,
    ) -> ServiceResult<Found> {
        if *filter == MachineFilter::default() {
            return Err(ServiceError::input(
                "the filter asks for nothing, so that every machine would be selected: expected at \
                 least one of customer, version, platform, ring",
            ));
        }
        let MachineFilter { customer, version, platform, ring } = filter.clone();
        let asked = Asked { product, customer, platform, version };
        let selection = Selection { ring, ..self.selection(&actor.scope, asked).await? };
        let mut found = Found::new();
        let mut after: Option<ListPlace> = None;
        loop {
            let limit = self.limits.page_records_max;
            let page =
                self.meta.machines_after(&selection, Listed::InUse, after.as_ref(), limit).await?;
            let Some(last) = page.last() else { break };
            after = Some(ListPlace::of(last));
            found.extend(page.into_iter().map(|machine| (machine.name.clone(), Some(machine))));
            self.require_few(found.len())?;
        }
        if found.is_empty() {
            return Err(impossible(format!("there is no machine {filter}")));
        }
        Ok(found)
    }

    async fn listed(
        &self,
        actor: &Actor,
        machines: &BTreeSet<MachineName>,
    ) -> ServiceResult<Found> {
        if machines.is_empty() {
            return Err(ServiceError::input("no machine is named: expected one or more"));
        }
        self.require_few(machines.len())?;
        let mut found = Found::new();
        for name in machines {
            let machine = match self.machine_in(&actor.scope, name).await {
                Err(error) if error.class() == ErrorClass::NotFound => None,
                machine => Some(machine?),
            };
            found.insert(name.clone(), machine);
        }
        Ok(found)
    }

    /// What is wanted of one machine by actions that are under way or await approval.
    pub(in crate::service) async fn wanted_of(
        &self,
        machine: &MachineName,
    ) -> ServiceResult<Vec<String>> {
        let actions = self.meta.open_actions_of(machine).await?;
        Ok(actions.iter().map(sentence).collect())
    }

    /// What is wanted of machines by actions that are under way or await approval.
    async fn wanted_of_all(&self) -> ServiceResult<BTreeMap<MachineName, Vec<String>>> {
        let mut wanted = BTreeMap::<MachineName, Vec<String>>::new();
        for action in self.meta.open_actions().await? {
            let sentence = sentence(&action);
            let machines = self.meta.machines_of_action(&action.id).await?;
            for machine in machines.into_iter().filter(|machine| machine.end.is_none()) {
                wanted.entry(machine.machine).or_default().push(sentence.clone());
            }
        }
        Ok(wanted)
    }
}

/// What an action is, for whoever acts on one of its machines.
fn sentence(action: &ActionRecord) -> String {
    let ActionRecord { id, action, word, state, .. } = action;
    format!(
        "{} has ordered {action} of it at {} (action {id}, {}): {}.",
        word.by,
        word.at,
        state.as_str(),
        word.reason
    )
}

/// Why it cannot be done to one machine. What is wrong with the whole request, or with the server, is
/// an error of the whole.
fn require_of_machine(error: ServiceError) -> ServiceResult<ServiceError> {
    match error.class() {
        ErrorClass::Conflict
        | ErrorClass::Forbidden
        | ErrorClass::NotFound
        | ErrorClass::Refused => Ok(error),
        _ => Err(error),
    }
}

/// The product that all machines run.
fn one_product(found: &Found) -> ServiceResult<ProductName> {
    let products: BTreeSet<_> = found.values().flatten().map(|machine| &machine.product).collect();
    let mut all = products.iter();
    match (all.next(), all.next()) {
        (Some(product), None) => Ok((*product).clone()),
        (None, _) => {
            Err(ServiceError::new(ErrorClass::NotFound, "NOT_FOUND", "none of the machines exists"))
        }
        (Some(_), Some(_)) => {
            let products: Vec<_> = products.iter().map(ToString::to_string).collect();
            Err(ServiceError::input(format!(
                "the machines run {}: expected one product; say which (`--product`)",
                products.join(", ")
            )))
        }
    }
}
