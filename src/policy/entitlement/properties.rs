//! The promises of the design, over made-up contracts and catalogues.
//!
//! The worlds are small on purpose: few lines, days and advisories, so that boundaries are met and
//! releases collide often. Releases may even come out after `now`, which no server stamps.

use mainstay_client::format::{AdvisoryId, Tag};
use proptest::{collection::btree_set, prelude::*, sample::subsequence, strategy::ValueTree};

use super::*;
use crate::policy::{catalogue::Line, contract::Term, lifecycle};

/// A contract, what there is of the product, and a machine's history.
#[derive(Clone, Debug)]
pub(in crate::policy) struct World {
    pub(in crate::policy) contract: Contract,
    pub(in crate::policy) lines: Vec<Line>,
    pub(in crate::policy) releases: Vec<Release>,
    pub(in crate::policy) history: BTreeSet<Version>,
    pub(in crate::policy) now: Timestamp,
}

const DAYS: i64 = 24;

fn day(day: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + day * 86_400).unwrap()
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0..DAYS).prop_map(day)
}

fn line_name() -> impl Strategy<Value = LineName> {
    prop::sample::select(vec!["0.9", "1.0", "1.1", "2.0", "2.1"])
        .prop_map(|name| name.parse().unwrap())
}

fn tags(of: &'static [&'static str], most: usize) -> impl Strategy<Value = BTreeSet<Tag>> {
    subsequence(of, 0..=most).prop_map(|tags| tags.iter().map(|t| t.parse().unwrap()).collect())
}

fn terms() -> impl Strategy<Value = Vec<Term>> {
    let term = (0..DAYS, 1..8_i64)
        .prop_map(|(start, days)| Term { start: day(start), end: day(start + days) });
    prop::collection::vec(term, 0..4)
}

fn contract() -> impl Strategy<Value = Contract> {
    let bought = (
        subsequence(Channel::ALL.to_vec(), 0..=4),
        terms(),
        line_name(),
        prop::option::of(line_name()),
        tags(&["maps", "voice"], 2),
        tags(&["navy", "army"], 1),
        btree_set(line_name(), 0..2),
    );
    let rules = (
        prop_oneof![9 => Just(State::Active), 1 => Just(State::Suspended)],
        0..5_u32,
        0..7_u32,
        prop_oneof![2 => Just(Fallback::Perpetual), 1 => Just(Fallback::None)],
        prop_oneof![1 => Just(Bridge::Never), 2 => Just(Bridge::Critical)],
    );
    (bought, rules).prop_map(
        |(
            (channels, terms, base_line, cap, addons, audience, els_lines),
            (state, grace_days, security_tail_days, fallback, bridge),
        )| Contract {
            state,
            products: BTreeSet::from(["demo".parse().unwrap()]),
            channels: channels.into_iter().collect(),
            terms,
            grace_days,
            security_tail_days,
            base_line,
            cap,
            fallback,
            addons,
            els_lines,
            audience,
            bridge,
            seats: None,
            tier: None,
        },
    )
}

fn release(version: Version) -> impl Strategy<Value = Release> {
    let opening = if version.line().minor == 0 { Channel::Major } else { Channel::Feature };
    let channels = match version.to_string() {
        text if text.ends_with(".0") || text.contains("-rc") => vec![opening],
        _ => vec![Channel::Bugfix, Channel::Security, Channel::Security],
    };
    let status = prop_oneof![
        12 => Just(Status::Published),
        1 => Just(Status::Draft),
        1 => Just(Status::Withdrawn),
        1 => Just(Status::Revoked),
    ];
    let severity = prop::sample::select(vec![Severity::Minor, Severity::Critical]);
    let advisories = subsequence(vec!["A", "B", "C"], 0..=2)
        .prop_map(|ids| ids.into_iter().map(|id| id.parse().unwrap()).collect());
    let rare =
        |of: &'static [&'static str]| prop_oneof![5 => Just(BTreeSet::new()), 1 => tags(of, 1)];
    (
        (prop::sample::select(channels), severity, status, any::<prop::sample::Index>()),
        (instant(), prop::option::weighted(0.2, 1..6_i64)),
        (advisories, rare(&["maps", "voice"]), rare(&["navy", "army"])),
    )
        .prop_map(
            move |(
                (channel, severity, status, luck),
                (published_at, back),
                (advisories, requires_addons, audience),
            )| Release {
                version: version.clone(),
                channel,
                private_channel: None,
                severity,
                published_at,
                effective_at: back
                    .filter(|_| matches!(channel, Channel::Bugfix | Channel::Security))
                    .map(|days| published_at - jiff::SignedDuration::from_hours(24 * days)),
                status,
                advisories,
                requires_addons,
                audience,
                courtesy: channel == Channel::Security && luck.index(6) == 0,
            },
        )
}

