use std::{
    io::{BufRead as _, IsTerminal as _},
    path::Path,
};

use super::{CliError, CliResult, Output};

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
