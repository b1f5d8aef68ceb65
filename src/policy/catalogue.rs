//! What the vendor has published of one product.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use mainstay_client::format::{
    AdvisoryId, Channel, LineDates, LineName, Lines, PrivateChannelName, ProductName, Severity,
    Tag, Version, schema::Instant,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a decision needs to know about one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The version.
    pub version: Version,
    /// The kind of the release.
    pub channel: Channel,
    /// The private channel that lists it, where it is a custom build. It exists for the customer of
    /// that channel and for nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_channel: Option<PrivateChannelName>,
    /// How much it matters.
    pub severity: Severity,
    /// When it was published.
    #[schemars(with = "Instant")]
    pub published_at: Timestamp,
    /// From when on a contract must have run to cover it; absent for `published_at`. Read it
    /// through [`Release::effective_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub effective_at: Option<Timestamp>,
    /// Where it stands in its life.
    #[serde(default)]
    pub status: Status,
    /// What it fixes.
    #[serde(default)]
    pub advisories: BTreeSet<AdvisoryId>,
    /// Add-ons that a contract must have, all of them.
    #[serde(default)]
    pub requires_addons: BTreeSet<Tag>,
    /// Audiences of which a contract must have one; empty for everybody.
    #[serde(default)]
    pub audience: BTreeSet<Tag>,
    /// Whether a security release is given to every owner of its line, in term or not.
    #[serde(default)]
    pub courtesy: bool,
}

impl Release {
    /// From when on a contract must have run to cover the release.
    pub fn effective_at(&self) -> Timestamp {
        self.effective_at.unwrap_or(self.published_at)
    }

    fn dates_lines(&self) -> bool {
        self.status != Status::Draft && self.private_channel.is_none()
    }
}

/// Where a release stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not out yet; for customers it does not exist.
    Draft,
    /// Out.
    #[default]
    Published,
    /// Out, but not to be installed any more; who has it may keep it and come back to it.
    Withdrawn,
    /// Known to be harmful: never to be installed again.
    Revoked,
}

impl Status {
    /// The status in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Withdrawn => "withdrawn",
            Self::Revoked => "revoked",
        }
    }
}

/// The dates of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The line.
    pub line: LineName,
    /// When it became generally available; absent for when its opening release was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub ga: Option<Timestamp>,
    /// From when on its patch releases need extended support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub eos: Option<Timestamp>,
    /// From when on its patch releases are for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub eol: Option<Timestamp>,
}

/// The releases and lines of one product, indexed for decisions.
///
/// It holds nothing of any customer, so one catalogue in memory serves all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    product: ProductName,
    lines: BTreeMap<LineName, Line>,
    /// The lowest version first.
    releases: Vec<Release>,
    /// Where in `releases` those stand that fix an advisory, the lowest version first.
    fixes: HashMap<AdvisoryId, Vec<usize>>,
}

/// A version or line that was given twice, so that it is not known which of the two holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name} is given twice: expected it once")]
pub struct DuplicateEntry {
    what: &'static str,
    name: String,
}

impl Catalogue {
    /// A catalogue of `releases`, in whatever order they come.
    pub fn new(
        product: ProductName,
        lines: impl IntoIterator<Item = Line>,
        releases: impl IntoIterator<Item = Release>,
    ) -> Result<Self, DuplicateEntry> {
        let mut releases: Vec<Release> = releases.into_iter().collect();
        releases.sort_by(|a, b| a.version.cmp(&b.version));
        let double = releases.windows(2).find(|pair| pair[0].version == pair[1].version);
        if let Some([double, ..]) = double {
            let name = double.version.to_string();
            return Err(DuplicateEntry { what: "release", name });
        }
        let mut fixes: HashMap<AdvisoryId, Vec<usize>> = HashMap::new();
        for (position, release) in releases.iter().enumerate() {
            for advisory in &release.advisories {
                fixes.entry(advisory.clone()).or_default().push(position);
            }
        }
        let mut catalogue = Self { product, lines: BTreeMap::new(), releases, fixes };
        for line in lines {
            if catalogue.lines.insert(line.line, line).is_some() {
                return Err(DuplicateEntry { what: "line", name: line.line.to_string() });
            }
        }
        catalogue.date_lines();
        Ok(catalogue)
    }

