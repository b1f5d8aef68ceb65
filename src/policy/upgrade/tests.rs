use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_client::format::PrivateChannelName;
use proptest::{prelude::*, sample::Index};

use super::*;
use crate::policy::{
    Action, Admission, Catalogue, Contract, Line, Listing, OwnChannels, Pin, Seat, Wait,
    contract::Term,
    decide,
    entitlement::properties::world,
    resolve::{resolve, tests::offers},
};

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What there is of a product, and a contract.
struct Scene {
    contract: Contract,
    lines: Vec<Line>,
    releases: Vec<Release>,
    offers: BTreeMap<Version, Offer>,
    machine: Machine,
    own_channels: OwnChannels,
}

/// Releases of 2026-02-01 with their channels and lowest predecessors, before a contract of line 2.4
/// for patches and features.
fn scene(running: &str, releases: &[(&str, &str, Option<&str>)]) -> Scene {
    let contract = r#"{"products": ["demo"], "channels": ["bugfix", "security", "feature"],
        "terms": [{"start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}],
        "base_line": "2.4"}"#;
    let release = |(version, channel, _): &(&str, &str, Option<&str>)| {
        let json = format!(
            r#"{{"version": "{version}", "channel": "{channel}", "severity": "minor",
                "published_at": "2026-02-01T00:00:00Z"}}"#
        );
        serde_json::from_str(&json).unwrap()
    };
    let offer = |(text, _, min_from): &(&str, &str, Option<&str>)| {
        let offer = Offer {
            platforms: BTreeSet::from(["linux-x86_64".parse().unwrap()]),
            listing: Listing::Channel,
            min_from: min_from.map(version),
            admission: Admission::Admitted,
            requirement_unmet: None,
            safeguard: None,
        };
        (version(text), offer)
    };
    Scene {
        contract: serde_json::from_str(contract).unwrap(),
        lines: Vec::new(),
        releases: releases.iter().map(release).collect(),
        offers: releases.iter().map(offer).collect(),
        machine: Machine::new(Some(version(running)), "linux-x86_64".parse().unwrap()),
        own_channels: OwnChannels::default(),
    }
}

impl Scene {
    fn path(&self, to: Option<&str>) -> Result<String, NoPath> {
        let (product, lines) = ("demo".parse().unwrap(), self.lines.clone());
        let catalogue = Catalogue::new(product, lines, self.releases.clone()).unwrap();
        let standing = Standing::new(&self.contract, &catalogue, at("2026-06-01T00:00:00Z"))
            .with_private_channels(&self.own_channels);
        let decisions = standing.decide_all(&BTreeSet::new());
        let to = to.map(version);
        upgrade_path(&standing, &decisions, &self.offers, &self.machine, to.as_ref())
            .map(|path| path.line())
    }

    fn with_custom_build(mut self, build: &str) -> Self {
        let name: PrivateChannelName = "a".repeat(26).parse().unwrap();
        let build = version(build);
        let release = self.releases.iter_mut().find(|release| release.version == build);
        release.unwrap().private_channel = Some(name.clone());
        self.offers.get_mut(&build).unwrap().listing = Listing::Private;
        self.own_channels.open.insert(name);
        self
    }
}

const WAY: [(&str, &str, Option<&str>); 6] = [
    ("2.4.3", "bugfix", None),
    ("2.5.0", "feature", None),
    ("2.5.1", "bugfix", None),
    ("3.0.0", "major", Some("2.5.0")),
    ("3.2.0", "feature", Some("3.0.0")),
    ("3.2.1", "bugfix", Some("3.0.0")),
];

#[test]
fn the_way_leads_through_the_stops_and_says_what_is_lacking() {
    let scene = scene("2.4.3", &WAY);
    let path = scene.path(None).unwrap();
    let needs = "(needs the channel major)";
    assert_eq!(path, format!("2.4.3 → 2.5.1 → 3.0.0 {needs} → 3.2.1 {needs}"));
    assert_eq!(scene.path(Some("2.5.0")).unwrap(), "2.4.3 → 2.5.0");
    assert_eq!(scene.path(Some("2.4.3")).unwrap(), "2.4.3");
}

