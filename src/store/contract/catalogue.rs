//! Products, their repositories and releases.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::format::{
    Artifact, Channel, Digest, LineDates, Lines, ProductName, Severity, TargetFile, TargetPath,
};

use super::{
    super::{
        CustomerRecord, MetaStore, PrivateChannelRecord, ProductRecord, Publication, ReleaseRecord,
        Repository, RepositoryFile, Retirement, SafeguardRecord, StoredFile, Word,
    },
    at, entry, expect_audited, expect_conflict, missing,
};
use crate::policy::{
    Release,
    safeguard::{Condition, WhereUnknown},
};

pub(super) async fn products(store: &dyn MetaStore, scope: &str) {
    let [second, first] = [product(scope, "b"), product(scope, "a")];
    assert!(missing(store.product(&first.name).await).contains(first.name.as_str()));

    for product in [&second, &first] {
        let files = files_of(&product.repository);
        let change = store.create_product(product.clone(), files, entry("product.create"));
        expect_audited(store, "product.create", change).await;
    }
    let stored = ProductRecord { revision: 1, ..first.clone() };
    assert_eq!(store.product(&first.name).await.unwrap(), stored, "a product begins at revision 1");
    let all = store.products().await.unwrap();
    let names: Vec<_> = all.iter().map(|product| product.name.as_str()).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(all.contains(&stored));

    let snapshot = store.repository_file(&first.name, "1.snapshot.json").await.unwrap();
    assert_eq!(snapshot, first.repository.snapshot);
    missing(store.repository_file(&first.name, "2.snapshot.json").await);
    missing(store.repository_file(&"nobody".parse().unwrap(), "1.snapshot.json").await);

    let other = ProductRecord { repository: repository(7), ..first.clone() };
    let files = files_of(&other.repository);
    let again = store.create_product(other, files, entry("product.create"));
    expect_conflict(store, again).await;
    assert_eq!(store.product(&first.name).await.unwrap(), stored);
    missing(store.repository_file(&first.name, "7.snapshot.json").await);
}

pub(super) async fn releases(store: &dyn MetaStore, scope: &str) {
    let product = created(store, scope, "releases").await;
    assert_eq!(store.releases(&product).await.unwrap(), []);
    missing(
        store.publish_release(&named(scope, "no"), 1, publication("1.0.0", 2), entry("x")).await,
    );

    let versions = ["1.10.0", "1.9.0", "1.10.0-rc.1"];
    for (revision, version) in (1..).zip(versions) {
        let publication = publication(version, revision + 1);
        let change = store.publish_release(&product, revision, publication.clone(), entry(version));
        expect_audited(store, version, change).await;
        let stored = store.product(&product).await.unwrap();
        assert_eq!((stored.revision, &stored.repository), (revision + 1, &publication.repository));
        let file = store.repository_file(&product, &publication.files[0].name).await.unwrap();
        assert_eq!(file, publication.files[0].file);
        let released = store.releases(&product).await.unwrap();
        assert!(released.contains(&publication.release));
    }
    let before = store.releases(&product).await.unwrap();
    let order: Vec<_> = before.iter().map(|record| record.release.version.to_string()).collect();
    assert_eq!(order, ["1.9.0", "1.10.0-rc.1", "1.10.0"], "the order of SemVer, not of text");

    let twice = store.publish_release(&product, 4, publication("1.9.0", 9), entry("x"));
    let message = expect_conflict(store, twice).await;
    assert!(message.contains("1.9.0"), "{message}");
    let stale = store.publish_release(&product, 3, publication("2.0.0", 9), entry("x"));
    let message = expect_conflict(store, stale).await;
    let expected = "is at revision 4: expected 3; fetch the publishing state again and retry";
    assert!(message.contains(expected), "{message}");
    assert_eq!(store.releases(&product).await.unwrap(), before);
    let first = &before[0].release.version;
    assert_eq!(store.release(&product, first).await.unwrap(), before[0]);
    missing(store.release(&product, &"9.9.9".parse().unwrap()).await);
    missing(store.release(&"another-product".parse().unwrap(), first).await);
    assert_eq!(store.product(&product).await.unwrap().revision, 4);
    missing(store.repository_file(&product, "9.snapshot.json").await);
}

