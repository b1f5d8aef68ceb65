//! A server with a certificate of the operator's own authority.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::{
    fleet::{enroll, noise},
    harness::{Machine, PRODUCT, Ran, platform, write},
    library::ProgramInC,
};

/// A server that speaks TLS only, and the certificate of its authority.
struct TlsServer {
    dir: TempDir,
    child: Child,
    url: String,
}

impl TlsServer {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let server = dir.path().join("server");
        let authority = authority("the operator's authority");
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        write(&dir.path().join("ca.pem"), 0o644, &authority.pem());
        write(&server.join("server.pem"), 0o644, &certificate.pem());
        write(&server.join("server.key"), 0o600, &key.serialize_pem());
        let config = "[tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
        write(&server.join("mainstay.toml"), 0o644, config);
        let (child, url) = start(&server);
        Self { dir, child, url }
    }

    fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("MAINSTAY_CA")
            .env("MAINSTAY_SERVER", &self.url)
            .env("MAINSTAY_TOKEN_FILE", self.dir.path().join("server/admin.token"))
            .env("MAINSTAY_KEYS", self.dir.path().join("keys"));
        command
    }

    /// Makes the vendor's keys and the product, and publishes 1.0.0, which is of some length.
    fn publish(&self) {
        self.mainstay(&["keys", "generate", "--no-passphrase"]).succeeds();
        self.mainstay(&["product", "create", "--product", PRODUCT]).succeeds();
        let tree = self.dir.path().join("tree");
        write(&tree.join("VERSION"), 0o644, "1.0.0");
        write(&tree.join("notes.md"), 0o644, "The first.");
        fs::write(tree.join("noise"), noise(1 << 20)).unwrap();
        let platform = format!("{}={}", platform(), tree.display());
        let notes = tree.join("notes.md");
        let publish = ["publish", "--product", PRODUCT, "--version", "1.0.0", "--channel", "major"];
        let files = ["--platform", &platform, "--notes", notes.to_str().unwrap()];
        self.mainstay(&[&publish[..], &files].concat()).succeeds();
    }

    /// Runs a `mainstay` command that trusts the authority.
    fn mainstay(&self, arguments: &[&str]) -> Ran {
        Ran::run(self.command(arguments).env("MAINSTAY_CA", self.ca()))
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn start(dir: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "json", "--dir"])
        .arg(dir)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let url = log.by_ref().lines().map(Result::unwrap).find_map(|line| {
        let entry: serde_json::Value = serde_json::from_str(&line).ok()?;
        entry["fields"]["url"].as_str().map(str::to_owned)
    });
    // The log is read to its end so that the server never waits for us.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (child, url.unwrap())
}

#[test]
fn agent_and_command_trust_the_authority_that_they_are_given() {
    let server = TlsServer::start();
    assert!(server.url.starts_with("https://"), "{}", server.url);
    server.publish();
    server.mainstay(&["customer", "create", "--customer", "safe"]).succeeds();
    let contract = ["contract", "create", "--contract", "safe", "--customer", "safe"];
    let terms = ["--start", "2020-01-01T00:00:00Z", "--end", "2100-01-01T00:00:00Z"];
    let what = ["--tier", "basic", "--product", PRODUCT, "--base-line", "1.0"];
    server.mainstay(&[&contract[..], &terms, &what].concat()).succeeds();
    let key = server.mainstay(&["contract", "activation-key", "safe"]).succeeds().stdout();
    let machine = Machine::bare();
    let ca = server.ca();
    enroll(&machine, &server.url, key.trim(), &["--ca", ca.to_str().unwrap()]).succeeds();
    machine.agent(&["update"]).succeeds();
    assert_eq!(machine.running().as_deref(), Some("1.0.0"));
    machine.agent(&["update"]).exits(10);
    // Nobody in that program has said by which cryptography TLS is to be spoken.
    let program = ProgramInC::compiled(server.dir.path().join("update"));
    program.run(&machine, &["update"]).exits(10);
}

#[test]
fn a_file_is_sent_over_tls_whichever_http_is_spoken() {
    let server = TlsServer::start();
    server.publish();
    let releases = server.mainstay(&["--json", "release", "list", "--product", PRODUCT]);
    let releases = releases.succeeds().json();
    let digest = releases[0]["artifacts"][platform()]["sha256"].as_str().unwrap();
    let blob = server.dir.path().join("server/blobs/sha256").join(&digest[..2]).join(digest);
    let bytes = fs::read(blob).unwrap();
    let url = format!(
        "{}/repo/{PRODUCT}/targets/major/1.0.0/{digest}.{}.tar.zst",
        server.url,
        platform()
    );
    let token = fs::read_to_string(server.dir.path().join("server/admin.token")).unwrap();
    let bearer = format!("Authorization: Bearer {token}");
    for (version, spoken) in [("--http1.1", "1.1"), ("--http2", "2")] {
        for (range, expected) in [("0-", &bytes[..]), ("70000-899999", &bytes[70_000..900_000])] {
            let fetched = Command::new("curl")
                .args(["--silent", "--show-error", "--fail", version, "--range", range])
                .args(["--write-out", "%{stderr}%{http_version}", "--header", &bearer, "--cacert"])
                .arg(server.ca())
                // Twice, on one connection.
                .args([&url, &url])
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&fetched.stderr);
            assert_eq!(told, spoken.repeat(2), "{version} {range}");
            assert!(fetched.stdout == expected.repeat(2), "{version} {range}");
        }
    }
}

#[test]
fn without_the_authority_nobody_talks_to_the_server() {
    let server = TlsServer::start();
    let refused = Ran::run(&mut server.command(&["--json", "product", "list"])).exits(5);
    assert_eq!(refused.json()["code"], "NETWORK");
    let machine = Machine::bare();
    let refused = enroll(&machine, &server.url, "mak_secret", &[]).exits(32).json();
    assert_eq!(refused["retryable"], false, "trying again does not mend it: {refused}");
    machine.agent(&["status"]).exits(30);
}

#[test]
fn another_authority_of_the_same_name_is_not_trusted() {
    let server = TlsServer::start();
    let other = server.dir.path().join("other.pem");
    fs::write(&other, authority("the operator's authority").pem()).unwrap();
    let other = other.to_str().unwrap();
    Ran::run(server.command(&["product", "list"]).env("MAINSTAY_CA", other)).exits(5);
    enroll(&Machine::bare(), &server.url, "mak_secret", &["--ca", other]).exits(32);
    server.mainstay(&["product", "list"]).succeeds();
}

#[test]
fn a_certificate_that_is_missing_keeps_the_server_from_starting() {
    let dir = TempDir::new().unwrap();
    let config = "[tls]\ncertificate = \"absent.pem\"\nkey = \"absent.key\"\n";
    write(&dir.path().join("mainstay.toml"), 0o644, config);
    let mut serve = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    let refused =
        Ran::run(serve.args(["serve", "--listen", "127.0.0.1:0", "--dir"]).arg(dir.path()));
    assert_ne!(refused.code(), 0);
    assert!(refused.stderr().contains("absent.pem"), "{}", refused.stderr());
}
