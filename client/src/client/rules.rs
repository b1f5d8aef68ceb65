//! The local rules: what this machine does of what a plan says. Pure.

use crate::{
    error::Error,
    format::{
        Action, Artifact, Channel, ChannelName, Plan, PlanTarget, Platform, ProductName,
        ReleaseManifest, RollbackOrder, TargetFile, TargetPath, Version,
    },
    tuf::{Hashes, Rule, TargetKind, TrustedRepository},
};

/// What of the machine's state a plan is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation<'a> {
    pub(super) running: Option<&'a Version>,
    pub(super) floor: Option<&'a Version>,
    /// Why the plan's target is blocked on this machine, if it is.
    pub(super) blocked: Option<&'a str>,
    /// The rollback order that was carried out last.
    pub(super) order_done: Option<u64>,
}

/// What is to be done of what `plan` says. A plan never leads downwards but by an order, and an
/// order never below the floor.
pub(super) fn judge(plan: &Plan, situation: Situation<'_>) -> Result<Action, Error> {
    match &plan.action {
        Action::Stay => Ok(Action::Stay),
        Action::Update { target } => judge_update(plan, target, situation),
        Action::Rollback { target, order } => judge_rollback(plan, target, order, situation),
    }
}

fn judge_update(
    plan: &Plan,
    target: &PlanTarget,
    situation: Situation<'_>,
) -> Result<Action, Error> {
    let version = &target.version;
    // The server may not know yet that it has been carried out.
    if situation.running == Some(version) {
        return Ok(Action::Stay);
    }
    if let Some(running) = situation.running
        && version < running
    {
        let detail = format!(
            "plan version {} updates to {version} while {running} runs: expected a higher one",
            plan.version
        );
        return Err(Error::rule("direction", detail));
    }
    if let Some(reason) = situation.blocked {
        let detail = format!("{version} is blocked on this machine: {reason}");
        return Err(Error::blocked(detail));
    }
    Ok(Action::Update { target: target.clone() })
}

fn judge_rollback(
    plan: &Plan,
    target: &PlanTarget,
    order: &RollbackOrder,
    situation: Situation<'_>,
) -> Result<Action, Error> {
    let version = &target.version;
    let refuse = |rule, expected: String| {
        let detail = format!(
            "plan version {} rolls back to {version} by order {}: {expected}",
            plan.version, order.number
        );
        Err(Error::rule(rule, detail))
    };
    let is_done = situation.order_done.is_some_and(|done| order.number <= done);
    if is_done || situation.running == Some(version) {
        return Ok(Action::Stay);
    }
    match situation.running {
        Some(running) if version < running => {}
        Some(running) => return refuse("direction", format!("expected less than {running}")),
        None => return refuse("direction", "nothing runs here".to_owned()),
    }
    if let Some(floor) = situation.floor
        && version < floor
    {
        return refuse("floor", format!("expected at least the floor {floor}"));
    }
    Ok(Action::Rollback { target: target.clone(), order: order.clone() })
}

/// Checks that the repository lists `target`, which `plan` names: the same paths, lengths and
/// digests, said to be of this version and platform.
pub(super) fn expect_listed(
    repository: &TrustedRepository,
    plan: &Plan,
    target: &PlanTarget,
    platform: &Platform,
) -> Result<(), Error> {
    let PlanTarget { manifest, artifact, .. } = target;
    expect_paths(plan, target, platform)?;
    expect_file(repository, plan, target, manifest, |kind| {
        matches!(kind, TargetKind::Release { .. })
    })?;
    expect_file(repository, plan, target, artifact, |kind| {
        *kind == TargetKind::Artifact { platform: platform.clone() }
    })
}

/// Of a retired release the plan says in its paths alone which channel it was in.
fn expect_paths(plan: &Plan, target: &PlanTarget, platform: &Platform) -> Result<(), Error> {
    let PlanTarget { version, channel, manifest, artifact, .. } = target;
    let mut expected_manifest = TargetPath::manifest(channel, version);
    let mut expected_artifact = TargetPath::artifact(channel, version, platform);
    if channel.is_archive() {
        let kind = retired_from(target).ok_or_else(|| {
            let detail = format!(
                "plan version {} names {}: expected archive/CHANNEL/{version}/release.json",
                plan.version, manifest.path
            );
            Error::rule("path", detail)
        })?;
        expected_manifest = TargetPath::manifest(&kind.into(), version).archived();
        expected_artifact = TargetPath::artifact(&kind.into(), version, platform).archived();
    }
    expect_path(plan, manifest, &expected_manifest)?;
    expect_path(plan, artifact, &expected_artifact)
}

