//! Software that is not the vendor's, or not for this machine, and archives that do harm.

use mainstay_client::{
    format::{Digest, Platform, ReleaseManifest, TargetFile},
    pack,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    keys::Key,
    victim::{TRUST, Victim, now, release, tree},
    world::{Release, Role, World},
};
use crate::{by_hand::Packed, harness::write};

/// Each attack on a machine of its own. The plan is the director's, and is kept; what it says is not
/// done.
#[track_caller]
fn is_not_installed(rule: &str, says: &[&str], forge: impl FnOnce(&mut World)) {
    let mut victim = Victim::new();
    let mut world = victim.honest.clone();
    forge(&mut world);
    victim.server.serve(world.edition());
    victim.fails(TRUST, rule, says);
    victim.recovers();
}

/// A platform that this machine is not.
fn other_platform() -> Platform {
    let other = ["linux-x86_64", "linux-aarch64"].map(|name| name.parse().unwrap());
    other.into_iter().find(|platform| *platform != Platform::of_this_program()).unwrap()
}

#[test]
fn a_release_that_nobody_signed() {
    let says = ["bugfix version 6", "plan version 7", "names bugfix/1.0.1/release.json"];
    is_not_installed("not_listed", &says, |world| {
        world.publish(release("1.0.1"));
        world.edit(Role::Channel, |channel| channel["targets"] = json!({}));
        world.set(Role::Channel, "/version", json!(6));
    });
}

#[test]
fn a_release_that_somebody_else_signed() {
    for signers in [&[][..], &[Key::STRANGER], &Key::ONLINE, &[Key::TARGETS], &Key::RELEASE[..1]] {
        let mut victim = Victim::new();
        victim.attack(|world| world.sign_with(Role::Channel, signers));
        victim.refuses("threshold", &["bugfix version 7", "expected at least 2"]);
    }
}

#[test]
fn a_plan_that_names_other_bytes_than_the_vendor_signed() {
    for file in ["manifest", "artifact"] {
        for (member, other) in [("length", json!(17)), ("sha256", json!(Digest::of(b"evil")))] {
            let says = ["bugfix version 7", "plan version 7", "bugfix/1.0.1/"];
            is_not_installed("digest", &says, |world| {
                world.publish(release("1.0.1"));
                world.action["target"][file][member] = other;
            });
        }
    }
}

/// The server cannot have something else installed along with, before, or in place of what it may:
/// a plan names one release, whose manifest names the one artifact that its channel lists.
#[test]
fn extraneous_dependencies() {
    // A second release in the plan, and one that the first is said to need.
    for member in ["requires", "targets", "before"] {
        let mut victim = Victim::new();
        victim.attack(|world| {
            world.action[member] = json!([release("1.0.5").target()]);
            world.action["target"][member] = json!([release("1.0.5").target()]);
        });
        victim.machine.agent(&["update"]).succeeds();
        let versions = std::fs::read_dir(victim.machine.root().join("versions")).unwrap();
        let mut versions: Vec<_> = versions.map(|entry| entry.unwrap().file_name()).collect();
        versions.sort();
        assert_eq!(versions, ["1.0.0", "1.0.1"], "nothing but what the plan's target is");
        victim.recovers();
    }
    // An artifact that the manifest names and the channel does not list.
    let says = ["release manifest of 1.0.1", "its artifact has SHA-256"];
    is_not_installed("manifest", &says, |world| {
        let target = release("1.0.1").target();
        let other = Packed::tree(tree("6.6.6").path()).artifact;
        let names_another = |manifest: &mut ReleaseManifest| {
            manifest.artifacts.insert(Platform::of_this_program(), other);
        };
        publish_as(world, &release("1.0.1").with(names_another), &target);
    });
}

#[test]
fn another_platforms_artifact() {
    let platform = other_platform();
    let says = ["names", "plan version 7", platform.as_str()];
    is_not_installed("path", &says, |world| {
        world.publish(release("1.0.1"));
        let path = format!("bugfix/1.0.1/{platform}.tar.zst");
        world.action["target"]["artifact"]["path"] = json!(path);
    });
    // In the place of this one's, and the vendor's release says what it is.
    let says = ["not what the one takes it for", "plan version 7", "bugfix version 7"];
    is_not_installed("not_listed", &says, |world| {
        world.publish(release("1.0.1"));
        world.edit(Role::Channel, |channel| {
            for entry in channel["targets"].as_object_mut().unwrap().values_mut() {
                if entry["custom"]["kind"] == "artifact" {
                    entry["custom"]["platform"] = json!(other_platform());
                }
            }
        });
    });
    let says = ["release manifest of 1.0.1", "has no artifact for"];
    is_not_installed("manifest", &says, |world| {
        let target = release("1.0.1").target();
        let is_for_another = |manifest: &mut ReleaseManifest| {
            let artifact = manifest.artifacts.remove(&Platform::of_this_program()).unwrap();
            manifest.artifacts.insert(other_platform(), artifact);
        };
        publish_as(world, &release("1.0.1").with(is_for_another), &target);
    });
}

