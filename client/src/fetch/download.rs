use std::{
    cell::Cell,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{Accepted, Answer, Method, Remote, Request, Resume, Retry};
use crate::{
    error::{Error, ErrorKind},
    format::{Digest, Hasher},
    tuf::Rule,
};

/// A file of announced length and digest on its way into the cache.
///
/// The cache's `<digest>.part` holds what has arrived, `<digest>` the whole file. Only bytes of the
/// announced digest ever get the latter name.
pub struct Download<'a> {
    remote: &'a Remote,
    route: String,
    length: u64,
    digest: Digest,
    retry: Retry,
    /// What else stays in the cache.
    kept: Vec<Digest>,
    arrived: Cell<Arrived>,
}

/// What a connection has brought, and how long it took to.
#[derive(Clone, Copy, Debug, Default)]
struct Arrived {
    bytes: u64,
    waited: Duration,
}

/// What became of a file that has arrived.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// It is the one that was announced, and it is here.
    Whole(PathBuf),
    /// It is not, and is gone. Where it had been begun by an earlier try, it is worth beginning anew:
    /// a disk may have lost what a connection brought.
    Wrong { resumed: bool, refusal: Error },
}

impl Arrival {
    /// Where the file is.
    pub(crate) fn whole(self) -> Result<PathBuf, Error> {
        match self {
            Self::Whole(path) => Ok(path),
            Self::Wrong { refusal, .. } => Err(refusal),
        }
    }
}

impl<'a> Download<'a> {
    /// A try that brings so many bytes does not count: a large file over a bad line arrives.
    const PROGRESS_BYTES_MIN: u64 = 1 << 20;
    const BUFFER_BYTES: usize = 128 << 10;
    /// What is shorter arrives before anybody can tell how fast.
    const MEASURED_BYTES_MIN: u64 = 256 << 10;

    pub(super) fn new(
        remote: &'a Remote,
        route: String,
        length: u64,
        digest: Digest,
        retry: Retry,
    ) -> Self {
        let (kept, arrived) = (Vec::new(), Cell::default());
        Self { remote, route, length, digest, retry, kept, arrived }
    }

    /// The same, which leaves the files of these digests in the cache, whole or not. Whatever else is in the
    /// cache it removes.
    #[must_use]
    pub fn keeping(self, files: &[Digest]) -> Self {
        Self { kept: files.to_vec(), ..self }
    }

