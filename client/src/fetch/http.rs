use std::{io::Read as _, path::Path, sync::Arc};

use secrecy::ExposeSecret as _;
use ureq::{
    Agent, Body, Proxy, RequestBuilder,
    http::{self, Response, header},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
    typestate::WithBody,
};

use super::{
    Answer, Coding, Limits, Method, Request, Transport,
    header::{content_range_start, retry_after},
};
use crate::error::Error;

/// Who must have signed the server's certificate.
#[derive(Clone, Debug)]
pub enum CertificateAuthority {
    /// One of the authorities of the public web, as Mozilla lists them.
    PublicWeb,
    /// One of these and no other: the certificates of an operator's own authority.
    Own(Arc<Vec<Certificate<'static>>>),
}

impl CertificateAuthority {
    /// The largest file of certificates, in bytes.
    const FILE_BYTES_MAX: u64 = 1 << 20;

    /// Reads the PEM certificates in the file at `path`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut pem = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(Self::FILE_BYTES_MAX + 1).read_to_end(&mut pem))
            .map_err(|error| Error::disk(path, error))?;
        if pem.len() as u64 > Self::FILE_BYTES_MAX {
            let detail = format!("expected at most {} bytes", Self::FILE_BYTES_MAX);
            return Err(Error::input(format!("{}: {detail}", path.display())));
        }
        let certificates = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::input(format!("{}: {error}", path.display())))?;
        if certificates.is_empty() {
            let detail = "expected at least one PEM certificate (`BEGIN CERTIFICATE`)";
            return Err(Error::input(format!("{}: {detail}", path.display())));
        }
        Ok(Self::Own(Arc::new(certificates)))
    }
}

/// The [`Transport`] over HTTP/1.1. Connections and TLS sessions are kept between requests. No
/// environment variable makes it use a proxy.
#[derive(Debug)]
pub struct HttpTransport {
    agent: Agent,
    base: String,
}

impl HttpTransport {
    /// How often a download may be passed on, for example to an object store's signed address. The
    /// machine's credential does not go along.
    const REDIRECTS_MAX: u32 = 3;

    /// A transport to the server at `base`, for example `https://updates.example.com`.
    ///
    /// Without TLS (`http://`) only this machine itself is reached: the machine's credential would
    /// travel in the clear. A proxy, for example `http://proxy.example.com:3128`, is asked to let the
    /// encrypted connection through.
    pub fn new(
        base: &str,
        authority: &CertificateAuthority,
        proxy: Option<&str>,
        limits: Limits,
    ) -> Result<Self, Error> {
        let base = base.trim_end_matches('/');
        let encrypted = is_encrypted(base)?;
        let roots = match authority {
            CertificateAuthority::PublicWeb => RootCerts::WebPki,
            CertificateAuthority::Own(certificates) => {
                RootCerts::Specific(Arc::clone(certificates))
            }
        };
        let proxy = proxy.map(proxy_at).transpose()?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(encrypted)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .proxy(proxy)
            .max_redirects(Self::REDIRECTS_MAX)
            .user_agent(user_agent())
            .max_response_header_size(limits.head_bytes_max)
            .timeout_connect(Some(limits.connect_timeout))
            .timeout_recv_response(Some(limits.answer_timeout))
            .timeout_per_read(Some(limits.idle_timeout))
            .timeout_per_write(Some(limits.idle_timeout))
            .build()
            .new_agent();
        Ok(Self { agent, base: base.to_owned() })
    }

    fn get(&self, url: &str, request: &Request<'_>) -> Result<Response<Body>, ureq::Error> {
        let mut get =
            self.agent.get(url).header(header::ACCEPT_ENCODING, request.accepted.as_str());
        if let Some(token) = request.token {
            get = get.header(header::AUTHORIZATION, bearer(token));
        }
        if let Some(resume) = request.resume {
            get = get
                .header(header::RANGE, format!("bytes={}-", resume.from))
                .header(header::IF_RANGE, format!("\"{}\"", resume.digest));
        }
        get.call()
    }

