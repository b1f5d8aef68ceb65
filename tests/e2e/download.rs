//! Downloads over a line that is cut, stalls or lies.

use crate::{
    fleet::{assert_runs, customer, enroll, noise, publish},
    harness::{Machine, Server, eventually},
    proxy::{Passage, Proxy},
};

/// Longer than what a machine reads at once, and shorter than what a try must bring to count as a
/// success: so that the number of tries is known.
const CUT: usize = 300_000;
/// How often an agent tries before it gives up.
const TRIES: usize = 4;

/// A machine that runs 1.0.0 and reaches its server through a proxy; 1.0.1 is large.
fn behind_a_proxy() -> (Server, Proxy, Machine) {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let proxy = Proxy::to(server.url());
    let machine = Machine::bare();
    enroll(&machine, proxy.url(), &customer(&server, "standard"), &[]).succeeds();
    machine.agent(&["update"]).succeeds();
    let tree = server.tree("1.0.1");
    std::fs::write(tree.join("large"), noise(3 << 20)).unwrap();
    publish(&server, "1.0.1", "bugfix", &tree, &["--level", "1"]);
    (server, proxy, machine)
}

/// The artifact of 1.0.1 as the server has it.
fn artifact_length(server: &Server) -> usize {
    let arguments = ["--json", "release", "list", "--product", crate::harness::PRODUCT];
    let releases = server.mainstay(&arguments).succeeds().json();
    let newest = releases.as_array().unwrap().last().unwrap();
    assert_eq!(newest["release"]["version"], "1.0.1");
    let length = newest["artifacts"][crate::harness::platform()]["length"].as_u64().unwrap();
    usize::try_from(length).unwrap()
}

#[test]
fn a_download_that_is_cut_goes_on_where_it_was_and_no_byte_travels_twice() {
    let (server, proxy, machine) = behind_a_proxy();
    let before = proxy.fetches().len();
    proxy.set(Passage::CutAfter(CUT));
    let (exit, cut) = machine.agent_json(&["update"]);
    assert_eq!((exit, &cut["retryable"]), (32, &true.into()));
    assert_runs(&server, &machine, "1.0.0");
    proxy.set(Passage::Whole);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");

    let fetches = &proxy.fetches()[before..];
    assert_eq!(fetches.len(), TRIES + 1);
    for (number, fetch) in fetches.iter().enumerate() {
        let from = number * CUT;
        let range = (from > 0).then(|| format!("bytes={from}-"));
        assert_eq!((&fetch.range, fetch.status), (&range, if from > 0 { 206 } else { 200 }));
    }
    let travelled: usize = fetches.iter().map(|fetch| fetch.bytes).sum();
    assert_eq!(travelled, artifact_length(&server));
}

#[test]
fn a_download_goes_on_after_the_server_was_killed_and_started_anew() {
    let (mut server, proxy, machine) = behind_a_proxy();
    let before = proxy.fetches().len();
    proxy.set(Passage::StallAfter(CUT));
    let mut update = machine.command(&["update"]).spawn().unwrap();
    eventually("the download stalls", || (proxy.fetches().len() > before).then_some(()));
    server.kill_and_restart();
    proxy.lead_to(server.url());
    // The stalled connection ends now, and the same agent tries again.
    proxy.set(Passage::Whole);
    assert!(update.wait().unwrap().success());
    assert_runs(&server, &machine, "1.0.1");
    let last = proxy.fetches().pop().unwrap();
    assert_eq!(last.range, Some(format!("bytes={CUT}-")));
}

#[test]
fn a_download_goes_on_after_the_agent_was_killed() {
    let (server, proxy, machine) = behind_a_proxy();
    proxy.set(Passage::StallAfter(CUT));
    let mut update = machine.command(&["update"]).spawn().unwrap();
    let cache = machine.root().join(".mainstay/cache");
    // The last of it may still be on its way when the agent ends.
    let arrived = || -> u64 {
        let entries = std::fs::read_dir(&cache).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
    };
    eventually("the download stalls", || (arrived() == CUT as u64).then_some(()));
    update.kill().unwrap();
    update.wait().unwrap();
    proxy.set(Passage::Whole);
    assert_runs(&server, &machine, "1.0.0");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(proxy.fetches().pop().unwrap().range, Some(format!("bytes={CUT}-")));
}

#[test]
fn a_download_with_a_flipped_bit_is_refused_and_the_old_version_stays() {
    let (server, proxy, machine) = behind_a_proxy();
    proxy.set(Passage::BitFlippedAt(CUT));
    let (exit, refused) = machine.agent_json(&["update"]);
    assert_eq!((exit, &refused["kind"]), (34, &"trust".into()));
    assert_runs(&server, &machine, "1.0.0");
    proxy.set(Passage::Whole);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(proxy.fetches().pop().unwrap().range, None, "nothing of what was wrong is kept");
}

#[test]
fn a_bit_that_flips_before_a_cut_costs_one_more_download() {
    let (server, proxy, machine) = behind_a_proxy();
    // What is there of an earlier try was damaged on the disk.
    proxy.set(Passage::CutAfter(CUT));
    machine.agent(&["update"]).exits(32);
    let cache = machine.root().join(".mainstay/cache");
    let part = std::fs::read_dir(cache).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&part).unwrap();
    assert_eq!(bytes.len(), TRIES * CUT);
    bytes[CUT] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    proxy.set(Passage::Whole);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(proxy.fetches().pop().unwrap().bytes, artifact_length(&server));
}

#[test]
fn a_download_that_is_said_to_be_shorter_is_not_taken_for_whole() {
    let (server, proxy, machine) = behind_a_proxy();
    proxy.set(Passage::ShortBy(1));
    let (exit, error) = machine.agent_json(&["update"]);
    assert!(matches!(exit, 32 | 34), "{error}");
    assert_runs(&server, &machine, "1.0.0");
    proxy.set(Passage::Whole);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}
