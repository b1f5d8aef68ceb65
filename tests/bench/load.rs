//! Sends requests to an HTTP server over connections that are kept, and tells how long the answers took.
//! It does as little as it can, so that a server beside it has the processor for itself.
//!
//! `load <address> <file> <connections> [count <requests>] [seconds <seconds>] [rate <requests each second>]`:
//! each line of the file is a request, as a JSON string; they are sent in turns, so many in all, or for so
//! long. Without a rate each connection asks as soon as it was answered. With one, requests are due at equal
//! intervals, and a wait counts from when its request was due. Prints a JSON object: how many requests, in
//! how many seconds, and percentiles of the waits in milliseconds.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]
#![expect(clippy::cast_precision_loss, reason = "an instant need not be met to the nanosecond")]

use std::{
    cell::Cell,
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::LocalSet,
};

/// What all connections share.
struct Plan {
    requests: Vec<String>,
    sent: Cell<usize>,
    count: usize,
    started: Instant,
    lasts: Duration,
    interval: Option<Duration>,
}

impl Plan {
    /// The next request, and when it is due; nothing at the end.
    fn next(&self) -> Option<(&str, Option<Instant>)> {
        let number = self.sent.get();
        let due = self.interval.map(|interval| self.started + interval.mul_f64(number as f64));
        let is_over = due.unwrap_or_else(Instant::now).duration_since(self.started) >= self.lasts;
        if number >= self.count || is_over {
            return None;
        }
        self.sent.set(number + 1);
        Some((&self.requests[number % self.requests.len()], due))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap();
    let (address, file) = (next(), std::fs::read_to_string(next()).unwrap());
    let connections: usize = next().parse().unwrap();
    let options: Vec<String> = arguments.collect();
    let options: BTreeMap<&str, &str> =
        options.chunks(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let number = |name| options.get(name).map(|text| text.parse::<f64>().unwrap());
    let mut open = Vec::new();
    for _ in 0..connections {
        let connection = TcpStream::connect(&address).await.unwrap();
        connection.set_nodelay(true).unwrap();
        open.push(connection);
    }
    let plan = Rc::new(Plan {
        requests: file.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        sent: Cell::new(0),
        count: options.get("count").map_or(usize::MAX, |text| text.parse().unwrap()),
        started: Instant::now(),
        lasts: number("seconds").map_or(Duration::MAX, Duration::from_secs_f64),
        interval: number("rate").map(|rate| Duration::from_secs_f64(1.0 / rate)),
    });
    let local = LocalSet::new();
    let tasks: Vec<_> =
        open.into_iter().map(|it| local.spawn_local(converse(Rc::clone(&plan), it))).collect();
    local.await;
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    let elapsed = plan.started.elapsed().as_secs_f64();
    waits.sort_unstable();
    let percentile = |thousandths: usize| {
        waits
            .get(waits.len().saturating_sub(1) * thousandths / 1000)
            .map(|wait| wait.as_secs_f64() * 1000.0)
    };
    let told = serde_json::json!({
        "requests": waits.len(), "seconds": elapsed,
        "p50": percentile(500), "p99": percentile(990), "p999": percentile(999),
    });
    println!("{told}");
}

/// Asks on one connection until there is nothing more to ask: how long each answer took.
async fn converse(plan: Rc<Plan>, mut connection: TcpStream) -> Vec<Duration> {
    let (mut waits, mut room) = (Vec::new(), vec![0; 64 << 10]);
    while let Some((request, due)) = plan.next() {
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let begun = due.unwrap_or_else(Instant::now);
        connection.write_all(request.as_bytes()).await.unwrap();
        receive(&mut connection, &mut room).await;
        waits.push(begun.elapsed());
    }
    waits
}

/// Takes in one answer, which must be a success and say its length.
async fn receive(connection: &mut TcpStream, room: &mut [u8]) {
    let (mut received, mut length) = (0, None);
    while length.is_none_or(|length| received < length) {
        let count = connection.read(&mut room[received..]).await.unwrap();
        assert!(count > 0, "the connection was closed");
        received += count;
        length = length.or_else(|| whole_length(&room[..received]));
    }
}

/// The length of an answer, head and body, once its head is there.
fn whole_length(received: &[u8]) -> Option<usize> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&received[..end]).unwrap();
    let is_good = ["HTTP/1.1 200 ", "HTTP/1.1 204 "].iter().any(|good| head.starts_with(good));
    assert!(is_good, "{}", String::from_utf8_lossy(received));
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    Some(end + length.unwrap_or(0))
}
