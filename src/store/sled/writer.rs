//! The one thread that writes, and makes what it wrote durable in groups.
//!
//! sled's `flush` is `sync_file_range`, which does not survive a power cut. Therefore a group is
//! acknowledged only after `flush` *and* an fsync of sled's file; and since that takes as long for
//! many changes as for one, everything that queued up meanwhile is the next group.

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use super::{
    super::{Changes, Reach, StoreError, StoreResult},
    transaction::Transaction,
};
use crate::{clock::Stopwatch, measures::Commits};

/// The most changes in one group.
const GROUP_CHANGES_MAX: usize = 1024;
/// From how many keys on a group takes in no more changes: readers wait while sled writes. What sled is given at
/// once is made durable before it is given more. For as it begins a segment of its log it notes there what it holds for
/// durable, which all that it has written before is *not*; but what it is being given is not among that.
const GROUP_KEYS_MAX: usize = 2048;
/// The most changes that wait; what comes then is refused, and nobody waits long for nothing.
const QUEUE_CHANGES_MAX: usize = 8 * GROUP_CHANGES_MAX;

/// A change of the records, which says what depends on it.
pub(super) type Change = Box<dyn FnOnce(&Transaction) -> StoreResult<Reach> + Send>;

/// The handle to the writing thread; dropping it waits until everything queued is durable.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    change: Change,
    outcome: oneshot::Sender<StoreResult<()>>,
}

impl Writer {
    /// Starts the thread. `sync` makes durable what sled has handed to the operating system.
    pub(super) fn start(
        database: sled::Db,
        changes: Arc<Changes>,
        commits: Commits,
        sync: impl FnMut() -> io::Result<()> + Send + 'static,
    ) -> StoreResult<Self> {
        let (queue, requests) = mpsc::channel(QUEUE_CHANGES_MAX);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let transaction = Transaction::over(&database);
                Room { database, transaction, changes, commits, sync }.serve(requests);
            })
            .map_err(|error| {
                StoreError::Unavailable(format!("the writing thread did not start: {error}"))
            })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Whether changes are accepted.
    pub(super) fn is_running(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_closed())
    }

    /// Runs the change and answers once it is durable, or has failed and changed nothing.
    pub(super) async fn write(&self, change: Change) -> StoreResult<()> {
        let (outcome, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(Request { change, outcome }).map_err(|error| match error {
            TrySendError::Closed(_) => stopped(),
            TrySendError::Full(_) => StoreError::Busy(format!(
                "{QUEUE_CHANGES_MAX} changes wait to be written, which is as many as may; try again"
            )),
        })?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writing thread had panicked");
        }
    }
}

/// What a caller is told when the thread has ended before its time.
pub(super) fn stopped() -> StoreError {
    StoreError::Unavailable(
        "writing has stopped after a failure that is in the log; restart the server".to_owned(),
    )
}

struct Room<S> {
    database: sled::Db,
    transaction: Transaction,
    changes: Arc<Changes>,
    commits: Commits,
    sync: S,
}

impl<S: FnMut() -> io::Result<()>> Room<S> {
    fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            if let Err(problem) = self.commit(first, &mut requests) {
                // After a failed fsync nobody knows what is on disk, and a second one that
                // succeeds proves nothing. Only opening the database again tells.
                tracing::error!(%problem, "the store stops writing");
                return;
            }
        }
        if let Err(problem) = self.make_durable() {
            tracing::error!(%problem, "the store could not be flushed as it was closed");
        }
    }

    /// Makes changes, those that wait after the first one too, and makes all of them durable, then answers all.
    /// Refusals wait as well, since what they are founded upon may be a change of the same group.
    fn commit(
        &mut self,
        first: Request,
        requests: &mut mpsc::Receiver<Request>,
    ) -> Result<(), String> {
        let stopwatch = Stopwatch::start();
        let (mut askers, mut reaches, mut next) = (Vec::new(), Vec::new(), Some(first));
        while let Some(Request { change, outcome: asker }) = next {
            let outcome = self.transaction.attempt(change).map(|reach| reaches.push(reach));
            askers.push((asker, outcome));
            let is_full =
                askers.len() == GROUP_CHANGES_MAX || self.transaction.keys() >= GROUP_KEYS_MAX;
            next = if is_full { None } else { requests.try_recv().ok() };
        }
        let written = self.write(&reaches);
        if written.is_ok() && !reaches.is_empty() {
            self.commits.note(reaches.len(), stopwatch.elapsed());
        }
        for (asker, outcome) in askers {
            let outcome = match &written {
                Ok(()) => outcome,
                Err(problem) => Err(StoreError::Unavailable(format!(
                    "the change could not be made durable: {problem}; whether it was kept is known \
                     after a restart"
                ))),
            };
            // A caller that has gone away does not need its answer.
            drop(asker.send(outcome));
        }
        written
    }

    fn write(&mut self, reaches: &[Reach]) -> Result<(), String> {
        if reaches.is_empty() {
            return Ok(());
        }
        self.transaction.apply().map_err(|error| error.to_string())?;
        for reach in reaches {
            self.changes.note(reach);
        }
        self.make_durable()
    }

    fn make_durable(&mut self) -> Result<(), String> {
        self.database.flush().map_err(|error| error.to_string())?;
        (self.sync)().map_err(|error| error.to_string())
    }
}
