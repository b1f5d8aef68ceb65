use std::{
    io::{self, Read as _},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    delta::{self, ErrorKind, Limits, Profile, Progress},
    format::{Artifact, DeltaProfile, Digest},
    pack::{Payload, PayloadIdentity},
};
use tokio::sync::oneshot;

use super::super::{Service, ServiceError, ServiceResult, chain, publish::StreamReader};
use crate::{
    clock::Stopwatch,
    measures::Making,
    policy::delta::{DeltaPair, DeltaState, Tried, Wanted},
    store::{DeltaRecord, StoreError},
};

/// For how long nobody else begins a delta that is claimed.
const LEASE: SignedDuration = SignedDuration::from_mins(10);
/// How often a claim is renewed. A few renewals may come to nothing.
const RENEWAL: Duration = Duration::from_mins(2);
/// How long a delta is left alone that could not be made for a reason that may pass.
const RETRY_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Why there is no delta.
#[derive(Debug)]
enum Unmade {
    /// The server stops, or another one has taken it over.
    Stopped,
    /// It cannot be made, however often that is tried.
    Never(String),
    /// It cannot be made now.
    NotNow(String),
}

/// A delta that a thread makes.
struct Task {
    old: Source,
    new: Source,
    profile: Profile,
    seconds_max: u32,
    limits: Limits,
    is_stopping: Arc<AtomicBool>,
    is_lost: Arc<AtomicBool>,
}

/// A payload, packed.
struct Source {
    artifact: StreamReader,
    identity: PayloadIdentity,
    window_log: u32,
}

