use std::collections::BTreeSet;

use jiff::SignedDuration;
use mainstay_client::format::wire::{Awaited, Event, EventKind, Waiting};
use proptest::prelude::*;

use super::{
    Exposure::{Affected, Fixed, NotAffected},
    *,
};
use crate::policy::resolve::{Action, Resolution};

const CVE: &str = "CVE-2026-1";

fn cve() -> AdvisoryId {
    CVE.parse().unwrap()
}

fn day(day: u32) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + 86_400 * i64::from(day)).unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn release(text: &str, published: u32, advisories: &[&str]) -> Release {
    let value = serde_json::json!({
        "version": text,
        "channel": "security",
        "severity": "major",
        "published_at": day(published),
        "advisories": advisories,
    });
    serde_json::from_value(value).unwrap()
}

fn custom(text: &str, published: u32, advisories: &[&str], channel: &str) -> Release {
    let private_channel = Some(channel.repeat(26).parse().unwrap());
    Release { private_channel, ..release(text, published, advisories) }
}

fn catalogue(releases: Vec<Release>) -> Catalogue {
    Catalogue::new("acme-db".parse().unwrap(), [], releases).unwrap()
}

/// The versions of a catalogue that have the fix.
fn fixed(catalogue: &Catalogue) -> Vec<String> {
    let id = cve();
    let advisory = Advisory::new(catalogue, &id, &[]);
    let versions = catalogue.releases().map(|release| &release.version);
    let fixed = versions.filter(|version| advisory.exposure(version) == Exposure::Fixed);
    fixed.map(Version::to_string).collect()
}

#[test]
fn a_line_has_the_fix_from_its_own_release_on_that_names_it() {
    let found = fixed(&catalogue(vec![
        release("1.0.0", 0, &[]),
        release("1.0.1", 5, &["CVE-2026-2"]),
        release("1.0.2", 10, &[CVE]),
        release("1.0.3", 20, &[]),
    ]));
    assert_eq!(found, ["1.0.2", "1.0.3"]);
}

#[test]
fn a_backport_mends_no_line_that_was_open_before() {
    let found = fixed(&catalogue(vec![
        release("2.3.4", 0, &[]),
        release("2.3.5", 10, &[CVE]),
        release("2.4.0", 5, &[]),
        // Nobody has said that this one has it, though it came later.
        release("2.4.1", 11, &[]),
        release("2.4.2", 12, &[CVE]),
        release("2.5.0-rc.1", 9, &[]),
        release("2.5.0-rc.2", 13, &[]),
        release("2.5.0", 15, &[]),
        release("2.6.0", 20, &[]),
        release("2.6.1", 30, &[CVE]),
    ]));
    assert_eq!(found, ["2.3.5", "2.4.2", "2.5.0-rc.2", "2.5.0", "2.6.1"]);
}

#[test]
fn whoever_runs_a_withdrawn_fix_has_it_and_nobody_is_sent_to_it() {
    let withdrawn = Release { status: Status::Withdrawn, ..release("1.0.1", 10, &[CVE]) };
    let draft = Release { status: Status::Draft, ..release("1.0.3", 12, &[CVE]) };
    let catalogue =
        catalogue(vec![release("1.0.0", 0, &[]), withdrawn, release("1.0.2", 11, &[]), draft]);
    assert_eq!(fixed(&catalogue), ["1.0.1", "1.0.2"]);
    let id = cve();
    let advisory = Advisory::new(&catalogue, &id, &[]);
    let remedies = ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "9.9.9"].map(version);
    assert_eq!(remedies.map(|it| advisory.is_remedy(&it)), [false, false, true, false, false]);
}

#[test]
fn a_custom_build_speaks_for_its_own_channel() {
    let found = fixed(&catalogue(vec![
        release("1.0.0", 0, &[]),
        custom("1.0.1-acme.1", 10, &[CVE], "a"),
        custom("1.0.1-acme.2", 11, &[], "a"),
        custom("1.0.1-other.1", 12, &[], "b"),
        release("1.0.1", 13, &[]),
    ]));
    assert_eq!(found, ["1.0.1-acme.1", "1.0.1-acme.2"]);
}

