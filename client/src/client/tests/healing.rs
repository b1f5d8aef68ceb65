use super::{
    vendor::{self, Particulars, Vendor, version},
    *,
};
use crate::{error::ErrorKind, format::Action};

/// The documents below the root, in the trust store.
const COPIES: [&str; 4] =
    ["timestamp.json", "snapshot.json", "targets.json", "channels/feature.json"];

#[test]
fn metadata_is_kept_byte_for_byte_and_not_fetched_again() {
    let machine = Machine::running("2.4.0");
    {
        let server = machine.server();
        for (copy, file) in [
            ("timestamp.json", "timestamp.json"),
            ("snapshot.json", "2.snapshot.json"),
            ("targets.json", "2.targets.json"),
            ("channels/feature.json", "2.feature.json"),
        ] {
            let bytes = std::fs::read(machine.trust_file(copy)).unwrap();
            assert_eq!(bytes, server.vendor.files[file], "{copy}");
        }
    }
    machine.server().set(Action::Stay);
    machine.server().requests.clear();
    machine.check().unwrap();
    assert!(machine.server().paths().iter().all(|path| !path.starts_with("/repo/")));
}

#[test]
fn lost_and_damaged_copies_heal() {
    let machine = Machine::running("2.4.0");
    machine.server().set(Action::Stay);
    let pristine: Vec<_> =
        COPIES.iter().map(|copy| std::fs::read(machine.trust_file(copy)).unwrap()).collect();
    for (copy, bytes) in COPIES.iter().zip(&pristine) {
        let path = machine.trust_file(copy);
        let last = bytes.len() - 1;
        let mut flipped = bytes.clone();
        // Still a document of the same version, but not the one that was signed.
        let at = bytes.windows(7).position(|it| it == b"expires").unwrap() + 14;
        flipped[at] ^= 1;
        for damage in [None, Some(Vec::new()), Some(bytes[..last].to_vec()), Some(flipped)] {
            match &damage {
                Some(damaged) => std::fs::write(&path, damaged).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            machine.check().unwrap();
            if *copy != "channels/feature.json" || damage.is_none() {
                assert_eq!(std::fs::read(&path).unwrap(), *bytes, "{copy} {damage:?}");
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn a_damaged_channel_heals_when_the_plan_needs_it() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.check().unwrap();
    let path = machine.trust_file("channels/bugfix.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"length\"", "\"langth\"")).unwrap();
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.1")));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_lost_root_is_known_by_the_pinned_digest() {
    let machine = Machine::running("2.4.0");
    machine.server().set(Action::Stay);
    machine.server().vendor.rotate_timestamp_key();
    machine.check().unwrap();
    let newest = machine.server().vendor.roots[1].clone();
    let path = machine.trust_file("root.json");
    assert_eq!(std::fs::read(&path).unwrap(), newest);
    std::fs::write(&path, b"damaged").unwrap();
    machine.check().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), newest);

    std::fs::remove_file(&path).unwrap();
    machine.server().meddle = Some(Box::new(move |request, reply| {
        let replaced = request.path.ends_with("/1.root.json");
        if replaced { crate::fetch::test_server::Reply::ok(newest.clone()) } else { reply }
    }));
    let error = machine.check().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Trust, "digest"));
    assert!(!path.exists());
}

#[test]
fn roots_are_followed_one_by_one() {
    let machine = Machine::running("2.4.0");
    machine.server().set(Action::Stay);
    for _ in 0..3 {
        machine.server().vendor.rotate_timestamp_key();
    }
    machine.check().unwrap();
    let newest = machine.server().vendor.roots[3].clone();
    assert_eq!(std::fs::read(machine.trust_file("root.json")).unwrap(), newest);
}

/// A new key for one of the two online roles is enough: the other's document still verifies, and is
/// forgotten all the same (TUF 1.0.34 §5.3.11).
#[test]
fn one_new_online_key_undoes_a_fast_forward() {
    for replace_a_key in [Vendor::rotate_timestamp_key, Vendor::rotate_snapshot_key] {
        let machine = fast_forwarded();
        replace_a_key(&mut machine.server().vendor);
        machine.check().unwrap();
        let honest = machine.server().vendor.files["timestamp.json"].clone();
        assert_eq!(std::fs::read(machine.trust_file("timestamp.json")).unwrap(), honest);
    }
}

/// A machine that has seen the highest versions that there are.
pub(super) fn fast_forwarded() -> Machine {
    let machine = Machine::running("2.4.0");
    machine.server().set(Action::Stay);
    machine.server().vendor.sign_far_ahead();
    machine.check().unwrap();
    machine
}

/// Every document that it knows has expired, three newer roots are to be followed, two of them
/// expired, and the timestamp's key is another one.
#[test]
fn a_machine_that_was_off_for_years_recovers_by_itself() {
    let machine = Machine::running("2.4.0");
    machine.pass(3 * 365 * 24 * 3600);
    let now = *machine.now.lock().unwrap();
    for year in 0..3 {
        let mut server = machine.server();
        server.vendor.now = now - jiff::SignedDuration::from_hours((2 - year) * 365 * 24);
        server.vendor.rotate_timestamp_key();
    }
    machine.server().go_on_at(now);
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.1")));
}

#[test]
fn a_lost_token_or_settings_ask_for_enrolment() {
    for name in ["token", "agent.toml"] {
        let machine = Machine::enrolled();
        std::fs::write(machine.folder.path().join(".mainstay").join(name), "").unwrap();
        let opened = Client::open_within(machine.folder.path(), machine.surroundings());
        let error = opened.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotEnrolled, "{name}");
        machine.enroll(&machine.options()).unwrap();
        machine.check().unwrap();
    }
}

#[test]
fn a_server_that_is_away_changes_nothing() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.server().meddle = Some(Box::new(|request, reply| {
        let is_artifact = request.path.ends_with(".tar.zst");
        if is_artifact { vendor::unreachable_server() } else { reply }
    }));
    let error = machine.update().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(machine.runs(), Some(version("2.4.0")));
    machine.server().meddle = None;
    machine.update().unwrap();
    assert_eq!(machine.runs(), Some(version("2.4.1")));
}
