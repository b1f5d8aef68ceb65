//! A server in a temporary directory, and commands against it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The product that the tests publish.
pub(crate) const PRODUCT: &str = "acme-db";

/// The platform that the agent under test runs on.
pub(crate) fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// A running `mainstay serve`, and the vendor's directory beside it.
pub(crate) struct Server {
    dir: TempDir,
    child: Child,
    url: String,
    clock: Option<Clock>,
}

/// A clock that is wrong by what a file says, by `libfaketime`.
struct Clock {
    file: PathBuf,
}

impl Clock {
    /// Where Debian has the library, as the dynamic linker understands it (`ld.so(8)`).
    const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

    fn at(file: PathBuf) -> Self {
        fs::write(&file, "+0").unwrap();
        Self { file }
    }

    fn rules(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", Self::LIBRARY)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }

    /// Removes what the library has left in memory, which a process that is killed cannot.
    fn forget(process: u32) {
        for name in ["faketime_shm_", "sem.faketime_sem_"] {
            let _gone = fs::remove_file(format!("/dev/shm/{name}{process}"));
        }
    }
}

impl Server {
    /// A fresh server without a product.
    pub(crate) fn empty() -> Self {
        Self::start_in(TempDir::new().unwrap(), &[])
    }

    /// A fresh server with unencrypted vendor keys and the product [`PRODUCT`].
    pub(crate) fn with_product() -> Self {
        Self::with_config("")
    }

    /// The same with this configuration.
    pub(crate) fn with_config(config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        write(&dir.path().join("server/mainstay.toml"), 0o644, config);
        let server = Self::start_in(dir, &[]);
        server.mainstay(&["keys", "generate", "--no-passphrase"]).succeeds();
        server.mainstay(&["product", "create", "--product", PRODUCT]).succeeds();
        server
    }

    /// As [`Server::with_product`], with `config` (TOML) and a clock that [`Server::set_clock`] moves.
    pub(crate) fn with_clock(config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        write(&dir.path().join("server/mainstay.toml"), 0o644, config);
        let clock = Clock::at(dir.path().join("clock"));
        let (child, url) = start(&dir.path().join("server"), &[], Some(&clock));
        let server = Self { dir, child, url, clock: Some(clock) };
        server.mainstay(&["keys", "generate", "--no-passphrase"]).succeeds();
        server.mainstay(&["product", "create", "--product", PRODUCT]).succeeds();
        server
    }

    /// Has the server's clock wrong by `offset`, such as `+2h`.
    pub(crate) fn set_clock(&self, offset: &str) {
        let clock = self.clock.as_ref().unwrap();
        // It is read all the time, and never in halves.
        let new = clock.file.with_extension("new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, &clock.file).unwrap();
    }

    fn start_in(dir: TempDir, arguments: &[&str]) -> Self {
        let (child, url) = start(&dir.path().join("server"), arguments, None);
        Self { dir, child, url, clock: None }
    }

    /// Kills the server as a power cut would, and starts it again on the same data.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        let (child, url) = start(&self.dir.path().join("server"), &[], self.clock.as_ref());
        self.child = child;
        self.url = url;
    }

    /// Kills the server with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.forget_clock();
    }

    fn forget_clock(&self) {
        if self.clock.is_some() {
            Clock::forget(self.child.id());
        }
    }

