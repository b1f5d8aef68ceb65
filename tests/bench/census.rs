//! What the census, a page of a list and one report cost where there are many machines, next to reading
//! every machine once. Everything is measured at the store, in one run, on a temporary one that is filled
//! through the same interface. Prints a table.
//!
//! `cargo run --release --example census -- 1000000`

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

mod records;

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use mainstay::{
    policy::{Cell, Count, Day},
    store::{ListPlace, Listed, MachineChange, MachineRecord, MetaStore, Selection, SledStore},
};
use mainstay_client::{
    format::Digest,
    tuf::{PublicKey, SigningKey},
};
use serde_json::json;

use self::records::enrolled;

const PRODUCT: &str = "acme-db";
const CUSTOMERS: u64 = 1000;
const VERSIONS: u64 = 20;
/// One machine in so many is silent.
const SILENT_ONE_IN: u64 = 50;
const PAGE: usize = 100;
const ROUNDS: usize = 20;
/// How many changes are on their way at a time while the store is filled.
const FILLING: usize = 1024;

#[tokio::main]
async fn main() {
    let machines: u64 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let started = Instant::now();
    let filling = stream::iter(0..machines)
        .map(|number| store.create_machine(machine(number), enrolled(now())));
    filling.buffer_unordered(FILLING).for_each(|created| async { created.unwrap() }).await;
    eprintln!("{machines} machines are there after {:.0} s", started.elapsed().as_secs_f64());

    let everything = Selection { product: PRODUCT.parse().ok(), ..Selection::default() };
    let scan = timed(async || scan(&store, &everything).await).await;
    println!(
        "| {machines} machines, {CUSTOMERS} customers | ms (median of {ROUNDS}) | of the scan |"
    );
    println!("|---|---|---|");
    println!("| read every machine once and count it | {:.1} | 1 |", milliseconds(scan));
    let line = |what: &str, times: Vec<Duration>| {
        let median = median(times);
        let ratio = scan.as_secs_f64() / median.as_secs_f64();
        println!("| {what} | {:.3} | 1/{ratio:.0} |", milliseconds(median));
    };
    let of_one = Selection { customers: Some([customer(7)].into()), ..everything.clone() };
    let version = Selection { version: "1.3.0".parse().ok(), ..everything.clone() };

    let product = PRODUCT.parse().unwrap();
    line(
        "census, customers together",
        rounds(async || store.census_together(&product).await).await,
    );
    line(
        "census of one customer",
        rounds(async || store.census_after(&of_one, None, 1000).await).await,
    );
    let page = rounds(async || store.census_after(&everything, None, 1000).await).await;
    line("census, a page of 1,000 rows, each customer apart", page);

    let middle = ListPlace::of(&machine(machines / 2));
    let silent = Listed::SeenUntil(now() - SignedDuration::from_hours(90 * 24));
    let pages = [
        ("list, the first 100 machines", &everything, Listed::InUse, None),
        ("list, 100 machines from the middle on", &everything, Listed::InUse, Some(&middle)),
        ("list, 100 machines on one version", &version, Listed::InUse, None),
        ("list, 100 machines of one customer", &of_one, Listed::InUse, None),
        ("list, 100 silent machines", &everything, silent, None),
        ("list, the silent machines of one customer", &of_one, silent, None),
    ];
    for (what, selection, listed, after) in pages {
        let ask = async || store.machines_after(selection, listed, after, PAGE).await;
        line(what, rounds(ask).await);
    }
    let mut times = Vec::new();
    for round in 0..ROUNDS as u64 {
        let reporting = apart(round, machines);
        times.push(report(&store, reporting, |machine| machine.event_number += 1).await);
    }
    line("one report that changes no count, durable", times);
    let mut times = Vec::new();
    for round in 0..ROUNDS as u64 {
        let update = |machine: &mut MachineRecord| machine.running = "1.19.0".parse().ok();
        times.push(report(&store, apart(round, machines), update).await);
    }
    line("one report of another version, durable", times);
}

/// Reads every machine and counts it, as the census does.
async fn scan(store: &SledStore, everything: &Selection) -> u64 {
    let mut census = BTreeMap::<Cell, Count>::new();
    let mut after = None;
    loop {
        let page = store.machines_after(everything, Listed::InUse, after.as_ref(), 10_000);
        let page = page.await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(ListPlace::of(last));
        for counted in page.iter().filter_map(MachineRecord::counted) {
            census.entry(counted.cell.clone()).or_default().join(&counted);
        }
    }
    census.values().map(|count| count.figures(Day::numbered(0)).installed).sum()
}

/// Machines that are far from one another in the store, one for each round.
fn apart(round: u64, machines: u64) -> u64 {
    round * 997 % machines
}

async fn report(
    store: &SledStore,
    number: u64,
    change: impl FnOnce(&mut MachineRecord),
) -> Duration {
    let mut machine = store.machine(&machine(number).name).await.unwrap();
    change(&mut machine);
    let change = MachineChange { machine, plan: None, events: Vec::new(), audit: None };
    let started = Instant::now();
    store.change_machine(change).await.unwrap();
    started.elapsed()
}

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn customer(number: u64) -> mainstay_client::format::CustomerName {
    format!("customer-{}", number % CUSTOMERS).parse().unwrap()
}

/// Neighbours differ in customer and version; a few have been silent for 90 days or more.
fn machine(number: u64) -> MachineRecord {
    let name = format!("m-{number:012x}");
    let digest = Digest::of(name.as_bytes());
    let silent_days =
        if number.is_multiple_of(SILENT_ONE_IN) { 90 + number / SILENT_ONE_IN % 300 } else { 0 };
    let hours = i64::try_from(24 * silent_days + number % 24).unwrap();
    let version = format!("1.{}.0", (number / CUSTOMERS) % VERSIONS);
    serde_json::from_value(json!({
        "revision": 1,
        "name": name,
        "host": format!("host-{number}"),
        "customer": customer(number),
        "contract": customer(number),
        "product": PRODUCT,
        "platform": if number.is_multiple_of(3) { "linux-aarch64" } else { "linux-x86_64" },
        "public_key": key(&digest),
        "token_sha256": digest,
        "enrolled_at": "2026-01-01T00:00:00Z",
        "seen_at": now() - SignedDuration::from_hours(hours),
        "agent": "0.1.0",
        "running": version,
        "offered": [version],
        "confirmed": [version],
        "blocks": [],
        "order": null,
        "plan": { "version": 4, "content_sha256": digest, "issued": now(), "expires": now() },
        "event_number": 3,
        "facts": { "kernel": "6.1" },
    }))
    .unwrap()
}

fn key(digest: &Digest) -> PublicKey {
    SigningKey::from_seed(digest.as_bytes()).public()
}

async fn timed<T>(work: impl AsyncFnOnce() -> T) -> Duration {
    let started = Instant::now();
    let result = black_box(work().await);
    let taken = started.elapsed();
    drop(result);
    taken
}

async fn rounds<T>(work: impl AsyncFn() -> T) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(timed(&work).await);
    }
    times
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
