//! What a program without the feature `delta` makes of deltas: nothing.

use super::{Client, Progress, update::Wanted};
use crate::{
    error::Error,
    format::{DeltaPath, Digest},
};

#[expect(clippy::unused_self, reason = "with the feature these are methods")]
impl Client {
    pub(super) fn stage_by_deltas(
        &mut self,
        _: &Wanted,
        _: &DeltaPath,
        _: &[Digest],
        _: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        Err(unknown())
    }

    pub(super) fn download_deltas(
        &self,
        _: &DeltaPath,
        _: &[Digest],
        _: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        Err(unknown())
    }
}

fn unknown() -> Error {
    Error::local("this program was built without deltas")
}
