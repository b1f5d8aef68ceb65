use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek as _, Write as _},
    path::{Path, PathBuf},
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
}

/// How a try ended that did not fail.
enum Try {
    Whole,
    /// The part turned out wrong and is gone. Where it had been begun by an earlier try, it is
    /// worth beginning anew: a disk may have lost what a connection brought.
    Wrong {
        resumed: bool,
        found: Digest,
    },
}

impl<'a> Download<'a> {
    /// A try that brings so many bytes does not count: a large file over a bad line arrives.
    const PROGRESS_BYTES_MIN: u64 = 1 << 20;
    const BUFFER_BYTES: usize = 128 << 10;

    pub(super) fn new(
        remote: &'a Remote,
        route: String,
        length: u64,
        digest: Digest,
        retry: Retry,
    ) -> Self {
        Self { remote, route, length, digest, retry }
    }

    /// Brings the file into the folder `cache` and says where it is. `progress` is told how many
    /// bytes are there.
    pub fn into_cache(
        &self,
        cache: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, Error> {
        std::fs::create_dir_all(cache).map_err(|error| Error::disk(cache, error))?;
        let whole = cache.join(self.digest.to_string());
        let part = cache.join(format!("{}.part", self.digest));
        remove_others(cache, &[&whole, &part]);
        if self.is_whole(&whole)? {
            progress(self.length);
            return Ok(whole);
        }
        let (mut failures, mut begun_anew) = (0, false);
        loop {
            let before = length_of(&part);
            match self.attempt(&part, progress) {
                Ok(Try::Whole) => {
                    std::fs::rename(&part, &whole).map_err(|error| Error::disk(&whole, error))?;
                    return Ok(whole);
                }
                Ok(Try::Wrong { resumed: true, .. }) if !begun_anew => begun_anew = true,
                Ok(Try::Wrong { found, .. }) => return Err(self.wrong_digest(found)),
                Err(error) if error.is_retryable() => {
                    let brought = length_of(&part).saturating_sub(before);
                    failures = if brought >= Self::PROGRESS_BYTES_MIN { 0 } else { failures + 1 };
                    if failures >= self.retry.tries {
                        return Err(error);
                    }
                    self.retry.wait(failures.saturating_sub(1));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the whole file is in the cache already. One that is wrong is removed.
    fn is_whole(&self, whole: &Path) -> Result<bool, Error> {
        let mut file = match File::open(whole) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::disk(whole, error)),
        };
        let mut hasher = Hasher::new();
        let length = io::copy(&mut file, &mut hasher).map_err(|error| Error::disk(whole, error))?;
        if length == self.length && hasher.finish() == self.digest {
            return Ok(true);
        }
        std::fs::remove_file(whole).map_err(|error| Error::disk(whole, error))?;
        Ok(false)
    }

    fn attempt(&self, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Try, Error> {
        let mut part = Part::open(path, self.length)?;
        let resumed = part.length > 0;
        progress(part.length);
        if part.length < self.length {
            let answer = self.ask(&part);
            // Nothing of a file that the server will not go on with is of use. That the caller will not
            // says nothing about the file.
            let is_useless =
                |error: &Error| !error.is_retryable() && error.kind() != ErrorKind::Cancelled;
            if answer.as_ref().is_err_and(is_useless) {
                part.remove()?;
            }
            let answer = answer?;
            if part.length > 0 && answer.range_start != Some(part.length) {
                part.restart()?;
            }
            let received = self.receive(&mut part, answer, progress);
            // What arrived is kept for the next try, unless it cannot be a part of the file, or the
            // disk has no room for the rest: then the machine needs the room more.
            let is_useless =
                |error: &Error| matches!(error.kind(), ErrorKind::Trust | ErrorKind::Local);
            if received.as_ref().is_err_and(is_useless) {
                part.remove()?;
            }
            received?;
        }
        if part.hasher.clone().finish() == self.digest {
            part.file.sync_all().map_err(|error| Error::disk(path, error))?;
            return Ok(Try::Whole);
        }
        let found = part.hasher.clone().finish();
        part.remove()?;
        Ok(Try::Wrong { resumed, found })
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
        let mut body = answer.body.take((self.length - part.length).saturating_add(1));
        let mut buffer = vec![0; Self::BUFFER_BYTES];
        loop {
            let count = match body.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::network(&self.route, error)),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            if part.length + count as u64 > self.length {
                let detail = format!("{} is longer than the announced {}", self.route, self.length);
                return Err(Error::rule(Rule::Length.as_str(), detail));
            }
            if count == 0 {
                break;
            }
            part.append(bytes)?;
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
fn remove_others(cache: &Path, kept: &[&Path]) {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| !kept.contains(&entry.path().as_path())) {
        let _ = std::fs::remove_file(entry.path());
    }
}

fn length_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// What is here of a file, and the state of its hash.
struct Part<'a> {
    path: &'a Path,
    file: File,
    hasher: Hasher,
    length: u64,
}

impl<'a> Part<'a> {
    /// Opens the part at `path`, hashing what is there. One longer than `length_max` is begun anew.
    fn open(path: &'a Path, length_max: u64) -> Result<Self, Error> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| Error::disk(path, error))?;
        let mut hasher = Hasher::new();
        let length = io::copy(&mut (&mut file).take(length_max.saturating_add(1)), &mut hasher)
            .map_err(|error| Error::disk(path, error))?;
        let mut part = Self { path, file, hasher, length };
        if length > length_max {
            part.restart()?;
        }
        Ok(part)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| Error::disk(self.path, error))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Error> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|error| Error::disk(self.path, error))?;
        self.hasher = Hasher::new();
        self.length = 0;
        Ok(())
    }

    fn remove(&self) -> Result<(), Error> {
        std::fs::remove_file(self.path).map_err(|error| Error::disk(self.path, error))
    }
}

#[cfg(test)]
mod tests;
