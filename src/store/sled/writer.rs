//! The one thread that writes, and makes what it wrote durable in groups.
//!
//! sled's `flush` is `sync_file_range`, which does not survive a power cut. Therefore a group is
//! acknowledged only after `flush` *and* an fsync of sled's file; and since that takes as long for
//! many changes as for one, everything that queued up meanwhile is the next group.

use std::{
    io, mem,
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
/// From how many keys on they are written before the group's other changes are made: readers wait while sled
/// writes.
const KEYS_AT_ONCE: usize = 2048;
/// The most changes that wait; what comes then is refused, and nobody waits long for nothing.
pub(super) const QUEUE_CHANGES_MAX: usize = 8 * GROUP_CHANGES_MAX;

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
            .spawn(move || Room { database, changes, commits, sync }.serve(requests))
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
    changes: Arc<Changes>,
    commits: Commits,
    sync: S,
}

impl<S: FnMut() -> io::Result<()>> Room<S> {
    fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_CHANGES_MAX
                && let Ok(next) = requests.try_recv()
            {
                group.push(next);
            }
            if let Err(problem) = self.commit(group) {
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

    /// Makes each change, makes all of them durable, then answers all. Refusals wait as well, since what
    /// they are founded upon may be a change of the same group.
    fn commit(&mut self, group: Vec<Request>) -> Result<(), String> {
        let (changes, askers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|Request { change, outcome }| (change, outcome)).unzip();
        match self.outcomes(changes) {
            Ok(outcomes) => {
                for (asker, outcome) in askers.into_iter().zip(outcomes) {
                    // A caller that has gone away does not need its answer.
                    drop(asker.send(outcome));
                }
                Ok(())
            }
            Err(problem) => {
                for asker in askers {
                    let error = StoreError::Unavailable(format!(
                        "the change could not be made durable: {problem}; whether it was kept is \
                         known after a restart"
                    ));
                    drop(asker.send(Err(error)));
                }
                Err(problem)
            }
        }
    }

    fn outcomes(&mut self, changes: Vec<Change>) -> Result<Vec<StoreResult<()>>, String> {
        let stopwatch = Stopwatch::start();
        let mut outcomes = Vec::with_capacity(changes.len());
        let (mut transaction, mut reaches) = (Transaction::over(&self.database), Vec::new());
        for change in changes {
            outcomes.push(transaction.attempt(change).map(|reach| reaches.push(reach)));
            if transaction.keys() >= KEYS_AT_ONCE {
                let full = mem::replace(&mut transaction, Transaction::over(&self.database));
                self.apply(full, reaches.drain(..))?;
            }
        }
        self.apply(transaction, reaches.into_iter())?;
        let changes = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        if changes > 0 {
            self.make_durable()?;
            self.commits.note(changes, stopwatch.elapsed());
        }
        Ok(outcomes)
    }

    fn apply(
        &self,
        transaction: Transaction,
        reaches: impl Iterator<Item = Reach>,
    ) -> Result<(), String> {
        transaction.apply().map_err(|error| error.to_string())?;
        reaches.for_each(|reach| self.changes.note(&reach));
        Ok(())
    }

    fn make_durable(&mut self) -> Result<(), String> {
        self.database.flush().map_err(|error| error.to_string())?;
        (self.sync)().map_err(|error| error.to_string())
    }
}
