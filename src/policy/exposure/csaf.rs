//! What is known of an advisory as a document for other tools: CSAF 2.0, profile VEX
//! (<https://docs.oasis-open.org/csaf/csaf/v2.0/os/csaf-v2.0-os.html>, §4.5).

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_client::format::{AdvisoryId, ProductName, Severity, Version};
use serde_json::{Value, json};

use super::{Advisory, Exposure};
use crate::policy::catalogue::{Release, Status};

/// Who publishes documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// The name of the vendor.
    pub name: String,
    /// An address of the vendor's, by which tools tell its documents from others': `https://…`.
    pub namespace: String,
}

impl Publisher {
    /// The longest name and namespace, in characters.
    pub const CHARS_MAX: usize = 200;

    /// What is wrong with it.
    pub fn problem(&self) -> Option<String> {
        let Self { name, namespace } = self;
        let is_text = |text: &str| {
            (1..=Self::CHARS_MAX).contains(&text.chars().count())
                && text.trim() == text
                && !text.contains(char::is_control)
        };
        if !is_text(name) {
            return Some(format!(
                "name is not valid: expected 1 to {} characters on one line",
                Self::CHARS_MAX
            ));
        }
        let host = namespace.strip_prefix("https://").or(namespace.strip_prefix("http://"));
        let is_host = host.is_some_and(|host| {
            host.chars().next().is_some_and(|first| first.is_ascii_alphanumeric())
                && host.chars().all(|c| c.is_ascii_graphic() && !"<>\"{}|\\^`".contains(c))
        });
        (!is_host || !is_text(namespace)).then(|| {
            let found = namespace.escape_debug();
            format!("namespace is `{found}`: expected an address, such as https://example.com")
        })
    }
}

/// What a document says.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    /// Who says it.
    pub publisher: &'a Publisher,
    /// Of which product.
    pub product: &'a ProductName,
    /// Of which advisory.
    pub id: &'a AdvisoryId,
    /// The same, as the releases tell of it.
    pub advisory: &'a Advisory<'a>,
    /// What the advisory is about, in a line; nothing where that is not recorded.
    pub title: Option<&'a str>,
    /// How severe it is; nothing where no release names it and nothing is recorded.
    pub severity: Option<Severity>,
    /// Where there is more about it.
    pub url: Option<&'a str>,
    /// When what is recorded of it was changed, the earliest first.
    pub recorded_at: &'a [Timestamp],
}

