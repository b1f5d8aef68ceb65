use jiff::Timestamp;
use proptest::{prelude::*, sample::Index};

use super::*;
use crate::policy::{
    catalogue::{Catalogue, Release},
    contract::Contract,
    entitlement::{
        OwnChannels,
        properties::{World, world},
    },
};

mod custom_build;
mod rollout;
mod wanted;

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// A machine before releases of which all are granted, unless a test says otherwise.
struct Scene {
    contract: Contract,
    releases: Vec<Release>,
    history: BTreeSet<Version>,
    offers: BTreeMap<Version, Offer>,
    machine: Machine,
    own_channels: OwnChannels,
}

fn scene(running: Option<&str>, versions: &[&str]) -> Scene {
    let contract = serde_json::from_str(
        r#"{"products": ["demo"], "channels": ["bugfix", "security", "feature", "major"],
            "terms": [{"start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}],
            "base_line": "9.0"}"#,
    );
    let release = |text: &&str| {
        let json = format!(
            r#"{{"version": "{text}", "channel": "bugfix", "severity": "minor",
                "published_at": "2025-02-01T00:00:00Z"}}"#
        );
        serde_json::from_str(&json).unwrap()
    };
    let offer = |text: &&str| {
        let platforms = BTreeSet::from(["linux-x86_64".parse().unwrap()]);
        let admission = Admission::Admitted;
        let listing = Listing::Channel;
        let offer = Offer {
            platforms,
            listing,
            min_from: None,
            admission,
            requirement_unmet: None,
            safeguard: None,
        };
        (version(text), offer)
    };
    Scene {
        contract: contract.unwrap(),
        releases: versions.iter().map(release).collect(),
        history: BTreeSet::new(),
        offers: versions.iter().map(offer).collect(),
        machine: Machine::new(running.map(version), "linux-x86_64".parse().unwrap()),
        own_channels: OwnChannels::default(),
    }
}

impl Scene {
    fn with_offer(mut self, of: &str, change: impl FnOnce(&mut Offer)) -> Self {
        change(self.offers.get_mut(&version(of)).unwrap());
        self
    }

    fn with_min_from(self, of: &str, min_from: &str) -> Self {
        self.with_offer(of, |offer| offer.min_from = Some(version(min_from)))
    }

    fn with_release(mut self, of: &str, change: impl FnOnce(&mut Release)) -> Self {
        change(self.releases.iter_mut().find(|release| release.version == version(of)).unwrap());
        self
    }

    fn with_machine(mut self, change: impl FnOnce(&mut Machine)) -> Self {
        change(&mut self.machine);
        self
    }

    fn resolution(&self) -> Resolution {
        let product = "demo".parse().unwrap();
        let catalogue = Catalogue::new(product, [], self.releases.clone()).unwrap();
        let now: Timestamp = "2025-06-01T00:00:00Z".parse().unwrap();
        let standing = Standing::new(&self.contract, &catalogue, now)
            .with_private_channels(&self.own_channels);
        resolve(&standing, &standing.decide_all(&self.history), &self.offers, &self.machine)
    }

    #[track_caller]
    fn expect(&self, action: &Action, withheld: &[(&str, &str)]) -> Resolution {
        let resolution = self.resolution();
        assert_eq!(resolution.action, *action);
        let found: Vec<(String, &str)> = resolution
            .withheld
            .iter()
            .map(|entry| (entry.version.to_string(), entry.code.as_str()))
            .collect();
        let withheld: Vec<(String, &str)> =
            withheld.iter().map(|(version, code)| ((*version).to_owned(), *code)).collect();
        assert_eq!(found, withheld);
        resolution
    }
}

const EXCEEDED: Seat = Seat::Exceeded { seats: 2, machines: 3 };

fn update(text: &str) -> Action {
    Action::Update(version(text))
}

fn rollback(text: &str) -> Action {
    Action::Rollback(version(text))
}

