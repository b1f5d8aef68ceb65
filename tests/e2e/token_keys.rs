//! The vendor's keys in a PKCS#11 token, that of `softhsm2`, which `tests/run` installs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    fleet,
    harness::{PRODUCT, Ran, Server, write},
};

const INSTALL: &str = "install the package softhsm2, as tests/run does";
const PIN: &str = "5678";
const P256: &str = "fixtures/keys/TEST-p256.pem";

/// A token that holds a key on P-256 and two of ed25519.
struct Token {
    configuration: PathBuf,
}

impl Token {
    fn new(server: &Server) -> Self {
        let token = Self { configuration: server.path("softhsm2.conf") };
        let folder = server.path("tokens");
        fs::create_dir(&folder).unwrap();
        let configuration =
            format!("directories.tokendir = {}\nlog.level = ERROR\n", folder.display());
        write(&token.configuration, 0o600, &configuration);
        token.util(&["--init-token", "--free", "--label", "acme vendor", "--so-pin", "12345678"]);
        server.mainstay(&["keys", "generate", "--no-passphrase", "t", "r"]).succeeds();
        let p256 = Path::new(env!("CARGO_MANIFEST_DIR")).join(P256);
        for (label, id, pem) in [
            ("root", "01", p256),
            ("targets", "02", server.path("keys/t.pem")),
            ("release", "03", server.path("keys/r.pem")),
        ] {
            let pem = pem.to_str().unwrap();
            let import = ["--import", pem, "--token", "acme vendor", "--label", label, "--id", id];
            token.util(&import);
        }
        for file in ["t.pem", "t.pub", "r.pem", "r.pub"] {
            fs::remove_file(server.path("keys").join(file)).unwrap();
        }
        token
    }

    fn util(&self, arguments: &[&str]) {
        let ended = Command::new("softhsm2-util")
            .args(arguments)
            .args(["--pin", PIN])
            .env("SOFTHSM2_CONF", &self.configuration)
            .output()
            .unwrap_or_else(|error| panic!("softhsm2-util ({error}): {INSTALL}"));
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    }

    /// Runs a `mainstay` command with the token in the machine and its PIN known.
    fn mainstay(&self, server: &Server, arguments: &[&str]) -> Ran {
        Ran::run(&mut self.known_to(server.command(arguments)))
    }

    fn known_to(&self, mut command: Command) -> Command {
        command.env("SOFTHSM2_CONF", &self.configuration).env("MAINSTAY_PKCS11_PIN", PIN);
        command
    }
}

/// The address of the key `label`.
fn address(label: &str) -> String {
    let module = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or_else(|| panic!("libsofthsm2.so: {INSTALL}"));
    format!("pkcs11:token=acme%20vendor;object={label}?module-path={module}")
}

#[test]
fn everything_that_a_vendor_signs_can_be_signed_in_a_token() {
    let server = Server::empty();
    let token = Token::new(&server);
    for name in ["root", "targets"] {
        token.mainstay(&server, &["keys", "token", name, &address(name)]).succeeds();
        assert!(!server.path(&format!("keys/{name}.pem")).exists());
    }
    let schemes = ["root", "targets"].map(|name| {
        let public = fs::read(server.path(&format!("keys/{name}.pub"))).unwrap();
        serde_json::from_slice::<Value>(&public).unwrap()["scheme"].clone()
    });
    assert_eq!(schemes, ["ecdsa-sha2-nistp256", "ed25519"]);
    // A key can be named by its address, too.
    let release = ["--release-key", &address("release")];
    let create = [&["product", "create", "--product", PRODUCT], &release[..]].concat();
    token.mainstay(&server, &create).succeeds();
    let tree = server.tree("1.0.0");
    let publish = server.publish_command("1.0.0", "major", &tree, &release);
    Ran::run(&mut token.known_to(publish)).succeeds();

    let machine = server.machine(&fleet::customer(&server, "standard"));
    machine.agent(&["update"]).succeeds();
    fleet::assert_runs(&server, &machine, "1.0.0");

    // Of the release key no name is known here; that keeps nothing else from being renewed.
    let renew = ["--json", "trust", "renew", "--product", PRODUCT, "--within", "400"];
    let renewed = token.mainstay(&server, &renew).exits(2).json()["message"].to_string();
    assert!(renewed.contains("renewed root, targets (revision 3), and no more"), "{renewed}");
    assert!(renewed.contains("--renew major"), "{renewed}");
    token.mainstay(&server, &["keys", "token", "release", &address("release")]).succeeds();
    let renewed = token.mainstay(&server, &renew).succeeds();
    assert!(renewed.stdout().contains("[\"major\",\"root\",\"targets\"]"), "{}", renewed.stdout());
    machine.agent(&["check"]).exits(10);
}

