use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn cell(version: Option<&str>, platform: &str, customer: &str) -> Cell {
    Cell {
        setup: Setup {
            product: "acme-db".parse().unwrap(),
            version: version.map(|version| version.parse().unwrap()),
            platform: platform.parse().unwrap(),
        },
        customer: customer.parse().unwrap(),
    }
}

/// Few cells and days, so that machines meet.
fn counted() -> impl Strategy<Value = Counted> {
    let version = prop::sample::select(vec![None, Some("1.9.0"), Some("1.10.0")]);
    let platform = prop::sample::select(vec!["linux-x86_64", "linux-arm"]);
    let customer = prop::sample::select(vec!["acme", "globex"]);
    let stage = prop::sample::select(vec![Stage::Installed, Stage::Confirmed]);
    (version, platform, customer, stage, 0..5_u32).prop_map(
        |(version, platform, customer, stage, day)| Counted {
            cell: cell(version, platform, customer),
            stage,
            seen: Day(day),
        },
    )
}

type Census = BTreeMap<Cell, Count>;

/// What whoever looked at all machines would find.
fn scanned<'a>(machines: impl Iterator<Item = &'a Counted>) -> Census {
    let mut census = Census::new();
    for counted in machines {
        census.entry(counted.cell.clone()).or_default().join(counted);
    }
    census
}

