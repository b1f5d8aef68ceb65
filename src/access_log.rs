//! The access log: a line of JSON for each request that was answered.
//!
//! A line is made once the answer has gone, or its connection has broken. Lines are gathered in memory and
//! written together: no request makes a system call for its line, and none waits for the disk.

mod file;

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;

use self::file::LogFile;
use crate::clock::Stopwatch;

/// From how many bytes on lines are written before their time.
const WRITTEN_BYTES: usize = 64 << 10;
/// How many bytes of lines wait in memory at most, about.
const PENDING_BYTES_MAX: usize = 1 << 20;
/// How much is written of what a request says of itself, in bytes: the longest addresses that mean anything
/// here are shorter.
const TEXT_BYTES_MAX: usize = 1024;

/// Where lines are written, and how many are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogRules {
    /// The file. Earlier ones have its name and a number, `.1` the last of them.
    pub path: PathBuf,
    /// How long a file becomes at most, in bytes, unless what is written at once is longer.
    pub file_bytes: u64,
    /// How many files there are at most.
    pub files: u32,
}

impl AccessLogRules {
    /// The shortest file in bytes: less is gathered in memory.
    pub const FILE_BYTES_MIN: u64 = PENDING_BYTES_MAX as u64;
}

/// A request that was answered: a line of the log.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// When it came.
    pub at: Timestamp,
    /// From where.
    pub address: Option<IpAddr>,
    /// The machine, or the staff's token by its identifier and label.
    pub who: Option<Cow<'a, str>>,
    /// The method.
    pub method: Cow<'a, str>,
    /// The path, and the query where there is one.
    pub path: Cow<'a, str>,
    /// The status of the answer.
    pub status: u16,
    /// The bytes of the answer's body that were sent.
    pub bytes: u64,
    /// Whether the connection broke before all of them were.
    pub broken_off: bool,
    /// From the head of the request to the end of the answer.
    pub took: Duration,
    /// The program that asked, as it says.
    pub user_agent: Option<Cow<'a, str>>,
}

impl Access<'_> {
    fn into_owned(self) -> Access<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Access {
            at: self.at,
            address: self.address,
            who: self.who.map(owned),
            method: owned(self.method),
            path: owned(self.path),
            status: self.status,
            bytes: self.bytes,
            broken_off: self.broken_off,
            took: self.took,
            user_agent: self.user_agent.map(owned),
        }
    }
}

/// As JSON. It is written out by hand, since it is for every request: methods and addresses are plain.
impl fmt::Display for Access<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, address, who, method, path, status, bytes, .. } = self;
        write!(formatter, "{{\"at\":\"{at}\"")?;
        if let Some(address) = address {
            write!(formatter, ",\"address\":\"{address}\"")?;
        }
        if let Some(who) = who {
            write!(formatter, ",\"who\":{}", Quoted(who))?;
        }
        write!(
            formatter,
            ",\"method\":\"{method}\",\"path\":{},\"status\":{status},\"bytes\":{bytes}",
            Quoted(path),
        )?;
        if self.broken_off {
            formatter.write_str(",\"broken_off\":true")?;
        }
        write!(formatter, ",\"microseconds\":{}", self.took.as_micros())?;
        if let Some(user_agent) = &self.user_agent {
            write!(formatter, ",\"user_agent\":{}", Quoted(user_agent))?;
        }
        formatter.write_str("}")
    }
}

/// A string of JSON.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if text.bytes().all(is_plain) {
            return write!(formatter, "\"{text}\"");
        }
        formatter.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
    }
}

/// As much of what a request says of itself as is written.
pub fn shortened(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text))
}

/// The log of a running server.
#[derive(Debug)]
pub struct AccessLog {
    pending: Mutex<String>,
    is_due: Notify,
    written: Mutex<Written>,
    lost: Counter,
}

#[derive(Debug)]
struct Written {
    file: LogFile,
    is_failing: bool,
}

impl AccessLog {
    /// Opens the file, behind whose lines others come. Lines that cannot be written are counted in `lost`.
    pub fn open(rules: AccessLogRules, lost: Counter) -> io::Result<Self> {
        let file = LogFile::open(rules)?;
        Ok(Self {
            pending: Mutex::default(),
            is_due: Notify::new(),
            written: Mutex::new(Written { file, is_failing: false }),
            lost,
        })
    }

    /// Notes a request that was answered.
    pub fn note(&self, access: &Access<'_>) {
        let mut pending = locked(&self.pending);
        if pending.len() >= PENDING_BYTES_MAX {
            self.lost.inc();
            return;
        }
        // There is room for whatever is written.
        let _written = writeln!(pending, "{access}");
        let is_due = pending.len() >= WRITTEN_BYTES;
        drop(pending);
        if is_due {
            self.is_due.notify_one();
        }
    }

    /// Notes a request once its answer has gone, whose body has `length` bytes; nothing where nobody knows that
    /// ahead.
    pub fn follow(
        self: &Arc<Self>,
        access: Access<'_>,
        stopwatch: Stopwatch,
        length: Option<u64>,
    ) -> Answering {
        let log = Arc::clone(self);
        Answering { log, access: access.into_owned(), stopwatch, length }
    }

    /// Waits until there is much to write.
    pub async fn until_due(&self) {
        self.is_due.notified().await;
    }

    /// Whether there is anything to write.
    pub fn has_lines(&self) -> bool {
        !locked(&self.pending).is_empty()
    }

    /// Writes what was noted. It blocks. Where it fails, that is told once, and the lines are lost: nothing
    /// waits for a log.
    pub fn write(&self) {
        let mut written = locked(&self.written);
        let lines = std::mem::take(&mut *locked(&self.pending));
        if lines.is_empty() {
            return;
        }
        let was_failing = written.is_failing;
        match written.file.append(lines.as_bytes()) {
            Ok(()) => {
                if was_failing {
                    tracing::info!("the access log is written again");
                }
                written.is_failing = false;
            }
            Err(error) => {
                self.lost.inc_by(lines.lines().count() as u64);
                if !was_failing {
                    tracing::error!(%error, "the access log cannot be written: its lines are lost");
                }
                written.is_failing = true;
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request whose answer is on its way. It is noted when this is dropped.
#[derive(Debug)]
pub struct Answering {
    log: Arc<AccessLog>,
    access: Access<'static>,
    stopwatch: Stopwatch,
    /// How many bytes are to be sent; nothing where that is known only at the end.
    length: Option<u64>,
}

impl Answering {
    /// Notes that the next `bytes` bytes were sent: as many of them as are to be. Of an answer to `HEAD` there is
    /// a body that nobody sends.
    pub fn note_sent(&mut self, bytes: u64) {
        let sent = self.access.bytes.saturating_add(bytes);
        self.access.bytes = self.length.map_or(sent, |length| sent.min(length));
    }

    /// Notes that nothing more is to be sent.
    pub fn note_end(&mut self) {
        self.length = Some(self.access.bytes);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.access.broken_off = self.length != Some(self.access.bytes);
        self.access.took = self.stopwatch.elapsed();
        self.log.note(&self.access);
    }
}

#[cfg(test)]
mod tests;
