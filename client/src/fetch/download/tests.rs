use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::*;
use crate::{
    fetch::{
        CertificateAuthority, HttpTransport, Limits, Retry,
        test_server::{Body, Received, Reply, TestServer},
    },
    format::{ProductName, TargetFile},
};

/// Bytes that no two offsets share for long.
fn file() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn announced(bytes: &[u8]) -> TargetFile {
    TargetFile {
        path: "bugfix/1.0.1/linux-x86_64.tar.zst".parse().unwrap(),
        length: bytes.len() as u64,
        sha256: Digest::of(bytes),
    }
}

struct Case {
    server: TestServer,
    remote: Remote,
    cache: TempDir,
}

impl Case {
    fn new(handler: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let server = TestServer::start(handler);
        let authority = CertificateAuthority::PublicWeb;
        let http = HttpTransport::new(&server.url(), &authority, None, Limits::DEFAULT).unwrap();
        let remote = Remote::new(Box::new(http), Limits::DEFAULT, Retry::AT_ONCE)
            .with_token("mst_secret".to_owned().into());
        Self { server, remote, cache: tempfile::tempdir().unwrap() }
    }

    fn download(&self, file: &TargetFile) -> Result<PathBuf, Error> {
        let product: ProductName = "acme-db".parse().unwrap();
        self.remote.download(&product, file).into_cache(self.cache.path(), &mut |_| {})
    }

    fn part(&self, file: &TargetFile) -> PathBuf {
        self.cache.path().join(format!("{}.part", file.sha256))
    }

    fn files(&self) -> Vec<String> {
        std::fs::read_dir(self.cache.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

#[test]
fn a_file_arrives_once() {
    let bytes = file();
    let case = Case::new(move |request| Reply::file(request, &file()));
    let whole = case.download(&announced(&bytes)).unwrap();
    assert_eq!(std::fs::read(&whole).unwrap(), bytes);
    case.download(&announced(&bytes)).unwrap();
    let requests = case.server.received();
    assert_eq!(requests.len(), 1, "the second time it is in the cache");
    let digest = Digest::of(&bytes);
    assert_eq!(
        requests[0].path,
        format!("/repo/acme-db/targets/bugfix/1.0.1/{digest}.linux-x86_64.tar.zst")
    );
    assert_eq!(requests[0].header("authorization"), Some("Bearer mst_secret"));
    let agent = format!("mainstay-agent/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(requests[0].header("user-agent"), Some(agent.as_str()));
}

#[test]
fn a_cut_download_goes_on_where_it_ended() {
    let tries = AtomicUsize::new(0);
    let case = Case::new(move |request| {
        let reply = Reply::file(request, &file());
        match tries.fetch_add(1, Ordering::SeqCst) {
            0 => reply.cut_after(500_000),
            _ => reply,
        }
    });
    let whole = case.download(&announced(&file())).unwrap();
    assert_eq!(std::fs::read(whole).unwrap(), file());
    let requests = case.server.received();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("range"), Some("bytes=500000-"));
    let tag = format!("\"{}\"", Digest::of(&file()));
    assert_eq!(requests[1].header("if-range"), Some(tag.as_str()));
}

#[test]
fn tries_that_bring_much_do_not_count() {
    let step = usize::try_from(Download::PROGRESS_BYTES_MIN).unwrap();
    let bytes = vec![7; step * 8];
    let served = bytes.clone();
    let case = Case::new(move |request| {
        let rest = Reply::file(request, &served);
        let Body::Whole(ref body) = rest.body else { unreachable!() };
        let count = body.len().min(step);
        rest.cut_after(count)
    });
    case.download(&announced(&bytes)).unwrap();
    assert_eq!(case.server.received().len(), 8, "more than the tries of a standstill");
}

#[test]
fn a_server_that_brings_nothing_is_given_up() {
    let case = Case::new(|request| Reply::file(request, &file()).cut_after(0));
    let error = case.download(&announced(&file())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(case.server.received().len(), 4);
}

#[test]
fn an_interrupted_agent_goes_on_with_the_part() {
    let case = Case::new(|request| Reply::file(request, &file()));
    std::fs::write(case.part(&announced(&file())), &file()[..1000]).unwrap();
    let whole = case.download(&announced(&file())).unwrap();
    assert_eq!(std::fs::read(whole).unwrap(), file());
    assert_eq!(case.server.received()[0].header("range"), Some("bytes=1000-"));
}

#[test]
fn a_server_that_ignores_ranges_sends_everything_again() {
    let case = Case::new(|_| Reply::ok(file()));
    std::fs::write(case.part(&announced(&file())), &file()[..1000]).unwrap();
    let whole = case.download(&announced(&file())).unwrap();
    assert_eq!(std::fs::read(whole).unwrap(), file());
}

#[test]
fn a_damaged_part_is_begun_anew_once() {
    let case = Case::new(|request| Reply::file(request, &file()));
    std::fs::write(case.part(&announced(&file())), [9; 1000]).unwrap();
    let whole = case.download(&announced(&file())).unwrap();
    assert_eq!(std::fs::read(whole).unwrap(), file());
    assert_eq!(case.server.received().len(), 2);
}

#[test]
fn a_part_longer_than_the_file_is_begun_anew() {
    let case = Case::new(|request| Reply::file(request, &file()));
    std::fs::write(case.part(&announced(&file())), vec![9; file().len() + 1]).unwrap();
    case.download(&announced(&file())).unwrap();
    assert_eq!(case.server.received()[0].header("range"), None);
}

#[test]
fn wrong_bytes_never_get_the_files_name() {
    let case = Case::new(|_| Reply::ok(vec![0; file().len()]));
    let error = case.download(&announced(&file())).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Trust, "digest"));
    assert!(case.files().is_empty(), "{:?}", case.files());
}

#[test]
fn an_endless_body_ends_with_the_announced_length() {
    let case = Case::new(|_| Reply { status: 200, headers: Vec::new(), body: Body::Endless });
    let error = case.download(&announced(&file())).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Trust, "length"));
    assert!(case.files().is_empty(), "{:?}", case.files());
}

