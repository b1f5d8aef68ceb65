use mainstay_client::format::DeltaPath;
use proptest::prelude::*;

use super::{path::*, tests::*, *};

const VERSIONS: [&str; 6] = ["1.0.0", "1.0.1", "1.0.2", "1.1.0", "1.1.1", "2.0.0"];

/// A pair that leads upwards.
fn pairs() -> impl Strategy<Value = DeltaPair> {
    (0..VERSIONS.len() - 1).prop_flat_map(|from| {
        (from + 1..VERSIONS.len()).prop_map(move |to| pair(VERSIONS[from], VERSIONS[to]))
    })
}

fn wants() -> impl Strategy<Value = Wanted> {
    (0..50_u64, 60_000..100_000_u64, 1..2000_u64, 1..2000_u64).prop_map(
        |(machines, artifact_bytes, old_payload_bytes, new_payload_bytes)| Wanted {
            machines,
            otherwise: Otherwise::Artifact,
            artifact_bytes,
            old_payload_bytes,
            new_payload_bytes,
        },
    )
}

fn states() -> impl Strategy<Value = Tried> {
    let state = prop_oneof![
        (1..90_000_u64).prop_map(|length| kept(length).state),
        (1..90_000_u64).prop_map(|length| DeltaState::Dropped { length }),
        (1..90_000_u64).prop_map(|length| DeltaState::NotWorth { length }),
        (-50..50_i64).prop_map(|until| DeltaState::Making { by: String::new(), until: at(until) }),
        (-50..50_i64)
            .prop_map(|from| DeltaState::Waiting { from: at(from), reason: String::new() }),
        Just(DeltaState::Failed { reason: String::new() }),
    ];
    (state, 0..5_u32, 0..9_u64).prop_map(|(state, tries, seconds)| Tried {
        tries,
        seconds,
        ..tried(state)
    })
}

fn rules() -> impl Strategy<Value = DeltaRules> {
    (0..200_000_u64, 0..60_000_u64, 1..100_u32).prop_map(
        |(disk_bytes, memory_bytes, seconds_a_day)| DeltaRules {
            making: Making::On,
            seconds_a_day,
            memory_bytes,
            disk_bytes,
        },
    )
}

fn room(tried: &BTreeMap<DeltaPair, Tried>) -> u64 {
    let lengths = tried.values().map(|tried| match tried.state {
        DeltaState::Kept { length, .. } => length,
        _ => 0,
    });
    lengths.sum()
}

fn drop_all(tried: &mut BTreeMap<DeltaPair, Tried>, dropped: &[DeltaPair]) {
    for pair in dropped {
        let before = tried.get_mut(pair).unwrap();
        let DeltaState::Kept { length, .. } = before.state else { panic!("{pair} is not kept") };
        before.state = DeltaState::Dropped { length };
    }
}

