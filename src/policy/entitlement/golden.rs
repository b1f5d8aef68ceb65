//! The golden cases: scenarios with the codes that a product manager expects. They are
//! `fixtures/entitlement/*.json`, and for reading `fixtures/entitlement/cases.md`.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::*;
use crate::policy::Scenario;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    name: String,
    #[serde(default = "yes")]
    product_is_known: bool,
    expect: Vec<Code>,
    #[serde(default)]
    alternatives: BTreeMap<Version, Version>,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) scenario: Scenario,
    /// Whether the server has the product at all.
    pub(super) product_is_known: bool,
    /// One code a release, in the order in which the releases are given.
    pub(super) expect: Vec<Code>,
    /// All alternatives that are named.
    pub(super) alternatives: BTreeMap<Version, Version>,
}

const FILES: [(&str, &str); 7] = [
    ("What does not exist", include_str!("../../../fixtures/entitlement/1-hidden.json")),
    ("The contract's state", include_str!("../../../fixtures/entitlement/2-contract.json")),
    ("The release's state", include_str!("../../../fixtures/entitlement/3-release.json")),
    ("Ends of support and life", include_str!("../../../fixtures/entitlement/4-lifecycle.json")),
    ("Owned lines", include_str!("../../../fixtures/entitlement/5-owned-lines.json")),
    ("Terms, grace and tail", include_str!("../../../fixtures/entitlement/6-terms.json")),
    ("Bridges and backports", include_str!("../../../fixtures/entitlement/7-bridge.json")),
];

impl Case {
    pub(super) fn all() -> Vec<Self> {
        FILES.iter().flat_map(|(_, text)| Self::parse(text)).collect()
    }

    fn parse(text: &str) -> Vec<Self> {
        let documents: Vec<serde_json::Map<String, Value>> = serde_json::from_str(text).unwrap();
        documents.into_iter().map(Self::of).collect()
    }

    fn of(mut document: serde_json::Map<String, Value>) -> Self {
        let mut expectation = serde_json::Map::new();
        for name in ["name", "product_is_known", "expect", "alternatives"] {
            expectation.extend(document.remove(name).map(|value| (name.to_owned(), value)));
        }
        let Expectation { name, product_is_known, expect, alternatives } =
            serde_json::from_value(expectation.into()).unwrap();
        let scenario = serde_json::from_value(document.into()).unwrap();
        Self { name, scenario, product_is_known, expect, alternatives }
    }

    pub(super) fn catalogue(&self) -> Option<Catalogue> {
        let Scenario { product, lines, releases, .. } = self.scenario.clone();
        self.product_is_known.then(|| Catalogue::new(product, lines, releases).unwrap())
    }

    /// The decisions, in the order in which the releases are given.
    pub(super) fn decisions(&self) -> Vec<Decision> {
        let catalogue = self.catalogue();
        let Scenario { contract, releases, history, now, private_channels, .. } = &self.scenario;
        let channels = self.scenario.own_channels();
        let of = |release: &Release| match &catalogue {
            Some(catalogue) if !private_channels.is_empty() => {
                let standing = Standing::new(contract, catalogue, *now);
                standing.with_private_channels(&channels).decide(release, history)
            }
            _ => decide_version(contract, catalogue.as_ref(), &release.version, history, *now),
        };
        releases.iter().map(of).collect()
    }

    /// The case as a person reads it.
    fn words(&self) -> String {
        let Scenario { contract, lines, releases, history, now, .. } = &self.scenario;
        let mut text = format!("**{}**\n\n", self.name);
        let _ = writeln!(text, "On {}, {}.", when(*now), contract_words(contract));
        for line in lines {
            let dates = [("GA", line.ga), ("EOS", line.eos), ("EOL", line.eol)];
            let dates =
                dates.iter().filter_map(|(name, at)| Some(format!("{name} {}", when((*at)?))));
            let _ = writeln!(text, "Line {}: {}.", line.line, listed(dates));
        }
        if !history.is_empty() {
            let _ = writeln!(text, "The machine has confirmed {}.", listed(history));
        }
        if !self.scenario.private_channels.is_empty() {
            let own = listed(&self.scenario.private_channels);
            let _ = writeln!(text, "The customer has the private channel {own}.");
        }
        if !self.product_is_known {
            text.push_str("The server does not have the product.\n");
        }
        text.push_str("\n| release | expected |\n|---|---|\n");
        for (release, code) in releases.iter().zip(&self.expect) {
            let alternative = self.alternatives.get(&release.version);
            let alternative = alternative.map(|it| format!(", instead {it}")).unwrap_or_default();
            let _ = writeln!(text, "| {} | `{code}`{alternative} |", release_words(release));
        }
        text
    }
}

/// All cases as a person reads them.
pub(super) fn document() -> String {
    let mut text = String::new();
    for (title, file) in FILES {
        let _ = writeln!(text, "# {title}\n");
        for case in Case::parse(file) {
            text.push_str(&case.words());
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// The day, where an instant is the first of one.
fn when(instant: Timestamp) -> String {
    instant.to_string().replace("T00:00:00Z", "")
}

fn contract_words(contract: &Contract) -> String {
    let Contract { products, channels, terms, base_line, .. } = contract;
    let terms = terms.iter().map(|term| format!("{} to {}", when(term.start), when(term.end)));
    let mut words = vec![
        format!("a contract for {} with {}", listed(products), listed(channels)),
        format!("on line {base_line}"),
        format!("paid {}", listed(terms)),
    ];
    let mut also = |holds: bool, text: String| {
        if holds {
            words.push(text);
        }
    };
    also(contract.grace_days > 0, format!("grace {} days", contract.grace_days));
    also(contract.security_tail_days > 0, format!("tail {} days", contract.security_tail_days));
    also(contract.cap.is_some(), format!("cap {}", listed(contract.cap)));
    also(contract.fallback == Fallback::Perpetual, "keeping what was paid for".to_owned());
    also(contract.bridge == Bridge::Critical, "with the bridge".to_owned());
    also(!contract.addons.is_empty(), format!("add-ons {}", listed(&contract.addons)));
    also(!contract.els_lines.is_empty(), format!("ELS for {}", listed(&contract.els_lines)));
    also(!contract.audience.is_empty(), format!("audience {}", listed(&contract.audience)));
    also(contract.state == State::Suspended, "suspended".to_owned());
    also(contract.state == State::Terminated, "terminated".to_owned());
    words.join(", ")
}

fn release_words(release: &Release) -> String {
    let mut words = vec![format!(
        "{} {} {}, out {}",
        release.version,
        release.severity,
        release.channel,
        when(release.published_at)
    )];
    let mut also = |holds: bool, text: String| {
        if holds {
            words.push(text);
        }
    };
    also(release.effective_at.is_some(), format!("effective {}", when(release.effective_at())));
    also(!release.advisories.is_empty(), format!("fixes {}", listed(&release.advisories)));
    also(
        !release.requires_addons.is_empty(),
        format!("needs add-ons {}", listed(&release.requires_addons)),
    );
    also(!release.audience.is_empty(), format!("for audience {}", listed(&release.audience)));
    let private = listed(&release.private_channel);
    also(release.private_channel.is_some(), format!("in private channel {private}"));
    also(release.courtesy, "courtesy".to_owned());
    also(release.status == Status::Draft, "a draft".to_owned());
    also(release.status == Status::Withdrawn, "withdrawn".to_owned());
    also(release.status == Status::Revoked, "revoked".to_owned());
    words.join(", ")
}
