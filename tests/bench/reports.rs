//! How many reports of machines the embedded store makes durable, and how long each waits for that, next
//! to appending to a file and `fdatasync` in the same folder, in turns. Each report is authenticated and
//! taken in as the server does it, without HTTP: one event, which is counted among the outcomes of the
//! release that it tells of. Prints a table.
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
    let rounds = arguments.next().unwrap_or(7);
    let dir = tempfile::tempdir().unwrap();
    let service = filled(dir.path(), machines).await;

    let mut raw = Appending::begin(dir.path());
    let (mut rates, mut waits, mut appends) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        appends.push(Times::of((0..APPENDS).map(|_| raw.append()).collect()));
        let request = report(1 + round as u64);
        let started = Instant::now();
        let reports = (0..machines).map(|number| timed(&service, number, &request));
        let times = stream::iter(reports).buffer_unordered(AT_ONCE).collect().await;
        rates.push(machines as f64 / started.elapsed().as_secs_f64());
        waits.push(Times::of(times));
    }
    println!(
        "{machines} machines, {AT_ONCE} reports at once, {rounds} rounds: median (least to most)\n"
    );
    println!("| | each second | ms, p50 | ms, p99 |");
    println!("|---|---|---|---|");
    line("append and `fdatasync`", &appends.iter().map(Times::rate).collect::<Vec<_>>(), &appends);
    line("reports, durable", &rates, &waits);
    let ratio = Spread::of(&rates).median / Spread::of(appends.iter().map(Times::rate)).median;
    println!("\nreports for each append: {ratio:.1}");
}

/// How long it takes until a machine's report is acknowledged.
async fn timed(service: &Service, number: usize, request: &ReportRequest) -> Duration {
    let begun = Instant::now();
    let machine = service.authenticate_machine(&token(number)).await.unwrap();
    service.report(machine, request).await.unwrap();
    begun.elapsed()
}

/// A server's use cases over a store in which there are so many machines.
async fn filled(dir: &Path, machines: usize) -> Service {
    let store = Arc::new(SledStore::open(&dir.join("records")).unwrap());
    let created = stream::iter(0..machines)
        .map(|number| store.create_machine(machine(number), enrolled(now())));
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

/// The rounds' figures.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(figures: impl IntoIterator<Item = impl std::borrow::Borrow<f64>>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().map(|figure| *figure.borrow()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self { median: sorted[sorted.len() / 2], least: sorted[0], most: sorted[sorted.len() - 1] }
    }

    fn shown(&self, digits: usize) -> String {
        let Self { median, least, most } = self;
        format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
    }
}

fn line(what: &str, rates: &[f64], times: &[Times]) {
    let percentile =
        |percentile| Spread::of(times.iter().map(|times| times.milliseconds(percentile))).shown(2);
    println!(
        "| {what} | {} | {} | {} |",
        Spread::of(rates).shown(0),
        percentile(50),
        percentile(99)
    );
}

fn report(number: u64) -> ReportRequest {
    let event = json!({ "number": number, "kind": "confirmed", "to": "1.1.0" });
    serde_json::from_value(json!({ "product": PRODUCT, "running": "1.1.0", "events": [event] }))
        .unwrap()
}

fn token(number: usize) -> String {
    format!("mmt_{number:064x}")
}

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn machine(number: usize) -> MachineRecord {
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
        "running": "1.1.0",
        "offered": ["1.1.0"],
        "confirmed": [],
        "blocks": [],
        "order": null,
        "plan": { "version": 4, "content_sha256": digest, "issued": now(), "expires": now() },
        "event_number": 0,
    }))
    .unwrap()
}