#[test]
fn what_the_vendor_has_recorded_as_affected_is_and_nothing_else() {
    let catalogue = catalogue(vec![
        release("1.0.0", 0, &[]),
        release("1.1.0", 5, &[]),
        release("1.1.1", 10, &[CVE]),
    ]);
    let (id, affected) = (cve(), ["1.1.0..1.1.1".parse().unwrap()]);
    let advisory = Advisory::new(&catalogue, &id, &affected);
    let found = ["1.0.0", "1.1.0", "1.1.1", "1.1.0-mine", "9.9.9"]
        .map(|text| advisory.exposure(&version(text)));
    assert_eq!(found, [NotAffected, Affected, Fixed, NotAffected, NotAffected]);
    // Where nothing is recorded, a version that nobody knows is not taken for one with the fix.
    let advisory = Advisory::new(&catalogue, &id, &[]);
    assert_eq!(advisory.exposure(&version("9.9.9")), Affected);
}

#[test]
fn a_machine_is_open_since_the_fix_its_enrolment_or_its_way_back() {
    let catalogue = catalogue(vec![
        release("1.0.0", 0, &[]),
        release("1.0.1", 5, &[]),
        release("1.0.2", 10, &[CVE]),
    ]);
    let id = cve();
    let advisory = Advisory::new(&catalogue, &id, &[]);
    let since = |enrolled, runs: &Runs| advisory.open_since(day(10), day(enrolled), runs);
    let mut runs = Runs::default();
    assert_eq!(since(0, &runs), day(10));
    assert_eq!(since(12, &runs), day(12));
    let versions = ["1.0.0", "1.0.1", "1.0.2"].map(version);
    for (on, version) in [11, 12, 13].into_iter().zip(&versions) {
        runs.confirm(version, day(on));
    }
    runs.switch(Some(&versions[0]), Some(&versions[1]), day(14));
    assert_eq!(since(0, &runs), day(10), "from one affected version to another");
    runs.switch(Some(&versions[2]), Some(&versions[1]), day(20));
    assert_eq!(since(0, &runs), day(20));
}

#[test]
fn a_time_begins_with_the_fix_or_the_exposure_and_ends_with_the_first_fixed_version() {
    let catalogue = catalogue(vec![release("1.0.0", 0, &[]), release("1.0.1", 10, &[CVE])]);
    let id = cve();
    let advisory = Advisory::new(&catalogue, &id, &[]);
    let patched = |confirmed: &[(&str, Option<u32>)]| {
        let mut runs = Runs::default();
        for (text, on) in confirmed {
            if let Some(on) = on {
                runs.confirm(&version(text), day(*on));
            }
        }
        let confirmed = confirmed.iter().map(|(text, _)| version(text)).collect();
        advisory.patched(day(10), &confirmed, &runs)
    };
    let days = |days: i64| Patched::After(SignedDuration::from_hours(24 * days));
    assert_eq!(patched(&[("1.0.0", Some(1)), ("1.0.1", Some(13))]), days(3));
    assert_eq!(patched(&[("1.0.0", Some(12)), ("1.0.1", Some(13))]), days(1));
    assert_eq!(patched(&[("1.0.0", None), ("1.0.1", Some(14))]), days(4));
    assert_eq!(patched(&[("1.0.0", Some(1)), ("1.0.1", None)]), Patched::Undated);
    assert_eq!(patched(&[("1.0.1", Some(13))]), Patched::Not, "it began with the fix");
    assert_eq!(patched(&[("1.0.1", Some(13)), ("1.0.0", Some(20))]), Patched::Not);
    assert_eq!(patched(&[("1.0.0", Some(1))]), Patched::Not);
}

#[test]
fn percentiles_are_by_the_nearest_rank() {
    let mut times = PatchTimes::default();
    let figures = times.figures();
    assert_eq!((figures.patched, figures.p50_minutes), (0, None));
    for minutes in 1..=200 {
        let time = SignedDuration::from_secs(60 * minutes - 59);
        times.add(Patched::After(time));
    }
    times.add(Patched::Undated);
    times.add(Patched::Not);
    let figures = times.figures();
    assert_eq!((figures.patched, figures.undated), (201, 1));
    let found =
        [figures.p50_minutes, figures.p90_minutes, figures.p95_minutes, figures.p99_minutes];
    assert_eq!(found, [100, 180, 190, 198].map(Some));
}

