use std::collections::BTreeSet;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::ProductName;
use serde::Serialize;

use super::{
    super::{CliError, CliResult, Output, ServerArgs, keys::KeyArgs, vendor_trust::VendorTrust},
    Present, Review, Shown,
    base::Base,
    change::Change,
    names,
    review::Document,
    sign_with_keys_here,
    submit::{remember, submit},
};
use crate::{clock::Clock, policy::RolloutWish};

/// Sign anew whatever of root, targets and channels expires soon, with the keys that are here, and
/// submit it. A channel lives on that way without a release.
#[derive(Debug, Args)]
pub(in crate::cli) struct Renew {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// What expires within so many days is signed anew.
    #[arg(long, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u16))]
    within: u16,
}

/// What was renewed.
#[derive(Debug, Serialize)]
struct Renewed {
    revision: u64,
    renewed: Vec<String>,
}

impl Renew {
    pub(super) fn run(self, output: Output) -> CliResult {
        let server = self.server.connect()?;
        let trust = VendorTrust::new(&self.keys.keys, &self.product);
        let present = Present::read(&server, &self.product, &trust)?;
        let within = SignedDuration::from_hours(24 * i64::from(self.within));
        let due = due(&present.base, present.state.now, within);
        let names = names(&self.keys);
        let change = Change { renew: due.clone(), ..Change::default() };
        let Some(proposal) = present.propose(&self.product, &change)? else {
            let nothing = Renewed { revision: present.state.revision, renewed: Vec::new() };
            return output.answer(&nothing, |_| {
                format!("Nothing of {} expires within {} days.", self.product, self.within)
            });
        };
        let mut review = Review::new(&proposal, &trust.seen()?, Clock::system().now())?;
        sign_with_keys_here(&mut review, &self.keys, &names)?;
        if !review.is_complete() {
            output.say(&Shown::new(&review, &names).text);
            // No renewal rests upon another: what not enough keys are here for keeps nothing else
            // from it.
            review.documents.retain(Document::is_complete);
        }
        let renewed: Vec<_> = review.documents.iter().map(|one| one.name.clone()).collect();
        let left: BTreeSet<_> = due.into_iter().filter(|name| !renewed.contains(name)).collect();
        if renewed.is_empty() {
            return Err(self.left("nothing was renewed", &left));
        }
        let revision = submit(&server, &proposal, &review, RolloutWish::default())?;
        remember(&server, &proposal, &trust, output);
        let what = format!("{} (revision {revision})", renewed.join(", "));
        if left.is_empty() {
            return output.answer(&Renewed { revision, renewed }, |_| format!("Renewed: {what}."));
        }
        Err(self.left(&format!("renewed {what}, and no more"), &left))
    }

    /// That `left` was not renewed, and what renews it.
    fn left(&self, what: &str, left: &BTreeSet<String>) -> CliError {
        let renew: Vec<_> = left.iter().map(|name| format!("--renew {name}")).collect();
        CliError::Input(format!(
            "{what}: not every key that must sign is here; have it signed by others with `mainstay \
             trust propose --product {} {} --out FILE`",
            self.product,
            renew.join(" ")
        ))
    }
}

/// What expires before `within` from `now` is over.
fn due(base: &Base, now: Timestamp, within: SignedDuration) -> BTreeSet<String> {
    let is_due = |expires: Timestamp| expires.duration_since(now) <= within;
    let top = [("root", base.root.header.expires), ("targets", base.targets.header.expires)];
    let channels =
        base.channels.iter().map(|(name, channel)| (name.as_str(), channel.header.expires));
    top.into_iter()
        .chain(channels)
        .filter(|(_, expires)| is_due(*expires))
        .map(|(name, _)| name.to_owned())
        .collect()
}