fn block(over: Option<&str>, through: &str) -> Block {
    let reason = "it lost data".to_owned();
    Block { over: over.map(version), through: version(through), reason }
}

fn pin(text: &str) -> Pin {
    Pin { version: version(text), reason: "it works".to_owned() }
}

#[test]
fn the_highest_is_the_target_and_the_rest_is_superseded() {
    scene(Some("1.0.0"), &["1.0.2", "1.0.0", "1.0.1"]).expect(&update("1.0.2"), &[]);
}

#[test]
fn the_highest_stays() {
    scene(Some("1.0.2"), &["1.0.1", "1.0.2"]).expect(&Action::Stay, &[]);
    scene(Some("1.0.3"), &["1.0.1", "1.0.2"]).expect(&Action::Stay, &[]);
    scene(None, &[]).expect(&Action::Stay, &[]);
}

#[test]
fn versions_are_numbers() {
    scene(Some("1.0.9"), &["1.0.9", "1.0.10"]).expect(&update("1.0.10"), &[]);
}

#[test]
fn a_denied_release_is_withheld_whether_above_or_below_the_target() {
    let resolution = scene(Some("1.0.0"), &["1.0.1", "1.0.2", "9.1.0"])
        .with_release("1.0.1", |release| {
            release.requires_addons.insert("maps".parse().unwrap());
        })
        .with_release("9.1.0", |release| release.status = Status::Revoked)
        .expect(&update("1.0.2"), &[("1.0.1", "ADDON_MISSING"), ("9.1.0", "REVOKED")]);
    let sentence = "1.0.1 needs the add-on maps, which your contract lacks.";
    assert_eq!(resolution.withheld.first().unwrap().sentence, sentence);
}

#[test]
fn a_denied_release_below_what_runs_is_nobodys_business() {
    scene(Some("1.0.2"), &["1.0.1", "1.0.2"])
        .with_release("1.0.1", |release| release.status = Status::Revoked)
        .expect(&Action::Stay, &[]);
}

#[test]
fn a_hidden_release_is_never_listed() {
    scene(Some("1.0.0"), &["1.0.1", "1.0.2"])
        .with_release("1.0.1", |release| release.status = Status::Draft)
        .with_release("1.0.2", |release| {
            release.audience.insert("navy".parse().unwrap());
        })
        .expect(&Action::Stay, &[]);
}

#[test]
fn an_alternative_is_carried_along() {
    let fixes = |release: &mut Release| {
        release.channel = Channel::Security;
        release.advisories.insert("CVE-2025-1".parse().unwrap());
    };
    let mut scene = scene(Some("1.0.0"), &["1.0.1", "3.0.1"])
        .with_release("1.0.1", fixes)
        .with_release("3.0.1", fixes);
    scene.contract.base_line = "1.0".parse().unwrap();
    let resolution = scene.expect(&update("1.0.1"), &[("3.0.1", "LINE_AFTER_TERM")]);
    assert_eq!(resolution.withheld.first().unwrap().alternative, Some(version("1.0.1")));
}

