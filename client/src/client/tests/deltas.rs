//! Updates by deltas: by which way a payload comes, and what may go wrong on the way.

mod attacks;
mod interrupted;
mod socket;

use std::{fs, io::Read as _, os::unix::fs::PermissionsExt as _, path::PathBuf};

use super::{
    vendor::{Particulars, version},
    *,
};
use crate::{
    delta,
    fetch::test_server::{Body, Reply},
    format::{
        Action, DeltaPath, DeltaProfile, DeltaStep, Digest, PlanTarget,
        wire::{EventKind, Fetched, FetchedBy},
    },
};

/// What makes an artifact much heavier than a delta.
const NOISE_BYTES: usize = 8 << 10;

fn heavy() -> Particulars {
    Particulars { noise_bytes: NOISE_BYTES, ..Particulars::default() }
}

/// A machine that runs 2.4.0, and to which 2.4.1 was published but not offered.
struct Case {
    machine: Machine,
    target: PlanTarget,
}

impl Case {
    fn new() -> Self {
        Self::with(&heavy())
    }

    fn with(particulars: &Particulars) -> Self {
        let machine = Machine::enrolled();
        machine.server().offer("2.4.0", &heavy());
        machine.update().unwrap();
        let target = machine.server().vendor.publish("2.4.1", particulars);
        machine.server().requests.clear();
        machine.server().events.clear();
        Self { machine, target }
    }

    /// A machine to which 2.4.1 is offered by a delta upon 2.4.0.
    fn offered() -> Self {
        let case = Self::new();
        let step = case.step("2.4.0", "2.4.1");
        case.offer(vec![path("2.4.0", vec![step])]);
        case
    }

    /// What the published release `text` unpacks to.
    fn payload(&self, text: &str) -> Vec<u8> {
        let (server, version) = (self.machine.server(), version(text));
        let target = server.vendor.targets.values().find_map(|it| it.get(&version)).unwrap();
        let file = &target.artifact;
        let route = format!("targets/{}", file.path.consistent(&file.sha256));
        let packed = server.vendor.files[&route].as_slice();
        let mut payload = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::new(packed).unwrap();
        decoder.read_to_end(&mut payload).unwrap();
        payload
    }

    /// The delta between two published releases, which is served from now on.
    fn step(&self, from: &str, to: &str) -> DeltaStep {
        self.step_between(&self.payload(from), &self.payload(to))
    }

    fn step_between(&self, old: &[u8], new: &[u8]) -> DeltaStep {
        let limits = delta::Limits::default();
        let go_on = &mut |_| std::ops::ControlFlow::Continue(());
        let bytes = delta::make(old, new, delta::Profile::Fast, &limits, go_on).unwrap();
        self.serve(bytes, new)
    }

    /// Serves `bytes` as a delta that makes `new`.
    fn serve(&self, bytes: Vec<u8>, new: &[u8]) -> DeltaStep {
        let step = DeltaStep {
            profile: DeltaProfile::Fast,
            length: bytes.len() as u64,
            sha256: Digest::of(&bytes),
            payload_length: new.len() as u64,
            payload_sha256: Digest::of(new),
        };
        self.machine.server().vendor.files.insert(format!("deltas/{}", step.sha256), bytes);
        step
    }

    /// The bytes that are served as `step`.
    fn served(&self, step: &DeltaStep) -> Vec<u8> {
        self.machine.server().vendor.files[&format!("deltas/{}", step.sha256)].clone()
    }

    fn offer(&self, deltas: Vec<DeltaPath>) {
        let target = PlanTarget { deltas, ..self.target.clone() };
        self.machine.server().set(Action::Update { target });
    }

    /// Changes what the server says to requests for a delta.
    fn meddle(&self, change: impl Fn(Vec<u8>, Reply) -> Reply + Send + 'static) {
        self.machine.server().meddle = Some(Box::new(move |request, reply| match &reply.body {
            Body::Whole(bytes) if request.path.contains("/deltas/") => change(bytes.clone(), reply),
            _ => reply,
        }));
    }

    /// How often deltas, and how often artifacts were asked for.
    fn asked(&self) -> (usize, usize) {
        let server = self.machine.server();
        let count = |part: &str| server.paths().iter().filter(|it| it.contains(part)).count();
        (count("/deltas/"), count(".tar.zst"))
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.machine.folder.path().join(name)
    }

    /// Updates, and expects 2.4.1 to run then, whole, by a way that is told everywhere.
    #[track_caller]
    fn expect_updated(&self) -> Fetched {
        let mut client = self.machine.client();
        let update = client.update(&mut |_| {}).unwrap();
        let (from, to) = (Some(version("2.4.0")), version("2.4.1"));
        assert_eq!(update.outcome, Some(Outcome::Committed { from, to }));
        let release = client.fetched().unwrap().clone();
        assert_eq!(client.status().history.fetched.as_ref(), Some(&release));
        assert_eq!(release.artifact_bytes, self.target.artifact.length);
        drop(client);
        let events = self.machine.server().events.clone();
        let [installed, confirmed] = &events[..] else { panic!("{events:?}") };
        assert_eq!((installed.kind, confirmed.kind), (EventKind::Installed, EventKind::Confirmed));
        assert_eq!((&installed.fetched, &confirmed.fetched), (&Some(release.way.clone()), &None));
        self.expect_whole();
        release.way
    }

