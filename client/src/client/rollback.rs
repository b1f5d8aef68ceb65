use super::{Client, Progress, update::Wanted};
use crate::{
    error::Error,
    format::{TargetFile, TargetPath, Version},
    install::{AttemptKind, KeptTree, Outcome},
};

impl Client {
    /// Goes back by the wish of somebody at the machine: to `to`, or else to the version below the
    /// running one that was confirmed last. Only versions that were confirmed here and are kept can
    /// be reached, and none below the floor. The version that is left is not installed again.
    ///
    /// An update that is on probation is undone; without `to`, that is all.
    ///
    /// Needs no network, unless the kept tree turns out to have been changed: then, and then only, a
    /// [`Cancellation`](crate::fetch::Cancellation) ends it. Blocks until the version runs, its health
    /// check included.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) where nothing is kept that could be gone back to,
    /// [`Input`](crate::error::ErrorKind::Input) where `to` does not lie below what runs,
    /// [`Trust`](crate::error::ErrorKind::Trust) with the code `floor` or `data` where it may not be gone
    /// back to. What ran before runs then.
    pub fn roll_back(
        &mut self,
        to: Option<&Version>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, Error> {
        let rolled_back = self.go_back(to, progress);
        self.note_error(&rolled_back);
        self.note_outcome(rolled_back.as_ref().ok());
        rolled_back
    }

    fn go_back(
        &mut self,
        to: Option<&Version>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, Error> {
        // Looked up first: what cannot be reached must not cost an update its probation.
        let goal = self.rollback_goal(to)?;
        if self.installation.record().probation.is_some() {
            let undone = self.installation.undo("rolled back by an order given at the machine")?;
            match &goal {
                Some(goal) if self.installation.running() != Some(&goal.version) => {}
                _ => return Ok(undone),
            }
        }
        let Some(KeptTree { version, channel, artifact, .. }) = goal else {
            return Err(Error::not_found(
                "no confirmed version is kept that could be gone back to",
            ));
        };
        let file = TargetFile {
            path: TargetPath::artifact(&channel, &version, &self.platform),
            length: artifact.length,
            sha256: artifact.sha256,
        };
        let kind = AttemptKind::LocalRollback;
        let (deltas, floor) = (Vec::new(), None);
        self.restore(&Wanted { kind, version, channel, artifact, file, deltas, floor }, progress)
    }

    /// The kept tree to go back to; nothing where undoing the probation is all there is to do.
    fn rollback_goal(&self, to: Option<&Version>) -> Result<Option<KeptTree>, Error> {
        let record = self.installation.record();
        let Some(to) = to else {
            let is_undo = record.probation.is_some();
            return Ok(if is_undo { None } else { record.previous().cloned() });
        };
        let Some(running) = self.installation.running() else {
            return Err(Error::not_found("nothing is installed: there is no way back"));
        };
        if to >= running {
            let detail = format!("{to} is not below {running}, which runs");
            return Err(Error::input(detail));
        }
        if let Some(floor) = &record.floor
            && to < floor
        {
            let detail = format!("{to} is below the floor {floor}, which the vendor signed");
            return Err(Error::rule("floor", detail));
        }
        let kept = record.kept_tree(to).filter(|_| record.confirmed.contains(to));
        kept.cloned().map(Some).ok_or_else(|| {
            let detail = "is not among the versions that were confirmed here and are kept";
            Error::not_found(format!("{to} {detail}"))
        })
    }
}