/// Publishes a release as `target`, which its manifest is not.
fn publish_as(world: &mut World, release: &Release, target: &Value) {
    let manifest = release.manifest_bytes.clone();
    let mut target = target.clone();
    target["manifest"]["length"] = json!(manifest.len());
    target["manifest"]["sha256"] = json!(Digest::of(&manifest));
    world.files.insert(served(&target["manifest"]), manifest);
    world.files.insert(served(&target["artifact"]), release.artifact_bytes.clone());
    world.action = json!({ "do": "update", "target": target });
    world.revision += 1;
    world.edit(Role::Channel, move |channel| {
        let version = &target["version"];
        let platform = Platform::of_this_program();
        for (file, custom) in [
            ("manifest", json!({ "kind": "release", "version": version })),
            ("artifact", json!({ "kind": "artifact", "version": version, "platform": platform })),
        ] {
            let TargetFile { path, length, sha256 } =
                serde_json::from_value(target[file].clone()).unwrap();
            channel["targets"][path.as_str()] = json!({
                "length": length,
                "hashes": { "sha256": sha256 },
                "custom": custom,
            });
        }
    });
}

/// Where the repository serves a file that a plan names.
fn served(file: &Value) -> String {
    let TargetFile { path, sha256, .. } = serde_json::from_value(file.clone()).unwrap();
    format!("targets/{}", path.consistent(&sha256))
}

/// The vendor signs several products with the same keys. What is signed for one of them is in the
/// other's form, down to the paths.
#[test]
fn another_products_release() {
    let says = ["release manifest of 1.0.1", "it describes acme-web 1.0.1"];
    is_not_installed("manifest", &says, |world| {
        let other = |manifest: &mut ReleaseManifest| manifest.product = "acme-web".parse().unwrap();
        world.publish(release("1.0.1").with(other));
    });
}

#[test]
fn another_versions_release() {
    let says = ["release manifest of 1.0.1", "it describes acme-db 1.0.5"];
    is_not_installed("manifest", &says, |world| {
        let target = release("1.0.1").target();
        let other = |manifest: &mut ReleaseManifest| manifest.version = "1.0.5".parse().unwrap();
        publish_as(world, &release("1.0.1").with(other), &target);
    });
}

#[test]
fn a_release_that_leads_downwards() {
    let mut victim = Victim::new().updated_to(release("1.0.1"));
    let mut world = victim.honest.clone();
    let target = world.releases[0].target();
    world.action = json!({ "do": "update", "target": target });
    world.revision += 1;
    victim.server.serve(world.edition());
    let says = ["updates to 1.0.0 while 1.0.1 runs", "plan version 8"];
    victim.fails(TRUST, "direction", &says);
    victim.recovers();
}

/// An artifact of which the manifest says that it becomes so many bytes, and that becomes more.
#[test]
fn a_decompression_bomb() {
    let bomb = || Packed::payload(&vec![0; 64 << 20], None);
    assert!(bomb().bytes.len() < 64 << 10, "it is small as long as nobody opens it");
    let says = ["1.0.1", "the payload goes on after the 1000 bytes that were signed"];
    is_not_installed("payload", &says, |world| {
        let mut packed = bomb();
        packed.artifact.payload_length = 1000;
        world.publish(Release::new("1.0.1", packed, now()));
    });
    // One that needs more memory than it says.
    let says = ["1.0.1", "cannot decompress the artifact in a window of 2^10 bytes"];
    is_not_installed("payload", &says, |world| {
        let mut packed = bomb();
        packed.artifact.window_log = 10;
        world.publish(Release::new("1.0.1", packed, now()));
    });
    // And one that asks for more memory, or space, than any release may.
    for (says, change) in [
        ("window_log is 31: expected at most 27", (31, 1000)),
        ("payload is 274877906945 bytes: expected at most 274877906944", (20, (256 << 30) + 1)),
    ] {
        is_not_installed("manifest", &["release manifest of 1.0.1", says], |world| {
            let mut packed = bomb();
            (packed.artifact.window_log, packed.artifact.payload_length) = change;
            world.publish(Release::new("1.0.1", packed, now()));
        });
    }
}

/// A payload in which the entry `from` is called `to` instead.
fn renamed(tree: &TempDir, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let limits = pack::Limits::default();
    let (mut payload, _) = pack::pack_tree(tree.path(), Vec::new(), &limits, &mut |_| ()).unwrap();
    let header = payload.chunks_exact_mut(512).find(|block| {
        let mut fields = [&block[..from.len()], &block[157..157 + from.len()]].into_iter();
        fields.any(|field| field == from.as_bytes())
    });
    let header = header.unwrap();
    let at = if header.starts_with(from.as_bytes()) { 0 } else { 157 };
    header[at..at + to.len()].copy_from_slice(to.as_bytes());
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    payload
}

#[test]
fn an_archive_entry_that_leads_outside() {
    for outside in ["../escape", "/tmp/esca", "a/../../e", ".mainstay", "bin\\..\\.."] {
        let says = ["1.0.1", "the archive's header at byte"];
        is_not_installed("payload", &says, |world| {
            let tree = tree("1.0.1");
            write(&tree.path().join("an-escape"), 0o644, "");
            let payload = renamed(&tree, "an-escape", outside);
            world.publish(Release::new("1.0.1", Packed::payload(&payload, None), now()));
        });
    }
}

#[test]
fn a_link_in_an_archive_that_leads_outside() {
    for outside in ["/etc/passwd", "../../../..", "bin/../../x"] {
        let says = ["1.0.1", "the archive's symbolic link"];
        is_not_installed("payload", &says, |world| {
            let tree = tree("1.0.1");
            std::os::unix::fs::symlink("inside-here", tree.path().join("a-link")).unwrap();
            let payload = renamed(&tree, "inside-here", outside);
            world.publish(Release::new("1.0.1", Packed::payload(&payload, None), now()));
        });
    }
}
