//! Sending by mail, through an SMTP server.

use std::{fmt::Write as _, fs, path::PathBuf, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::fmt::rfc2822::DateTimePrinter;
use lettre::{
    Address, SmtpTransport, Transport as _,
    address::Envelope,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use serde::Deserialize;

use super::failed;
use crate::policy::{Notification, Outcome};

/// What is said in the configuration of mail.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// The name of the SMTP server.
    pub server: String,
    /// Its port; where absent, 465 for `tls`, 587 for `starttls` and 25 for `none`.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub encryption: MailEncryption,
    /// The mailbox that mail comes from.
    pub from: String,
    /// Who logs in, where somebody must.
    pub user: Option<String>,
    /// The file that holds the password.
    pub password_file: Option<PathBuf>,
    /// A PEM file with the authority that the server's certificate comes from, beside the public ones.
    pub authorities: Option<PathBuf>,
}

/// How the connection to an SMTP server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailEncryption {
    /// By TLS from the start.
    #[default]
    Tls,
    /// By STARTTLS, or no mail is sent.
    Starttls,
    /// Not at all: for a server on the same machine, or in a network of one's own.
    None,
}

/// How long the server may take for each step.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);
/// How much of a sentence is in the subject, in characters.
const SUBJECT_CHARS_MAX: usize = 200;
/// The longest line of a body, in bytes (RFC 2045).
const LINE_BYTES_MAX: usize = 76;

/// Sends mail.
#[derive(Debug)]
pub struct Mailer {
    transport: SmtpTransport,
    from: Address,
}

impl Mailer {
    /// Sends as `config` says. Says what cannot be used of it.
    pub fn new(config: &MailConfig) -> Result<Self, String> {
        let from = mailbox(&config.from).map_err(|problem| format!("mail.from: {problem}"))?;
        let (tls, port) = match config.encryption {
            MailEncryption::Tls => (Tls::Wrapper(parameters(config)?), 465),
            MailEncryption::Starttls => (Tls::Required(parameters(config)?), 587),
            MailEncryption::None => (Tls::None, 25),
        };
        let mut transport = SmtpTransport::builder_dangerous(config.server.as_str())
            .tls(tls)
            .port(config.port.unwrap_or(port))
            .timeout(Some(STEP_TIMEOUT));
        match (&config.user, &config.password_file) {
            (None, None) => {}
            (Some(_), Some(_)) if config.encryption == MailEncryption::None => {
                return Err("mail.user: a password is not sent without encryption: expected \
                            encryption = \"tls\" or \"starttls\""
                    .to_owned());
            }
            (Some(user), Some(file)) => {
                let password = fs::read_to_string(file)
                    .map_err(|error| format!("mail.password_file: {}: {error}", file.display()))?;
                let password = password.trim_end_matches(['\r', '\n']).to_owned();
                transport = transport.credentials(Credentials::new(user.clone(), password));
            }
            _ => return Err("mail: expected both user and password_file, or neither".to_owned()),
        }
        Ok(Self { transport: transport.build(), from })
    }

    /// Tries once to send a notification to a mailbox.
    pub(super) fn send(&self, to: &str, id: &str, notification: &Notification) -> Outcome {
        match self.try_send(to, id, notification) {
            Ok(()) => Outcome::Accepted,
            Err(problem) => failed(problem),
        }
    }

    fn try_send(&self, to: &str, id: &str, notification: &Notification) -> Result<(), String> {
        let to = mailbox(to)?;
        let message = message(&self.from, &to, id, notification)?;
        let envelope = Envelope::new(Some(self.from.clone()), vec![to]);
        let envelope = envelope.map_err(|error| error.to_string())?;
        let sent = self.transport.send_raw(&envelope, message.as_bytes());
        sent.map(drop).map_err(|error| crate::service::chain(&error))
    }
}

/// The message (RFC 5322), in ASCII and short lines whatever is told: so no server on its way has to
/// change it, and nothing that a machine says of itself is taken for a header.
fn message(
    from: &Address,
    to: &Address,
    id: &str,
    notification: &Notification,
) -> Result<String, String> {
    let sentence = notification.sentence();
    let date = DateTimePrinter::new()
        .timestamp_to_string(&notification.timestamp)
        .map_err(|error| error.to_string())?;
    let detail = serde_json::to_string_pretty(notification).map_err(|it| it.to_string())?;
    let mut message = format!("From: <{from}>\r\nTo: <{to}>\r\nDate: {date}\r\n");
    for header in [
        &*format!("Message-ID: <{id}@mainstay>"),
        &*format!("Subject: {}", subject(&sentence)),
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        // So that nobody's notice of absence answers (RFC 3834).
        "Auto-Submitted: auto-generated",
    ] {
        let _infallible = write!(message, "{header}\r\n");
    }
    let body = BASE64_STANDARD.encode(format!("{sentence}.\r\n\r\n{detail}\r\n"));
    for line in body.as_bytes().chunks(LINE_BYTES_MAX) {
        let _infallible = write!(message, "\r\n{}", String::from_utf8_lossy(line));
    }
    message.push_str("\r\n");
    Ok(message)
}

