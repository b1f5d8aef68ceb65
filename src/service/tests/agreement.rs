//! One decision everywhere: whatever a contract says, all routes say the same of every release.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::format::{
    Channel, DeltaProfile, Digest, MachineName, Severity, TargetFile, Version, wire::EventKind,
};

use super::world::{
    World, actor, after_days, event, plan, platform, product, version as version_of,
};
use crate::{
    policy::{
        Bridge, Change, Code, Contract, Exit, Fallback, Reopening, State, Term, Tier, Verdict,
        delta::{DeltaPair, DeltaState, Tried},
    },
    service::{
        Actor, ErrorClass, Hidden, Scope, Service, ServiceError,
        contract::{AmendContract, ExplainContract},
        decisions::ListDecisions,
        support::OrderRollback,
    },
    store::{
        DeltaRecord, DeltaStore as _, MachineChange, MachineRecord, MetaStore as _, ReleaseRecord,
    },
};

/// The day on which everything is asked. All releases are out by then.
const TODAY: i64 = 1000;

/// What no route comes to here: nothing on a server makes the first two so, what is withdrawn is asked in
/// `rollout`, and what comes of the ends of lines in `tests/e2e/lines.rs`.
const OUT_OF_REACH: [Code; 5] =
    [Code::UnknownProduct, Code::Revoked, Code::Withdrawn, Code::LineEol, Code::LineEos];

async fn world() -> World {
    let world = World::new().await;
    let advisory = |text: &str| vec![text.parse().unwrap()];
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    world.publish(10, Channel::Bugfix, "1.0.1").await.unwrap();
    let addon = "replication".parse().unwrap();
    let extra = world.publish_as(20, Channel::Bugfix, "1.0.2", |release| {
        release.requires_addons = vec![addon];
    });
    extra.await.unwrap();
    let private = world.publish_as(30, Channel::Bugfix, "1.0.3", |release| {
        release.audience = vec!["initech".parse().unwrap()];
    });
    private.await.unwrap();
    world.publish(200, Channel::Feature, "1.1.0").await.unwrap();
    let critical = world.publish_as(210, Channel::Security, "1.1.1", |release| {
        release.severity = Severity::Critical;
        release.advisories = advisory("CVE-2026-1");
    });
    critical.await.unwrap();
    world.publish(300, Channel::Major, "2.0.0").await.unwrap();
    world.publish(520, Channel::Bugfix, "1.0.4").await.unwrap();
    world.publish(530, Channel::Security, "1.0.5").await.unwrap();
    let courtesy = world.publish_as(900, Channel::Security, "1.0.6", |release| {
        release.courtesy = true;
    });
    courtesy.await.unwrap();
    world.customer("hooli", Tier::Basic).await;
    let channel = world.private_channel(901, "hooli", "h").await;
    world.publish_custom(902, &channel, "1.0.7-custom.1").await.unwrap();
    world
}

fn term(start: i64, end: i64) -> Vec<Term> {
    vec![Term { start: after_days(start), end: after_days(end) }]
}

/// What is done to a contract before everything is asked.
type Terms = fn(&mut Contract);

/// What contracts may say, by a name.
fn scenarios() -> Vec<(&'static str, Terms)> {
    vec![
        ("everything", |contract| {
            contract.channels = Channel::ALL.into();
            contract.addons = ["replication".parse().unwrap()].into();
        }),
        ("of the audience", |contract| contract.audience = ["initech".parse().unwrap()].into()),
        ("security alone", |contract| contract.channels = [Channel::Security].into()),
        ("a bridge", |contract| {
            contract.channels = [Channel::Security].into();
            contract.bridge = Bridge::Critical;
        }),
        ("capped", |contract| {
            contract.channels = Channel::ALL.into();
            contract.cap = Some("1.1".parse().unwrap());
        }),
        ("over, for ever", |contract| {
            contract.channels = Channel::ALL.into();
            contract.terms = term(0, 500);
        }),
        ("over before the lines", |contract| {
            contract.channels = Channel::ALL.into();
            contract.terms = term(0, 100);
        }),
        ("over, with grace and tail", |contract| {
            contract.terms = term(0, 510);
            contract.grace_days = 15;
            contract.security_tail_days = 30;
        }),
        ("in its grace", |contract| {
            contract.terms = term(0, 990);
            contract.grace_days = 20;
            contract.fallback = Fallback::None;
        }),
        ("ended", |contract| {
            contract.terms = term(0, 500);
            contract.fallback = Fallback::None;
        }),
        ("not started", |contract| contract.terms = term(2000, 3000)),
        ("suspended", |contract| contract.state = State::Suspended),
        ("another product", |contract| contract.products = ["other".parse().unwrap()].into()),
    ]
}

