//! The server's memory does not grow with what passes through it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    time::Instant,
};

use crate::harness::{PRODUCT, Server, platform};

/// How large an artifact is published, in MiB, unless `MAINSTAY_TEST_ARTIFACT_MIB` says otherwise.
const ARTIFACT_MIB_DEFAULT: u64 = 256;
/// How much memory the server may take for it, in MiB.
const GROWTH_MIB_MAX: u64 = 64;

/// The most memory that a process has ever held, in KiB.
fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Downloads an artifact and keeps nothing of it; says how many bytes came.
fn download(server: &Server, path: &str) -> u64 {
    let bearer = format!("Bearer {}", server.admin_token());
    let mut connection = server.begin(&format!("GET {path}"), &[("Authorization", &bearer)]);
    connection.write_all(b"\r\n").unwrap();
    io::copy(&mut connection, &mut io::sink()).unwrap()
}

#[test]
fn a_large_artifact_takes_little_memory() {
    let artifact_mib = std::env::var("MAINSTAY_TEST_ARTIFACT_MIB")
        .map_or(ARTIFACT_MIB_DEFAULT, |text| text.parse().unwrap());
    let server = Server::with_product();
    let tree = server.tree("1.0.0");
    // Random, so that the artifact is as large as the tree.
    let random = File::open("/dev/urandom").unwrap();
    let mut data = File::create(tree.join("data")).unwrap();
    io::copy(&mut random.take(artifact_mib << 20), &mut data).unwrap();

    let idle = peak_kib(server.process());
    let started = Instant::now();
    server.publish_tree("1.0.0", "major", &tree, &["--level", "1"]).succeeds();
    let published = started.elapsed();

    let artifact = server.visible().releases[0]["artifacts"][platform()].clone();
    let length = artifact["length"].as_u64().unwrap();
    assert!(length >= artifact_mib << 20, "{length}");
    let file = format!("{}.{}.tar.zst", artifact["sha256"].as_str().unwrap(), platform());
    let path = format!("/repo/{PRODUCT}/targets/major/1.0.0/{file}");
    let started = Instant::now();
    let received = download(&server, &path);
    assert!(received > length, "{received} of {length}");
    let downloaded = started.elapsed();

    let growth_mib = (peak_kib(server.process()) - idle) >> 10;
    println!(
        "{artifact_mib} MiB: {growth_mib} MiB above {} MiB; {:.1} s to publish, {:.1} s to download",
        idle >> 10,
        published.as_secs_f64(),
        downloaded.as_secs_f64(),
    );
    assert!(
        growth_mib < GROWTH_MIB_MAX,
        "the server took {growth_mib} MiB for an artifact of {artifact_mib} MiB"
    );
}