fn apply(census: &mut Census, moves: Vec<Move>) {
    for step in moves {
        let count = census.entry(step.cell().clone()).or_default();
        count.make(&step).unwrap();
        if count.is_empty() {
            census.remove(step.cell());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Days that are put together, because there are too many, lose no machine, and machines never
    /// seem older than they are.
    #[test]
    fn days_that_are_put_together_lose_nobody(
        leaving in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        extra in 1..300_usize,
    ) {
        let at = |day: usize| Counted {
            cell: cell(None, "linux-arm", "acme"),
            stage: Stage::Installed,
            seen: Day(u32::try_from(day).unwrap()),
        };
        let mut machines: Vec<_> = (0..Count::DAYS_MAX + extra).map(at).collect();
        let mut count = Count::default();
        for counted in &machines {
            count.join(counted);
        }
        prop_assert_eq!(count.seen.len(), Count::DAYS_MAX);
        for index in leaving {
            let counted = machines.swap_remove(index.index(machines.len()));
            prop_assert_eq!(count.leave(&counted), Ok(()));
            for day in [0, extra, extra + 1, extra + 7, Count::DAYS_MAX] {
                let day = Day(u32::try_from(day).unwrap());
                let older = machines.iter().filter(|counted| counted.seen < day).count() as u64;
                let figures = count.figures(day);
                prop_assert_eq!(figures.installed, machines.len() as u64);
                prop_assert!(figures.silent <= older, "{} of {older}", figures.silent);
            }
        }
        for counted in &machines {
            count.leave(counted).unwrap();
        }
        prop_assert!(count.is_empty());
        prop_assert_eq!(count.leave(&at(0)), Err(Uncounted));
    }
}

proptest! {
    /// Whatever happens to a few machines: the sum of the differences is what a scan finds, at each
    /// step, and nobody ever leaves where nobody was.
    #[test]
    fn the_sum_of_the_differences_is_what_a_scan_finds(
        changes in prop::collection::vec((0..6_usize, prop::option::of(counted())), 0..60)
    ) {
        let mut machines: [Option<Counted>; 6] = Default::default();
        let mut census = Census::new();
        for (machine, after) in changes {
            let before = std::mem::replace(&mut machines[machine], after.clone());
            apply(&mut census, difference(before, after));
            prop_assert_eq!(&census, &scanned(machines.iter().flatten()));
        }
    }

    #[test]
    fn a_cell_is_what_its_text_says(counted in counted()) {
        let cell = counted.cell;
        prop_assert_eq!(cell.to_string().parse(), Ok(cell.clone()));
        prop_assert_eq!(cell.setup.to_string().parse(), Ok(cell.setup));
    }
}

#[test]
fn a_machine_that_is_counted_as_before_changes_nothing() {
    let counted =
        Counted { cell: cell(None, "linux-arm", "acme"), stage: Stage::Installed, seen: Day(3) };
    assert_eq!(difference(Some(counted.clone()), Some(counted.clone())), []);
    assert_eq!(difference(None, None), []);
    let later = Counted { seen: Day(4), ..counted.clone() };
    let moves = [Move::Leaves(counted.clone()), Move::Joins(later.clone())];
    assert_eq!(difference(Some(counted), Some(later)), moves);
}

#[test]
fn confirmed_and_silent_ones_are_told_apart() {
    let mut count = Count::default();
    let mut join = |stage, day| {
        let cell = cell(Some("1.9.0"), "linux-arm", "acme");
        let counted = Counted { cell, stage, seen: Day(day) };
        count.join(&counted);
        counted
    };
    let first = join(Stage::Confirmed, 1);
    join(Stage::Confirmed, 5);
    join(Stage::Installed, 5);
    let figures = |count: &Count, day| {
        let Figures { installed, confirmed, silent } = count.figures(Day(day));
        [installed, confirmed, silent]
    };
    assert_eq!(figures(&count, 1), [3, 2, 0], "a day is not before itself");
    assert_eq!(figures(&count, 2), [3, 2, 1]);
    assert_eq!(figures(&count, 6), [3, 2, 3]);
    assert!(count.reaches_back_to(Day(1)) && !count.reaches_back_to(Day(0)));
    count.leave(&first).unwrap();
    assert_eq!(figures(&count, 6), [2, 1, 2]);
    assert!(!count.reaches_back_to(Day(4)));
}

#[test]
fn a_refused_leaving_changes_nothing() {
    let installed =
        Counted { cell: cell(None, "linux-arm", "acme"), stage: Stage::Installed, seen: Day(3) };
    let mut count = Count::default();
    count.join(&installed);
    let before = count.clone();
    let confirmed = Counted { stage: Stage::Confirmed, ..installed.clone() };
    let younger = Counted { seen: Day(4), ..installed };
    for stranger in [confirmed, younger] {
        assert_eq!(count.leave(&stranger), Err(Uncounted));
        assert_eq!(count, before);
    }
}

#[test]
fn setups_are_in_the_order_of_their_versions() {
    let texts = ["acme-db//linux-arm", "acme-db/1.9.0/linux-arm", "acme-db/1.10.0/linux-arm"];
    let setups: Vec<Setup> = texts.iter().map(|text| text.parse().unwrap()).collect();
    assert!(setups.is_sorted());
    for text in ["", "acme-db", "acme-db/1/linux-arm", "acme-db/1.0.0/linux-arm/acme/x"] {
        let refused = text.parse::<Cell>().unwrap_err().to_string();
        assert!(refused.contains("expected product/version/platform/customer"), "{refused}");
    }
}

#[test]
fn a_day_begins_at_midnight() {
    let midnight: Timestamp = "2026-11-29T00:00:00Z".parse().unwrap();
    let day = Day::of(midnight);
    assert_eq!(day.start(), midnight);
    assert_eq!(Day::of(midnight - SignedDuration::from_secs(1)).number() + 1, day.number());
    assert_eq!(Day::of(Timestamp::MIN), Day(0));
}

/// A count has room in a record, however long a store lives.
#[test]
fn the_longest_count_fits_into_a_record() {
    let count = Count {
        confirmed: u64::MAX,
        seen: (10_000..).map(|day| (Day(day), 99_999)).take(Count::DAYS_MAX).collect(),
    };
    let bytes = serde_json::to_vec(&count).unwrap();
    assert!(bytes.len() < 60 << 10, "{} bytes", bytes.len());
    assert_eq!(serde_json::from_slice::<Count>(&bytes).unwrap(), count);
}
