use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use proptest::{collection::vec, prelude::*};

use super::*;

const PREFIX: &[u8] = b"rows/";

fn database() -> sled::Db {
    sled::Config::new().temporary(true).flush_every_ms(None).open().unwrap()
}

fn key(number: u16) -> Vec<u8> {
    [PREFIX, &number.to_be_bytes()].concat()
}

/// Makes a change and applies it.
fn write(tree: &Tree, change: impl FnOnce(&Transaction) -> StoreResult<()>) {
    let mut transaction = Transaction::over(tree);
    transaction.attempt(change).unwrap();
    transaction.apply().unwrap();
}

fn all() -> Range<Vec<u8>> {
    PREFIX.to_vec()..b"rows0".to_vec()
}

fn rows(tree: &Tree, range: Range<Vec<u8>>) -> Vec<OwnRow> {
    scan(tree, range).map(Result::unwrap).collect()
}

/// How many rows each run has, by its key.
fn runs(tree: &Tree) -> Vec<(Vec<u8>, usize)> {
    let runs = tree.scan_prefix(PREFIX).map(|run| {
        let (key, value) = run.unwrap();
        let count = parse(&key, &codec::content(&key, &value).unwrap()).unwrap().len();
        (key.to_vec(), count)
    });
    runs.collect()
}

#[derive(Clone, Debug)]
enum Step {
    Put(u16, Vec<u8>),
    Remove(u16),
    Find(u16),
    /// Refuses the change.
    Refuse,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..200_u16;
    let json = prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 2000..5000)];
    prop_oneof![
        12 => (key(), json).prop_map(|(key, json)| Step::Put(key, json)),
        6 => key().prop_map(Step::Remove),
        3 => key().prop_map(Step::Find),
        1 => Just(Step::Refuse),
    ]
}

/// Makes the steps there and here, and requires that both find the same.
fn change(
    transaction: &Transaction,
    model: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    steps: &[Step],
) -> StoreResult<()> {
    for step in steps {
        match step {
            Step::Put(number, json) => {
                put(transaction, &key(*number), json)?;
                model.insert(key(*number), json.clone());
            }
            Step::Remove(number) => {
                remove(transaction, &key(*number))?;
                model.remove(&key(*number));
            }
            Step::Find(number) => {
                let found = find(transaction, &key(*number))?;
                assert_eq!(found.as_ref(), model.get(&key(*number)));
            }
            Step::Refuse => return Err(StoreError::Conflict("refused".to_owned())),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn rows_in_runs_are_those_that_were_put(
        groups in vec(vec(vec(step(), 1..12), 1..8), 1..6),
        bounds in (0..200_u16, 0..200_u16),
    ) {
        let database = database();
        let mut model = BTreeMap::new();
        for group in groups {
            let mut transaction = Transaction::over(&database);
            for steps in group {
                let mut changed = model.clone();
                let made = |transaction: &Transaction| change(transaction, &mut changed, &steps);
                if transaction.attempt(made).is_ok() {
                    model = changed;
                }
            }
            transaction.apply().unwrap();

            let expected: Vec<_> = model.clone().into_iter().collect();
            prop_assert_eq!(&rows(&database, all()), &expected);
            let mut backwards: Vec<_> = scan(&database, all()).rev().map(Result::unwrap).collect();
            backwards.reverse();
            prop_assert_eq!(&backwards, &expected);
            let (from, to) = (key(bounds.0.min(bounds.1)), key(bounds.0.max(bounds.1)));
            let within: Vec<_> = model.range(from.clone()..to.clone()).map(|(key, json)| (key.clone(), json.clone())).collect();
            prop_assert_eq!(rows(&database, from..to), within);
            for number in 0..200 {
                let key = key(number);
                prop_assert_eq!(find(&*database, &key).unwrap(), model.get(&key).cloned());
            }
            for (run, count) in runs(&database) {
                prop_assert!((1..=ROWS_MAX).contains(&count), "{:?} has {} rows", run, count);
            }
        }
    }
}

#[test]
fn keys_that_rise_leave_full_runs() {
    let database = database();
    for number in 0..100 {
        write(&database, |transaction| put(transaction, &key(number), b"{}"));
    }
    let counts: Vec<_> = runs(&database).into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [16, 16, 16, 16, 16, 16, 4]);
}

#[test]
fn tables_beside_it_are_not_touched() {
    let database = database();
    write(&database, |transaction| {
        put(transaction, b"rowr/last", b"below")?;
        put(transaction, b"rowt/first", b"above")
    });
    assert_eq!(find(&*database, &key(7)).unwrap(), None);
    write(&database, |transaction| {
        put(transaction, &key(7), b"between")?;
        remove(transaction, &key(8))
    });
    assert_eq!(rows(&database, all()), [(key(7), b"between".to_vec())]);
    write(&database, |transaction| remove(transaction, &key(7)));
    assert_eq!(runs(&database), []);
    assert_eq!(find(&*database, b"rowr/last").unwrap().unwrap(), b"below");
    assert_eq!(find(&*database, b"rowt/first").unwrap().unwrap(), b"above");
}

/// The rows that a reader has not come to go on in a run of their own meanwhile.
#[test]
fn a_run_that_is_divided_while_it_is_read_gives_each_row_once() {
    let database = database();
    let numbers = (0..16).map(|number| 10 * number);
    write(&database, |transaction| {
        numbers.clone().try_for_each(|number| put(transaction, &key(number), b"{}"))
    });
    let mut found = scan(&database, all());
    let first = found.next().unwrap().unwrap();
    write(&database, |transaction| put(transaction, &key(5), b"{}"));
    assert_eq!(runs(&database).len(), 2);
    let rest = found.map(Result::unwrap);
    let keys: Vec<_> = [first].into_iter().chain(rest).map(|(key, _)| key).collect();
    assert_eq!(keys, numbers.map(key).collect::<Vec<_>>());
}

#[test]
fn a_run_that_is_cut_off_is_corrupt() {
    let database = database();
    let whole = [&[0, 0, 0, 6], &key(1)[..], &[0, 0, 0, 2], b"{}"].concat();
    // What is missing is a whole row with the first, and a part of one with the others.
    for bytes in 1..whole.len() {
        let value = codec::encode_content(PREFIX, &whole[..bytes]).unwrap();
        database.insert(PREFIX, value).unwrap();
        let error = find(&*database, &key(1)).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
        assert!(error.to_string().contains("the run ends within a row"), "{error}");
        assert!(scan(&database, all()).any(|found| found.is_err()));
    }
}

#[test]
fn readers_find_what_stays_while_others_are_put_and_removed() {
    let database = database();
    let stays: Vec<_> = (0..2000).step_by(20).map(key).collect();
    write(&database, |transaction| stays.iter().try_for_each(|key| put(transaction, key, b"{}")));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut rounds = 0;
            while !is_over.load(Ordering::Relaxed) {
                for key in &stays {
                    assert!(find(&*database, key).unwrap().is_some(), "{}", key.escape_ascii());
                }
                let forwards: Vec<_> = rows(&database, all());
                assert!(forwards.is_sorted_by(|one, next| one.0 < next.0));
                rounds += 1;
            }
            rounds
        });
        for round in 0..20 {
            for number in (0..2000).filter(|number| number % 20 != 0) {
                write(&database, |transaction| match round % 2 {
                    0 => put(transaction, &key(number), b"{}"),
                    _ => remove(transaction, &key(number)),
                });
            }
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}