/// The channel that a release was in which the archive lists.
fn retired_from(target: &PlanTarget) -> Option<Channel> {
    let path = |channel| TargetPath::manifest(&ChannelName::from(channel), &target.version);
    Channel::ALL.into_iter().find(|channel| path(*channel).archived() == target.manifest.path)
}

/// The channel that the release was published in, which need not be the role that lists it now.
pub(super) fn published_in(target: &PlanTarget) -> ChannelName {
    match retired_from(target) {
        Some(channel) if target.channel.is_archive() => channel.into(),
        _ => target.channel.clone(),
    }
}

fn expect_path(plan: &Plan, file: &TargetFile, expected: &TargetPath) -> Result<(), Error> {
    if file.path == *expected {
        return Ok(());
    }
    let detail = format!("plan version {} names {}: expected {expected}", plan.version, file.path);
    Err(Error::rule("path", detail))
}

fn expect_file(
    repository: &TrustedRepository,
    plan: &Plan,
    target: &PlanTarget,
    file: &TargetFile,
    is_expected: impl Fn(&TargetKind) -> bool,
) -> Result<(), Error> {
    let (channel, path) = (&target.channel, &file.path);
    let role = repository.roles().get(channel.as_str());
    let refuse = |rule: Rule, detail: String| {
        let found = role.map_or(0, |role| role.header.version.get());
        let documents = format!("plan version {} and {channel} version {found}", plan.version);
        Err(Error::rule(rule.as_str(), format!("{documents}: {detail}")))
    };
    // A role speaks only for the paths that were delegated to it.
    let by_channel = role.and_then(|role| role.targets.get(path.as_str()));
    let Some(listed) = repository.target(path).ok().filter(|it| by_channel == Some(it)) else {
        return refuse(Rule::NotListed, format!("the one names {path}, which the other does not"));
    };
    if (listed.length, listed.hashes) != (file.length, Hashes::sha256(file.sha256)) {
        let detail = format!(
            "the one names {path} with {} bytes and SHA-256 {}, the other with {} and {}",
            file.length,
            file.sha256,
            listed.length,
            listed.hashes.file_name_prefix().unwrap_or_default()
        );
        return refuse(Rule::Digest, detail);
    }
    if listed.custom().is_some_and(|it| it.version == target.version && is_expected(&it.kind)) {
        return Ok(());
    }
    refuse(Rule::NotListed, format!("{path} is to the other not what the one takes it for"))
}

/// The artifact for `platform` in the manifest of the release that the plan names. The manifest
/// must be whole and right in itself and agree with the plan.
pub(super) fn expect_manifest(
    manifest: &ReleaseManifest,
    product: &ProductName,
    target: &PlanTarget,
    platform: &Platform,
) -> Result<Artifact, Error> {
    let refuse = |detail: String| {
        let detail = format!("the release manifest of {}: {detail}", target.version);
        Err(Error::rule("manifest", detail))
    };
    let problems = manifest.problems();
    if !problems.is_empty() {
        return refuse(problems.join("; "));
    }
    if manifest.product != *product || manifest.version != target.version {
        return refuse(format!("it describes {} {}", manifest.product, manifest.version));
    }
    let (channel, found) = (published_in(target), manifest.channel_name());
    if found != channel {
        return refuse(format!("it is of {found}, the plan says {channel}"));
    }
    let Some(artifact) = manifest.artifacts.get(platform) else {
        return refuse(format!("it has no artifact for {platform}"));
    };
    if !is_artifact(artifact, &target.artifact) {
        return refuse(format!("its artifact has SHA-256 {}", artifact.sha256));
    }
    Ok(artifact.clone())
}

/// Checks that the step from what runs is one that the release allows.
pub(super) fn expect_step(
    manifest: &ReleaseManifest,
    running: Option<&Version>,
) -> Result<(), Error> {
    match (&manifest.min_from, running) {
        (Some(min_from), Some(running)) if running < min_from => {
            let version = &manifest.version;
            let detail = format!("{version} updates from {min_from} or later: {running} runs");
            Err(Error::rule("step", detail))
        }
        _ => Ok(()),
    }
}

