mod lines;
mod retirement;

use mainstay_client::{
    format::{Channel, RELEASE_FORMAT, ReleaseManifest, Severity, wire::ServerKeys},
    tuf::{self, Envelope, SigningKey, Targets},
};
use serde_json::{Value, json};

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
    let mut review =
        Review::new(&proposal(&present, &change).unwrap(), &Seen::default(), after_days(1))
            .unwrap();
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
    let review = Review::new(&proposal, &Seen::default(), after_days(1)).unwrap();
    insta::assert_snapshot!(shown(&review, &Names::new()), @r"
    Proposal for acme-db, built upon revision 2.

    channel major: version 2 follows 1; expires 2026-04-02T00:00:00Z (the present one: 2026-04-01T00:00:00Z)
      lists its 1 release unchanged
      SHA-256 of what is signed: …
      release keys of channel major: 0 of 1 needed signatures; MISSING 1 of key-6

    targets: version 2 follows 1; expires 2027-01-02T00:00:00Z (the present one: 2035-12-30T00:00:00Z)
      keys of security: added key-6
      keys of security: REMOVED key-2
      keys of bugfix: added key-6
      keys of bugfix: REMOVED key-2
      keys of feature: added key-6
      keys of feature: REMOVED key-2
      keys of major: added key-6
      keys of major: REMOVED key-2
      keys of archive: added key-6
      keys of archive: REMOVED key-2
      SHA-256 of what is signed: …
      targets keys: 0 of 1 needed signatures; MISSING 1 of key-1

    Signatures are missing. Next: mainstay trust sign FILE --key NAME
    ");
}

/// The proposal to renew everything, with which `edit` had its way: it is given the member `signed`
/// of the document called `name`.
fn edited(present: &Present, name: &str, edit: impl FnOnce(&mut Value)) -> Proposal {
    let renew = ["root", "targets", "major"].map(str::to_owned).into();
    let mut proposal = proposal(present, &Change { renew, ..Change::default() }).unwrap();
    let text = proposal.documents.get_mut(name).unwrap();
    let mut document: Value = serde_json::from_str(text).unwrap();
    edit(&mut document["signed"]);
    *text = document.to_string();
    proposal
}