    /// Fills in `ga` where it is absent: the opening release's `published_at`.
    ///
    /// Until a line is opened, the first pre-release of its opening release stands in for that, so
    /// that a preview of a line can be decided before the line is out. Drafts date nothing: they
    /// are not out. Nor do custom builds, of which nobody else is to learn.
    fn date_lines(&mut self) {
        let Self { lines, releases, .. } = self;
        let dating = || releases.iter().filter(|release| release.dates_lines());
        for release in dating() {
            let name = release.version.line();
            if release.version.opens_line() {
                let line = lines.entry(name).or_insert_with(|| Line::undated(name));
                line.ga = line.ga.or(Some(release.published_at));
            }
        }
        let mut previews: BTreeMap<LineName, Timestamp> = BTreeMap::new();
        for release in dating() {
            let opens = matches!(release.channel, Channel::Feature | Channel::Major);
            if opens && release.version.is_prerelease() {
                let first = previews.entry(release.version.line()).or_insert(release.published_at);
                *first = release.published_at.min(*first);
            }
        }
        for (name, first) in previews {
            let line = lines.entry(name).or_insert_with(|| Line::undated(name));
            line.ga = line.ga.or(Some(first));
        }
    }

    /// The product.
    pub fn product(&self) -> &ProductName {
        &self.product
    }

    /// All releases, the lowest version first.
    pub fn releases(
        &self,
    ) -> impl DoubleEndedIterator<Item = &Release> + ExactSizeIterator + Clone {
        self.releases.iter()
    }

    /// All releases, those of a line together, the lowest version first.
    pub fn releases_by_line(&self) -> impl Iterator<Item = (LineName, &[Release])> {
        let line = |release: &Release| release.version.line();
        let lines = self.releases.chunk_by(move |a, b| line(a) == line(b));
        lines.filter_map(move |releases| releases.first().map(|first| (line(first), releases)))
    }

    /// The release of that version.
    pub fn release(&self, version: &Version) -> Option<&Release> {
        let found = self.releases.binary_search_by(|release| release.version.cmp(version));
        found.ok().and_then(|position| self.releases.get(position))
    }

    /// The lines that are dated or have an opening release, the lowest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.values()
    }

    /// The dates of the line; all absent for one that nothing is known of.
    pub fn line(&self, name: LineName) -> Line {
        self.lines.get(&name).copied().unwrap_or_else(|| Line::undated(name))
    }

    /// The releases that fix at least what `release` fixes, itself among them, the highest version
    /// first; none where it fixes nothing.
    pub fn fixing_at_least(&self, release: &Release) -> impl Iterator<Item = &Release> {
        let of_one = release.advisories.first().and_then(|advisory| self.fixes.get(advisory));
        of_one
            .into_iter()
            .flat_map(|positions| positions.iter().rev())
            .filter_map(|position| self.releases.get(*position))
            .filter(|other| other.advisories.is_superset(&release.advisories))
    }
}

impl Catalogue {
    /// All advisories that releases name, by identifier.
    pub fn advisories(&self) -> BTreeSet<&AdvisoryId> {
        self.fixes.keys().collect()
    }

    /// The releases that name an advisory, the lowest version first.
    pub fn naming(&self, advisory: &AdvisoryId) -> impl Iterator<Item = &Release> {
        let positions = self.fixes.get(advisory).into_iter().flatten();
        positions.filter_map(|position| self.releases.get(*position))
    }
}

impl Line {
    /// The lines as the vendor has signed their dates.
    pub fn signed(lines: &Lines) -> impl Iterator<Item = Self> {
        lines.iter().map(|(line, LineDates { ga, eos, eol })| Self { line, ga, eos, eol })
    }

    fn undated(line: LineName) -> Self {
        Self { line, ga: None, eos: None, eol: None }
    }
}

#[cfg(test)]
mod tests;