#[test]
fn every_delivery_code_withholds() {
    let plain = || scene(Some("1.0.0"), &["1.0.1"]);
    let withheld = |code| [("1.0.1", code)];
    plain()
        .with_offer("1.0.1", |offer| offer.listing = Listing::Archive)
        .expect(&Action::Stay, &withheld("RETIRED"));
    plain()
        .with_machine(|machine| machine.hold = Some(String::new()))
        .expect(&Action::Stay, &withheld("HELD"));
    plain()
        .with_machine(|machine| machine.pin = Some(pin("1.0.0")))
        .expect(&Action::Stay, &withheld("PINNED"));
    plain()
        .with_machine(|machine| machine.blocks.push(block(None, "1.0.1")))
        .expect(&Action::Stay, &withheld("BLOCKED"));
    plain()
        .with_offer("1.0.1", |offer| offer.admission = Admission::Waits(Wait::Paused))
        .expect(&Action::Stay, &withheld("ROLLOUT_WAIT"));
    plain()
        .with_machine(|machine| machine.platform = "windows-x86_64".parse().unwrap())
        .expect(&Action::Stay, &withheld("PLATFORM"));
    plain()
        .with_offer("1.0.1", |offer| offer.requirement_unmet = Some("glibc 2.40".to_owned()))
        .expect(&Action::Stay, &withheld("REQUIREMENT"));
    plain()
        .with_offer("1.0.1", |offer| offer.safeguard = Some("it does not boot".to_owned()))
        .expect(&Action::Stay, &withheld("SAFEGUARD"));
    plain()
        .with_machine(|machine| machine.seat = EXCEEDED)
        .expect(&Action::Stay, &withheld("SEATS_EXCEEDED"));
    plain().with_min_from("1.0.1", "1.0.1").expect(&Action::Stay, &withheld("STEP_REQUIRED"));
    scene(Some("1.0.0"), &["1.0.1-rc.1"]).expect(&Action::Stay, &[("1.0.1-rc.1", "PRERELEASE")]);
    let mut unoffered = plain();
    unoffered.offers.clear();
    unoffered.expect(&Action::Stay, &withheld("PLATFORM"));
}

#[test]
fn delivery_codes_have_sentences_and_one_spelling() {
    let sentence = |code: DeliveryCode, detail| code.sentence(&version("1.0.1"), detail);
    let cases = [
        (
            DeliveryCode::Retired,
            "",
            "1.0.1 is retired: no machine is updated to it, and those that ran it can go back to \
             it.",
        ),
        (DeliveryCode::Held, "", "Updates of this machine are on hold."),
        (
            DeliveryCode::Pinned,
            "1.0.0: it works",
            "This machine is to run 1.0.0: it works. 1.0.1 is not for it.",
        ),
        (DeliveryCode::Blocked, "it lost data", "1.0.1 is blocked on this machine: it lost data."),
        (
            DeliveryCode::RolloutWait,
            "",
            "1.0.1 is being rolled out and has not come to this machine yet.",
        ),
        (DeliveryCode::Platform, "linux-riscv64", "1.0.1 is not made for linux-riscv64."),
        (
            DeliveryCode::Requirement,
            "glibc 2.40",
            "This machine lacks what 1.0.1 requires: glibc 2.40.",
        ),
        (
            DeliveryCode::Safeguard,
            "it does not boot there",
            "1.0.1 is held back from machines like this one: it does not boot there.",
        ),
        (
            DeliveryCode::StepRequired,
            "1.0.0",
            "1.0.1 can only be installed over 1.0.0 or later, and this machine can get no such \
             version to stop at.",
        ),
        (
            DeliveryCode::SeatsExceeded,
            "2 for 3 machines",
            "1.0.1 is for machines with a seat, and this one has none: your contract has fewer seats \
             than machines: 2 for 3 machines.",
        ),
        (
            DeliveryCode::Prerelease,
            "",
            "1.0.1 is a pre-release, only for machines in the preview ring.",
        ),
        (
            DeliveryCode::CustomBuild,
            "1.0.1-custom.1",
            "1.0.1 would take the place of 1.0.1-custom.1, which was built for you: ask for a custom \
             build of it.",
        ),
    ];
    assert_eq!(cases.map(|(code, ..)| code), DeliveryCode::ALL);
    for (code, detail, expected) in cases {
        assert_eq!(sentence(code, detail), expected);
        assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
        let reason = Reason::Delivery(code);
        assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{reason}\""));
    }
}

#[test]
fn prereleases_are_for_the_preview_ring() {
    let versions = ["1.0.1-rc.1", "1.0.1", "1.0.2-rc.1"];
    scene(Some("1.0.0"), &versions).expect(&update("1.0.1"), &[("1.0.2-rc.1", "PRERELEASE")]);
    scene(Some("1.0.0"), &versions)
        .with_machine(|machine| machine.ring = Ring::Preview)
        .expect(&update("1.0.2-rc.1"), &[]);
}

