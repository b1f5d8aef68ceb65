//! What a thief of keys can do, and what not: each set of stolen keys that a threshold does not
//! cover, against each of the four things that a thief may want. The table in
//! `mainstay::manual::threat_model` says the same in words.

use jiff::SignedDuration;
use serde_json::json;

use super::{
    keys::{Holders, Key},
    victim::{TRUST, Victim, now, release, tree},
    world::{Release, Role, World},
};
use crate::{by_hand::Packed, harness::write};

/// How the agent ends where there is nothing to do.
const UP_TO_DATE: i32 = 10;

/// What a thief may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// That the machine takes what has expired for the newest that there is.
    Freeze,
    /// That the machine goes to another release which the vendor signed.
    Steer,
    /// That the machine installs what the vendor did not sign.
    Install,
    /// That the machine goes below the floor.
    BelowFloor,
}

/// What comes of an attack.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Succeeds,
    /// The rule that is broken, and by which document.
    Refused(&'static str, &'static str),
}

use Outcome::{Refused, Succeeds};

const EXPIRED: Outcome = Refused("expired", "timestamp");
const NO_ROOT: Outcome = Refused("threshold", "root version 2");
const NO_TIMESTAMP: Outcome = Refused("threshold", "timestamp version");
const NO_SNAPSHOT: Outcome = Refused("threshold", "snapshot version");
const NO_CHANNEL: Outcome = Refused("threshold", "bugfix version");
const NO_PLAN: Outcome = Refused("threshold", "plan version");
const FLOOR: Outcome = Refused("floor", "expected at least the floor 1.0.1");

/// A thief, and the server in his hands: whatever he does not change he replays, or lets the honest
/// server sign.
struct Thief<'a> {
    stolen: &'a [Key],
}

impl Thief<'_> {
    fn has(&self, key: Key) -> bool {
        self.stolen.contains(&key)
    }

    /// Puts the thief's own key in the place of every key that he can replace, and signs `changed`
    /// with whatever he has.
    fn sign(&self, world: &mut World, changed: &[Role]) {
        let mut changed = changed.to_vec();
        let own = || Holders::only(Key::STRANGER);
        if Key::ROOT.iter().any(|key| self.has(*key)) {
            for role in Role::BELOW_ROOT {
                world.holders.insert(role, own());
            }
            changed = Role::ALL.to_vec();
        } else if self.has(Key::TARGETS) && !self.may_sign_all(world, &changed) {
            world.holders.insert(Role::Channel, own());
            world.holders.insert(Role::Plan, own());
            changed = Role::BELOW_ROOT.to_vec();
        }
        for role in changed {
            let keys = &world.holders[&role].keys;
            let held = keys.iter().filter(|key| self.has(**key) || **key == Key::STRANGER);
            let held: Vec<_> = held.copied().collect();
            world.sign_with(role, &held);
        }
    }

    fn may_sign_all(&self, world: &World, roles: &[Role]) -> bool {
        roles.iter().all(|role| {
            let Holders { keys, threshold } = &world.holders[role];
            keys.iter().filter(|key| self.has(**key)).count() >= *threshold
        })
    }

    /// Tries to reach `goal`, and expects `expected` to come of it.
    #[track_caller]
    fn tries(&self, goal: Goal, expected: Outcome) {
        match goal {
            Goal::Freeze => self.freezes(expected),
            Goal::Steer => self.steers(expected),
            Goal::Install => self.installs(expected),
            Goal::BelowFloor => self.goes_below_the_floor(expected),
        }
    }

    #[track_caller]
    fn freezes(&self, expected: Outcome) {
        let mut victim = Victim::new();
        let mut world = victim.honest.clone();
        world.revision += 1;
        world.now = now() - SignedDuration::from_hours(25);
        if self.has(Key::TIMESTAMP) || Key::ROOT.iter().any(|key| self.has(*key)) {
            world.set(Role::Timestamp, "/expires", json!("2100-01-01T00:00:00Z"));
            self.sign(&mut world, &[Role::Timestamp]);
        }
        victim.server.serve(world.edition());
        match expected {
            Succeeds => assert_eq!(victim.machine.agent(&["update"]).code(), UP_TO_DATE),
            Refused(rule, says) => victim.refuses(rule, &[says]),
        }
    }

    #[track_caller]
    fn steers(&self, expected: Outcome) {
        let victim = Victim::new().updated_to(release("1.0.1"));
        let mut world = victim.honest.clone();
        world.order_back("1.0.0", 1);
        self.sign(&mut world, &[Role::Plan]);
        judge(victim, &world, "1.0.0", expected);
    }

    #[track_caller]
    fn installs(&self, expected: Outcome) {
        let victim = Victim::new();
        let mut world = victim.honest.clone();
        let evil = tree("1.0.6");
        write(&evil.path().join("evil"), 0o755, "#!/bin/sh\n");
        world.publish(Release::new("1.0.6", Packed::tree(evil.path()), now()));
        let changed = [Role::Timestamp, Role::Snapshot, Role::Channel, Role::Plan];
        self.sign(&mut world, &changed);
        judge(victim, &world, "1.0.6", expected);
    }

    /// The vendor has signed that nothing goes below 1.0.1 once 1.0.2 is there.
    #[track_caller]
    fn goes_below_the_floor(&self, expected: Outcome) {
        let floor = |manifest: &mut mainstay_client::format::ReleaseManifest| {
            manifest.floor = Some("1.0.1".parse().unwrap());
        };
        let victim = Victim::new().updated_to(release("1.0.2").with(floor));
        let mut world = victim.honest.clone();
        world.order_back("1.0.0", 1);
        self.sign(&mut world, &[Role::Plan]);
        judge(victim, &world, "1.0.0", expected);
    }
}

