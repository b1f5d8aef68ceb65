use super::{
    Check, Client, ExpectedWay, Preflight, manifest,
    preflight::Purpose,
    route::{Speeds, Way},
    rules,
    trust_store::Noted,
    ways,
};
use crate::{
    error::{Error, ErrorKind},
    fetch::others,
    format::{
        Action, Artifact, ChannelName, DeltaPath, Digest, Missing, Plan, PlanTarget,
        ReleaseManifest, RollbackOrder, TargetFile, Version,
    },
    install::{self, Attempt, AttemptKind, Outcome},
};

/// How far an update has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// It is tried to fetch the release by deltas, or by its artifact where deltas came to nothing.
    Way(ExpectedWay),
    /// Deltas arrive; or the artifact, which is unpacked while it does where it is to be installed at
    /// once.
    Downloading {
        /// How many bytes are here.
        received: u64,
        /// How many there will be.
        length: u64,
    },
    /// The release is made by a delta, and unpacked while it is; of several deltas one after the other.
    Making {
        /// How many bytes are made.
        made: u64,
        /// How many there will be.
        length: u64,
    },
    /// The release is here, whole, and is switched on and checked.
    Installing {
        /// The release.
        version: Version,
    },
}

impl Progress {
    /// What is told of a download of `length` bytes, `before` of which are here already.
    pub(super) fn downloading(
        before: u64,
        length: u64,
        progress: &mut dyn FnMut(Self),
    ) -> impl FnMut(u64) {
        move |received| progress(Self::Downloading { received: before + received, length })
    }
}

/// What came of [`Client::update`].
#[derive(Debug)]
pub struct Update {
    /// The check before it.
    pub check: Check,
    /// What was done; nothing where there was nothing to do, or where an update that is already on
    /// probation must be confirmed first.
    pub outcome: Option<Outcome>,
    /// What the machine lacks of what the release requires; nothing was done then, and nothing but
    /// the release's manifest was fetched.
    pub missing: Vec<Missing>,
    /// Why the server could not be told what happened, where that is so. It is told next time.
    pub undelivered: Option<Error>,
}

/// A release that is to run.
pub(super) struct Wanted {
    pub(super) kind: AttemptKind,
    pub(super) version: Version,
    /// The one that it was published in: where the repository has it for as long as the machine may
    /// want it back, whichever role lists it.
    pub(super) channel: ChannelName,
    pub(super) artifact: Artifact,
    /// Where the repository has the artifact.
    pub(super) file: TargetFile,
    /// Other ways to the payload, of which there are few.
    pub(super) deltas: Vec<DeltaPath>,
    /// What the machine is not rolled back below once it runs.
    pub(super) floor: Option<Version>,
}

