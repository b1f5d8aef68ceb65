mod list;

use std::{
    fs::{self, File},
    io::{BufWriter, Read as _, Seek as _, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use mainstay_client::{
    delta::{self, FileAt, Header, Progress, ReadAt},
    pack::{self, PackedTree, PayloadIdentity},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{CliError, CliResult, Output, output::table};

/// Say which deltas the server makes and what they save; make, apply and describe deltas by hand, which asks
/// no server.
#[derive(Debug, Subcommand)]
pub(super) enum Delta {
    /// List the deltas that the server makes by itself, and what they have saved.
    List(list::List),
    /// Make the delta that turns OLD into NEW.
    Make(Make),
    /// Make the new payload of OLD and a delta.
    Apply(Apply),
    /// Say what a delta is for and what is in it.
    Info(Info),
}

#[derive(Debug, Args)]
pub(super) struct Make {
    /// A folder, which is packed as for a release; or a file, a tar archive or any other.
    old: PathBuf,
    /// Another of the same kind.
    new: PathBuf,
    /// Where the delta is written.
    out: PathBuf,
    /// How the delta is packed.
    #[arg(long, value_enum, default_value_t = ProfileArg::Fast)]
    profile: ProfileArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileArg {
    /// Applied as fast as it is decompressed.
    Fast,
    /// About a tenth smaller, and ten times slower to apply: for slow or metered networks.
    Compact,
}

impl From<ProfileArg> for delta::Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Fast => Self::Fast,
            ProfileArg::Compact => Self::Compact,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The folder or file that the delta is for.
    old: PathBuf,
    /// The delta.
    delta: PathBuf,
    /// Where the new one is written: a folder, which must not exist, where OLD is one, otherwise a file.
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Info {
    /// The delta.
    delta: PathBuf,
}

impl Delta {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::List(command) => command.run(output),
            Self::Make(command) => command.run(output),
            Self::Apply(command) => command.run(output),
            Self::Info(command) => command.run(output),
        }
    }
}

/// What was made, for a program.
#[derive(Serialize)]
struct Made {
    path: String,
    bytes: u64,
    old: Value,
    new: Value,
}

impl Make {
    fn run(self, output: Output) -> CliResult {
        let (old, new) = (payload(&self.old, output)?, payload(&self.new, output)?);
        let shown = Shown::new(output, &self.out);
        let delta = delta::make(
            &old,
            &new,
            self.profile.into(),
            &delta::Limits::default(),
            &mut |progress| shown.tell(progress),
        )?;
        shown.bar.finish_and_clear();
        write_whole(&self.out, |file| file.write_all(&delta))?;
        let header = Header::read(&delta)?;
        let made = Made {
            path: self.out.display().to_string(),
            bytes: delta.len() as u64,
            old: identity(&header.old),
            new: identity(&header.new),
        };
        output.answer(&made, |made| {
            format!("{}: {} bytes for {} new ones", made.path, made.bytes, header.new.length)
        })
    }
}

impl Apply {
    fn run(self, output: Output) -> CliResult {
        let is_folder = self.old.is_dir();
        if is_folder && fs::symlink_metadata(&self.out).is_ok() {
            let out = self.out.display();
            return Err(CliError::Input(format!(
                "{out} exists: expected to create it as a folder"
            )));
        }
        let old: Box<dyn ReadAt> = if is_folder {
            Box::new(PackedTree::open(&self.old, &pack::Limits::default())?)
        } else {
            Box::new(delta_at(&self.old)?)
        };
        let delta = delta_at(&self.delta)?;
        let new = Header::read(&delta)?.new;
        let shown = Shown::new(output, &self.out);
        let apply = |file: &mut File| {
            let limits = delta::Limits::default();
            let mut watch = |progress| shown.tell(progress);
            delta::apply(&*old, &delta, &new, &limits, BufWriter::new(file), &mut watch).map(drop)
        };
        if is_folder {
            let temporary = |source| CliError::file("write", &std::env::temp_dir(), source);
            let mut archive = tempfile::tempfile().map_err(temporary)?;
            apply(&mut archive)?;
            archive.rewind().map_err(temporary)?;
            unpack(&archive, &self.out)?;
        } else {
            let mut applied = Ok(());
            let written = write_whole(&self.out, |file| {
                applied = apply(file);
                if applied.is_ok() { Ok(()) } else { Err(std::io::ErrorKind::Other.into()) }
            });
            applied?;
            written?;
        }
        shown.bar.finish_and_clear();
        let path = self.out.display().to_string();
        output.answer(&json!({ "path": path, "new": identity(&new) }), |_| {
            format!("{path}: a payload of {} bytes with the digest {}", new.length, new.sha256)
        })
    }
}

impl Info {
    fn run(self, output: Output) -> CliResult {
        let delta = delta_at(&self.delta)?;
        let header = Header::read(&delta)?;
        let streams: Vec<_> = header
            .streams
            .iter()
            .map(|it| {
                json!({
                    "stream": it.id.to_string(),
                    "coding": it.coding.to_string(),
                    "bytes": it.length,
                    "packed_bytes": it.packed_length,
                })
            })
            .collect();
        let answer = json!({
            "profile": header.profile.to_string(),
            "old": identity(&header.old),
            "new": identity(&header.new),
            "streams": streams,
        });
        output.answer(&answer, |_| told(&header))
    }
}

fn told(header: &Header) -> String {
    let line = |what: &str, payload: &PayloadIdentity| {
        format!("{what} {:>12} bytes  {}\n", payload.length, payload.sha256)
    };
    let rows = header.streams.iter().map(|it| {
        [
            it.id.to_string(),
            it.coding.to_string(),
            it.length.to_string(),
            it.packed_length.to_string(),
        ]
    });
    format!(
        "profile {}\n{}{}\n{}",
        header.profile,
        line("old", &header.old),
        line("new", &header.new),
        table(["STREAM", "CODING", "BYTES", "PACKED"], rows)
    )
}

fn identity(payload: &PayloadIdentity) -> Value {
    json!({ "bytes": payload.length, "sha256": payload.sha256 })
}

fn open(path: &Path) -> Result<File, CliError> {
    File::open(path).map_err(|source| CliError::file("read", path, source))
}

fn delta_at(path: &Path) -> Result<FileAt, CliError> {
    FileAt::new(open(path)?).map_err(|source| CliError::file("read", path, source))
}

/// The payload that the folder at `path` packs to, in a file that has no name.
fn packed(path: &Path, output: Output) -> Result<File, CliError> {
    let temporary = |source| CliError::file("write", &std::env::temp_dir(), source);
    let tree = pack::scan_tree(path, &pack::Limits::default())?;
    let progress = output.progress("pack", tree.summary().bytes);
    let file = tempfile::tempfile().map_err(temporary)?;
    let (mut written, _) =
        tree.pack(BufWriter::new(&file), &mut |bytes| progress.set_position(bytes))?;
    written.flush().map_err(temporary)?;
    drop(written);
    progress.finish_and_clear();
    Ok(file)
}

/// The bytes of the payload at `path`.
fn payload(path: &Path, output: Output) -> Result<Vec<u8>, CliError> {
    let read = |source| CliError::file("read", path, source);
    let mut file = if path.is_dir() { packed(path, output)? } else { open(path)? };
    let mut bytes = Vec::new();
    file.rewind().map_err(read)?;
    file.read_to_end(&mut bytes).map_err(read)?;
    Ok(bytes)
}

/// Unpacks `archive` into the folder `out`, whole or not at all.
fn unpack(archive: &File, out: &Path) -> CliResult {
    let written = |source| CliError::file("write", out, source);
    let part = tempfile::TempDir::new_in(folder_of(out)).map_err(written)?;
    let tree = part.path().join("tree");
    pack::unpack_tree(archive, &tree, &pack::Limits::default())?;
    pack::sync_tree(&tree)?;
    fs::rename(&tree, out).map_err(written)
}

/// Has `write` write a file that becomes `path` once it is whole and durable.
fn write_whole(path: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> CliResult {
    let write = || {
        let mut part = tempfile::NamedTempFile::new_in(folder_of(path))?;
        write(part.as_file_mut())?;
        part.as_file().sync_all()?;
        part.persist(path).map_err(|error| error.error)?;
        File::open(folder_of(path))?.sync_all()
    };
    write().map_err(|source| CliError::file("write", path, source))
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// How far it is, on a terminal.
struct Shown {
    bar: ProgressBar,
}

impl Shown {
    fn new(output: Output, out: &Path) -> Self {
        Self { bar: output.progress(&out.display().to_string(), 0) }
    }

    fn tell(&self, progress: Progress) -> ControlFlow<()> {
        let (what, position) = match progress {
            Progress::Verifying { done, total } => ("verify", Some((done, total))),
            Progress::Applying { done, total } => ("apply", Some((done, total))),
            Progress::Aligning { done, total } => ("compare", Some((done, total))),
            Progress::Opening => ("open", None),
            Progress::Sorting => ("sort", None),
            Progress::Compressing => ("compress", None),
            _ => ("work", None),
        };
        self.bar.set_message(what);
        if let Some((done, total)) = position {
            self.bar.set_length(total);
            self.bar.set_position(done);
        }
        ControlFlow::Continue(())
    }
}
