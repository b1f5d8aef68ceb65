use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use clap::Args;
use mainstay_client::{
    format::{Artifact, Digest, Hasher, Platform, RELEASE_DESCRIPTION, ReleaseDescription},
    pack::{self, Compression, Compressor, EntryKind, TreePlan},
};

use crate::cli::{CliError, Connection, Output};

/// How hard artifacts are compressed.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct CompressionArgs {
    /// The zstd level, 1 to 22 [default: 19 up to 64 MiB of payload, 12 up to 512 MiB, 6 above].
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=22))]
    level: Option<i32>,
    /// The binary logarithm of the window, which is what a machine and the server need of memory
    /// to decompress: 10 to 27 [default: 24, or what the payload needs if that is less].
    #[arg(long, value_parser = clap::value_parser!(u32).range(10..=27))]
    window_log: Option<u32>,
    /// How many threads compress [default: one for each core].
    #[arg(long)]
    threads: Option<u32>,
}

impl CompressionArgs {
    const WINDOW_LOG_DEFAULT: u32 = 24;

    fn choose(&self, payload_bytes: u64) -> Compression {
        let level = match payload_bytes >> 20 {
            ..64 => 19,
            64..512 => 12,
            512.. => 6,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Compression {
            level: self.level.unwrap_or(level),
            window_log: self.window_log.unwrap_or(Self::WINDOW_LOG_DEFAULT),
            workers: self.threads.unwrap_or(u32::try_from(cores).unwrap_or(1)),
        }
        .for_payload(payload_bytes)
    }
}

/// An artifact that is packed and not uploaded yet.
pub(super) struct PackedArtifact {
    file: File,
    artifact: Artifact,
}

impl PackedArtifact {
    pub(super) fn pack(
        platform: &Platform,
        dir: &Path,
        compression: &CompressionArgs,
        output: Output,
    ) -> Result<Self, CliError> {
        let tree = pack::scan_tree(dir, &pack::Limits::default())?;
        let ReleaseDescription { health, hooks, data, requires } = description(dir, &tree)?;
        let payload_length = tree.summary().payload_length;
        let compression = compression.choose(payload_length);
        let progress = output.progress(&format!("pack {platform}"), tree.summary().bytes);

        let temporary = |source| CliError::file("write", &std::env::temp_dir(), source);
        let file = tempfile::tempfile().map_err(temporary)?;
        let counted = Hashing::new(BufWriter::new(&file));
        let compressor = Compressor::new(counted, compression)?;
        let (payload, summary) =
            tree.pack(Hashing::new(compressor), &mut |bytes| progress.set_position(bytes))?;
        let (compressor, payload_sha256) = payload.into_parts();
        let (mut buffered, sha256) = compressor.finish()?.into_parts();
        buffered.flush().map_err(temporary)?;
        drop(buffered);
        progress.finish_and_clear();

        let length = file.metadata().map_err(temporary)?.len();
        let artifact = Artifact {
            length,
            sha256,
            payload_length: summary.payload_length,
            payload_sha256,
            window_log: compression.window_log,
            health,
            hooks,
            data,
            requires,
        };
        output.say(&format!(
            "{platform}: packed {} entries, {} bytes, to {length} bytes",
            summary.entries, summary.payload_length
        ));
        Ok(Self { file, artifact })
    }

    pub(super) fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    pub(super) fn upload(
        &mut self,
        platform: &Platform,
        server: &Connection,
        output: Output,
    ) -> Result<(), CliError> {
        let Artifact { length, sha256, payload_length, payload_sha256, window_log, .. } =
            self.artifact;
        let said = [
            ("payload_length", payload_length.to_string()),
            ("payload_sha256", payload_sha256.to_string()),
            ("window_log", window_log.to_string()),
        ];
        let progress = output.progress(&format!("upload {platform}"), length);
        let mut tell = |bytes| progress.set_position(bytes);
        server.upload(&mut self.file, &sha256, length, &said, &mut tell)?;
        progress.finish_and_clear();
        Ok(())
    }
}

/// How the tree says that the release is looked after.
fn description(dir: &Path, tree: &TreePlan) -> Result<ReleaseDescription, CliError> {
    let described = tree.entries().any(|entry| entry.path().as_str() == RELEASE_DESCRIPTION);
    if !described {
        return Ok(ReleaseDescription::default());
    }
    let path = dir.join(RELEASE_DESCRIPTION);
    let text = fs::read_to_string(&path).map_err(|source| CliError::file("read", &path, source))?;
    let description: ReleaseDescription = toml::from_str(&text).map_err(|error| {
        CliError::Input(format!("{}: {}", path.display(), error.to_string().trim_end()))
    })?;
    let is_there = |program: &str| {
        tree.entries().any(|entry| {
            let kind = entry.kind();
            entry.path().as_str() == program.trim_start_matches("./")
                && matches!(kind, EntryKind::File { mode, .. } if mode.is_executable())
        })
    };
    let missing = description.programs().filter(|(_, program)| program.contains('/'));
    let missing = missing.filter(|(_, program)| !is_there(program)).map(|(name, program)| {
        format!("{name}.command `{}` is not an executable file of the tree", program.escape_debug())
    });
    let problems: Vec<_> = description.problems().into_iter().chain(missing).collect();
    if problems.is_empty() { Ok(description) } else { Err(CliError::Unsound(problems)) }
}

/// Hashes what is written through it.
struct Hashing<W> {
    output: W,
    hasher: Hasher,
}

impl<W> Hashing<W> {
    fn new(output: W) -> Self {
        Self { output, hasher: Hasher::new() }
    }

    fn into_parts(self) -> (W, Digest) {
        (self.output, self.hasher.finish())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
