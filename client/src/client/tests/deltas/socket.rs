//! The same over a socket: what HTTP makes of it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::*;
use crate::fetch::{
    self,
    test_server::{Received, TestServer},
};

/// A machine that is enrolled by HTTP, and whose server answers requests for deltas by `answer`.
fn offered(
    answer: impl Fn(&Received, Reply) -> Reply + Send + Sync + 'static,
) -> (Case, TestServer) {
    let case = Case::offered();
    let server = Arc::clone(&case.machine.server);
    let http = TestServer::start(move |request| {
        let reply = server.lock().unwrap().handle(request);
        if request.path.contains("/deltas/") { answer(request, reply) } else { reply }
    });
    (case, http)
}

/// Updates over the socket, and says by which way that went.
#[track_caller]
fn updated(case: &Case, http: &TestServer) -> Fetched {
    let url = http.url();
    let usual = Surroundings::with_fetch_limits(fetch::Limits {
        rate_bytes_min: 1 << 20,
        rate_window: Duration::from_millis(50),
        idle_timeout: Duration::from_millis(200),
        ..fetch::Limits::DEFAULT
    });
    let connect: Connect =
        Box::new(move |address| (usual.connect)(&Address { server: &url, ..*address }));
    let surroundings = Surroundings { connect, ..case.machine.surroundings() };
    let mut client = Client::open_within(case.machine.folder.path(), surroundings).unwrap();
    client.update(&mut |_| {}).unwrap();
    let way = client.fetched().unwrap().way.clone();
    drop(client);
    case.expect_whole();
    way
}

#[test]
fn a_delta_arrives_by_http() {
    let (case, http) = offered(|_, reply| reply);
    assert_eq!(updated(&case, &http).by, FetchedBy::Delta);
}

#[test]
fn a_delta_that_is_cut_once_is_gone_on_with() {
    let count = AtomicUsize::new(0);
    let (case, http) = offered(move |_, reply| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 { reply.cut_after(50) } else { reply }
    });
    assert_eq!(updated(&case, &http).by, FetchedBy::Delta);
    let received = http.received();
    let last = received.iter().rfind(|it| it.path.contains("/deltas/")).unwrap();
    assert_eq!(last.header("range"), Some("bytes=50-"));
}

#[test]
fn a_proxy_that_strips_ranges_makes_it_begin_anew() {
    let case = Case::offered();
    let server = Arc::clone(&case.machine.server);
    let count = AtomicUsize::new(0);
    let http = TestServer::start(move |request| {
        let mut request = request.clone();
        request.headers.remove("range");
        let reply = server.lock().unwrap().handle(&request);
        let is_first =
            request.path.contains("/deltas/") && count.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first { reply.cut_after(50) } else { reply }
    });
    assert_eq!(updated(&case, &http).by, FetchedBy::Delta);
    assert_eq!(case.asked(), (2, 0));
}

#[test]
fn a_part_that_is_said_to_be_the_whole() {
    let count = AtomicUsize::new(0);
    let (case, http) = offered(move |_, reply| match count.fetch_add(1, Ordering::SeqCst) {
        0 => reply.cut_after(50),
        _ => Reply { status: 200, headers: Vec::new(), ..reply },
    });
    assert_eq!(updated(&case, &http).by, FetchedBy::Full);
}

#[test]
fn a_delta_without_an_end() {
    let (case, http) = offered(|_, _| Reply { body: Body::Endless, ..Reply::ok("") });
    let way = updated(&case, &http);
    assert_eq!(way.by, FetchedBy::Full);
    assert!(way.failed[0].why.contains("longer than the announced"), "{way:?}");
}

#[test]
fn a_length_that_is_a_lie() {
    for length in [1_usize, 1 << 40] {
        let (case, http) = offered(move |_, reply| match reply.body {
            Body::Whole(bytes) => Reply { body: Body::Cut { length, bytes }, ..Reply::ok("") },
            _ => reply,
        });
        let way = updated(&case, &http);
        // All of the delta is here although more was promised, or not even that much.
        let expected = if length == 1 { FetchedBy::Full } else { FetchedBy::Delta };
        assert_eq!(way.by, expected, "{length}: {way:?}");
    }
}
