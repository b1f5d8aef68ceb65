use super::files;
use crate::{error::Error, format::Version, fs::LocalFileSystem, install::Layout};

/// The longest file of an approval, in bytes.
const BYTES_MAX: u64 = 1 << 10;

/// The version that was approved of; none where the file is missing or says nothing sensible, for
/// what nobody can be shown to have approved of is not.
pub(super) fn read(layout: &Layout) -> Option<Version> {
    let bytes = files::read(&layout.approval(), BYTES_MAX).ok()?;
    str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

pub(super) fn write(layout: &Layout, version: &Version) -> Result<(), Error> {
    files::replace(&LocalFileSystem, &layout.approval(), format!("{version}\n").as_bytes())
}

/// The order for a support bundle that was approved of; none likewise.
pub(super) fn collection(layout: &Layout) -> Option<u64> {
    let bytes = files::read(&layout.collection_approval(), BYTES_MAX).ok()?;
    str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

pub(super) fn approve_collection(layout: &Layout, number: u64) -> Result<(), Error> {
    let text = format!("{number}\n");
    files::replace(&LocalFileSystem, &layout.collection_approval(), text.as_bytes())
}
