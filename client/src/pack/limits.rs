use super::{LinkTarget, TreePath};
use crate::format::ReleaseManifest;

/// How large an archive may be. Whatever is larger is refused, in packing as in unpacking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most entries.
    pub entries_max: u64,
    /// The longest path of an entry, in bytes; above [`TreePath::BYTES_MAX`] it has no effect.
    pub path_bytes_max: usize,
    /// The longest target of a symbolic link, in bytes; above [`LinkTarget::BYTES_MAX`] it has no
    /// effect.
    pub link_bytes_max: usize,
    /// The longest archive, in bytes.
    pub payload_bytes_max: u64,
    /// The longest release description that [`verify`](super::verify) hands back, in bytes.
    pub description_bytes_max: u64,
    /// The most bytes of paths of executable files that [`verify`](super::verify) remembers.
    pub executable_path_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries_max: 1_000_000,
            path_bytes_max: TreePath::BYTES_MAX,
            link_bytes_max: LinkTarget::BYTES_MAX,
            payload_bytes_max: ReleaseManifest::PAYLOAD_BYTES_MAX,
            description_bytes_max: 64 << 10,
            executable_path_bytes_max: 64 << 20,
        }
    }
}
