use std::{io::Write as _, path::Path};

use mainstay_client::format::{ProductName, Version};
use serde::Serialize;

use super::demo::DemoRelease;
use crate::cli::{CliResult, Output, ServerArgs, keys::KeyArgs};

/// What the quickstart prints for a program.
#[derive(Clone, Debug, Serialize)]
struct Summary<'a> {
    /// The server's address.
    server: &'a str,
    /// What happened, in order.
    story: &'a [Step],
}

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    /// What happened.
    #[serde(rename = "step")]
    pub(super) sentence: String,
    /// Whose machine it happened on.
    pub(super) customer: Option<String>,
    /// On which machine.
    pub(super) machine: Option<String>,
    /// The version that ran before.
    pub(super) version_from: Option<Version>,
    /// The version that it is about.
    pub(super) version_to: Option<Version>,
    /// What came of it.
    pub(super) outcome: StepOutcome,
    /// The decision's or the error's stable code.
    pub(super) code: Option<String>,
}

/// What can come of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StepOutcome {
    Published,
    Installed,
    Denied,
    Undone,
    RolledBack,
    UpToDate,
    Refused,
}

/// Tells a person as it happens, and keeps the steps for a program.
pub(super) struct Story {
    output: Output,
    steps: Vec<Step>,
}

impl Story {
    pub(super) fn new(output: Output) -> Self {
        Self { output, steps: Vec::new() }
    }

    pub(super) fn chapter(&self, title: &str) {
        self.tell(&format!("\n{title}"));
    }

    pub(super) fn tell(&self, line: &str) {
        if !self.output.is_json() {
            // Whoever stops reading has heard enough; the story goes on.
            let _closed = writeln!(std::io::stdout(), "{line}");
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        let mark = match step.outcome {
            StepOutcome::Published => "published ",
            StepOutcome::Installed => "installed ",
            StepOutcome::Denied => "denied    ",
            StepOutcome::Undone => "undone    ",
            StepOutcome::RolledBack => "went back ",
            StepOutcome::UpToDate => "up to date",
            StepOutcome::Refused => "refused   ",
        };
        let code = step.code.as_ref().map(|code| format!("  [{code}]"));
        self.tell(&format!("  {mark}  {}{}", step.sentence, code.unwrap_or_default()));
        self.steps.push(step);
    }

    /// Tells of a denial, unless the machine was told the same before.
    pub(super) fn denied(&mut self, step: Step) {
        let is_same = |told: &Step| {
            told.outcome == step.outcome
                && told.machine == step.machine
                && told.version_to == step.version_to
                && told.code == step.code
        };
        if !self.steps.iter().any(is_same) {
            self.step(step);
        }
    }

    pub(super) fn published(&mut self, release: &DemoRelease) {
        let DemoRelease { version, channel, notes, .. } = release;
        self.step(Step {
            sentence: format!("{version} ({channel}): {notes}"),
            customer: None,
            machine: None,
            version_from: None,
            version_to: Some(version.clone()),
            outcome: StepOutcome::Published,
            code: None,
        });
    }

    /// Ends the story: what to try next for a person, the summary for a program.
    pub(super) fn end(self, url: &str, commands: &[String]) -> CliResult {
        let Self { output, steps } = self;
        output.answer(&Summary { server: url, story: &steps }, |_| {
            format!("\nTry next, in another terminal:\n\n{}", commands.join("\n"))
        })
    }
}

/// Commands ready to paste.
pub(super) fn next_commands(
    dir: &Path,
    args: &ServerArgs,
    keys: &KeyArgs,
    product: &ProductName,
    machine: &str,
    machine_dir: &Path,
) -> Vec<String> {
    let program = std::env::current_exe().unwrap_or_else(|_| "mainstay".into());
    let agent = program.with_file_name("mainstay-agent");
    let agent = if agent.exists() {
        agent.display().to_string()
    } else {
        "cargo run --release -q -p mainstay-client --bin mainstay-agent --".to_owned()
    };
    let program = program.display();
    let token_file = args.token_file.as_deref().unwrap_or(dir).display();
    let (machine_dir, keys) = (machine_dir.display(), keys.keys.display());
    let tree = dir.join("releases/1.1.0");
    let notes = dir.join("releases/1.1.0.md");
    let platform = mainstay_client::format::Platform::of_this_program();
    vec![
        format!(
            "export MAINSTAY_SERVER={} MAINSTAY_TOKEN_FILE={token_file} MAINSTAY_KEYS={keys}",
            args.server
        ),
        format!("{program} machine show {machine}"),
        format!("{program} machine explain {machine}"),
        format!("{program} audit"),
        format!(
            "echo 1.1.2 > {0}/VERSION && {program} publish --product {product} --version 1.1.2 --immediately \
             --channel bugfix --platform {platform}={0} --notes {1}",
            tree.display(),
            notes.display()
        ),
        format!("{agent} --dir {machine_dir} update"),
        format!("{agent} --dir {machine_dir} status"),
    ]
}
