//! A server in a temporary directory, and commands against it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// The product that the tests publish.
pub const PRODUCT: &str = "acme-db";

/// The platform that the agent under test runs on.
pub fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// A running `mainstay serve`, and the vendor's directory beside it.
pub struct Server {
    dir: TempDir,
    child: Child,
    url: String,
}

impl Server {
    /// A fresh server without a product.
    pub fn empty() -> Self {
        Self::start_in(TempDir::new().unwrap(), &[])
    }

    /// A fresh server with unencrypted vendor keys and the product [`PRODUCT`].
    pub fn with_product() -> Self {
        let server = Self::empty();
        server.mainstay(&["keys", "generate", "--no-passphrase"]).succeeds();
        server.mainstay(&["product", "create", "--product", PRODUCT]).succeeds();
        server
    }

    fn start_in(dir: TempDir, arguments: &[&str]) -> Self {
        let (child, url) = start(&dir.path().join("server"), arguments);
        Self { dir, child, url }
    }

    /// Kills the server as a power cut would, and starts it again on the same data.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        let (child, url) = start(&self.dir.path().join("server"), &[]);
        self.child = child;
        self.url = url;
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the server to stop (SIGTERM) and waits for its end.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// A path in the test's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The administrator's token.
    pub fn admin_token(&self) -> String {
        fs::read_to_string(self.path("server/admin.token")).unwrap()
    }

    /// A `mainstay` command against this server, not run yet, as the administrator.
    pub fn command(&self, arguments: &[&str]) -> Command {
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
    pub fn mainstay(&self, arguments: &[&str]) -> Ran {
        Ran::run(&mut self.command(arguments))
    }

    /// Lays out the tree of a release that works: a program that prints its version, and a health
    /// check that runs it. Says where.
    pub fn tree(&self, version: &str) -> PathBuf {
        let tree = self.path(&format!("trees/{version}"));
        write(&tree.join("VERSION"), 0o644, version);
        write(&tree.join("bin/run"), 0o755, "#!/bin/sh\ncat \"$(dirname \"$0\")/../VERSION\"\n");
        write(&tree.join("mainstay.toml"), 0o644, "[health]\ncommand = [\"bin/run\"]\n");
        tree
    }

    /// The arguments that publish `tree` as `version` of [`PRODUCT`] in `channel`.
    pub fn publish_arguments(&self, version: &str, channel: &str, tree: &Path) -> Vec<String> {
        let notes = self.path("notes.md");
        fs::write(&notes, format!("Notes of {version}.\n")).unwrap();
        let platform = format!("{}={}", platform(), tree.display());
        ["publish", "--product", PRODUCT, "--version", version, "--channel", channel]
            .map(str::to_owned)
            .into_iter()
            .chain(["--platform".to_owned(), platform])
            .chain(["--notes".to_owned(), notes.display().to_string()])
            .collect()
    }

    /// Publishes a release that works, and expects that to succeed.
    pub fn publish(&self, version: &str, channel: &str, more: &[&str]) {
        let tree = self.tree(version);
        let arguments = self.publish_arguments(version, channel, &tree);
        let arguments: Vec<&str> =
            arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.mainstay(&arguments).succeeds();
    }

    /// Adds a customer with a contract of `tier` on line 1.0 over the given years, both called
    /// `name`, and says its activation key.
    pub fn customer(&self, name: &str, tier: &str, start: &str, end: &str) -> String {
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
    pub fn machine(&self, activation_key: &str) -> Machine {
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

    /// Asks the API as the bearer of `token`; says the status and the body.
    pub fn request(&self, method: &str, path: &str, token: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let (status, _, body) =
            self.request_with(method, path, &[("Authorization", &format!("Bearer {token}"))], body);
        (status, body)
    }

    /// Asks with headers; says the status, the head and the body.
    pub fn request_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, String, Vec<u8>) {
        use std::{
            fmt::Write as _,
            io::{Read as _, Write as _},
        };
        let host = self.url.trim_start_matches("http://");
        let mut connection = std::net::TcpStream::connect(host).unwrap();
        connection.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
        connection.write_all(head.as_bytes()).unwrap();
        // A server that has refused already may close before it has read everything.
        let _refused = connection.write_all(body);
        let mut answer = Vec::new();
        let _closed = connection.read_to_end(&mut answer);
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, answer[end + 4..].to_vec())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn start(dir: &Path, arguments: &[&str]) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mainstay"))
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
pub struct Machine {
    _dir: TempDir,
    root: PathBuf,
}

impl Machine {
    /// A machine that is not enrolled.
    pub fn bare() -> Self {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("acme");
        Self { _dir: dir, root }
    }

    /// The installation's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A `mainstay-agent` command on this machine, not run yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let agent = Path::new(env!("CARGO_BIN_EXE_mainstay")).with_file_name("mainstay-agent");
        assert!(agent.exists(), "no {}: run the tests with --workspace", agent.display());
        let mut command = Command::new(agent);
        command.arg("--dir").arg(&self.root).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a `mainstay-agent` command on this machine.
    pub fn agent(&self, arguments: &[&str]) -> Ran {
        Ran::run(&mut self.command(arguments))
    }

    /// Runs a `mainstay-agent` command with `--json`; says its exit code and its document.
    pub fn agent_json(&self, arguments: &[&str]) -> (i32, Value) {
        let ran = self.agent(&[&["--json"], arguments].concat());
        (ran.code(), ran.json())
    }

    /// The version that `current` points to.
    pub fn running(&self) -> Option<String> {
        fs::read_to_string(self.root.join("current/VERSION")).ok()
    }

    /// The machine's name on the server.
    pub fn name(&self) -> String {
        self.agent_json(&["status"]).1["machine"].as_str().unwrap().to_owned()
    }
}

/// A command that has ended.
pub struct Ran {
    line: String,
    output: Output,
}

impl Ran {
    /// Runs `command` to its end.
    pub fn run(command: &mut Command) -> Self {
        let line = format!("{command:?}");
        Self { line, output: command.output().unwrap() }
    }

    /// Expects success.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.exits(0)
    }

    /// Expects the exit code `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{}\n{}\n{}", self.line, self.stdout(), self.stderr());
        self
    }

    /// The exit code.
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap()
    }

    /// What was printed.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// What was printed beside the answer.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// The one JSON document that was printed.
    #[track_caller]
    pub fn json(&self) -> Value {
        let text = self.stdout();
        serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{}\nis not one JSON document ({error}):\n{text}\n{}", self.line, self.stderr())
        })
    }
}

/// Writes a file with a mode, and the folders above it.
pub fn write(path: &Path, mode: u32, contents: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