/// Serves `world`, by which the thief wants `version` to run.
#[track_caller]
fn judge(mut victim: Victim, world: &World, version: &str, expected: Outcome) {
    victim.server.serve(world.edition());
    match expected {
        Succeeds => {
            victim.machine.agent(&["update"]).succeeds();
            assert_eq!(victim.machine.running().as_deref(), Some(version));
        }
        // The plan is the director's, and is kept: the machine only does not do what it says.
        Refused("floor", says) => {
            victim.fails(TRUST, "floor", &[says, "plan version"]);
            // Where the thief has signed a root, the vendor follows it up with another.
            victim.honest.rotate([]);
            victim.honest.rotate([]);
            victim.recovers();
        }
        Refused(rule, says) => victim.refuses(rule, &[says]),
    }
}

/// Expects of a thief who has stolen `stolen` what comes of his four wishes, in the order of the
/// columns of the threat model: freeze, steer, install, go below the floor.
#[track_caller]
fn expect(stolen: &[&[Key]], outcomes: [Outcome; 4]) {
    let thief = Thief { stolen: &stolen.concat() };
    let goals = [Goal::Freeze, Goal::Steer, Goal::Install, Goal::BelowFloor];
    for (goal, expected) in goals.into_iter().zip(outcomes) {
        thief.tries(goal, expected);
    }
}

#[test]
fn no_key() {
    expect(&[], [EXPIRED, NO_PLAN, NO_TIMESTAMP, NO_PLAN]);
}

#[test]
fn the_timestamp_key() {
    expect(&[&[Key::TIMESTAMP]], [Succeeds, NO_PLAN, NO_SNAPSHOT, NO_PLAN]);
}

#[test]
fn the_snapshot_key() {
    expect(&[&[Key::SNAPSHOT]], [EXPIRED, NO_PLAN, NO_TIMESTAMP, NO_PLAN]);
}

#[test]
fn the_timestamp_and_snapshot_keys() {
    let stolen = [Key::TIMESTAMP, Key::SNAPSHOT];
    expect(&[&stolen], [Succeeds, NO_PLAN, NO_PLAN, NO_PLAN]);
}

#[test]
fn the_director_key() {
    expect(&[&[Key::DIRECTOR]], [EXPIRED, Succeeds, NO_TIMESTAMP, FLOOR]);
}

#[test]
fn all_online_keys() {
    expect(&[&Key::ONLINE], [Succeeds, Succeeds, NO_CHANNEL, FLOOR]);
}

#[test]
fn one_release_key_of_two() {
    expect(&[&Key::RELEASE[..1]], [EXPIRED, NO_PLAN, NO_TIMESTAMP, NO_PLAN]);
}

#[test]
fn one_release_key_of_two_and_all_online_keys() {
    expect(&[&Key::RELEASE[..1], &Key::ONLINE], [Succeeds, Succeeds, NO_CHANNEL, FLOOR]);
}

#[test]
fn the_release_threshold() {
    expect(&[&Key::RELEASE[..2]], [EXPIRED, NO_PLAN, NO_TIMESTAMP, NO_PLAN]);
}

#[test]
fn the_release_threshold_and_all_online_keys() {
    expect(&[&Key::RELEASE[..2], &Key::ONLINE], [Succeeds, Succeeds, Succeeds, FLOOR]);
}

#[test]
fn the_targets_key() {
    expect(&[&[Key::TARGETS]], [EXPIRED, NO_TIMESTAMP, NO_TIMESTAMP, NO_TIMESTAMP]);
}

#[test]
fn the_targets_key_and_all_online_keys() {
    expect(&[&[Key::TARGETS], &Key::ONLINE], [Succeeds, Succeeds, Succeeds, FLOOR]);
}

#[test]
fn one_root_key_of_two() {
    expect(&[&Key::ROOT[..1]], [NO_ROOT; 4]);
}

#[test]
fn one_root_key_of_two_and_all_online_keys() {
    expect(&[&Key::ROOT[..1], &Key::ONLINE], [NO_ROOT; 4]);
}

#[test]
fn the_root_threshold() {
    expect(&[&Key::ROOT[..2]], [Succeeds, Succeeds, Succeeds, FLOOR]);
}

/// The floor of a release binds as soon as that release runs, whatever the server says next: a
/// thief of the online keys might keep the channel that signs the floor from the machine.
#[test]
fn the_online_keys_cannot_withhold_the_floor_of_what_runs() {
    let next_line = |manifest: &mut mainstay_client::format::ReleaseManifest| {
        manifest.floor = Some("1.1.0".parse().unwrap());
    };
    let mut victim = Victim::new().updated_to(release("1.1.0").with(next_line));
    let mut world = victim.honest.clone();
    world.order_back("1.0.0", 1);
    // It is announced in a version that nobody has seen, and does not come.
    world.edit(Role::Snapshot, |snapshot| {
        snapshot["meta"]["feature.json"] = json!({ "version": 1000 });
    });
    victim.server.serve(world.edition());
    victim.fails(TRUST, "floor", &["expected at least the floor 1.1.0", "plan version"]);
    victim.recovers_with("1.1.9");
}