fn line(line: LineName) -> impl Strategy<Value = Line> {
    let rare = || prop::option::weighted(0.2, instant());
    (rare(), rare(), rare()).prop_map(move |(ga, eos, eol)| Line { line, ga, eos, eol })
}

fn versions() -> Vec<Version> {
    let lines = ["0.9", "1.0", "1.1", "2.0", "2.1"];
    let patches = ["0-rc.1", "0", "1", "2", "3-rc.1", "3"];
    let of_line = |line| patches.map(|patch| format!("{line}.{patch}").parse().unwrap());
    lines.into_iter().flat_map(of_line).collect()
}

pub(in crate::policy) fn world() -> impl Strategy<Value = World> {
    let releases = subsequence(versions(), 1..=16)
        .prop_flat_map(|versions| versions.into_iter().map(release).collect::<Vec<_>>())
        .prop_shuffle();
    let lines = btree_set(line_name(), 0..3)
        .prop_flat_map(|names| names.into_iter().map(line).collect::<Vec<_>>());
    let history = subsequence(versions(), 0..3).prop_map(|versions| versions.into_iter().collect());
    (contract(), lines, releases, history, instant()).prop_map(
        |(contract, lines, releases, history, now)| World {
            contract,
            lines,
            releases,
            history,
            now,
        },
    )
}

/// Something more that a customer may buy.
#[derive(Clone, Debug)]
enum Purchase {
    Channel(Channel),
    Addon(Tag),
    ElsLine(LineName),
    Cap(Option<LineName>),
    LongerTerm(prop::sample::Index, i64),
    Term(Term),
    Grace(u32),
    Tail(u32),
}

fn purchase() -> impl Strategy<Value = Purchase> {
    prop_oneof![
        3 => prop::sample::select(Channel::ALL.to_vec()).prop_map(Purchase::Channel),
        1 => prop::sample::select(vec!["maps", "voice"])
            .prop_map(|tag| Purchase::Addon(tag.parse().unwrap())),
        1 => line_name().prop_map(Purchase::ElsLine),
        1 => prop::option::of(line_name()).prop_map(Purchase::Cap),
        2 => (any::<prop::sample::Index>(), 1..9_i64)
            .prop_map(|(which, days)| Purchase::LongerTerm(which, days)),
        1 => (0..DAYS, 1..9_i64)
            .prop_map(|(start, days)| Purchase::Term(Term {
                start: day(start),
                end: day(start + days),
            })),
        1 => (1..9_u32).prop_map(Purchase::Grace),
        1 => (1..9_u32).prop_map(Purchase::Tail),
    ]
}

impl Purchase {
    fn add_to(&self, contract: &mut Contract) {
        match self.clone() {
            Self::Channel(channel) => {
                contract.channels.insert(channel);
            }
            Self::Addon(addon) => {
                contract.addons.insert(addon);
            }
            Self::ElsLine(line) => {
                contract.els_lines.insert(line);
            }
            Self::Cap(cap) => contract.cap = contract.cap.zip(cap).map(|(old, new)| old.max(new)),
            Self::LongerTerm(which, days) => {
                if !contract.terms.is_empty() {
                    let term = which.index(contract.terms.len());
                    contract.terms[term].end += jiff::SignedDuration::from_hours(24 * days);
                }
            }
            Self::Term(term) => contract.terms.push(term),
            Self::Grace(days) => contract.grace_days += days,
            Self::Tail(days) => contract.security_tail_days += days,
        }
    }
}

