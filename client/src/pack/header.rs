//! How an entry is encoded: the bytes before its content.

use tar::{EntryType, Header};

use super::{Entry, EntryKind};

/// Everything in a tar archive is a multiple of so many bytes.
pub(super) const BLOCK_BYTES: usize = 512;

/// What ends an archive.
pub(super) const END_MARKER: [u8; 2 * BLOCK_BYTES] = [0; 2 * BLOCK_BYTES];

/// The longest path or target that fits into a header.
const SHORT_BYTES_MAX: usize = 100;

/// The name that a GNU long-name record carries in its own header.
const LONG_NAME: &[u8] = b"././@LongLink";

/// Symbolic links have no permissions of their own; Linux reports these.
const SYMLINK_MODE: u32 = 0o777;

/// How many bytes of zeros follow content of `length` bytes.
pub(super) fn padding_bytes(length: u64) -> usize {
    let block_bytes = BLOCK_BYTES as u64;
    let padding = (block_bytes - length % block_bytes) % block_bytes;
    // Less than a block, so it fits.
    usize::try_from(padding).unwrap_or(0)
}

/// Appends the header of `entry` to `output`, with the long-name records that it needs.
pub(super) fn encode(entry: &Entry, output: &mut Vec<u8>) {
    let mut header = Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(entry.length());
    let path = entry.path().as_str().as_bytes();
    fill(&mut header.as_old_mut().name, path);
    encode_long(EntryType::GNULongName, path, output);
    match entry.kind() {
        EntryKind::Directory { mode } => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(mode.bits());
        }
        EntryKind::File { mode, .. } => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(mode.bits());
        }
        EntryKind::Symlink { target } => {
            let target = target.as_str().as_bytes();
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(SYMLINK_MODE);
            fill(&mut header.as_old_mut().linkname, target);
            encode_long(EntryType::GNULongLink, target, output);
        }
    }
    header.set_cksum();
    output.extend_from_slice(header.as_bytes());
}

/// Appends a GNU long-name record that holds `text`, where `text` does not fit into a header.
fn encode_long(entry_type: EntryType, text: &[u8], output: &mut Vec<u8>) {
    if text.len() <= SHORT_BYTES_MAX {
        return;
    }
    // GNU tar counts the NUL that ends the text.
    let length = text.len() + 1;
    let mut header = Header::new_gnu();
    fill(&mut header.as_old_mut().name, LONG_NAME);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(length as u64);
    header.set_entry_type(entry_type);
    header.set_cksum();
    output.extend_from_slice(header.as_bytes());
    output.extend_from_slice(text);
    let padded = output.len() + 1 + padding_bytes(length as u64);
    output.resize(padded, 0);
}

/// Copies as much of `text` as fits into `field`, which is zero.
fn fill(field: &mut [u8], text: &[u8]) {
    for (slot, byte) in field.iter_mut().zip(text) {
        *slot = *byte;
    }
}

/// The fields of a header by the offset at which each ends.
const FIELDS: [(usize, &str); 13] = [
    (100, "the path"),
    (108, "the mode"),
    (116, "the owner"),
    (124, "the group"),
    (136, "the length"),
    (148, "the time"),
    (156, CHECKSUM),
    (157, "the type"),
    (257, "the link's target"),
    (265, "the format's mark"),
    (297, "the owner's name"),
    (329, "the group's name"),
    (BLOCK_BYTES, "an extension"),
];

const CHECKSUM: &str = "the checksum";

/// The field in which the header `found` differs from the header `expected`.
pub(super) fn differing_field(found: &[u8], expected: &[u8]) -> &'static str {
    if found.len() != expected.len() {
        return "the use of long-name records";
    }
    let field_at = |offset: usize| {
        let within = offset % BLOCK_BYTES;
        FIELDS.iter().find(|(end, _)| within < *end).map_or("a header", |(_, name)| *name)
    };
    let differing = found.iter().zip(expected).enumerate().filter(|(_, (a, b))| a != b);
    // The checksum differs whenever anything does; it is news only where nothing else does.
    differing
        .map(|(offset, _)| field_at(offset))
        .find(|field| *field != CHECKSUM)
        .unwrap_or(CHECKSUM)
}
