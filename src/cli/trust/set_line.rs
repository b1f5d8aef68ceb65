use clap::Args;
use mainstay_client::format::{LineName, ProductName};
use serde::Serialize;

use super::{
    super::{
        CliError, CliResult, Output, ServerArgs,
        confirm::{Consent, confirm},
        keys::KeyArgs,
        vendor_trust::VendorTrust,
    },
    Present, Review, Shown,
    change::Change,
    line::{DateChange, LineChange, line_words},
    names, sign_with_keys_here,
    submit::{remember, submit},
};
use crate::{clock::Clock, policy::RolloutWish};

/// Set the dates of a line: propose, sign with the keys that are here, and submit, in one go.
#[derive(Debug, Args)]
pub(in crate::cli) struct SetLine {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The line, for example 2.4.
    #[arg(long, value_name = "LINE")]
    line: LineName,
    /// When it became generally available, or `none` for when its opening release was published.
    #[arg(long, value_name = "TIME")]
    ga: Option<DateChange>,
    /// From when on its patch releases need extended support, or `none`.
    #[arg(long, value_name = "TIME")]
    eos: Option<DateChange>,
    /// From when on its patch releases are for nobody, or `none`.
    #[arg(long, value_name = "TIME")]
    eol: Option<DateChange>,
    /// Do not ask, even where an end comes earlier than before or lies in the past.
    #[arg(long)]
    yes: bool,
}

/// What has come true.
#[derive(Debug, Serialize)]
struct LineSet {
    revision: u64,
    changes: Vec<String>,
}

impl SetLine {
    pub(in crate::cli) fn run(&self, output: Output) -> CliResult {
        let server = self.server.connect()?;
        let trust = VendorTrust::new(&self.keys.keys, &self.product);
        let present = Present::read(&server, &self.product, &trust)?;
        let change = Change { lines: vec![self.change()], ..Change::default() };
        let Some(proposal) = present.propose(&self.product, &change)? else {
            return Err(CliError::Input(format!(
                "nothing to change: line {} has these dates already",
                self.line
            )));
        };
        let names = names(&self.keys);
        let now = Clock::system().now();
        let mut review = Review::new(&proposal, &trust.seen()?, now)?;
        if !review.signed_instead.is_empty() {
            return Err(self.by_ceremony(&review.signed_instead.join("; ")));
        }
        let next = LineChange::apply(&change.lines, &review.base.targets.lines)?;
        let changes = line_words(&review.base.targets.lines, &next, now);
        if changes.iter().any(|words| words.contains("ATTENTION")) {
            output.say(&changes.join("\n"));
            let consent = if self.yes { Consent::Given } else { Consent::Asked };
            confirm("Set this?", consent, output)?;
        }
        sign_with_keys_here(&mut review, &self.keys, &names)?;
        if !review.is_complete() {
            output.say(&Shown::new(&review, &names).text);
            return Err(
                self.by_ceremony("nothing was changed: not every key that must sign is here")
            );
        }
        let revision = submit(&server, &proposal, &review, RolloutWish::default())?;
        remember(&server, &proposal, &trust, output);
        output.answer(&LineSet { revision, changes }, |set| {
            format!("{}\n{} is at revision {}.", set.changes.join("\n"), self.product, set.revision)
        })
    }

    fn change(&self) -> LineChange {
        LineChange {
            line: self.line,
            ga: self.ga.unwrap_or_default(),
            eos: self.eos.unwrap_or_default(),
            eol: self.eol.unwrap_or_default(),
        }
    }

    /// That `what` keeps this command from it, and what does not.
    fn by_ceremony(&self, what: &str) -> CliError {
        CliError::Input(format!(
            "{what}; have it signed with `mainstay trust propose --product {} --line \
             {},DATE=TIME --out FILE`",
            self.product, self.line
        ))
    }
}
