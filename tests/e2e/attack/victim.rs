//! A machine that is attacked, and what must hold of it afterwards.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    server::HostileServer,
    world::{Edition, Release, Role, World},
};
use crate::{
    by_hand::Packed,
    fleet::{contents, enroll},
    harness::{Machine, write},
};

type Contents = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// The exit code of the agent where a document or an order broke a rule.
pub(crate) const TRUST: i32 = 34;
/// The exit code where the server could not be reached, or brought nothing.
pub(crate) const NETWORK: i32 = 32;
/// The exit code where the server's answer makes no sense.
pub(crate) const SERVER: i32 = 33;

/// In which order the document in the file at `path` of the trust directory is trusted; nothing
/// where there is no such document.
fn rank(path: &Path) -> Option<usize> {
    let name = path.file_stem()?.to_str()?;
    match path.parent()?.to_str()? {
        "" if name == "root-seen" => Some(10 * Role::Root as usize),
        "" if name == "channels" => Some(10 * Role::Channel as usize - 5),
        "" => Role::ALL.into_iter().find(|role| role.name() == name).map(|role| 10 * role as usize),
        "channels" if name == Role::Channel.name() => Some(10 * Role::Channel as usize),
        "channels" => Some(10 * Role::Channel as usize - 5),
        _ => None,
    }
}

/// A release that works.
pub(crate) fn release(version: &str) -> Release {
    Release::new(version, Packed::tree(tree(version).path()), now())
}

/// The tree of a release that works.
pub(crate) fn tree(version: &str) -> TempDir {
    let tree = TempDir::new().unwrap();
    write(&tree.path().join("VERSION"), 0o644, version);
    let program = "#!/bin/sh\ncat \"$(dirname \"$0\")/../VERSION\"\n";
    write(&tree.path().join("bin/run"), 0o755, program);
    tree
}

/// The time, as the machine under test sees it too, to the second.
pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the agent under test has no other clock")]
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap()
}

/// A machine that runs 1.0.0, its server, and what the vendor and that server sign as long as
/// nobody meddles with it.
pub(crate) struct Victim {
    pub(crate) machine: Machine,
    pub(crate) server: HostileServer,
    pub(crate) honest: World,
    tree: Contents,
    trust: Contents,
}

impl Victim {
    /// Enrols the machine and has it install 1.0.0.
    pub(crate) fn new() -> Self {
        let mut honest = World::new(now());
        honest.publish(release("1.0.0"));
        let server = HostileServer::start();
        server.serve(honest.edition());
        let machine = Machine::bare();
        enroll(&machine, server.url(), "mak_test", &[]).succeeds();
        machine.agent(&["update"]).succeeds();
        let mut victim =
            Self { machine, server, honest, tree: Contents::new(), trust: Contents::new() };
        victim.remember();
        victim
    }

    /// One that has gone on to `version`, where that is how the attack begins.
    pub(crate) fn updated_to(mut self, release: Release) -> Self {
        self.honest.publish(release);
        self.server.serve(self.honest.edition());
        self.machine.agent(&["update"]).succeeds();
        self.remember();
        self
    }

    /// What is running, and trusted, now is what must be left after the attack.
    pub(crate) fn remember(&mut self) {
        self.tree = contents(&self.machine.root().join("current/"));
        self.trust = self.trusted();
    }

    /// Where the machine keeps the metadata that it trusts.
    pub(crate) fn trust_dir(&self) -> PathBuf {
        self.machine.root().join(".mainstay/trust")
    }

    fn trusted(&self) -> Contents {
        if self.trust_dir().exists() { contents(&self.trust_dir()) } else { Contents::new() }
    }

    /// The honest world after 1.0.1 was published: what an attack changes.
    pub(crate) fn next(&self) -> World {
        let mut world = self.honest.clone();
        world.publish(release("1.0.1"));
        world
    }

    /// Serves 1.0.1, changed by `forge`.
    pub(crate) fn attack(&self, forge: impl FnOnce(&mut World)) {
        let mut world = self.next();
        forge(&mut world);
        self.server.serve(world.edition());
    }

    /// Serves 1.0.1 as it was signed, but for what `tamper` does to it on the way.
    pub(crate) fn tamper(&self, tamper: impl FnOnce(&mut Edition)) {
        let mut edition = self.next().edition();
        tamper(&mut edition);
        self.server.serve(edition);
    }