impl Client {
    /// Checks, and does what the plan says: [`Client::check`], then [`Client::apply`], with the errors
    /// of both. `progress` is told how far it has come, on the thread of the caller, who goes on when
    /// it returns.
    pub fn update(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Update, Error> {
        let check = self.check()?;
        self.apply(check, progress)
    }

    /// Downloads what `check` has found is to be installed, so that [`Client::apply`] has it at hand,
    /// where the machine has what that requires. What is here already is asked about and read again
    /// when it is applied, and not before. Of a rollback there is nothing to download: what it leads to
    /// is kept, as a rule.
    ///
    /// # Errors
    ///
    /// As of [`Client::check`], and [`Local`](crate::error::ErrorKind::Local) where the disk has no room.
    /// A download that is ended, by a [`Cancellation`](crate::fetch::Cancellation) or a connection that
    /// breaks, is gone on with by the next `fetch` or [`apply`](Client::apply).
    pub fn fetch(
        &mut self,
        check: &Check,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Preflight, Error> {
        let fetched = self.fetch_planned(check, progress);
        self.note_error(&fetched);
        fetched
    }

    fn fetch_planned(
        &mut self,
        check: &Check,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Preflight, Error> {
        let target = match &check.action {
            Action::Update { target }
                if !self.is_at_hand(&target.version, &target.deltas, &target.artifact) =>
            {
                target
            }
            _ => return Ok(Preflight::Passed),
        };
        let (manifest, wanted) =
            self.carry_out(&check.plan, |client| client.wanted_update(target, None))?;
        let found = self.examine(&manifest, &wanted, Purpose::Install)?;
        if found == Preflight::Passed {
            let downloaded =
                self.carry_out(&check.plan, |client| client.download(&wanted, progress));
            self.note_speeds();
            downloaded?;
        }
        Ok(found)
    }

    /// Does what `check` has found is to be done: downloads what is not here yet, installs it, lets it be
    /// checked. Blocks until the version runs, is on probation, or has been undone; a health check may
    /// take as long as its release says.
    ///
    /// A [`Cancellation`](crate::fetch::Cancellation) ends the download, not the installation, which
    /// comes to its end one way or the other. A release that fails its check is no error but an outcome
    /// ([`Outcome::Undone`]), and so is one that is asked to be tried later.
    ///
    /// # Errors
    ///
    /// As of [`Client::fetch`]. What ran before runs then.
    pub fn apply(
        &mut self,
        check: Check,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Update, Error> {
        let applied = self.apply_planned(check, progress);
        self.note_error(&applied);
        self.note_outcome(applied.as_ref().ok().and_then(|update| update.outcome.as_ref()));
        applied
    }

    fn apply_planned(
        &mut self,
        mut check: Check,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Update, Error> {
        let mut missing = Vec::new();
        let outcome = match check.action.clone() {
            Action::Stay => None,
            // One thing at a time: what is on probation is the way back of the next update.
            Action::Update { .. } if self.installation.record().probation.is_some() => None,
            Action::Update { target } => {
                // With what runs, not at the next check: whoever serves the machine could keep the
                // channel that signs the floor from it then.
                let floor = check.floor.take();
                let (manifest, wanted) =
                    self.carry_out(&check.plan, |client| client.wanted_update(&target, floor))?;
                match self.examine(&manifest, &wanted, Purpose::Install)? {
                    // The tree may be there since the last try, which was put off or broke off.
                    Preflight::Passed => Some(
                        self.carry_out(&check.plan, |client| client.restore(&wanted, progress))?,
                    ),
                    Preflight::Missing(found) => {
                        missing = found;
                        None
                    }
                    Preflight::NotNow(reason) => Some(Outcome::Deferred {
                        version: wanted.version,
                        running: self.installation.running().cloned(),
                        reason,
                    }),
                }
            }
            Action::Rollback { target, order } => {
                let number = order.number;
                let outcome = self.carry_out(&check.plan, |client| {
                    client.roll_back_to(&target, &order, progress)
                })?;
                // What was put off is still to be done.
                if !matches!(outcome, Outcome::Deferred { .. }) {
                    self.store.note(Noted::OrderDone, number)?;
                }
                Some(outcome)
            }
        };
        let undelivered = if outcome.is_some() || !missing.is_empty() {
            self.report().err()
        } else {
            check.undelivered.take()
        };
        Ok(Update { check, outcome, missing, undelivered })
    }

    /// Runs `act`, and notes its refusal where it breaks a rule.
    pub(super) fn carry_out<T>(
        &mut self,
        plan: &Plan,
        act: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let outcome = act(self);
        if let Err(error) = &outcome
            && error.kind() == ErrorKind::Trust
        {
            self.note_refusal(plan, error)?;
        }
        outcome
    }

    /// The release that the plan updates to, and its manifest.
    pub(super) fn wanted_update(
        &self,
        target: &PlanTarget,
        floor: Option<Version>,
    ) -> Result<(ReleaseManifest, Wanted), Error> {
        let manifest = self.manifest(target)?;
        rules::expect_step(&manifest, self.installation.running())?;
        let wanted = self.wanted(AttemptKind::Update, target, &manifest)?;
        Ok((manifest, Wanted { floor, ..wanted }))
    }

    fn roll_back_to(
        &mut self,
        target: &PlanTarget,
        order: &RollbackOrder,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, Error> {
        if self.installation.record().probation.is_some() {
            let reason = format!("rolled back by order {}: {}", order.number, order.reason);
            let undone = self.installation.undo(&reason)?;
            if self.installation.running().is_none_or(|running| *running <= target.version) {
                return Ok(undone);
            }
        }
        let kind = AttemptKind::Rollback { order: order.clone() };
        let kept = self.installation.record().kept_tree(&target.version);
        let kept = kept.filter(|kept| rules::is_artifact(&kept.artifact, &target.artifact));
        // What is kept needs nothing from the server.
        let wanted = if let Some(kept) = kept {
            Wanted::new(kind, target, kept.artifact.clone())
        } else {
            let manifest = self.manifest(target)?;
            self.wanted(kind, target, &manifest)?
        };
        self.restore(&wanted, progress)
    }

    /// The release manifest that the plan names, of which the repository has confirmed the digest.
    fn manifest(&self, target: &PlanTarget) -> Result<ReleaseManifest, Error> {
        manifest::fetch(&self.remote, &self.enrolment.product, &target.manifest, self.limits)
    }

    fn wanted(
        &self,
        kind: AttemptKind,
        target: &PlanTarget,
        manifest: &ReleaseManifest,
    ) -> Result<Wanted, Error> {
        let product = &self.enrolment.product;
        let artifact = rules::expect_manifest(manifest, product, target, &self.platform)?;
        Ok(Wanted::new(kind, target, artifact))
    }

    /// Lets a version run: from its kept tree where that is whole, else from the repository.
    pub(super) fn restore(
        &mut self,
        wanted: &Wanted,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, Error> {
        if self.installation.has_tree(&wanted.version) {
            progress(Progress::Installing { version: wanted.version.clone() });
            match self.installation.install(wanted.attempt(), None, &*self.clock) {
                Err(error) if error.kind() == install::ErrorKind::TreeModified => {}
                finished => return Ok(finished?),
            }
        }
        self.fetch_and_install(wanted, progress)
    }

    fn download(&self, wanted: &Wanted, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        // What would be refused in the end is refused before anything is fetched.
        self.installation.expect_allowed(&wanted.attempt())?;
        let (cache, mut kept) = (self.installation.layout().cache(), vec![wanted.file.sha256]);
        for way in self.ways(wanted) {
            let Way::Deltas(path) = way else { break };
            progress(Progress::Way(ExpectedWay::of(way, &wanted.file)));
            kept.extend(path.steps.iter().map(|step| step.sha256));
            match self.download_deltas(path, &kept, progress) {
                Err(error) if error.kind() != ErrorKind::Cancelled => {}
                finished => return finished,
            }
        }
        let download = self.remote.download(&self.enrolment.product, &wanted.file);
        let download = download.keeping(&kept);
        let mut told = Progress::downloading(0, wanted.file.length, progress);
        download.into_cache(&cache, &mut told)?;
        if let Some(measured) = download.bytes_per_second() {
            self.note_speed(|speeds| Speeds::take_in(&mut speeds.download, measured));
        }
        Ok(())
    }

    fn fetch_and_install(
        &mut self,
        wanted: &Wanted,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, Error> {
        self.stage(wanted, progress)?;
        // Of no use any more, and before the tree is made durable: it need not reach the disk.
        for file in others(&self.installation.layout().cache(), &[]) {
            let _ = std::fs::remove_file(file);
        }
        progress(Progress::Installing { version: wanted.version.clone() });
        Ok(self.installation.install(wanted.attempt(), None, &*self.clock)?)
    }
}

impl Wanted {
    fn new(kind: AttemptKind, target: &PlanTarget, artifact: Artifact) -> Self {
        Self {
            kind,
            version: target.version.clone(),
            channel: rules::published_in(target),
            artifact,
            file: target.artifact.clone(),
            deltas: ways::known(&target.deltas).to_vec(),
            floor: None,
        }
    }

    /// The digests of all files that may be fetched for it.
    pub(super) fn files(&self) -> Vec<Digest> {
        let steps = self.deltas.iter().flat_map(|path| &path.steps).map(|step| step.sha256);
        steps.chain([self.file.sha256]).collect()
    }

    pub(super) fn attempt(&self) -> Attempt {
        Attempt {
            kind: self.kind.clone(),
            version: self.version.clone(),
            artifact: self.artifact.clone(),
            channel: self.channel.clone(),
            floor: self.floor.clone(),
        }
    }
}