pub(super) async fn retirements(store: &dyn MetaStore, scope: &str) {
    let product = created(store, scope, "retirements").await;
    for (revision, version) in (1..).zip(["1.0.0", "1.1.0", "1.2.0"]) {
        let publication = publication(version, revision + 1);
        store.publish_release(&product, revision, publication, entry(version)).await.unwrap();
    }
    let published = store.releases(&product).await.unwrap();
    let retirement = |versions: &[&str], metadata_version: u64| {
        let repository = repository(metadata_version);
        let versions = versions.iter().map(|text| text.parse().unwrap()).collect();
        Retirement { versions, at: at(9), files: files_of(&repository), repository }
    };

    let retired = retirement(&["1.0.0", "1.1.0"], 5);
    let change = store.retire_releases(&product, 4, retired.clone(), entry("release.retire"));
    expect_audited(store, "release.retire", change).await;
    let stored = store.product(&product).await.unwrap();
    assert_eq!((stored.revision, &stored.repository), (5, &retired.repository));
    store.repository_file(&product, "5.snapshot.json").await.unwrap();
    let after = store.releases(&product).await.unwrap();
    let expected = published.into_iter().map(|release| {
        let is_retired = retired.versions.contains(&release.release.version);
        ReleaseRecord { retired_at: is_retired.then(|| at(9)), ..release }
    });
    assert_eq!(after, expected.collect::<Vec<_>>(), "nothing else of a release changes");

    // All of it or nothing.
    for (revision, metadata_version) in [(4, 9), (5, 5)] {
        let stale = retirement(&["1.2.0"], metadata_version);
        expect_conflict(store, store.retire_releases(&product, revision, stale, entry("x"))).await;
    }
    let unknown = retirement(&["1.2.0", "7.0.0"], 9);
    let message = missing(store.retire_releases(&product, 5, unknown, entry("x")).await);
    assert!(message.contains("7.0.0"), "{message}");
    assert_eq!(store.releases(&product).await.unwrap(), after);
    assert_eq!(store.product(&product).await.unwrap().revision, 5);
    missing(store.repository_file(&product, "9.snapshot.json").await);
    let nobody = named(scope, "no");
    missing(store.retire_releases(&nobody, 1, retirement(&["1.2.0"], 9), entry("x")).await);
}

pub(super) async fn private_channels(store: &dyn MetaStore, scope: &str) {
    let product = created(store, scope, "private").await;
    let other = created(store, scope, "private-2").await;
    assert_eq!(store.private_channels(&product).await.unwrap(), []);
    let name = format!("{scope}-private");
    let customer = CustomerRecord {
        name: name.parse().unwrap(),
        title: name,
        created_at: at(0),
        tags: BTreeSet::new(),
    };
    store.create_customer(customer.clone(), entry("customer.create")).await.unwrap();
    let channel = |letter: &str| PrivateChannelRecord {
        product: product.clone(),
        name: letter.repeat(26).parse().unwrap(),
        customer: customer.name.clone(),
        created_at: at(1),
        ended_at: None,
    };
    let [second, first] = [channel("b"), channel("a")];
    for channel in [&second, &first] {
        let change = store.create_private_channel(channel.clone(), entry("channel.create"));
        expect_audited(store, "channel.create", change).await;
    }
    let stored = vec![first.clone(), second.clone()];
    assert_eq!(store.private_channels(&product).await.unwrap(), stored);
    assert_eq!(store.private_channels(&other).await.unwrap(), []);

    let again = PrivateChannelRecord { created_at: at(2), ..first.clone() };
    expect_conflict(store, store.create_private_channel(again, entry("x"))).await;
    let nobodys = PrivateChannelRecord { customer: "nobody".parse().unwrap(), ..channel("c") };
    missing(store.create_private_channel(nobodys, entry("x")).await);
    let of_none = PrivateChannelRecord { product: named(scope, "no"), ..channel("c") };
    missing(store.create_private_channel(of_none, entry("x")).await);
    assert_eq!(store.private_channels(&product).await.unwrap(), stored);

    let before = store.product(&product).await.unwrap().revision;
    let change = store.end_private_channel(&product, &first.name, at(3), entry("channel.end"));
    expect_audited(store, "channel.end", change).await;
    assert_eq!(store.product(&product).await.unwrap().revision, before + 1);
    // Whoever has checked a release before that is told.
    let late = store.publish_release(&product, before, publication("9.0.0", 2), entry("x"));
    expect_conflict(store, late).await;
    let ended = PrivateChannelRecord { ended_at: Some(at(3)), ..first.clone() };
    let stored = vec![ended, second];
    assert_eq!(store.private_channels(&product).await.unwrap(), stored);
    let again = store.end_private_channel(&product, &first.name, at(4), entry("x"));
    expect_conflict(store, again).await;
    missing(store.end_private_channel(&other, &first.name, at(4), entry("x")).await);
    assert_eq!(store.private_channels(&product).await.unwrap(), stored);
}

