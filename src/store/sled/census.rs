//! The census, and the order in which machines are listed: kept in the transactions that change
//! machines, so that neither a count nor a listing looks at machines that are not asked for.
//!
//! How many machines there are with each setup of a product is the directory: a product has few
//! setups, whatever the size of the fleet. With a setup the cells of its customers are found, and with
//! a cell its machines, those that were silent for longest first.

use std::{collections::BTreeMap, ops::Bound};

use mainstay_client::format::{CustomerName, MachineName, ProductName};
use serde::{Serialize, de::IgnoredAny};
use sled::Tree;

use super::{
    super::{ListPlace, Listed, MachineRecord, Selection, StoreError, StoreResult, Whereabouts},
    table::{Key, Table},
    tables::{CENSUS, CENSUS_TOGETHER, MACHINES, MACHINES_IN_USE, MACHINES_RETIRED, PRODUCTS},
    transaction::Transaction,
    upgrade::{RECORDS_WRITTEN, Upgrade},
};
use crate::policy::{
    Cell, Count, Counted, Day, Setup,
    census::{Move, difference},
};

/// Lists and counts a machine as it is `after` a change, no longer as it was `before` it.
pub(super) fn recount(
    transaction: &Transaction,
    before: Option<Whereabouts<'_>>,
    after: Whereabouts<'_>,
) -> StoreResult<()> {
    // So it is with most changes.
    if before == Some(after) {
        return Ok(());
    }
    list(transaction, before, after)?;
    let steps = difference(before.and_then(Whereabouts::counted), after.counted());
    steps
        .chunk_by(|one, next| one.cell() == next.cell())
        .try_for_each(|steps| change(transaction, steps))
}

/// Where one machine is listed.
#[derive(PartialEq, Eq)]
enum Entry {
    InUse(Cell, (u32, MachineName)),
    Retired(CustomerName, MachineName),
}

impl Entry {
    fn of(machine: Whereabouts<'_>) -> Self {
        match machine.counted() {
            Some(Counted { cell, seen, .. }) => {
                Self::InUse(cell, (seen.number(), machine.name.clone()))
            }
            None => Self::Retired(machine.customer.clone(), machine.name.clone()),
        }
    }
}

fn list(
    transaction: &Transaction,
    before: Option<Whereabouts<'_>>,
    after: Whereabouts<'_>,
) -> StoreResult<()> {
    let (before, entry) = (before.map(Entry::of), Entry::of(after));
    if before.as_ref() == Some(&entry) {
        return Ok(());
    }
    match before {
        Some(Entry::InUse(cell, place)) => {
            MACHINES_IN_USE.remove(transaction, &(cell, place))?;
        }
        Some(Entry::Retired(customer, name)) => {
            MACHINES_RETIRED.remove(transaction, &(customer, name))?;
        }
        None => {}
    }
    match entry {
        Entry::InUse(cell, place) => {
            let listed = (after.seen, after.name.clone());
            MACHINES_IN_USE.put(transaction, &(cell, place), &listed)
        }
        Entry::Retired(customer, name) => {
            MACHINES_RETIRED.put(transaction, &(customer, name), after.name)
        }
    }
}

/// Changes both counts in which the machines of a cell are, by steps within it.
fn change(transaction: &Transaction, steps: &[Move]) -> StoreResult<()> {
    let Some(cell) = steps.first().map(Move::cell) else { return Ok(()) };
    let Cell { setup, customer } = cell;
    change_one(transaction, &CENSUS, &(setup.clone(), customer.clone()), cell, steps)?;
    change_one(transaction, &CENSUS_TOGETHER, setup, setup, steps)
}

