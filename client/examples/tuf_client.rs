//! A TUF client on the command line, as the public conformance suite of The Update Framework drives
//! one. It ends with 0 where everything went well and with 1 otherwise.
//!
//! ```text
//! tuf_client --metadata-dir D init ROOT.json
//! tuf_client --metadata-url U --metadata-dir D refresh
//! tuf_client --metadata-url U --metadata-dir D --target-name N [--target-name …] \
//!     --target-dir T --target-base-url B download
//! ```

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use mainstay_client::{
    client::Updater,
    clock,
    fetch::{CertificateAuthority, HttpTransport, Limits, Mirror, Retry},
    tuf,
};

#[derive(Debug, Parser)]
struct Arguments {
    /// Where the trusted metadata is kept.
    #[arg(long, value_name = "DIR")]
    metadata_dir: PathBuf,
    /// Where the repository has its metadata.
    #[arg(long, value_name = "URL")]
    metadata_url: Option<String>,
    /// A target; give it again for each further one.
    #[arg(long, value_name = "PATH")]
    target_name: Vec<String>,
    /// Where the targets are put.
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    /// Where the repository has its targets.
    #[arg(long, value_name = "URL")]
    target_base_url: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Begin to trust a root.
    Init {
        /// The root.
        root: PathBuf,
    },
    /// Refresh the metadata.
    Refresh,
    /// Refresh the metadata, then download the targets.
    Download,
}

fn main() -> ExitCode {
    // The first provider that is installed is the one; nobody else installs any.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Arguments::try_parse().map_err(Box::from).and_then(|arguments| arguments.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut cause = error.source();
            while let Some(beneath) = cause {
                eprintln!("because: {beneath}");
                cause = beneath.source();
            }
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn run(&self) -> Result<(), Box<dyn Error>> {
        match &self.command {
            Command::Init { root } => Ok(Updater::init(&self.metadata_dir, &fs::read(root)?)?),
            Command::Refresh => self.refresh().map(|_| ()),
            Command::Download => self.download(),
        }
    }

    fn refresh(&self) -> Result<Updater, Box<dyn Error>> {
        let metadata = mirror("--metadata-url", self.metadata_url.as_deref())?;
        let now = clock::system()().wall;
        Ok(Updater::refresh(metadata, &self.metadata_dir, tuf::Limits::DEFAULT, now)?)
    }

    fn download(&self) -> Result<(), Box<dyn Error>> {
        let targets = mirror("--target-base-url", self.target_base_url.as_deref())?;
        let folder = self.target_dir.as_deref().ok_or("--target-dir is missing")?;
        if self.target_name.is_empty() {
            return Err("--target-name is missing".into());
        }
        let mut updater = self.refresh()?;
        for name in &self.target_name {
            updater.download(&targets, name, &file_of(folder, name))?;
        }
        Ok(())
    }
}

/// The file of the target `name`: no part of the name can lead out of the folder.
fn file_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(name.replace('%', "%25").replace('/', "%2F"))
}

fn mirror(argument: &str, address: Option<&str>) -> Result<Mirror, Box<dyn Error>> {
    let address = address.ok_or_else(|| format!("{argument} is missing"))?;
    let authority = CertificateAuthority::PublicWeb;
    let transport = HttpTransport::new(address, &authority, None, Limits::DEFAULT)?;
    Ok(Mirror::new(Box::new(transport), Limits::DEFAULT, Retry::DEFAULT))
}