#[test]
fn the_way_leads_through_the_stops() {
    let stops = scene(Some("1.0.0"), &["1.0.0", "1.0.5", "2.0.0", "2.0.1", "3.0.0"])
        .with_min_from("2.0.0", "1.0.5")
        .with_min_from("2.0.1", "1.0.5")
        .with_min_from("3.0.0", "2.0.0");
    stops.expect(&update("1.0.5"), &[]);
    stops
        .with_machine(|machine| machine.running = Some(version("1.0.5")))
        .expect(&update("2.0.1"), &[]);
}

#[test]
fn a_stop_that_is_not_to_be_had_is_told() {
    let stops = || {
        scene(Some("1.0.0"), &["1.0.1", "1.0.5", "2.0.0", "3.0.0"])
            .with_min_from("2.0.0", "1.0.5")
            .with_min_from("3.0.0", "2.0.0")
    };
    stops().with_release("1.0.5", |release| release.status = Status::Withdrawn).expect(
        &update("1.0.1"),
        &[("1.0.5", "WITHDRAWN"), ("2.0.0", "STEP_REQUIRED"), ("3.0.0", "STEP_REQUIRED")],
    );
    stops().with_machine(|machine| machine.blocks.push(block(None, "1.0.5"))).expect(
        &update("1.0.1"),
        &[("1.0.5", "BLOCKED"), ("2.0.0", "STEP_REQUIRED"), ("3.0.0", "STEP_REQUIRED")],
    );
}

#[test]
fn a_fresh_machine_needs_no_stops() {
    scene(None, &["1.0.0", "2.0.0", "3.0.0"])
        .with_min_from("2.0.0", "1.5.0")
        .with_min_from("3.0.0", "2.5.0")
        .expect(&update("3.0.0"), &[]);
}

#[test]
fn a_withdrawn_release_is_gone_back_to_but_never_updated_to() {
    let withdrawn = |running| {
        let mut scene = scene(Some(running), &["1.0.0", "1.0.1", "1.0.2"])
            .with_release("1.0.1", |release| release.status = Status::Withdrawn);
        scene.history.insert(version("1.0.1"));
        scene
    };
    withdrawn("1.0.0").expect(&update("1.0.2"), &[("1.0.1", "WITHDRAWN")]);
    withdrawn("1.0.2")
        .with_machine(|machine| machine.rollback = Some(version("1.0.1")))
        .expect(&rollback("1.0.1"), &[]);
}

#[test]
fn a_retired_release_is_gone_back_to_where_it_was_and_never_updated_to() {
    let retired = |running| {
        scene(running, &["1.0.0", "1.0.1", "1.0.2"])
            .with_offer("1.0.1", |offer| offer.listing = Listing::Archive)
    };
    // It is superseded, and nothing that anybody misses.
    retired(None).expect(&update("1.0.2"), &[]);
    let mut back = retired(Some("1.0.0"));
    back.history.insert(version("1.0.1"));
    back.expect(&update("1.0.2"), &[]);
    let mut back = retired(Some("1.0.2"));
    back.history.insert(version("1.0.1"));
    back.with_machine(|machine| machine.rollback = Some(version("1.0.1")))
        .expect(&rollback("1.0.1"), &[]);
    // It runs, and the machine goes on from there.
    retired(Some("1.0.1")).expect(&update("1.0.2"), &[]);
}

