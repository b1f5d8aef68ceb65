//! Documents that were good once, or together with others: freeze, replay, rollback, mix-and-match
//! and fast-forward, and a clock that is moved.

use jiff::SignedDuration;
use serde_json::json;

use super::{
    keys::{Holders, Key},
    server::Reply,
    victim::{SERVER, TRUST, Victim, now, release},
    world::{Edition, Role, World},
};
use crate::fleet::enroll;

/// How the agent ends where there is nothing to do.
const UP_TO_DATE: i32 = 10;
/// How the doctor ends where something is still wrong.
const UNWELL: i32 = 19;
/// How the agent ends where something is wrong with the installation.
const LOCAL: i32 = 35;

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// A machine that runs 1.0.1 of revision 7, and everything of revision 6, which is older.
fn after_an_update() -> (Victim, Edition) {
    let victim = Victim::new();
    let old = victim.honest.edition();
    (victim.updated_to(release("1.0.1")), old)
}

#[test]
fn a_frozen_repository_is_noticed_when_a_document_of_it_expires() {
    // How long each is good for, from the shortest; the others are fresh.
    for (role, good_for) in [
        (Role::Timestamp, 1),
        (Role::Snapshot, 7),
        (Role::Plan, 7),
        (Role::Channel, 90),
        (Role::Targets, 365),
        (Role::Root, 365),
    ] {
        let mut victim = Victim::new();
        let then = now() - days(good_for) - SignedDuration::from_mins(1);
        let expired = then + days(good_for);
        victim.attack(|world| world.set(role, "/expires", json!(expired)));
        if role == Role::Root {
            victim.fails(TRUST, "expired", &["root", "expired at"]);
            victim.honest.rotate([]);
            victim.honest.rotate([]);
            victim.recovers();
        } else {
            victim.refuses("expired", &[&format!("{} version 7", role.name()), "expired at"]);
        }
    }
}

/// The server says nothing new for as long as it can: what the machine has expires all the same.
#[test]
fn a_server_that_withholds_everything_new_is_noticed_when_the_timestamp_expires() {
    let long_ago = |world: &mut World| world.now = now() - days(1) - SignedDuration::from_mins(1);
    let mut victim = Victim::new();
    victim.attack(long_ago);
    victim.refuses("expired", &["timestamp version 7", "expired at"]);
}

#[test]
fn an_older_plan() {
    let (mut victim, old) = after_an_update();
    let mut edition = victim.honest.edition();
    edition.plan = old.plan;
    victim.server.serve(edition);
    victim.refuses("rollback", &["plan version 6", "7 was seen already"]);
}

#[test]
fn another_machines_customers_or_products_plan() {
    for (member, other) in
        [("/machine", "m-0002"), ("/customer", "globex"), ("/product", "acme-web")]
    {
        let mut victim = Victim::new();
        victim.attack(|world| world.set(Role::Plan, member, json!(other)));
        victim.refuses("binding", &["plan version 7", other]);
    }
}

/// A vendor's keys sign for several products. What they signed for one does not do for another, and
/// neither does what names no product.
#[test]
fn another_products_documents() {
    for role in [Role::Root].into_iter().chain(Role::BELOW_ROOT).filter(|role| *role != Role::Plan)
    {
        for (other, says) in
            [(json!("acme-web"), "product acme-web"), (json!(null), "of which product")]
        {
            let mut victim = Victim::new();
            victim.attack(|world| world.set(role, "/x-mainstay-product", other));
            victim.refuses("binding", &[role.name(), says, "expected acme-db"]);
        }
    }
}

/// That there is nothing to do must be said by the director, to this machine, as well.
#[test]
fn an_empty_plan() {
    for (text, rule) in [("", "form"), ("{}", "form"), ("null", "form")] {
        let mut victim = Victim::new();
        victim.tamper(|edition| text.clone_into(&mut edition.plan));
        victim.refuses(rule, &["plan"]);
    }
    let mut victim = Victim::new();
    victim.attack(|world| {
        world.action = json!({ "do": "stay" });
        world.sign_with(Role::Plan, &[]);
    });
    victim.refuses("threshold", &["plan version 7"]);
    for answer in ["", "{}", "null", "{\"plan\":\"\"}", "[]", "<html>Please log in</html>"] {
        let mut victim = Victim::new();
        victim.server.answer("/v1/check", Reply::Whole(200, answer.into()));
        victim.fails(SERVER, "malformed_answer", &["/v1/check"]);
        victim.recovers();
    }
}

