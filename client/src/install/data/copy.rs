//! Copying a directory of data as it is.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use crate::{fs::FileSystem, install::error::Error};

/// An entry and what it is; nothing where it vanished in the meantime, since the program may be
/// at work on its data.
pub(super) fn present(
    entry: walkdir::Result<walkdir::DirEntry>,
) -> Result<Option<(walkdir::DirEntry, fs::Metadata)>, Error> {
    let described = entry.and_then(|entry| {
        let metadata = entry.metadata()?;
        Ok((entry, metadata))
    });
    match described {
        Ok(described) => Ok(Some(described)),
        Err(error) => {
            let path = error.path().unwrap_or(Path::new("data")).to_owned();
            let (depth, source) = (error.depth(), io::Error::from(error));
            if depth > 0 && source.kind() == io::ErrorKind::NotFound {
                return Ok(None);
            }
            Err(Error::io("examine", path, source))
        }
    }
}

/// Copies the tree `from` to `to`: directories, files and symbolic links, with their owners,
/// permissions, times and extended attributes. Names of one file are names of one copy. Sockets,
/// fifos and devices are left out: they are not data.
pub(super) fn copy_tree(files: &dyn FileSystem, from: &Path, to: &Path) -> Result<(), Error> {
    let mut directories = Vec::new();
    // Of every file with several names, where its first copy is.
    let mut several = HashMap::<(u64, u64), PathBuf>::new();
    for entry in WalkDir::new(from).sort_by_file_name() {
        let Some((entry, metadata)) = present(entry)? else { continue };
        let original = entry.path();
        let copy = match original.strip_prefix(from) {
            Ok(below) if entry.depth() > 0 => to.join(below),
            _ => to.to_owned(),
        };
        let copied = if metadata.is_dir() {
            directories.push((original.to_owned(), copy.clone()));
            files.create_directory(&copy, 0o700)
        } else if metadata.is_file() {
            let file = (metadata.dev(), metadata.ino());
            if let Some(first) = several.get(&file) {
                files.hard_link(first, &copy)
            } else {
                if metadata.nlink() > 1 {
                    several.insert(file, copy.clone());
                }
                files.copy_file(original, &copy)
            }
        } else if metadata.is_symlink() {
            fs::read_link(original)
                .and_then(|target| files.symlink(&target, &copy))
                .and_then(|()| files.copy_attributes(original, &copy))
        } else {
            continue;
        };
        match copied {
            // The program removed it just now.
            Err(_) if !metadata.is_dir() && fs::symlink_metadata(original).is_err() => {}
            result => result.map_err(|source| Error::io("copy", original, source))?,
        }
    }
    // The innermost first, and all after their contents, which change their times and which
    // their permissions may forbid.
    for (original, copy) in directories.iter().rev() {
        files
            .copy_attributes(original, copy)
            .map_err(|source| Error::io("copy", original, source))?;
    }
    Ok(())
}