pub(super) async fn safeguards(store: &dyn MetaStore, scope: &str) {
    let product = created(store, scope, "guarded").await;
    let other = created(store, scope, "guarded-2").await;
    let word = |second: i64, reason: &str| {
        let (by, reason) = ("token-1".to_owned(), reason.to_owned());
        Word { at: at(second), by, reason, ticket: None }
    };
    let safeguard = |number| SafeguardRecord {
        product: product.clone(),
        number,
        versions: ["1.2.0".parse().unwrap()].into(),
        condition: Condition { kernel: "<5.15".parse().ok(), ..Condition::default() },
        where_unknown: WhereUnknown::Held,
        word: word(1, "it does not boot"),
        lifted: None,
    };
    let [second, first] = [safeguard(256), safeguard(1)];
    for safeguard in [&second, &first] {
        let change = store.create_safeguard(safeguard.clone(), entry("safeguard.create"));
        expect_audited(store, "safeguard.create", change).await;
    }
    let stored = vec![first.clone(), second.clone()];
    assert_eq!(store.safeguards(&product).await.unwrap(), stored);
    assert_eq!(store.safeguards(&other).await.unwrap(), []);
    assert_eq!(store.lifted_safeguards(&product).await.unwrap(), []);
    expect_conflict(store, store.create_safeguard(first.clone(), entry("x"))).await;
    let of_none = SafeguardRecord { product: named(scope, "no"), ..safeguard(1) };
    missing(store.create_safeguard(of_none, entry("x")).await);

    let lift = |number, second| {
        store.lift_safeguard(&product, number, word(second, "mended"), entry("safeguard.lift"))
    };
    expect_audited(store, "safeguard.lift", lift(1, 2)).await;
    assert_eq!(store.safeguards(&product).await.unwrap(), [second]);
    let lifted = SafeguardRecord { lifted: Some(word(2, "mended")), ..first.clone() };
    assert_eq!(store.lifted_safeguards(&product).await.unwrap(), [lifted]);
    let told = expect_conflict(store, lift(1, 3)).await;
    assert!(told.contains("lifted already, by token-1") && told.contains("mended"), "{told}");
    expect_conflict(store, store.create_safeguard(first, entry("x"))).await;
    missing(lift(7, 3).await);
}

pub(super) async fn renewals(store: &dyn MetaStore, scope: &str) {
    let product = created(store, scope, "renewals").await;
    let renewed = repository(2);
    store.renew_repository(&product, 1, renewed.clone(), files_of(&renewed)).await.unwrap();
    let stored = store.product(&product).await.unwrap();
    assert_eq!((stored.revision, stored.repository), (1, renewed.clone()), "the revision stays");
    let timestamp = store.repository_file(&product, "timestamp.json").await.unwrap();
    assert_eq!(timestamp, renewed.timestamp, "a name can be given to newer metadata");
    store.repository_file(&product, "1.snapshot.json").await.unwrap();

    // Two that built upon the same metadata: the second is told, whichever kind it is.
    let rival = Repository { snapshot: file("rival", 2), ..renewed.clone() };
    let renewal = store.renew_repository(&product, 1, rival.clone(), files_of(&rival));
    let message = expect_conflict(store, renewal).await;
    assert!(message.contains("is at version 2"), "{message}");
    let publish = store.publish_release(&product, 1, publication("1.0.0", 2), entry("x"));
    expect_conflict(store, publish).await;
    assert_eq!(store.releases(&product).await.unwrap(), []);
    let snapshot = store.repository_file(&product, "2.snapshot.json").await.unwrap();
    assert_eq!(snapshot, renewed.snapshot);

    store.publish_release(&product, 1, publication("1.0.0", 3), entry("x")).await.unwrap();
    let stale = store.renew_repository(&product, 1, repository(4), Vec::new());
    expect_conflict(store, stale).await;
    missing(store.renew_repository(&named(scope, "no"), 1, repository(4), Vec::new()).await);
}