impl Statement<'_> {
    /// The document. It depends on nothing but what is known of the advisory, so that the same is said
    /// by the same bytes. Custom builds, drafts and releases for an audience are not in it; nothing where
    /// no release is left of which there is something to say.
    pub fn document(&self) -> Option<Value> {
        let Self { publisher, product, id, title, .. } = self;
        let vulnerability = self.vulnerability()?;
        let history = self.history();
        let (first, last) = (history.first()?.0, history.last()?.0);
        let revisions = (1..).zip(&history).map(|(number, (date, summary))| {
            json!({ "date": date, "number": format!("{number}"), "summary": summary })
        });
        let mut document = json!({
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "lang": "en",
            "publisher": {
                "category": "vendor",
                "name": publisher.name,
                "namespace": publisher.namespace,
            },
            "title": format!("{id} in {product}: {}", title.unwrap_or("which versions are affected")),
            "tracking": {
                "current_release_date": last,
                "generator": { "engine": { "name": "Mainstay" } },
                "id": format!("{product}-{id}"),
                "initial_release_date": first,
                "revision_history": revisions.collect::<Vec<_>>(),
                "status": "final",
                "version": history.len().to_string(),
            },
        });
        if let Some(severity) = self.severity {
            document["aggregate_severity"] = json!({ "text": severity.as_str() });
        }
        if let Some(url) = self.url {
            let summary = format!("{id}");
            document["references"] =
                json!([{ "category": "external", "summary": summary, "url": url }]);
        }
        let versions = self.releases().map(|release| self.branch(&release.version));
        let product_tree = json!({
            "branches": [{
                "category": "vendor",
                "name": publisher.name,
                "branches": [{
                    "category": "product_name",
                    "name": product,
                    "branches": versions.collect::<Vec<_>>(),
                }],
            }],
        });
        Some(json!({
            "document": document,
            "product_tree": product_tree,
            "vulnerabilities": [vulnerability],
        }))
    }

    /// The releases that everybody may know of, the lowest version first.
    fn releases(&self) -> impl Iterator<Item = &Release> {
        self.advisory.catalogue.releases().filter(|release| {
            release.status != Status::Draft
                && release.private_channel.is_none()
                && release.audience.is_empty()
        })
    }

    fn branch(&self, version: &Version) -> Value {
        let product = self.product;
        json!({
            "category": "product_version",
            "name": version,
            "product": { "name": format!("{product} {version}"), "product_id": self.identifier(version) },
        })
    }

    fn identifier(&self, version: &Version) -> String {
        format!("{}:{version}", self.product)
    }

    fn vulnerability(&self) -> Option<Value> {
        let Self { advisory, id, title, .. } = self;
        let mut by_status = BTreeMap::<&str, Vec<String>>::new();
        let mut by_remedy = BTreeMap::<Option<Version>, Vec<String>>::new();
        for release in self.releases() {
            let status = match advisory.exposure(&release.version) {
                Exposure::Fixed => "fixed",
                Exposure::Affected => "known_affected",
                Exposure::NotAffected => "known_not_affected",
            };
            let identifier = self.identifier(&release.version);
            if status == "known_affected" {
                let remedy = self.remedy(&release.version).map(|remedy| remedy.version.clone());
                by_remedy.entry(remedy).or_default().push(identifier.clone());
            }
            by_status.entry(status).or_default().push(identifier);
        }
        if by_status.is_empty() {
            return None;
        }
        let text = title.map_or_else(|| format!("{id} in {}", self.product), str::to_owned);
        let mut vulnerability = json!({
            "notes": [{ "category": "description", "text": text }],
            "product_status": by_status,
        });
        if is_cve(id) {
            vulnerability["cve"] = json!(id);
        } else {
            let system = &self.publisher.namespace;
            vulnerability["ids"] = json!([{ "system_name": system, "text": id }]);
        }
        let remediations = by_remedy.into_iter().map(|(remedy, identifiers)| match remedy {
            Some(remedy) => json!({
                "category": "vendor_fix",
                "details": format!("Update to {remedy}, or to a later version that has the fix."),
                "product_ids": identifiers,
            }),
            None => json!({
                "category": "none_available",
                "details": "There is no version with the fix to update to.",
                "product_ids": identifiers,
            }),
        });
        let remediations: Vec<_> = remediations.collect();
        if !remediations.is_empty() {
            vulnerability["remediations"] = remediations.into();
        }
        if let Some(unaffected) = by_status.get("known_not_affected") {
            let details = "The vendor has recorded which versions are affected; these are not.";
            vulnerability["threats"] =
                json!([{ "category": "impact", "details": details, "product_ids": unaffected }]);
        }
        Some(vulnerability)
    }

    /// The lowest version above `version` that everybody may have and that has the fix.
    fn remedy(&self, version: &Version) -> Option<&Release> {
        self.releases()
            .filter(|release| !release.version.is_prerelease() && release.version > *version)
            .find(|release| self.advisory.is_remedy(&release.version))
    }

    /// When something about it was made known, the earliest first, and what.
    fn history(&self) -> Vec<(Timestamp, String)> {
        let fixes = self.releases().filter(|release| release.advisories.contains(self.id));
        let fixes = fixes.map(|fix| (fix.published_at, format!("{} fixes it.", fix.version)));
        let recorded =
            self.recorded_at.iter().map(|at| (*at, "What is known of it was recorded.".to_owned()));
        let mut history: Vec<_> = fixes.chain(recorded).collect();
        history.sort();
        history
    }
}

