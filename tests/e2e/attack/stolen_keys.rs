//! What a thief of keys can do, and what not: every set of stolen keys below the root against each of the
//! four things that a thief may want, with the outcome by the rule that `mainstay::manual::threat_model`
//! states.

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
    /// That the machine takes what is so many hours old for the newest that there is.
    Freeze { hours: i64 },
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
        roles.iter().all(|role| self.may_sign(world, *role))
    }

    fn may_sign(&self, world: &World, role: Role) -> bool {
        let Holders { keys, threshold } = &world.holders[&role];
        keys.iter().filter(|key| self.has(**key)).count() >= *threshold
    }

    /// The documents that he can sign anew. One that changes is announced by those above it, so whoever
    /// cannot sign these leaves it as it is.
    fn renewable(&self, world: &World) -> Vec<Role> {
        if Key::ROOT.iter().any(|key| self.has(*key)) {
            return Role::ALL.to_vec();
        }
        let announced = [Role::Timestamp, Role::Snapshot, Role::Targets];
        let mut renewable: Vec<_> =
            announced.into_iter().take_while(|role| self.may_sign(world, *role)).collect();
        if self.may_sign(world, Role::Plan) || renewable == announced {
            renewable.push(Role::Plan);
        }
        renewable
    }

    /// Tries to reach `goal`, and expects `expected` to come of it.
    #[track_caller]
    fn tries(&self, goal: Goal, expected: Outcome) {
        println!("{:?}: {goal:?}, expecting {expected:?}", self.stolen);
        match goal {
            Goal::Freeze { hours } => self.freezes(hours, expected),
            Goal::Steer => self.steers(expected),
            Goal::Install => self.installs(expected),
            Goal::BelowFloor => self.goes_below_the_floor(expected),
        }
    }

    /// Whatever he can sign is good for ever; the rest is `hours` old. The vendor has renewed the root
    /// meanwhile.
    #[track_caller]
    fn freezes(&self, hours: i64, expected: Outcome) {
        let mut victim = Victim::new();
        let mut world = victim.honest.clone();
        world.revision += 1;
        world.now = now() - SignedDuration::from_hours(hours);
        world.action = json!({ "do": "stay" });
        let renewable = self.renewable(&world);
        for role in &renewable {
            world.set(*role, "/expires", json!("2100-01-01T00:00:00Z"));
        }
        self.sign(&mut world, &renewable);
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

/// What comes of `goal` for a thief who has none of the root keys: the rule of the threat model.
fn outcome(thief: &Thief<'_>, goal: Goal) -> Outcome {
    let [timestamp, snapshot, director, targets] =
        [Key::TIMESTAMP, Key::SNAPSHOT, Key::DIRECTOR, Key::TARGETS].map(|key| thief.has(key));
    let release = Key::RELEASE.iter().filter(|key| thief.has(**key)).count() >= 2;
    // Targets name the keys of the director and of the channels; it takes snapshot and timestamp to
    // announce them.
    let names_keys = timestamp && snapshot && targets;
    let refused_above = match (timestamp, snapshot) {
        (false, _) => Some(NO_TIMESTAMP),
        (true, false) => Some(NO_SNAPSHOT),
        (true, true) => None,
    };
    match goal {
        Goal::Freeze { hours } => {
            let expires_after_days = [
                (1, timestamp, Refused("expired", "timestamp version")),
                (7, snapshot, Refused("expired", "snapshot version")),
                (365, targets, Refused("expired", "targets version")),
                (7, director || names_keys, Refused("expired", "plan version")),
            ];
            let mut expired = expires_after_days
                .into_iter()
                .filter(|(days, is_renewed, _)| hours > 24 * days && !is_renewed);
            expired.next().map_or(Succeeds, |(_, _, refused)| refused)
        }
        Goal::Steer if director || names_keys => Succeeds,
        Goal::BelowFloor if director || names_keys => FLOOR,
        Goal::Steer | Goal::BelowFloor => refused_above.filter(|_| targets).unwrap_or(NO_PLAN),
        Goal::Install => match refused_above {
            Some(refused) => refused,
            None if targets => Succeeds,
            None if !director => NO_PLAN,
            None if !release => NO_CHANNEL,
            None => Succeeds,
        },
    }
}

/// Lets a thief of each set of timestamp, snapshot, director and targets, and of so many release keys, try
/// to reach `goal`.
#[track_caller]
fn every_thief_tries(goal: Goal, release_keys: usize) {
    const SINGLE: [Key; 4] = [Key::TIMESTAMP, Key::SNAPSHOT, Key::DIRECTOR, Key::TARGETS];
    for set in 0..1 << SINGLE.len() {
        let single = SINGLE.into_iter().enumerate().filter(|(place, _)| set >> place & 1 == 1);
        let single: Vec<_> = single.map(|(_, key)| key).collect();
        let thief = Thief { stolen: &[&single, &Key::RELEASE[..release_keys]].concat() };
        thief.tries(goal, outcome(&thief, goal));
    }
}

// Release keys are of no use but for installing: elsewhere each thief has enough of them.

#[test]
fn freezing_beyond_a_day() {
    every_thief_tries(Goal::Freeze { hours: 25 }, 2);
}

#[test]
fn freezing_beyond_a_week() {
    every_thief_tries(Goal::Freeze { hours: 8 * 24 }, 2);
}

#[test]
fn freezing_beyond_a_year() {
    every_thief_tries(Goal::Freeze { hours: 366 * 24 }, 2);
}

#[test]
fn steering() {
    every_thief_tries(Goal::Steer, 2);
}

#[test]
fn going_below_the_floor() {
    every_thief_tries(Goal::BelowFloor, 2);
}

#[test]
fn installing_with_no_release_key() {
    every_thief_tries(Goal::Install, 0);
}

#[test]
fn installing_with_one_release_key_of_two() {
    every_thief_tries(Goal::Install, 1);
}

#[test]
fn installing_with_the_release_threshold() {
    every_thief_tries(Goal::Install, 2);
}

const GOALS: [Goal; 4] =
    [Goal::Freeze { hours: 366 * 24 }, Goal::Steer, Goal::Install, Goal::BelowFloor];

/// He signs a root with his own keys, and is refused whatever else he has.
#[test]
fn one_root_key_of_two() {
    for others in [&[][..], &[Key::TARGETS], &Key::ONLINE] {
        let thief = Thief { stolen: &[&Key::ROOT[..1], others].concat() };
        for goal in GOALS {
            thief.tries(goal, NO_ROOT);
        }
    }
}

#[test]
fn the_root_threshold() {
    let thief = Thief { stolen: &Key::ROOT[..2] };
    for (goal, expected) in GOALS.into_iter().zip([Succeeds, Succeeds, Succeeds, FLOOR]) {
        thief.tries(goal, expected);
    }
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
