use super::{path::*, *};

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

pub(super) fn pair(from: &str, to: &str) -> DeltaPair {
    DeltaPair {
        product: "acme-db".parse().unwrap(),
        platform: "linux-x86_64".parse().unwrap(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        profile: DeltaProfile::Fast,
    }
}

fn wanted(machines: u64) -> Wanted {
    Wanted {
        machines,
        otherwise: Otherwise::Artifact,
        artifact_bytes: 100_000,
        old_payload_bytes: 4000,
        new_payload_bytes: 5000,
    }
}

pub(super) fn tried(state: DeltaState) -> Tried {
    Tried { state, at: at(0), tries: 1, seconds: 7 }
}

pub(super) fn kept(length: u64) -> Tried {
    let sha256 = Digest::of(&length.to_be_bytes());
    tried(DeltaState::Kept { length, sha256, shorter_by: 1 })
}

fn making(until: i64, tries: u32) -> Tried {
    let state = DeltaState::Making { by: "one".to_owned(), until: at(until) };
    Tried { tries, ..tried(state) }
}

fn decide(
    wanted: impl IntoIterator<Item = (DeltaPair, Wanted)>,
    tried: impl IntoIterator<Item = (DeltaPair, Tried)>,
    rules: &DeltaRules,
) -> Work {
    work(&wanted.into_iter().collect(), &tried.into_iter().collect(), rules, at(60))
}

fn rules() -> DeltaRules {
    DeltaRules::default()
}

#[test]
fn what_saves_most_is_made_first() {
    let [few, many] = [pair("1.0.0", "1.0.2"), pair("1.0.1", "1.0.2")];
    let done = decide([(few.clone(), wanted(3)), (many.clone(), wanted(30))], [], &rules());
    assert_eq!(done, Work { make: vec![many.clone(), few.clone()], ..Work::default() });
    let large = Wanted { artifact_bytes: 10_000_000, ..wanted(1) };
    let done = decide([(few.clone(), large), (many.clone(), wanted(30))], [], &rules());
    assert_eq!(done.make, [few, many], "bytes and not machines");
}

#[test]
fn only_what_is_open_is_made() {
    let one = pair("1.0.0", "1.0.1");
    let waiting =
        |from| tried(DeltaState::Waiting { from: at(from), reason: "stopped".to_owned() });
    for (state, is_made) in [
        (making(61, 1), false),
        (making(60, 1), true),
        (waiting(61), false),
        (waiting(60), true),
        (kept(5), false),
        (tried(DeltaState::NotWorth { length: 90_000 }), false),
        (tried(DeltaState::Failed { reason: "too large".to_owned() }), false),
        (tried(DeltaState::Dropped { length: 5 }), true),
    ] {
        let done = decide([(one.clone(), wanted(1))], [(one.clone(), state.clone())], &rules());
        assert_eq!(done.make == [one.clone()], is_made, "{state:?}");
        assert_eq!((&done.drop, &done.give_up, &done.forget), (&vec![], &vec![], &vec![]));
    }
}

#[test]
fn what_never_comes_to_its_end_is_given_up() {
    let one = pair("1.0.0", "1.0.1");
    for (state, is_given_up) in
        [(making(60, TRIES_MAX), true), (making(61, TRIES_MAX), false), (making(60, 2), false)]
    {
        let done = decide([(one.clone(), wanted(1))], [(one.clone(), state)], &rules());
        assert_eq!(done.give_up == [one.clone()], is_given_up);
        assert!(!is_given_up || done.make.is_empty());
    }
}

#[test]
fn what_is_opened_has_the_memory_that_is_left() {
    for otherwise in [Otherwise::Artifact, Otherwise::Fast(5000)] {
        let wanted = Wanted { otherwise, ..wanted(1) };
        let need = wanted.memory_bytes();
        let opened = |memory_bytes| wanted.opened_bytes_max(memory_bytes);
        assert_eq!(
            [need - 1, need, need + 23, need + 24, need + 2400].map(opened),
            [0, 0, 0, 1, 100]
        );
    }
}

#[test]
fn memory_time_and_a_switch_bound_it() {
    let one = pair("1.0.0", "1.0.1");
    let need = wanted(1).memory_bytes();
    assert_eq!(need, 20 * 4000 + 4 * 5000);
    for (memory_bytes, is_made) in [(need, true), (need - 1, false)] {
        let rules = DeltaRules { memory_bytes, ..rules() };
        assert_eq!(decide([(one.clone(), wanted(1))], [], &rules).make.len(), usize::from(is_made));
    }
    for (artifact_bytes, is_made) in [(OTHERWISE_BYTES_MIN, true), (OTHERWISE_BYTES_MIN - 1, false)]
    {
        let wanted = Wanted { artifact_bytes, ..wanted(1) };
        assert_eq!(decide([(one.clone(), wanted)], [], &rules()).make.len(), usize::from(is_made));
    }
    let off = DeltaRules { making: Making::Off, ..rules() };
    assert_eq!(decide([(one.clone(), wanted(1))], [], &off), Work::default());

    let other = pair("1.0.0", "1.0.2");
    let day = 24 * 3600;
    for (begun, spent, is_made) in
        [(60, 9, true), (60, 10, false), (61 - day, 10, false), (60 - day, 10, true)]
    {
        let rules = DeltaRules { seconds_a_day: 10, ..rules() };
        let before = Tried { at: at(begun), seconds: spent, ..kept(5) };
        let done = decide([(one.clone(), wanted(1))], [(other.clone(), before)], &rules);
        assert_eq!(done.make.len(), usize::from(is_made), "{begun} {spent}");
    }
}

#[test]
fn what_saves_least_for_its_room_gives_way() {
    let [gone, light, heavy] = ["1.0.0", "1.0.1", "1.0.2"].map(|version| pair(version, "1.0.3"));
    let want = [(light.clone(), wanted(10)), (heavy.clone(), wanted(10))];
    let have = [(gone.clone(), kept(10)), (light.clone(), kept(50)), (heavy.clone(), kept(300))];
    for (disk_bytes, dropped) in [
        (360, vec![]),
        (359, vec![gone.clone()]),
        (350, vec![gone.clone()]),
        (349, vec![heavy.clone()]),
        (59, vec![gone.clone(), heavy.clone()]),
        (9, vec![gone.clone(), light.clone(), heavy.clone()]),
    ] {
        let rules = DeltaRules { disk_bytes, ..rules() };
        let done = decide(want.clone(), have.clone(), &rules);
        assert_eq!(done.drop, dropped, "{disk_bytes}");
    }
    // While it does not fit, it is not made again; with more room it is.
    let without =
        [(light.clone(), kept(50)), (heavy.clone(), tried(DeltaState::Dropped { length: 300 }))];
    for (disk_bytes, made) in [(349, vec![]), (350, vec![heavy.clone()])] {
        let rules = DeltaRules { disk_bytes, ..rules() };
        assert_eq!(decide(want.clone(), without.clone(), &rules).make, made, "{disk_bytes}");
    }
}

#[test]
fn what_nobody_wants_is_forgotten_after_a_day_unless_it_was_in_vain() {
    let one = pair("1.0.0", "1.0.1");
    let day = 24 * 3600;
    let old = |state| Tried { at: at(60 - day), ..tried(state) };
    for (before, is_forgotten) in [
        (old(DeltaState::Dropped { length: 5 }), true),
        (old(DeltaState::Waiting { from: at(0), reason: String::new() }), true),
        (old(DeltaState::Making { by: String::new(), until: at(60) }), true),
        (old(DeltaState::Making { by: String::new(), until: at(61) }), false),
        (old(DeltaState::NotWorth { length: 5 }), false),
        (old(DeltaState::Failed { reason: String::new() }), false),
        (Tried { at: at(60 - day), ..kept(5) }, false),
        (tried(DeltaState::Dropped { length: 5 }), false),
    ] {
        let done = decide([], [(one.clone(), before.clone())], &rules());
        assert_eq!(done.forget == [one.clone()], is_forgotten, "{before:?}");
        let done = decide([(one.clone(), wanted(1))], [(one.clone(), before)], &rules());
        assert_eq!(done.forget, []);
    }
}

#[test]
fn a_delta_of_three_quarters_is_worth_it() {
    let of = wanted(1);
    assert!(of.is_worth(75_000) && !of.is_worth(75_001) && !of.is_worth(u64::MAX));
    assert_eq!((wanted(3).saved(40_000), wanted(3).saved(200_000)), (180_000, 0));
}

#[test]
fn a_compact_delta_is_wanted_beside_a_fast_one_that_is_kept() {
    let fast = pair("1.0.0", "1.0.1");
    let compact = fast.packed(DeltaProfile::Compact);
    let want: BTreeMap<_, _> = [(fast.clone(), wanted(3))].into();
    let beside = |state: Tried| with_compact(want.clone(), &[(fast.clone(), state)].into());
    for state in [
        tried(DeltaState::NotWorth { length: 90_000 }),
        tried(DeltaState::Dropped { length: 70_000 }),
        making(61, 1),
    ] {
        assert_eq!(beside(state), want);
    }
    let both = beside(kept(70_000));
    let of_compact = both[&compact];
    assert_eq!(both.len(), 2);
    assert_eq!(of_compact, Wanted { otherwise: Otherwise::Fast(70_000), ..wanted(3) });
    assert_eq!((of_compact.saved_at_most(), of_compact.saved(60_000)), (210_000, 30_000));
    assert!(of_compact.is_worth(66_500) && !of_compact.is_worth(66_501));
    assert_eq!(of_compact.memory_bytes(), wanted(3).memory_bytes() + MODEL_BYTES);
    assert_eq!(of_compact.hindrance(&rules()), None);
    let short = beside(kept(OTHERWISE_BYTES_MIN - 1))[&compact];
    assert_eq!(short.hindrance(&rules()), Some(Hindrance::TooSmall));

    let nobody = with_compact(BTreeMap::new(), &[(fast.clone(), kept(70_000))].into());
    assert_eq!(nobody, BTreeMap::new());
    let of_itself = with_compact(both.clone(), &[(compact, kept(60_000))].into());
    assert_eq!(of_itself, both);
}

#[test]
fn compact_deltas_are_begun_while_half_of_the_day_is_left() {
    let fast = pair("1.0.0", "1.0.1");
    let compact = fast.packed(DeltaProfile::Compact);
    let other = pair("1.0.0", "1.0.2");
    let have = |seconds| [(fast.clone(), Tried { seconds, ..kept(70_000) })].into();
    for (making, spent, made) in [
        (Making::On, 4, vec![&other, &compact]),
        (Making::On, 5, vec![&other]),
        (Making::On, 10, vec![]),
        (Making::FastOnly, 4, vec![&other]),
        (Making::Off, 4, vec![]),
    ] {
        let have: BTreeMap<_, _> = have(spent);
        let want = [(fast.clone(), wanted(3)), (other.clone(), wanted(3))].into();
        let rules = DeltaRules { making, seconds_a_day: 10, ..rules() };
        let done = work(&with_compact(want, &have), &have, &rules, at(60));
        assert!(done.make.iter().eq(made), "{making:?} {spent}: {:?}", done.make);
    }
}

#[test]
fn a_compact_delta_takes_no_room_from_a_fast_one() {
    let fast = pair("1.0.0", "1.0.1");
    let compact = fast.packed(DeltaProfile::Compact);
    let have: BTreeMap<_, _> = [(fast.clone(), kept(70_000)), (compact.clone(), kept(100))].into();
    let want = with_compact([(fast.clone(), wanted(3))].into(), &have);
    for (disk_bytes, dropped) in
        [(70_100, vec![]), (70_099, vec![compact.clone()]), (69_999, vec![fast.clone()])]
    {
        let rules = DeltaRules { disk_bytes, ..rules() };
        assert_eq!(work(&want, &have, &rules, at(60)).drop, dropped);
    }
    let room = |disk_bytes| DeltaRules { disk_bytes, ..rules() };
    let have: BTreeMap<_, _> = [(fast, kept(70_000))].into();
    for (rules, made) in [(room(140_000), vec![compact]), (room(139_999), vec![])] {
        assert_eq!(work(&want, &have, &rules, at(60)).make, made, "while nothing is known of it");
    }
}

pub(super) fn edge(from: &str, to: &str, length: u64) -> Edge {
    Edge {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        profile: DeltaProfile::Fast,
        length,
        sha256: Digest::of(format!("{from} {to} {length}").as_bytes()),
    }
}

/// The versions over which each way leads, and its bytes.
fn told(ways: &[Way<'_>]) -> Vec<(String, u64)> {
    let told = ways.iter().map(|way| {
        let versions: Vec<_> = way.edges.iter().map(|edge| edge.to.to_string()).collect();
        (versions.join(" "), way.bytes)
    });
    told.collect()
}

#[test]
fn ways_lead_over_what_may_be_had_and_the_lightest_is_first() {
    let edges = Edges::from_iter([
        edge("1.0.0", "1.0.3", 70),
        edge("1.0.0", "1.0.1", 10),
        edge("1.0.1", "1.0.3", 40),
        edge("1.0.1", "1.0.2", 5),
        edge("1.0.2", "1.0.3", 5),
        edge("1.0.3", "1.0.4", 1),
        edge("0.9.0", "1.0.3", 1),
    ]);
    assert_eq!(edges.count(), 7);
    let [from, to] = ["1.0.0", "1.0.3"].map(|version| version.parse().unwrap());
    let found = |artifact_bytes, denied: &str| {
        told(&ways(&edges, (&from, &to), artifact_bytes, |version| version.to_string() != denied))
    };
    let way = |over: &str, bytes| (over.to_owned(), bytes);
    let [long, middle, direct] =
        [way("1.0.1 1.0.2 1.0.3", 20), way("1.0.1 1.0.3", 50), way("1.0.3", 70)];
    assert_eq!(found(1000, ""), [long.clone(), middle.clone(), direct.clone()]);
    assert_eq!(found(70, ""), [long, middle.clone()], "no lighter than the artifact");
    assert_eq!(found(1000, "1.0.2"), [middle, direct.clone()]);
    assert_eq!(found(1000, "1.0.1"), [direct]);
    assert_eq!(ways(&edges, (&to, &from), 1000, |_| true), []);
    assert_eq!(ways(&edges, (&to, &to), 1000, |_| true), []);
}

#[test]
fn a_way_has_four_steps_at_most_and_there_are_eight_at_most() {
    let versions: Vec<_> = (0..6).map(|number| format!("1.0.{number}")).collect();
    let chain: Edges = versions.windows(2).map(|two| edge(&two[0], &two[1], 1)).collect();
    let [from, four, five] = [0, 4, 5].map(|at: usize| versions[at].parse().unwrap());
    assert_eq!(ways(&chain, (&from, &four), 1000, |_| true).len(), 1);
    assert_eq!(ways(&chain, (&from, &five), 1000, |_| true), []);
    let many: Edges = (1..20).map(|length| edge("1.0.0", "1.0.1", length)).collect();
    let to = "1.0.1".parse().unwrap();
    let found = ways(&many, (&from, &to), 1000, |_| true);
    assert!(found.iter().map(|way| way.bytes).eq(1..=8));
}

#[test]
fn compact_ways_are_lighter_and_leave_half_of_the_places() {
    let compact = |from: &str, to: &str, length| Edge {
        profile: DeltaProfile::Compact,
        ..edge(from, to, length)
    };
    let [from, to] = ["1.0.0", "1.0.2"].map(|version| version.parse().unwrap());
    let found = |edges: &[Edge]| {
        let edges: Edges = edges.iter().cloned().collect();
        told(&ways(&edges, (&from, &to), 1000, |_| true))
    };
    let [fast, light, heavy] =
        [edge("1.0.0", "1.0.2", 50), compact("1.0.0", "1.0.2", 49), compact("1.0.0", "1.0.2", 50)];
    let direct = |bytes| ("1.0.2".to_owned(), bytes);
    assert_eq!(found(&[fast.clone(), light.clone()]), [direct(49), direct(50)]);
    assert_eq!(found(&[fast.clone(), heavy.clone()]), [direct(50)]);
    assert_eq!(found(&[heavy]), [direct(50)]);
    // A way is of one profile.
    let [first, then] = [compact("1.0.0", "1.0.1", 1), edge("1.0.1", "1.0.2", 1)];
    assert_eq!(found(&[fast, first, then]), [direct(50)]);
    let many = (0..9)
        .flat_map(|more| [edge("1.0.0", "1.0.2", 50 + more), compact("1.0.0", "1.0.2", 1 + more)]);
    let bytes: Vec<_> = found(&many.collect::<Vec<_>>()).into_iter().map(|(_, it)| it).collect();
    assert_eq!(bytes, [1, 2, 3, 4, 50, 51, 52, 53]);
}
