//! What deciding every release of a large catalogue for one machine takes: on one core, against a
//! walk over the same releases that decides nothing. Prints both, and their ratio.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::{
    collections::BTreeSet,
    hint::black_box,
    time::{Duration, Instant},
};

use mainstay::policy::{Catalogue, Contract, Release, Standing};
use serde_json::json;

/// As many releases in each of the four channels.
const RELEASES: u64 = 1000;

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(200, |text| text.parse().unwrap());
    let releases: Vec<Release> = (0..RELEASES).flat_map(releases).collect();
    let count = releases.len();
    let catalogue = Catalogue::new("acme-db".parse().unwrap(), [], releases).unwrap();
    let contract: Contract = serde_json::from_value(json!({
        "products": ["acme-db"], "channels": ["bugfix", "security", "feature"],
        "base_line": "500.0", "cap": "700.5", "fallback": "perpetual", "bridge": "critical",
        "grace_days": 30, "security_tail_days": 90,
        "terms": [{ "start": "2020-01-01T00:00:00Z", "end": "2030-01-01T00:00:00Z" }]
    }))
    .unwrap();
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    let history: BTreeSet<_> = ["499.0.0", "499.0.1"].map(|it| it.parse().unwrap()).into();

    let (mut walks, mut decisions) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        walks.push(timed(|| {
            catalogue.releases().map(|release| release.version.clone()).collect::<Vec<_>>()
        }));
        decisions.push(timed(|| Standing::new(&contract, &catalogue, now).decide_all(&history)));
    }
    let (walk, decide) = (median(walks), median(decisions));
    let ratio = decide.as_secs_f64() / walk.as_secs_f64();
    println!("{count} releases: decided in {decide:?}, walked over in {walk:?}, ratio {ratio:.2}");
}

/// A release of each channel, of which the lines are as many as the releases of a channel.
fn releases(number: u64) -> [Release; 4] {
    let release = |version: String, channel: &str, advisories: &[String]| {
        serde_json::from_value(json!({
            "version": version, "channel": channel, "severity": "critical",
            "published_at": "2025-01-01T00:00:00Z", "advisories": advisories
        }))
        .unwrap()
    };
    let advisory = [format!("CVE-2025-{}", 1000 + number)];
    [
        release(format!("{number}.0.0"), "major", &[]),
        release(format!("{number}.1.0"), "feature", &[]),
        release(format!("{number}.0.1"), "bugfix", &[]),
        release(format!("{number}.0.2"), "security", &advisory),
    ]
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    let result = black_box(work());
    let taken = started.elapsed();
    drop(result);
    taken
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
