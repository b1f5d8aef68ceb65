use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;
use crate::access_log::AccessLogRules;

/// What the file says of the access log.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessLogSection {
    enabled: Option<bool>,
    file: Option<PathBuf>,
    file_bytes: Option<u64>,
    files: Option<u32>,
}

/// The file in the server's directory where no other is named.
const FILE: &str = "access.log";
const FILE_BYTES: u64 = 64 << 20;
const FILES: u32 = 4;
const FILES_MAX: u32 = 1000;

impl AccessLogSection {
    /// What is said, of files in the server's directory `dir` unless they are named otherwise; nothing where
    /// there is to be no log.
    pub(super) fn rules(self, dir: &Path) -> Result<Option<AccessLogRules>, ConfigError> {
        let rules = AccessLogRules {
            path: dir.join(self.file.unwrap_or_else(|| FILE.into())),
            file_bytes: self.file_bytes.unwrap_or(FILE_BYTES),
            files: self.files.unwrap_or(FILES),
        };
        let (bytes, least) = (rules.file_bytes, AccessLogRules::FILE_BYTES_MIN);
        if bytes < least {
            let problem = format!("file_bytes is {bytes}: expected at least {least}");
            return Err(ConfigError::AccessLog(problem));
        }
        if !(1..=FILES_MAX).contains(&rules.files) {
            let problem = format!("files is {}: expected 1 to {FILES_MAX}", rules.files);
            return Err(ConfigError::AccessLog(problem));
        }
        Ok(Some(rules).filter(|_| self.enabled != Some(false)))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::load, *};

    #[test]
    fn requests_are_logged_where_the_file_says_so() {
        let rules = |text: &str| load(&format!("[access_log]\n{text}")).unwrap().access_log;
        let usual = load("").unwrap();
        let path = usual.dir.join(FILE);
        let expected = AccessLogRules { path, file_bytes: FILE_BYTES, files: FILES };
        assert_eq!(usual.access_log, Some(expected));
        assert_eq!(rules("enabled = false"), None);
        let other = AccessLogRules { path: "/var/log/a".into(), file_bytes: 1 << 20, files: 1 };
        assert_eq!(rules("file = \"/var/log/a\"\nfile_bytes = 1048576\nfiles = 1"), Some(other));
        for (wrong, expected) in [
            ("file_bytes = 1", "access_log.file_bytes is 1: expected at least 1048576"),
            ("files = 0", "access_log.files is 0: expected 1 to 1000"),
            ("format = \"combined\"", "unknown field `format`"),
        ] {
            let error = load(&format!("[access_log]\n{wrong}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
    }
}