/// Few lines and patches, published in any order, of which some name the advisory.
fn releases() -> impl Strategy<Value = Vec<Release>> {
    let one = (0..3_u32, 0..4_u32, 0..20_u32, any::<bool>(), 0..4_u8);
    prop::collection::vec(one, 1..12).prop_map(|drawn| {
        let mut releases: Vec<Release> = Vec::new();
        for (minor, patch, published, names, status) in drawn {
            let text = format!("1.{minor}.{patch}");
            if releases.iter().any(|it| it.version == version(&text)) {
                continue;
            }
            let status = match status {
                0 => Status::Withdrawn,
                1 => Status::Revoked,
                _ => Status::Published,
            };
            let named: &[&str] = if names { &[CVE] } else { &[] };
            releases.push(Release { status, ..release(&text, published, named) });
        }
        releases
    })
}

proptest! {
    #[test]
    fn a_fix_stays_in_its_line_and_never_comes_from_nothing(releases in releases()) {
        let catalogue = catalogue(releases);
        let id = cve();
        let advisory = Advisory::new(&catalogue, &id, &[]);
        let is_fixed = |it: &Release| advisory.exposure(&it.version) == Exposure::Fixed;
        for one in catalogue.releases() {
            if one.advisories.contains(&id) {
                prop_assert!(is_fixed(one), "{} says so itself", one.version);
            }
            let basis = advisory.naming().any(|fix| {
                fix.version <= one.version && fix.published_at <= one.published_at
            });
            prop_assert!(basis || !is_fixed(one), "{} has it from nowhere", one.version);
            for later in catalogue.releases() {
                let follows = later.version > one.version
                    && later.version.line() == one.version.line()
                    && later.published_at >= one.published_at;
                prop_assert!(
                    !(follows && is_fixed(one)) || is_fixed(later),
                    "{} has it, {} has not", one.version, later.version
                );
            }
        }
    }

    #[test]
    fn what_is_withdrawn_changes_nothing_for_who_runs_what(releases in releases()) {
        let published = releases.iter().cloned();
        let published = published.map(|it| Release { status: Status::Published, ..it }).collect();
        prop_assert_eq!(fixed(&catalogue(releases)), fixed(&catalogue(published)));
    }

    #[test]
    fn a_range_makes_nothing_affected_and_takes_no_fix_away(
        releases in releases(),
        minor in 0..3_u32,
    ) {
        let catalogue = catalogue(releases);
        let (id, affected) = (cve(), [format!("1.{minor}.0..").parse().unwrap()]);
        let (all, some) =
            (Advisory::new(&catalogue, &id, &[]), Advisory::new(&catalogue, &id, &affected));
        for release in catalogue.releases() {
            let (all, some) = (all.exposure(&release.version), some.exposure(&release.version));
            prop_assert!(all == some || (all, some) == (Exposure::Affected, Exposure::NotAffected));
        }
    }
}