/// What was seen cannot be unseen by showing it again: each document by itself, byte for byte.
#[test]
fn an_older_document_among_newer_ones() {
    for role in Role::BELOW_ROOT {
        let (mut victim, old) = after_an_update();
        let mut world = victim.honest.clone();
        world.publish(release("1.0.2"));
        let mut edition = world.edition();
        let replayed = old.document(role).to_owned();
        let rule = match role {
            Role::Timestamp | Role::Plan => "rollback",
            _ if edition.document(role).len() == replayed.len() => "digest",
            _ => "length",
        };
        *edition.document_mut(role) = replayed;
        victim.server.serve(edition);
        let version = if rule == "rollback" { 6 } else { 8 };
        victim.refuses(rule, &[&format!("{} version {version}", role.name())]);
    }
}

/// The same where the thief can announce the older document: the keys above it are stolen.
#[test]
fn an_older_version_that_is_announced() {
    for (role, refused, says) in [
        (Role::Timestamp, "timestamp", "version 3"),
        (Role::Snapshot, "timestamp", "snapshot version 3"),
        (Role::Targets, "snapshot", "targets.json fell from version 6 to 3"),
        (Role::Channel, "snapshot", "bugfix.json fell from version 6 to 3"),
        (Role::Plan, "plan", "version 3"),
    ] {
        let mut victim = Victim::new();
        victim.attack(|world| world.set(role, "/version", json!(3)));
        victim.refuses("rollback", &[refused, says]);
    }
}

#[test]
fn a_root_that_is_no_successor() {
    for version in [1, 3, u64::MAX] {
        let mut victim = Victim::new();
        victim.attack(|world| world.set(Role::Root, "/version", json!(version)));
        victim.refuses("version", &["root", &format!("version {version}"), "after version 1"]);
    }
}

#[test]
fn a_channel_that_has_disappeared() {
    let mut victim = Victim::new();
    victim.attack(|world| {
        world.edit(Role::Snapshot, |snapshot| {
            snapshot["meta"].as_object_mut().unwrap().remove("security.json");
        });
    });
    victim.refuses("rollback", &["snapshot version 7", "security.json has disappeared"]);
}

/// Documents of two editions in one answer, where only versions are announced: TUF lets the lengths
/// and digests be left out.
#[test]
fn documents_that_were_never_together() {
    let announced_bare = |world: &mut World| {
        for role in [Role::Timestamp, Role::Snapshot] {
            world.edit(role, |document| {
                for entry in document["meta"].as_object_mut().unwrap().values_mut() {
                    let entry = entry.as_object_mut().unwrap();
                    entry.remove("length");
                    entry.remove("hashes");
                }
            });
        }
    };
    for role in [Role::Snapshot, Role::Targets, Role::Channel] {
        let mut victim = Victim::new();
        let mut world = victim.next();
        announced_bare(&mut world);
        let old = world.edition();
        world.publish(release("1.0.2"));
        let mut edition = world.edition();
        old.document(role).clone_into(edition.document_mut(role));
        victim.server.serve(edition);
        victim.refuses("version", &[role.name(), "version 7", "lists version 8"]);
    }
}

/// Somebody deletes what the machine knows of the repository and shows it an older one. What runs,
/// what failed and the floor are not kept there.
#[test]
fn deleting_what_is_trusted_does_not_lead_downwards() {
    let (mut victim, old) = after_an_update();
    std::fs::remove_dir_all(victim.trust_dir()).unwrap();
    victim.remember();
    victim.server.serve(old);
    victim.fails(TRUST, "direction", &["updates to 1.0.0", "plan version 6", "1.0.1 runs"]);
    victim.recovers();
}

/// The same with what was trusted gone and the order of a thief of the director's key: the floor of what
/// runs is not kept beside it.
#[test]
fn deleting_what_is_trusted_does_not_lead_below_the_floor() {
    let floored = release("1.0.2").with(|manifest| manifest.floor = "1.0.1".parse().ok());
    let mut victim = Victim::new().updated_to(floored);
    std::fs::remove_dir_all(victim.trust_dir()).unwrap();
    victim.remember();
    let mut world = victim.honest.clone();
    world.order_back("1.0.0", 1);
    victim.server.serve(world.edition());
    victim.fails(TRUST, "floor", &["expected at least the floor 1.0.1", "plan version"]);
    victim.recovers();
}

