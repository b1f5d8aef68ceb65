use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use mainstay_client::format::{AdvisoryId, Channel, ProductName, Severity, Version};
use serde::Deserialize;

use crate::{
    cli::{
        CliError, CliResult, Connection, Output, ServerArgs,
        keys::KeyArgs,
        publish::{self, Publish},
    },
    store::ProductRecord,
};

/// What the demo product is called, the first time.
const PRODUCT: &str = "acme-db";

const RELEASES: &str = include_str!("../../../fixtures/demo/releases.toml");

/// The files of every release: path, mode, contents.
const FILES: [(&str, u32, &str); 3] = [
    ("bin/acme-db", 0o755, include_str!("../../../fixtures/demo/bin/acme-db")),
    ("bin/check", 0o755, include_str!("../../../fixtures/demo/bin/check")),
    ("mainstay.toml", 0o644, include_str!("../../../fixtures/demo/mainstay.toml")),
];

/// The bad release, and what is bad about it.
const BAD: (&str, (&str, u32, &str)) =
    ("1.1.1", ("bin/check", 0o755, include_str!("../../../fixtures/demo/1.1.1/bin/check")));

/// A release of the demo product, as `fixtures/demo/releases.toml` describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoRelease {
    pub(super) version: Version,
    pub(super) channel: Channel,
    severity: Severity,
    #[serde(default)]
    advisories: Vec<AdvisoryId>,
    pub(super) notes: String,
}

#[derive(Deserialize)]
struct DemoReleases {
    release: Vec<DemoRelease>,
}

/// A name for the demo product that the server does not have yet.
pub(super) fn free_name(products: &[ProductRecord]) -> Result<ProductName, CliError> {
    let taken = |name: &str| products.iter().any(|product| product.name.as_str() == name);
    let numbered = (2..).map(|number| format!("{PRODUCT}-{number}"));
    let free = std::iter::once(PRODUCT.to_owned()).chain(numbered).find(|name| !taken(name));
    Ok(free.unwrap_or_default().parse()?)
}

impl DemoRelease {
    pub(super) fn find(version: &str) -> Result<Self, CliError> {
        let DemoReleases { release } = toml::from_str(RELEASES)
            .map_err(|error| CliError::Input(format!("the demo's releases: {error}")))?;
        release
            .into_iter()
            .find(|release| release.version.to_string() == version)
            .ok_or_else(|| CliError::Input(format!("the demo's releases do not have {version}")))
    }

    /// Lays the release's tree out below `trees` and publishes it.
    pub(super) fn publish(
        &self,
        server: &Connection,
        args: &ServerArgs,
        keys: &KeyArgs,
        product: &ProductName,
        trees: &Path,
    ) -> CliResult {
        let tree = trees.join(self.version.to_string());
        let notes = trees.join(format!("{}.md", self.version));
        self.lay_out(&tree, &notes).map_err(|source| CliError::file("write", &tree, source))?;
        let release = publish::DemoRelease {
            product: product.clone(),
            version: self.version.clone(),
            channel: self.channel,
            severity: self.severity,
            advisories: self.advisories.clone(),
            tree: &tree,
            notes: &notes,
        };
        Publish::demo(args, keys.clone(), release).publish(server, Output::QUIET).map(|_| ())
    }

    fn lay_out(&self, tree: &Path, notes: &Path) -> io::Result<()> {
        let version = self.version.to_string();
        let mut files: Vec<(PathBuf, u32, String)> =
            vec![(tree.join("VERSION"), 0o644, format!("{version}\n"))];
        let (bad_version, bad_file) = BAD;
        let bad = (version == bad_version).then_some(bad_file);
        for (path, mode, contents) in FILES.into_iter().chain(bad) {
            files.push((tree.join(path), mode, contents.to_owned()));
        }
        for (path, mode, contents) in files {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, contents)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        fs::write(notes, format!("{}\n", self.notes))
    }
}
