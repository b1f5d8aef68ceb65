use super::{
    Entry, EntryKind, Error, Limits, Summary, TreePath,
    error::Reason,
    header::{END_MARKER, padding_bytes},
};

/// What writer and reader hold every entry to: the canonical order, and the limits.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    previous: Option<Previous>,
    summary: Summary,
}

/// The entry admitted last.
///
/// It is enough to know whether a folder was seen: in canonical order all that is in a folder
/// follows the folder without a gap, so the folder is the last entry or one that it stands in.
#[derive(Debug)]
struct Previous {
    path: TreePath,
    is_directory: bool,
}

impl Previous {
    fn is_or_stands_in(&self, folder: &str) -> bool {
        match self.path.as_str().strip_prefix(folder) {
            Some("") => self.is_directory,
            Some(rest) => rest.starts_with('/'),
            None => false,
        }
    }
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let summary =
            Summary { entries: 0, files: 0, bytes: 0, payload_length: END_MARKER.len() as u64 };
        Self { limits: limits.clone(), previous: None, summary }
    }

    pub(super) fn summary(&self) -> Summary {
        self.summary
    }

    /// Takes in the next entry, whose header has so many bytes.
    pub(super) fn admit(&mut self, entry: &Entry, header_bytes: usize) -> Result<(), Error> {
        self.expect_order(entry.path())?;
        self.expect_room(entry, header_bytes)?;
        let is_directory = matches!(entry.kind(), EntryKind::Directory { .. });
        self.previous = Some(Previous { path: entry.path().clone(), is_directory });
        Ok(())
    }

    fn expect_order(&self, path: &TreePath) -> Result<(), Error> {
        if let Some(previous) = &self.previous {
            if previous.path == *path {
                return Err(Reason::Duplicate { path: path.clone() }.into());
            }
            if previous.path > *path {
                let previous = previous.path.clone();
                return Err(Reason::Order { path: path.clone(), previous }.into());
            }
        }
        match path.folder() {
            Some(folder)
                if !self.previous.as_ref().is_some_and(|it| it.is_or_stands_in(folder)) =>
            {
                Err(Reason::Folder { path: path.clone(), folder: folder.to_owned() }.into())
            }
            _ => Ok(()),
        }
    }

    fn expect_room(&mut self, entry: &Entry, header_bytes: usize) -> Result<(), Error> {
        expect_at_most(
            "bytes in a path of the archive",
            entry.path().as_str().len() as u64,
            self.limits.path_bytes_max as u64,
        )?;
        if let EntryKind::Symlink { target } = entry.kind() {
            expect_at_most(
                "bytes in the target of a symbolic link of the archive",
                target.as_str().len() as u64,
                self.limits.link_bytes_max as u64,
            )?;
        }
        let entries = self.summary.entries + 1;
        expect_at_most("entries in the archive", entries, self.limits.entries_max)?;
        let length = entry.length();
        let payload_length = self
            .summary
            .payload_length
            .saturating_add((header_bytes + padding_bytes(length)) as u64)
            .saturating_add(length);
        expect_at_most("bytes in the archive", payload_length, self.limits.payload_bytes_max)?;
        let is_file = matches!(entry.kind(), EntryKind::File { .. });
        self.summary = Summary {
            entries,
            files: self.summary.files + u64::from(is_file),
            bytes: self.summary.bytes.saturating_add(length),
            payload_length,
        };
        Ok(())
    }

    /// The longest text that a long-name record may hold, in bytes, and the NUL after it.
    pub(super) fn long_name_bytes_max(&self) -> u64 {
        let text = self.limits.path_bytes_max.min(TreePath::BYTES_MAX);
        let target = self.limits.link_bytes_max.min(super::LinkTarget::BYTES_MAX);
        text.max(target) as u64 + 1
    }
}

/// Refuses `found` above `limit`.
pub(super) fn expect_at_most(what: &'static str, found: u64, limit: u64) -> Result<(), Error> {
    if found <= limit { Ok(()) } else { Err(Reason::Limit { what, found, limit }.into()) }
}
