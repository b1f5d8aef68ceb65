use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Why a file system takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All of it is used.
    Space,
    /// What this process may use of it is used.
    Quota,
}

impl Full {
    /// Whether an error, or one beneath it, says that.
    pub(super) fn beneath(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let errors = std::iter::successors(Some(error), |error| error.source());
        errors.filter_map(|error| error.downcast_ref::<io::Error>()).find_map(|error| {
            match error.kind() {
                io::ErrorKind::StorageFull => Some(Self::Space),
                io::ErrorKind::QuotaExceeded => Some(Self::Quota),
                _ => None,
            }
        })
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Space => "no space is left on the file system at",
            Self::Quota => "the quota is used up on the file system at",
        }
    }
}

/// The highest folder of the file system that `path` is on, or would be.
pub(super) fn root_of(path: &Path) -> PathBuf {
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    let mut existing = path.ancestors().filter(|it| device(it).is_some());
    let Some(nearest) = existing.next() else { return path.to_owned() };
    let own = device(nearest);
    nearest.ancestors().take_while(|it| device(it) == own).last().unwrap_or(nearest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_on_the_file_system_of_what_is_there_of_it() {
        let below = Path::new("/proc/self/no/such/file");
        assert_eq!(root_of(below), Path::new("/proc"));
        assert_eq!(root_of(Path::new("/")), Path::new("/"));
    }

    #[test]
    fn an_error_is_about_space_where_one_beneath_it_is() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let wrapped = crate::error::Error::network("a disk", io::ErrorKind::QuotaExceeded.into());
        assert_eq!(Full::beneath(&full), Some(Full::Space));
        assert_eq!(Full::beneath(&wrapped), Some(Full::Quota));
        assert_eq!(Full::beneath(&io::Error::from(io::ErrorKind::NotFound)), None);
    }
}
