use crate::format::ReleaseManifest;

/// What making or applying a delta may take. Whatever is larger is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest payload, old or new, in bytes.
    pub payload_bytes_max: u64,
    /// The most copies of a delta; each takes 40 bytes of memory.
    pub copies_max: usize,
    /// The largest executable file whose addresses are followed, in bytes. It is in memory as a whole while
    /// it is rebuilt.
    pub executable_bytes_max: usize,
    /// The most deflate streams that are opened in either payload; each takes 40 bytes of memory.
    pub opened_max: usize,
    /// The most bytes that those of either payload inflate to. Those of the old one are in memory.
    pub opened_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes_max: ReleaseManifest::PAYLOAD_BYTES_MAX,
            copies_max: 1 << 19,
            executable_bytes_max: 256 << 20,
            opened_max: 1 << 16,
            opened_bytes_max: 32 << 20,
        }
    }
}
