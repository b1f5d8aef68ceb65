//! Deltas.

use mainstay_client::format::{DeltaProfile, Digest, ProductName};

use super::{
    super::{DeltaDownloads, DeltaRecord, MetaStore},
    at, catalogue, conflict, missing,
};
use crate::policy::delta::{DeltaPair, DeltaState, Tried};

fn pair(product: &ProductName, from: &str, to: &str) -> DeltaPair {
    DeltaPair {
        product: product.clone(),
        platform: "linux-x86_64".parse().unwrap(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        profile: DeltaProfile::Fast,
    }
}

fn record(pair: &DeltaPair, revision: u64, state: DeltaState) -> DeltaRecord {
    let tried = Tried { state, at: at(1), tries: 1, seconds: 3 };
    DeltaRecord { pair: pair.clone(), revision, tried }
}

fn claim(pair: &DeltaPair, revision: u64, by: &str, until: i64) -> DeltaRecord {
    record(pair, revision, DeltaState::Making { by: by.to_owned(), until: at(until) })
}

fn kept(pair: &DeltaPair, revision: u64) -> DeltaRecord {
    record(
        pair,
        revision,
        DeltaState::Kept { length: 9, sha256: Digest::of(b"delta"), shorter_by: 91 },
    )
}

async fn stored(store: &dyn MetaStore, pair: &DeltaPair) -> Option<DeltaRecord> {
    let mut all = store.deltas_of(&pair.product).await.unwrap();
    all.retain(|delta| delta.pair == *pair);
    assert!(all.len() < 2, "one record for each: {all:?}");
    all.pop()
}

/// One is made by one at a time: who comes second is told, until the first is not heard of any more.
pub(super) async fn claims(store: &dyn MetaStore, scope: &str) {
    let product = catalogue::created(store, scope, "deltas").await;
    let pair = pair(&product, "1.9.0", "1.10.0");
    assert_eq!(stored(store, &pair).await, None);
    let (a, b) = tokio::join!(
        store.claim_delta(claim(&pair, 0, "one", 20), at(10)),
        store.claim_delta(claim(&pair, 0, "other", 20), at(10)),
    );
    assert!(a.is_ok() != b.is_ok(), "exactly one wins: {a:?}, {b:?}");
    let (by, other) = if a.is_ok() { ("one", "other") } else { ("other", "one") };
    conflict(a.and(b));
    assert_eq!(stored(store, &pair).await, Some(claim(&pair, 1, by, 20)));

    let early = conflict(store.claim_delta(claim(&pair, 1, other, 30), at(19)).await);
    assert!(early.contains(&format!("is being made by {by}, until")), "{early}");
    store.claim_delta(claim(&pair, 1, by, 40), at(19)).await.unwrap();
    conflict(store.claim_delta(claim(&pair, 2, other, 50), at(39)).await);
    store.claim_delta(claim(&pair, 2, other, 60), at(40)).await.unwrap();
    // Who had it before comes too late with what it made.
    let late = conflict(store.finish_delta(kept(&pair, 2)).await);
    assert!(late.contains("is at revision 3: expected 2"), "{late}");
    store.finish_delta(kept(&pair, 3)).await.unwrap();
    assert_eq!(stored(store, &pair).await, Some(kept(&pair, 4)));

    conflict(store.forget_delta(&pair, 3).await);
    store.forget_delta(&pair, 4).await.unwrap();
    assert_eq!(stored(store, &pair).await, None);
    conflict(store.finish_delta(kept(&pair, 4)).await);
    let nowhere = DeltaPair { product: "nowhere".parse().unwrap(), ..pair };
    missing(store.claim_delta(claim(&nowhere, 0, "one", 20), at(10)).await);
}

/// Products, platforms and versions are kept apart, and sums add up also of what is forgotten.
pub(super) async fn downloads(store: &dyn MetaStore, scope: &str) {
    let product = catalogue::created(store, scope, "delta-downloads").await;
    let longer = catalogue::created(store, scope, "delta-downloads-2").await;
    let [one, other] = [pair(&product, "1.0.0", "1.0.1"), pair(&product, "1.0.0", "1.0.10")];
    let theirs = pair(&longer, "1.0.0", "1.0.1");
    let elsewhere = DeltaPair { platform: "linux-aarch64".parse().unwrap(), ..one.clone() };
    let all = [&one, &other, &theirs, &elsewhere];
    for pair in all {
        store.claim_delta(claim(pair, 0, "one", 20), at(10)).await.unwrap();
    }
    for (product, count) in [(&product, 3), (&longer, 1)] {
        assert_eq!(store.deltas_of(product).await.unwrap().len(), count);
    }
    assert_eq!(store.delta_downloads(&product).await.unwrap(), []);
    let sent = |downloads, saved_bytes| DeltaDownloads { downloads, saved_bytes };
    let more = vec![(one.clone(), sent(1, 100)), (theirs.clone(), sent(5, 50))];
    store.count_delta_downloads(more).await.unwrap();
    store.count_delta_downloads(vec![(one.clone(), sent(2, 200))]).await.unwrap();
    store.forget_delta(&one, 1).await.unwrap();
    assert_eq!(store.delta_downloads(&product).await.unwrap(), [(one, sent(3, 300))]);
    assert_eq!(store.delta_downloads(&longer).await.unwrap(), [(theirs, sent(5, 50))]);
}
