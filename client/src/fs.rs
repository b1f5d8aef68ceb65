//! The file-system port: everything by which the install engine changes the disk.
//!
//! Reading needs no port. What changes the disk goes through [`FileSystem`], so that a test can
//! count the changes and let each of them fail in turn.

#[cfg(test)]
mod failing;
#[cfg(test)]
mod power_loss;

use std::{
    fs::{self, File, FileTimes, Metadata, OpenOptions, Permissions},
    io::{self, Read, Write as _},
    os::fd::AsRawFd as _,
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Uid, XattrFlags, chownat, fstat,
        lgetxattr, llistxattr, lsetxattr, renameat_with,
    },
    io::Errno,
};

#[cfg(test)]
pub(crate) use failing::{FailingFileSystem, Failure};
#[cfg(test)]
pub(crate) use power_loss::PowerLossFileSystem;

use crate::pack;

/// How long the names of a file's extended attributes, and each of their values, may be in Linux.
const EXTENDED_ATTRIBUTES_BYTES_MAX: usize = 64 << 10;

/// The changes that the install engine makes to a disk.
///
/// Nothing is durable before [`sync_directory`](Self::sync_directory) or
/// [`sync_tree`](Self::sync_tree), except what [`write_file`](Self::write_file) wrote into a file.
pub trait FileSystem: std::fmt::Debug + Send {
    /// Creates a directory with the permission bits `mode`.
    fn create_directory(&self, path: &Path, mode: u32) -> io::Result<()>;

    /// Writes a file for its owner only, whatever was there, and makes its content durable.
    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Copies a regular file with its attributes to `to`, where nothing may be. The copy shares
    /// its blocks with the original where the file system can do that. A symbolic link is refused.
    fn copy_file(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives the file or directory `below`, a path within `root`, the permission bits `mode`. A
    /// symbolic link is refused, at its end and on the way from `root`: whoever may write there would
    /// choose what is changed in the name of this process.
    fn set_permissions(&self, root: &Path, below: &Path, mode: u32) -> io::Result<()>;

    /// Makes `link` another name of the file `original`.
    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()>;

    /// Gives `to` the owner and, unless it is a symbolic link, the extended attributes, permissions
    /// and times of `from`.
    ///
    /// An owner or attribute that this process may not give, or the file system does not take, is
    /// left out, as `cp -a` does.
    fn copy_attributes(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Creates the symbolic link `link` that says `target`.
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()>;

    /// Renames in one step, replacing what is at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Exchanges two paths in one step. The error is of kind [`io::ErrorKind::Unsupported`] where
    /// the file system cannot do that.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;

    /// Removes a file or symbolic link.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all in it.
    fn remove_tree(&self, path: &Path) -> io::Result<()>;

    /// Unpacks `payload` into the directory `path`, which must not exist.
    fn unpack_tree(
        &self,
        payload: &mut dyn Read,
        path: &Path,
        limits: &pack::Limits,
    ) -> Result<pack::Summary, pack::Error>;

    /// Makes the entries of a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes everything below a directory durable, all at once.
    fn sync_tree(&self, path: &Path) -> Result<(), pack::Error>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalFileSystem;

impl FileSystem for LocalFileSystem {
    fn create_directory(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::DirBuilder::new().mode(mode).create(path)
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn copy_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        // Whoever owns the original may replace it at any moment, with a link or a fifo too.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut original =
            OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(from)?;
        let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        if rustix::fs::ioctl_ficlone(&copy, &original).is_err() {
            io::copy(&mut original, &mut copy)?;
        }
        give_extended_attributes(from, to)?;
        give_attributes(&original.metadata()?, to)
    }

    fn set_permissions(&self, root: &Path, below: &Path, mode: u32) -> io::Result<()> {
        // To be named and no more: what its owner may not read can be given its permissions too.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut found = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        for name in below {
            found = rustix::fs::openat(&found, name, flags, Mode::empty())?;
        }
        if FileType::from_raw_mode(fstat(&found)?.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP.into());
        }
        // What was opened so takes no permissions by itself, but by its name in `/proc`.
        let opened = format!("/proc/self/fd/{}", found.as_raw_fd());
        fs::set_permissions(opened, Permissions::from_mode(mode))
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        fs::hard_link(original, link)
    }

    fn copy_attributes(&self, from: &Path, to: &Path) -> io::Result<()> {
        let wanted = fs::symlink_metadata(from)?;
        if !wanted.is_symlink() {
            give_extended_attributes(from, to)?;
        }
        give_attributes(&wanted, to)
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, link)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(|errno| match errno {
            // What a file system says that does not know the flag differs.
            Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => io::ErrorKind::Unsupported.into(),
            errno => errno.into(),
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        match fs::remove_dir_all(path) {
            // Directories that their owner may not write to can be unpacked, and must be removed.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                for entry in walkdir::WalkDir::new(path) {
                    let entry = entry?;
                    if entry.file_type().is_dir() {
                        fs::set_permissions(entry.path(), Permissions::from_mode(0o700))?;
                    }
                }
                fs::remove_dir_all(path)
            }
            result => result,
        }
    }

