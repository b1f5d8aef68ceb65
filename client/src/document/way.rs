use serde::Serialize;

use super::Document;
use crate::{
    client::{ExpectedWay, FetchedRelease},
    format::wire::{FailedWay, Fetched, FetchedBy},
};

/// By which way a release comes to a machine, or came.
#[derive(Clone, Debug, Serialize)]
pub struct WayDocument {
    /// `delta` or `full`.
    pub by: FetchedBy,
    /// How many bytes the deltas or the artifact have.
    pub bytes: u64,
    /// How many bytes the artifact has.
    pub artifact_bytes: u64,
    /// The ways that were tried before and came to nothing, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedWay>,
    /// That in a few words.
    pub message: String,
}

impl Document {
    /// The same with the way that is expected to be taken.
    pub(crate) fn with_expected_way(self, expected: Option<ExpectedWay>) -> Self {
        Self { way: expected.as_ref().map(WayDocument::from), ..self }
    }

    /// The same with the way that was taken, where something was fetched.
    pub(crate) fn with_fetched(self, fetched: Option<&FetchedRelease>) -> Self {
        Self { way: fetched.map(WayDocument::from), ..self }
    }
}

impl From<&ExpectedWay> for WayDocument {
    fn from(expected: &ExpectedWay) -> Self {
        let ExpectedWay { by, bytes, artifact_bytes } = *expected;
        let message = way_in_words(by, bytes, artifact_bytes);
        Self { by, bytes, artifact_bytes, failed: Vec::new(), message }
    }
}

impl From<&FetchedRelease> for WayDocument {
    fn from(release: &FetchedRelease) -> Self {
        let Fetched { by, bytes, failed } = release.way.clone();
        let artifact_bytes = release.artifact_bytes;
        let message = way_in_words(by, bytes, artifact_bytes);
        Self { by, bytes, artifact_bytes, failed, message }
    }
}

/// `by a delta of 12.0 KiB in place of 3.9 MiB`.
pub(crate) fn way_in_words(by: FetchedBy, bytes: u64, artifact_bytes: u64) -> String {
    let artifact = bytes_in_words(artifact_bytes);
    match by {
        FetchedBy::Delta => {
            format!("by a delta of {} in place of {artifact}", bytes_in_words(bytes))
        }
        FetchedBy::Full => format!("by the full artifact of {artifact}"),
    }
}

/// So many bytes as people say it, with one digit after the point.
fn bytes_in_words(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in UNITS {
        let tenths = (u128::from(bytes) * 10 + (1 << (shift - 1))) >> shift;
        if bytes >> shift > 0 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_as_people_do() {
        for (bytes, said) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (12_288 + 52, "12.1 KiB"),
            ((4 << 20) - 1, "4.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes_in_words(bytes), said, "{bytes}");
        }
        let delta = way_in_words(FetchedBy::Delta, 12 << 10, 39 << 17);
        assert_eq!(delta, "by a delta of 12.0 KiB in place of 4.9 MiB");
        assert_eq!(way_in_words(FetchedBy::Full, 9, 9), "by the full artifact of 9 bytes");
    }
}
