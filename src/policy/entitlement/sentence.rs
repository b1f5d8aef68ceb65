//! Each code as a sentence for the customer's administrator.

use std::{collections::BTreeSet, fmt::Display};

use jiff::Timestamp;
use mainstay_client::format::Channel;

use super::{Catalogue, Code, Contract, Decision, Paid, Release, Standing};

/// A decision in a sentence, for a product that the server may not even have.
pub fn explain(
    decision: &Decision,
    contract: &Contract,
    catalogue: Option<&Catalogue>,
    now: Timestamp,
) -> String {
    match catalogue {
        Some(catalogue) => Standing::new(contract, catalogue, now).explain(decision),
        None => UNKNOWN_PRODUCT.to_owned(),
    }
}

const UNKNOWN_PRODUCT: &str = "This server has no product of that name.";

impl Standing<'_> {
    /// The decision in a sentence, with the dates, lines and channels that it rests on.
    ///
    /// It tells nothing but the customer's own contract and the release; and of a release that is
    /// hidden from the customer it tells what it tells of one that does not exist.
    pub fn explain(&self, decision: &Decision) -> String {
        let visible = (decision.code != Code::NotFound)
            .then(|| self.catalogue.release(&decision.version))
            .flatten();
        let Some(release) = visible else {
            return match decision.code {
                Code::UnknownProduct => UNKNOWN_PRODUCT.to_owned(),
                _ => format!("There is no release {} of this product.", decision.version),
            };
        };
        let sentence = match self.paid {
            Some(paid) => self.about_release(decision.code, release, paid),
            None => self.about_contract(decision.code),
        };
        match &decision.alternative {
            Some(alternative) => format!(
                "{sentence} Release {alternative} fixes the same advisories and is granted to you."
            ),
            None => sentence,
        }
    }

    fn about_contract(&self, code: Code) -> String {
        match code {
            Code::ContractTerminated => {
                "Your contract is terminated and grants no releases any more.".to_owned()
            }
            Code::ContractSuspended => {
                "Your contract is suspended and grants no releases until it is resumed.".to_owned()
            }
            Code::ProductNotCovered => {
                format!("Your contract does not cover the product {}.", self.catalogue.product())
            }
            _ => match self.contract.terms.iter().map(|term| term.start).min() {
                Some(start) => format!("Your maintenance starts on {}.", on(start)),
                None => "Your contract has no maintenance term yet.".to_owned(),
            },
        }
    }

    fn about_release(&self, code: Code, release: &Release, paid: Paid) -> String {
        let version = &release.version;
        let line = self.catalogue.line(version.line());
        match code {
            Code::UnknownProduct
            | Code::NotFound
            | Code::NotStarted
            | Code::ContractTerminated
            | Code::ContractSuspended
            | Code::ProductNotCovered => self.about_contract(code),
            Code::Revoked => format!(
                "{version} was revoked because it is known to be harmful; it is never installed \
                 again, not even by a rollback."
            ),
            Code::Rollback => format!(
                "{version} has run well on this machine before, so the machine may always return \
                 to it."
            ),
            Code::Withdrawn => format!("{version} was withdrawn by the vendor."),
            Code::AddonMissing => {
                let missing = release.requires_addons.difference(&self.contract.addons);
                format!("{version} needs {}, which your contract lacks.", listed("add-on", missing))
            }
            Code::LineEol => after(
                &format!("{version} was published"),
                release.published_at,
                &format!("line {} reached its end of life", line.line),
                line.eol,
            ),
            Code::LineEos => {
                let late = after(
                    &format!("{version} was published"),
                    release.published_at,
                    &format!("support of line {} ended", line.line),
                    line.eos,
                );
                format!("{late} Extended support for the line would cover it.")
            }
            Code::LineOwned => {
                format!("{version} opens line {}, which your contract includes.", line.line)
            }
            Code::Courtesy => {
                format!("The vendor gives {version} to every owner of line {}.", line.line)
            }
            Code::Bridge
            | Code::FallbackEnded
            | Code::LineAboveCap
            | Code::NoBackport
            | Code::LineAfterTerm => self.about_line(code, release, paid),
            Code::ChannelNotCovered => self.about_channels(release),
            Code::InTerm
            | Code::Perpetual
            | Code::Grace
            | Code::SecurityTail
            | Code::PublishedAfterTerm => self.about_terms(code, release, paid),
        }
    }

    /// Sentences on a line that the contract does not own.
    fn about_line(&self, code: Code, release: &Release, paid: Paid) -> String {
        let version = &release.version;
        let line = self.catalogue.line(version.line());
        let fixed = || listed("advisory", &release.advisories);
        match code {
            Code::Bridge => format!(
                "{version} is granted as a bridge: it fixes {}, critical, and no release on a line \
                 of your contract does yet. Line {} itself stays outside your contract.",
                fixed(),
                line.line
            ),
            Code::FallbackEnded => format!(
                "Your maintenance {} and your contract keeps nothing after it.",
                ended(paid)
            ),
            Code::LineAboveCap => format!(
                "Line {} is above line {}, the highest that your contract licenses.",
                line.line,
                self.contract.cap.unwrap_or(self.contract.base_line)
            ),
            Code::NoBackport => format!(
                "{version} fixes {}, but line {} is outside your contract and no release on a line \
                 of your contract has the fix yet.",
                fixed(),
                line.line
            ),
            _ => match line.ga {
                None => format!("Line {} has not come out yet.", line.line),
                Some(ga) => after(
                    &format!("Line {} came out", line.line),
                    ga,
                    &format!("your maintenance {}", self.ends()),
                    Some(paid.until),
                ),
            },
        }
    }

    fn about_channels(&self, release: &Release) -> String {
        let (version, line) = (&release.version, release.version.line());
        if self.of_line(line).is_owned {
            return format!(
                "{version} is a {channel} release and your contract lacks the {channel} channel.",
                channel = release.channel
            );
        }
        let missing: BTreeSet<Channel> = self.step_channels_missing(line).collect();
        format!(
            "The step from line {} to line {line} needs {}, which your contract lacks.",
            self.contract.base_line,
            listed("channel", &missing)
        )
    }

    /// Sentences on a release of an owned line, by when it came out.
    fn about_terms(&self, code: Code, release: &Release, paid: Paid) -> String {
        let version = &release.version;
        let effective_at = release.effective_at();
        let came_out = match release.effective_at {
            Some(effective) if effective != release.published_at => {
                format!("{version} counts as published")
            }
            _ => format!("{version} was published"),
        };
        let ended = format!("your maintenance {}", self.ends());
        match code {
            Code::InTerm => format!(
                "{came_out} on {} and your maintenance runs until {}.",
                on(effective_at),
                on(paid.until)
            ),
            Code::Perpetual => format!(
                "{came_out} on {}, before {ended} on {}; it stays yours.",
                on(effective_at),
                on(paid.until)
            ),
            Code::Grace if effective_at < paid.until => format!(
                "{came_out} on {}, before {ended} on {}; you may have it until the grace ends on \
                 {}.",
                on(effective_at),
                on(paid.until),
                on(paid.grace_until)
            ),
            Code::Grace => format!(
                "{came_out} on {}, within the {} days of grace after {ended} on {}.",
                on(effective_at),
                self.contract.grace_days,
                on(paid.until)
            ),
            Code::SecurityTail => format!(
                "{came_out} on {}, within the {} days after {ended} on {} in which security \
                 releases are still granted.",
                on(effective_at),
                self.contract.security_tail_days,
                on(paid.until)
            ),
            _ => after(&came_out, effective_at, &ended, Some(paid.until)),
        }
    }

    fn ends(&self) -> &'static str {
        match self.paid {
            Some(paid) if self.now < paid.until => "ends",
            _ => "ended",
        }
    }
}

