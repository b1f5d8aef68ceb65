use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read as _},
    path::Path,
};

use mainstay_client::{
    format::{ChannelName, Digest, ProductName, Version, wire::PublishingState},
    tuf::json,
};
use serde::{Deserialize, Serialize};

use super::super::CliError;

/// What the vendor is about to sign, with the signatures that were collected so far: a file that
/// travels between the people who sign.
///
/// It carries what it builds upon, so that it can be verified and shown without a network. Whoever
/// sends it may have changed anything in it: [`super::review::Review`] judges it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Proposal {
    /// [`Proposal::FORMAT`].
    pub(in crate::cli) format: u32,
    /// Whose metadata it is.
    pub(in crate::cli) product: ProductName,
    /// The revision of the product that it builds upon.
    pub(in crate::cli) revision: u64,
    /// What is published, byte for byte, by file name.
    pub(in crate::cli) base: BTreeMap<String, String>,
    /// The new documents: `root`, `targets`, and channels by name.
    pub(in crate::cli) documents: BTreeMap<String, String>,
    /// The manifest of the release that is to be published, byte for byte, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) manifest: Option<String>,
    /// The releases that are to be retired.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(in crate::cli) retire: BTreeSet<Version>,
}

impl Proposal {
    /// The version of the file's form.
    pub(in crate::cli) const FORMAT: u32 = 1;
    /// The largest file that is read, in bytes.
    const BYTES_MAX: u64 = 64 << 20;
    /// The most new documents.
    const DOCUMENTS_MAX: usize = 40;

    /// The proposal of `documents`, built upon `state`.
    pub(in crate::cli) fn new(
        product: ProductName,
        state: &PublishingState,
        documents: BTreeMap<String, String>,
        manifest: Option<String>,
    ) -> Self {
        let mut base = state.metadata.clone();
        // What the server signs is none of the signers' business.
        base.retain(|file, _| file != "timestamp.json" && file != "snapshot.json");
        let (format, revision) = (Self::FORMAT, state.revision);
        let retire = BTreeSet::new();
        Self { format, product, revision, base, documents, manifest, retire }
    }

    /// The proposal to retire `versions`, built upon `state`.
    pub(in crate::cli) fn to_retire(
        product: ProductName,
        state: &PublishingState,
        documents: BTreeMap<String, String>,
        versions: BTreeSet<Version>,
    ) -> Self {
        Self { retire: versions, ..Self::new(product, state, documents, None) }
    }

    /// The digest of the root that the product began with, by which people compare products.
    pub(super) fn first_root_sha256(&self) -> Digest {
        let first = self.base.get("1.root.json").map(String::as_bytes);
        Digest::of(first.unwrap_or_default())
    }

    /// Reads a file, which is not trusted by that.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let mut bytes = Vec::new();
        fs::File::open(path)
            .and_then(|file| file.take(Self::BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|source| CliError::file("read", path, source))?;
        let refuse = |problem: &dyn std::fmt::Display| {
            CliError::Input(format!("{}: not a proposal: {problem}", path.display()))
        };
        if bytes.len() as u64 > Self::BYTES_MAX {
            return Err(refuse(&format!("expected at most {} bytes", Self::BYTES_MAX)));
        }
        let proposal: Self = json::from_slice(&bytes).map_err(|error| refuse(&error))?;
        if proposal.format != Self::FORMAT {
            let found = proposal.format;
            return Err(refuse(&format!("it has format {found}: expected {}", Self::FORMAT)));
        }
        // A name goes into messages; one that is not well formed must not.
        for name in proposal.documents.keys() {
            name.parse::<ChannelName>().map_err(|error| refuse(&error))?;
        }
        if proposal.documents.len() > Self::DOCUMENTS_MAX {
            return Err(refuse(&format!(
                "{} documents: expected at most {}",
                proposal.documents.len(),
                Self::DOCUMENTS_MAX
            )));
        }
        Ok(proposal)
    }

    /// Reads several copies of one proposal, of which the documents are signed by different people:
    /// the first one, and the others.
    pub(super) fn read_copies(paths: &[impl AsRef<Path>]) -> Result<(Self, Vec<Self>), CliError> {
        let (first, others) = paths
            .split_first()
            .ok_or_else(|| CliError::Input("expected at least one proposal".to_owned()))?;
        let first = Self::read(first.as_ref())?;
        let mut copies = Vec::new();
        for path in others {
            let copy = Self::read(path.as_ref())?;
            if !first.is_copied_by(&copy) {
                return Err(CliError::Input(format!(
                    "{}: it is a copy of another proposal than the first file",
                    path.as_ref().display()
                )));
            }
            copies.push(copy);
        }
        Ok((first, copies))
    }

    /// Whether `other` proposes the same. What each document says is compared when the signatures
    /// are taken in ([`super::review::Review::join`]).
    fn is_copied_by(&self, other: &Self) -> bool {
        let Self { format: _, product, revision, base, documents, manifest, retire } = other;
        self.product == *product
            && self.revision == *revision
            && self.base == *base
            && self.manifest == *manifest
            && self.retire == *retire
            && self.documents.keys().eq(documents.keys())
    }

    /// Writes the file, whole and durable or not at all.
    pub(in crate::cli) fn write(&self, path: &Path) -> Result<(), CliError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let write = || {
            let mut part = tempfile::NamedTempFile::new_in(folder)?;
            io::Write::write_all(&mut part, &bytes)?;
            part.as_file().sync_all()?;
            part.persist(path).map_err(|error| error.error)?;
            fs::File::open(folder)?.sync_all()
        };
        write().map_err(|source| CliError::file("write", path, source))
    }
}
