use super::*;

/// Checks that `accept`, which judges `bytes` under the limits given, takes `document` where
/// `set` allows exactly its length and refuses it where `set` allows one byte less.
#[track_caller]
fn has_limit<T: fmt::Debug>(
    document: &str,
    bytes: &[u8],
    set: impl Fn(&mut Limits, u64),
    accept: impl Fn(Limits) -> Result<T, Refusal>,
) {
    let mut limits = Limits::DEFAULT;
    set(&mut limits, bytes.len() as u64);
    accept(limits).unwrap();
    set(&mut limits, bytes.len() as u64 - 1);
    let message = refused(accept(limits), document, Rule::Length);
    assert!(message.contains("expected at most"), "{message}");
}

#[test]
fn the_limits_are_those_of_the_design() {
    let Limits {
        root_bytes_max,
        timestamp_bytes_max,
        snapshot_bytes_max,
        targets_bytes_max,
        root_rotations_max,
        delegations_max,
        ..
    } = Limits::default();
    assert_eq!((root_bytes_max, timestamp_bytes_max), (512_000, 16_000));
    assert_eq!((snapshot_bytes_max, targets_bytes_max), (2_000_000, 5_000_000));
    assert_eq!((root_rotations_max, delegations_max), (256, 32));
}

#[test]
fn a_root_has_a_greatest_length() {
    let bytes = signed(&root(1, &Signer::OLD_ROOTS), &Signer::OLD_ROOTS);
    let set = |limits: &mut Limits, length| limits.root_bytes_max = length;
    has_limit("root", &bytes, set, |limits| TrustedRoot::pin(&bytes, limits));
}

#[test]
fn a_rotated_root_has_a_greatest_length() {
    let roots = [Signer::RootA, Signer::RootB, Signer::NewRootA, Signer::NewRootB];
    let bytes = signed(&root(2, &roots), &roots);
    let set = |limits: &mut Limits, length| limits.root_bytes_max = length;
    has_limit("root", &bytes, set, |limits| pinned(limits).rotate(&bytes));
}

#[test]
fn a_timestamp_has_a_greatest_length() {
    let bytes = signed(&timestamp(1, only_version(1)), &[Signer::Timestamp]);
    let set = |limits: &mut Limits, length| limits.timestamp_bytes_max = length;
    has_limit("timestamp", &bytes, set, |limits| awaiting_timestamp(limits).accept(&bytes));
}

#[test]
fn a_snapshot_has_a_greatest_length() {
    let bytes = signed(&snapshot(1, &[("targets", 1)]), &[Signer::Snapshot]);
    let set = |limits: &mut Limits, length| limits.snapshot_bytes_max = length;
    let accept = |limits| awaiting_snapshot(limits, only_version(1)).accept(&bytes);
    has_limit("snapshot", &bytes, set, accept);
}

#[test]
fn top_level_targets_have_a_greatest_length() {
    let bytes = signed(&vendor_targets(), &[Signer::Targets]);
    let set = |limits: &mut Limits, length| limits.targets_bytes_max = length;
    let listed = snapshot(1, &[("targets", 1)]);
    has_limit("targets", &bytes, set, |limits| awaiting_targets(limits, &listed).accept(&bytes));
}

#[test]
fn a_delegated_role_has_a_greatest_length() {
    let paths: Vec<_> = (0..50).map(|patch| format!("bugfix/1.0.{patch}/release.json")).collect();
    let paths: Vec<_> = paths.iter().map(|path| (path.as_str(), 1)).collect();
    let bytes = signed(&targets(1, &paths), &[Signer::Bugfix]);
    let set = |limits: &mut Limits, length| limits.targets_bytes_max = length;
    has_limit("bugfix", &bytes, set, |limits| {
        repository(limits, &vendor_targets(), &[("bugfix", 1)])
            .accept_role("bugfix", &bytes)
            .cloned()
    });
}

#[test]
fn a_refresh_follows_so_many_rotations_and_no_more() {
    let roots = Signer::OLD_ROOTS;
    let limits = Limits { root_rotations_max: 2, ..Limits::DEFAULT };
    let mut trusted = pinned(limits);
    trusted.rotate(&signed(&root(2, &roots), &roots)).unwrap();
    trusted.rotate(&signed(&root(3, &roots), &roots)).unwrap();
    let message = refused(trusted.rotate(&signed(&root(4, &roots), &roots)), "root", Rule::Version);
    insta::assert_snapshot!(message, @"root is refused (version): 2 rotations were followed already: expected at most 2 in one refresh");
    assert_eq!(trusted.version(), 3);
}
