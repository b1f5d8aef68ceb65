use mainstay_client::{
    format::{Digest, Lines},
    tuf::{Header, TargetsCustom},
};
use proptest::prelude::*;

use super::*;

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn versions(texts: &[&str]) -> BTreeSet<Version> {
    texts.iter().copied().map(version).collect()
}

/// A release of the channel that admits its version; patches are bug fixes.
fn listed(text: &str) -> Listed {
    let version = version(text);
    let kinds = [Channel::Major, Channel::Feature, Channel::Bugfix];
    let channel = kinds.into_iter().find(|channel| channel.admits(&version)).unwrap();
    let listing = Listing::Channel;
    Listed { version, channel: channel.into(), listing, floor: None, min_from: None }
}

fn with_floor(text: &str, floor: &str) -> Listed {
    Listed { floor: Some(version(floor)), ..listed(text) }
}

#[track_caller]
fn expect(releases: &[Listed], retiring: &[&str], expected: &[(&str, &str)]) {
    let found = obstacles(releases, &versions(retiring));
    let blamed: Vec<_> = found.iter().map(|obstacle| obstacle.version.to_string()).collect();
    assert_eq!(blamed, expected.iter().map(|(version, _)| *version).collect::<Vec<_>>());
    for (obstacle, (_, text)) in found.iter().zip(expected) {
        assert!(obstacle.problem.contains(text), "{}", obstacle.problem);
    }
}

#[test]
fn what_a_newer_release_of_the_channel_has_superseded_can_be_retired() {
    let releases = ["1.0.0", "1.0.1", "1.0.2", "2.0.0", "2.0.1"].map(listed);
    expect(&releases, &["1.0.0", "1.0.1", "1.0.2"], &[]);
    expect(&releases, &["2.0.1"], &[("2.0.1", "is the newest of channel bugfix")]);
    expect(
        &releases,
        &["1.0.0", "1.0.2", "2.0.0"],
        &[("2.0.0", "is the newest of channel major: expected one that a newer one")],
    );
}

#[test]
fn a_custom_build_stays_in_its_private_channel() {
    let private = "a".repeat(26).parse().unwrap();
    let custom = Listed { channel: private, listing: Listing::Private, ..listed("1.0.2-custom.1") };
    let newer = Listed { version: version("1.0.3-custom.1"), ..custom.clone() };
    let mut releases = vec![listed("1.0.0"), listed("1.0.1"), listed("1.0.2"), custom, newer];
    let expected = "is a custom build, which stays in its private channel: end the channel";
    expect(&releases, &["1.0.2-custom.1"], &[("1.0.2-custom.1", expected)]);
    assert_eq!(retirable_below(&releases, &version("2.0.0")), versions(&["1.0.1"]));

    // A custom build leads to those of its own channel, and what it needs itself stays.
    releases[2].min_from = Some(version("1.0.2-custom.1"));
    expect(&releases, &["1.0.1"], &[]);
    releases[4].min_from = Some(version("1.0.2"));
    releases.push(listed("1.0.4"));
    expect(&releases, &["1.0.2"], &[("1.0.2", "is the last stop on the way to 1.0.3-custom.1")]);
    // Nobody is updated to it when its channel has ended.
    end_builds(&mut releases, &["a".repeat(26).parse().unwrap()].into());
    expect(&releases, &["1.0.2"], &[]);
}

#[test]
fn a_pre_release_supersedes_pre_releases_only() {
    let releases = ["1.0.1-rc.1", "1.0.1", "1.0.2-rc.1", "1.0.2-rc.2"].map(listed);
    expect(&releases, &["1.0.1"], &[("1.0.1", "is the newest")]);
    expect(&releases, &["1.0.1-rc.1", "1.0.2-rc.1"], &[]);
    expect(&releases, &["1.0.2-rc.2"], &[("1.0.2-rc.2", "is the newest")]);
}

#[test]
fn every_obstacle_is_told_at_once() {
    let retired = Listed { listing: Listing::Archive, ..listed("1.0.1") };
    let releases = [listed("1.0.0"), retired, with_floor("1.0.2", "1.0.1"), listed("1.0.3")];
    expect(
        &releases,
        &["1.0.0", "1.0.1", "1.0.2", "1.0.3", "7.0.0"],
        &[
            ("1.0.0", "is the newest of channel major"),
            ("1.0.1", "is retired already"),
            ("1.0.2", "sets the rollback floor 1.0.1"),
            ("1.0.3", "is the newest of channel bugfix"),
            ("7.0.0", "is not published"),
        ],
    );
}