#[test]
fn a_cap_an_addon_and_the_time_are_named() {
    let mut scene = scene("2.4.3", &WAY);
    scene.contract.cap = Some("2.5".parse().unwrap());
    scene.releases[3].requires_addons = BTreeSet::from(["maps".parse().unwrap()]);
    let to_major = scene.path(Some("3.0.0")).unwrap();
    let needs = "needs a licence up to line 3.0, the channel major, the add-on maps";
    assert_eq!(to_major, format!("2.4.3 → 2.5.1 → 3.0.0 ({needs})"));
    scene.contract.terms =
        vec![Term { start: at("2026-01-01T00:00:00Z"), end: at("2026-01-20T00:00:00Z") }];
    let path = scene.path(Some("2.5.0")).unwrap();
    assert!(path.starts_with("2.4.3 → 2.5.0 (needs paid time past 2026-"), "{path}");
}

#[test]
fn a_line_past_its_end_is_no_goal() {
    let mut scene = scene("2.4.3", &WAY);
    let dead = Line {
        line: "3.2".parse().unwrap(),
        ga: None,
        eos: Some(at("2026-06-01T00:00:00Z")),
        eol: None,
    };
    scene.lines = vec![dead];
    assert!(scene.path(None).unwrap().contains("→ 3.0.0"));
    // Nor is one without a release for the machine.
    scene.offers.get_mut(&version("3.0.0")).unwrap().platforms.clear();
    assert_eq!(scene.path(None).unwrap(), "2.4.3 → 2.5.1");
}

#[test]
fn what_passes_by_itself_is_in_nobodys_way() {
    let mut scene = scene("2.4.3", &WAY);
    let open = scene.path(None).unwrap();
    scene.machine.hold = Some("until Monday".to_owned());
    scene.machine.pin = Some(Pin { version: version("1.0.0"), reason: "it works".to_owned() });
    scene.machine.seat = Seat::Exceeded { seats: 1, machines: 2 };
    scene.machine.rollback = Some(version("2.4.0"));
    for offer in scene.offers.values_mut() {
        offer.admission = Admission::Waits(Wait::Paused);
    }
    assert_eq!(scene.path(None).unwrap(), open);
}

#[test]
fn where_no_way_leads_it_is_said() {
    let mut scene = scene("2.4.3", &WAY);
    assert_eq!(scene.path(Some("9.0.0")), Err(NoPath::Unknown(version("9.0.0"))));
    scene.releases[5].audience = BTreeSet::from(["navy".parse().unwrap()]);
    assert_eq!(scene.path(Some("3.2.1")), Err(NoPath::Unknown(version("3.2.1"))));
    scene.releases[4].status = Status::Withdrawn;
    assert_eq!(scene.path(Some("3.2.0")), Err(NoPath::Withdrawn(version("3.2.0"))));
    scene.machine.running = Some(version("2.5.0"));
    let (to, running) = (version("2.4.3"), version("2.5.0"));
    assert_eq!(scene.path(Some("2.4.3")), Err(NoPath::NotAbove { to, running }));
    scene.machine.running = Some(version("2.4.3"));
    for stop in ["2.5.0", "2.5.1"] {
        scene.offers.get_mut(&version(stop)).unwrap().listing = Listing::Archive;
    }
    let (to, stop) = (version("3.0.0"), version("2.5.0"));
    assert_eq!(scene.path(Some("3.0.0")), Err(NoPath::NoStop { to, stop }));
    let retired = scene.path(Some("2.5.1")).unwrap_err().to_string();
    assert!(retired.contains("2.5.1 is retired"), "{retired}");
}