    fn unpack_tree(
        &self,
        payload: &mut dyn Read,
        path: &Path,
        limits: &pack::Limits,
    ) -> Result<pack::Summary, pack::Error> {
        pack::unpack_tree(payload, path, limits)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_tree(&self, path: &Path) -> Result<(), pack::Error> {
        pack::sync_tree(path)
    }
}

fn give_attributes(wanted: &Metadata, to: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(to)?;
    if (wanted.uid(), wanted.gid()) != (found.uid(), found.gid()) {
        let (uid, gid) = (Uid::from_raw(wanted.uid()), Gid::from_raw(wanted.gid()));
        match chownat(CWD, to, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::PERM) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if wanted.is_symlink() {
        return Ok(());
    }
    let times = FileTimes::new().set_accessed(wanted.accessed()?).set_modified(wanted.modified()?);
    // Times first: the permissions may be such that the owner cannot open the file again.
    File::open(to)?.set_times(times)?;
    fs::set_permissions(to, Permissions::from_mode(wanted.mode() & 0o7777))
}

/// Copies extended attributes, among which are access control lists.
fn give_extended_attributes(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = vec![0; EXTENDED_ATTRIBUTES_BYTES_MAX];
    let length = match llistxattr(from, &mut names[..]) {
        Err(Errno::NOTSUP) => return Ok(()),
        length => length?,
    };
    let mut value = vec![0; EXTENDED_ATTRIBUTES_BYTES_MAX];
    let names = names.get(..length).unwrap_or_default().split(|byte| *byte == 0);
    for name in names.filter(|name| !name.is_empty()) {
        let length = match lgetxattr(from, name, &mut value[..]) {
            // Removed just now, or not for this process to see.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS) => continue,
            length => length?,
        };
        let value = value.get(..length).unwrap_or_default();
        match lsetxattr(to, name, value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_file_keeps_its_permissions_and_times() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "content").unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_hours(24);
        let times = FileTimes::new().set_accessed(long_ago).set_modified(long_ago);
        OpenOptions::new().write(true).open(&from).unwrap().set_times(times).unwrap();
        fs::set_permissions(&from, Permissions::from_mode(0o440)).unwrap();

        LocalFileSystem.copy_file(&from, &to).unwrap();

        let copied = fs::metadata(&to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"content");
        assert_eq!(copied.mode() & 0o7777, 0o440);
        assert_eq!(copied.modified().unwrap(), long_ago);
        assert_eq!(extended(&to), None);
        let again = LocalFileSystem.copy_file(&from, &to).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    /// The value of the extended attribute that the tests set.
    fn extended(path: &Path) -> Option<Vec<u8>> {
        let mut value = [0; 64];
        let length = lgetxattr(path, "user.mainstay", &mut value[..]).ok()?;
        Some(value[..length].to_vec())
    }

    #[test]
    fn extended_attributes_are_copied_where_the_file_system_has_them() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "content").unwrap();
        if lsetxattr(&from, "user.mainstay", b"kept", XattrFlags::empty()).is_err() {
            println!("skipped: the file system has no extended attributes");
            return;
        }
        LocalFileSystem.copy_file(&from, &to).unwrap();
        assert_eq!(extended(&to).as_deref(), Some(&b"kept"[..]));
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        LocalFileSystem.copy_attributes(&from, &folder).unwrap();
        assert_eq!(extended(&folder).as_deref(), Some(&b"kept"[..]));
    }

    #[test]
    fn permissions_are_given_below_a_root_and_through_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("link-to-root");
        std::os::unix::fs::symlink(".", &root).unwrap();
        fs::create_dir(root.join("folder")).unwrap();
        fs::write(root.join("folder/file"), "").unwrap();
        std::os::unix::fs::symlink("file", root.join("folder/link")).unwrap();
        std::os::unix::fs::symlink("folder", root.join("other")).unwrap();
        let give = |below: &str, mode| LocalFileSystem.set_permissions(&root, below.as_ref(), mode);
        let mode = |below: &str| fs::metadata(root.join(below)).unwrap().mode() & 0o7777;

        give("folder/file", 0o000).unwrap();
        give("folder/file", 0o604).unwrap();
        give("folder", 0o705).unwrap();
        for below in ["folder/link", "other/file", "other", "nothing", "folder/file/file"] {
            assert!(give(below, 0o640).is_err(), "{below}");
        }
        assert_eq!((mode("folder/file"), mode("folder")), (0o604, 0o705));
    }

    #[test]
    fn trees_with_directories_that_cannot_be_written_to_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("closed")).unwrap();
        fs::write(tree.join("closed/file"), "").unwrap();
        fs::set_permissions(tree.join("closed"), Permissions::from_mode(0o555)).unwrap();
        LocalFileSystem.remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn an_exchange_exchanges_directories() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        for (path, content) in [(&one, "1"), (&other, "2")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), content).unwrap();
        }
        match LocalFileSystem.exchange(&one, &other) {
            Ok(()) => assert_eq!(fs::read(one.join("file")).unwrap(), b"2"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported),
        }
    }
}
