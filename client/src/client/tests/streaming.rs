//! An artifact that is unpacked while it arrives: what may go wrong on the way.

use std::{fs, io::Read as _};

use super::{
    vendor::{Particulars, version},
    *,
};
use crate::{
    error::ErrorKind,
    fetch::test_server::{Body, Received, Reply},
    format::{Artifact, Digest, wire::EventKind},
    fs::Failure,
    pack::{Compression, Compressor},
};

/// Changes what the server says to requests for an artifact.
fn meddle(machine: &Machine, change: impl Fn(&Received, Vec<u8>) -> Reply + Send + 'static) {
    machine.server().meddle = Some(Box::new(move |request, reply| match reply.body {
        Body::Whole(bytes) if request.path.ends_with(".tar.zst") => {
            Reply { status: reply.status, headers: reply.headers, ..change(request, bytes) }
        }
        _ => reply,
    }));
}

/// What is in a folder below `.mainstay`.
fn names(machine: &Machine, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(machine.folder.path().join(".mainstay").join(folder));
    let entries = entries.into_iter().flatten().map(Result::unwrap);
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// What the server was told of, in this order.
fn told(machine: &Machine) -> Vec<EventKind> {
    machine.server().events.iter().map(|event| event.kind).collect()
}

/// Expects an update to be refused by the rule `code`, in words that have `says` in them, with
/// nothing left of it but what runs.
#[track_caller]
fn expect_refused(machine: &Machine, code: &str, says: &str) {
    let refused = machine.update().unwrap_err();
    let causes = std::iter::successors(std::error::Error::source(&refused), |it| it.source());
    let said = causes.fold(refused.to_string(), |text, cause| format!("{text}: {cause}"));
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Trust, code), "{said}");
    assert!(said.contains(says), "{said}");
    assert_eq!(names(machine, "staging"), [""; 0]);
    assert!(!machine.folder.path().join("versions/2.4.1").exists());
    assert_eq!(machine.runs(), Some(version("2.4.0")));
}

/// A machine to which the vendor offers an artifact that was spoilt before it was signed.
fn offered(spoil: fn(&mut Vec<u8>, &mut Artifact)) -> Machine {
    let machine = Machine::running("2.4.0");
    let spoilt = Particulars { spoil: Some(spoil), ..Particulars::default() };
    machine.server().offer("2.4.1", &spoilt);
    machine
}

/// A machine to which the vendor offers an artifact of which what comes first is looked at long before
/// its digest is known.
fn offered_large() -> Machine {
    let machine = Machine::running("2.4.0");
    let large = Particulars { noise_bytes: 2 << 20, ..Particulars::default() };
    machine.server().offer("2.4.1", &large);
    machine
}

fn decompressed(artifact: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::new(artifact).unwrap();
    decoder.read_to_end(&mut payload).unwrap();
    payload
}

#[test]
fn a_good_payload_in_another_artifact_than_the_signed_one() {
    let machine = offered(|_, _| {});
    meddle(&machine, |_, honest| {
        let mut bytes = honest.clone();
        // A bit of the frame's header that no decompressor looks at (RFC 8878 §3.1.1.1.1.3).
        bytes[4] ^= 1 << 4;
        assert_eq!(decompressed(&bytes), decompressed(&honest));
        Reply::ok(bytes)
    });
    expect_refused(&machine, "digest", "was announced");
    assert_eq!(names(&machine, "cache"), [""; 0]);
    machine.server().meddle = None;
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.1")));
}

#[test]
fn another_payload_than_the_signed_one() {
    let machine = offered(|_, artifact| artifact.payload_sha256 = Digest::of(b"another"));
    expect_refused(&machine, "payload", "was signed");
}

#[test]
fn a_payload_that_is_longer_than_was_signed() {
    let machine = offered(|packed, _| {
        let mut payload = decompressed(packed);
        payload.resize(64 << 20, 0);
        let compression = Compression { level: 1, window_log: 20, workers: 0 };
        let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
        std::io::copy(&mut payload.as_slice(), &mut compressor).unwrap();
        *packed = compressor.finish().unwrap();
    });
    expect_refused(&machine, "payload", "goes on after");
}

#[test]
fn an_artifact_that_was_signed_without_its_end() {
    let machine = offered(|packed, _| packed.truncate(packed.len() - 4));
    expect_refused(&machine, "payload", "cannot decompress");
}

#[test]
fn an_artifact_that_was_signed_with_something_after_its_end() {
    let machine = offered(|packed, _| packed.push(0));
    expect_refused(&machine, "payload", "after its one compressed frame");
}

