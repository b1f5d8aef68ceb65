use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::*;
use crate::{
    error::ErrorKind,
    fetch::Coding,
    format::{Digest, Platform},
    tuf::SigningKey,
};

/// Brings a byte every two milliseconds, for ever.
struct Trickle;

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_millis(2));
        buffer.first_mut().map_or(Ok(0), |byte| {
            *byte = b' ';
            Ok(1)
        })
    }
}

/// A server of which every answer trickles.
struct Slow {
    status: u16,
    asked: Arc<AtomicU32>,
}

impl Transport for Slow {
    fn send(&self, _: &Request<'_>) -> Result<Answer, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(Answer {
            status: self.status,
            range_start: None,
            coding: Coding::Identity,
            retry_after: None,
            body: Box::new(Trickle),
        })
    }
}

fn slow(status: u16) -> (Remote, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let limits = Limits {
        // Nothing that trickles two milliseconds a byte is ever this fast.
        rate_bytes_min: 10_000,
        rate_window: Duration::from_millis(10),
        ..Limits::DEFAULT
    };
    let transport = Box::new(Slow { status, asked: Arc::clone(&asked) });
    (Remote::new(transport, limits, Retry::AT_ONCE), asked)
}

fn file() -> TargetFile {
    let path = "bugfix/1.0.1/release.json".parse().unwrap();
    TargetFile { path, length: 1 << 20, sha256: Digest::of(b"") }
}

type Ask = fn(&Remote, &ProductName) -> Result<(), Error>;

#[test]
fn whatever_is_read_must_not_come_too_slowly() {
    let reads: [(&str, Ask); 5] = [
        ("/v1/enroll", |remote, product| {
            let key = SigningKey::from_seed(&[1; 32]);
            let request = EnrollRequest {
                activation_key: "key".to_owned(),
                product: product.clone(),
                platform: Platform::of_this_program(),
                host: "db-1".to_owned(),
                public_key: key.public(),
                proof: key.sign(b""),
            };
            remote.enroll(&request).map(drop)
        }),
        ("/v1/check", |remote, product| {
            let request = CheckRequest {
                product: product.clone(),
                platform: Platform::of_this_program(),
                running: None,
                known: crate::format::wire::KnownMetadata::default(),
                agent: "test".to_owned(),
                facts: None,
            };
            remote.check(&request).map(drop)
        }),
        ("timestamp.json", |remote, product| {
            remote.metadata(product, "timestamp.json", 16_000).map(drop)
        }),
        ("release.json", |remote, product| remote.target(product, &file()).map(drop)),
        ("release.json", |remote, product| {
            let cache = tempfile::tempdir().unwrap();
            remote.download(product, &file()).into_cache(cache.path(), &mut |_| {}).map(drop)
        }),
    ];
    let product = "acme-db".parse().unwrap();
    for (what, read) in reads {
        let (remote, asked) = slow(200);
        let error = read(&remote, &product).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains(what) && cause.contains("too slow"), "{error}: {cause}");
        assert_eq!(asked.load(Ordering::SeqCst), Retry::AT_ONCE.tries, "{what}");
    }
}

/// That the server refuses is known from its status; why is not waited for any longer.
#[test]
fn a_refusal_that_trickles_is_a_refusal() {
    let (remote, asked) = slow(403);
    let error = remote.metadata(&"acme-db".parse().unwrap(), "timestamp.json", 1).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Server, "http_403"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