proptest! {
    #[test]
    fn work_is_what_can_be_done(
        wanted in prop::collection::btree_map(pairs(), wants(), 0..12),
        before in prop::collection::btree_map(pairs(), states(), 0..12),
        rules in rules(),
    ) {
        let done = work(&wanted, &before, &rules, at(0));
        let mut seen = BTreeSet::new();
        let all = [&done.make, &done.drop, &done.give_up, &done.forget];
        for pair in all.into_iter().flatten() {
            prop_assert!(seen.insert(pair.clone()), "{pair} twice");
        }
        for pair in &done.make {
            prop_assert_eq!(wanted[pair].hindrance(&rules), None);
            let is_settled = before.get(pair).is_some_and(|tried| matches!(
                tried.state,
                DeltaState::Kept { .. } | DeltaState::NotWorth { .. } | DeltaState::Failed { .. }
            ));
            prop_assert!(!is_settled, "{pair}");
        }
        prop_assert!(done.make.is_sorted_by_key(|pair| std::cmp::Reverse(wanted[pair].saved_at_most())));
        let spent = seconds_spent(before.values(), at(0));
        prop_assert!(done.make.is_empty() || spent < u64::from(rules.seconds_a_day));
        let mut after = before.clone();
        drop_all(&mut after, &done.drop);
        prop_assert!(room(&after) <= rules.disk_bytes);
        prop_assert!(room(&before) > rules.disk_bytes || done.drop.is_empty());
        prop_assert_eq!(work(&wanted, &after, &rules, at(0)).drop, []);
        for pair in &done.forget {
            prop_assert!(!wanted.contains_key(pair));
        }
    }

    /// However long deltas turn out to be, there is an end to making and dropping them.
    #[test]
    fn making_what_is_to_be_made_comes_to_an_end(
        wanted in prop::collection::btree_map(pairs(), wants(), 0..8),
        lengths in prop::collection::vec(1..90_000_u64, 16),
        disk_bytes in 0..300_000_u64,
    ) {
        let rules = DeltaRules { disk_bytes, ..DeltaRules::default() };
        let both = |fast: &DeltaPair| [fast.clone(), fast.packed(DeltaProfile::Compact)];
        let lengths: BTreeMap<_, _> = wanted.keys().flat_map(both).zip(lengths).collect();
        let mut now = BTreeMap::new();
        let mut steps = 0;
        loop {
            let wanted = with_compact(wanted.clone(), &now);
            let done = work(&wanted, &now, &rules, at(0));
            drop_all(&mut now, &done.drop);
            let Some(pair) = done.make.first() else { break };
            let length = lengths[pair];
            let made = if wanted[pair].is_worth(length) {
                kept(length)
            } else {
                tried(DeltaState::NotWorth { length })
            };
            now.insert(pair.clone(), Tried { seconds: 0, ..made });
            steps += 1;
            prop_assert!(steps <= lengths.len() * (lengths.len() + 1), "{now:?}");
        }
        prop_assert!(room(&now) <= disk_bytes);
    }

    #[test]
    fn the_ways_found_are_the_lightest_there_are(
        edges in prop::collection::vec((pairs(), 1..60_u64), 0..14),
        denied in prop::sample::subsequence(&VERSIONS[1..5], 0..3),
        artifact_bytes in 1..160_u64,
    ) {
        let edges: Vec<_> = edges
            .into_iter()
            .map(|(pair, length)| edge(&pair.from.to_string(), &pair.to.to_string(), length))
            .collect();
        let [from, to]: [Version; 2] = ["1.0.0", "2.0.0"].map(|version| version.parse().unwrap());
        let may_have = |version: &Version| !denied.contains(&version.to_string().as_str());
        let mut all = Vec::new();
        every(&edges, &from, &to, &may_have, &mut Vec::new(), &mut all);
        let direct = all.iter().filter(|(_, steps)| *steps == 1).map(|(bytes, _)| *bytes).min();
        all.retain(|(bytes, steps)| *steps == 1 || direct.is_none_or(|direct| *bytes < direct));
        let mut all: Vec<_> = all.into_iter().map(|(bytes, _)| bytes).collect();
        all.retain(|bytes| *bytes < artifact_bytes);
        all.sort_unstable();
        all.truncate(DeltaPath::PER_TARGET_MAX);
        let edges: Edges = edges.into_iter().collect();
        let found = ways(&edges, (&from, &to), artifact_bytes, may_have);
        prop_assert!(found.iter().map(|way| way.bytes).eq(all));
        for way in &found {
            prop_assert!((1..=DeltaPath::STEPS_MAX).contains(&way.edges.len()));
            prop_assert_eq!(&way.edges[0].from, &from);
            prop_assert_eq!(&way.edges[way.edges.len() - 1].to, &to);
            prop_assert!(way.edges.windows(2).all(|two| two[0].to == two[1].from));
            prop_assert_eq!(way.bytes, way.edges.iter().map(|edge| edge.length).sum::<u64>());
        }
    }
}

/// The bytes of every way and how many deltas they are of, found by walking them all.
fn every(
    edges: &[Edge],
    from: &Version,
    to: &Version,
    may_have: &impl Fn(&Version) -> bool,
    walked: &mut Vec<u64>,
    all: &mut Vec<(u64, usize)>,
) {
    if walked.len() == DeltaPath::STEPS_MAX {
        return;
    }
    for edge in edges.iter().filter(|edge| edge.from == *from) {
        walked.push(edge.length);
        if edge.to == *to {
            all.push((walked.iter().sum(), walked.len()));
        } else if may_have(&edge.to) {
            every(edges, &edge.to, to, may_have, walked, all);
        }
        walked.pop();
    }
}
