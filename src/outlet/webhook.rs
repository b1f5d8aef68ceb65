//! Sending by HTTP, to whoever has named an address: with a limit to everything, and to nothing that is
//! inside.

use std::{net::ToSocketAddrs as _, path::PathBuf, time::Duration};

use jiff::Timestamp;
use mainstay_client::fetch::CertificateAuthority;
use ureq::{
    Agent,
    config::Config,
    http::{HeaderMap, Uri, header},
    tls::{RootCerts, TlsConfig},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use super::{
    address::{Allowed, Encryption, Network},
    failed,
};
use crate::policy::{Outcome, Schedule};

/// What is said in the configuration of webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Networks that are not of the public internet and may be connected to all the same.
    pub allow_networks: Vec<Network>,
    /// How long a try may take in all.
    pub timeout: Duration,
    /// When what failed is tried again.
    pub schedule: Schedule,
    /// A PEM file with the authorities that receivers' certificates come from, in place of the public
    /// ones.
    pub authorities: Option<PathBuf>,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            timeout: Duration::from_secs(20),
            schedule: Schedule::default(),
            authorities: None,
        }
    }
}

/// The longest address, in bytes.
const URL_BYTES_MAX: usize = 2048;
/// The longest head of an answer that is taken in, in bytes. Of its body nothing is.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Sends webhooks.
#[derive(Debug)]
pub struct Webhooks {
    agent: Agent,
    allowed: Allowed,
    timeout: Duration,
    schedule: Schedule,
}

/// Resolves names, and lets pass what may be connected to. The connection is made to the addresses
/// that were looked at, so that a name cannot mean something else a moment later.
#[derive(Debug)]
struct Guard {
    allowed: Allowed,
    resolver: DefaultResolver,
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        let encryption = encryption(uri);
        for address in &found {
            let checked = self.allowed.check(address.ip(), encryption);
            checked.map_err(|problem| ureq::Error::Other(problem.into()))?;
        }
        Ok(found)
    }
}

fn encryption(uri: &Uri) -> Encryption {
    if uri.scheme_str() == Some("https") { Encryption::Tls } else { Encryption::None }
}

impl Webhooks {
    /// Sends as `config` says. Says what cannot be used of it.
    pub fn new(config: &WebhookConfig) -> Result<Self, String> {
        let allowed = Allowed::from(config.allow_networks.clone());
        let roots = match config.authorities.as_deref().map(CertificateAuthority::read) {
            None | Some(Ok(CertificateAuthority::PublicWeb)) => RootCerts::WebPki,
            Some(Ok(CertificateAuthority::Own(own))) => RootCerts::Specific(own),
            Some(Err(error)) => return Err(format!("webhooks.authorities: {error}")),
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(HEAD_BYTES_MAX)
            .max_idle_connections(0)
            .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(config.timeout))
            .build();
        let guard = Guard { allowed: allowed.clone(), resolver: DefaultResolver::default() };
        let agent = Agent::with_parts(agent, DefaultConnector::default(), guard);
        Ok(Self { agent, allowed, timeout: config.timeout, schedule: config.schedule.clone() })
    }

    /// When what failed is tried again.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Lets an address of a webhook pass, or says what is wrong with it. Its name is looked up.
    pub fn check(&self, url: &str) -> Result<(), String> {
        let expected = "expected an address such as https://example.com/hooks/mainstay";
        let shown: String = url.chars().take(100).collect();
        let refuse = |problem: &str| format!("`{}`: {problem}", shown.escape_debug());
        if url.len() > URL_BYTES_MAX {
            return Err(refuse(&format!("expected at most {URL_BYTES_MAX} bytes")));
        }
        let uri = url.parse::<Uri>().map_err(|_| refuse(expected))?;
        let is_http = matches!(uri.scheme_str(), Some("https" | "http"));
        let authority = uri.authority().filter(|it| is_http && !it.as_str().contains('@'));
        let authority = authority.ok_or_else(|| refuse(expected))?;
        if url.contains('#') {
            return Err(refuse(expected));
        }
        let encryption = encryption(&uri);
        let port = if encryption == Encryption::Tls { 443 } else { 80 };
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        let found = (host, authority.port_u16().unwrap_or(port)).to_socket_addrs();
        let found = found.map_err(|error| refuse(&format!("cannot be looked up: {error}")))?;
        for address in found {
            self.allowed.check(address.ip(), encryption).map_err(|problem| refuse(&problem))?;
        }
        Ok(())
    }

    /// Posts `body` once.
    pub(super) fn post(
        &self,
        url: &str,
        id: &str,
        at: Timestamp,
        signature: &str,
        body: &[u8],
    ) -> Outcome {
        let request = self
            .agent
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at.as_second().to_string())
            .header("webhook-signature", signature);
        match request.send(body) {
            // Nothing is read of what the receiver has to say: a status is all that is needed.
            Ok(answer) => outcome(answer.status().as_u16(), answer.headers(), at),
            Err(ureq::Error::Timeout(_)) => {
                failed(format!("no answer within {} s", self.timeout.as_secs()))
            }
            Err(ureq::Error::Other(problem)) => failed(problem.to_string()),
            Err(error) => failed(error.to_string()),
        }
    }
}

/// What an answer means.
fn outcome(status: u16, headers: &HeaderMap, now: Timestamp) -> Outcome {
    match status {
        200..=299 => Outcome::Accepted,
        410 => Outcome::Gone,
        300..=399 => failed(format!("answered {status}: redirects are not followed")),
        _ => Outcome::Failed {
            retry_after: retry_after(headers, now),
            why: format!("answered {status}"),
        },
    }
}