/// A machine of globex, which runs 1.1.1 and has confirmed `confirmed`, under a contract that
/// `change` has had its way with since.
async fn machine(world: &World, confirmed: &[&str], change: Terms) -> MachineName {
    let key = world.customer("globex", Tier::Basic).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    let channel = world.private_channel(903, "globex", "g").await;
    world.publish_custom(904, &channel, "1.0.7-ours.1").await.unwrap();
    // What is confirmed was offered before: each was the newest of a time.
    for (number, confirmed) in (1..).zip(confirmed) {
        let mut record = world.machine(&name).await;
        record.offered.insert(version_of(confirmed));
        let change = MachineChange { machine: record, plan: None, events: Vec::new(), audit: None };
        world.meta.change_machine(change).await.unwrap();
        let events = vec![event(number, EventKind::Confirmed, confirmed)];
        world.report(1, &name, Some(confirmed), events).await;
    }
    let service = world.on_day(2);
    let contract = "globex".parse().unwrap();
    let mut document = service.contract(&actor(), &contract).await.unwrap().now.unwrap();
    // Its conditions are agreed one by one.
    document.tier = None;
    change(&mut document);
    let change = Change::Create { contract: document };
    let request = AmendContract { at: None, change };
    service.amend_contract(&actor(), &contract, request).await.unwrap();
    name
}

fn in_house() -> Actor {
    Actor { scope: Scope::Customers(["globex".parse().unwrap()].into()), ..actor() }
}

fn path(file: &TargetFile) -> String {
    let path = file.path.to_string();
    let (folder, name) = path.rsplit_once('/').unwrap();
    format!("targets/{folder}/{}.{name}", file.sha256)
}

/// Expects a refusal to carry the code of the decision, and one that hides to hide.
#[track_caller]
fn assert_refused(error: &ServiceError, code: Code, told: &str) {
    assert_eq!(error.code(), code.as_str(), "{told}");
    let class = if code == Code::NotFound { ErrorClass::NotFound } else { ErrorClass::Forbidden };
    assert_eq!(error.class(), class, "{told}");
}

/// Asks every route about every release, and says the codes that were given.
async fn assert_all_agree(world: &World, name: &MachineName, told: &str) -> BTreeSet<Code> {
    world.check(TODAY, name, Some("1.1.1")).await;
    let service = world.on_day(TODAY);
    let record = world.machine(name).await;
    let releases = service.releases(&product()).await.unwrap();
    for release in &releases {
        keep_delta(world, &release.release.version).await;
    }
    service.load_deltas().await.unwrap();
    let hidden = Hidden::Listed;
    let question = ExplainContract { product: product(), at: None, with: None, hidden };
    let contract = "globex".parse().unwrap();
    let explained = service.explain_contract(&actor(), &contract, question).await.unwrap();
    let by_contract: BTreeMap<_, _> = explained
        .into_iter()
        .map(|explanation| explanation.explained.decision)
        .map(|decision| (decision.version, decision.code))
        .collect();
    let explained = service.explain(&actor(), name, hidden).await.unwrap();
    assert_eq!(explained.len(), releases.len(), "{told}");
    let decided: BTreeMap<_, _> = explained
        .iter()
        .map(|explanation| {
            let code: Code = serde_json::from_value(explanation.code.clone().into()).unwrap();
            assert_eq!(code.verdict(), explanation.verdict, "{told}");
            (explanation.version.clone(), code)
        })
        .collect();

    let view = service.contract(&actor(), &contract).await.unwrap().now.unwrap();
    let covers_product = view.products.contains(&product());
    for release in &releases {
        let version = &release.release.version;
        let told = format!("{told}: {version}");
        let code = decided[version];
        if !record.confirmed.contains(version) {
            assert_eq!(by_contract[version], code, "{told}");
        }
        // A product that is not in the contract is not looked into at all.
        let served = if covers_product { code } else { Code::ProductNotCovered };
        assert_downloads(&service, &record, release, served, &told).await;
        if code.verdict() == Verdict::Deny && *version < version_of("1.1.1") {
            let request = OrderRollback {
                to: version.clone().into(),
                exposure: Reopening::Refused,
                reason: "bad".to_owned(),
                ticket: None,
            };
            let error = service.order_rollback(&actor(), name, request).await.unwrap_err();
            assert_refused(&error, code, &told);
        }
    }
    assert_plan(world, name, &decided, told).await;
    Box::pin(assert_channels(world, name, &view, &decided, &releases, told)).await;
    assert_hidden(world, name, &decided, told).await;
    decided.into_values().collect()
}

