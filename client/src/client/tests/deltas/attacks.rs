//! Deltas that are damaged, lost, of another pair, or made to do harm: each update ends with the signed tree.

use super::*;
use crate::{delta::Header, fs::Failure};

#[test]
fn a_delta_that_is_cut_short() {
    let case = Case::offered();
    case.meddle(|mut bytes, _| {
        bytes.truncate(bytes.len() - 1);
        Reply::ok(bytes)
    });
    case.expect_full("the connection ended after");
}

#[test]
fn a_delta_with_a_flipped_bit() {
    let case = Case::offered();
    case.meddle(|mut bytes, _| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Reply::ok(bytes)
    });
    case.expect_full("was announced");
    assert_eq!(case.asked(), (1, 1));
}

#[test]
fn a_delta_that_goes_on_after_its_end() {
    let case = Case::offered();
    case.meddle(|mut bytes, _| {
        bytes.push(0);
        Reply::ok(bytes)
    });
    case.expect_full("is longer than the announced");
}

#[test]
fn a_server_that_has_no_deltas() {
    for (status, code, tries) in [(404, "NOT_FOUND", 1), (500, "INTERNAL", 1), (503, "BUSY", 4)] {
        let case = Case::offered();
        case.meddle(move |_, _| vendor::problem(status, code));
        case.expect_full(code);
        assert_eq!(case.asked(), (tries, 1), "{code}");
    }
}

#[test]
fn what_a_server_says_of_a_delta_is_told_without_control_characters_and_not_at_length() {
    let case = Case::offered();
    case.meddle(|_, _| {
        let detail = format!("\\u001b[31m{}", "x".repeat(5000));
        Reply::status(
            403,
            format!(r#"{{"type":"a","title":"b","status":403,"code":"NO","detail":"{detail}"}}"#),
        )
    });
    case.expect_full("the server refused:  [31mxxx");
}

#[test]
fn a_delta_of_another_pair() {
    let case = Case::new();
    let (old, new) = (case.payload("2.4.0"), case.payload("2.4.1"));
    let backwards = case.step_between(&new, &old);
    case.offer(vec![path("2.4.0", vec![as_if(&backwards, &new)])]);
    case.expect_full("were signed");

    let case = Case::new();
    let upon_a_part = case.step_between(&old[..old.len() - 512], &new);
    case.offer(vec![path("2.4.0", vec![upon_a_part])]);
    case.expect_full("for an old payload of ");

    let case = Case::new();
    let mut changed = case.payload("2.4.0");
    *changed.last_mut().unwrap() ^= 1;
    let upon_nearly_the_same = case.step_between(&changed, &new);
    case.offer(vec![path("2.4.0", vec![upon_nearly_the_same])]);
    case.expect_full("for an old payload with the digest");
}

/// The same delta, said to make `new`.
fn as_if(step: &DeltaStep, new: &[u8]) -> DeltaStep {
    DeltaStep { payload_length: new.len() as u64, payload_sha256: Digest::of(new), ..step.clone() }
}

#[test]
fn a_delta_to_another_payload_than_the_signed_one_is_not_asked_for() {
    let case = Case::new();
    let other = case.step_between(&case.payload("2.4.0"), b"another tree");
    case.offer(vec![path("2.4.0", vec![other])]);
    let fetched = case.expect_updated();
    assert_eq!((fetched.by, fetched.failed.len()), (FetchedBy::Full, 0));
    assert_eq!(case.asked(), (0, 1));
}

/// Whoever makes the delta has also made its digest in the plan: what it holds is all there is to it.
#[test]
fn a_delta_that_was_made_to_do_harm() {
    let honest = Case::new();
    let (new, step) = (honest.payload("2.4.1"), honest.step("2.4.0", "2.4.1"));
    let bytes = honest.served(&step);
    let header = bytes.len()
        - Header::read(&bytes)
            .unwrap()
            .streams
            .iter()
            .map(|stream| usize::try_from(stream.packed_length).unwrap())
            .sum::<usize>();
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x55;
        bytes
    };
    // In the header, in the first stream, in the last one.
    let places = [0, 10, 11, header - 1, header, header + 2, bytes.len() - 2, bytes.len() - 1];
    let mut crafted: Vec<_> = places.map(flipped).to_vec();
    crafted.extend([Vec::new(), vec![0; 100], bytes[..header].to_vec(), bytes.repeat(2)]);
    crafted.push([&bytes[..], b"more"].concat());
    for (number, bytes) in crafted.into_iter().enumerate() {
        let case = Case::new();
        let step = case.serve(bytes, &new);
        case.offer(vec![path("2.4.0", vec![step])]);
        let fetched = case.expect_updated();
        // A bit may be one that nothing depends upon.
        if fetched.by == FetchedBy::Full {
            assert_eq!(fetched.failed.len(), 1, "{number}");
        } else {
            assert_eq!(fetched.failed.len(), 0, "{number}");
        }
    }
}

