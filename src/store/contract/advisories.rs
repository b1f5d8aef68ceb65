//! What is recorded of advisories, and what is in releases.

use mainstay_client::format::{Digest, ProductName, Severity};

use super::{
    super::{AdvisoryChange, AdvisoryRecord, MetaStore, SbomChange, SbomRecord},
    at,
    catalogue::{created, publication},
    entry, expect_audited, expect_conflict, missing,
};
use crate::policy::sbom::Component;

pub(super) async fn advisories(store: &dyn MetaStore, scope: &str) {
    let product = created(store, scope, "advisories").await;
    let record = |id: &str, title: &str| AdvisoryRecord {
        product: product.clone(),
        advisory: id.parse().unwrap(),
        title: title.to_owned(),
        severity: Some(Severity::Major),
        affected: vec!["1.0.0..1.2.0".parse().unwrap()],
        url: None,
        changed_at: vec![at(1)],
    };
    let [second, first] = [record("CVE-2", "b"), record("CVE-1", "a")];
    missing(store.advisory(&product, &first.advisory).await);
    let set = |before: Option<&AdvisoryRecord>, after: &AdvisoryRecord| {
        let change = AdvisoryChange { before: before.cloned(), after: after.clone() };
        store.change_advisory(change, entry("advisory.set"))
    };
    for record in [&second, &first] {
        expect_audited(store, "advisory.set", set(None, record)).await;
    }
    let all = store.advisories(&product).await.unwrap();
    assert_eq!(all, [first.clone(), second]);
    expect_conflict(store, set(None, &record("CVE-1", "c"))).await;
    let changed = record("CVE-1", "c");
    expect_audited(store, "advisory.set", set(Some(&first), &changed)).await;
    expect_conflict(store, set(Some(&first), &record("CVE-1", "d"))).await;
    assert_eq!(store.advisory(&product, &first.advisory).await.unwrap(), changed);
    let of_none = AdvisoryRecord { product: "nobody".parse().unwrap(), ..first };
    missing(set(None, &of_none).await);
}

pub(super) async fn sboms(store: &dyn MetaStore, scope: &str) {
    let product = created(store, scope, "sboms").await;
    for (revision, version) in (1..).zip(["1.10.0", "1.9.0"]) {
        let publication = publication(version, revision + 1);
        store.publish_release(&product, revision, publication, entry("x")).await.unwrap();
    }
    let word = |name: &str| format!("{scope}-{name}");
    let attach = |before: Option<&SbomRecord>, version: &str, names: &[&str], removed: &[&str]| {
        let after = record(&product, version, names);
        let component = |name: &&str| Component {
            group: None,
            name: word(name),
            version: Some("1".to_owned()),
            purl: None,
        };
        let components = names.iter().map(|name| (word(name), vec![component(name)])).collect();
        let removed = removed.iter().map(|name| word(name)).collect();
        let change = SbomChange { before: before.cloned(), after, components, removed };
        store.attach_sbom(change, entry("sbom.attach"))
    };
    let found = |name: &str| {
        let word = word(name);
        async move {
            let found = store.components(&word).await.unwrap().into_iter();
            let mut versions: Vec<_> = found.map(|it| it.version.to_string()).collect();
            versions.sort();
            versions
        }
    };
    missing(attach(None, "7.0.0", &["a"], &[]).await);
    expect_audited(store, "sbom.attach", attach(None, "1.9.0", &["a", "ab"], &[])).await;
    expect_audited(store, "sbom.attach", attach(None, "1.10.0", &["a"], &[])).await;
    assert_eq!(found("a").await, ["1.10.0", "1.9.0"]);
    assert_eq!(found("ab").await, ["1.9.0"]);
    assert_eq!(found("b").await, [""; 0]);
    let first = record(&product, "1.9.0", &["a", "ab"]);
    assert_eq!(store.sbom(&product, &first.version).await.unwrap(), first);

    expect_conflict(store, attach(None, "1.9.0", &["b"], &[])).await;
    let replaced = attach(Some(&first), "1.9.0", &["ab", "b"], &["a"]);
    expect_audited(store, "sbom.attach", replaced).await;
    assert_eq!(found("a").await, ["1.10.0"]);
    assert_eq!(found("ab").await, ["1.9.0"]);
    assert_eq!(found("b").await, ["1.9.0"]);
}

fn record(product: &ProductName, version: &str, names: &[&str]) -> SbomRecord {
    SbomRecord {
        product: product.clone(),
        version: version.parse().unwrap(),
        sha256: Digest::of(names.concat().as_bytes()),
        length: 7,
        spec_version: "1.5".to_owned(),
        components: names.len(),
        attached_at: at(3),
        by: "token-1".to_owned(),
    }
}
