//! The one byte sequence that a tree packs to, and its safe unpacking.
//!
//! A release's tree travels as an *archive* (the payload), which travels compressed (the artifact):
//!
//! ```text
//! tree ── pack_tree ──> archive ── Compressor ──> artifact
//! tree <─ unpack_tree ─ archive <─── Payload ──── artifact
//! ```
//!
//! The archive is a tar file, so that any tar program lists and unpacks it, but of all the tar
//! files that hold a tree only one is accepted:
//!
//! - entries stand in the order of [`TreePath`], strictly ascending, so there are no duplicates;
//! - the folder of every entry stands before it as a directory of its own;
//! - there are directories, files and symbolic links and nothing else;
//! - a header holds the path, the permission bits (`& 0o777`), the length and the link's target;
//!   times, owners and owners' names are zero or empty;
//! - a path or target above 100 bytes stands in a GNU long-name record before its entry;
//! - padding is zero, two blocks of zeros end the archive, and nothing follows.
//!
//! The reader encodes each entry again and compares, so that all of this holds by construction.
//! It is worth two things. A payload can be rebuilt bit for bit from an installed tree, and read there
//! without being written anywhere ([`PackedTree`]), which is how deltas and the check for local
//! changes work. And unpacking is safe: since an entry's folder
//! is an earlier *directory* and no path occurs twice, no entry passes through a symbolic link.
//!
//! The folder at the root of the tree is not an entry; unpacking gives it the mode `0o755`.
//!
//! Archives, compression and verification need no file system. Packing and unpacking trees do and
//! are built with the feature `install`.

mod admission;
mod archive_reader;
mod archive_writer;
mod bundle;
mod compress;
mod copy;
mod decompressed;
mod entry;
mod error;
mod header;
mod limits;
mod payload;
mod tree_path;
mod verify;

#[cfg(feature = "install")]
mod folders;
#[cfg(feature = "install")]
mod packed_tree;
#[cfg(feature = "install")]
mod scan;
#[cfg(feature = "install")]
mod seal;
#[cfg(feature = "install")]
mod tree;
#[cfg(feature = "install")]
mod unpack;

#[cfg(test)]
mod tests;

pub use archive_reader::read_archive;
pub use archive_writer::ArchiveWriter;
pub use bundle::{Bundle, BundleError};
pub use compress::{Compression, Compressor};
pub use decompressed::Decompressed;
pub use entry::{Entry, EntryKind, Mode, Summary};
pub use error::{Error, ErrorKind};
pub use limits::Limits;
pub use payload::{Payload, PayloadIdentity, Verified};
pub use tree_path::{LinkTarget, TreePath};
pub use verify::{Inspection, verify, verify_artifact};

#[cfg(feature = "install")]
pub use packed_tree::PackedTree;
#[cfg(feature = "install")]
pub use scan::{TreePlan, scan_tree};
#[cfg(feature = "install")]
pub use seal::{FileTime, Seal};
#[cfg(feature = "install")]
pub use tree::{ListedEntry, list_tree, pack_tree, repack};
#[cfg(feature = "install")]
pub use unpack::{sync_tree, unpack_tree};
