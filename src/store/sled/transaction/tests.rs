use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::{super::super::StoreError, *};

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, u8),
    Remove(u8),
    /// Puts what is under the first key under the second as well.
    Copy(u8, u8),
    /// Refuses the change where there is something under the key.
    RequireNone(u8),
}

fn step() -> impl Strategy<Value = Step> {
    // Few keys, so that changes meet.
    let key = || 0..12_u8;
    prop_oneof![
        4 => (key(), any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
        2 => key().prop_map(Step::Remove),
        2 => (key(), key()).prop_map(|(from, to)| Step::Copy(from, to)),
        1 => key().prop_map(Step::RequireNone),
    ]
}

/// What the change has read, or why it was refused.
fn change(transaction: &Transaction, steps: &[Step]) -> StoreResult<Vec<u8>> {
    let mut read = Vec::new();
    for step in steps {
        match step {
            Step::Insert(key, value) => {
                transaction.insert([*key].as_slice().into(), [*value].as_slice().into());
            }
            Step::Remove(key) => transaction.remove(&[*key]),
            Step::Copy(from, to) => {
                if let Some(value) = transaction.value(&[*from])? {
                    read.extend_from_slice(&value);
                    transaction.insert([*to].as_slice().into(), value);
                }
            }
            Step::RequireNone(key) => {
                if transaction.value(&[*key])?.is_some() {
                    return Err(StoreError::Conflict(format!("{key} is there")));
                }
            }
        }
    }
    Ok(read)
}

/// The same to records in memory.
fn change_alone(records: &mut BTreeMap<u8, u8>, steps: &[Step]) -> Result<Vec<u8>, String> {
    let (mut changed, mut read) = (records.clone(), Vec::new());
    for step in steps {
        match step {
            Step::Insert(key, value) => drop(changed.insert(*key, *value)),
            Step::Remove(key) => drop(changed.remove(key)),
            Step::Copy(from, to) => {
                if let Some(value) = changed.get(from).copied() {
                    read.push(value);
                    changed.insert(*to, value);
                }
            }
            Step::RequireNone(key) => {
                if changed.contains_key(key) {
                    return Err(format!("{key} is there"));
                }
            }
        }
    }
    *records = changed;
    Ok(read)
}

fn records(tree: &Tree) -> BTreeMap<u8, u8> {
    tree.iter().map(Result::unwrap).map(|(key, value)| (key[0], value[0])).collect()
}

proptest! {
    #[test]
    fn changes_in_groups_come_to_what_they_do_one_after_another(
        groups in vec(vec(vec(step(), 1..6), 1..8), 1..6),
    ) {
        let config = sled::Config::new().temporary(true).flush_every_ms(None);
        let database = config.open().unwrap();
        let mut alone = BTreeMap::new();
        for group in groups {
            let before = records(&database);
            let mut transaction = Transaction::over(&database);
            for steps in group {
                let outcome = transaction.attempt(|transaction| change(transaction, &steps));
                let outcome = outcome.map_err(|refusal| refusal.to_string());
                prop_assert_eq!(outcome, change_alone(&mut alone, &steps));
            }
            prop_assert_eq!(&records(&database), &before, "written as one");
            transaction.apply().unwrap();
            prop_assert_eq!(&records(&database), &alone);
        }
    }
}
