//! An update by a delta that is ended in the middle: by its caller, by a crash, or by whoever writes to the
//! tree that the delta is for.

use super::*;
use crate::{error::ErrorKind, fs::Failure};

#[test]
fn an_end_that_is_wanted_while_the_payload_is_made_leaves_the_delta_and_no_tree() {
    let case = Case::offered();
    let cancellation = Cancellation::default();
    let surroundings =
        Surroundings { cancellation: cancellation.clone(), ..case.machine.surroundings() };
    let mut client = Client::open_within(case.machine.folder.path(), surroundings).unwrap();
    let refused = client.update(&mut |progress| {
        if matches!(progress, Progress::Making { .. }) {
            cancellation.request();
        }
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Cancelled);
    drop(client);
    assert_eq!(fs::read_dir(case.folder(".mainstay/staging")).unwrap().count(), 0);
    assert_eq!(case.machine.runs(), Some(version("2.4.0")));
    assert_eq!(case.asked(), (1, 0), "the artifact is not asked for");
    assert_eq!(case.expect_updated().by, FetchedBy::Delta);
    assert_eq!(case.asked(), (1, 0), "what had arrived was kept");
}

#[test]
fn a_file_that_is_written_to_while_the_payload_is_made() {
    let changes: [Change; 3] = [
        |file| fs::File::options().write(true).open(file).unwrap().set_len(100).unwrap(),
        |file| fs::write(file, vec![9; NOISE_BYTES]).unwrap(),
        |file| {
            let beside = file.with_extension("new");
            fs::write(&beside, vec![9; NOISE_BYTES]).unwrap();
            fs::rename(beside, file).unwrap();
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let case = Case::offered();
        let file = case.folder("versions/2.4.0/noise");
        let mut client = case.machine.client();
        let mut is_changed = false;
        // The delta is here, and the tree was looked through before.
        client
            .update(&mut |progress| {
                let is_here = matches!(progress, Progress::Downloading { received, length } if received == length);
                if is_here && !is_changed {
                    change(&file);
                    is_changed = true;
                }
            })
            .unwrap();
        assert!(is_changed);
        let way = client.fetched().unwrap().way.clone();
        assert_eq!((way.by, way.failed.len()), (FetchedBy::Full, 1), "{number}: {way:?}");
        drop(client);
        case.expect_whole();
    }
}

/// The machine stops at every change that the update makes. What a disk refuses is told from that in the
/// tests of updates without deltas.
#[test]
fn a_crash_at_any_change_ends_in_the_old_tree_or_the_new_one() {
    for nth in 1.. {
        let case = Case::offered();
        let files = FailingFileSystem::new(Failure::Crash, nth);
        let surroundings = case.machine.surroundings_on(&files);
        let acted = Client::open_within(case.machine.folder.path(), surroundings)
            .and_then(|mut client| client.update(&mut |_| {}).map(drop));
        let mut client = case.machine.client();
        let runs = client.status().recorded.record.running.unwrap();
        assert!(["2.4.0", "2.4.1"].map(version).contains(&runs), "at change {nth}: {runs}");
        assert!(client.verify().unwrap().is_intact(), "at change {nth}");
        client.update(&mut |_| {}).unwrap_or_else(|error| panic!("at change {nth}: {error}"));
        assert_eq!(client.status().recorded.record.running, Some(version("2.4.1")), "{nth}");
        assert!(client.verify().unwrap().is_intact(), "at change {nth}");
        if files.changes() < nth {
            acted.unwrap();
            assert!(nth > 10, "only {nth} changes");
            break;
        }
    }
}

#[test]
fn what_arrived_of_a_delta_is_gone_on_with() {
    let case = Case::offered();
    case.meddle(|bytes, reply| reply.cut_after(bytes.len() / 2));
    // Each try brings half of what is left, and there are four.
    let fetched = case.expect_updated();
    assert_eq!(fetched.by, FetchedBy::Full);
    let server = case.machine.server();
    let deltas: Vec<_> = server.requests.iter().filter(|it| it.path.contains("/deltas/")).collect();
    assert!(deltas.len() > 1 && deltas.iter().skip(1).all(|it| it.header("range").is_some()));
}

#[test]
fn a_line_that_breaks_for_good_leaves_what_arrived_to_the_next_update() {
    let case = Case::offered();
    case.machine.server().meddle = Some(Box::new(|request, reply| match &reply.body {
        Body::Whole(bytes) if request.path.contains("/deltas/") => {
            let half = bytes.len() / 2;
            reply.cut_after(half)
        }
        _ if request.path.ends_with(".tar.zst") => vendor::unreachable_server(),
        _ => reply,
    }));
    assert_eq!(case.machine.update().unwrap_err().kind(), ErrorKind::Network);
    assert_eq!(case.machine.runs(), Some(version("2.4.0")));
    let (before, _) = case.asked();
    case.machine.server().meddle = None;
    case.machine.server().events.clear();
    assert_eq!(case.expect_updated().by, FetchedBy::Delta);
    let server = case.machine.server();
    let asked = server.requests.iter().filter(|it| it.path.contains("/deltas/")).nth(before);
    assert!(asked.unwrap().header("range").is_some(), "it goes on");
}