    /// The attack is noticed: the agent says which rule was broken, by which document and at which
    /// version (each of `says` is in the message); nothing of the machine has changed; and the
    /// next honest answer is taken.
    #[track_caller]
    pub(crate) fn refuses(&mut self, rule: &str, says: &[&str]) {
        self.fails(TRUST, rule, says);
        self.recovers();
    }

    /// Like [`Victim::refuses`], for whatever exit code, and without the recovery.
    #[track_caller]
    pub(crate) fn fails(&self, exit: i32, code: &str, says: &[&str]) -> Value {
        self.fails_with(&["update"], exit, code, says)
    }

    /// Like [`Victim::fails`], for another command.
    #[track_caller]
    pub(crate) fn fails_with(
        &self,
        arguments: &[&str],
        exit: i32,
        code: &str,
        says: &[&str],
    ) -> Value {
        let (found, document) = self.machine.agent_json(arguments);
        self.assert_failed(found, &document, exit, code, says);
        document
    }

    /// Like [`Victim::fails`], while the machine's clock is wrong by `offset`.
    #[track_caller]
    pub(crate) fn fails_at(&self, offset: &str, exit: i32, code: &str, says: &[&str]) {
        let (found, document) = self.machine.agent_json_at(offset, &["update"]);
        self.assert_failed(found, &document, exit, code, says);
    }

    #[track_caller]
    fn assert_failed(&self, found: i32, document: &Value, exit: i32, code: &str, says: &[&str]) {
        assert_eq!((found, document["code"].as_str()), (exit, Some(code)), "{document:#}");
        assert_eq!(document["outcome"], "error");
        let message = document["message"].as_str().unwrap();
        for part in says {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        self.assert_intact(message);
    }

    /// What ran runs, byte for byte, and no document is trusted that was not: but for those above
    /// the one that was refused by `message`, which whoever holds their keys may have renewed.
    /// Where it is no document that was refused but what a plan wants, all that is signed is kept.
    #[track_caller]
    fn assert_intact(&self, message: &str) {
        let tree = contents(&self.machine.root().join("current/"));
        assert!(tree == self.tree, "what runs has changed");
        let refused = message.split(' ').next().filter(|_| message.contains(" is refused ("));
        let refused = Role::ALL.into_iter().find(|role| Some(role.name()) == refused);
        let limit = match refused {
            // One is trusted before it is looked at whether it has expired, or is an older one than
            // was seen: another may follow it.
            Some(Role::Root) if message.contains("(expired)") || message.contains("(rollback)") => {
                1
            }
            Some(role) => 10 * role as usize,
            None => usize::MAX,
        };
        let found = self.trusted();
        for path in self.trust.keys() {
            assert!(found.contains_key(path), "{} is gone", path.display());
        }
        for (path, now) in &found {
            if self.trust.get(path) == Some(now) {
                continue;
            }
            // That a plan was refused is noted beside it.
            let is_note = refused.is_none() && path == Path::new("refused-plan");
            assert!(
                is_note || rank(path).is_some_and(|rank| rank < limit),
                "{} has changed: {}",
                path.display(),
                String::from_utf8_lossy(&now.1)
            );
        }
        self.assert_nothing_beside();
    }

    /// The honest server is back: the vendor has published 1.0.9, and signed it beyond whatever
    /// the attack left on the machine.
    #[track_caller]
    pub(crate) fn recovers(&mut self) {
        self.recovers_with("1.0.9");
    }

    /// Like [`Victim::recovers`], with another release.
    #[track_caller]
    pub(crate) fn recovers_with(&mut self, version: &str) {
        self.honest.now = now();
        self.honest.revision += 2000;
        self.honest.publish(release(version));
        self.server.serve(self.honest.edition());
        self.machine.agent(&["update"]).succeeds();
        assert_eq!(self.machine.running().as_deref(), Some(version));
    }

    /// Beside the installation nothing has been written.
    #[track_caller]
    pub(crate) fn assert_nothing_beside(&self) {
        let root = self.machine.root();
        let beside = std::fs::read_dir(root.parent().unwrap()).unwrap();
        let names: Vec<_> = beside.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [root.file_name().unwrap()]);
    }
}