#[test]
fn without_a_seat_a_machine_gets_security_releases_only() {
    let unseated = |running| {
        scene(running, &["1.0.1", "1.0.2", "1.1.0"])
            .with_release("1.0.1", |release| release.channel = Channel::Security)
            .with_machine(|machine| machine.seat = EXCEEDED)
    };
    let resolution = unseated(Some("1.0.0"))
        .expect(&update("1.0.1"), &[("1.0.2", "SEATS_EXCEEDED"), ("1.1.0", "SEATS_EXCEEDED")]);
    let sentence = &resolution.withheld.first().unwrap().sentence;
    assert!(sentence.contains("fewer seats than machines: 2 for 3 machines."), "{sentence}");
    unseated(None).expect(
        &Action::Stay,
        &["1.0.1", "1.0.2", "1.1.0"].map(|version| (version, "SEATS_EXCEEDED")),
    );
    let withdrawn =
        unseated(Some("1.0.0")).with_release("1.0.1", |release| release.status = Status::Withdrawn);
    withdrawn.expect(
        &Action::Stay,
        &[("1.0.1", "WITHDRAWN"), ("1.0.2", "SEATS_EXCEEDED"), ("1.1.0", "SEATS_EXCEEDED")],
    );
}

#[test]
fn without_a_seat_a_machine_gets_the_stops_on_the_way_to_a_security_release() {
    let unseated = || {
        scene(Some("1.0.0"), &["1.1.0", "1.2.0", "1.2.1", "1.3.0", "1.3.1"])
            .with_release("1.3.1", |release| release.channel = Channel::Security)
            .with_min_from("1.2.0", "1.1.0")
            .with_min_from("1.2.1", "1.1.0")
            .with_min_from("1.3.1", "1.2.0")
            .with_machine(|machine| machine.seat = EXCEEDED)
    };
    let exceeded = |version| (version, "SEATS_EXCEEDED");
    unseated().expect(&update("1.1.0"), &["1.2.1", "1.3.0"].map(exceeded));
    unseated()
        .with_machine(|machine| machine.running = Some(version("1.1.0")))
        .expect(&update("1.2.0"), &["1.2.1", "1.3.0"].map(exceeded));
    unseated()
        .with_machine(|machine| machine.running = Some(version("1.2.0")))
        .expect(&update("1.3.1"), &["1.2.1", "1.3.0"].map(exceeded));
}

#[test]
fn without_a_seat_a_machine_goes_back_as_any_other() {
    scene(Some("1.0.1"), &["1.0.0", "1.0.1"])
        .with_machine(|machine| {
            machine.rollback = Some(version("1.0.0"));
            machine.seat = EXCEEDED;
        })
        .expect(&rollback("1.0.0"), &[]);
}