/// Whether it is a CVE, by the form that CSAF asks for.
fn is_cve(id: &AdvisoryId) -> bool {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = id.as_str().split('-').collect();
    matches!(parts.as_slice(), ["CVE", year, number]
        if year.len() == 4 && is_number(year) && number.len() >= 4 && is_number(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Catalogue, exposure::AffectedRange};

    fn catalogue() -> Catalogue {
        let release = |version: &str, day: u32, more: Value| -> Release {
            let mut release = json!({
                "version": version,
                "channel": "security",
                "severity": "critical",
                "published_at": format!("2026-01-{day:02}T00:00:00Z"),
            });
            let members = more.as_object().unwrap().clone();
            release.as_object_mut().unwrap().extend(members);
            serde_json::from_value(release).unwrap()
        };
        let names = json!({ "advisories": ["CVE-2026-4711"] });
        let private = json!({ "private_channel": "a".repeat(26), "advisories": ["CVE-2026-4711"] });
        let releases = [
            release("0.9.0", 1, json!({})),
            release("1.0.0", 2, json!({})),
            release("1.0.1", 10, names.clone()),
            release("1.0.2-secret.1", 11, private),
            release("1.1.0", 3, json!({})),
            release("1.2.0", 4, json!({ "audience": ["government"] })),
            release("2.0.0", 20, json!({})),
        ];
        Catalogue::new("acme-db".parse().unwrap(), [], releases).unwrap()
    }

    fn document(id: &str, affected: &[AffectedRange], publisher: &Publisher) -> Option<Value> {
        let (catalogue, id) = (catalogue(), id.parse().unwrap());
        let advisory = Advisory::new(&catalogue, &id, affected);
        let statement = Statement {
            publisher,
            product: catalogue.product(),
            id: &id,
            advisory: &advisory,
            title: Some("Rows are read without permission"),
            severity: advisory.severity(),
            url: Some("https://example.com/4711"),
            recorded_at: &["2026-01-12T00:00:00Z".parse().unwrap()],
        };
        statement.document()
    }

    #[test]
    fn the_document_says_what_is_known_and_nothing_of_what_others_have() {
        let publisher =
            Publisher { name: "Acme".to_owned(), namespace: "https://acme.example".to_owned() };
        let affected = ["1.0.0..".parse().unwrap()];
        let document = document("CVE-2026-4711", &affected, &publisher).unwrap();
        let text = document.to_string();
        assert!(!text.contains("secret") && !text.contains("1.2.0"), "{text}");
        insta::assert_snapshot!(format!("{document:#}"));
    }

    #[test]
    fn an_advisory_that_is_no_cve_has_an_identifier_of_the_vendors() {
        let publisher =
            Publisher { name: "Acme".to_owned(), namespace: "https://acme.example".to_owned() };
        for (id, is_cve) in [("ACME-1", false), ("CVE-2026-471", false), ("CVE-2026-47111", true)] {
            let document = document(id, &[], &publisher).unwrap();
            let vulnerability = &document["vulnerabilities"][0];
            assert_eq!(vulnerability["cve"].is_string(), is_cve, "{id}");
            assert_eq!(vulnerability["ids"][0]["text"] == json!(id), !is_cve, "{id}");
        }
    }

    #[test]
    fn a_publisher_is_a_name_and_an_address() {
        let problem = |name: &str, namespace: &str| {
            let (name, namespace) = (name.to_owned(), namespace.to_owned());
            Publisher { name, namespace }.problem()
        };
        assert_eq!(problem("Acme", "https://acme.example/security"), None);
        for (name, namespace) in [
            ("", "https://acme.example"),
            (" Acme", "https://acme.example"),
            ("Acme", "acme.example"),
            ("Acme", "https://"),
            ("Acme", "https://acme example"),
            ("Acme", "ftp://acme.example"),
        ] {
            assert!(problem(name, namespace).is_some(), "{name} {namespace}");
        }
    }
}