/// Has a delta kept that makes a release of itself, so that none but it has a say.
async fn keep_delta(world: &World, to: &Version) {
    let pair = DeltaPair {
        product: product(),
        platform: platform(),
        from: to.clone(),
        to: to.clone(),
        profile: DeltaProfile::Fast,
    };
    let state = DeltaState::Kept { length: 7, sha256: delta_digest(to), shorter_by: 1 };
    let at = after_days(902);
    let tried = Tried { state, at, tries: 0, seconds: 1 };
    world.meta.claim_delta(DeltaRecord { pair, revision: 0, tried }, at).await.unwrap();
}

fn delta_digest(to: &Version) -> Digest {
    Digest::of(format!("the delta to {to}").as_bytes())
}

async fn assert_downloads(
    service: &Service,
    record: &MachineRecord,
    release: &ReleaseRecord,
    code: Code,
    told: &str,
) {
    let files = release.files().map(|file| (path(&file), file.sha256));
    let delta = delta_digest(&release.release.version);
    for (path, sha256) in files.chain([(format!("deltas/{delta}"), delta)]) {
        let served = service.machine_file(record, &product(), &path).await;
        match (served, code.verdict()) {
            (Ok(served), Verdict::Grant) => assert_eq!(served.sha256, sha256, "{told}"),
            (Err(error), Verdict::Deny) => assert_refused(&error, code, told),
            (served, _) => panic!("{told}: {code} and yet {served:?}"),
        }
    }
}

/// The plan installs what is granted and withholds with the decision's codes, hiding what is hidden.
async fn assert_plan(
    world: &World,
    name: &MachineName,
    decided: &BTreeMap<Version, Code>,
    told: &str,
) {
    for running in [None, Some("1.0.0"), Some("1.1.1")] {
        let plan = plan(&world.check(TODAY, name, running).await);
        if let Some(target) = plan.action.target() {
            assert_eq!(decided[&target.version].verdict(), Verdict::Grant, "{told}");
        }
        for withheld in &plan.withheld {
            let code = decided[&withheld.version];
            assert_eq!(withheld.code, code.as_str(), "{told}: {}", withheld.version);
            let hidden = |version| decided[version] == Code::NotFound;
            assert!(!hidden(&withheld.version), "{told}: {}", withheld.version);
            assert!(!withheld.alternative.as_ref().is_some_and(hidden), "{told}");
        }
        let above =
            |version: &&Version| running.is_none_or(|running| **version > version_of(running));
        let withheld: BTreeSet<_> = plan.withheld.iter().map(|entry| &entry.version).collect();
        let best = decided
            .keys()
            .filter(above)
            .rfind(|version| decided[version].verdict() == Verdict::Grant);
        assert_eq!(plan.action.target().map(|target| &target.version), best, "{told}");
        for version in
            decided.keys().filter(above).filter(|version| best.is_none_or(|best| *version > best))
        {
            let is_hidden = decided[version] == Code::NotFound;
            assert_eq!(withheld.contains(version), !is_hidden, "{told}: {version}");
        }
    }
}

