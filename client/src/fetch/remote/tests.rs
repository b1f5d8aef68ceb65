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
    fetch::{Coding, Mirror},
    format::{Digest, Platform},
    tuf::{Hashes, SigningKey, Target},
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

impl Slow {
    fn new(status: u16) -> Self {
        Self { status, asked: Arc::default() }
    }

    fn remote(self) -> Remote {
        Remote::new(Box::new(self), FASTER_THAN_IT, Retry::AT_ONCE)
    }

    fn mirror(self) -> Mirror {
        Mirror::new(Box::new(self), FASTER_THAN_IT, Retry::AT_ONCE)
    }
}

/// Nothing that trickles two milliseconds a byte is ever this fast.
const FASTER_THAN_IT: Limits =
    Limits { rate_bytes_min: 10_000, rate_window: Duration::from_millis(10), ..Limits::DEFAULT };

fn file() -> TargetFile {
    let path = "bugfix/1.0.1/release.json".parse().unwrap();
    TargetFile { path, length: 1 << 20, sha256: Digest::of(b"") }
}

type Ask = fn(Slow, &ProductName) -> Result<(), Error>;

#[test]
fn whatever_is_read_must_not_come_too_slowly() {
    let reads: [(&str, Ask); 7] = [
        ("/v1/enroll", |slow, product| {
            let key = SigningKey::from_seed(&[1; 32]);
            let request = EnrollRequest {
                activation_key: "key".to_owned(),
                product: product.clone(),
                platform: Platform::of_this_program(),
                host: "db-1".to_owned(),
                public_key: key.public(),
                proof: key.sign(b""),
            };
            slow.remote().enroll(&request).map(drop)
        }),
        ("/v1/check", |slow, product| {
            let request = CheckRequest {
                product: product.clone(),
                platform: Platform::of_this_program(),
                running: None,
                known: crate::format::wire::KnownMetadata::default(),
                agent: "test".to_owned(),
                facts: None,
                waits: None,
            };
            slow.remote().check(&request).map(drop)
        }),
        ("timestamp.json", |slow, product| {
            slow.remote().metadata(product, "timestamp.json", 16_000).map(drop)
        }),
        ("release.json", |slow, product| slow.remote().target(product, &file()).map(drop)),
        ("release.json", |slow, product| {
            let cache = tempfile::tempdir().unwrap();
            let remote = slow.remote();
            remote.download(product, &file()).into_cache(cache.path(), &mut |_| {}).map(drop)
        }),
        ("/timestamp.json", |slow, _| slow.mirror().file("/timestamp.json", 16_000).map(drop)),
        ("/release.json", |slow, _| {
            let target =
                Target { length: 1 << 20, hashes: Hashes::sha256(Digest::of(b"")), custom: None };
            slow.mirror().target("/release.json", &target, &mut io::Cursor::new(Vec::new()))
        }),
    ];
    let product = "acme-db".parse().unwrap();
    for (what, read) in reads {
        let slow = Slow::new(200);
        let asked = Arc::clone(&slow.asked);
        let error = read(slow, &product).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains(what) && cause.contains("too slow"), "{error}: {cause}");
        assert_eq!(asked.load(Ordering::SeqCst), Retry::AT_ONCE.tries, "{what}");
    }
}

/// That the server refuses is known from its status; why is not waited for any longer.
#[test]
fn a_refusal_that_trickles_is_a_refusal() {
    let slow = Slow::new(403);
    let asked = Arc::clone(&slow.asked);
    let error =
        slow.remote().metadata(&"acme-db".parse().unwrap(), "timestamp.json", 1).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Server, "http_403"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