#[test]
fn a_floor_moves_only_where_another_stands_in_for_it() {
    let lost = [("1.1.2", "on line 1.1 or a lower one, with a floor of at least 1.1.1")];
    let beside = |other: Listed| [with_floor("1.1.2", "1.1.1"), other, listed("9.0.1")];
    for stands_in in [("1.1.3", "1.1.1"), ("1.1.3", "1.1.2"), ("1.1.1", "1.1.1")] {
        expect(&beside(with_floor(stands_in.0, stands_in.1)), &["1.1.2"], &[]);
    }
    // Too low; of a line that machines on 1.1 do not look at; of a channel that some do not see.
    let security = Listed { channel: Channel::Security.into(), ..with_floor("1.1.3", "1.1.2") };
    for other in [with_floor("1.1.3", "1.1.0"), with_floor("1.2.1", "1.2.1"), security] {
        expect(&beside(other), &["1.1.2"], &lost);
    }
    // What is retired stands in for nothing, nor does what goes with it.
    let archived = Listed { listing: Listing::Archive, ..with_floor("1.1.3", "1.1.2") };
    expect(&beside(archived), &["1.1.2"], &lost);
    let both = beside(with_floor("1.1.3", "1.1.1"));
    expect(&both, &["1.1.2", "1.1.3"], &[lost[0], ("1.1.3", "sets the rollback floor")]);
    assert_eq!(retirable_below(&both, &version("2.0.0")), versions(&["1.1.3"]));
}

#[test]
fn the_last_stop_on_a_way_stays() {
    let stopped = Listed { min_from: Some(version("1.0.2")), ..listed("1.0.9") };
    let releases =
        [listed("1.0.1"), listed("1.0.2"), listed("1.0.3"), stopped.clone(), listed("1.1.1")];
    expect(&releases, &["1.0.1", "1.0.2"], &[]);
    expect(
        &releases,
        &["1.0.1", "1.0.2", "1.0.3"],
        &[(
            "1.0.3",
            "is the last stop on the way to 1.0.9, which can only be installed over 1.0.2",
        )],
    );
    expect(&releases, &["1.0.2", "1.0.3", "1.0.9"], &[]);
    let but_the_stop = versions(&["1.0.1", "1.0.2"]);
    assert_eq!(retirable_below(&releases, &version("1.0.9")), but_the_stop);
    // There was no stop before either.
    expect(&[listed("1.0.1"), stopped, listed("1.1.1")], &["1.0.1"], &[]);
}

/// A channel or the archive that lists the releases in `texts` with their one artifact each.
fn role(name: &str, texts: &[&str]) -> (ChannelName, Targets) {
    let platform = "linux-x86_64".parse().unwrap();
    let (mut targets, name) = (BTreeMap::new(), name.parse::<ChannelName>().unwrap());
    for text in texts {
        let version = version(text);
        let (channel, archived) =
            if name.is_archive() { (listed(text).channel, true) } else { (name.clone(), false) };
        let files = [
            (TargetPath::manifest(&channel, &version), TargetKind::Release { floor: None }),
            (
                TargetPath::artifact(&channel, &version, &platform),
                TargetKind::Artifact { platform: platform.clone() },
            ),
        ];
        for (path, kind) in files {
            let path = if archived { path.archived() } else { path };
            let custom = TargetsCustom { kind, version: version.clone() };
            let digest = Digest::of(text.as_bytes());
            targets.insert(path.to_string(), Target::new(7, digest, &custom).unwrap());
        }
    }
    let expires = "2026-01-01T00:00:00Z".parse().unwrap();
    let header = Header::new::<Targets>(std::num::NonZeroU64::MIN, expires);
    (name, Targets { header, targets, delegations: None, lines: Lines::default() })
}

fn targets(role: (ChannelName, Targets)) -> (ChannelName, BTreeMap<String, Target>) {
    (role.0, role.1.targets)
}

