//! What is in a release: the components that a CycloneDX document lists, and looking for them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bill of materials: CycloneDX JSON, as far as it is used here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sbom {
    /// The version of CycloneDX that it is written by.
    pub spec_version: String,
    /// All components, nested ones too, in the order in which they stand there.
    pub components: Vec<Component>,
}

/// A component of a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    /// What its name belongs to, such as `@angular` or `org.apache.logging.log4j`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
}

/// A document that is no bill of materials as it is taken here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SbomError {
    /// It is no JSON, or not of the form of CycloneDX.
    #[error("it is not CycloneDX JSON: {0}; expected what `cyclonedx` tools write as JSON")]
    Form(String),
    /// It says of itself that it is something else.
    #[error("bomFormat is `{0}`: expected CycloneDX")]
    Format(String),
    /// It is of a version that is not known.
    #[error("specVersion is `{0}`: expected one of 1.4, 1.5, 1.6")]
    Version(String),
    /// Components are nested too deep.
    #[error("components are nested more than {} deep", Sbom::DEPTH_MAX)]
    Depth,
    /// It has too many components.
    #[error("it has more than {} components", Sbom::COMPONENTS_MAX)]
    TooMany,
    /// It has none.
    #[error("it lists no component: expected one or more")]
    Empty,
    /// A component is not what it is to be.
    #[error("component {number}: {member} is not valid: expected {expected}")]
    Component {
        /// Which, counted from 1.
        number: usize,
        /// Which of its members.
        member: &'static str,
        /// What it is to be.
        expected: String,
    },
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "bomFormat")]
    bom_format: String,
    #[serde(rename = "specVersion")]
    spec_version: String,
    #[serde(default)]
    components: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    purl: Option<String>,
    #[serde(default)]
    components: Vec<Listed>,
}

impl Sbom {
    /// The largest document, in bytes.
    pub const BYTES_MAX: u64 = 16 << 20;
    /// The most components.
    pub const COMPONENTS_MAX: usize = 10_000;
    /// How deep components can be nested.
    pub const DEPTH_MAX: usize = 16;
    /// The longest name, group and version, in characters.
    pub const TEXT_CHARS_MAX: usize = 256;
    /// The longest package URL, in characters.
    pub const PURL_CHARS_MAX: usize = 1024;
    /// The versions of CycloneDX that are taken.
    pub const SPEC_VERSIONS: [&str; 3] = ["1.4", "1.5", "1.6"];

    /// Reads a document. Members that are not used here are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, SbomError> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| SbomError::Form(error.to_string()))?;
        let Document { bom_format, spec_version, components } = document;
        let shown =
            |text: &str| text.chars().take(40).collect::<String>().escape_debug().to_string();
        if bom_format != "CycloneDX" {
            return Err(SbomError::Format(shown(&bom_format)));
        }
        if !Self::SPEC_VERSIONS.contains(&spec_version.as_str()) {
            return Err(SbomError::Version(shown(&spec_version)));
        }
        let mut sbom = Self { spec_version, components: Vec::new() };
        sbom.take_in(components, 1)?;
        if sbom.components.is_empty() { Err(SbomError::Empty) } else { Ok(sbom) }
    }

    fn take_in(&mut self, listed: Vec<Listed>, depth: usize) -> Result<(), SbomError> {
        if depth > Self::DEPTH_MAX && !listed.is_empty() {
            return Err(SbomError::Depth);
        }
        for Listed { name, group, version, purl, components } in listed {
            let group = group.filter(|group| !group.is_empty());
            let version = version.filter(|version| !version.is_empty());
            let component = Component { group, name, version, purl };
            component.check(self.components.len() + 1)?;
            if self.components.len() == Self::COMPONENTS_MAX {
                return Err(SbomError::TooMany);
            }
            self.components.push(component);
            self.take_in(components, depth + 1)?;
        }
        Ok(())
    }

    /// The components by the words under which they are looked for.
    pub fn indexed(&self) -> BTreeMap<String, Vec<Component>> {
        let mut indexed = BTreeMap::<String, Vec<Component>>::new();
        for component in &self.components {
            for word in component.words() {
                let under = indexed.entry(word).or_default();
                if !under.contains(component) {
                    under.push(component.clone());
                }
            }
        }
        indexed
    }
}

