//! Which form the program's data are in, and who can read it: decisions only.

use super::{
    error::{Error, Reason},
    journal::{Journal, Switch},
    record::Attempt,
    retain,
};
use crate::format::DataEpochs;

impl Journal {
    /// Checks that the release of `attempt` could read the data that it would find: those that its
    /// rollback would bring back, or else the present ones. Where nobody said, it is believed to.
    pub(super) fn expect_readable(&self, attempt: &Attempt) -> Result<(), Error> {
        let kept = retain::newest(&self.snapshots, &attempt.version);
        let brought = kept.filter(|_| attempt.kind.is_rollback());
        let epoch = brought.map_or(self.record.data_epoch, |brought| brought.epoch);
        match (epoch, attempt.artifact.data) {
            (Some(epoch), Some(data)) if !data.reads(epoch) => {
                let (version, reads) = (attempt.version.clone(), data.reads);
                Err(Reason::DataUnreadable { version, epoch, reads }.into())
            }
            _ => Ok(()),
        }
    }

    /// The epoch of the data once the release of `switch` runs on them.
    pub(super) fn epoch_after(&self, switch: &Switch) -> Option<u32> {
        let found = self.snapshot(switch.brought.unwrap_or(switch.left));
        after(found.and_then(|found| found.epoch), switch.change.attempt.artifact.data.as_ref())
    }
}

/// A release brings data forward to what it writes, and never back. What a release does that says
/// nothing about it nobody knows.
fn after(found: Option<u32>, release: Option<&DataEpochs>) -> Option<u32> {
    release.map(|release| found.map_or(release.writes, |found| found.max(release.writes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::EpochRange;

    #[test]
    fn data_go_forward_with_the_releases_that_say_so() {
        let release = |writes| DataEpochs { reads: EpochRange { from: 0, to: 9 }, writes };
        for (found, release, expected) in [
            (None, None, None),
            (Some(3), None, None),
            (None, Some(release(4)), Some(4)),
            (Some(3), Some(release(4)), Some(4)),
            (Some(5), Some(release(4)), Some(5)),
        ] {
            assert_eq!(after(found, release.as_ref()), expected, "{found:?} {release:?}");
        }
    }
}
