use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use mainstay_client::format::{Digest, ProductName, Version};

use crate::{
    cli::{CliError, CliResult, Connection, Output, ServerArgs},
    policy::sbom::Sbom,
    service::sbom::AttachSbom,
    store::SbomRecord,
};

/// Attach a bill of materials to a release, and show it.
///
/// What is attached is the vendor's statement, kept by the server beside what is signed: its digest is in the
/// audit trail, and no release key signs it.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SbomCommand {
    /// Attach a document, CycloneDX 1.4 to 1.6 as JSON, in place of the one before where there is one.
    Attach(Attach),
    /// Show what is attached.
    Show(Show),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Attach {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The release.
    version: Version,
    /// The document.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The release.
    version: Version,
}

impl SbomCommand {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Attach(attach) => attach.run(output),
            Self::Show(Show { server, product, version }) => {
                let path = format!("/v1/products/{product}/releases/{version}/sbom");
                let record: SbomRecord = server.connect()?.get(&path)?;
                output.answer(&record, told)
            }
        }
    }
}

impl Attach {
    fn run(self, output: Output) -> CliResult {
        let Self { server, product, version, file } = self;
        // What is wrong with it is said before anything is sent.
        let sbom = SbomFile::read(&file)?;
        let record = sbom.attach(&server.connect()?, &product, &version)?;
        output.answer(&record, told)
    }
}

/// A file that is a bill of materials.
pub(in crate::cli) struct SbomFile {
    file: File,
    sha256: Digest,
    length: u64,
}

impl SbomFile {
    /// Reads a file, and refuses one that is none.
    pub(in crate::cli) fn read(path: &Path) -> Result<Self, CliError> {
        let unreadable = |source| CliError::file("read", path, source);
        let mut file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        let most = Sbom::BYTES_MAX;
        file.by_ref().take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let (shown, length) = (path.display(), bytes.len() as u64);
        if length > most {
            return Err(CliError::Input(format!(
                "{shown} is too large: expected at most {most} bytes"
            )));
        }
        Sbom::parse(&bytes).map_err(|problem| CliError::Input(format!("{shown}: {problem}")))?;
        Ok(Self { file, sha256: Digest::of(&bytes), length })
    }

    /// Attaches it to a release.
    pub(in crate::cli) fn attach(
        mut self,
        server: &Connection,
        product: &ProductName,
        version: &Version,
    ) -> Result<SbomRecord, CliError> {
        server.upload(&mut self.file, &self.sha256, self.length, &[], &mut |_| ())?;
        let path = format!("/v1/products/{product}/releases/{version}/sbom");
        server.post(&path, &AttachSbom { sha256: self.sha256 })
    }
}

fn told(record: &SbomRecord) -> String {
    let SbomRecord { product, version, spec_version, components, attached_at, by, sha256, .. } =
        record;
    format!(
        "{product} {version} has {components} component(s), by CycloneDX {spec_version}: attached at \
         {attached_at} by {by}, SHA-256 {sha256}."
    )
}