/// A channel's metadata is served, and brought by a check, where the contract has the channel or a
/// grant in it; a private channel's to its customer.
async fn assert_channels(
    world: &World,
    name: &MachineName,
    contract: &Contract,
    decided: &BTreeMap<Version, Code>,
    releases: &[ReleaseRecord],
    told: &str,
) {
    let (service, record) = (world.on_day(TODAY), world.machine(name).await);
    let brought = world.check(TODAY, name, None).await.metadata;
    let covers_product = contract.products.contains(&product());
    for channel in Channel::ALL {
        let told = format!("{told}: {channel}");
        let mut granted = releases.iter().filter(|release| {
            let Some(code) = decided.get(&release.release.version) else { return false };
            release.role() == channel.into() && code.verdict() == Verdict::Grant
        });
        let may = contract.channels.contains(&channel) || granted.next().is_some();
        let served = service.machine_file(&record, &product(), &format!("1.{channel}.json")).await;
        match served {
            Ok(_) => assert!(may && covers_product, "{told}"),
            Err(error) if covers_product => {
                assert!(!may, "{told}: {error}");
                assert_refused(&error, Code::ChannelNotCovered, &told);
            }
            Err(error) => assert_refused(&error, Code::ProductNotCovered, &told),
        }
        let expected = may && covers_product;
        assert_eq!(brought.contains_key(&format!("{channel}.json")), expected, "{told}");
    }
    for (letter, may) in [("g", covers_product), ("h", false)] {
        let channel = letter.repeat(26);
        let served = service.machine_file(&record, &product(), &format!("1.{channel}.json")).await;
        assert_eq!(brought.contains_key(&format!("{channel}.json")), may, "{told}: {channel}");
        match served {
            Ok(_) => assert!(may, "{told}: {channel}"),
            Err(error) if covers_product => assert_refused(&error, Code::NotFound, told),
            Err(error) => assert_refused(&error, Code::ProductNotCovered, told),
        }
    }
}

/// Who supports the customer sees all decisions but those that hide.
async fn assert_hidden(
    world: &World,
    name: &MachineName,
    decided: &BTreeMap<Version, Code>,
    told: &str,
) {
    let service = world.on_day(TODAY);
    let is_hidden = |code: &Code| *code == Code::NotFound;
    let expected = decided.iter().filter(|(_, code)| !is_hidden(code));
    let expected: Vec<_> = expected.map(|(version, _)| version.clone()).collect();
    let contract = "globex".parse().unwrap();
    // So does the vendor where it does not ask for more.
    for (whose, hidden) in
        [(in_house(), Hidden::LeftOut), (in_house(), Hidden::Listed), (actor(), Hidden::LeftOut)]
    {
        let shown = service.explain(&whose, name, hidden).await.unwrap();
        let shown: Vec<_> = shown.into_iter().map(|explanation| explanation.version).collect();
        assert_eq!(shown, expected, "{told}");
        let question = ExplainContract { product: product(), at: None, with: None, hidden };
        match service.explain_contract(&whose, &contract, question).await {
            Ok(explained) => {
                let mut codes = explained.iter().map(|entry| entry.explained.decision.code);
                assert!(!codes.any(|code| is_hidden(&code)), "{told}");
            }
            Err(error) => assert_eq!(error.code(), "NOT_FOUND", "{told}"),
        }
        let question = ListDecisions { hidden, ..ListDecisions::default() };
        let page = service.decisions(&whose, question).await.unwrap();
        let mut codes = page.decisions.iter().map(|it| it.explanation.explained.decision.code);
        assert!(!codes.any(|code| is_hidden(&code)), "{told}");
    }
}

#[tokio::test]
async fn every_route_says_the_same_of_every_release_by_whatever_code() {
    let mut given = BTreeSet::new();
    for (told, change) in scenarios() {
        let world = world().await;
        let name = machine(&world, &[], change).await;
        given.extend(Box::pin(assert_all_agree(&world, &name, told)).await);
    }
    let world = world().await;
    let name = machine(&world, &["1.0.1", "2.0.0"], |contract| {
        contract.cap = Some("1.0".parse().unwrap());
    })
    .await;
    given.extend(Box::pin(assert_all_agree(&world, &name, "a machine that has run two")).await);

    let world = self::world().await;
    let name = machine(&world, &[], |_| {}).await;
    let change = Change::Terminate { exit: Exit::Nothing };
    let request = AmendContract { at: None, change };
    let contract = "globex".parse().unwrap();
    world.on_day(3).amend_contract(&actor(), &contract, request).await.unwrap();
    given.extend(Box::pin(assert_all_agree(&world, &name, "terminated")).await);

    let reachable = Code::ALL.iter().copied().filter(|code| !OUT_OF_REACH.contains(code));
    assert_eq!(given, reachable.collect(), "every code that a server can come to");
}