pub(super) async fn amendments(store: &dyn MetaStore, scope: &str) {
    let product = created(store, scope, "amendments").await;
    let amended = Repository { root: file("root", 2), ..repository(2) };
    let mut files = files_of(&amended);
    files.push(RepositoryFile { name: "2.root.json".to_owned(), file: amended.root });
    let change = store.amend_repository(&product, 1, amended.clone(), files, entry("amend"));
    expect_audited(store, "amend", change).await;
    let stored = store.product(&product).await.unwrap();
    assert_eq!((stored.revision, stored.repository), (2, amended.clone()), "the revision rises");
    let root = store.repository_file(&product, "2.root.json").await.unwrap();
    assert_eq!(root, amended.root);

    // Built upon an older revision, or upon metadata that was renewed in the meantime.
    for (revision, version) in [(1, 3), (2, 2)] {
        let rival = repository(version);
        let files = files_of(&repository(9));
        let change = store.amend_repository(&product, revision, rival, files, entry("x"));
        expect_conflict(store, change).await;
    }
    missing(store.repository_file(&product, "9.snapshot.json").await);
    let stale = store.publish_release(&product, 1, publication("1.0.0", 3), entry("x"));
    expect_conflict(store, stale).await;
    let nobody = named(scope, "no");
    missing(store.amend_repository(&nobody, 1, repository(4), Vec::new(), entry("x")).await);
}

pub(super) async fn two_publishers(store: &dyn MetaStore, scope: &str) {
    let product = created(store, scope, "race").await;
    let publish =
        |version: &str| store.publish_release(&product, 1, publication(version, 2), entry(version));
    let (a, b) = tokio::join!(publish("1.0.0"), publish("2.0.0"));
    assert!(a.is_ok() != b.is_ok(), "exactly one wins: {a:?}, {b:?}");
    super::conflict(a.and(b));
    assert_eq!(store.releases(&product).await.unwrap().len(), 1);
    assert_eq!(store.product(&product).await.unwrap().revision, 2);
}

/// A product that is stored already.
pub(super) async fn created(store: &dyn MetaStore, scope: &str, name: &str) -> ProductName {
    let product = product(scope, name);
    let files = files_of(&product.repository);
    let name = product.name.clone();
    store.create_product(product, files, entry("product.create")).await.unwrap();
    name
}

fn named(scope: &str, name: &str) -> ProductName {
    format!("{scope}-{name}").parse().unwrap()
}

fn product(scope: &str, name: &str) -> ProductRecord {
    let name = named(scope, name);
    ProductRecord { name, created_at: at(0), revision: 0, repository: repository(1) }
}

fn repository(version: u64) -> Repository {
    let dates = LineDates { eos: Some(at(version.cast_signed())), ..LineDates::default() };
    Repository {
        root: file("root", 1),
        timestamp: file("timestamp", version),
        snapshot: file("snapshot", version),
        targets: file("targets", 1),
        channels: BTreeMap::from([("bugfix".parse().unwrap(), file("bugfix", version))]),
        directors: Some(BTreeSet::from(["d1rect0r".parse().unwrap()])),
        lines: Lines::default().with("1.0".parse().unwrap(), dates).unwrap(),
    }
}

fn file(role: &str, version: u64) -> StoredFile {
    let sha256 = Digest::of(format!("{role} {version}").as_bytes());
    StoredFile { version, length: 100 + version, sha256, expires: at(86_400) }
}

fn files_of(repository: &Repository) -> Vec<RepositoryFile> {
    let Repository { snapshot, timestamp, .. } = *repository;
    vec![
        RepositoryFile { name: format!("{}.snapshot.json", snapshot.version), file: snapshot },
        RepositoryFile { name: "timestamp.json".to_owned(), file: timestamp },
    ]
}

pub(super) fn publication(version: &str, metadata_version: u64) -> Publication {
    let repository = repository(metadata_version);
    let files = files_of(&repository);
    Publication { release: release(version), rollout: None, files, repository }
}

fn release(version: &str) -> ReleaseRecord {
    let version = version.parse().unwrap();
    let channel = Channel::Feature;
    let sha256 = Digest::of(b"artifact");
    let artifact = Artifact {
        length: 10,
        sha256,
        payload_length: 20,
        payload_sha256: Digest::of(b"payload"),
        window_log: 20,
        health: None,
        hooks: mainstay_client::format::Hooks::default(),
        data: None,
        requires: mainstay_client::format::Requirements::default(),
    };
    let path = TargetPath::manifest(&channel.into(), &version);
    ReleaseRecord {
        min_from: Some("0.9.0".parse().unwrap()),
        floor: None,
        manifest: TargetFile { path, length: 5, sha256 },
        artifacts: BTreeMap::from([("linux-x86_64".parse().unwrap(), artifact)]),
        retired_at: None,
        release: Release {
            version,
            channel,
            private_channel: None,
            severity: Severity::Major,
            published_at: at(0),
            effective_at: None,
            status: crate::policy::Status::Published,
            advisories: BTreeSet::from(["CVE-2026-1".parse().unwrap()]),
            requires_addons: BTreeSet::new(),
            audience: BTreeSet::new(),
            courtesy: false,
        },
    }
}
