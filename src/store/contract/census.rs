//! How many machines run what, and which they are.

use std::collections::BTreeMap;

use mainstay_client::format::CustomerName;

use super::{
    super::{ListPlace, Listed, MachineRecord, MetaStore, Selection},
    accounts::contracted,
    at, entry, expect_conflict, fleet,
};
use crate::policy::{Cell, Count, Day, Ring, Setup};

const DAY: i64 = 24 * 3600;

/// What happens to a machine, and perhaps to which customer it goes.
type Step = fn(&mut MachineRecord, &CustomerName);

pub(super) async fn counts(store: &dyn MetaStore, scope: &str) {
    let base = fleet::fixture(store, scope, "counts").await;
    let other = contracted(store, scope, "fleet-counts-2").await.unwrap();
    let other: CustomerName = other.as_str().parse().unwrap();
    let mut machines = [fleet::machine(&base, "1"), fleet::machine(&base, "2")];
    assert_eq!(store.census_after(&of(&base), None, 9).await.unwrap(), []);
    for machine in &machines {
        store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    }
    assert_counted(store, &machines).await;

    let steps: [Step; 9] = [
        |machine, _| machine.running = Some(fleet::version("1.3.0")),
        |machine, _| machine.confirmed = [fleet::version("1.3.0")].into(),
        |machine, _| machine.seen_at = at(3 * DAY),
        |machine, _| machine.platform = "linux-arm".parse().unwrap(),
        |machine, _| machine.agent = "another".to_owned(),
        |machine, _| machine.running = None,
        |machine, other| machine.customer = other.clone(),
        |machine, _| machine.retired = Some(fleet::word("T-9")),
        |machine, _| machine.retired = None,
    ];
    for step in steps {
        for changing in 0..machines.len() {
            let name = machines[changing].name.clone();
            machines[changing] =
                fleet::changed(store, &name, |machine| step(machine, &other)).await;
            assert_counted(store, &machines).await;
        }
    }

    let stale = MachineRecord { running: None, revision: 1, ..machines[0].clone() };
    expect_conflict(store, store.change_machine(fleet::change(&stale))).await;
    let taken =
        MachineRecord { token_sha256: machines[0].token_sha256, ..fleet::machine(&base, "3") };
    expect_conflict(store, store.create_machine(taken, entry("x"))).await;
    assert_counted(store, &machines).await;
}

/// The counts of the product are what looking at each of its machines comes to.
async fn assert_counted(store: &dyn MetaStore, machines: &[MachineRecord; 2]) {
    let mut cells = BTreeMap::<Cell, Count>::new();
    let mut setups = BTreeMap::<Setup, Count>::new();
    for counted in machines.iter().filter_map(MachineRecord::counted) {
        cells.entry(counted.cell.clone()).or_default().join(&counted);
        setups.entry(counted.cell.setup.clone()).or_default().join(&counted);
    }
    let found = store.census_after(&of(&machines[0]), None, 9).await.unwrap();
    assert_eq!(found, cells.into_iter().collect::<Vec<_>>());
    let together = store.census_together(&machines[0].product).await.unwrap();
    assert_eq!(together, setups.into_iter().collect::<Vec<_>>());
}

pub(super) async fn listing(store: &dyn MetaStore, scope: &str) {
    let base = fleet::fixture(store, scope, "listing").await;
    let other = contracted(store, scope, "fleet-listing-2").await.unwrap();
    let other: CustomerName = other.as_str().parse().unwrap();
    let mut machines = Vec::new();
    // The versions are in the order of versions, not of text.
    for version in [None, Some("1.9.0"), Some("1.10.0")] {
        for (customer, day) in [(&base.customer, 2), (&base.customer, 0), (&other, 1)] {
            let number = machines.len().to_string();
            let machine = MachineRecord {
                running: version.map(fleet::version),
                customer: customer.clone(),
                seen_at: at(day * DAY),
                ring: if day == 0 { Ring::Early } else { Ring::General },
                ..fleet::machine(&base, &number)
            };
            store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
            machines.push(machine);
        }
    }
    let retired =
        MachineRecord { retired: Some(fleet::word("T-9")), ..fleet::machine(&base, "retired") };
    store.create_machine(retired, entry("enrol")).await.unwrap();

    let everything = of(&base);
    let of_other = Selection { customers: Some([other.clone()].into()), ..everything.clone() };
    let of_version = Selection { version: Some(fleet::version("1.9.0")), ..everything.clone() };
    let of_nobody = Selection { customers: Some([].into()), ..everything.clone() };
    let elsewhere = Selection { platform: "plan9-mips".parse().ok(), ..everything.clone() };
    for selection in [&everything, &of_other, &of_version, &of_nobody, &elsewhere] {
        let mut expected: Vec<_> = machines.iter().filter(|it| selection.has(it)).collect();
        expected.sort_by_key(|machine| ListPlace::of(machine));
        assert_listed(store, selection, Listed::InUse, &expected).await;
        for until in [at(-1), at(0), at(DAY - 1), at(DAY), at(9 * DAY)] {
            let silent: Vec<_> =
                expected.iter().copied().filter(|machine| machine.seen_at <= until).collect();
            assert_listed(store, selection, Listed::SeenUntil(until), &silent).await;
        }
        let mut cells: Vec<_> = expected.iter().filter_map(|it| it.counted()).collect();
        cells.dedup_by(|one, other| one.cell == other.cell);
        let cells: Vec<_> = cells.into_iter().map(|counted| counted.cell).collect();
        assert_eq!(paged_cells(store, selection).await, cells);
    }
    let of_ring = Selection { ring: Some(Ring::Early), ..everything.clone() };
    let early: Vec<_> = machines.iter().filter(|it| it.ring == Ring::Early).collect();
    assert_eq!(early.len(), 3);
    assert_listed(store, &of_ring, Listed::InUse, &early).await;
    assert_eq!(machines.iter().filter(|it| of_other.has(it)).count(), 3);
    assert_eq!(machines.iter().filter(|it| of_version.has(it)).count(), 3);
    let figures = store.census_together(&base.product).await.unwrap();
    let figures: Vec<_> =
        figures.iter().map(|(_, count)| count.figures(Day::of(at(DAY)))).collect();
    assert!(figures.iter().all(|it| (it.installed, it.silent) == (3, 1)), "{figures:?}");
}