/// Where the journal is gone as well, nothing is done before signed documents prove what runs, and older
/// ones prove nothing of it.
#[test]
fn deleting_the_journal_does_not_lead_downwards() {
    let (mut victim, old) = after_an_update();
    std::fs::remove_dir_all(victim.trust_dir()).unwrap();
    std::fs::remove_file(victim.machine.root().join(".mainstay/journal")).unwrap();
    victim.remember();
    victim.server.serve(old.clone());
    victim.fails(LOCAL, "local", &["journal"]);
    let (exit, told) = victim.machine.agent_json(&["doctor", "--repair"]);
    assert_eq!(exit, UNWELL, "{told:#}");
    victim.fails(LOCAL, "local", &["journal"]);

    victim.server.serve(victim.honest.edition());
    victim.machine.agent(&["doctor", "--repair"]).succeeds();
    victim.remember();
    victim.server.serve(old);
    victim.fails(TRUST, "rollback", &["timestamp version 6", "7 is trusted already"]);
    victim.recovers();
}

/// The root is known again by the digest that was noted when the machine enrolled.
#[test]
fn deleting_the_root_does_not_let_another_one_in() {
    let mut victim = Victim::new();
    std::fs::remove_file(victim.trust_dir().join("root.json")).unwrap();
    victim.remember();
    victim.tamper(|edition| {
        let root = edition.files.get_mut("1.root.json").unwrap();
        root.push(b'\n');
    });
    victim.fails(TRUST, "digest", &["1.root.json"]);
    assert!(!victim.trust_dir().join("root.json").exists());
    victim.recovers();
}

/// The chain of roots is followed again where the newest is lost: a thief of keys that were replaced
/// could let it end before their successors.
#[test]
fn deleting_the_root_does_not_let_an_older_one_in() {
    let mut victim = Victim::new();
    let mut old = victim.honest.clone();
    victim.honest.rotate([
        (Role::Timestamp, Holders::only(Key::FRESH[0])),
        (Role::Snapshot, Holders::only(Key::FRESH[1])),
        (Role::Plan, Holders::only(Key::FRESH[2])),
    ]);
    let mut victim = victim.updated_to(release("1.0.1"));
    for lost in ["root.json", "timestamp.json", "snapshot.json", "plan.json"] {
        std::fs::remove_file(victim.trust_dir().join(lost)).unwrap();
    }
    victim.remember();
    old.revision += 100;
    old.publish(release("1.0.2"));
    victim.server.serve(old.edition());
    victim.fails(TRUST, "rollback", &["root version 1", "version 2 was trusted", "enrol again"]);
    victim.recovers();

    // It may be the vendor who has begun again: the machine's owner decides.
    std::fs::remove_file(victim.trust_dir().join("root.json")).unwrap();
    victim.remember();
    old.revision += 5000;
    old.publish(release("1.1.0"));
    victim.server.serve(old.edition());
    victim.fails(TRUST, "rollback", &["root version 1"]);
    enroll(&victim.machine, victim.server.url(), "mak_test", &[]).succeeds();
    victim.machine.agent(&["update"]).succeeds();
    assert_eq!(victim.machine.running().as_deref(), Some("1.1.0"));
}

/// A thief of online keys raises what the machine has seen as high as it goes, so that nothing
/// honest is new any more. New keys for these roles undo it.
#[test]
fn fast_forward_is_undone_by_new_keys() {
    let mut victim = Victim::new();
    victim.attack(|world| {
        world.action = json!({ "do": "stay" });
        for role in Role::BELOW_ROOT {
            world.set(role, "/version", json!(u64::MAX));
        }
    });
    assert_eq!(victim.machine.agent(&["update"]).code(), UP_TO_DATE);
    victim.remember();
    victim.honest.publish(release("1.0.2"));
    victim.server.serve(victim.honest.edition());
    victim.fails(TRUST, "rollback", &["timestamp"]);

    let fresh = [Role::Timestamp, Role::Snapshot, Role::Plan];
    victim.honest.rotate(fresh.into_iter().zip(Key::FRESH.map(Holders::only)));
    victim.recovers();
}

