use super::{
    vendor::{Particulars, version},
    *,
};
use crate::format::Missing;

/// Lets the machine spare so many bytes of its disk.
fn spare(machine: &Machine, bytes: u64) {
    let path = machine.folder.path().join(".mainstay/agent.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.split("\n[disk]").next().unwrap();
    std::fs::write(path, format!("{text}\n[disk]\nspare_bytes = {bytes}\n")).unwrap();
}

/// What a file system of exabytes would not have either.
const TOO_MUCH: u64 = 1 << 62;

#[test]
fn what_is_missing_says_where_and_nothing_is_given_up_for_what_cannot_come() {
    let machine = Machine::running("2.4.0");
    for patch in 1..=3 {
        machine.server().offer(&format!("2.4.{patch}"), &Particulars::default());
        machine.update().unwrap();
    }
    let stale = machine.folder.path().join(".mainstay/cache/of-another.part");
    std::fs::write(&stale, "a part").unwrap();
    machine.server().offer("2.4.4", &Particulars::default());
    spare(&machine, TOO_MUCH);
    let mut client = machine.client();
    let update = client.update(&mut |_| {}).unwrap();
    let [Missing::Space { required, found, path }] = &update.missing[..] else {
        panic!("{:?}", update.missing)
    };
    assert!(*required > TOO_MUCH && *found < TOO_MUCH);
    assert_eq!(path, machine.folder.path().to_str().unwrap());
    assert_eq!(client.given_up(), []);
    assert!(stale.exists());
    assert!(client.installation.has_tree(&version("2.4.1")));
    drop(client);
    // What there is room for gives nothing up either.
    spare(&machine, 0);
    let mut client = machine.client();
    client.update(&mut |_| {}).unwrap();
    assert_eq!(client.given_up(), []);
    assert_eq!(client.installation.running(), Some(&version("2.4.4")));
}

#[test]
fn the_spare_outlives_another_enrolment() {
    let machine = Machine::enrolled();
    spare(&machine, TOO_MUCH);
    let enrolment = machine.enroll(&machine.options()).unwrap();
    assert_eq!(enrolment.disk.spare_bytes, Some(TOO_MUCH));
    assert_eq!(machine.client().enrolment().disk.spare_bytes, Some(TOO_MUCH));
}
