//! Adds machines to the records of a server that does not run, for measuring it, and writes down how each
//! asks for its plan: one request a line, as a JSON string, for `load`.
//!
//! `fleet <records> <product> <contract> <platform> <machines> <file> <requests at most>`

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

mod records;

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use mainstay::store::{MachineRecord, MetaStore as _, SledStore};
use mainstay_client::{format::Digest, tuf::SigningKey};
use serde_json::json;

use self::records::enrolled;

/// How many changes are on their way at a time.
const AT_ONCE: usize = 1024;

struct Fleet {
    product: String,
    contract: String,
    platform: String,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap();
    let store = SledStore::open(Path::new(&next())).unwrap();
    let fleet = Fleet { product: next(), contract: next(), platform: next() };
    let machines: usize = next().parse().unwrap();
    let mut file = BufWriter::new(File::create(next()).unwrap());
    let requests_max: usize = next().parse().unwrap();
    let created = stream::iter(0..machines)
        .map(|number| store.create_machine(fleet.machine(number), enrolled(now())));
    created.buffer_unordered(AT_ONCE).try_for_each(async |()| Ok(())).await.unwrap();
    let requests = machines.min(requests_max);
    for number in 0..requests {
        // They are far from one another in the store.
        let request = serde_json::to_string(&fleet.check(number * machines / requests)).unwrap();
        writeln!(file, "{request}").unwrap();
    }
    file.flush().unwrap();
}

impl Fleet {
    fn machine(&self, number: usize) -> MachineRecord {
        let digest = Digest::of(token(number).as_bytes());
        serde_json::from_value(json!({
            "revision": 1,
            "name": format!("m-{number:012x}"),
            "host": format!("host-{number}"),
            "customer": self.contract,
            "contract": self.contract,
            "product": self.product,
            "platform": self.platform,
            "public_key": SigningKey::from_seed(digest.as_bytes()).public(),
            "token_sha256": digest,
            "enrolled_at": now(),
            "seen_at": now(),
            "agent": "bench",
            "running": null,
            "offered": [],
            "confirmed": [],
            "blocks": [],
            "order": null,
            "plan": null,
            "event_number": 0,
        }))
        .unwrap()
    }

    /// The check of a machine that has all metadata.
    fn check(&self, number: usize) -> String {
        let newest = 1 << 30;
        let channels =
            json!({ "bugfix": newest, "security": newest, "feature": newest, "major": newest });
        let known = json!({
            "root": 1, "timestamp": newest, "snapshot": newest, "targets": newest, "channels": channels,
        });
        let question = json!({
            "product": self.product, "platform": self.platform, "running": "1.0.0", "known": known,
            "agent": "bench",
        });
        let (body, token) = (question.to_string(), token(number));
        let length = body.len();
        format!(
            "POST /v1/check HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }
}

fn token(number: usize) -> String {
    format!("mmt_{number:064x}")
}

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}