/// For how long `Retry-After` asks to be left alone: seconds, or until a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(until.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        sync::Arc,
        thread,
    };

    use rustls::pki_types::PrivateKeyDer;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap()
    }

    fn webhooks(allow: &[&str]) -> Webhooks {
        let allow_networks = allow.iter().map(|text| text.parse().unwrap()).collect();
        let timeout = Duration::from_millis(500);
        let config = WebhookConfig { allow_networks, timeout, ..WebhookConfig::default() };
        Webhooks::new(&config).unwrap()
    }

    /// Where `answer` is given to one who asks, and then nothing for as long as they stay.
    fn receiver(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _read = connection.read(&mut request).unwrap();
            connection.write_all(answer).unwrap();
            while connection.read(&mut request).is_ok_and(|read| read > 0) {}
        });
        url
    }

    fn post(url: &str) -> Outcome {
        webhooks(&["127.0.0.0/8"]).post(url, "msg_1", now(), "v1,x", b"{}")
    }

    #[track_caller]
    fn why(outcome: Outcome) -> String {
        let Outcome::Failed { why, .. } = outcome else { panic!("{outcome:?}") };
        why
    }

    #[test]
    fn what_a_receiver_answers_is_what_comes_of_it() {
        let headers = HeaderMap::new();
        let outcome = |status| outcome(status, &headers, now());
        for accepted in [200, 201, 204, 299] {
            assert_eq!(outcome(accepted), Outcome::Accepted);
        }
        assert_eq!(outcome(410), Outcome::Gone);
        for failed in [199, 300, 304, 307, 400, 404, 429, 500, 503, 599] {
            assert!(why(outcome(failed)).contains(&failed.to_string()));
        }
    }

    #[test]
    fn a_receiver_may_ask_to_be_left_alone_for_a_time() {
        let after = |text: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now()).map(|wait| wait.as_secs())
        };
        assert_eq!(after("120"), Some(120));
        assert_eq!(after("Mon, 21 Sep 2026 14:14:20 GMT"), Some(60));
        for nothing in ["Mon, 21 Sep 2026 14:12:20 GMT", "-1", "soon", ""] {
            assert_eq!(after(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_receiver_that_answers_has_it_whatever_else_it_sends() {
        let endless = receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nand so on");
        assert_eq!(post(&endless), Outcome::Accepted);
        let elsewhere = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\n\r\n";
        assert!(why(post(&receiver(elsewhere))).contains("redirects are not followed"));
    }

    #[test]
    fn a_receiver_that_hangs_or_speaks_nonsense_has_not_got_it() {
        assert_eq!(why(post(&receiver(b""))), "no answer within 0 s");
        assert_eq!(why(post(&receiver(b"HTTP/1.1 200"))), "no answer within 0 s");
        why(post(&receiver(b"SSH-2.0-OpenSSH_9.7\r\n\r\n")));
        let long = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &vec![b'a'; 20_000]].concat().leak();
        why(post(&receiver(long)));
    }

    /// A receiver that accepts everything over TLS, and its certificate, which no authority knows.
    fn encrypted_receiver() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let config = Arc::new(config);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = rustls::StreamOwned::new(tls, connection.unwrap());
                if stream.read(&mut [0; 4096]).is_ok() {
                    let _gone = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                }
            }
        });
        (url, certificate.pem())
    }

    #[test]
    fn a_receivers_certificate_comes_from_an_authority_that_is_known() {
        let (url, certificate) = encrypted_receiver();
        let unknown = why(post(&url));
        assert!(unknown.contains("certificate"), "{unknown}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, certificate).unwrap();
        let config = WebhookConfig {
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            authorities: Some(file),
            ..WebhookConfig::default()
        };
        let known = Webhooks::new(&config).unwrap();
        assert_eq!(known.post(&url, "msg_1", now(), "v1,x", b"{}"), Outcome::Accepted);
        let other_name = url.replace("127.0.0.1", "localhost");
        let outcome = known.post(&other_name, "msg_1", now(), "v1,x", b"{}");
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
        let nowhere = WebhookConfig { authorities: Some("/nowhere".into()), ..config };
        assert!(Webhooks::new(&nowhere).unwrap_err().contains("webhooks.authorities"));
    }

    #[test]
    fn what_is_inside_is_not_connected_to_even_where_a_name_leads_there() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"] {
            let url = format!("http://{host}:{port}/");
            let outcome = webhooks(&[]).post(&url, "msg_1", now(), "v1,x", b"{}");
            assert!(matches!(outcome, Outcome::Failed { .. }), "{host}");
            assert!(webhooks(&[]).check(&url).is_err(), "{host}");
        }
        assert!(listener.accept().is_err(), "nobody has connected");
        let outcome = webhooks(&["10.0.0.0/8"]).post(
            &format!("http://127.0.0.1:{port}/"),
            "msg_1",
            now(),
            "v1,x",
            b"{}",
        );
        assert!(why(outcome).contains("127.0.0.1 is not an address of the public internet"));
    }

    #[test]
    fn an_address_of_a_webhook_is_read_without_mistakes() {
        let webhooks = webhooks(&["127.0.0.1/32"]);
        for good in
            ["https://1.1.1.1/hook?a=b", "https://[2606:4700::1111]:8443/", "http://127.0.0.1:80/"]
        {
            assert_eq!(webhooks.check(good), Ok(()), "{good}");
        }
        for wrong in [
            "",
            "1.1.1.1",
            "ftp://1.1.1.1/",
            "file:///etc/passwd",
            "https://user:secret@1.1.1.1/",
            "https://1.1.1.1/#part",
            "https:///hook",
            "http://1.1.1.1/",
            "https://127.0.0.2/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            &format!("https://1.1.1.1/{}", "a".repeat(2048)),
        ] {
            let refused = webhooks.check(wrong).unwrap_err();
            assert!(refused.contains("expected"), "{refused}");
        }
    }
}
