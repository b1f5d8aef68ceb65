use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// A delta of so many bytes to a payload of 64 MiB that is called `to`.
fn step(profile: DeltaProfile, length: u64, to: &str) -> DeltaStep {
    DeltaStep {
        profile,
        length,
        sha256: digest(&format!("{profile:?} {length} {to}")),
        payload_length: 64 * MIB,
        payload_sha256: digest(to),
    }
}

fn path(from: &str, steps: &[DeltaStep]) -> DeltaPath {
    DeltaPath { from: version(from), steps: steps.to_vec() }
}

fn fast(from: &str, length: u64) -> DeltaPath {
    path(from, &[step(DeltaProfile::Fast, length, "new")])
}

fn compact(from: &str, length: u64) -> DeltaPath {
    path(from, &[step(DeltaProfile::Compact, length, "new")])
}

fn artifact() -> TargetFile {
    TargetFile {
        path: "bugfix/2.4.1/linux-x86_64.tar.zst".parse().unwrap(),
        length: 20 * MIB,
        sha256: digest("artifact"),
    }
}

fn situation() -> Situation {
    Situation {
        payload_bytes_max: 1 << 40,
        installed: ["2.4.0", "2.3.0"].map(version).into(),
        ..Situation::default()
    }
}

/// The same over a line that brings so many bytes a second.
fn over(download: u64) -> Situation {
    Situation { speeds: Speeds { download: Some(download), ..Speeds::default() }, ..situation() }
}

/// The numbers of the paths in the order in which they are tried before the artifact.
fn tried(deltas: &[DeltaPath], situation: &Situation) -> Vec<usize> {
    let artifact = artifact();
    let payload = Some(PayloadIdentity { length: 64 * MIB, sha256: digest("new") });
    let ways = ways(&Goal { deltas, artifact: &artifact, payload }, situation);
    let (last, before) = ways.split_last().unwrap();
    assert_eq!(*last, Way::Full);
    let number = |way: &Way<'_>| match way {
        Way::Deltas(path) => deltas.iter().position(|it| std::ptr::eq(it, *path)).unwrap(),
        Way::Full => panic!("the artifact is tried twice"),
    };
    before.iter().map(number).collect()
}

#[test]
fn while_nothing_was_measured_the_fast_path_of_the_fewest_bytes_is_tried_first() {
    let deltas = [fast("2.4.0", 3 * MIB), compact("2.4.0", MIB), fast("2.3.0", 2 * MIB)];
    assert_eq!(tried(&deltas, &situation()), [2, 0]);
    assert_eq!(tried(&[compact("2.4.0", MIB)], &situation()), [0; 0]);
    assert_eq!(tried(&[], &situation()), [0; 0]);
}

#[test]
fn where_bytes_are_preferred_the_fewest_are_tried_first() {
    let bytes = |it: Situation| Situation { prefer: Preference::Bytes, ..it };
    let deltas = [fast("2.4.0", 3 * MIB), compact("2.4.0", MIB), fast("2.3.0", 2 * MIB)];
    for situation in [situation(), over(1000), over(1 << 40)].map(bytes) {
        assert_eq!(tried(&deltas, &situation), [1, 2, 0]);
    }
}

/// A payload of 64 MiB is made in 3.4 seconds by a fast delta and in 20 by a compact one.
#[test]
fn the_line_decides_between_bytes_and_time() {
    let deltas = [fast("2.4.0", 3 * MIB), compact("2.4.0", MIB)];
    for (download, expected) in [
        // 50 s and 37 s, and 335 s for the artifact.
        (1 << 16, &[1, 0][..]),
        // 6.5 s, 21.5 s, and 20 s for the artifact.
        (1 << 20, &[0]),
        // The artifact arrives in a tenth of a second.
        (200 << 20, &[]),
    ] {
        assert_eq!(tried(&deltas, &over(download)), expected, "{download} bytes a second");
    }
}