    /// Expects that 2.4.1 runs, is what was signed, and that nothing else is left of it.
    #[track_caller]
    fn expect_whole(&self) {
        assert_eq!(self.machine.runs(), Some(version("2.4.1")));
        assert!(self.machine.client().verify().unwrap().is_intact());
        for folder in [".mainstay/cache", ".mainstay/staging"] {
            let left = fs::read_dir(self.folder(folder)).into_iter().flatten().count();
            assert_eq!(left, 0, "{folder}");
        }
    }

    /// Expects 2.4.1 to have come by its artifact after deltas came to nothing for a reason with `says` in
    /// it.
    #[track_caller]
    fn expect_full(&self, says: &str) {
        let fetched = self.expect_updated();
        assert_eq!((fetched.by, fetched.bytes), (FetchedBy::Full, self.target.artifact.length));
        let [failed] = &fetched.failed[..] else { panic!("{:?}", fetched.failed) };
        assert_eq!(failed.by, FetchedBy::Delta);
        assert!(failed.why.contains(says), "{}", failed.why);
    }
}

fn path(from: &str, steps: Vec<DeltaStep>) -> DeltaPath {
    DeltaPath { from: version(from), steps }
}

#[test]
fn a_delta_is_fetched_in_place_of_the_artifact_and_that_is_told() {
    let case = Case::new();
    let step = case.step("2.4.0", "2.4.1");
    case.offer(vec![path("2.4.0", vec![step.clone()])]);
    let mut client = case.machine.client();
    let check = client.check().unwrap();
    let expected = client.expected_way(&check).unwrap();
    let (length, artifact_bytes) = (step.length, case.target.artifact.length);
    assert!(length * 4 < artifact_bytes, "{length} of {artifact_bytes}");
    assert_eq!(expected, ExpectedWay { by: FetchedBy::Delta, bytes: length, artifact_bytes });
    let mut told = Vec::new();
    client.apply(check, &mut |progress| told.push(progress)).unwrap();
    drop(client);
    assert_eq!(told.first(), Some(&Progress::Way(expected)));
    assert!(told.contains(&Progress::Downloading { received: length, length }), "{told:?}");
    let made = step.payload_length;
    assert!(told.contains(&Progress::Making { made, length: made }), "{told:?}");
    assert_eq!(told.last(), Some(&Progress::Installing { version: version("2.4.1") }));
    assert_eq!(case.asked(), (1, 0));
    case.expect_whole();
}

#[test]
fn the_server_is_told_by_which_way() {
    let case = Case::offered();
    let fetched = case.expect_updated();
    assert_eq!((fetched.by, fetched.failed.len()), (FetchedBy::Delta, 0));
    let token =
        case.machine.server().requests.iter().find(|it| it.path.contains("/deltas/")).cloned();
    assert_eq!(token.unwrap().header("authorization"), Some("Bearer mst_token"));
}

#[test]
fn what_has_no_deltas_comes_by_its_artifact_as_ever() {
    let case = Case::new();
    case.offer(Vec::new());
    let fetched = case.expect_updated();
    assert_eq!((fetched.by, fetched.failed.len()), (FetchedBy::Full, 0));
    assert_eq!(case.asked(), (0, 1));
}

#[test]
fn several_deltas_are_applied_one_upon_another() {
    let case = Case::new();
    let between = [case.payload("2.4.0"), vec![7; 10_000]].concat();
    let first = case.step_between(&case.payload("2.4.0"), &between);
    let second = case.step_between(&between, &case.payload("2.4.1"));
    case.offer(vec![path("2.4.0", vec![first.clone(), second.clone()])]);
    let fetched = case.expect_updated();
    assert_eq!((fetched.by, fetched.bytes), (FetchedBy::Delta, first.length + second.length));
    assert_eq!(case.asked(), (2, 0));
}

#[test]
fn where_the_first_delta_is_of_no_use_the_next_is_tried_and_then_the_artifact() {
    let case = Case::new();
    let step = case.step("2.4.0", "2.4.1");
    // To the same payload by another one between.
    let between = [case.payload("2.4.0"), vec![7; 10_000]].concat();
    let longer = [
        case.step_between(&case.payload("2.4.0"), &between),
        case.step_between(&between, &case.payload("2.4.1")),
    ];
    let gone = DeltaStep { sha256: Digest::of(b"gone"), length: 1, ..step.clone() };
    case.offer(vec![
        path("2.4.0", vec![gone]),
        path("2.4.0", vec![step.clone()]),
        path("2.4.0", longer.to_vec()),
    ]);
    let fetched = case.expect_updated();
    assert_eq!((fetched.by, fetched.bytes), (FetchedBy::Delta, step.length));
    assert_eq!(fetched.failed.len(), 1, "{fetched:?}");
    assert!(fetched.failed[0].why.contains("NOT_FOUND"), "{fetched:?}");
    assert_eq!(case.asked(), (2, 0));
}

