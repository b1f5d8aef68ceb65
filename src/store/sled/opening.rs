//! Opening the database, and refusing to where that would hide a loss.
//!
//! sled makes a new database of whatever it does not find. So each database carries its format
//! twice: in the file [`MARKER`] beside it, written last when it is created, and in a record. A
//! marker without the rest means that something was lost, and then nothing is made anew.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{
    super::{StoreError, StoreResult, directory},
    codec::VALUE_BYTES_MAX,
    table::sled_error,
    tables::{FORMAT_NUMBER, NUMBERS},
    upgrade::{FORMAT, FORMAT_OLDEST, Upgrade},
};

/// The file that tells what the directory holds.
pub(super) const MARKER: &str = "mainstay-format";
/// The file that is locked by the one process that has the directory open.
const LOCK: &str = "lock";
/// sled's own files.
const DATABASE: &str = "db";
const SETTINGS: &str = "conf";
const SPILL: &str = "blobs";

const CACHE_BYTES: u64 = 48 << 20;

/// How long a database that is still closing is waited for, and how often it is looked at.
const CLOSING_MAX: Duration = Duration::from_secs(10);
const CLOSING_POLL: Duration = Duration::from_millis(2);

/// sled writes a page above a quarter of a segment to a file of its own, which it never syncs. A
/// leaf page has at most 17 records before it is split, and three more where it takes in a neighbour, so the
/// segment is chosen for the largest page to stay in the log. No larger, for sled holds two in memory.
const SEGMENT_BYTES: usize = 2 << 20;
const _: () = assert!(SEGMENT_BYTES / 4 >= 25 * VALUE_BYTES_MAX);
/// Those of stores that were created before records were compressed. They stay as they are.
const SEGMENT_BYTES_BEFORE: usize = 8 << 20;

/// An open database.
pub(super) struct Opened {
    /// The database.
    pub(super) database: sled::Db,
    /// The file that holds it, to be synced.
    pub(super) file: File,
    /// Held for as long as the database is open.
    pub(super) lock: File,
}

/// Opens the database in `dir`, or creates it where there is none.
pub(super) fn open(dir: &Path) -> StoreResult<Opened> {
    directory::create_durably(dir).map_err(|error| unavailable(dir, &error))?;
    let lock = lock(dir)?;
    let marked = marked_format(dir)?;
    if marked.is_some() {
        check_files(dir)?;
    }
    await_closing(dir)?;
    let database = open_sled(dir)?;
    let file = File::open(dir.join(DATABASE)).map_err(|error| unavailable(dir, &error))?;
    let upgrade = Upgrade { database: &database, file: &file };
    let stored = NUMBERS.find(&*database, &FORMAT_NUMBER)?;
    match (marked, stored) {
        (_, Some(FORMAT)) => {}
        (_, Some(found @ FORMAT_OLDEST..FORMAT)) => upgrade.from(found)?,
        (None, None) if database.is_empty() => upgrade.write_format()?,
        (Some(_), found) => {
            let found = found.map_or("none".to_owned(), |number| number.to_string());
            return Err(lost(dir, &format!("its records have format {found}: expected {FORMAT}")));
        }
        (None, _) => {
            return Err(StoreError::Unavailable(format!(
                "{} holds a sled database that is not Mainstay's: choose another directory",
                dir.display()
            )));
        }
    }
    sync_all(dir, &database, &file)?;
    if marked != Some(FORMAT) {
        write_marker(dir).map_err(|error| unavailable(dir, &error))?;
    }
    Ok(Opened { database, file, lock })
}

fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

fn lost(dir: &Path, problem: &str) -> StoreError {
    StoreError::Corrupt(format!(
        "{}: {problem}; nothing was created in its place: restore the directory from a backup",
        dir.display()
    ))
}

fn lock(dir: &Path) -> StoreResult<File> {
    let path = dir.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| unavailable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Unavailable(format!(
            "another server is running on {}: stop it first, or choose another directory",
            dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unavailable(&path, &error)),
    }
}

