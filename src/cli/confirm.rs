use std::{
    io::{BufRead as _, IsTerminal as _},
    path::Path,
};

use clap::Args;
use serde::Serialize;

use super::{CliError, CliResult, Output};

/// What is shown as what would come of it, before it is done.
#[derive(Debug, Args)]
pub(super) struct ShownFirst {
    /// Say what would come of it, and do nothing.
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl ShownFirst {
    /// Whether nothing is to be done.
    pub(super) const fn is_plan(&self) -> bool {
        self.plan
    }

    /// Shows what `preview` says by `told`, asks, and does `act`.
    pub(super) fn run<P: Serialize, D: Serialize>(
        &self,
        (preview, told): (impl Fn() -> Result<P, CliError>, impl Fn(&P) -> String),
        (act, done): (impl FnOnce() -> Result<D, CliError>, impl Fn(&D) -> String),
        output: Output,
    ) -> CliResult {
        if self.plan {
            return output.answer(&preview()?, |shown| told(shown));
        }
        let consent = if self.yes { Consent::Given } else { Consent::Asked };
        if consent == Consent::Asked && !output.is_json() {
            output.say(&told(&preview()?));
        }
        confirm("Is that what you want?", consent, output)?;
        output.answer(&act()?, |answer| done(answer))
    }

    /// What is said once it is done: what has come of it, by `told`, unless that was shown before.
    pub(super) fn done<D>(&self, answer: &D, told: impl Fn(&D) -> String) -> String {
        if self.yes { format!("{}\nDone.", told(answer)) } else { "Done.".to_owned() }
    }
}

/// Whether somebody has agreed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consent {
    /// On the command line, by `--yes`.
    Given,
    /// No: they are to be asked.
    Asked,
}

/// Asks whoever is at the terminal to agree to what was shown.
pub(super) fn confirm(question: &str, consent: Consent, output: Output) -> CliResult {
    if consent == Consent::Given {
        return Ok(());
    }
    if output.is_json() {
        return Err(CliError::Input(
            "--json shows nothing to say yes to: look at it without --json first, then give --yes"
                .to_owned(),
        ));
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::Input(
            "nobody is there to be asked: give --yes if this is what you want".to_owned(),
        ));
    }
    eprint!("\n{question} Type yes: ");
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(|source| CliError::file("read", Path::new("the answer"), source))?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(CliError::Input("you did not type yes: nothing was done".to_owned()))
}