/// "This happened on one day, after that happened on another." Where both fall on one day, the
/// times of day are told as well, or the sentence would contradict itself.
fn after(this: &str, at: Timestamp, that: &str, ended_at: Option<Timestamp>) -> String {
    let ended_at = ended_at.unwrap_or(at);
    if at == ended_at {
        format!("{this} on {at}, at the instant at which {that}.")
    } else if on(at) == on(ended_at) {
        format!("{this} on {at}, after {that} on {ended_at}.")
    } else {
        format!("{this} on {}, after {that} on {}.", on(at), on(ended_at))
    }
}

fn ended(paid: Paid) -> String {
    if paid.grace_until > paid.until {
        format!("ended on {}, its grace on {},", on(paid.until), on(paid.grace_until))
    } else {
        format!("ended on {}", on(paid.until))
    }
}

/// The day of an instant, in UTC.
pub(in crate::policy) fn on(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d").to_string()
}

/// `the add-on a`, or `the add-ons a, b and c`.
fn listed<T: Display>(noun: &str, items: impl IntoIterator<Item = T>) -> String {
    let mut items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let plural = match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    };
    match items.pop() {
        None => format!("no {noun}"),
        Some(only) if items.is_empty() => format!("the {noun} {only}"),
        Some(last) => format!("the {plural} {} and {last}", items.join(", ")),
    }
}

#[cfg(test)]
mod tests;