fn marker_text(format: u64) -> String {
    format!("mainstay sled format {format}\n")
}

/// As holding a database of which format the directory is marked; nothing where it is not.
fn marked_format(dir: &Path) -> StoreResult<Option<u64>> {
    let path = dir.join(MARKER);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let mut formats = FORMAT_OLDEST..=FORMAT;
            formats.find(|format| text == marker_text(*format)).map(Some).ok_or_else(|| {
                StoreError::Unavailable(format!(
                    "{} says `{}`: expected `{}`; open it with the Mainstay that wrote it",
                    path.display(),
                    text.trim_end().escape_debug(),
                    marker_text(FORMAT).trim_end()
                ))
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unavailable(&path, &error)),
    }
}

fn check_files(dir: &Path) -> StoreResult<()> {
    for name in [DATABASE, SETTINGS] {
        if fs::metadata(dir.join(name)).map_or(0, |metadata| metadata.len()) == 0 {
            return Err(lost(dir, &format!("its file `{name}` is missing or empty")));
        }
    }
    Ok(())
}

/// sled's own threads keep its file locked for a moment after the last handle on a database is
/// dropped, and [`sled::Config::open`] does not wait for them. Nobody else of Mainstay's can hold
/// it, for this process has [`LOCK`].
fn await_closing(dir: &Path) -> StoreResult<()> {
    let path = dir.join(DATABASE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unavailable(&path, &error)),
    };
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if started.elapsed() < CLOSING_MAX => {
                thread::sleep(CLOSING_POLL);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Unavailable(format!(
                    "another program has {} open: stop it first",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(unavailable(&path, &error)),
        }
    }
}

fn open_sled(dir: &Path) -> StoreResult<sled::Db> {
    let config = sled::Config::new()
        .path(dir)
        .segment_size(segment_bytes(dir)?)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None);
    // On a thread of its own: sled answers some damage with a panic, and reads through large buffers, which are
    // freed for the next thread to use, the writing one, and not kept for one that has no use for them.
    let opened = thread::scope(|scope| {
        let opening = thread::Builder::new().name("store-opening".to_owned());
        opening.spawn_scoped(scope, || config.open()).map(thread::ScopedJoinHandle::join)
    });
    match opened.map_err(|error| unavailable(dir, &error))? {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(sled::Error::Io(error))) => Err(unavailable(dir, &error)),
        Ok(Err(error)) => Err(lost(dir, &format!("the sled database does not open: {error}"))),
        Err(_) => Err(lost(dir, "the sled database does not open: sled panicked")),
    }
}

/// How long the segments of the database in `dir` are, or will be.
fn segment_bytes(dir: &Path) -> StoreResult<usize> {
    let path = dir.join(SETTINGS);
    match fs::read(&path) {
        Ok(settings) => {
            let before = format!("segment_size: {SEGMENT_BYTES_BEFORE}\n");
            let is_before = settings.starts_with(before.as_bytes());
            Ok(if is_before { SEGMENT_BYTES_BEFORE } else { SEGMENT_BYTES })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SEGMENT_BYTES),
        Err(error) => Err(unavailable(&path, &error)),
    }
}

/// Makes everything durable that sled leaves to the operating system when it opens a database.
fn sync_all(dir: &Path, database: &sled::Db, file: &File) -> StoreResult<()> {
    database.flush().map_err(sled_error)?;
    let sync = || {
        file.sync_all()?;
        File::open(dir.join(SETTINGS))?.sync_all()?;
        directory::sync(&dir.join(SPILL))?;
        directory::sync(dir)
    };
    sync().map_err(|error| unavailable(dir, &error))
}

/// The marker comes last and by rename: it is there whole or not at all, and only where the
/// database is.
fn write_marker(dir: &Path) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    io::Write::write_all(&mut file, marker_text(FORMAT).as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(dir.join(MARKER))?;
    directory::sync(dir)
}