#[test]
fn ten_thousand_paths_cost_nothing() {
    let case = Case::new();
    let step = case.step("2.4.0", "2.4.1");
    let mut deltas = vec![path("2.4.0", Vec::new()); 10_000];
    deltas[9_999] = path("2.4.0", vec![step]);
    case.offer(deltas);
    let fetched = case.expect_updated();
    assert_eq!((fetched.by, fetched.failed.len()), (FetchedBy::Full, 0));
    assert_eq!(case.asked(), (0, 1));
}

#[test]
fn a_delta_of_exabytes_costs_nothing() {
    let case = Case::new();
    let step = case.step("2.4.0", "2.4.1");
    let long = DeltaStep { length: 1 << 63, ..step.clone() };
    let between = DeltaStep { payload_length: 1 << 63, ..step.clone() };
    let endless = DeltaStep { length: u64::MAX, ..step.clone() };
    case.offer(vec![
        path("2.4.0", vec![long]),
        path("2.4.0", vec![between, step.clone()]),
        path("2.4.0", vec![endless.clone(), endless]),
        path("2.4.0", Vec::new()),
    ]);
    let fetched = case.expect_updated();
    assert_eq!((fetched.by, fetched.failed.len()), (FetchedBy::Full, 0));
    assert_eq!(case.asked(), (0, 1));
}

#[test]
fn a_payload_between_that_the_disk_has_no_room_for() {
    let case = Case::new();
    let step = case.step("2.4.0", "2.4.1");
    let between = DeltaStep { payload_length: 1 << 40, ..step.clone() };
    case.offer(vec![path("2.4.0", vec![between, step])]);
    // Of a release itself as much is said to be too long, of what is made on the way too.
    let fetched = case.expect_updated();
    assert_eq!(fetched.by, FetchedBy::Full);
    assert_eq!(case.asked(), (0, 1));
}

#[test]
fn a_disk_that_will_not_take_what_a_delta_makes() {
    let case = Case::offered();
    let files = FailingFileSystem::new(Failure::Crash, 0);
    let mut client =
        Client::open_within(case.machine.folder.path(), case.machine.surroundings_on(&files))
            .unwrap();
    client.update(&mut |_| {}).unwrap();
    drop(client);
    let trace = files.trace(case.machine.folder.path());
    let unpacked = trace.iter().position(|it| it == "unpack .mainstay/staging/2.4.1").unwrap();

    let case = Case::offered();
    let files = FailingFileSystem::new(Failure::Refused, unpacked + 1);
    let mut client =
        Client::open_within(case.machine.folder.path(), case.machine.surroundings_on(&files))
            .unwrap();
    client.update(&mut |_| {}).unwrap();
    let way = client.fetched().unwrap().way.clone();
    assert_eq!((way.by, way.failed.len()), (FetchedBy::Full, 1), "{way:?}");
    drop(client);
    case.expect_whole();
}