    /// Sends `body`, which is of `content_type`, by `call`.
    fn say(
        call: RequestBuilder<WithBody>,
        request: &Request<'_>,
        content_type: &str,
        body: &[u8],
    ) -> Result<Response<Body>, ureq::Error> {
        // Nobody but the server itself may be told what a machine says.
        let mut call = call.config().max_redirects(0).build();
        if let Some(token) = request.token {
            call = call.header(header::AUTHORIZATION, bearer(token));
        }
        call.header(header::ACCEPT_ENCODING, request.accepted.as_str())
            .header(header::CONTENT_TYPE, content_type)
            .send(body)
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: &Request<'_>) -> Result<Answer, Error> {
        let url = format!("{}{}", self.base, request.path);
        let response = match request.method {
            Method::Get => self.get(&url, request),
            Method::Post(body) => {
                Self::say(self.agent.post(&url), request, "application/json", body)
            }
            Method::Put(body) => {
                Self::say(self.agent.put(&url), request, "application/octet-stream", body)
            }
        }
        .map_err(|error| Error::network(url, into_io(error)))?;
        let status = response.status().as_u16();
        let headers = response.headers();
        let range_start = value(headers, header::CONTENT_RANGE).and_then(content_range_start);
        let coding = Coding::named(content_encoding(headers));
        let retry_after = value(headers, header::RETRY_AFTER).and_then(retry_after);
        let body = response.into_body().into_reader();
        Ok(Answer { status, range_start, coding, retry_after, body: Box::new(body) })
    }
}

/// The error as one of input and output: `InvalidData` where the other side is not who it should
/// be or speaks nonsense, which trying again does not mend.
fn into_io(error: ureq::Error) -> std::io::Error {
    use std::io::{Error, ErrorKind};
    match error {
        ureq::Error::Io(error) => error,
        error @ (ureq::Error::Rustls(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Protocol(_)
        | ureq::Error::Http(_)
        | ureq::Error::BadUri(_)
        | ureq::Error::RequireHttpsOnly(_)
        | ureq::Error::LargeResponseHeader(..)
        | ureq::Error::TooManyRedirects) => Error::new(ErrorKind::InvalidData, error),
        error => Error::other(error),
    }
}

/// What the program calls itself towards a server.
fn user_agent() -> String {
    format!("mainstay-agent/{}", env!("CARGO_PKG_VERSION"))
}

fn bearer(token: &secrecy::SecretString) -> String {
    format!("Bearer {}", token.expose_secret())
}

/// Whether `base` is reached over TLS; refuses addresses that must not be used.
fn is_encrypted(base: &str) -> Result<bool, Error> {
    let refuse = |detail: &str| Err(Error::input(format!("server `{base}`: {detail}")));
    let Ok(uri) = base.parse::<http::Uri>() else {
        return refuse("expected an address such as https://updates.example.com");
    };
    let host = uri.host().unwrap_or_default();
    if host.is_empty() || uri.query().is_some() || base.contains(['@', '#']) {
        return refuse("expected an address such as https://updates.example.com");
    }
    match uri.scheme_str() {
        Some("https") => Ok(true),
        Some("http") if is_this_machine(host) => Ok(false),
        Some("http") => refuse("without TLS only this machine is reached; expected https://"),
        _ => refuse("expected an address that begins with https://"),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What `Content-Encoding` names; nothing where the body is as it is stored.
fn content_encoding(headers: &http::HeaderMap) -> &str {
    headers.get(header::CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("unreadable"))
}

fn proxy_at(address: &str) -> Result<Proxy, Error> {
    let is_http = address.starts_with("http://") || address.starts_with("https://");
    let proxy = Proxy::new(address).ok().filter(|_| is_http);
    proxy.ok_or_else(|| {
        let detail = "expected an address such as http://proxy.example.com:3128";
        Error::input(format!("proxy `{}`: {detail}", address.escape_debug()))
    })
}

/// The value of the header `name`, where there is a readable one.
fn value(headers: &http::HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_without_tls() {
        for good in ["http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"] {
            assert!(!is_encrypted(good).unwrap(), "{good}");
        }
        assert!(is_encrypted("https://updates.example.com/mainstay").unwrap());
        for bad in [
            "http://updates.example.com",
            "http://127.0.0.1.example.com",
            "ftp://localhost",
            "localhost:8080",
            "https://user:secret@example.com",
            "https://example.com/?a=b",
            "https://",
            "",
        ] {
            assert!(is_encrypted(bad).is_err(), "{bad}");
        }
    }
}
