//! Documents that ought not to be documents: ambiguous, out of range, or leading elsewhere. Each is
//! signed by those who may sign it, so that nothing but its form is against it.

use serde_json::{Value, json};

use super::{
    keys::Key,
    victim::Victim,
    world::{Role, World},
};

/// Each attack on a machine of its own.
#[track_caller]
fn is_refused(rule: &str, says: &[&str], forge: impl FnOnce(&mut World)) {
    let mut victim = Victim::new();
    victim.attack(forge);
    victim.refuses(rule, says);
}

#[test]
fn a_member_that_stands_twice() {
    for role in Role::ALL {
        is_refused("form", &[role.name(), "`version` stands twice"], |world| {
            world.rewrite(role, |text| {
                text.replacen("\"version\":", "\"version\":1,\"version\":", 1)
            });
        });
    }
}

#[test]
fn versions_below_the_first_and_fractions() {
    for role in Role::ALL {
        for version in [json!(-1), json!(1.5), json!("7"), json!(null), json!([7])] {
            let forge = |world: &mut World| world.set(role, "/version", version);
            is_refused("form", &[role.name()], forge);
        }
    }
}

#[test]
fn version_zero() {
    for role in Role::ALL {
        let rule = if role == Role::Plan { "rollback" } else { "form" };
        is_refused(rule, &[role.name(), "version 0"], |world| {
            world.set(role, "/version", json!(0));
        });
    }
}

#[test]
fn versions_beyond_64_bits() {
    for role in Role::ALL {
        is_refused("form", &[role.name(), "floating point"], |world| {
            world.rewrite(role, |text| {
                let (before, after) = text.rsplit_once("\"version\":").unwrap();
                let after = after.trim_start_matches(|it: char| it.is_ascii_digit() || it == '"');
                format!("{before}\"version\":18446744073709551616{after}")
            });
        });
    }
}

#[test]
fn thresholds_below_one() {
    let of_root = ["root", "timestamp", "snapshot", "targets"];
    for threshold in [json!(0), json!(-1)] {
        for role in of_root {
            let value = threshold.clone();
            is_refused("form", &["root", "version 2"], |world| {
                world.edit(Role::Root, move |root| {
                    root["roles"][role]["threshold"] = value.clone();
                });
            });
        }
        // Four channels, and the director.
        for index in 0..5 {
            let value = threshold.clone();
            is_refused("form", &["targets", "version 7"], |world| {
                world.edit(Role::Targets, move |targets| {
                    targets["delegations"]["roles"][index]["threshold"] = value.clone();
                });
            });
        }
    }
}

fn listed_twice(role: &mut Value) {
    let again = role["keyids"][0].clone();
    role["keyids"].as_array_mut().unwrap().push(again);
}

#[test]
fn a_key_that_is_listed_twice_in_a_role() {
    is_refused("form", &["root", "version 2", "stands twice"], |world| {
        world.edit(Role::Root, |root| listed_twice(&mut root["roles"]["root"]));
    });
    is_refused("form", &["targets", "version 7", "stands twice"], |world| {
        world.edit(Role::Targets, |targets| {
            listed_twice(&mut targets["delegations"]["roles"][0]);
        });
    });
}

/// One of the two release keys that must sign has; its signature stands there twice.
#[test]
fn a_signature_that_stands_twice() {
    is_refused("form", &["bugfix", "signed twice"], |world| {
        world.sign_with(Role::Channel, &Key::RELEASE[..1]);
        world.rewrite(Role::Channel, |text| {
            let mut document: Value = serde_json::from_str(&text).unwrap();
            let again = document["signatures"][0].clone();
            document["signatures"].as_array_mut().unwrap().push(again);
            document.to_string()
        });
    });
}

/// The same, under a second name that the targets give the key.
#[test]
fn one_key_under_two_names() {
    is_refused("threshold", &["bugfix", "version 7"], |world| {
        world.edit(Role::Targets, |targets| {
            let delegations = &mut targets["delegations"];
            delegations["keys"]["a11a5"] = json!(Key::RELEASE[0].public());
            for role in delegations["roles"].as_array_mut().unwrap() {
                role["keyids"].as_array_mut().unwrap().push(json!("a11a5"));
            }
        });
        world.sign_with(Role::Channel, &Key::RELEASE[..1]);
        world.rewrite(Role::Channel, |text| {
            let mut document: Value = serde_json::from_str(&text).unwrap();
            let mut again = document["signatures"][0].clone();
            again["keyid"] = json!("a11a5");
            document["signatures"].as_array_mut().unwrap().push(again);
            document.to_string()
        });
    });
}

/// Paths that a plan must not lead to, wherever it says them.
const OUTSIDE: [&str; 6] = [
    "../../../../etc/passwd",
    "/etc/passwd",
    "bugfix/../../../.mainstay/journal",
    "bugfix\\..\\..\\x",
    ".mainstay/token",
    "bugfix/1.0.1/\u{0}",
];

#[test]
fn a_target_path_that_leads_outside() {
    for path in OUTSIDE {
        for file in ["/action/target/manifest/path", "/action/target/artifact/path"] {
            is_refused("form", &["plan", "version 7", "target path"], |world| {
                world.set(Role::Plan, file, json!(path));
            });
        }
    }
}

#[test]
fn a_channel_name_or_version_that_leads_outside() {
    for member in ["/action/target/channel", "/action/target/version"] {
        is_refused("form", &["plan", "version 7"], |world| {
            world.set(Role::Plan, member, json!("../../../outside"));
        });
    }
}

/// Nobody asks for such targets and roles, and so nothing comes of them: the honest update that
/// travels with them is installed, and they leave no trace.
#[test]
fn role_names_and_targets_that_lead_outside_are_passed_over() {
    let victim = Victim::new();
    let mut world = victim.next();
    world.edit(Role::Channel, |channel| {
        for path in OUTSIDE {
            channel["targets"][path] = channel["targets"]["bugfix/1.0.1/release.json"].clone();
        }
    });
    world.edit(Role::Targets, |targets| {
        let roles = targets["delegations"]["roles"].as_array_mut().unwrap();
        for (index, name) in OUTSIDE.into_iter().enumerate() {
            let mut role = roles[index % 4].clone();
            role["name"] = json!(name);
            roles.push(role);
        }
    });
    world.edit(Role::Snapshot, |snapshot| {
        for name in OUTSIDE {
            snapshot["meta"][format!("{name}.json")] = snapshot["meta"]["bugfix.json"].clone();
        }
    });
    let mut edition = world.edition();
    for name in OUTSIDE {
        let channel = edition.metadata["bugfix.json"].clone();
        edition.metadata.insert(format!("{name}.json"), channel);
    }
    victim.server.serve(edition);
    victim.machine.agent(&["update"]).succeeds();
    assert_eq!(victim.machine.running().as_deref(), Some("1.0.1"));
    let mut channels: Vec<_> = std::fs::read_dir(victim.trust_dir().join("channels"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    channels.sort();
    assert_eq!(channels, ["bugfix.json", "feature.json", "major.json", "security.json"]);
    victim.assert_nothing_beside();
}
