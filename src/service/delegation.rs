use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::{
    format::{Channel, ChannelName, PrivateChannelName},
    tuf::{
        DIRECTOR, DelegatedRole, Delegations, KeyId, PathPattern, Paths, PublicKey, RoleKeys, Root,
        Targets,
    },
};

use super::keys::{OnlineKeys, OnlineRole};

/// What keeps this server from serving a product with this root and these targets.
pub(super) fn delegation_problems(
    root: &Root,
    targets: &Targets,
    keys: &OnlineKeys,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expect = |holds: bool, problem: String| {
        if !holds {
            problems.push(problem);
        }
    };
    expect(
        root.consistent_snapshot,
        "root says consistent_snapshot false: expected true".to_owned(),
    );
    for (role, listed) in [
        (OnlineRole::Timestamp, &root.roles.timestamp),
        (OnlineRole::Snapshot, &root.roles.snapshot),
    ] {
        let what = role.as_str();
        expect(
            keys.may_sign(role, listed, &root.keys),
            format!("root does not let a {what} key of this server alone sign the {what}"),
        );
    }
    let listed = |role: &RoleKeys, described: &BTreeMap<KeyId, PublicKey>| {
        role.keyids.iter().filter_map(|id| described.get(id)).cloned().collect::<BTreeSet<_>>()
    };
    for (what, role) in [("root", &root.roles.root), ("targets", &root.roles.targets)] {
        let signers = listed(role, &root.keys);
        expect(
            !signers.iter().any(|key| keys.contains(key)),
            format!("root lets a key of this server sign {what}: only the vendor signs it"),
        );
    }
    let Some(delegations) = &targets.delegations else {
        problems.push("targets delegate to nobody: expected the channels and director".to_owned());
        return problems;
    };
    let may_direct =
        |role: &DelegatedRole| keys.may_sign(OnlineRole::Director, &role.keys, &delegations.keys);
    expect(
        delegations.role(DIRECTOR).is_some_and(may_direct),
        format!(
            "targets do not let a director key of this server alone sign plans as `{DIRECTOR}`"
        ),
    );
    for channel in Channel::ALL {
        let path = format!("{channel}/1.0.0/release.json");
        let delegated = delegations
            .role(channel.as_str())
            .is_some_and(|role| role.terminating && role.paths.cover(&path));
        expect(
            delegated,
            format!("targets have no terminating delegation of {channel}/*/* to `{channel}`"),
        );
    }
    if let Some(archive) = delegations.role(ChannelName::ARCHIVE) {
        let path = format!("{}/{}/1.0.0/release.json", ChannelName::ARCHIVE, Channel::Major);
        expect(
            archive.terminating && archive.paths.cover(&path),
            format!(
                "targets have no terminating delegation of {0}/*/*/* to `{0}`",
                ChannelName::ARCHIVE
            ),
        );
    }
    for problem in private_channel_problems(delegations) {
        expect(false, problem);
    }
    // The keys themselves are compared: an identifier is whatever the document calls a key.
    for role in delegations.roles.iter().filter(|role| role.name != DIRECTOR) {
        let signers = listed(&role.keys, &delegations.keys);
        expect(
            !signers.iter().any(|key| keys.contains(key)),
            format!(
                "role {} lists a key of this server: only the vendor signs releases",
                role.name
            ),
        );
        let threshold = role.keys.threshold;
        expect(
            signers.len() as u64 >= threshold.get(),
            format!(
                "role {} has {} keys of which {threshold} must sign: nobody could ever",
                role.name,
                signers.len()
            ),
        );
    }
    problems
}

/// A private channel is delegated what its opaque name stands for and nothing else, so that no other
/// customer's machine ever comes to ask for it.
fn private_channel_problems(delegations: &Delegations) -> Vec<String> {
    let is_sound = |role: &DelegatedRole| {
        let paths = PathPattern::try_from(format!("{}/*/*", role.name));
        role.terminating && paths.is_ok_and(|paths| Paths::from(vec![paths]) == role.paths)
    };
    let private =
        delegations.roles.iter().filter(|role| role.name.parse::<PrivateChannelName>().is_ok());
    private
        .filter(|role| !is_sound(role))
        .map(|role| {
            format!(
                "targets do not delegate {0}/*/* alone, terminating, to private channel `{0}`",
                role.name
            )
        })
        .collect()
}
