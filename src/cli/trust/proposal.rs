use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::Path,
};

use mainstay_client::{
    format::{ChannelName, Digest, ProductName, wire::PublishingState},
    tuf::{Envelope, json},
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
        Self { format, product, revision, base, documents, manifest }
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

    /// Reads several copies of one proposal, and joins the signatures in them.
    pub(super) fn read_joined(paths: &[impl AsRef<Path>]) -> Result<Self, CliError> {
        let mut joined: Option<Self> = None;
        for path in paths {
            let path = path.as_ref();
            let copy = Self::read(path)?;
            match &mut joined {
                None => joined = Some(copy),
                Some(first) => first
                    .join(&copy)
                    .map_err(|problem| CliError::Input(format!("{}: {problem}", path.display())))?,
            }
        }
        joined.ok_or_else(|| CliError::Input("expected at least one proposal".to_owned()))
    }

    fn join(&mut self, other: &Self) -> Result<(), String> {
        let what = |proposal: &Self| {
            let documents: Vec<_> = proposal.documents.keys().cloned().collect();
            (
                proposal.product.clone(),
                proposal.revision,
                proposal.base.clone(),
                proposal.manifest.clone(),
                documents,
            )
        };
        let another = || "it is a copy of another proposal than the first file".to_owned();
        if what(self) != what(other) {
            return Err(another());
        }
        for (name, text) in &mut self.documents {
            let copy = other.documents.get(name).map(String::as_bytes).unwrap_or_default();
            let parse = |bytes| Envelope::parse(name, bytes).map_err(|refusal| refusal.to_string());
            let (mut mine, theirs) = (parse(text.as_bytes())?, parse(copy)?);
            if !mine.join(&theirs) {
                return Err(another());
            }
            let bytes = mine.to_bytes().map_err(|error| error.to_string())?;
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        Ok(())
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
