//! What is unpacked goes to the disk while more is unpacked.

use std::{
    fs::File,
    io::Read,
    panic,
    path::Path,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use rustix::fs::{Advice, fadvise};

use super::{Error, Limits, Summary, unpack::unpack_files};

/// How many files may wait until the disk begins with them; each is open until then.
const FILES_WAITING: usize = 64;

/// As [`unpack_tree`](super::unpack_tree), but the disk begins with each file as soon as that is there,
/// so that little is left to do when the tree is made durable. The kernel by itself would let many
/// seconds pass.
pub(crate) fn unpack_tree_writing_back(
    archive: &mut dyn Read,
    root: &Path,
    limits: &Limits,
) -> Result<Summary, Error> {
    let (written, files) = sync_channel(FILES_WAITING);
    thread::scope(|scope| {
        let writing = thread::Builder::new()
            .name("write back".to_owned())
            .spawn_scoped(scope, move || write_back(&files))
            .map_err(|source| Error::file_system("start a thread that writes", root, source))?;
        let unpacked = unpack_files(archive, root, limits, |file| {
            let _ = written.send(file);
        });
        drop(written);
        writing.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        unpacked
    })
}

/// Says of each file that it is not needed any more in memory, which lets its writing begin and does not
/// wait for it. It is no more than advice: whatever becomes of it, the tree is made durable later.
fn write_back(files: &Receiver<File>) {
    for file in files {
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
    }
}