#[test]
fn what_was_measured_here_counts_more_than_what_is_expected() {
    let deltas = [fast("2.4.0", 3 * MIB)];
    let line = over(10 << 20);
    assert_eq!(tried(&deltas, &line), [0; 0], "3.9 s, and the artifact arrives in 2 s");
    let speeds = Speeds { fast: Some(200 << 20), ..line.speeds };
    assert_eq!(tried(&deltas, &Situation { speeds, ..line }), [0]);
    let mut known = None;
    for (measured, expected) in [(0, 1), (99, 49), (100, 74), (u64::MAX, (1 << 63) + 36)] {
        Speeds::take_in(&mut known, measured);
        assert_eq!(known, Some(expected));
    }
}

#[test]
fn the_line_is_no_faster_than_the_administrator_lets_it_be() {
    let deltas = [fast("2.4.0", 3 * MIB)];
    let line = over(200 << 20);
    assert_eq!(tried(&deltas, &line), [0; 0]);
    let bytes_per_second_max = NonZeroU64::new(1 << 20);
    assert_eq!(tried(&deltas, &Situation { bytes_per_second_max, ..line }), [0]);
}

#[test]
fn what_is_here_need_not_be_fetched() {
    let deltas = [fast("2.4.0", 3 * MIB), fast("2.3.0", 4 * MIB)];
    let here = |digest: Digest, bytes: u64| Situation {
        here: BTreeMap::from([(digest, bytes)]),
        ..situation()
    };
    assert_eq!(tried(&deltas, &here(deltas[1].steps[0].sha256, 2 * MIB)), [1, 0]);
    assert_eq!(tried(&deltas, &here(digest("artifact"), 17 * MIB)), [0; 0]);
    assert_eq!(tried(&deltas, &here(digest("artifact"), 17 * MIB - 1)), [0]);
}

#[test]
fn several_deltas_cost_what_each_costs() {
    let chain = path(
        "2.3.0",
        &[step(DeltaProfile::Fast, MIB, "between"), step(DeltaProfile::Fast, MIB, "new")],
    );
    let deltas = [chain, fast("2.4.0", 3 * MIB)];
    assert_eq!(tried(&deltas, &situation()), [0, 1], "fewer bytes");
    assert_eq!(
        tried(&deltas, &over(1 << 20)),
        [1, 0],
        "a second sooner here, and 3.4 seconds later there"
    );
    let compact_step = step(DeltaProfile::Compact, MIB, "new");
    let mixed = path("2.3.0", &[step(DeltaProfile::Fast, 0, "between"), compact_step]);
    assert_eq!(tried(&[mixed], &situation()), [0; 0], "one step that is not fast is enough");
}

#[test]
fn what_cannot_be_taken_is_passed_over() {
    let good = fast("2.4.0", 3 * MIB);
    let with = |change: &dyn Fn(&mut DeltaStep)| {
        let mut path = good.clone();
        change(&mut path.steps[0]);
        path
    };
    for (what, deltas) in [
        ("an unknown profile", vec![with(&|it| it.profile = DeltaProfile::Other)]),
        ("another tree", vec![fast("2.2.0", MIB)]),
        ("another payload", vec![with(&|it| it.payload_sha256 = digest("other"))]),
        ("another length", vec![with(&|it| it.payload_length += 1)]),
        ("no steps", vec![path("2.4.0", &[])]),
        ("too many steps", vec![path("2.4.0", &vec![step(DeltaProfile::Fast, 1, "new"); 5])]),
        ("as heavy as the artifact", vec![with(&|it| it.length = 20 * MIB)]),
        ("2^63 bytes", vec![with(&|it| it.length = 1 << 63)]),
        (
            "more bytes than can be counted",
            vec![path(
                "2.4.0",
                &[step(DeltaProfile::Fast, u64::MAX, "new"), good.steps[0].clone()],
            )],
        ),
        (
            "a payload between that is too long",
            vec![path(
                "2.4.0",
                &[
                    DeltaStep { payload_length: 1 << 63, ..step(DeltaProfile::Fast, 1, "between") },
                    good.steps[0].clone(),
                ],
            )],
        ),
    ] {
        for prefer in [Preference::Time, Preference::Bytes] {
            let situation = Situation { prefer, ..situation() };
            assert_eq!(tried(&deltas, &situation), [0; 0], "{what}");
        }
    }
    let small = Situation { memory_bytes: Some(64 * MIB), ..situation() };
    assert_eq!(tried(std::slice::from_ref(&good), &small), [0; 0], "too little memory");
    let large = Situation { memory_bytes: Some(1 << 30), ..situation() };
    assert_eq!(tried(&[good], &large), [0]);
}

