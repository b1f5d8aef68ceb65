//! How many reports of machines the embedded store makes durable, and how long each waits for that, next
//! to appending to a file and `fdatasync` in the same folder, in turns. Each report is authenticated and
//! taken in as the server does it, without HTTP: one event, which tells of a release that the machine confirms.
//! In each round every machine tells of a release that is new to it, which is counted in the census and among
//! the release's outcomes, and then of the same one again, which is not. Prints a table.
//!
//! `cargo run --release --example reports -- [machines] [rounds]`; the store is a temporary one, in `TMPDIR`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]
#![expect(clippy::cast_precision_loss, reason = "figures are shown with a few digits")]

mod records;

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use mainstay::{
    clock::Clock,
    limits::Limits,
    policy::Tiers,
    service::{Service, keys::OnlineKeys},
    store::{MachineRecord, MetaStore as _, ObjectBlobs, SledStore},
};
use mainstay_client::{
    format::{Digest, wire::ReportRequest},
    tuf::SigningKey,
};
use serde_json::json;

use self::records::enrolled;

const PRODUCT: &str = "acme-db";
const CUSTOMERS: usize = 1000;
/// How many reports are on their way at a time.
const AT_ONCE: usize = 1024;
/// How often it is appended to the file in a round, and how much.
const APPENDS: usize = 200;
const APPENDED_BYTES: usize = 4096;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let machines: usize = arguments.next().unwrap_or(10_000);
    let rounds: usize = arguments.next().unwrap_or(7);
    let dir = tempfile::tempdir().unwrap();
    let service = filled(dir.path(), machines, rounds).await;

    let mut raw = Appending::begin(dir.path());
    let (mut appends, mut news, mut again) =
        (Figures::default(), Figures::default(), Figures::default());
    for round in 1..=rounds {
        let times = Times::of((0..APPENDS).map(|_| raw.append()).collect());
        appends.add(times.rate(), times);
        for (figures, number) in [(&mut news, 2 * round - 1), (&mut again, 2 * round)] {
            let request = report(number, round);
            let started = Instant::now();
            let reports = (0..machines).map(|machine| timed(&service, machine, &request));
            let times = stream::iter(reports).buffer_unordered(AT_ONCE).collect().await;
            figures.add(machines as f64 / started.elapsed().as_secs_f64(), Times::of(times));
        }
    }
    println!(
        "{machines} machines, {AT_ONCE} reports at once, {rounds} rounds: median (least to most)\n"
    );
    println!("| | each second | ms, p50 | ms, p99 |");
    println!("|---|---|---|---|");
    appends.print("append and `fdatasync`");
    news.print("reports of a version new to the machine, durable");
    again.print("reports of the same version again, durable");
}

/// How long it takes until a machine's report is acknowledged.
async fn timed(service: &Service, number: usize, request: &ReportRequest) -> Duration {
    let begun = Instant::now();
    let machine = service.authenticate_machine(&token(number)).await.unwrap();
    service.report(machine, request).await.unwrap();
    begun.elapsed()
}

/// A server's use cases over a store in which there are so many machines, which were offered a version for each
/// round.
async fn filled(dir: &Path, machines: usize, rounds: usize) -> Service {
    let store = Arc::new(SledStore::open(&dir.join("records")).unwrap());
    let created = stream::iter(0..machines)
        .map(|number| store.create_machine(machine(number, rounds), enrolled(now())));
    created.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.unwrap();
    let blobs = Arc::new(ObjectBlobs::local(&dir.join("blobs")).unwrap());
    let keys = OnlineKeys::open_or_create(&dir.join("keys")).unwrap();
    let uploads = dir.join("uploads");
    Service::new(store, blobs, keys, Clock::system(), Tiers::default(), Limits::DEFAULT, uploads)
}

/// A file that is appended to.
struct Appending(File);

impl Appending {
    fn begin(dir: &Path) -> Self {
        Self(File::create_new(dir.join("appended")).unwrap())
    }

    /// How long it takes until one more piece is durable.
    fn append(&mut self) -> Duration {
        let started = Instant::now();
        self.0.write_all(&[7; APPENDED_BYTES]).unwrap();
        self.0.sync_data().unwrap();
        started.elapsed()
    }
}

/// How long each of many took, the shortest first.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn milliseconds(&self, percentile: usize) -> f64 {
        self.0[(self.0.len() - 1) * percentile / 100].as_secs_f64() * 1000.0
    }

    /// How many there are in a second, one after another.
    fn rate(&self) -> f64 {
        self.0.len() as f64 / self.0.iter().sum::<Duration>().as_secs_f64()
    }
}

/// What the rounds came to.
#[derive(Default)]
struct Figures {
    rates: Vec<f64>,
    times: Vec<Times>,
}

impl Figures {
    fn add(&mut self, rate: f64, times: Times) {
        self.rates.push(rate);
        self.times.push(times);
    }

    fn print(&self, what: &str) {
        let percentile = |percentile| {
            spread(self.times.iter().map(|times| times.milliseconds(percentile)).collect(), 2)
        };
        let rates = spread(self.rates.clone(), 0);
        println!("| {what} | {rates} | {} | {} |", percentile(50), percentile(99));
    }
}

/// The median of some figures, and the least and the most.
fn spread(mut figures: Vec<f64>, digits: usize) -> String {
    figures.sort_unstable_by(f64::total_cmp);
    let (median, most) = (figures[figures.len() / 2], figures[figures.len() - 1]);
    format!("{median:.digits$} ({:.digits$} to {most:.digits$})", figures[0])
}

/// The report, with the event of this number, of a machine that confirms the version of a round.
fn report(number: usize, round: usize) -> ReportRequest {
    let version = version(round);
    let event = json!({ "number": number, "kind": "confirmed", "to": version });
    serde_json::from_value(json!({ "product": PRODUCT, "running": version, "events": [event] }))
        .unwrap()
}

fn version(round: usize) -> String {
    format!("1.{round}.0")
}

fn token(number: usize) -> String {
    format!("mmt_{number:064x}")
}

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn machine(number: usize, rounds: usize) -> MachineRecord {
    let digest = Digest::of(token(number).as_bytes());
    let customer = format!("customer-{}", number % CUSTOMERS);
    serde_json::from_value(json!({
        "revision": 1,
        "name": format!("m-{number:012x}"),
        "host": format!("host-{number}"),
        "customer": customer,
        "contract": customer,
        "product": PRODUCT,
        "platform": "linux-x86_64",
        "public_key": SigningKey::from_seed(digest.as_bytes()).public(),
        "token_sha256": digest,
        "enrolled_at": now(),
        "seen_at": now(),
        "agent": "0.1.0",
        "running": version(0),
        "offered": (1..=rounds).map(version).collect::<Vec<_>>(),
        "confirmed": [],
        "blocks": [],
        "order": null,
        "plan": { "version": 4, "content_sha256": digest, "issued": now(), "expires": now() },
        "event_number": 0,
    }))
    .unwrap()
}