/// Ends what a thread does once nobody waits for it any more.
struct EndOnDrop(Arc<AtomicBool>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Service {
    /// Claims a delta, makes it, and writes down what has come of it.
    pub(super) async fn make_delta(
        &self,
        pair: &DeltaPair,
        wanted: &Wanted,
        before: Option<&DeltaRecord>,
    ) -> ServiceResult<()> {
        let claimed = DeltaRecord {
            pair: pair.clone(),
            revision: before.map_or(0, |before| before.revision),
            tried: Tried {
                state: self.claim()?,
                at: self.clock.now(),
                tries: before.map_or(0, |before| before.tried.tries) + 1,
                seconds: before.map_or(0, |before| before.tried.seconds_of_day(self.clock.now())),
            },
        };
        match self.meta.claim_delta(claimed.clone(), self.clock.now()).await {
            Err(StoreError::Conflict(message)) => {
                tracing::info!(delta = %pair, message, "another server was first");
                return Ok(());
            }
            other => other?,
        }
        let mut claimed = DeltaRecord { revision: claimed.revision + 1, ..claimed };
        tracing::info!(delta = %pair, machines = wanted.machines, "making a delta");
        let stopwatch = Stopwatch::start();
        let made = self.made(&mut claimed, wanted).await;
        let took = stopwatch.elapsed();
        // One that took less than a second counts as one second.
        claimed.tried.seconds += took.as_secs() + u64::from(took.subsec_nanos() > 0);
        self.measures.spent_on_deltas(took);
        self.settle(claimed, wanted, made).await
    }

    fn claim(&self) -> ServiceResult<DeltaState> {
        let until = after(self.clock.now(), LEASE)?;
        Ok(DeltaState::Making { by: self.deltas.holder.clone(), until })
    }

    /// The delta, made on a thread of its own, while the claim is renewed.
    async fn made(&self, claimed: &mut DeltaRecord, wanted: &Wanted) -> Result<Vec<u8>, Unmade> {
        let task = match self.task(&claimed.pair, wanted).await {
            Ok(task) => task,
            Err(error) => return Err(Unmade::NotNow(chain(&error))),
        };
        let _end = EndOnDrop(Arc::clone(&task.is_lost));
        let is_lost = Arc::clone(&task.is_lost);
        let (answer, mut answered) = oneshot::channel();
        let work = move || {
            // Where nobody waits any more, it is made again later.
            let _unheard = answer.send(task.run());
        };
        let thread = thread::Builder::new().name("delta".to_owned()).spawn(work);
        thread.map_err(|error| Unmade::NotNow(error.to_string()))?;
        loop {
            tokio::select! {
                made = &mut answered => {
                    let ended = |_| Unmade::Never("the thread that made it has ended".to_owned());
                    return made.map_err(ended)?;
                }
                () = tokio::time::sleep(RENEWAL) => {
                    if let Err(error) = self.renew_claim(claimed).await {
                        tracing::warn!(error = chain(&error), "the claim to a delta was not renewed");
                        is_lost.store(error.code() == "CONFLICT", Ordering::Relaxed);
                    }
                }
            }
        }
    }

    async fn renew_claim(&self, claimed: &mut DeltaRecord) -> ServiceResult<()> {
        claimed.tried.state = self.claim()?;
        self.meta.claim_delta(claimed.clone(), self.clock.now()).await?;
        claimed.revision += 1;
        Ok(())
    }

    async fn task(&self, pair: &DeltaPair, wanted: &Wanted) -> ServiceResult<Task> {
        let [old, new] = [&pair.from, &pair.to];
        let old = self.meta.release(&pair.product, old).await?.artifacts.remove(&pair.platform);
        let new = self.meta.release(&pair.product, new).await?.artifacts.remove(&pair.platform);
        let (Some(old), Some(new)) = (old, new) else {
            return Err(ServiceError::internal(format!("{pair}: there is no such artifact")));
        };
        let profile = engine_profile(pair.profile).ok_or_else(|| {
            ServiceError::internal(format!("{pair}: this server does not pack so"))
        })?;
        Ok(Task {
            old: self.source(&old).await?,
            new: self.source(&new).await?,
            profile,
            seconds_max: self.deltas.rules.seconds_a_day,
            limits: limits(wanted, self.deltas.rules.memory_bytes),
            is_stopping: Arc::clone(&self.deltas.is_stopping),
            is_lost: Arc::default(),
        })
    }

    async fn source(&self, artifact: &Artifact) -> ServiceResult<Source> {
        let content = self.blobs.read(&artifact.sha256, 0..artifact.length).await?;
        Ok(Source {
            artifact: StreamReader::new(content),
            identity: PayloadIdentity::from(artifact),
            window_log: artifact.window_log,
        })
    }

    /// Writes down what has come of a delta, and keeps it where it is worth that.
    async fn settle(
        &self,
        claimed: DeltaRecord,
        wanted: &Wanted,
        made: Result<Vec<u8>, Unmade>,
    ) -> ServiceResult<()> {
        let (pair, seconds) = (&claimed.pair, claimed.tried.seconds);
        match made {
            Ok(delta) if wanted.is_worth(delta.len() as u64) => {
                let length = delta.len() as u64;
                let shorter_by = wanted.artifact_bytes.saturating_sub(length);
                let sha256: Digest = match self.put_blob(&delta).await {
                    Ok(sha256) => sha256,
                    Err(error) => return self.try_later(claimed, chain(&error)).await,
                };
                tracing::info!(delta = %pair, length, shorter_by, seconds, "made a delta");
                self.measures.made_delta(Making::Kept);
                self.end_delta(claimed, DeltaState::Kept { length, sha256, shorter_by }).await
            }
            Ok(delta) => {
                let (length, otherwise) = (delta.len() as u64, wanted.otherwise_bytes());
                tracing::info!(delta = %pair, length, otherwise, seconds, "a delta is not worth it");
                self.measures.made_delta(Making::NotWorth);
                self.end_delta(claimed, DeltaState::NotWorth { length }).await
            }
            Err(Unmade::Never(reason)) => {
                tracing::warn!(delta = %pair, reason, seconds, "a delta cannot be made");
                self.measures.made_delta(Making::Failed);
                self.end_delta(claimed, DeltaState::Failed { reason }).await
            }
            Err(Unmade::NotNow(reason)) => self.try_later(claimed, reason).await,
            Err(Unmade::Stopped) => {
                tracing::info!(delta = %pair, "a delta is left for later: the server stops");
                let reason = "the server was stopped while it was being made".to_owned();
                self.put_off(uncounted(claimed), reason, self.clock.now()).await
            }
        }
    }

    /// Has it begun again later. A full disk says nothing of the delta, so it is not held against it.
    async fn try_later(&self, claimed: DeltaRecord, reason: String) -> ServiceResult<()> {
        tracing::warn!(delta = %claimed.pair, reason, "a delta could not be made for now");
        self.measures.made_delta(Making::Failed);
        let from = after(self.clock.now(), RETRY_AFTER)?;
        self.put_off(uncounted(claimed), reason, from).await
    }
}

impl Task {
    fn run(self) -> Result<Vec<u8>, Unmade> {
        let Self { old, new, profile, seconds_max, limits, is_stopping, is_lost } = self;
        let expected = new.identity;
        let (old, new) = (old.payload()?, new.payload()?);
        let stopwatch = Stopwatch::start();
        let is_slow = || stopwatch.elapsed().as_secs() >= u64::from(seconds_max);
        let mut phase = None;
        let mut watch = |progress: Progress| {
            let name = phase_name(progress);
            if phase.replace(name) != Some(name) {
                tracing::debug!(phase = name, seconds = stopwatch.elapsed().as_secs(), "a delta");
            }
            let is_over = is_stopping.load(Ordering::Relaxed) || is_lost.load(Ordering::Relaxed);
            if is_over || is_slow() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        // What a client would refuse is not given out: so it is applied first.
        let made = delta::make(&old, &new, profile, &limits, &mut watch).and_then(|delta| {
            drop(new);
            delta::apply(&old, &delta, &expected, &limits, io::sink(), &mut watch)?;
            Ok(delta)
        });
        made.map_err(|error| match error.kind() {
            ErrorKind::Cancelled if is_slow() => Unmade::Never(format!(
                "it took longer than {seconds_max} seconds, which is all that a day has \
                 (deltas.seconds_a_day)"
            )),
            ErrorKind::Cancelled => Unmade::Stopped,
            ErrorKind::Transfer => Unmade::NotNow(chain(&error)),
            _ => Unmade::Never(chain(&error)),
        })
    }
}

impl Source {
    /// The payload, which is the one that was signed.
    fn payload(self) -> Result<Vec<u8>, Unmade> {
        let Self { artifact, identity, window_log } = self;
        let not_now = |error: &dyn std::error::Error| Unmade::NotNow(chain(error));
        let mut payload =
            Payload::new(artifact, identity, window_log).map_err(|error| not_now(&error))?;
        let mut bytes = Vec::new();
        let length = usize::try_from(identity.length).map_err(|error| not_now(&error))?;
        bytes.try_reserve_exact(length).map_err(|error| not_now(&error))?;
        payload.read_to_end(&mut bytes).map_err(|error| not_now(&error))?;
        payload.finish().map_err(|error| not_now(&error))?;
        Ok(bytes)
    }
}

/// As it was before it was begun: nothing is held against it.
fn uncounted(claimed: DeltaRecord) -> DeltaRecord {
    let tries = claimed.tried.tries.saturating_sub(1);
    DeltaRecord { tried: Tried { tries, ..claimed.tried }, ..claimed }
}

fn phase_name(progress: Progress) -> &'static str {
    match progress {
        Progress::Opening => "open",
        Progress::Sorting => "sort",
        Progress::Aligning { .. } => "compare",
        Progress::Compressing => "compress",
        Progress::Verifying { .. } | Progress::Applying { .. } => "verify",
        _ => "work",
    }
}

/// Those of machines, and that what is opened keeps to the memory that there is.
fn limits(wanted: &Wanted, memory_bytes_max: u64) -> Limits {
    let limits = Limits::default();
    let opened = usize::try_from(wanted.opened_bytes_max(memory_bytes_max)).unwrap_or(usize::MAX);
    Limits { opened_bytes_max: limits.opened_bytes_max.min(opened), ..limits }
}

/// How the engine packs a delta so; nothing where it does not.
const fn engine_profile(profile: DeltaProfile) -> Option<Profile> {
    match profile {
        DeltaProfile::Fast => Some(Profile::Fast),
        DeltaProfile::Compact => Some(Profile::Compact),
        DeltaProfile::Other => None,
    }
}

fn after(now: Timestamp, time: SignedDuration) -> ServiceResult<Timestamp> {
    now.checked_add(time).map_err(ServiceError::internal)
}
