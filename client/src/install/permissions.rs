//! The permissions that Mainstay gives its own files and directories, and those that it bears with.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    Layout,
    finding::{Finding, Repair, What, add_news},
    observed::Observed,
};

/// The permissions of a file or directory: at least and at most these, and these where it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Custom {
    kind: Kind,
    least: u32,
    most: u32,
    given: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
}

impl Custom {
    const fn exactly(kind: Kind, mode: u32) -> Self {
        Self { kind, least: mode, most: mode, given: mode }
    }

    /// For Mainstay alone.
    const PRIVATE: Self = Self::exactly(Kind::Directory, 0o700);
    /// Written by Mainstay alone.
    const OWN: Self = Self::exactly(Kind::File, 0o600);
    /// Written by people too, who may let others read it; nothing in it is secret.
    const SETTING: Self = Self { most: 0o644, ..Self::OWN };
    /// Within a private directory, and made as the process's umask has it.
    const INNER: Self = Self { most: 0o777, given: 0o755, ..Self::PRIVATE };
    /// Where the program finds its versions; also made as the umask has it.
    const SHARED: Self = Self { most: 0o755, given: 0o755, ..Self::PRIVATE };
    /// The root of an unpacked tree, whatever the umask was.
    const TREE: Self = Self::exactly(Kind::Directory, 0o755);

    const fn admits(self, mode: u32) -> bool {
        mode & self.least == self.least && mode & !self.most == 0
    }

    fn expected(self) -> String {
        if self.least == self.most {
            format!("{:04o}", self.least)
        } else {
            format!("{:04o} to {:04o}", self.least, self.most)
        }
    }

    /// What is wrong with the one at `path`. What is not there is no matter of permissions.
    fn look(self, path: &Path) -> Option<Finding> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(unreadable(path, &error)),
        };
        if metadata.is_symlink() || metadata.is_dir() != (self.kind == Kind::Directory) {
            let expected = match self.kind {
                Kind::File => "a file",
                Kind::Directory => "a directory",
            };
            let found = match metadata.file_type() {
                it if it.is_symlink() => "a symbolic link",
                it if it.is_dir() => "a directory",
                _ => "no directory",
            };
            let message = format!("it is {found}: expected {expected}; move it away");
            return Some(Finding::by_hand(What::Obstructed, path, message));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if self.admits(mode) {
            return None;
        }
        let message = format!("its permissions are {mode:04o}: expected {}", self.expected());
        let finding = Finding::by_hand(What::Permissions, path, message);
        Some(finding.repaired_by(Repair::GivePermissions(self.given)))
    }
}

/// That `path` cannot be read for `error`.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Finding {
    let message = format!(
        "it cannot be read ({error}): expected all of it to belong to the user that Mainstay runs \
         as; run the agent as that user or as root, or give it back with `chown`"
    );
    Finding::by_hand(What::Unreadable, path, message)
}

/// What is wrong with the permissions of the installation at `layout`, directories before what is in
/// them.
pub(super) fn examine(layout: &Layout) -> Vec<Finding> {
    let mut found = Vec::new();
    let private = layout.private();
    found.extend(Custom::PRIVATE.look(&private));
    for directory in [layout.staging(), layout.trash(), layout.snapshots()] {
        found.extend(Custom::PRIVATE.look(&directory));
    }
    let trust = layout.trust();
    let inner = [trust.clone(), trust.join("channels"), private.join("components")];
    for directory in inner.iter().chain([&layout.cache()]) {
        found.extend(Custom::INNER.look(directory));
    }
    let files = [layout.lock(), layout.journal(), layout.approval(), layout.collection_approval()];
    for file in files {
        found.extend(Custom::OWN.look(&file));
    }
    for name in ["token", "machine.key"] {
        found.extend(Custom::OWN.look(&private.join(name)));
    }
    found.extend(Custom::SETTING.look(&layout.settings()));
    for (directory, custom) in inner.iter().zip([Custom::OWN, Custom::OWN, Custom::SETTING]) {
        for path in files_in(directory) {
            found.extend(custom.look(&path));
        }
    }
    found.extend(Custom::SHARED.look(&layout.versions()));
    for version in Observed::of(layout).map(|it| it.trees).unwrap_or_default() {
        found.extend(Custom::TREE.look(&layout.tree(&version)));
    }
    let mut news = Vec::new();
    add_news(&mut news, found);
    news
}

/// The files in `directory`, in the order of their names.
fn files_in(directory: &Path) -> Vec<PathBuf> {
    let is_directory =
        |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let mut files = entries(directory);
    files.retain(|path| !is_directory(path));
    files.sort_unstable();
    files
}

/// What is in `directory`. What a link in its place leads to is somebody else's.
pub(super) fn entries(directory: &Path) -> Vec<PathBuf> {
    if fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_symlink()) {
        return Vec::new();
    }
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mainstay_makes_under_any_usual_umask_is_borne_with_and_nothing_else() {
        for (custom, admitted, refused) in [
            (Custom::PRIVATE, vec![0o700], vec![0o000, 0o500, 0o750, 0o755, 0o1700]),
            (Custom::OWN, vec![0o600], vec![0o000, 0o400, 0o640, 0o644, 0o700]),
            (Custom::SETTING, vec![0o600, 0o640, 0o644], vec![0o000, 0o444, 0o664, 0o666]),
            (Custom::INNER, vec![0o700, 0o750, 0o755, 0o775, 0o777], vec![0o000, 0o555, 0o4755]),
            (Custom::SHARED, vec![0o700, 0o750, 0o755], vec![0o000, 0o555, 0o775, 0o777]),
            (Custom::TREE, vec![0o755], vec![0o000, 0o700, 0o555, 0o775]),
        ] {
            for mode in admitted {
                assert!(custom.admits(mode), "{mode:04o} of {custom:?}");
            }
            for mode in refused {
                assert!(!custom.admits(mode), "{mode:04o} of {custom:?}");
            }
            assert!(custom.admits(custom.given), "{custom:?}");
        }
    }
}
