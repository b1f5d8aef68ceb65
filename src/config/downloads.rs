use serde::Deserialize;

use super::ConfigError;
use crate::service::sending::AccelLocation;

/// What the file says of downloads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DownloadSection {
    x_accel_redirect: Option<String>,
}

impl DownloadSection {
    /// The location of the nginx that is to send artifacts and deltas.
    pub(super) fn accel(self) -> Result<Option<AccelLocation>, ConfigError> {
        let parsed = self.x_accel_redirect.map(|location| location.parse());
        parsed
            .transpose()
            .map_err(|problem| ConfigError::Downloads(format!("x_accel_redirect: {problem}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;

    #[test]
    fn nginx_sends_downloads_where_the_file_says_so() {
        assert_eq!(load("").unwrap().accel, None);
        let config = load("[downloads]\nx_accel_redirect = \"/internal/blobs/\"").unwrap();
        assert_eq!(config.accel, Some("/internal/blobs/".parse().unwrap()));
        for (wrong, expected) in [
            ("x_accel_redirect = \"blobs\"", "downloads.x_accel_redirect: `blobs` is not valid"),
            ("x_sendfile = true", "unknown field `x_sendfile`"),
        ] {
            let error = load(&format!("[downloads]\n{wrong}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
    }
}