#[tokio::test]
async fn all_that_a_role_may_do_is_told() {
    let present = present().await;
    let proposal = edited(&present, "targets", |targets| {
        targets["delegations"]["keys"][key(7).public().id().to_string()] =
            serde_json::to_value(key(7).public()).unwrap();
        targets["delegations"]["keys"][key(8).public().id().to_string()] =
            serde_json::to_value(key(8).public()).unwrap();
        let roles = targets["delegations"]["roles"].as_array_mut().unwrap();
        let mut new = roles[0].clone();
        new["name"] = "custom".into();
        new["keyids"] = vec![key(7).public().id().to_string()].into();
        new["terminating"] = false.into();
        new["paths"] = vec!["custom/*/*", "\u{1b}"].into();
        roles[1]["paths"] = vec!["*/*/*"].into();
        roles[2].as_object_mut().unwrap().remove("paths");
        roles[2]["path_hash_prefixes"] = vec!["00"].into();
        roles[3]["terminating"] = false.into();
        roles.reverse();
        roles.pop();
        roles.insert(0, new);
    });
    let text =
        shown(&Review::new(&proposal, &Seen::default(), after_days(1)).unwrap(), &Names::new());
    let from = text.find("targets: ").unwrap();
    insta::assert_snapshot!(text[from..], @r"
    targets: version 2 follows 1; expires 2027-01-02T00:00:00Z (the present one: 2035-12-30T00:00:00Z)
      NEW role custom
        1 of 1 must sign: key-7
        paths: `custom/*/*`, `\u{1b}`
        not terminating (later roles are asked for its paths, too)
      major becomes not terminating (later roles are asked for its paths, too); until now terminating (no later role is asked for its paths)
      OTHER paths of feature: SHA-256 `00`… (until now `feature/*/*`)
      OTHER paths of bugfix: `*/*/*` (until now `bugfix/*/*`)
      role security is REMOVED; it was
        1 of 1 must sign: key-2
        paths: `security/*/*`
        terminating (no later role is asked for its paths)
      OTHER order of the roles: the first that may speak for a file is asked: custom, director, archive, major, feature, bugfix (until now security, bugfix, feature, major, archive, director)
      describes key key-8, which no role lists
      SHA-256 of what is signed: …
      targets keys: 0 of 1 needed signatures; MISSING 1 of key-1

    Signatures are missing. Next: mainstay trust sign FILE --key NAME
    ");
}

#[tokio::test]
async fn a_root_that_lets_file_names_float_is_told() {
    let present = present().await;
    let proposal = edited(&present, "root", |root| root["consistent_snapshot"] = false.into());
    let text =
        words(&Review::new(&proposal, &Seen::default(), after_days(1)).unwrap(), &Names::new());
    assert!(text.contains("consistent_snapshot is TURNED OFF"), "{text}");
}

/// What our types do not hold would be signed and not shown.
#[tokio::test]
async fn what_cannot_be_shown_is_not_signed() {
    let present = present().await;
    let id = key(1).public().id().to_string();
    let refused = |name: &str, edit: &dyn Fn(&mut Value), expected: &str| {
        let proposal = edited(&present, name, edit);
        let message =
            Review::new(&proposal, &Seen::default(), after_days(1)).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    };
    refused("root", &|root| root["x\u{1b}"] = 1.into(), r"`/x\u{1b}` is not known");
    refused("root", &|root| root["spec_version"] = "1.0.35".into(), "spec_version `1.0.35`");
    refused("root", &|root| root["roles"]["mirrors"] = json!({}), "`/roles/mirrors` is not known");
    refused("root", &|root| root["roles"]["root"]["x"] = 1.into(), "`/roles/root/x` is not known");
    refused("root", &|root| root["keys"]["new"] = json!({}), "`/keys/new` is not known");
    refused(
        "root",
        &|root| root["keys"][&id]["keyval"]["private"] = "".into(),
        "/keyval/private` is not known",
    );
    refused("root", &|root| root["expires"] = "2027-01-02T00:00:00+00:00".into(), "`/expires` is");
    refused("root", &|root| root["expires"] = "2027-01-02T00:00:00.5Z".into(), "whole seconds");
    refused(
        "targets",
        &|targets| targets["delegations"]["roles"][0]["threshold2"] = 1.into(),
        "`/delegations/roles/0/threshold2` is not known",
    );
    refused(
        "targets",
        &|targets| {
            let role = targets["delegations"]["roles"][0].clone();
            let alike = json!({
                "keyids": role["keyids"], "threshold": 1, "bit_length": 2, "name_prefix": "bin"
            });
            let delegations = targets["delegations"].as_object_mut().unwrap();
            delegations.remove("roles");
            delegations.insert("succinct_roles".to_owned(), alike);
        },
        "succinct_roles",
    );
    refused(
        "targets",
        &|targets| {
            let target = json!({ "length": 1, "hashes": { "sha256": "00".repeat(32) } });
            targets["targets"] = json!({ "a/b": target });
        },
        "targets of their own",
    );
    refused(
        "major",
        &|channel| channel["delegations"] = json!({ "keys": {}, "roles": [] }),
        "channel major delegates",
    );
    refused(
        "major",
        &|channel| {
            let targets = channel["targets"].as_object_mut().unwrap();
            targets.values_mut().next().unwrap()["hashes"]["md5"] = "".into();
        },
        "/hashes/md5` is not known",
    );
}

/// Signatures of one key count once, whatever it is called.
#[tokio::test]
async fn one_key_goes_by_one_identifier() {
    let present = present().await;
    let id = key(3).public().id().to_string();
    let alias = |root: &mut Value| {
        root["keys"]["alias"] = root["keys"][&id].clone();
        root["roles"]["root"]["keyids"] = json!([id, "alias"]);
        root["roles"]["root"]["threshold"] = 2.into();
    };
    let proposal = edited(&present, "root", alias);
    let message = Review::new(&proposal, &Seen::default(), after_days(1)).unwrap_err().to_string();
    assert!(message.contains(&format!("keys {id}, alias are one key")), "{message}");
    let proposal =
        edited(&present, "root", |root| root["roles"]["root"]["keyids"] = json!([id, "nobody"]));
    let message = Review::new(&proposal, &Seen::default(), after_days(1)).unwrap_err().to_string();
    assert!(message.contains("key nobody of root is not described"), "{message}");
}

#[tokio::test]
async fn how_long_a_document_is_good_for_has_bounds() {
    let present = present().await;
    let review = |name: &str, days: i64| {
        let expires = after_days(1 + days).to_string();
        let proposal = edited(&present, name, |signed| signed["expires"] = expires.into());
        Review::new(&proposal, &Seen::default(), after_days(1))
    };
    for (name, usual, days_max) in [("root", 365, 3660), ("targets", 365, 3660), ("major", 90, 366)]
    {
        for (days, warned) in [(2 * usual, false), (2 * usual + 1, true), (days_max, true)] {
            let text = words(&review(name, days).unwrap(), &Names::new());
            let expected = format!("UNUSUALLY LONG: it is good for {days} days; usual are {usual}");
            assert_eq!(text.contains(&expected), warned, "{name} {days}: {text}");
        }
        for (days, expected) in [(days_max + 1, "expected at most"), (0, "expected later")] {
            let message = review(name, days).unwrap_err().to_string();
            assert!(message.contains(expected), "{name} {days}: {message}");
        }
    }
}

/// The same keys may sign for several products.
#[tokio::test]
async fn what_is_of_another_product_is_not_signed() {
    let present = present().await;
    let renew = ["root".to_owned(), "targets".to_owned(), "major".to_owned()].into();
    let honest = proposal(&present, &Change { renew, ..Change::default() }).unwrap();
    let refused = |proposal: &Proposal, document: &str| {
        let message =
            Review::new(proposal, &Seen::default(), after_days(1)).unwrap_err().to_string();
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

/// Which of two documents of one version is the true one, no machine could tell.
#[tokio::test]
async fn what_was_signed_here_is_not_signed_otherwise() {
    let present = present().await;
    let proposed = |days: i64| {
        let expires = after_days(days).to_string();
        edited(&present, "targets", |signed| signed["expires"] = expires.into())
    };
    let review =
        |days: i64, seen: &Seen| Review::new(&proposed(days), seen, after_days(1)).unwrap();
    let mut seen = Seen::default();
    let mut first = review(100, &seen);
    assert!(first.signed_instead.is_empty());
    first.note(&mut seen, Document::is_signed);
    assert!(review(200, &seen).signed_instead.is_empty(), "nobody has signed");
    first.sign(&key(1)).unwrap();
    first.note(&mut seen, Document::is_signed);
    assert!(review(100, &seen).signed_instead.is_empty(), "it is the same");
    let text = words(&review(200, &seen), &Names::new());
    let told = "ATTENTION: this computer has signed something else before: targets version 2, of";
    assert!(text.contains(told), "{text}");
}

#[tokio::test]
async fn copies_are_joined_whichever_has_the_good_signature() {
    let present = present().await;
    let mut good = edited(&present, "targets", |_| {});
    good.documents.retain(|name, _| name == "targets");
    let mut review = Review::new(&good, &Seen::default(), after_days(1)).unwrap();
    review.sign(&key(1)).unwrap();
    good.documents = review.texts().unwrap();
    let mut bad = good.clone();
    let text = bad.documents.get_mut("targets").unwrap();
    let mut document: Value = serde_json::from_str(text).unwrap();
    document["signatures"][0]["sig"] = "00".into();
    *text = document.to_string();
    for (first, second) in [(&good, &bad), (&bad, &good)] {
        let mut review = Review::new(first, &Seen::default(), after_days(1)).unwrap();
        review.join(second).unwrap();
        assert!(review.is_complete());
    }
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
            private_channel: None,
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
        Review::new(&proposal, &Seen::default(), after_days(1))
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
async fn nobody_is_asked_to_adopt_keys_that_are_adopted() {
    let world = World::new().await;
    let service = world.on_day(1);
    let state = service.publishing_state(&product()).await.unwrap();
    let base = Base::verify(&product(), &state.metadata, &Seen::default()).unwrap();
    let present = Present { state, base };
    let adopting = |online| Change { online: Some(online), ..Change::default() };
    let online = service.server_keys();
    assert!(present.propose(&product(), &adopting(online.clone())).unwrap().is_none());
    for (other, expected) in [
        (ServerKeys { timestamp: key(8).public(), ..online.clone() }, "root"),
        (ServerKeys { snapshot: key(8).public(), ..online.clone() }, "root"),
        (ServerKeys { director: key(8).public(), ..online }, "targets"),
    ] {
        let proposal = proposal(&present, &adopting(other)).unwrap();
        assert_eq!(proposal.documents.keys().collect::<Vec<_>>(), [expected]);
    }
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
    let seen = |role: &str, version: u64| {
        let mut roles = SeenRoles::default();
        roles.note_published(role, version.try_into().unwrap());
        Seen { root: Some(metadata["1.root.json"].clone().into_bytes()), roles }
    };
    Base::verify(&product(), metadata, &seen("major", 1)).unwrap();
    for (seen, expected) in [
        (seen("major", 2), "major has version 1: this computer has seen version 2 already"),
        (seen("targets", 2), "targets has version 1: this computer has seen version 2 already"),
        // It would have its first version once more.
        (seen("bugfix", 1), "bugfix is missing: this computer has seen version 1 already"),
    ] {
        let error = Base::verify(&product(), metadata, &seen).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(present.base.root.header.expires > after_days(1));
}
