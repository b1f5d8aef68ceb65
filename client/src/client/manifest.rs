use crate::{
    error::Error,
    fetch::Remote,
    format::{ProductName, ReleaseManifest, TargetFile},
    tuf::{Limits, Rule, json},
};

/// The release manifest `file`, of which the repository has confirmed the digest.
pub(super) fn fetch(
    remote: &Remote,
    product: &ProductName,
    file: &TargetFile,
    limits: Limits,
) -> Result<ReleaseManifest, Error> {
    if file.length > limits.manifest_bytes_max {
        let detail = format!(
            "{} is {} bytes: expected at most {}",
            file.path, file.length, limits.manifest_bytes_max
        );
        return Err(Error::rule(Rule::Length.as_str(), detail));
    }
    let bytes = remote.target(product, file)?;
    json::from_slice(&bytes)
        .map_err(|error| Error::rule("manifest", format!("{}: {error}", file.path)))
}
