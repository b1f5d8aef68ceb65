use std::collections::BTreeSet;

use mainstay_client::format::{AdvisoryId, Version};

use super::{super::catalogue::Release, Advisory, Catalogue, Exposure};

/// The advisories that open again on a machine that goes from `from` to `to`: those of which `from` has
/// the fix and `to` has not, and that a release names which `is_known` says may be known of.
pub fn reopened(
    catalogue: &Catalogue,
    is_known: impl Fn(&Release) -> bool,
    from: &Version,
    to: &Version,
) -> BTreeSet<AdvisoryId> {
    let naming = catalogue.releases().filter(|release| is_known(release));
    let named: BTreeSet<_> = naming.flat_map(|release| &release.advisories).collect();
    let opens = |id: &AdvisoryId| {
        let advisory = Advisory::new(catalogue, id, &[]);
        let is_fixed = |version| advisory.exposure(version) == Exposure::Fixed;
        is_fixed(from) && !is_fixed(to)
    };
    named.into_iter().filter(|id| opens(id)).cloned().collect()
}
