//! The local rules: what this machine does of what a plan says. Pure.

use crate::{
    error::Error,
    format::{
        Action, Artifact, Channel, ChannelName, PlanTarget, Platform, ProductName, ReleaseManifest,
        RollbackOrder, TargetFile, TargetPath, Version,
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

/// What is to be done of what `action` says. A plan never leads downwards but by an order, and an
/// order never below the floor.
pub(super) fn judge(action: &Action, situation: Situation<'_>) -> Result<Action, Error> {
    match action {
        Action::Stay => Ok(Action::Stay),
        Action::Update { target } => judge_update(target, situation),
        Action::Rollback { target, order } => judge_rollback(target, order, situation),
    }
}

fn judge_update(target: &PlanTarget, situation: Situation<'_>) -> Result<Action, Error> {
    let version = &target.version;
    // The server may not know yet that it has been carried out.
    if situation.running == Some(version) {
        return Ok(Action::Stay);
    }
    if let Some(running) = situation.running
        && version < running
    {
        let detail =
            format!("the plan updates to {version} while {running} runs: expected a higher one");
        return Err(Error::rule("direction", detail));
    }
    if let Some(reason) = situation.blocked {
        let detail = format!("{version} is blocked on this machine: {reason}");
        return Err(Error::blocked(detail));
    }
    Ok(Action::Update { target: target.clone() })
}

fn judge_rollback(
    target: &PlanTarget,
    order: &RollbackOrder,
    situation: Situation<'_>,
) -> Result<Action, Error> {
    let version = &target.version;
    let refuse = |rule, expected: String| {
        let detail = format!("order {} rolls back to {version}: {expected}", order.number);
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

/// Checks that the repository lists what a plan names: the same paths, lengths and digests, said to
/// be of this version and platform.
pub(super) fn expect_listed(
    repository: &TrustedRepository,
    target: &PlanTarget,
    platform: &Platform,
) -> Result<(), Error> {
    let (channel, version) = (&target.channel, &target.version);
    expect_path(&target.manifest, &TargetPath::manifest(channel, version))?;
    expect_path(&target.artifact, &TargetPath::artifact(channel, version, platform))?;
    expect_file(repository, channel, &target.manifest, version, |kind| {
        matches!(kind, TargetKind::Release { .. })
    })?;
    expect_file(repository, channel, &target.artifact, version, |kind| {
        *kind == TargetKind::Artifact { platform: platform.clone() }
    })
}

fn expect_path(file: &TargetFile, expected: &TargetPath) -> Result<(), Error> {
    if file.path == *expected {
        return Ok(());
    }
    let detail = format!("the plan names {}: expected {expected}", file.path);
    Err(Error::rule("path", detail))
}

fn expect_file(
    repository: &TrustedRepository,
    channel: &ChannelName,
    file: &TargetFile,
    version: &Version,
    is_expected: impl Fn(&TargetKind) -> bool,
) -> Result<(), Error> {
    let listed = repository.target(&file.path)?;
    let by_channel = repository
        .roles()
        .get(channel.as_str())
        .and_then(|role| role.targets.get(file.path.as_str()));
    if by_channel != Some(listed) {
        let detail = format!("{} is not listed by {channel}, as the plan says", file.path);
        return Err(Error::rule(Rule::NotListed.as_str(), detail));
    }
    if (listed.length, listed.hashes) != (file.length, Hashes::sha256(file.sha256)) {
        let detail = format!(
            "{}: the plan names {} bytes with SHA-256 {}, the repository lists {} with {}",
            file.path,
            file.length,
            file.sha256,
            listed.length,
            listed.hashes.file_name_prefix().unwrap_or_default()
        );
        return Err(Error::rule(Rule::Digest.as_str(), detail));
    }
    if listed.custom().is_some_and(|it| it.version == *version && is_expected(&it.kind)) {
        return Ok(());
    }
    let detail = format!("{} is not listed as what the plan takes it for", file.path);
    Err(Error::rule(Rule::NotListed.as_str(), detail))
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
    // A role that is no channel (a private one, the archive) lists releases of any kind.
    let is_channel = target.channel.as_str().parse::<Channel>().is_ok();
    if is_channel && manifest.channel_name() != target.channel {
        return refuse(format!("it is of {}, the plan says {}", manifest.channel, target.channel));
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
        // A role speaks only for the paths that were delegated to it.
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
    use crate::format::Digest;

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
            channel,
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
            let found = judge(&action, situation);
            let found = found.as_ref().map_err(Error::code);
            assert_eq!(found, expected.as_ref().map_err(|code| *code), "{action:?}");
        }
    }
}