/// The highest rollback floor that the trusted channels set for what runs: by a release that is not
/// above it, or that is on its line.
pub(super) fn floor(repository: &TrustedRepository, running: &Version) -> Option<Version> {
    let entries = repository.roles().values().flat_map(|role| &role.targets);
    let floors = entries.filter_map(|(path, entry)| {
        let custom = entry.custom()?;
        let TargetKind::Release { floor: Some(floor) } = custom.kind else { return None };
        let concerns = custom.version <= *running || custom.version.line() == running.line();
        let is_listed = repository.target(&path.parse::<TargetPath>().ok()?).ok() == Some(entry);
        (concerns && is_listed).then_some(floor)
    });
    floors.max()
}

/// Whether `artifact` is the file that a plan names.
pub(super) fn is_artifact(artifact: &Artifact, file: &TargetFile) -> bool {
    (artifact.length, artifact.sha256) == (file.length, file.sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Digest, PLAN_FORMAT};

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn target(text: &str) -> PlanTarget {
        let channel: ChannelName = "bugfix".parse().unwrap();
        let file = |path| TargetFile { path, length: 1, sha256: Digest::of(b"") };
        PlanTarget {
            version: version(text),
            manifest: file(TargetPath::manifest(&channel, &version(text))),
            artifact: file(TargetPath::artifact(
                &channel,
                &version(text),
                &Platform::of_this_program(),
            )),
            deltas: Vec::new(),
            channel,
        }
    }

    fn plan(action: &Action) -> Plan {
        let issued = "2026-03-01T12:00:00Z".parse().unwrap();
        Plan {
            kind: Plan::KIND.to_owned(),
            format: PLAN_FORMAT,
            version: 7,
            product: "acme-db".parse().unwrap(),
            customer: "initech".parse().unwrap(),
            machine: "m-0001".parse().unwrap(),
            issued,
            expires: issued,
            action: action.clone(),
            withheld: Vec::new(),
            notices: Vec::new(),
            retry: None,
            collect: None,
            poll_seconds: 900,
        }
    }

    fn update(to: &str) -> Action {
        Action::Update { target: target(to) }
    }

    fn rollback(to: &str) -> Action {
        let order = RollbackOrder { number: 7, reason: "bad".to_owned(), ticket: None };
        Action::Rollback { target: target(to), order }
    }

    #[test]
    fn the_rules_of_direction_floor_block_and_order() {
        let (running, floor) = (version("2.4.1"), version("2.3.0"));
        let there = Situation {
            running: Some(&running),
            floor: Some(&floor),
            blocked: None,
            order_done: Some(6),
        };
        let empty = Situation { running: None, floor: None, ..there };
        let blocked = Situation { blocked: Some("it failed"), ..there };
        let done = Situation { order_done: Some(7), ..there };
        let table: [(Action, Situation<'_>, Result<Action, &str>); 14] = [
            (Action::Stay, there, Ok(Action::Stay)),
            (update("2.4.2"), there, Ok(update("2.4.2"))),
            (update("2.4.2"), empty, Ok(update("2.4.2"))),
            (update("2.4.1"), there, Ok(Action::Stay)),
            (update("2.4.0"), there, Err("direction")),
            (update("2.4.2"), blocked, Err("blocked")),
            (rollback("2.4.0"), there, Ok(rollback("2.4.0"))),
            (rollback("2.4.0"), blocked, Ok(rollback("2.4.0"))),
            (rollback("2.3.0"), there, Ok(rollback("2.3.0"))),
            (rollback("2.2.9"), there, Err("floor")),
            (rollback("2.4.2"), there, Err("direction")),
            (rollback("2.4.0"), empty, Err("direction")),
            (rollback("2.4.1"), there, Ok(Action::Stay)),
            (rollback("2.4.0"), done, Ok(Action::Stay)),
        ];
        for (action, situation, expected) in table {
            let found = judge(&plan(&action), situation);
            let found = found.as_ref().map_err(Error::code);
            assert_eq!(found, expected.as_ref().map_err(|code| *code), "{action:?}");
        }
    }
}
