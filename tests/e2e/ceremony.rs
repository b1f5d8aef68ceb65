//! The vendor's people, each with a computer of their own.

use std::{fs, io::Write as _, path::PathBuf, process::Command};

use rustix::{
    fs::{Mode, OFlags},
    pty::{self, OpenptFlags},
};

use crate::harness::{PRODUCT, Ran, Server};

/// Somebody with a directory of keys and, mostly, no network.
pub(crate) struct Signer<'a> {
    server: &'a Server,
    pub(crate) name: &'static str,
}

impl<'a> Signer<'a> {
    /// Somebody who makes a key called `name`.
    pub(crate) fn new(server: &'a Server, name: &'static str) -> Self {
        let signer = Self { server, name };
        signer.offline(&["keys", "generate", "--no-passphrase", name]).succeeds();
        signer
    }

    fn keys(&self) -> PathBuf {
        self.server.path(&format!("at-{}", self.name))
    }

    /// The public half of the key, as a file to hand on.
    pub(crate) fn public(&self) -> String {
        self.keys().join(format!("{}.pub", self.name)).display().to_string()
    }

    /// A command on this computer that reaches no server.
    pub(crate) fn offline_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.server.command(arguments);
        command
            .env("MAINSTAY_KEYS", self.keys())
            .env("MAINSTAY_SERVER", "http://127.0.0.1:1")
            .env_remove("MAINSTAY_TOKEN_FILE");
        command
    }

    /// Runs a command on this computer that reaches no server.
    pub(crate) fn offline(&self, arguments: &[&str]) -> Ran {
        Ran::run(&mut self.offline_command(arguments))
    }

    /// Runs a command on this computer at a terminal, where `typed` is typed.
    pub(crate) fn at_terminal(&self, arguments: &[&str], typed: &str) -> Ran {
        let terminal = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        pty::grantpt(&terminal).unwrap();
        pty::unlockpt(&terminal).unwrap();
        let name = pty::ptsname(&terminal, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let keyboard = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        // It waits in the terminal until it is read.
        let mut terminal = fs::File::from(terminal);
        terminal.write_all(typed.as_bytes()).unwrap();
        Ran::run(self.offline_command(arguments).stdin(keyboard))
    }

    /// Signs the proposal `file` with the key that is here.
    pub(crate) fn sign(&self, file: &str, more: &[&str]) -> Ran {
        self.offline(&[&["trust", "sign", file, "--yes", "--key", self.name], more].concat())
    }
}

impl Server {
    /// Proposes a change of [`PRODUCT`] into the file `out`.
    pub(crate) fn propose(&self, out: &str, change: &[&str]) -> Ran {
        let command = ["trust", "propose", "--product", PRODUCT, "--out", out];
        self.mainstay(&[&command, change].concat())
    }

    /// Changes what machines trust: proposed, signed by `keys` of the vendor's own, submitted.
    pub(crate) fn change_trust(&self, change: &[&str], keys: &[&str]) {
        self.propose("change.json", change).succeeds();
        let mut sign = vec!["trust", "sign", "change.json", "--yes"];
        sign.extend(keys.iter().flat_map(|key| ["--key", key]));
        self.mainstay(&sign).succeeds();
        self.mainstay(&["trust", "submit", "change.json"]).succeeds();
    }

    /// Makes unencrypted keys of the vendor's.
    pub(crate) fn make_keys(&self, names: &[&str]) {
        self.mainstay(&[&["keys", "generate", "--no-passphrase"], names].concat()).succeeds();
    }

    /// The digest of the product's first root, as it was told to everybody when it was made.
    pub(crate) fn first_root_sha256(&self) -> String {
        let first = &self.publishing_state().metadata["1.root.json"];
        mainstay_client::format::Digest::of(first.as_bytes()).to_string()
    }

    /// Copies a proposal, as an e-mail does.
    pub(crate) fn send(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
    }
}
