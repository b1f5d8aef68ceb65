//! How a release is looked after on a machine: what its tree says about that.

use serde::{Deserialize, Serialize};

use crate::format::Requirements;

/// The file at the root of a release's tree that describes how the release is looked after on a
/// machine. See [`ReleaseDescription`].
pub const RELEASE_DESCRIPTION: &str = "mainstay.toml";

/// The longest that one run of a release's program may take, in seconds.
const TIMEOUT_SECONDS_MAX: u32 = 3600;

const fn timeout_seconds_default() -> u32 {
    60
}

const fn retry_after_seconds_default() -> u32 {
    1
}

/// The contents of [`RELEASE_DESCRIPTION`], the file by which a release's tree says how it is
/// looked after. It travels inside the artifact and is repeated in the signed manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseDescription {
    /// The release's own health check.
    pub health: Option<HealthCheck>,
    /// What runs before and after the switch to the release.
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
    /// Which forms of the program's data the release reads and writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataEpochs>,
    /// What a machine must have to be updated to the release.
    #[serde(default, skip_serializing_if = "Requirements::is_empty")]
    pub requires: Requirements,
}

impl ReleaseDescription {
    /// The exit status by which a hook or a health check says: not now, try again later.
    pub const NOT_NOW: i32 = 21;

    /// Everything that is wrong with the description.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.health.as_ref().map(HealthCheck::problems).unwrap_or_default();
        problems.extend(self.hooks.problems());
        problems.extend(self.data.as_ref().and_then(DataEpochs::problem));
        problems.extend(self.requires.problems());
        problems
    }

    /// Every program that the release runs, under the name of what runs it.
    pub fn programs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let health = self.health.iter().map(|health| ("health", &health.command));
        let before = self.hooks.before.iter().map(|hook| ("hooks.before", &hook.command));
        let after = self.hooks.after.iter().map(|hook| ("hooks.after", &hook.command));
        let commands = health.chain(before).chain(after);
        commands.filter_map(|(name, command)| Some((name, command.first()?.as_str())))
    }
}

/// The release's own check that it works, run on the machine right after the switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Program and arguments. A program with a `/` is looked for below the release's tree, which
    /// is also the working directory.
    pub command: Vec<String>,
    /// How long one run of the check may take, in seconds.
    #[serde(default = "timeout_seconds_default")]
    pub timeout_seconds: u32,
    /// For how long after the switch a failure does not count, in seconds: the program is starting.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub grace_seconds: u32,
    /// How many failures that count are put up with.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// How long after a failure the check runs again, in seconds.
    #[serde(
        default = "retry_after_seconds_default",
        skip_serializing_if = "is_retry_after_seconds_default"
    )]
    pub retry_after_seconds: u32,
    /// Where set, the program itself must also confirm within so many seconds of the switch
    /// (`mainstay-agent confirm`), or the update is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_seconds: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_retry_after_seconds_default(seconds: &u32) -> bool {
    *seconds == retry_after_seconds_default()
}

impl HealthCheck {
    /// The longest that one run of a health check may take, in seconds.
    pub const TIMEOUT_SECONDS_MAX: u32 = TIMEOUT_SECONDS_MAX;
    /// The longest grace, in seconds.
    pub const GRACE_SECONDS_MAX: u32 = 3600;
    /// The most retries.
    pub const RETRIES_MAX: u32 = 100;
    /// The longest wait before a check runs again, in seconds.
    pub const RETRY_AFTER_SECONDS_MAX: u32 = 600;

    /// A check by `command`, with the usual times.
    pub fn of(command: Vec<String>) -> Self {
        Self {
            command,
            timeout_seconds: timeout_seconds_default(),
            grace_seconds: 0,
            retries: 0,
            retry_after_seconds: retry_after_seconds_default(),
            confirm_within_seconds: None,
        }
    }

    /// Everything that is wrong with the check.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = run_problems("health", &self.command, self.timeout_seconds);
        let mut expect = |name, found: u32, least: u32, most: u32| {
            if !(least..=most).contains(&found) {
                problems.push(format!("health.{name} is {found}: expected {least} to {most}"));
            }
        };
        expect("grace_seconds", self.grace_seconds, 0, Self::GRACE_SECONDS_MAX);
        expect("retries", self.retries, 0, Self::RETRIES_MAX);
        let most = Self::RETRY_AFTER_SECONDS_MAX;
        expect("retry_after_seconds", self.retry_after_seconds, 1, most);
        // Nobody confirms within no time: such a release would be undone everywhere.
        if self.confirm_within_seconds == Some(0) {
            let problem = "health.confirm_within_seconds is 0: expected at least 1, or none";
            problems.push(problem.to_owned());
        }
        problems
    }
}

/// What runs before and after the switch to a release, on the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    /// Runs while the version before still runs, and before its data are copied. Where it fails,
    /// nothing is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Hook>,
    /// Runs after the switch and before the health check. Where it fails, the update is undone. It
    /// also runs when a change away from this release was given up or undone, so that it can start
    /// again what the other release's `before` has stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Hook>,
}

impl Hooks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.before.is_none() && self.after.is_none()
    }

    fn problems(&self) -> Vec<String> {
        let of = |name, hook: &Option<Hook>| {
            let hook = hook.as_ref();
            hook.map(|hook| run_problems(name, &hook.command, hook.timeout_seconds))
        };
        let found = [of("hooks.before", &self.before), of("hooks.after", &self.after)];
        found.into_iter().flatten().flatten().collect()
    }
}

/// One program of a release that runs at a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Program and arguments, as in [`HealthCheck::command`].
    pub command: Vec<String>,
    /// How long it may take, in seconds.
    #[serde(default = "timeout_seconds_default")]
    pub timeout_seconds: u32,
}

/// Which forms of the program's data a release reads, and which it leaves them in. The vendor counts
/// the forms up, by one whenever an older release could not read what a newer one writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DataEpochs {
    /// What it reads.
    pub reads: EpochRange,
    /// What the data are in once it runs.
    pub writes: u32,
}

/// Epochs from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EpochRange {
    /// The first.
    pub from: u32,
    /// The last.
    pub to: u32,
}

impl DataEpochs {
    /// Whether the release reads data in `epoch`.
    pub fn reads(&self, epoch: u32) -> bool {
        (self.reads.from..=self.reads.to).contains(&epoch)
    }

    fn problem(&self) -> Option<String> {
        // It must be able to read its own data.
        (!self.reads(self.writes)).then(|| {
            format!(
                "data.writes is {}: expected an epoch that it reads, {} to {}",
                self.writes, self.reads.from, self.reads.to
            )
        })
    }
}

/// What is wrong with a command that a machine is to run.
fn run_problems(name: &str, command: &[String], timeout_seconds: u32) -> Vec<String> {
    let mut problems = Vec::new();
    let program = command.first().map(String::as_str).unwrap_or_default();
    if program.is_empty() {
        problems.push(format!("{name}.command is empty: expected a program"));
    }
    if program.starts_with('/') || program.split('/').any(|part| part == "..") {
        problems.push(format!(
            "{name}.command `{}` leaves the release's tree: expected a path below it",
            program.escape_debug()
        ));
    }
    if command.iter().any(|word| word.contains('\0')) {
        problems.push(format!("{name}.command contains a NUL character"));
    }
    if !(1..=TIMEOUT_SECONDS_MAX).contains(&timeout_seconds) {
        problems.push(format!(
            "{name}.timeout_seconds is {timeout_seconds}: expected 1 to {TIMEOUT_SECONDS_MAX}"
        ));
    }
    problems
}