#[test]
fn ten_thousand_paths_cost_no_more_than_eight() {
    let mut deltas = vec![fast("2.2.0", MIB); 10_000];
    deltas[8] = fast("2.4.0", 1);
    deltas[7] = fast("2.4.0", 2);
    assert_eq!(tried(&deltas, &situation()), [7]);
}

fn any_step() -> impl Strategy<Value = DeltaStep> {
    let profile = prop_oneof![
        4 => Just(DeltaProfile::Fast),
        4 => Just(DeltaProfile::Compact),
        1 => Just(DeltaProfile::Other),
    ];
    let length = prop_oneof![Just(0), 0..30 * MIB, any::<u64>()];
    let payload = prop_oneof![4 => Just(64 * MIB), 1 => any::<u64>()];
    (profile, length, payload, prop_oneof![4 => Just("new"), 1 => Just("other")]).prop_map(
        |(profile, length, payload_length, to)| DeltaStep {
            payload_length,
            ..step(profile, length, to)
        },
    )
}

fn any_path() -> impl Strategy<Value = DeltaPath> {
    let from = prop_oneof![Just("2.4.0"), Just("2.3.0"), Just("2.2.0")];
    (from, proptest::collection::vec(any_step(), 0..6)).prop_map(|(from, steps)| path(from, &steps))
}

fn any_situation() -> impl Strategy<Value = Situation> {
    let speed = || proptest::option::of(prop_oneof![0..u64::MAX, 1..100 * MIB]);
    let prefer = prop_oneof![Just(Preference::Time), Just(Preference::Bytes)];
    let memory = proptest::option::of(prop_oneof![0..2 * MIB * 1024, Just(u64::MAX)]);
    (prefer, (speed(), speed(), speed()), memory, proptest::option::of(1..100 * MIB)).prop_map(
        |(prefer, (download, fast, compact), memory_bytes, most)| Situation {
            prefer,
            speeds: Speeds { download, fast, compact },
            memory_bytes,
            bytes_per_second_max: most.and_then(NonZeroU64::new),
            ..situation()
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_planned_the_artifact_is_the_last_way_and_no_other_is_heavier(
        deltas in proptest::collection::vec(any_path(), 0..12),
        situation in any_situation(),
    ) {
        let order = tried(&deltas, &situation);
        let mut seen = order.clone();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), order.len());
        for number in &order {
            let path = &deltas[*number];
            prop_assert!(*number < DeltaPath::PER_TARGET_MAX);
            prop_assert!(path.download_bytes() < artifact().length);
            prop_assert!(situation.installed.contains(&path.from));
            prop_assert!((1..=DeltaPath::STEPS_MAX).contains(&path.steps.len()));
            prop_assert!(path.steps.iter().all(|step| step.profile != DeltaProfile::Other));
            let made = path.steps.last().unwrap();
            prop_assert_eq!((made.payload_length, made.payload_sha256), (64 * MIB, digest("new")));
        }
        let bytes: Vec<_> = order.iter().map(|it| deltas[*it].download_bytes()).collect();
        if situation.prefer == Preference::Bytes || situation.speeds.download.is_none() {
            prop_assert!(bytes.is_sorted());
        }
    }

    /// What one has to wait longer for is never worth fewer bytes.
    #[test]
    fn a_slower_line_never_makes_more_bytes_be_tried_first(
        deltas in proptest::collection::vec(any_path(), 0..9),
        one in 1..200 * MIB,
        other in 1..200 * MIB,
    ) {
        let first = |download| {
            let order = tried(&deltas, &over(download));
            order.first().map_or(artifact().length, |it| deltas[*it].download_bytes())
        };
        // Instants are counted in whole microseconds.
        prop_assert!(first(one.min(other)) <= first(one.max(other)) + 1000);
    }
}