/// The listing is `expected`, whatever the size of its pages.
async fn assert_listed(
    store: &dyn MetaStore,
    selection: &Selection,
    listed: Listed,
    expected: &[&MachineRecord],
) {
    for limit in [1, 2, 100] {
        let mut found = Vec::new();
        let mut after: Option<ListPlace> = None;
        loop {
            let page = store.machines_after(selection, listed, after.as_ref(), limit);
            let page = page.await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            let place = ListPlace::of(last);
            assert_eq!(place.to_string().parse(), Ok(place.clone()));
            after = Some(place);
            found.extend(page);
        }
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{listed:?} {limit}");
    }
}

/// The cells of a selection, one by one.
async fn paged_cells(store: &dyn MetaStore, selection: &Selection) -> Vec<Cell> {
    let mut cells = Vec::new();
    while let Some((cell, _)) = store.census_after(selection, cells.last(), 1).await.unwrap().pop()
    {
        cells.push(cell);
    }
    let whole = store.census_after(selection, None, 100).await.unwrap();
    assert_eq!(whole.into_iter().map(|(cell, _)| cell).collect::<Vec<_>>(), cells);
    cells
}

pub(super) async fn retired(store: &dyn MetaStore, scope: &str) {
    let base = fleet::fixture(store, scope, "retired").await;
    let other = contracted(store, scope, "fleet-retired-2").await.unwrap();
    let other: CustomerName = other.as_str().parse().unwrap();
    let mut retired = Vec::new();
    for (number, customer) in [("2", &base.customer), ("1", &base.customer), ("3", &other)] {
        let machine = MachineRecord { customer: customer.clone(), ..fleet::machine(&base, number) };
        store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
        let by = |machine: &mut MachineRecord| machine.retired = Some(fleet::word("T-9"));
        retired.push(fleet::changed(store, &machine.name, by).await);
    }
    let used = fleet::machine(&base, "4");
    store.create_machine(used.clone(), entry("enrol")).await.unwrap();
    retired.sort_by_key(|machine| (machine.customer.clone(), machine.name.clone()));

    let everything = of(&base);
    assert_listed(store, &everything, Listed::Retired, &retired.iter().collect::<Vec<_>>()).await;
    assert_listed(store, &everything, Listed::InUse, &[&used]).await;
    let both = Some([base.customer.clone(), other.clone()].into());
    let of_both = Selection { customers: both, ..everything.clone() };
    assert_listed(store, &of_both, Listed::Retired, &retired.iter().collect::<Vec<_>>()).await;
    let of_other = Selection { customers: Some([other.clone()].into()), ..everything.clone() };
    let theirs: Vec<_> = retired.iter().filter(|machine| machine.customer == other).collect();
    assert_eq!(theirs.len(), 1);
    assert_listed(store, &of_other, Listed::Retired, &theirs).await;

    let name = theirs[0].name.clone();
    let back = fleet::changed(store, &name, |machine| machine.retired = None).await;
    assert_listed(store, &of_other, Listed::Retired, &[]).await;
    assert_listed(store, &of_other, Listed::InUse, &[&back]).await;
}

/// Every machine of the product.
fn of(machine: &MachineRecord) -> Selection {
    Selection { product: Some(machine.product.clone()), ..Selection::default() }
}