impl Component {
    fn check(&self, number: usize) -> Result<(), SbomError> {
        let is_text = |text: &str, chars_max: usize| {
            (1..=chars_max).contains(&text.chars().count()) && !text.contains(char::is_control)
        };
        let wrong = |member, expected: String| SbomError::Component { number, member, expected };
        let max = Sbom::TEXT_CHARS_MAX;
        let texts = [
            ("name", Some(&self.name)),
            ("group", self.group.as_ref()),
            ("version", self.version.as_ref()),
        ];
        for (member, text) in texts {
            if text.is_some_and(|text| !is_text(text, max)) {
                let expected = format!("1 to {max} characters without control characters");
                return Err(wrong(member, expected));
            }
        }
        let max = Sbom::PURL_CHARS_MAX;
        let is_purl = |purl: &str| is_text(purl, max) && Purl::parse(purl).is_some();
        match &self.purl {
            Some(purl) if !is_purl(purl) => {
                Err(wrong("purl", format!("pkg:type/name@version of at most {max} characters")))
            }
            _ => Ok(()),
        }
    }

    /// The words under which it is looked for: the last part of its name, and of its package URL.
    fn words(&self) -> Vec<String> {
        let mut words = vec![last_part(&self.name)];
        let purl = self.purl.as_deref().and_then(Purl::parse);
        let of_purl = purl.map(|purl| last_part(purl.base));
        words.extend(of_purl);
        words.dedup();
        words
    }

    /// It in words.
    pub fn label(&self) -> String {
        let group = self.group.as_ref().map(|group| format!("{group}/")).unwrap_or_default();
        let version =
            self.version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
        format!("{group}{}{version}", self.name)
    }
}

/// The last part of a name that is written as a path, in lower case.
fn last_part(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_lowercase()
}

/// A package URL (<https://github.com/package-url/purl-spec>) without qualifiers and subpath.
struct Purl<'a> {
    /// `pkg:type/namespace/name`.
    base: &'a str,
    version: Option<&'a str>,
}

impl<'a> Purl<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.split(['?', '#']).next()?;
        let rest = text.strip_prefix("pkg:")?;
        let (directory, name) = rest.rsplit_once('/')?;
        let (name, version) = match name.rsplit_once('@') {
            Some((name, version)) => (name, Some(version).filter(|version| !version.is_empty())),
            None => (name, None),
        };
        let base = text.get(..text.len() - rest.len() + directory.len() + 1 + name.len())?;
        (!directory.is_empty() && !name.is_empty()).then_some(Self { base, version })
    }
}

/// Which components are looked for: `NAME`, `GROUP/NAME`, either with `@VERSION`, or a package URL with
/// or without a version. Upper and lower case are the same in names, and differ in versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ComponentQuery {
    text: String,
    name: String,
    version: Option<String>,
}

/// Text that names no component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no component: expected NAME, NAME@VERSION, GROUP/NAME@VERSION, or a package URL such as \
     pkg:npm/left-pad@1.3.0"
)]
pub struct QueryError(String);

impl ComponentQuery {
    /// The word under which the components are to be found.
    pub fn word(&self) -> String {
        last_part(&self.name)
    }

    /// Whether a component is one that is looked for.
    pub fn matches(&self, component: &Component) -> bool {
        let is_name = if self.name.starts_with("pkg:") {
            let purl = component.purl.as_deref().and_then(Purl::parse);
            purl.is_some_and(|purl| purl.base.to_lowercase() == self.name)
        } else {
            let name = component.name.to_lowercase();
            let group = component.group.as_ref().map(|group| group.to_lowercase());
            name == self.name || group.is_some_and(|group| format!("{group}/{name}") == self.name)
        };
        let purl = component.purl.as_deref().and_then(Purl::parse);
        let version = component.version.as_deref().or(purl.and_then(|purl| purl.version));
        is_name && self.version.as_deref().is_none_or(|wanted| version == Some(wanted))
    }
}

impl FromStr for ComponentQuery {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let parse = || {
            if text.chars().count() > Sbom::PURL_CHARS_MAX || text.contains(char::is_control) {
                return None;
            }
            let (name, version) = if text.starts_with("pkg:") {
                let purl = Purl::parse(text)?;
                (purl.base, purl.version)
            } else {
                // A name may begin with `@`, as those of npm do.
                match text.rfind('@').filter(|at| *at > 0) {
                    Some(at) => (text.get(..at)?, text.get(at + 1..)),
                    None => (text, None),
                }
            };
            let is_whole = !last_part(name).is_empty() && version != Some("");
            is_whole.then(|| Self {
                text: text.to_owned(),
                name: name.to_lowercase(),
                version: version.map(str::to_owned),
            })
        };
        parse().ok_or_else(|| {
            QueryError(text.chars().take(80).collect::<String>().escape_debug().to_string())
        })
    }
}

impl fmt::Display for ComponentQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

impl TryFrom<String> for ComponentQuery {
    type Error = QueryError;

    fn try_from(text: String) -> Result<Self, QueryError> {
        text.parse()
    }
}

impl From<ComponentQuery> for String {
    fn from(query: ComponentQuery) -> Self {
        query.text
    }
}

#[cfg(test)]
mod tests;