/// An offer for every release of the world, with stops and obstacles thrown in.
pub(in crate::policy) fn offers(world: &World, luck: &[Index]) -> BTreeMap<Version, Offer> {
    let offer = |(release, luck): (&Release, &Index)| {
        let throw = luck.index(24);
        let below = world.releases.get(throw).map(|other| other.version.clone());
        let offer = Offer {
            listing: if throw == 21 { Listing::Archive } else { Listing::Channel },
            platforms: (throw != 23).then(|| "linux-x86_64".parse().unwrap()).into_iter().collect(),
            min_from: below.filter(|below| *below < release.version),
            admission: if throw == 22 {
                Admission::Waits(Wait::Paused)
            } else {
                Admission::Admitted
            },
            requirement_unmet: None,
            safeguard: None,
        };
        (release.version.clone(), offer)
    };
    world.releases.iter().zip(luck.iter().cycle()).map(offer).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Following the plan hop by hop: each hop leads up, is granted, deliverable and allowed by its
    /// `min_from`, and where it ends nothing more could be had.
    #[test]
    fn every_hop_is_granted_and_the_way_ends_at_the_highest(
        world in world(),
        luck in prop::collection::vec(any::<Index>(), 16),
        start in prop::option::of(any::<Index>()),
    ) {
        let catalogue = world.catalogue();
        let standing = Standing::new(&world.contract, &catalogue, world.now);
        let (decisions, offers) = (world.decisions(), offers(&world, &luck));
        let running = start.map(|start| start.get(&world.releases).version.clone());
        let mut machine = Machine::new(running, "linux-x86_64".parse().unwrap());
        let deliverable = |version: &Version| {
            let granted = decisions.iter().any(|d| d.version == *version && d.is_grant());
            let withdrawn = catalogue.release(version).unwrap().status == Status::Withdrawn;
            let offer = &offers[version];
            granted
                && !withdrawn
                && !version.is_prerelease()
                && offer.listing == Listing::Channel
                && !offer.platforms.is_empty()
                && offer.admission == Admission::Admitted
        };
        let admits = |from: Option<&Version>, to: &Version| {
            from.is_none_or(|from| offers[to].min_from.as_ref().is_none_or(|min| min <= from))
        };
        let promised = resolve(&standing, &decisions, &offers, &machine).withheld;
        let from = machine.running.clone();
        for _ in 0..=world.releases.len() {
            let resolution = resolve(&standing, &decisions, &offers, &machine);
            let Action::Update(hop) = resolution.action else { break };
            prop_assert!(machine.running.as_ref().is_none_or(|running| *running < hop));
            prop_assert!(deliverable(&hop), "{hop}");
            prop_assert!(admits(machine.running.as_ref(), &hop), "{hop}");
            machine.running = Some(hop);
        }
        let end = machine.running;
        for release in &world.releases {
            let version = &release.version;
            let above_end = end.as_ref().is_none_or(|end| end < version);
            let listed = promised.iter().any(|entry| entry.version == *version);
            // Nothing above the end is one hop away, and everything above it was told of at first.
            let is_missed = above_end && deliverable(version) && admits(end.as_ref(), version);
            // A fresh machine installs the highest at once, whatever stops updates would need.
            prop_assert!(!is_missed, "{version} was missed");
            let hidden = decisions.iter().any(|d| d.version == *version && d.code == Code::NotFound);
            if above_end && !hidden {
                prop_assert!(listed, "{version} is neither reached nor withheld");
            }
            let above_start = from.as_ref().is_none_or(|from| from < version);
            prop_assert!(!listed || (above_start && !hidden));
        }
    }

    /// Whatever security release a machine with a seat would come to, or pass, one without a seat
    /// that runs something is not left below.
    #[test]
    fn no_machine_that_runs_is_cut_off_from_security_releases(
        world in world(),
        luck in prop::collection::vec(any::<Index>(), 16),
        start in any::<Index>(),
    ) {
        let catalogue = world.catalogue();
        let standing = Standing::new(&world.contract, &catalogue, world.now);
        let (decisions, offers) = (world.decisions(), offers(&world, &luck));
        prop_assume!(!world.releases.is_empty());
        let running = start.get(&world.releases).version.clone();
        let platform: Platform = "linux-x86_64".parse().unwrap();
        let seated = Machine::new(Some(running), platform);
        let end = |seat| {
            let mut machine = Machine { seat, ..seated.clone() };
            for _ in 0..=world.releases.len() {
                let Action::Update(hop) = resolve(&standing, &decisions, &offers, &machine).action
                else { break };
                machine.running = Some(hop);
            }
            machine.running.unwrap()
        };
        let withheld = |seat| {
            let machine = Machine { seat, ..seated.clone() };
            let withheld = resolve(&standing, &decisions, &offers, &machine).withheld;
            withheld.into_iter().map(|entry| entry.version).collect::<BTreeSet<_>>()
        };
        let (with, without) = (end(Seat::Held), end(EXCEEDED));
        let missed = withheld(Seat::Held);
        // What is hidden is not withheld, nor is a pre-release or a retired release that is superseded.
        let security = world.releases.iter().filter(|release| {
            let version = &release.version;
            release.channel == Channel::Security
                && !version.is_prerelease()
                && offers[version].listing == Listing::Channel
                && decisions.iter().any(|d| d.version == *version && d.is_grant())
        });
        for release in security {
            let version = &release.version;
            let is_had = *version <= with && !missed.contains(version);
            let was_above = seated.running.as_ref().is_some_and(|running| running < version);
            prop_assert!(!(is_had && was_above) || *version <= without, "{version} is kept back");
        }
        prop_assert!(without <= with);
    }
}
