//! A quota of which the file system does not tell: it ends a download or an unpacking, and nothing else.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    disk::{Mounted, may},
    fleet::{assert_runs, customer, enroll},
    harness::{Machine, Ran, Server},
    proxy::Proxy,
    service::Service,
    space::{MIB, assert_nothing_half_written, look_again, publish_large},
};

/// A file system of which less may be used than there is. What it says is free does not tell.
struct Quota(Mounted);

impl Quota {
    /// How large it is.
    const BYTES: u64 = 256 << 20;

    /// Mounts one at `path`. Nothing where that is not permitted, as of [`Mounted::at`].
    fn at(path: &Path) -> Option<Self> {
        let (image, whole) = (path.with_extension("image"), path.with_extension("whole"));
        fs::File::create(&image).unwrap().set_len(Self::BYTES).unwrap();
        fs::create_dir_all(&whole).unwrap();
        fs::create_dir_all(path).unwrap();
        may(Command::new("mkfs.btrfs").arg("-q").arg(&image))?;
        may(Command::new("mount").args(["-t", "btrfs", "-o", "loop"]).args([&image, &whole]))?;
        let volume = Mounted::already(&whole);
        may(Command::new("btrfs").args(["quota", "enable"]).arg(volume.path()))?;
        let part = volume.path().join("part");
        may(Command::new("btrfs").args(["subvolume", "create"]).arg(&part))?;
        may(Command::new("mount").arg("--bind").args([&part, path]))?;
        let quota = Self(Mounted::already(path));
        drop(volume);
        Some(quota)
    }

    /// Lets so many bytes be used.
    fn limit(&self, bytes: u64) {
        let bytes = bytes.to_string();
        Ran::run(Command::new("sync").arg("-f").arg(self.0.path())).succeeds();
        Ran::run(Command::new("btrfs").args(["qgroup", "limit", &bytes]).arg(self.0.path()))
            .succeeds();
    }
}

/// A machine on a file system with a quota behind a proxy, and 1.0.1 of 6 MiB to be had.
fn within_a_quota() -> Option<(Server, Proxy, Machine, Quota)> {
    let machine = Machine::bare();
    let quota = Quota::at(machine.root())?;
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let proxy = Proxy::to(server.url());
    enroll(&machine, proxy.url(), &customer(&server, "standard"), &[]).succeeds();
    machine.agent(&["update"]).succeeds();
    publish_large(&server, "1.0.1", "bugfix", 6 * MIB);
    Some((server, proxy, machine, quota))
}

#[track_caller]
fn says_quota(document: &Value, root: &Path) {
    assert_eq!((&document["code"], &document["kind"]), (&json!("space"), &json!("local")));
    let message = document["message"].as_str().unwrap();
    let expected = format!("the quota is used up on the file system at `{}`", root.display());
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn a_quota_that_ends_a_download_or_an_unpacking_leaves_what_runs() {
    let Some((server, proxy, machine, quota)) = within_a_quota() else { return };
    let cached = || fs::read_dir(machine.root().join(".mainstay/cache")).unwrap().count();
    // What has arrived is given up when there is no room for the rest.
    quota.limit(4 * MIB);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!(exit, 35, "{update}");
    says_quota(&update, machine.root());
    assert_eq!(cached(), 0);
    assert_runs(&server, &machine, "1.0.0");

    // What is whole stays, and need not be fetched again.
    quota.limit(10 * MIB);
    machine.agent(&["fetch"]).succeeds();
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!(exit, 35, "{update}");
    says_quota(&update, machine.root());
    assert_eq!(cached(), 1);
    assert_nothing_half_written(&machine);
    assert_runs(&server, &machine, "1.0.0");
    let status = machine.agent(&["status"]).succeeds().stdout();
    assert!(status.contains(", space: the quota is used up"), "{status}");

    let fetches = proxy.fetches().len();
    quota.limit(64 * MIB);
    machine.agent(&["update"]).succeeds();
    assert_eq!(proxy.fetches().len(), fetches);
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn the_service_says_once_that_the_quota_is_used_up() {
    let Some((server, _proxy, machine, quota)) = within_a_quota() else { return };
    quota.limit(4 * MIB);
    let mut service = Service::of(&machine);
    says_quota(&service.tells("error"), machine.root());
    look_again(&service, &machine);
    look_again(&service, &machine);
    assert_eq!(machine.running().as_deref(), Some("1.0.0"));
    quota.limit(64 * MIB);
    service.wake();
    assert_eq!(service.tells("committed")["version_to"], "1.0.1", "nothing was told in between");
    assert_runs(&server, &machine, "1.0.1");
    service.stop_whatever_it_tells();
}
