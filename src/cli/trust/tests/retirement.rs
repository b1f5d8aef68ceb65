use std::collections::BTreeSet;

use mainstay_client::format::{ChannelName, Version};

use super::{
    super::change::{ArchiveKeys, documents},
    *,
};
use crate::service::tests::world::version;

/// A world with 1.0.0, 1.0.1 with a floor, 1.0.2 and 1.0.3, and the product as it is on day 1.
async fn patched() -> (World, PublishingState) {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let floored = world.publish_as(0, Channel::Bugfix, "1.0.1", |manifest| {
        manifest.floor = Some(version("1.0.0"));
    });
    floored.await.unwrap();
    world.publish(0, Channel::Bugfix, "1.0.2").await.unwrap();
    world.publish(0, Channel::Bugfix, "1.0.3").await.unwrap();
    let state = world.on_day(1).publishing_state(&product()).await.unwrap();
    (world, state)
}

fn versions(texts: &[&str]) -> BTreeSet<Version> {
    texts.iter().copied().map(version).collect()
}

/// A proposal to retire `texts`, of which `change` has had its way with the roles and what is said
/// of them.
async fn proposed(
    (world, state): &(World, PublishingState),
    texts: &[&str],
    change: impl FnOnce(&mut BTreeMap<ChannelName, Targets>),
) -> Proposal {
    let request = world.retirement(1, &versions(texts), change).await;
    let roles = request.roles.into_iter();
    let documents = roles.map(|(name, text)| (name.to_string(), text)).collect();
    Proposal::to_retire(product(), state, documents, request.versions)
}

fn refusal(proposal: &Proposal) -> String {
    Review::new(proposal, &Seen::default(), after_days(1)).unwrap_err().to_string()
}

#[tokio::test]
async fn a_retirement_is_told_in_plain_words() {
    let present = patched().await;
    let proposal = proposed(&present, &["1.0.2"], |_| {}).await;
    let review = Review::new(&proposal, &Seen::default(), after_days(1)).unwrap();
    insta::assert_snapshot!(shown(&review, &Names::new()), @r"
    Proposal for acme-db, built upon revision 5.

    channel archive: its first version; expires 2026-04-02T00:00:00Z
      lists its 0 releases unchanged, and TAKES IN as retired: 1.0.2
      SHA-256 of what is signed: …
      release keys of channel archive: 1 of 1 needed signatures; signed by key-2

    channel bugfix: version 4 follows 3; expires 2026-04-02T00:00:00Z (the present one: 2026-04-01T00:00:00Z)
      lists 2 releases unchanged, and RETIRES to the archive: 1.0.2
      SHA-256 of what is signed: …
      release keys of channel bugfix: 1 of 1 needed signatures; signed by key-2

    Everybody has signed who must. Next: mainstay trust submit FILE
    ");
}

/// The server would refuse it; one that was broken into would not.
#[tokio::test]
async fn nothing_else_moves_with_a_retirement() {
    let present = patched().await;
    let (bugfix, archive) = (ChannelName::from(Channel::Bugfix), ChannelName::archive());
    let more = proposed(&present, &["1.0.2"], |roles| {
        let targets = &mut roles.get_mut(&bugfix).unwrap().targets;
        targets.retain(|path, _| !path.starts_with("bugfix/1.0.1/"));
    });
    let text = "bugfix lists something else than the retirement leaves it";
    assert!(refusal(&more.await).contains(text));
    let nowhere = proposed(&present, &["1.0.2"], |roles| drop(roles.remove(&archive)));
    assert!(refusal(&nowhere.await).contains("archive is missing"));
    let other = proposed(&present, &["1.0.2"], |roles| {
        let mut more = roles[&bugfix].clone();
        more.header.version = 2.try_into().unwrap();
        roles.insert(Channel::Major.into(), more);
    });
    assert!(refusal(&other.await).contains("major has no part in the retirement"));

    // What is said and what is signed are one.
    let mut unsaid = proposed(&present, &["1.0.2"], |_| {}).await;
    unsaid.retire = BTreeSet::new();
    assert!(refusal(&unsaid).contains("something else than its present releases"));
    unsaid.retire = versions(&["1.0.1"]);
    assert!(refusal(&unsaid).contains("something else than the retirement leaves"));

    // What must stay stays, whatever a server says of it.
    let floor = proposed(&present, &["1.0.1"], |_| {}).await;
    assert!(refusal(&floor).contains("version 1.0.1 sets the rollback floor 1.0.0"));
    let newest = proposed(&present, &["1.0.3"], |_| {}).await;
    assert!(refusal(&newest).contains("version 1.0.3 is the newest of channel bugfix"));
}

#[tokio::test]
async fn a_product_from_before_there_was_an_archive_gets_one() {
    let mut present = present().await;
    let add = |whose| Change { archive: Some(whose), ..Change::default() };
    let next = |present: &Present, change: &Change| -> Result<Targets, CliError> {
        let Present { base, state } = present;
        let documents = documents(base, &state.metadata, change, state.now)?;
        assert_eq!(documents.keys().collect::<Vec<_>>(), ["targets"]);
        Ok(Envelope::parse("targets", documents["targets"].as_bytes())?.document()?)
    };
    let again = next(&present, &add(ArchiveKeys::OfAllChannels)).unwrap_err().to_string();
    assert!(again.contains("has a role `archive` already"), "{again}");

    let today = present.base.targets.delegations.clone().unwrap();
    let roles = &mut present.base.targets.delegations.as_mut().unwrap().roles;
    roles.retain(|role| role.name != ChannelName::ARCHIVE);
    let added = next(&present, &add(ArchiveKeys::OfAllChannels)).unwrap();
    assert_eq!(added.delegations, Some(today.clone()), "the same as one that is new has");

    let roles = &mut present.base.targets.delegations.as_mut().unwrap().roles;
    let security = roles.iter_mut().find(|role| role.name == "security").unwrap();
    security.keys.keyids.insert(key(6).public().id());
    let refused = next(&present, &add(ArchiveKeys::OfAllChannels)).unwrap_err().to_string();
    assert!(refused.contains("--add-archive=CHANNEL"), "{refused}");
    let added = next(&present, &add(ArchiveKeys::Of(Channel::Bugfix))).unwrap();
    let added = added.delegations.unwrap();
    assert_eq!(added.role(ChannelName::ARCHIVE), today.role(ChannelName::ARCHIVE));
}