impl World {
    pub(in crate::policy) fn catalogue(&self) -> Catalogue {
        let product = "demo".parse().unwrap();
        Catalogue::new(product, self.lines.clone(), self.releases.clone()).unwrap()
    }

    pub(in crate::policy) fn decisions(&self) -> Vec<Decision> {
        decide_all(&self.contract, &self.catalogue(), &self.history, self.now)
    }

    /// Makes the pre-releases custom builds of the customer.
    pub(in crate::policy) fn with_builds(&mut self) -> OwnChannels {
        let name: PrivateChannelName = "a".repeat(26).parse().unwrap();
        for release in self.releases.iter_mut().filter(|one| one.version.is_prerelease()) {
            release.private_channel = Some(name.clone());
            release.channel =
                if release.advisories.is_empty() { Channel::Bugfix } else { Channel::Security };
        }
        OwnChannels { open: [name].into(), ..OwnChannels::default() }
    }

    fn advisories(&self, version: &Version) -> BTreeSet<AdvisoryId> {
        let of = self.releases.iter().find(|release| release.version == *version);
        of.map(|release| release.advisories.clone()).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_release_has_one_decision_that_explains_itself(world in world()) {
        let (decisions, catalogue) = (world.decisions(), world.catalogue());
        let standing = Standing::new(&world.contract, &catalogue, world.now);
        prop_assert_eq!(decisions.len(), world.releases.len());
        for decision in decisions {
            prop_assert_eq!(decision.verdict, decision.code.verdict());
            prop_assert!(standing.explain(&decision).ends_with('.'));
        }
    }

    #[test]
    fn buying_more_never_takes_a_grant_away(world in world(), purchase in purchase()) {
        let mut richer = world.clone();
        purchase.add_to(&mut richer.contract);
        for (before, after) in world.decisions().into_iter().zip(richer.decisions()) {
            let gave_way = before.code == Code::Bridge && after.alternative.is_some();
            prop_assert!(
                !before.is_grant() || after.is_grant() || gave_way,
                "{before:?} became {after:?}"
            );
        }
    }

    #[test]
    fn time_takes_no_perpetual_grant_away(mut world in world(), later in 0..DAYS) {
        world.contract.fallback = Fallback::Perpetual;
        let mut then = world.clone();
        then.now = world.now + jiff::SignedDuration::from_hours(24 * later);
        for (before, after) in world.decisions().into_iter().zip(then.decisions()) {
            let stays = !before.is_grant() || before.code == Code::Bridge || after.is_grant();
            prop_assert!(stays, "{before:?} became {after:?}");
        }
    }

    #[test]
    fn time_alone_changes_nothing_between_turning_points(world in world(), line in line_name()) {
        let catalogue = world.catalogue();
        let found_at = |now: Timestamp| {
            let standing = Standing::new(&world.contract, &catalogue, now);
            let decisions = standing.decide_all(&world.history);
            let sentences: Vec<_> = decisions.iter().map(|it| standing.explain(it)).collect();
            (decisions, sentences, lifecycle::ahead(&world.contract, &catalogue, Some(line), now))
        };
        let turns = lifecycle::turning_points(&world.contract, &catalogue);
        let turn = turns.filter(|at| *at > world.now).min().unwrap_or(Timestamp::MAX);
        let days = (1..2 * DAYS).map(|days| world.now + jiff::SignedDuration::from_hours(24 * days));
        let last = turn.checked_sub(jiff::SignedDuration::from_secs(1)).ok();
        for later in days.chain(last).filter(|later| *later < turn) {
            prop_assert_eq!(found_at(later), found_at(world.now), "at {}", later);
        }
    }

    #[test]
    fn touching_terms_equal_one(
        world in world(), start in 0..DAYS, first in 1..8_i64, second in 1..8_i64,
    ) {
        let (mut split, mut merged) = (world.clone(), world);
        let (seam, end) = (day(start + first), day(start + first + second));
        split.contract.terms.push(Term { start: day(start), end: seam });
        split.contract.terms.push(Term { start: seam, end });
        merged.contract.terms.push(Term { start: day(start), end });
        prop_assert_eq!(split.decisions(), merged.decisions());
    }

    #[test]
    fn only_rollback_and_bridge_reach_outside_the_owned_lines(world in world()) {
        let catalogue = world.catalogue();
        let standing = Standing::new(&world.contract, &catalogue, world.now);
        for decision in world.decisions() {
            let line = decision.version.line();
            let owned = standing.of_line(line).is_owned;
            let reaches_outside = matches!(decision.code, Code::Rollback | Code::Bridge);
            prop_assert!(owned || reaches_outside || !decision.is_grant(), "{decision:?}");
        }
    }

    #[test]
    fn the_bridge_changes_no_other_decision(mut world in world()) {
        world.contract.bridge = Bridge::Critical;
        let with = world.decisions();
        world.contract.bridge = Bridge::Never;
        for (with, without) in with.into_iter().zip(world.decisions()) {
            if with.code == Code::Bridge {
                prop_assert_eq!(without.code, Code::NoBackport);
            } else {
                prop_assert_eq!(with, without);
            }
        }
    }

    #[test]
    fn an_alternative_is_granted_and_fixes_as_much(world in world()) {
        let decisions = world.decisions();
        for decision in &decisions {
            let Some(alternative) = &decision.alternative else { continue };
            let found = decisions.iter().find(|other| other.version == *alternative).unwrap();
            prop_assert!(found.is_grant() && !decision.is_grant());
            let fixed = world.advisories(alternative);
            prop_assert!(fixed.is_superset(&world.advisories(&decision.version)));
        }
    }

    /// The customer's own builds count as fixes: where one that is granted has the fix, the bridge is
    /// not given, and none lacks it.
    #[test]
    fn a_custom_build_that_is_granted_stands_in_for_the_bridge(mut world in world()) {
        let channels = world.with_builds();
        let catalogue = world.catalogue();
        let standing =
            Standing::new(&world.contract, &catalogue, world.now).with_private_channels(&channels);
        let decisions = standing.decide_all(&BTreeSet::new());
        for decision in &decisions {
            let fixed = world.advisories(&decision.version);
            let fixing = |other: &&Decision| {
                let line = other.version.line();
                other.is_grant()
                    && line != decision.version.line()
                    && standing.of_line(line).is_owned
                    && world.advisories(&other.version).is_superset(&fixed)
            };
            let lacks_fix = matches!(decision.code, Code::Bridge | Code::NoBackport);
            prop_assert!(!lacks_fix || decisions.iter().find(fixing).is_none(), "{decision:?}");
            let Some(alternative) = &decision.alternative else { continue };
            let named = decisions.iter().find(|other| other.version == *alternative);
            prop_assert!(named.as_ref().is_some_and(fixing), "{decision:?}");
        }
    }

    #[test]
    fn what_ran_here_may_run_again(mut world in world()) {
        world.contract.state = State::Active;
        let catalogue = world.catalogue();
        for decision in world.decisions() {
            let release = catalogue.release(&decision.version).unwrap();
            let may_be_denied = matches!(release.status, Status::Revoked | Status::Draft)
                || matches!(decision.code, Code::NotStarted | Code::NotFound);
            if world.history.contains(&decision.version) && !may_be_denied {
                prop_assert_eq!(decision.code, Code::Rollback);
            }
        }
    }

    #[test]
    fn the_order_of_insertion_does_not_matter(world in world()) {
        let mut turned = world.clone();
        turned.releases.reverse();
        turned.lines.reverse();
        turned.contract.terms.reverse();
        prop_assert_eq!(world.decisions(), turned.decisions());
    }
}

/// Properties over worlds in which a rule never applies would hold for nothing.
#[test]
fn the_worlds_show_every_code_of_a_release() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut shown = BTreeSet::new();
    for _ in 0..3000 {
        let world = world().new_tree(&mut runner).unwrap().current();
        shown.extend(world.decisions().into_iter().map(|decision| decision.code));
    }
    let never = [Code::UnknownProduct, Code::ContractTerminated, Code::ProductNotCovered];
    let missing: Vec<&Code> =
        Code::ALL.iter().filter(|code| !shown.contains(code) && !never.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