    /// How many bytes a second have arrived, counting the time alone that was spent on waiting for them;
    /// nothing where they were too few to tell.
    pub fn bytes_per_second(&self) -> Option<u64> {
        let Arrived { bytes, waited } = self.arrived.get();
        let rate = u128::from(bytes) * 1_000_000 / waited.as_micros().max(1);
        (bytes >= Self::MEASURED_BYTES_MIN).then(|| u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// Brings the file into the folder `cache` and says where it is. `progress` is told how many
    /// bytes are there.
    pub fn into_cache(
        &self,
        cache: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, Error> {
        let (path, whole) = (self.arrive(cache, progress)?, self.whole(cache));
        if path != whole {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .and_then(|()| std::fs::rename(&path, &whole))
                .map_err(|error| Error::disk(&whole, error))?;
        }
        Ok(whole)
    }

    /// The same, but what is here then may bear the name of a part, and is not durable.
    pub(crate) fn arrive(
        &self,
        cache: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, Error> {
        match self.through_cache(cache, &mut io::sink(), progress)? {
            Arrival::Wrong { resumed: true, .. } => {
                self.through_cache(cache, &mut io::sink(), progress)?.whole()
            }
            arrival => arrival.whole(),
        }
    }

    /// The same, and `to` is written the file as it arrives: first what is here of it, then what the
    /// server sends, each byte once however often the connection breaks. Whether it was the announced
    /// file is known in the end. It comes to its end, and its bytes are kept, although `to` may not
    /// take more. What is here then bears the name of a part, and is not durable.
    pub(crate) fn through_cache(
        &self,
        cache: &Path,
        to: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Arrival, Error> {
        std::fs::create_dir_all(cache).map_err(|error| Error::disk(cache, error))?;
        let (whole, part) = (self.whole(cache), cache.join(format!("{}.part", self.digest)));
        remove_others(cache, &[&self.kept[..], &[self.digest]].concat());
        let path = if self.has_length(&whole)? { whole } else { part };
        let mut part = Part::open(&path, to)?;
        part.take_in(self.length, &mut |length| {
            progress(length);
            self.remote.expect_wanted()
        })?;
        let resumed = self.complete(&mut part, progress)? || part.was_here;
        let found = part.hasher.clone().finish();
        if found == self.digest {
            return Ok(Arrival::Whole(path));
        }
        part.remove()?;
        Ok(Arrival::Wrong { resumed, refusal: self.wrong_digest(found) })
    }

    fn whole(&self, cache: &Path) -> PathBuf {
        cache.join(self.digest.to_string())
    }

    /// Whether the file `whole` is in the cache and as long as announced. One that is not is removed.
    fn has_length(&self, whole: &Path) -> Result<bool, Error> {
        match whole.metadata() {
            Ok(metadata) if metadata.len() == self.length => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            _ => std::fs::remove_file(whole)
                .map(|()| false)
                .map_err(|error| Error::disk(whole, error)),
        }
    }

    /// Fetches what `part` lacks, and says whether that took going on with something.
    fn complete(&self, part: &mut Part<'_>, progress: &mut dyn FnMut(u64)) -> Result<bool, Error> {
        let (mut failures, mut resumed) = (0, false);
        while part.length < self.length {
            let before = part.length;
            progress(before);
            resumed |= before > 0;
            match self.attempt(part, progress) {
                Ok(()) => {}
                Err(error) if error.is_retryable() => {
                    let brought = part.length - before;
                    failures = if brought >= Self::PROGRESS_BYTES_MIN { 0 } else { failures + 1 };
                    if failures >= self.retry.tries {
                        return Err(error);
                    }
                    self.retry.wait(failures.saturating_sub(1));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(resumed)
    }

    fn attempt(&self, part: &mut Part<'_>, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
        let answer = self.ask(part);
        // Nothing of a file that the server will not go on with is of use. That the caller will not
        // says nothing about the file.
        let is_useless =
            |error: &Error| !error.is_retryable() && error.kind() != ErrorKind::Cancelled;
        if answer.as_ref().is_err_and(is_useless) {
            part.remove()?;
        }
        let received = self.receive(part, answer?, progress);
        // What arrived is kept for the next try, unless it cannot be a part of the file, or the
        // disk has no room for the rest: then the machine needs the room more.
        let is_useless =
            |error: &Error| matches!(error.kind(), ErrorKind::Trust | ErrorKind::Local);
        if received.as_ref().is_err_and(is_useless) {
            part.remove()?;
        }
        received
    }

    fn ask(&self, part: &Part<'_>) -> Result<Answer, Error> {
        let resume = (part.length > 0).then_some(Resume { from: part.length, digest: self.digest });
        let request = Request {
            method: Method::Get,
            path: &self.route,
            token: None,
            resume,
            accepted: Accepted::AsStored,
        };
        let answer = self.remote.send(&request)?;
        match (answer.status, answer.range_start, resume) {
            (206, Some(start), Some(resume)) if start == resume.from => Ok(answer),
            (206, ..) => {
                let detail = "a part of the file that was not asked for";
                Err(Error::malformed_answer(&self.route, detail))
            }
            // The server knows no ranges, or its file is another: everything from the beginning.
            _ => Ok(Answer { range_start: None, ..answer }),
        }
    }

    fn receive(
        &self,
        part: &mut Part<'_>,
        answer: Answer,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        // One byte more than announced is enough to know that there is more.
        let mut body = answer.body.take(self.length.saturating_add(1));
        let mut position = answer.range_start.unwrap_or(0);
        let mut buffer = vec![0; Self::BUFFER_BYTES];
        loop {
            let asked = Instant::now();
            let read = body.read(&mut buffer);
            let Arrived { bytes, waited } = self.arrived.get();
            let brought = read.as_ref().map_or(0, |count| *count as u64);
            let waited = waited + asked.elapsed();
            self.arrived.set(Arrived { bytes: bytes + brought, waited });
            let count = match read {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::network(&self.route, error)),
            };
            let known = usize::try_from(part.length - position).unwrap_or(count).min(count);
            position += count as u64;
            if position > self.length {
                let detail = format!("{} is longer than the announced {}", self.route, self.length);
                return Err(Error::rule(Rule::Length.as_str(), detail));
            }
            if count == 0 {
                break;
            }
            part.append(buffer.get(known..count).unwrap_or_default())?;
            progress(part.length);
            self.remote.expect_wanted()?;
        }
        if part.length < self.length {
            let message =
                format!("the connection ended after {} of {} bytes", part.length, self.length);
            let cut = io::Error::new(io::ErrorKind::UnexpectedEof, message);
            return Err(Error::network(&self.route, cut));
        }
        Ok(())
    }

    fn wrong_digest(&self, found: Digest) -> Error {
        let detail = format!("{} has SHA-256 {found}: {} was announced", self.route, self.digest);
        Error::rule(Rule::Digest.as_str(), detail)
    }
}

/// Makes room: what was begun of another file is not wanted any more. What cannot be removed is in
/// nobody's way but the disk's.
fn remove_others(cache: &Path, kept: &[Digest]) {
    for path in others(cache, kept) {
        let _ = std::fs::remove_file(path);
    }
}

/// All of the folder `cache` but the files of the digests `kept` and their parts, in the order of their
/// names.
pub(crate) fn others(cache: &Path, kept: &[Digest]) -> Vec<PathBuf> {
    let kept: Vec<String> = kept.iter().map(Digest::to_string).collect();
    let is_kept =
        |name: &str| kept.iter().any(|digest| name.strip_suffix(".part").unwrap_or(name) == digest);
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let others = entries.filter(|entry| !is_kept(&entry.file_name().to_string_lossy()));
    let mut paths: Vec<_> = others.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

/// What is here of a file, and the state of its hash.
struct Part<'a> {
    path: &'a Path,
    file: File,
    /// Whether there was something before this try.
    was_here: bool,
    hasher: Hasher,
    length: u64,
    /// Who is told of its bytes; nobody once no more are wanted.
    to: Option<&'a mut dyn Write>,
}

impl<'a> Part<'a> {
    fn open(path: &'a Path, to: &'a mut dyn Write) -> Result<Self, Error> {
        let open = || {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
            let was_here = file.metadata()?.len() > 0;
            Ok((file, was_here))
        };
        let (file, was_here) = open().map_err(|error| Error::disk(path, error))?;
        Ok(Self { path, file, was_here, hasher: Hasher::new(), length: 0, to: Some(to) })
    }

    /// Takes in what is here already, telling `seen` how much that is. One longer than `length_max`
    /// is begun anew.
    fn take_in(
        &mut self,
        length_max: u64,
        seen: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let read = |error| Error::disk(self.path, error);
        if self.file.metadata().map_err(read)?.len() > length_max {
            self.was_here = false;
            return self.file.set_len(0).map_err(read);
        }
        let mut buffer = vec![0; Download::BUFFER_BYTES];
        loop {
            let count = match self.file.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count.map_err(|error| Error::disk(self.path, error))?,
            };
            let Some(bytes @ [_, ..]) = buffer.get(..count) else { return Ok(()) };
            self.see(bytes);
            seen(self.length)?;
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| Error::disk(self.path, error))?;
        self.see(bytes);
        Ok(())
    }

    fn see(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        self.to = self.to.take().and_then(|to| to.write_all(bytes).is_ok().then_some(to));
    }

    fn remove(&self) -> Result<(), Error> {
        std::fs::remove_file(self.path).map_err(|error| Error::disk(self.path, error))
    }
}

#[cfg(test)]
mod tests;