#[test]
fn a_part_that_was_not_asked_for_is_refused() {
    let case = Case::new(|_| Reply {
        status: 206,
        headers: vec![("content-range", "bytes 7-9/1200000".to_owned())],
        body: Body::Whole(b"abc".to_vec()),
    });
    let error = case.download(&announced(&file())).unwrap_err();
    assert_eq!(error.code(), "malformed_answer");
}

#[test]
fn the_servers_refusal_is_told_with_its_code() {
    let case = Case::new(|_| {
        Reply::status(
            403,
            r#"{"type":"urn:mainstay:problem:HELD","title":"Held","status":403,"code":"HELD",
                "detail":"the release is held"}"#,
        )
    });
    let error = case.download(&announced(&file())).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Server, "HELD"));
    assert_eq!(case.server.received().len(), 1, "what was refused is not asked again");
}

#[test]
fn a_damaged_cache_is_noticed() {
    let case = Case::new(|request| Reply::file(request, &file()));
    let whole = case.download(&announced(&file())).unwrap();
    std::fs::write(&whole, b"damaged").unwrap();
    case.download(&announced(&file())).unwrap();
    assert_eq!(std::fs::read(whole).unwrap(), file());
}

#[test]
fn the_credential_does_not_follow_a_redirect_to_another_host() {
    let other = TestServer::start(|request| Reply::file(request, &file()));
    let elsewhere = other.url().replace("127.0.0.1", "localhost");
    let case = Case::new(move |_| Reply {
        headers: vec![("location", format!("{elsewhere}/signed"))],
        ..Reply::status(307, "")
    });
    case.download(&announced(&file())).unwrap();
    assert_eq!(other.received()[0].path, "/signed");
    assert_eq!(other.received()[0].header("authorization"), None);
}

#[test]
fn what_was_begun_of_another_file_makes_room() {
    let case = Case::new(|request| Reply::file(request, &file()));
    std::fs::write(case.cache.path().join("another.part"), b"begun").unwrap();
    case.download(&announced(&file())).unwrap();
    assert_eq!(case.files(), [Digest::of(&file()).to_string()]);
}
