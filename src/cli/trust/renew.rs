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
    submit::{remember, submit},
    words::Names,
};

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
        let seen = trust.seen()?;
        let mut renew = due.clone();
        // What not enough keys are here for keeps nothing else from being renewed.
        let (mut proposal, review) = loop {
            let change = Change { renew: renew.clone(), ..Change::default() };
            let Some(proposal) = present.propose(&self.product, &change)? else {
                if !due.is_empty() {
                    return Err(self.left("nothing was renewed", &due));
                }
                let nothing = Renewed { revision: present.state.revision, renewed: Vec::new() };
                return output.answer(&nothing, |_| {
                    format!("Nothing of {} expires within {} days.", self.product, self.within)
                });
            };
            let mut review = Review::new(&proposal, &seen)?;
            self.sign(&mut review, &names)?;
            if review.is_complete() {
                break (proposal, review);
            }
            output.say(&Shown::new(&review, &names).text);
            let complete = review.documents.iter().filter(|document| document.is_complete());
            renew = complete.map(|document| document.name.clone()).collect();
        };
        proposal.documents = review.texts()?;
        let revision = submit(&server, &proposal, &review)?;
        remember(&server, &proposal, &trust, output);
        let renewed = Renewed { revision, renewed: proposal.documents.into_keys().collect() };
        let names = renewed.renewed.join(", ");
        let left: BTreeSet<_> = due.difference(&renew).cloned().collect();
        if left.is_empty() {
            return output.answer(&renewed, |_| format!("Renewed: {names} (revision {revision})."));
        }
        Err(self.left(&format!("renewed {names} (revision {revision}), and no more"), &left))
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

    /// Signs with each key of which the private half is here and that may sign something.
    fn sign(&self, review: &mut Review, names: &Names) -> CliResult {
        for (id, name) in names {
            let is_wanted = review.documents.iter().any(|document| document.may_sign(id));
            if is_wanted && self.keys.has_private(name) {
                review.sign(&self.keys.private(name)?)?;
            }
        }
        Ok(())
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