/// One new key is enough, for timestamp or for snapshot: the machine forgets both documents then, also
/// the one that the thief's key, or a key that he has not, still signs.
#[test]
fn fast_forward_is_undone_by_one_new_key() {
    for (role, fresh) in [(Role::Timestamp, Key::FRESH[0]), (Role::Snapshot, Key::FRESH[1])] {
        let mut victim = Victim::new();
        victim.attack(|world| {
            world.action = json!({ "do": "stay" });
            for raised in [Role::Timestamp, Role::Snapshot, Role::Targets, Role::Channel] {
                world.set(raised, "/version", json!(u64::MAX));
            }
        });
        assert_eq!(victim.machine.agent(&["update"]).code(), UP_TO_DATE);
        victim.remember();
        victim.honest.publish(release("1.0.2"));
        victim.server.serve(victim.honest.edition());
        victim.fails(TRUST, "rollback", &["timestamp"]);

        victim.honest.rotate([(role, Holders::only(fresh))]);
        victim.recovers();
    }
}

/// Only one of the versions is raised, by the one thief who can.
#[test]
fn a_fast_forwarded_plan_is_undone_by_a_new_director() {
    let mut victim = Victim::new();
    victim.attack(|world| {
        world.action = json!({ "do": "stay" });
        world.set(Role::Plan, "/version", json!(u64::MAX));
    });
    assert_eq!(victim.machine.agent(&["update"]).code(), UP_TO_DATE);
    victim.remember();
    victim.honest.revision += 1;
    victim.honest.publish(release("1.0.2"));
    victim.server.serve(victim.honest.edition());
    victim.fails(TRUST, "rollback", &["plan version 8"]);

    victim.honest.rotate([(Role::Plan, Holders::only(Key::FRESH[2]))]);
    victim.recovers();
}

/// The thief's order is the last that there can be, so that no technician's is ever new again.
#[test]
fn a_fast_forwarded_order_is_undone_by_a_new_director() {
    let (mut victim, _) = after_an_update();
    let mut world = victim.honest.clone();
    world.order_back("1.0.0", u64::MAX);
    victim.server.serve(world.edition());
    victim.machine.agent(&["update"]).succeeds();
    assert_eq!(victim.machine.running().as_deref(), Some("1.0.0"));

    victim.honest.rotate([(Role::Plan, Holders::only(Key::FRESH[2]))]);
    victim.recovers();
    victim.honest.order_back("1.0.0", 1);
    victim.server.serve(victim.honest.edition());
    victim.machine.agent(&["update"]).succeeds();
    assert_eq!(victim.machine.running().as_deref(), Some("1.0.0"));
}

/// A clock that is ahead finds everything expired: by a few days the timestamp, by more than a year
/// the root, above which nothing is looked at.
#[test]
fn a_clock_that_is_ahead_stops_updates_and_nothing_else() {
    for (offset, refused) in [("+2d", "timestamp version 7"), ("+366d", "root version 1")] {
        let mut victim = Victim::new();
        victim.server.serve(victim.next().edition());
        victim.fails_at(offset, TRUST, "expired", &[refused, "expired at", "it is"]);
        for (command, exit) in [("status", 0), ("verify", 0)] {
            assert_eq!(victim.machine.agent_json_at(offset, &[command]).0, exit, "{command}");
        }
        // With the right clock again, what was just refused is taken.
        victim.machine.agent(&["update"]).succeeds();
        assert_eq!(victim.machine.running().as_deref(), Some("1.0.1"));
        victim.recovers();
    }
}

/// And a clock that is behind takes what has expired for fresh, but nothing older than it has seen.
#[test]
fn a_clock_that_is_behind_does_not_bring_back_what_is_older() {
    const BEHIND: &str = "-366d";
    let (mut victim, old) = after_an_update();
    assert_eq!(victim.machine.agent_json_at(BEHIND, &["update"]).0, UP_TO_DATE);
    victim.remember();
    victim.server.serve(old);
    victim.fails_at(BEHIND, TRUST, "rollback", &["timestamp", "version 6"]);

    let mut world = victim.honest.clone();
    world.publish(release("1.0.2"));
    world.now = now() - days(30);
    victim.server.serve(world.edition());
    victim.fails(TRUST, "expired", &["timestamp"]);
    assert_eq!(victim.machine.agent_json_at(BEHIND, &["update"]).0, 0);
    assert_eq!(victim.machine.running().as_deref(), Some("1.0.2"));
    victim.recovers();
}