fn change_one<K, P>(
    transaction: &Transaction,
    table: &Table<K, (P, Count)>,
    key: &K,
    place: &P,
    steps: &[Move],
) -> StoreResult<()>
where
    K: Key,
    P: Serialize,
{
    let stored = table.seen_as::<(IgnoredAny, Count)>().find(transaction, key)?;
    let mut count = stored.map_or_else(Count::default, |(_, count)| count);
    for step in steps {
        if let Err(problem) = count.make(step) {
            // A machine must not be cut off because it was miscounted.
            tracing::error!(count = table.shown(key), %problem, "the census is not exact");
        }
    }
    if count.is_empty() {
        table.remove(transaction, key)?;
        return Ok(());
    }
    table.seen_as::<(&P, &Count)>().put(transaction, key, &(place, &count))
}

/// How many machines of all customers together there are with each setup of a product, in order.
pub(super) fn together(tree: &Tree, product: &ProductName) -> StoreResult<Vec<(Setup, Count)>> {
    let counts = CENSUS_TOGETHER.beginning_with(tree, product);
    let mut counts = counts.collect::<StoreResult<Vec<_>>>()?;
    // The keys are in the order of their text, in which 1.10.0 comes before 1.9.0.
    counts.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(counts)
}

/// How many machines there are in each cell of a selection that comes after `after`, in order.
pub(super) fn cells<'a>(
    tree: &'a Tree,
    selection: &'a Selection,
    after: Option<&Cell>,
) -> StoreResult<impl Iterator<Item = StoreResult<(Cell, Count)>> + use<'a>> {
    let products = match &selection.product {
        Some(product) => vec![product.clone()],
        None => PRODUCTS.all(tree)?.into_iter().map(|product| product.name).collect(),
    };
    let mut setups = Vec::new();
    for product in products {
        setups.extend(together(tree, &product)?.into_iter().map(|(setup, _)| setup));
    }
    setups.retain(|setup| {
        selection.has_setup(setup) && after.is_none_or(|after| after.setup <= *setup)
    });
    let after = after.cloned();
    Ok(setups.into_iter().flat_map(move |setup| {
        let after = after.as_ref().filter(|after| after.setup == setup);
        of_setup(tree, selection, setup, after.map(|after| after.customer.clone()))
    }))
}

/// The cells of a setup, of those customers of the selection that come after `after`.
fn of_setup<'a>(
    tree: &'a Tree,
    selection: &'a Selection,
    setup: Setup,
    after: Option<CustomerName>,
) -> Box<dyn Iterator<Item = StoreResult<(Cell, Count)>> + 'a> {
    let Some(customers) = &selection.customers else {
        return Box::new(CENSUS.of_after(tree, &setup, after.as_ref()));
    };
    let after = after.map_or(Bound::Unbounded, Bound::Excluded);
    let customers = customers.range((after, Bound::Unbounded));
    Box::new(customers.filter_map(move |customer| {
        CENSUS.find(tree, &(setup.clone(), customer.clone())).transpose()
    }))
}

/// The machines of a selection that come after `after`, in the order in which they are listed.
pub(super) fn machines(
    tree: &Tree,
    selection: &Selection,
    listed: Listed,
    after: Option<&ListPlace>,
    limit: usize,
) -> StoreResult<Vec<MachineRecord>> {
    let names = match listed {
        Listed::InUse => in_use(tree, selection, None, after)?,
        Listed::SeenUntil(until) => in_use(tree, selection, Some(Day::of(until)), after)?,
        Listed::Retired => retired(tree, selection, after),
    };
    let machines = names.map(|name| {
        let name = name?;
        MACHINES.find(tree, &name)?.ok_or_else(|| {
            StoreError::Corrupt(format!("machine `{name}` is listed, and does not exist"))
        })
    });
    let is_wanted = |machine: &MachineRecord| selection.has(machine) && listed.has(machine);
    machines.filter(|found| found.as_ref().map_or(true, is_wanted)).take(limit).collect()
}

type Names<'a> = Box<dyn Iterator<Item = StoreResult<MachineName>> + 'a>;