/// Updates on a disk that tells what was done to it, and expects that to work and to have unpacked so
/// often.
#[track_caller]
fn expect_unpacked(machine: &Machine, times: usize) {
    let files = FailingFileSystem::new(Failure::Crash, 0);
    let retry = Retry { tries: 20, ..Retry::AT_ONCE };
    let surroundings = Surroundings { retry, ..machine.surroundings_on(&files) };
    let mut client = Client::open_within(machine.folder.path(), surroundings).unwrap();
    let update = client.update(&mut |_| {}).unwrap();
    let (from, to) = (Some(version("2.4.0")), version("2.4.1"));
    assert_eq!(update.outcome, Some(Outcome::Committed { from, to }));
    let trace = files.trace(machine.folder.path());
    let unpacked = trace.iter().filter(|it| it.starts_with("unpack ")).count();
    assert_eq!(unpacked, times, "{trace:?}");
    assert_eq!(names(machine, "cache"), [""; 0]);
}

#[test]
fn a_connection_that_is_cut_again_and_again_costs_no_unpacking_from_the_beginning() {
    let machine = offered(|_, _| {});
    meddle(&machine, |_, rest| {
        let half = rest.len().div_ceil(2);
        Reply::ok(rest).cut_after(half)
    });
    expect_unpacked(&machine, 1);
    let asked = machine.server().requests.iter().filter(|it| it.path.ends_with(".tar.zst")).count();
    assert!(asked > 3, "{asked}");
}

#[test]
fn what_is_in_the_cache_is_unpacked_and_only_the_rest_is_fetched() {
    let machine = offered(|_, _| {});
    meddle(&machine, |_, rest| Reply::ok(rest).cut_after(20));
    machine.update().unwrap_err();
    let [part] = &names(&machine, "cache")[..] else { panic!("a part") };
    assert!(part.contains(".part"), "{part}");
    assert_eq!(names(&machine, "staging"), [""; 0]);
    machine.server().meddle = None;
    expect_unpacked(&machine, 1);
}

#[test]
fn a_cache_that_a_disk_has_spoilt_is_unpacked_and_then_all_is_begun_anew() {
    let machine = offered_large();
    meddle(&machine, |_, rest| Reply::ok(rest).cut_after(400_000));
    machine.update().unwrap_err();
    let part = machine.folder.path().join(".mainstay/cache").join(&names(&machine, "cache")[0]);
    let length = fs::metadata(&part).unwrap().len();
    fs::write(&part, vec![0; usize::try_from(length).unwrap()]).unwrap();
    machine.server().meddle = None;
    expect_unpacked(&machine, 2);
    assert_eq!(told(&machine), [EventKind::Installed, EventKind::Confirmed]);
}

#[test]
fn what_was_never_signed_is_refused_for_its_digest_and_nothing_else_is_told() {
    let machine = offered_large();
    meddle(&machine, |_, honest| Reply::ok(vec![0; honest.len()]));
    expect_refused(&machine, "digest", "was announced");
    machine.server().meddle = None;
    machine.client().report().unwrap();
    assert_eq!(told(&machine), [EventKind::Refused]);
}

#[test]
fn a_release_that_was_signed_as_it_is_and_cannot_be_unpacked_is_given_up() {
    let machine = offered(|packed, _| packed.truncate(packed.len() - 4));
    expect_refused(&machine, "payload", "cannot decompress");
    machine.client().report().unwrap();
    assert_eq!(told(&machine), [EventKind::Interrupted, EventKind::Refused]);
}

#[test]
fn what_was_fetched_before_is_unpacked_without_the_artifact_being_asked_for() {
    let machine = offered(|_, _| {});
    let mut client = machine.client();
    let check = client.check().unwrap();
    client.fetch(&check, &mut |_| {}).unwrap();
    drop(client);
    meddle(&machine, |_, _| unreachable!("it is in the cache"));
    expect_unpacked(&machine, 1);
}

#[test]
fn an_end_that_is_wanted_while_it_is_unpacked_leaves_the_part_and_no_tree() {
    let machine = offered(|_, _| {});
    let cancellation = Cancellation::default();
    let surroundings =
        Surroundings { cancellation: cancellation.clone(), ..machine.surroundings() };
    let mut client = Client::open_within(machine.folder.path(), surroundings).unwrap();
    let refused = client.update(&mut |progress| {
        if matches!(progress, Progress::Downloading { received, length } if received == length) {
            cancellation.request();
        }
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Cancelled);
    drop(client);
    assert_eq!(names(&machine, "staging"), [""; 0]);
    assert_eq!(names(&machine, "cache").len(), 1);
    assert_eq!(machine.runs(), Some(version("2.4.0")));
    expect_unpacked(&machine, 1);
}
