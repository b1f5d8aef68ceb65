use mainstay_client::{
    format::{Channel, RELEASE_FORMAT, ReleaseManifest, Severity},
    tuf::{self, Envelope, SigningKey, Targets},
};

use serde_json::json;

use super::{change::RoleChange, *};
use crate::{
    service::tests::world::{World, after_days, product},
    store::MetaStore as _,
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// The product of the world on day 1, whose root key is 3, targets key 1, release key 2.
async fn present() -> Present {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let state = world.on_day(1).publishing_state(&product()).await.unwrap();
    let base = Base::verify(&product(), &state.metadata, &Seen::default()).unwrap();
    Present { state, base }
}

fn proposal(present: &Present, change: &Change) -> Result<Proposal, CliError> {
    Ok(present.propose(&product(), change)?.unwrap())
}

fn with_root(root: RoleChange) -> Change {
    Change { root, ..Change::default() }
}

fn adding(seeds: &[u8], threshold: u64) -> RoleChange {
    RoleChange {
        add: seeds.iter().map(|seed| key(*seed).public()).collect(),
        threshold: threshold.try_into().ok(),
        ..RoleChange::default()
    }
}

fn removing(seed: u8) -> RoleChange {
    RoleChange { remove: [key(seed).public().id()].into(), ..RoleChange::default() }
}

/// What is shown, with key identifiers cut, and without the digests: the server's keys are random.
fn shown(review: &Review, names: &Names) -> String {
    let text = words(review, names);
    let lines = text.lines().map(|line| match line.split_once("signed: ") {
        Some((before, _)) => format!("{before}signed: …"),
        None => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    (1..=9).fold(text, |text, seed| {
        let id = key(seed).public().id().to_string();
        text.replace(&id, &format!("key-{seed}"))
    })
}

#[tokio::test]
async fn a_new_root_is_told_in_plain_words() {
    let present = present().await;
    let change = with_root(adding(&[4, 5], 2));
    let mut review = Review::new(&proposal(&present, &change).unwrap(), &Seen::default()).unwrap();
    review.sign(&key(4)).unwrap();
    let names = Names::from([(key(5).public().id(), "bob\u{1b}[2J".to_owned())]);
    insta::assert_snapshot!(shown(&review, &names), @r"
    Proposal for acme-db, built upon revision 2.

    root: version 2 follows 1; expires 2027-01-02T00:00:00Z (the present one: 2035-12-30T00:00:00Z)
      root keys: added key-4
      root keys: added bob\u{1b}[2J (key-5)
      root keys: 2 of 3 must sign (until now 1 of 1)
      SHA-256 of what is signed: …
      present root keys: 0 of 1 needed signatures; MISSING 1 of key-3
      new root keys: 1 of 2 needed signatures; signed by key-4; MISSING 1 of key-3, bob\u{1b}[2J (key-5)

    Signatures are missing. Next: mainstay trust sign FILE --key NAME
    ");
}

#[tokio::test]
async fn a_release_key_that_goes_takes_its_signatures_with_it() {
    let present = present().await;
    let release = RoleChange { remove: removing(2).remove, ..adding(&[6], 1) };
    let change = Change { release, ..Change::default() };
    let proposal = proposal(&present, &change).unwrap();
    let review = Review::new(&proposal, &Seen::default()).unwrap();
    insta::assert_snapshot!(shown(&review, &Names::new()), @r"
    Proposal for acme-db, built upon revision 2.

    channel major: version 2 follows 1; expires 2026-04-02T00:00:00Z (the present one: 2026-04-01T00:00:00Z)
      lists its 1 release unchanged
      SHA-256 of what is signed: …
      release keys of channel major: 0 of 1 needed signatures; MISSING 1 of key-6

    targets: version 2 follows 1; expires 2027-01-02T00:00:00Z (the present one: 2035-12-30T00:00:00Z)
      keys of bugfix: added key-6
      keys of bugfix: REMOVED key-2
      keys of feature: added key-6
      keys of feature: REMOVED key-2
      keys of major: added key-6
      keys of major: REMOVED key-2
      keys of security: added key-6
      keys of security: REMOVED key-2
      SHA-256 of what is signed: …
      targets keys: 0 of 1 needed signatures; MISSING 1 of key-1

    Signatures are missing. Next: mainstay trust sign FILE --key NAME
    ");
}

#[tokio::test]
async fn nothing_is_changed_behind_the_signers_back() {
    let present = present().await;
    let renew = ["root".to_owned(), "targets".to_owned()].into();
    let mut proposal = proposal(&present, &Change { renew, ..Change::default() }).unwrap();
    let mut edit = |name: &str, edit: fn(&mut serde_json::Value)| {
        let text = proposal.documents.get_mut(name).unwrap();
        let mut document: serde_json::Value = serde_json::from_str(text).unwrap();
        edit(&mut document["signed"]);
        *text = document.to_string();
    };
    edit("root", |root| root["consistent_snapshot"] = false.into());
    edit("targets", |targets| {
        let roles = targets["delegations"]["roles"].as_array_mut().unwrap();
        roles.reverse();
        roles[1]["paths"] = vec!["*/*/*"].into();
        let mut new = roles[1].clone();
        new["name"] = "new".into();
        roles.push(new);
    });
    let text = words(&Review::new(&proposal, &Seen::default()).unwrap(), &Names::new());
    for told in ["TURNED OFF", "OTHER order of the roles", "OTHER paths of role", "NEW role new"] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

/// The same keys may sign for several products.
#[tokio::test]
async fn what_is_of_another_product_is_not_signed() {
    let present = present().await;
    let renew = ["root".to_owned(), "targets".to_owned(), "major".to_owned()].into();
    let honest = proposal(&present, &Change { renew, ..Change::default() }).unwrap();
    let refused = |proposal: &Proposal, document: &str| {
        let message = Review::new(proposal, &Seen::default()).unwrap_err().to_string();
        assert!(message.contains(document) && message.contains("binding"), "{message}");
    };
    for name in honest.documents.keys() {
        for other in [json!("acme-web"), json!(null)] {
            let mut proposal = honest.clone();
            let text = proposal.documents.get_mut(name).unwrap();
            let mut document: serde_json::Value = serde_json::from_str(text).unwrap();
            document["signed"]["x-mainstay-product"] = other;
            *text = document.to_string();
            refused(&proposal, name);
        }
    }
    refused(&Proposal { product: "acme-web".parse().unwrap(), ..honest }, "root");
}

/// The server would refuse it; one that was broken into would not.
#[tokio::test]
async fn a_release_that_is_published_is_not_replaced() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let state = world.on_day(1).publishing_state(&product()).await.unwrap();
    let release = world.meta.releases(&product()).await.unwrap().remove(0);
    let proposed = |version: &str| {
        let manifest = ReleaseManifest {
            format: RELEASE_FORMAT,
            product: product(),
            version: version.parse().unwrap(),
            channel: Channel::Major,
            severity: Severity::Minor,
            published_at: state.now,
            effective_at: state.now,
            advisories: Vec::new(),
            requires_addons: Vec::new(),
            audience: Vec::new(),
            courtesy: false,
            min_from: None,
            floor: None,
            notes: "Not what these notes said before.".to_owned(),
            artifacts: release.artifacts.clone(),
        };
        let manifest_bytes = serde_json::to_vec(&manifest).unwrap();
        let present = Envelope::parse("major", state.metadata["major.json"].as_bytes()).unwrap();
        let mut channel: Targets = present.document().unwrap();
        channel.header.version = channel.header.version.checked_add(1).unwrap();
        channel.targets.extend(manifest.targets(&manifest_bytes).unwrap());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let signed = tuf::sign(&channel, &[&key(2)]).unwrap();
        let documents = [("major".to_owned(), text(signed))].into();
        let proposal = Proposal::new(product(), &state, documents, Some(text(manifest_bytes)));
        Review::new(&proposal, &Seen::default())
    };
    assert!(proposed("2.0.0").unwrap().is_complete());
    let message = proposed("1.0.0").unwrap_err().to_string();
    assert!(message.contains("lists major/1.0.0/"), "{message}");
    assert!(message.contains("what was published is not replaced"), "{message}");
}

#[tokio::test]
async fn one_more_key_makes_no_signature_worthless() {
    let present = present().await;
    let change = Change { release: adding(&[6], 1), ..Change::default() };
    let proposal = proposal(&present, &change).unwrap();
    assert_eq!(proposal.documents.keys().collect::<Vec<_>>(), ["targets"]);
    // Another targets key needs a root that says so, and signs the targets anew.
    let targets = RoleChange { remove: removing(1).remove, ..adding(&[7], 1) };
    let change = Change { targets, ..Change::default() };
    let proposal = super::tests::proposal(&present, &change).unwrap();
    assert_eq!(proposal.documents.keys().collect::<Vec<_>>(), ["root", "targets"]);
}

#[tokio::test]
async fn a_change_that_makes_no_sense_is_refused() {
    let present = present().await;
    for (change, expected) in [
        (with_root(removing(3)), "1 root keys must sign, and there would be 0"),
        (with_root(removing(4)), "is none of the root keys"),
        (with_root(adding(&[3], 1)), "is one of the root keys already"),
        (with_root(adding(&[], 2)), "2 root keys must sign, and there would be 1"),
        (
            Change { renew: ["bugfix".to_owned()].into(), ..Change::default() },
            "there is no `bugfix` to renew",
        ),
        (
            Change {
                release: adding(&[6], 1),
                release_channels: ["other".parse().unwrap()].into(),
                ..Change::default()
            },
            "has no channel other",
        ),
    ] {
        let error = proposal(&present, &change).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(present.propose(&product(), &Change::default()).unwrap().is_none());
}

#[tokio::test]
async fn what_was_seen_here_is_not_unseen() {
    let present = present().await;
    let metadata = &present.state.metadata;
    let seen = |version: u64| {
        let envelope = Envelope::parse("snapshot", metadata["snapshot.json"].as_bytes());
        let mut snapshot: tuf::Snapshot = envelope.unwrap().document().unwrap();
        let listed = snapshot.meta.get_mut("major.json").unwrap();
        listed.version = version.try_into().unwrap();
        Seen { root: Some(metadata["1.root.json"].clone().into_bytes()), snapshot: Some(snapshot) }
    };
    Base::verify(&product(), metadata, &seen(1)).unwrap();
    let error = Base::verify(&product(), metadata, &seen(2)).unwrap_err().to_string();
    assert!(error.contains("this computer has seen 2 already"), "{error}");
    assert!(present.base.root.header.expires > after_days(1));
}