/// The names of the machines in use that come after `after`; those only that were last heard of on
/// `last_day` or before.
fn in_use<'a>(
    tree: &'a Tree,
    selection: &'a Selection,
    last_day: Option<Day>,
    after: Option<&ListPlace>,
) -> StoreResult<Names<'a>> {
    let is_wanted = move |day| last_day.is_none_or(|last_day| day <= last_day);
    // The cell in which the page before ended may have machines left.
    let begun = after.map(|after| {
        let place = (after.seen.number(), after.machine.clone());
        let machines = MACHINES_IN_USE.of_after(tree, &after.cell, Some(&place));
        names(machines.take_while(move |found| found.as_ref().map_or(true, |it| is_wanted(it.0))))
    });
    let cells = cells(tree, selection, after.map(|after| &after.cell))?;
    let cells = cells.filter(move |found| match (found, last_day) {
        (Ok((_, count)), Some(last_day)) => count.reaches_back_to(last_day),
        _ => true,
    });
    let rest = cells.flat_map(move |found| match found {
        Ok((cell, _)) => {
            let machines = MACHINES_IN_USE.of(tree, &cell);
            let wanted =
                machines.take_while(move |found| found.as_ref().map_or(true, |it| is_wanted(it.0)));
            names(wanted)
        }
        Err(error) => Box::new(std::iter::once(Err(error))),
    });
    Ok(Box::new(begun.into_iter().flatten().chain(rest)))
}

fn names<'a>(listed: impl Iterator<Item = StoreResult<(Day, MachineName)>> + 'a) -> Names<'a> {
    Box::new(listed.map(|found| found.map(|(_, name)| name)))
}

fn retired<'a>(tree: &'a Tree, selection: &'a Selection, after: Option<&ListPlace>) -> Names<'a> {
    let after = after.map(|after| (after.cell.customer.clone(), after.machine.clone()));
    let Some(customers) = &selection.customers else {
        return Box::new(MACHINES_RETIRED.after(tree, after.as_ref()));
    };
    let first =
        after.as_ref().map_or(Bound::Unbounded, |(first, _)| Bound::Included(first.clone()));
    let customers = customers.range((first, Bound::Unbounded));
    Box::new(customers.flat_map(move |customer| {
        let after = after.as_ref().filter(|(first, _)| first == customer);
        let machine = after.map(|(_, machine)| machine.clone());
        MACHINES_RETIRED.of_after(tree, customer, machine.as_ref())
    }))
}

/// Counts all machines of a store in which none was counted, or not all of them were.
pub(super) fn count_anew(upgrade: &Upgrade<'_>) -> StoreResult<()> {
    upgrade.clear(&MACHINES_IN_USE)?;
    upgrade.clear(&MACHINES_RETIRED)?;
    upgrade.clear(&CENSUS)?;
    upgrade.clear(&CENSUS_TOGETHER)?;
    let mut cells = BTreeMap::<Cell, Count>::new();
    let mut setups = BTreeMap::<Setup, Count>::new();
    upgrade.in_groups(
        &MACHINES,
        |machine| machine.name.clone(),
        |machines| {
            for counted in machines.iter().filter_map(MachineRecord::counted) {
                cells.entry(counted.cell.clone()).or_default().join(&counted);
                setups.entry(counted.cell.setup.clone()).or_default().join(&counted);
            }
            upgrade.write(|transaction| {
                machines
                    .iter()
                    .try_for_each(|machine| list(transaction, None, machine.whereabouts()))
            })
        },
    )?;
    let cells: Vec<_> = cells.into_iter().collect();
    for group in cells.chunks(RECORDS_WRITTEN) {
        upgrade.write(|transaction| {
            group.iter().try_for_each(|counted| {
                let Cell { setup, customer } = counted.0.clone();
                CENSUS.put(transaction, &(setup, customer), counted)
            })
        })?;
    }
    let setups: Vec<_> = setups.into_iter().collect();
    for group in setups.chunks(RECORDS_WRITTEN) {
        upgrade.write(|transaction| {
            group
                .iter()
                .try_for_each(|counted| CENSUS_TOGETHER.put(transaction, &counted.0, counted))
        })?;
    }
    Ok(())
}