#[test]
fn custom_builds_are_stops_for_custom_builds_alone() {
    let releases = [
        ("2.4.0", "feature", None),
        ("2.4.4-custom.1", "bugfix", None),
        ("2.4.5-custom.1", "bugfix", Some("2.4.4-custom.1")),
        ("2.5.0", "feature", Some("2.4.4-custom.1")),
    ];
    let scene = |running| {
        let scene = scene(running, &releases);
        scene.with_custom_build("2.4.4-custom.1").with_custom_build("2.4.5-custom.1")
    };
    let path = scene("2.4.3").path(Some("2.4.5-custom.1")).unwrap();
    assert_eq!(path, "2.4.3 → 2.4.4-custom.1 → 2.4.5-custom.1");
    let no_stop = NoPath::NoStop { to: version("2.5.0"), stop: version("2.4.4-custom.1") };
    assert_eq!(scene("2.4.3").path(Some("2.5.0")), Err(no_stop));
    let displaced = scene("2.4.4-custom.1").path(Some("2.5.0")).unwrap_err().to_string();
    assert!(displaced.contains("ask for a custom build of it"), "{displaced}");
    let path = scene("2.4.4-custom.1").path(None).unwrap();
    assert_eq!(path, "2.4.4-custom.1 → 2.4.5-custom.1");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each hop is decided as everywhere, and could be delivered from the one before; where all are
    /// granted the machine would be given each of them.
    #[test]
    fn every_hop_can_be_delivered_in_order(
        world in world(),
        luck in prop::collection::vec(any::<Index>(), 16),
        start in prop::option::of(any::<Index>()),
        goal in prop::option::of(any::<Index>()),
    ) {
        let catalogue = world.catalogue();
        let standing = Standing::new(&world.contract, &catalogue, world.now);
        let (decisions, offers) = (world.decisions(), offers(&world, &luck));
        let pick = |index: Index| index.get(&world.releases).version.clone();
        let machine = Machine::new(start.map(pick), "linux-x86_64".parse().unwrap());
        let to = goal.map(pick);
        let found = upgrade_path(&standing, &decisions, &offers, &machine, to.as_ref());
        if let Err(NoPath::NoStop { to, .. }) = &found {
            let mut within = BTreeSet::from_iter(machine.running.clone());
            for release in catalogue.releases().filter(|release| release.version <= *to) {
                let version = &release.version;
                let offer = &offers[version];
                let is_out = release.status == Status::Published
                    && (version == to || !version.is_prerelease())
                    && release.audience.is_subset(&world.contract.audience)
                    && offer.listing == Listing::Channel
                    && !offer.platforms.is_empty();
                let is_admitted = within.iter().any(|from| {
                    from < version && offer.min_from.as_ref().is_none_or(|min| min <= from)
                });
                if is_out && is_admitted {
                    within.insert(version.clone());
                }
            }
            prop_assert!(!within.contains(to), "there is a way to {to}");
        }
        let Ok(path) = found else { return Ok(()) };
        prop_assert!(to.is_none_or(|to| to == path.to));
        let mut at = machine;
        for hop in &path.hops {
            let version = &hop.decision.version;
            let release = catalogue.release(version).unwrap();
            let expected =
                decide(&world.contract, &catalogue, release, &world.history, world.now);
            prop_assert_eq!(&hop.decision, &expected);
            prop_assert_eq!(release.status, Status::Published);
            let offer = &offers[version];
            prop_assert!(offer.listing == Listing::Channel && !offer.platforms.is_empty());
            let admitted = at.running.as_ref().is_none_or(|running| {
                running < version && offer.min_from.as_ref().is_none_or(|min| min <= running)
            });
            prop_assert!(admitted, "{} over {:?}", version, at.running);
            if hop.decision.is_grant() && offer.admission == Admission::Admitted {
                let alone = std::slice::from_ref(&hop.decision);
                let action = resolve(&standing, alone, &offers, &at).action;
                prop_assert_eq!(action, Action::Update(version.clone()));
            }
            at.running = Some(version.clone());
        }
        prop_assert_eq!(at.running.as_ref(), Some(&path.to));
    }

    /// With all that a release is said to lack bought, what is left is what nobody can buy or what
    /// came out when nothing was paid.
    #[test]
    fn what_is_lacking_is_what_helps(world in world()) {
        let catalogue = world.catalogue();
        let standing = Standing::new(&world.contract, &catalogue, world.now);
        for decision in world.decisions() {
            let lacks = standing.lacks(&decision);
            prop_assert!(lacks.is_empty() || !decision.is_grant());
            let mut contract = world.contract.clone();
            for lack in lacks.clone() {
                match lack {
                    Lack::Cap { line } => contract.cap = Some(line),
                    Lack::Channel { channel } => drop(contract.channels.insert(channel)),
                    Lack::Addon { addon } => drop(contract.addons.insert(addon)),
                    Lack::ExtendedSupport { line } => drop(contract.els_lines.insert(line)),
                    Lack::PaidTime { past } => {
                        let second = jiff::SignedDuration::from_secs(1);
                        let end = past.max(world.now) + second;
                        contract.terms.push(Term { start: Timestamp::MIN, end });
                    }
                }
            }
            if !lacks.is_empty() {
                let release = catalogue.release(&decision.version).unwrap();
                let bought = decide(&contract, &catalogue, release, &world.history, world.now);
                let line = catalogue.line(release.version.line());
                let is_for_nobody = matches!(
                    bought.code,
                    Code::LineEol | Code::Withdrawn | Code::Revoked
                );
                let is_unopened = line.ga.is_none() && line.line > contract.base_line;
                let may_stay = is_for_nobody || is_unopened;
                prop_assert!(bought.is_grant() || may_stay, "{decision:?} {lacks:?} {bought:?}");
            }
        }
    }
}