/// The sentence as encoded words (RFC 2047), one on each line.
fn subject(sentence: &str) -> String {
    let line = sentence.chars().filter(|character| !character.is_control());
    let line: Vec<_> = "[Mainstay] ".chars().chain(line.take(SUBJECT_CHARS_MAX)).collect();
    // A character has four bytes at most; of thirty-six an encoded word is made that fits into a line.
    let words = line.chunks(9).map(|word| {
        let word: String = word.iter().collect();
        format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word))
    });
    words.collect::<Vec<_>>().join("\r\n ")
}

/// The mailbox that a text names, in ASCII.
pub fn mailbox(text: &str) -> Result<Address, String> {
    text.parse().ok().filter(|_| text.is_ascii()).ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        format!("mailbox `{}`: expected one such as ops@example.com", shown.escape_debug())
    })
}

fn parameters(config: &MailConfig) -> Result<TlsParameters, String> {
    let mut parameters = TlsParameters::builder(config.server.clone());
    if let Some(file) = &config.authorities {
        let told = |error: &dyn std::fmt::Display| {
            format!("mail.authorities: {}: {error}", file.display())
        };
        let pem = fs::read(file).map_err(|error| told(&error))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| told(&error))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    parameters.build().map_err(|error| format!("mail.server: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> MailConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let base = "server = \"127.0.0.1\"\nencryption = \"none\"\nfrom = ";
        for (text, expected) in [
            (format!("{base}\"nobody\""), "mail.from: mailbox `nobody`"),
            (format!("{base}\"a@b.c\"\nuser = \"u\""), "expected both user and password_file"),
            (
                format!("{base}\"a@b.c\"\nuser = \"u\"\npassword_file = \"/p\""),
                "a password is not sent without encryption",
            ),
            (
                "server = \"mail\"\nfrom = \"a@b.c\"\nauthorities = \"/nowhere\"".to_owned(),
                "mail.authorities: /nowhere",
            ),
        ] {
            let problem = Mailer::new(&config(&text)).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(Mailer::new(&config(&format!("{base}\"a@b.c\""))).is_ok());
    }

    fn decoded(subject: &str) -> String {
        let words = subject.split("\r\n ").map(|word| {
            assert!(word.len() <= 66, "{word}");
            let word = word.strip_prefix("=?utf-8?B?").unwrap().strip_suffix("?=").unwrap();
            String::from_utf8(BASE64_STANDARD.decode(word).unwrap()).unwrap()
        });
        words.collect()
    }

    #[test]
    fn what_a_machine_says_writes_no_header() {
        let line = subject("db-7\r\nBcc: everybody@example.com");
        assert!(!line.contains("Bcc"), "{line}");
        assert_eq!(decoded(&line), "[Mainstay] db-7Bcc: everybody@example.com");
        let long = decoded(&subject(&"\u{1f6d1}".repeat(999)));
        assert_eq!(long.chars().count(), SUBJECT_CHARS_MAX + 11);
    }

    #[test]
    fn a_message_is_in_ascii_and_short_lines() {
        let text = r#"{"type": "machine.update_failed", "timestamp": "2026-09-21T14:13:20Z", "data": {
            "machine": "m-1", "host": "Büro\r\n.\r\n", "customer": "acme", "contract": "acme",
            "product": "acme-db", "kind": "lost", "automatic": false, "from": null, "to": "1.0.1",
            "order": null, "event": 4, "detail": ""}}"#;
        let notification: Notification = serde_json::from_str(text).unwrap();
        let [from, to] = ["a@b.c", "d@e.f"].map(|text| mailbox(text).unwrap());
        let message = message(&from, &to, "msg_1", &notification).unwrap();
        assert!(message.is_ascii());
        let lines: Vec<_> = message.split("\r\n").collect();
        assert!(lines.iter().all(|line| line.len() <= 78 && !line.contains(['\r', '\n'])));
        assert!(!lines.contains(&"."), "{message}");
        assert_eq!(lines[0], "From: <a@b.c>");
        assert_eq!(lines[1], "To: <d@e.f>");
        assert!(lines[2].starts_with("Date: Mon, 21 Sep 2026 14:13:20 "), "{}", lines[2]);
        let (_, body) = message.split_once("\r\n\r\n").unwrap();
        let body = BASE64_STANDARD.decode(body.replace("\r\n", "")).unwrap();
        let body = String::from_utf8(body).unwrap();
        let (sentence, detail) = body.split_once(".\r\n\r\n{").unwrap();
        assert!(sentence.contains("could not carry out its plan for acme-db 1.0.1: lost"));
        assert_eq!(
            serde_json::from_str::<Notification>(&format!("{{{detail}")).unwrap(),
            notification
        );
    }

    #[test]
    fn a_mailbox_is_read_without_mistakes() {
        assert!(mailbox("ops@example.com").is_ok());
        for wrong in
            ["", "ops", "ops@", "büro@example.com", "a@b.c\r\nRCPT TO:<x@y.z>", "a@b.c, d@e.f"]
        {
            assert!(mailbox(wrong).is_err(), "{wrong:?}");
        }
    }
}