#[test]
fn what_keeps_a_token_from_signing_is_said() {
    let server = Server::empty();
    let token = Token::new(&server);
    let attempt = |uri: &str, pin: Option<&str>| {
        let mut command = token.known_to(server.command(&["keys", "token", "new", uri]));
        match pin {
            Some(pin) => command.env("MAINSTAY_PKCS11_PIN", pin),
            None => command.env_remove("MAINSTAY_PKCS11_PIN"),
        };
        let ran = Ran::run(&mut command).exits(2);
        assert!(!server.path("keys/new.pkcs11").exists() && !server.path("keys/new.pub").exists());
        ran.stderr()
    };
    let good = address("root");
    for (uri, pin, why) in [
        (good.clone(), Some("0000"), "the PIN is wrong"),
        (good.clone(), None, "no PIN: set MAINSTAY_PKCS11_PIN or add pin-source"),
        (good.replace("vendor", "other"), Some(PIN), "there is no token labelled `acme other`"),
        (good.replace("object=root", "object=x"), Some(PIN), "it has 0 keys"),
        (good.replace(".so", ".no"), Some(PIN), "the module cannot be loaded"),
        (format!("{good}&pin-value=5678"), Some(PIN), "seen by others"),
    ] {
        let message = attempt(&uri, pin);
        assert!(message.contains(why), "{uri}: {message}");
    }
    let file = server.path("pin");
    write(&file, 0o600, &format!("{PIN}\n"));
    let from_file = format!("{good}&pin-source={}", file.display());
    let mut command = token.known_to(server.command(&["keys", "token", "new", &from_file]));
    Ran::run(command.env_remove("MAINSTAY_PKCS11_PIN")).succeeds();
    // A name is given once.
    let again = token.mainstay(&server, &["keys", "token", "new", &good]).exits(2).stderr();
    assert!(again.contains("new.pkcs11 exists already"), "{again}");
}

#[test]
fn a_proposal_is_signed_in_a_token_whose_pin_is_in_a_file() {
    let server = Server::empty();
    let token = Token::new(&server);
    let pin = server.path("pin");
    for name in ["root", "targets", "release"] {
        let uri = format!("{}&pin-source=file:{}", address(name), pin.display());
        write(&pin, 0o600, &format!("{PIN}\n"));
        token.mainstay(&server, &["keys", "token", name, &uri]).succeeds();
    }
    let unasked = |arguments: &[&str]| {
        let mut command = token.known_to(server.command(arguments));
        Ran::run(command.env_remove("MAINSTAY_PKCS11_PIN"))
    };
    unasked(&["product", "create", "--product", PRODUCT]).succeeds();
    server.propose("change.json", &["--renew", "root", "--renew", "targets"]).succeeds();
    let sign = ["trust", "sign", "change.json", "--yes", "--key", "root", "--key", "targets"];
    write(&pin, 0o600, "0000\n");
    let refused = unasked(&sign).exits(2).stderr();
    assert!(refused.contains("the PIN is wrong"), "{refused}");
    write(&pin, 0o600, &format!("{PIN}\n"));
    unasked(&sign).succeeds();
    server.mainstay(&["trust", "submit", "change.json"]).succeeds();
    assert!(server.publishing_state().metadata.contains_key("2.root.json"));
}

#[test]
fn of_two_tokens_with_one_label_the_serial_number_says_which() {
    let server = Server::empty();
    let token = Token::new(&server);
    token.util(&["--init-token", "--free", "--label", "acme vendor", "--so-pin", "12345678"]);
    let named = |name: &str, uri: &str| token.mainstay(&server, &["keys", "token", name, uri]);
    let ambiguous = named("root", &address("root")).exits(2).stderr();
    assert!(ambiguous.contains("2 tokens are labelled `acme vendor`"), "{ambiguous}");
    let (_, serials) = ambiguous.trim_end().rsplit_once("they have ").unwrap();
    let of_serial = |serial: &str| {
        let uri = address("root").replace(";object", &format!(";serial={serial};object"));
        named(&format!("in-{serial}"), &uri).code()
    };
    let mut codes: Vec<_> = serials.split(", ").map(of_serial).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 2], "one of them has the key");
    assert_eq!(of_serial("none"), 2);
}
