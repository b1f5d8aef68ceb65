use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::format::Version;

/// Something about an installation that is not as Mainstay left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, for a program to decide by.
    pub what: What,
    /// Where.
    pub path: PathBuf,
    /// What was expected, what was found, and what to do where nothing but people can do it.
    pub message: String,
    /// What puts it right; nothing where only people can.
    pub repair: Option<Repair>,
}

/// What is wrong with an installation. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum What {
    /// The permissions of one of Mainstay's own files or directories.
    Permissions,
    /// Something that this user may not read, whatever its permissions are.
    Unreadable,
    /// Something else stands where one of Mainstay's files or directories belongs.
    Obstructed,
    /// One of Mainstay's directories is gone.
    Missing,
    /// The journal was damaged, changed by hand, or is gone.
    Journal,
    /// The journal was written by a newer agent.
    JournalFormat,
    /// A change was cut off, or another agent is at work on it.
    Unfinished,
    /// The tree of a version is gone.
    TreeMissing,
    /// The tree of a version is not the one that was signed.
    TreeChanged,
    /// `current` does not point to what runs.
    Current,
    /// Something that a crash left, or that nothing names any more.
    LeftOver,
    /// The agent's settings.
    Settings,
    /// What makes the machine known to the server.
    Credential,
    /// A document that the machine trusts, or what it has noted beside them.
    Trust,
}

impl What {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permissions => "permissions",
            Self::Unreadable => "unreadable",
            Self::Obstructed => "obstructed",
            Self::Missing => "missing",
            Self::Journal => "journal",
            Self::JournalFormat => "journal_format",
            Self::Unfinished => "unfinished",
            Self::TreeMissing => "tree_missing",
            Self::TreeChanged => "tree_changed",
            Self::Current => "current",
            Self::LeftOver => "left_over",
            Self::Settings => "settings",
            Self::Credential => "credential",
            Self::Trust => "trust",
        }
    }
}

/// What puts a finding right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// It is given these permissions.
    GivePermissions(u32),
    /// The directory is made, with these permissions.
    MakeDirectory(u32),
    /// The journal is made anew of what the installation and what the vendor signed prove.
    RestoreJournal,
    /// What was cut off is finished or undone.
    Recover,
    /// The tree is unpacked anew from the artifact that the vendor signed.
    FetchTree(Version),
    /// `current` is pointed to the tree of this version.
    Point(Version),
    /// It is removed.
    Remove,
    /// The metadata are fetched anew and verified.
    FetchMetadata,
}

impl Repair {
    /// Whether the server is needed for it.
    pub fn needs_server(&self) -> bool {
        matches!(self, Self::RestoreJournal | Self::FetchTree(_) | Self::FetchMetadata)
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GivePermissions(mode) => write!(formatter, "give it the permissions {mode:04o}"),
            Self::MakeDirectory(mode) => {
                write!(formatter, "make the directory with the permissions {mode:04o}")
            }
            Self::RestoreJournal => formatter.write_str(
                "make the journal anew of what `current`, the trees and the signed releases prove",
            ),
            Self::Recover => formatter.write_str("finish or undo what was cut off"),
            Self::FetchTree(version) => {
                write!(formatter, "unpack {version} anew from the artifact that the vendor signed")
            }
            Self::Point(version) => write!(formatter, "point it to versions/{version}"),
            Self::Remove => formatter.write_str("remove it"),
            Self::FetchMetadata => formatter.write_str("fetch the metadata anew and verify them"),
        }
    }
}

impl Finding {
    /// A finding that only people can put right.
    pub(crate) fn by_hand(what: What, path: &Path, message: impl Into<String>) -> Self {
        Self { what, path: path.to_owned(), message: message.into(), repair: None }
    }

    /// Whether it is more than a consequence of one of `others`: what is in a directory that is closed
    /// cannot be read, and what is behind a link in the place of one is not Mainstay's.
    fn is_news(&self, others: &[Self]) -> bool {
        let hides = |other: &Self| match other.what {
            What::Permissions | What::Unreadable => self.what == What::Unreadable,
            What::Obstructed => self.path != other.path,
            _ => false,
        };
        !others.iter().any(|other| hides(other) && self.path.starts_with(&other.path))
    }

    /// The same finding, which `repair` puts right.
    pub(crate) fn repaired_by(self, repair: Repair) -> Self {
        Self { repair: Some(repair), ..self }
    }
}

/// Adds those of `more` to `found` that are no mere consequence of what is there already.
pub(crate) fn add_news(found: &mut Vec<Finding>, more: impl IntoIterator<Item = Finding>) {
    for finding in more {
        if finding.is_news(found) {
            found.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(what: What, path: &str) -> Finding {
        Finding::by_hand(what, Path::new(path), "")
    }

    #[test]
    fn a_closed_directory_is_one_finding_whatever_is_in_it() {
        let mut found = vec![at(What::Permissions, "/a/b")];
        let more = ["/a/b/c", "/a/bc"].map(|path| at(What::Unreadable, path));
        add_news(&mut found, more.into_iter().chain([at(What::Permissions, "/a/b/d")]));
        let paths: Vec<_> = found.iter().map(|it| it.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["/a/b", "/a/bc", "/a/b/d"]);
    }

    #[test]
    fn nothing_is_said_of_what_is_behind_a_link() {
        let mut found = vec![at(What::Obstructed, "/a/b")];
        let more = ["/a/b", "/a/b/c", "/a/bc"].map(|path| at(What::LeftOver, path));
        add_news(&mut found, more);
        let paths: Vec<_> = found.iter().map(|it| it.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["/a/b", "/a/b", "/a/bc"]);
    }
}