    /// Asks the server to stop (SIGTERM) and waits for its end.
    pub(crate) fn stop(&mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    /// The server's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The server's process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// A path in the test's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The administrator's token.
    pub(crate) fn admin_token(&self) -> String {
        fs::read_to_string(self.path("server/admin.token")).unwrap()
    }

    /// A `mainstay` command against this server, not run yet, as the administrator.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("MAINSTAY_PASSPHRASE")
            .env("MAINSTAY_SERVER", &self.url)
            .env("MAINSTAY_TOKEN_FILE", self.path("server/admin.token"))
            .env("MAINSTAY_KEYS", self.path("keys"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a `mainstay` command against this server as the administrator.
    pub(crate) fn mainstay(&self, arguments: &[&str]) -> Ran {
        Ran::run(&mut self.command(arguments))
    }

    /// Lays out the tree of a release that works: a program that prints its version, and a health
    /// check that runs it. Says where.
    pub(crate) fn tree(&self, version: &str) -> PathBuf {
        let tree = self.path(&format!("trees/{version}"));
        write(&tree.join("VERSION"), 0o644, version);
        write(&tree.join("bin/run"), 0o755, "#!/bin/sh\ncat \"$(dirname \"$0\")/../VERSION\"\n");
        write(&tree.join("mainstay.toml"), 0o644, "[health]\ncommand = [\"bin/run\"]\n");
        tree
    }

    /// The command that publishes `tree` as `version` of [`PRODUCT`] in `channel`, to everybody at once
    /// unless `more` says how it spreads or that it is only proposed. It is not run yet.
    pub(crate) fn publish_command(
        &self,
        version: &str,
        channel: &str,
        tree: &Path,
        more: &[&str],
    ) -> Command {
        let notes = self.path("notes.md");
        fs::write(&notes, format!("Notes of {version}.\n")).unwrap();
        let mut command = self.command(&["publish", "--product", PRODUCT]);
        command
            .args(["--version", version, "--channel", channel])
            .args(["--platform", &format!("{}={}", platform(), tree.display())])
            .arg("--notes")
            .arg(notes)
            .args(more);
        let says_how = ["--waves", "--rollout", "--propose"];
        if !more.iter().any(|it| says_how.contains(it)) {
            command.arg("--immediately");
        }
        command
    }

    /// Publishes `tree`, whatever comes of it.
    pub(crate) fn publish_tree(
        &self,
        version: &str,
        channel: &str,
        tree: &Path,
        more: &[&str],
    ) -> Ran {
        Ran::run(&mut self.publish_command(version, channel, tree, more))
    }

    /// Publishes a release that works, and expects that to succeed.
    pub(crate) fn publish(&self, version: &str, channel: &str, more: &[&str]) {
        self.publish_tree(version, channel, &self.tree(version), more).succeeds();
    }

    /// Adds a customer with a contract of `tier` on line 1.0 over the given years, both called
    /// `name`, and says its activation key.
    pub(crate) fn customer(&self, name: &str, tier: &str, start: &str, end: &str) -> String {
        self.mainstay(&["customer", "create", "--customer", name]).succeeds();
        self.mainstay(&[
            "contract",
            "create",
            "--contract",
            name,
            "--customer",
            name,
            "--tier",
            tier,
            "--product",
            PRODUCT,
            "--base-line",
            "1.0",
            "--start",
            start,
            "--end",
            end,
        ])
        .succeeds();
        self.mainstay(&["contract", "activation-key", name]).succeeds().stdout().trim().to_owned()
    }

    /// Enrols a machine with `activation_key`.
    pub(crate) fn machine(&self, activation_key: &str) -> Machine {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("acme");
        let machine = Machine { _dir: dir, root };
        machine
            .agent(&[
                "enroll",
                "--server",
                self.url(),
                "--product",
                PRODUCT,
                "--activation-key",
                activation_key,
                "--host",
                "test-host",
            ])
            .succeeds();
        machine
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        self.forget_clock();
    }
}

fn start(dir: &Path, arguments: &[&str], clock: Option<&Clock>) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    if let Some(clock) = clock {
        clock.rules(&mut command);
    }
    let mut child = command
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "json", "--dir"])
        .arg(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    let url = loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the server did not start:\n{seen}");
        seen.push_str(&line);
        let Ok(entry) = serde_json::from_str::<Value>(&line) else { continue };
        if let Some(url) = entry["fields"]["url"].as_str() {
            break url.to_owned();
        }
    };
    // The log is read to its end so that the server never waits for us.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (child, url)
}

/// A machine with an installation directory of its own.
pub(crate) struct Machine {
    _dir: TempDir,
    root: PathBuf,
}

impl Machine {
    /// A machine that is not enrolled.
    pub(crate) fn bare() -> Self {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("acme");
        Self { _dir: dir, root }
    }

    /// The installation's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A `mainstay-agent` command on this machine, not run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let agent = Path::new(env!("CARGO_BIN_EXE_mainstay")).with_file_name("mainstay-agent");
        assert!(agent.exists(), "no {}: run the tests with --workspace", agent.display());
        let mut command = Command::new(agent);
        command.arg("--dir").arg(&self.root).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a `mainstay-agent` command on this machine.
    pub(crate) fn agent(&self, arguments: &[&str]) -> Ran {
        Ran::run(&mut self.command(arguments))
    }

    /// Runs a `mainstay-agent` command with `--json` while the machine's clock is wrong by `offset`,
    /// such as `+366d`; says its exit code and its document.
    pub(crate) fn agent_json_at(&self, offset: &str, arguments: &[&str]) -> (i32, Value) {
        let agent = self.command(&[&["--json"], arguments].concat());
        let mut command = Command::new("faketime");
        command
            .args(["--exclude-monotonic", "-f", offset])
            .arg(agent.get_program())
            .args(agent.get_args())
            .stdin(Stdio::null());
        let ran = Ran::run(&mut command);
        (ran.code(), ran.json())
    }

    /// Runs a `mainstay-agent` command with `--json`; says its exit code and its document.
    pub(crate) fn agent_json(&self, arguments: &[&str]) -> (i32, Value) {
        let ran = self.agent(&[&["--json"], arguments].concat());
        (ran.code(), ran.json())
    }

    /// The version that `current` points to.
    pub(crate) fn running(&self) -> Option<String> {
        fs::read_to_string(self.root.join("current/VERSION")).ok()
    }

    /// The machine's name on the server.
    pub(crate) fn name(&self) -> String {
        self.agent_json(&["status"]).1["machine"].as_str().unwrap().to_owned()
    }
}

/// A command that has ended.
pub(crate) struct Ran {
    line: String,
    output: Output,
}

impl Ran {
    /// Runs `command` to its end.
    pub(crate) fn run(command: &mut Command) -> Self {
        let line = format!("{command:?}");
        Self { line, output: command.output().unwrap() }
    }

    /// Expects success.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        self.exits(0)
    }

    /// Expects the exit code `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{}\n{}\n{}", self.line, self.stdout(), self.stderr());
        self
    }

    /// The exit code.
    pub(crate) fn code(&self) -> i32 {
        self.output.status.code().unwrap()
    }

    /// What was printed.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// What was printed beside the answer.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// The one JSON document that was printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let text = self.stdout();
        serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{}\nis not one JSON document ({error}):\n{text}\n{}", self.line, self.stderr())
        })
    }
}

/// Asks `question` until it has an answer. How long a slow machine may take for it is no part of
/// any promise, so the limit is far beyond what any takes.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{what} did not come about");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes a file with a mode, and the folders above it.
pub(crate) fn write(path: &Path, mode: u32, contents: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