#[test]
fn what_is_fetched_before_is_made_of_what_is_here() {
    let case = Case::offered();
    let mut client = case.machine.client();
    let check = client.check().unwrap();
    client.fetch(&check, &mut |_| {}).unwrap();
    client.fetch(&check, &mut |_| {}).unwrap();
    assert_eq!(case.asked(), (1, 0), "the second time it is here");
    drop(client);
    case.meddle(|_, _| unreachable!("it is in the cache"));
    assert_eq!(case.expect_updated().by, FetchedBy::Delta);
    assert_eq!(case.asked(), (1, 0));
}

#[test]
fn a_fetch_whose_delta_is_gone_brings_the_artifact() {
    let case = Case::offered();
    case.meddle(|_, _| vendor::problem(404, "NOT_FOUND"));
    let mut client = case.machine.client();
    let check = client.check().unwrap();
    client.fetch(&check, &mut |_| {}).unwrap();
    drop(client);
    assert_eq!(case.asked(), (1, 1));
    let fetched = case.expect_updated();
    assert_eq!((fetched.by, fetched.failed.len()), (FetchedBy::Full, 0), "it is here");
    assert_eq!(case.asked(), (1, 1));
}

#[test]
fn an_order_back_to_what_is_not_kept_takes_deltas_too() {
    let case = Case::offered();
    case.expect_updated();
    let mut client = case.machine.client();
    fs::remove_dir_all(case.folder("versions/2.4.0")).unwrap();
    assert!(!client.installation.has_tree(&version("2.4.0")));
    let step = case.step("2.4.1", "2.4.0");
    case.machine.server().order_rollback(1, "2.4.0");
    if let Action::Rollback { target, .. } = &mut case.machine.server().plan.action {
        target.deltas = vec![path("2.4.1", vec![step])];
    }
    let before = case.asked();
    client.update(&mut |_| {}).unwrap();
    assert_eq!(client.fetched().map(|it| it.way.by), Some(FetchedBy::Delta));
    drop(client);
    assert_eq!(case.machine.runs(), Some(version("2.4.0")));
    assert!(case.machine.client().verify().unwrap().is_intact());
    assert_eq!(case.asked(), (before.0 + 1, before.1));
}

#[test]
fn what_was_measured_is_remembered() {
    let large = Particulars { noise_bytes: 2 << 20, ..Particulars::default() };
    let case = Case::with(&large);
    assert_eq!(case.machine.client().status().history.speeds, Speeds::default());
    // Two mebibytes more: the delta is as large as the artifact nearly, but not quite.
    let step = case.step("2.4.0", "2.4.1");
    case.offer(vec![path("2.4.0", vec![step])]);
    assert_eq!(case.expect_updated().by, FetchedBy::Delta);
    let speeds = case.machine.client().status().history.speeds;
    assert!(speeds.download.is_some() && speeds.fast.is_some(), "{speeds:?}");
    assert_eq!(speeds.compact, None);
}

#[test]
fn the_administrators_wish_outlives_another_enrolment() {
    let case = Case::offered();
    let settings = case.folder(".mainstay/agent.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{text}\n[download]\nprefer = \"bytes\"\n")).unwrap();
    let enrolment = case.machine.enroll(&case.machine.options()).unwrap();
    assert_eq!(enrolment.download.prefer, settings::Preference::Bytes);
    assert_eq!(case.machine.client().enrolment().download, enrolment.download);
    assert_eq!(case.expect_updated().by, FetchedBy::Delta);
}

/// What is done to the tree that a delta is for.
type Change = fn(&std::path::Path);

#[test]
fn a_tree_that_somebody_has_changed_gets_the_artifact_and_no_delta() {
    let changes: [(Change, &str); 4] = [
        (|tree| fs::write(tree.join("bin/acme-db"), "version 2.4.9\n").unwrap(), "`bin/acme-db`"),
        (
            |tree| {
                let mode = fs::Permissions::from_mode(0o664);
                fs::set_permissions(tree.join("noise"), mode).unwrap();
            },
            "`noise`",
        ),
        (|tree| fs::write(tree.join("bin/more"), "more").unwrap(), "`bin`, `bin/more`"),
        (|tree| fs::remove_file(tree.join("bin/acme-db")).unwrap(), "`bin`"),
    ];
    for (change, says) in changes {
        let case = Case::offered();
        // Stamps of files move on in steps.
        std::thread::sleep(std::time::Duration::from_millis(30));
        change(&case.folder("versions/2.4.0"));
        case.expect_full(says);
        assert_eq!(case.asked(), (0, 1), "{says}");
    }
}

#[test]
fn a_tree_that_was_touched_and_is_what_was_signed_is_good_enough() {
    let case = Case::offered();
    let file = case.folder("versions/2.4.0/noise");
    let content = fs::read(&file).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    fs::write(&file, content).unwrap();
    assert_eq!(case.expect_updated().by, FetchedBy::Delta);
}