fn opens(catalogue: &Catalogue, from: &str, to: &str) -> Vec<String> {
    let opened = reopened(catalogue, |_| true, &version(from), &version(to));
    opened.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_fixed_before_and_not_after_opens_again() {
    let catalogue = catalogue(vec![
        release("1.0.1", 1, &["CVE-2026-1"]),
        release("1.0.2", 2, &["CVE-2026-2"]),
        release("1.0.3", 3, &["CVE-2026-1", "CVE-2026-3"]),
    ]);
    assert_eq!(opens(&catalogue, "1.0.3", "1.0.2"), ["CVE-2026-3"]);
    assert_eq!(opens(&catalogue, "1.0.3", "1.0.1"), ["CVE-2026-2", "CVE-2026-3"]);
    assert_eq!(opens(&catalogue, "1.0.2", "1.0.1"), ["CVE-2026-2"], "not what lies above");
    assert_eq!(opens(&catalogue, "1.0.2", "1.0.2"), [""; 0]);
    let unknown = reopened(&catalogue, |_| false, &version("1.0.3"), &version("1.0.1"));
    assert!(unknown.is_empty(), "nobody is told of releases that they may not know of");
}

#[test]
fn a_fix_that_came_to_an_older_line_later_is_not_in_what_was_opened_before() {
    let catalogue = catalogue(vec![
        release("1.0.0", 1, &[]),
        release("1.1.0", 5, &[]),
        release("1.0.1", 9, &[CVE]),
        release("1.1.1", 9, &[CVE]),
    ]);
    assert_eq!(opens(&catalogue, "1.1.1", "1.1.0"), [CVE]);
    assert_eq!(opens(&catalogue, "1.1.1", "1.0.1"), [""; 0], "it is fixed there as well");
    assert_eq!(opens(&catalogue, "1.1.0", "1.0.0"), [""; 0], "it was open before");
}

/// Why a machine runs 1.0.0 on day 20 to which 1.0.1 with the fix comes, and to which 1.0.1 was offered.
fn waits(waits: Option<&Waiting>, last: Option<EventKind>) -> Cause {
    let catalogue = catalogue(vec![release("1.0.0", 0, &[]), release("1.0.1", 10, &[CVE])]);
    let (id, fix) = (cve(), version("1.0.1"));
    let resolution = Resolution {
        action: Action::Update(fix.clone()),
        target: Some(fix.clone()),
        reached: vec![fix.clone()],
        withheld: Vec::new(),
        order_refusal: None,
    };
    let last = last.map(|kind| {
        let detail = String::new();
        Event { number: 1, kind, from: None, to: fix.clone(), order: None, detail, fetched: None }
    });
    let machine = Circumstances {
        silent_since: None,
        going_back_to: None,
        offered: &[fix].into(),
        failed: &BTreeSet::new(),
        waits,
        last: last.as_ref(),
        at: day(20),
    };
    Cause::of(&Advisory::new(&catalogue, &id, &[]), &resolution, &machine)
}

fn waiting(text: &str, awaited: Awaited) -> Waiting {
    Waiting { version: version(text), awaited }
}

#[test]
fn what_a_machine_waits_for_is_told_apart() {
    let window = Awaited::Window(day(21));
    for (awaited, code, said) in [
        (Awaited::Approval, "APPROVAL", "`mainstay-agent approve 1.0.1`"),
        (window, "WINDOW", "its window, which opens at 2026-01-22T00:00:00Z"),
        (Awaited::Confirmation, "CONFIRMATION", "what is on probation"),
        (Awaited::Command, "COMMAND", "nothing of its channel"),
    ] {
        let cause = waits(Some(&waiting("1.0.1", awaited)), None);
        assert_eq!((cause.kind, cause.code.as_str()), (CauseKind::Waiting, code));
        assert!(cause.message.contains(said), "{}", cause.message);
        assert_eq!(cause.remedy, Some(version("1.0.1")));
        // What it says of another version than the one that is offered is not about this fix.
        assert_eq!(waits(Some(&waiting("1.0.2", awaited)), None).code, "OFFERED");
    }
    assert_eq!(waits(None, None).code, "OFFERED");
    for opens in [Timestamp::MIN, day(0), day(20)] {
        let over = waits(Some(&waiting("1.0.1", Awaited::Window(opens))), None);
        assert_eq!(over.code, "OFFERED", "the window of {opens} has opened");
    }
}

#[test]
fn what_was_tried_tells_more_than_what_is_waited_for() {
    for (last, code) in [
        (EventKind::Deferred, "DEFERRED"),
        (EventKind::Interrupted, "FAILED"),
        (EventKind::Refused, "FAILED"),
    ] {
        assert_eq!(waits(Some(&waiting("1.0.1", Awaited::Approval)), Some(last)).code, code);
    }
}

fn awaited() -> impl Strategy<Value = Awaited> {
    let seconds = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    prop_oneof![
        Just(Awaited::Confirmation),
        Just(Awaited::Approval),
        Just(Awaited::Command),
        seconds.prop_map(|second| Awaited::Window(Timestamp::from_second(second).unwrap())),
    ]
}

proptest! {
    /// Whatever a machine says that it waits for, the fix is there for it to take.
    #[test]
    fn waiting_for_something_excuses_nothing(awaited in awaited(), is_offered: bool) {
        let said = waiting(if is_offered { "1.0.1" } else { "9.9.9-hostile" }, awaited);
        let (cause, plain) = (waits(Some(&said), None), waits(None, None));
        prop_assert_eq!((cause.kind, &cause.remedy), (plain.kind, &plain.remedy));
        let names_window = cause.code == "WINDOW";
        let is_ahead = matches!(awaited, Awaited::Window(opens) if opens > day(20));
        prop_assert_eq!(names_window, is_offered && is_ahead);
        prop_assert!(is_offered || cause == plain);
    }
}
