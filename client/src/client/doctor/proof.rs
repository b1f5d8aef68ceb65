//! A journal made anew of what is proven.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use super::{
    Doctor,
    signed::{Signed, SignedRelease},
};
use crate::{
    client::Progress,
    error::Error,
    format::Version,
    install::{KeptTree, Proven},
};

/// The trees on the disk, by whether they are what the vendor signed for their versions.
#[derive(Default)]
struct Trees {
    proven: Vec<KeptTree>,
    unproven: Vec<Version>,
}

impl Doctor {
    /// Writes a journal of what is proven: what `current` points to, and each tree that is what the
    /// vendor signed for its version.
    pub(super) fn restore_journal(
        &mut self,
        signed: &mut Signed,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<String, Error> {
        let (running, versions) = self.mending.observe()?;
        // What runs may have lost its tree.
        let versions: BTreeSet<_> = versions.into_iter().chain(running.clone()).collect();
        let mut trees = Trees::default();
        for version in versions {
            self.prove(signed, &version, running.as_ref(), &mut trees, progress)?;
        }
        let runs = trees.proven.iter().find(|tree| running.as_ref() == Some(&tree.version));
        let is_confirmed = match runs {
            Some(tree) => self.mending.works(&tree.version, &tree.artifact)?,
            None => false,
        };
        let proven = Proven {
            is_confirmed,
            floor: running.as_ref().and_then(|running| signed.floor(running)),
            // No machine has queued as many events as there were seconds.
            events_queued: u64::try_from((self.clock)().wall.as_second()).unwrap_or(0),
            running,
            trees: trees.proven,
        };
        let aside = self.mending.restore_journal(&proven)?;
        Ok(told(&proven, &trees.unproven, aside.as_deref()))
    }

    /// Finds out whether the tree of `version` is what was signed. That of what runs is made so, or
    /// nothing is done at all.
    fn prove(
        &mut self,
        signed: &mut Signed,
        version: &Version,
        running: Option<&Version>,
        trees: &mut Trees,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let is_running = running == Some(version);
        match signed.release(version, None) {
            Ok(release) if self.proves(signed, &release, is_running, progress)? => {
                trees.proven.push(release.kept);
            }
            Ok(_) => trees.unproven.push(version.clone()),
            Err(error) if !is_running && error.is_refusal() => {
                trees.unproven.push(version.clone());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether the tree of `release` is what was signed. That of what runs is made so.
    fn proves(
        &mut self,
        signed: &Signed,
        release: &SignedRelease,
        is_running: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<bool, Error> {
        let KeptTree { version, artifact, .. } = &release.kept;
        if self.mending.is_intact(version, artifact) {
            return Ok(true);
        }
        if is_running {
            signed.put_tree(&mut self.mending, release, progress)?;
        }
        Ok(is_running)
    }
}

/// What the new journal says, what is not known any more, and where the rest is.
fn told(proven: &Proven, unproven: &[Version], aside: Option<&Path>) -> String {
    let mut said = match &proven.running {
        Some(running) if proven.is_confirmed => format!("{running} runs and counts as confirmed"),
        Some(running) => format!("{running} runs; whether it was confirmed is not known"),
        None => "which version ran is not known, and nothing runs until an update".to_owned(),
    };
    let listed = |versions: Vec<String>| versions.join(", ");
    if !proven.trees.is_empty() {
        let kept = proven.trees.iter().map(|tree| tree.version.to_string()).collect();
        let _ = write!(said, "; kept are {}", listed(kept));
    }
    said.push_str(
        "; not known any more are the versions that were confirmed or blocked before, and what the \
         server was still to be told",
    );
    if !unproven.is_empty() {
        let unproven = unproven.iter().map(ToString::to_string).collect();
        let _ = write!(said, "; nothing proves {}", listed(unproven));
    }
    if let Some(aside) = aside {
        let what = "the journal, copies of the program's data and what nothing proves";
        let _ = write!(said, "; {what} lie in `{}`", aside.display());
    }
    said
}