#[test]
fn the_targets_move_to_the_archive_as_they_are() {
    let roles = BTreeMap::from([
        role("major", &["1.0.0", "2.0.0"]),
        role("bugfix", &["1.0.1", "1.0.2"]),
        role("feature", &["1.1.0"]),
    ]);
    let after = after_retiring(&roles, &versions(&["1.0.0", "1.0.1"]));
    let expected = BTreeMap::from(
        [
            role("major", &["2.0.0"]),
            role("bugfix", &["1.0.2"]),
            role("archive", &["1.0.0", "1.0.1"]),
        ]
        .map(targets),
    );
    assert_eq!(after, expected);
    let path = "archive/bugfix/1.0.1/linux-x86_64.tar.zst";
    assert!(after[&ChannelName::archive()].contains_key(path));

    let roles = BTreeMap::from([role("bugfix", &["1.0.2", "1.0.3"]), role("archive", &["1.0.1"])]);
    let after = after_retiring(&roles, &versions(&["1.0.2"]));
    let expected = [role("bugfix", &["1.0.3"]), role("archive", &["1.0.1", "1.0.2"])].map(targets);
    assert_eq!(after, BTreeMap::from(expected));
    assert_eq!(after_retiring(&roles, &versions(&["1.0.1", "7.0.0"])), BTreeMap::new());
}

#[test]
fn the_roles_say_what_they_list() {
    let roles = BTreeMap::from([role("bugfix", &["1.0.2"]), role("archive", &["1.0.0", "1.0.1"])]);
    let archived = |text| Listed { listing: Listing::Archive, ..listed(text) };
    assert_eq!(Listed::of(&roles), [archived("1.0.0"), archived("1.0.1"), listed("1.0.2")]);
}

fn any_release() -> impl Strategy<Value = Listed> {
    let number = 0..3u64;
    let lower = prop::option::weighted(0.3, (0..3u64, 0..3u64, 0..3u64));
    (number.clone(), number, 0..4u64, any::<bool>(), lower.clone(), lower).prop_map(
        |(major, minor, patch, is_security, floor, min_from)| {
            let mut release = listed(&format!("{major}.{minor}.{patch}"));
            if is_security && patch > 0 {
                release.channel = Channel::Security.into();
            }
            let below = |bound: &Version, number: Option<(u64, u64, u64)>| {
                let (major, minor, patch) = number?;
                Some(version(&format!("{major}.{minor}.{patch}"))).filter(|it| it <= bound)
            };
            release.floor = below(&release.version, floor);
            release.min_from = below(&release.version, min_from);
            release
        },
    )
}

/// What a machine that runs `running` knows of floors by the channels in `visible`.
fn floor(releases: &[Listed], visible: &[ChannelName], running: &Version) -> Option<Version> {
    let known = releases.iter().filter(|release| {
        release.listing == Listing::Channel
            && visible.contains(&release.channel)
            && (release.version <= *running || release.version.line() == running.line())
    });
    known.filter_map(|release| release.floor.clone()).max()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_machine_misses_what_is_retired(
        mut releases in prop::collection::vec(any_release(), 1..24),
        bound in (0..4u64, 0..3u64),
    ) {
        releases.sort_by(|one, other| one.version.cmp(&other.version));
        releases.dedup_by(|one, other| one.version == other.version);
        let chosen = retirable_below(&releases, &version(&format!("{}.{}.0", bound.0, bound.1)));
        prop_assert_eq!(obstacles(&releases, &chosen), []);
        let mut after = releases.clone();
        for release in after.iter_mut().filter(|release| chosen.contains(&release.version)) {
            release.listing = Listing::Archive;
        }
        let names = Channel::ALL.map(ChannelName::from);
        for seen in 0..16_usize {
            let visible: Vec<_> = (0..4)
                .filter(|index| seen & (1 << index) != 0)
                .map(|index| names[index].clone())
                .collect();
            for Listed { version, .. } in &releases {
                let (before, now) =
                    (floor(&releases, &visible, version), floor(&after, &visible, version));
                prop_assert_eq!(before, now, "{}", version);
            }
        }
        for name in &names {
            let newest = releases.iter().rfind(|release| release.channel == *name);
            prop_assert!(newest.is_none_or(|newest| !chosen.contains(&newest.version)));
        }
    }
}
