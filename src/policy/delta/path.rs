//! The ways from what a machine runs to its target.

use std::collections::BTreeMap;

use mainstay_client::format::{DeltaPath, DeltaProfile, Digest, Version};

/// A delta that is kept, of whatever product and platform the others beside it are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The release whose payload it is applied to.
    pub from: Version,
    /// The release whose payload it makes.
    pub to: Version,
    /// How it is packed.
    pub profile: DeltaProfile,
    /// Its length in bytes.
    pub length: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// Deltas that follow one another, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way<'a> {
    /// How many bytes they have together.
    pub bytes: u64,
    /// The deltas in their order.
    pub edges: Vec<&'a Edge>,
}

/// The lightest ways from one release to another, the lightest first: at most
/// [`DeltaPath::PER_TARGET_MAX`] of at most [`DeltaPath::STEPS_MAX`] deltas, each lighter than the artifact
/// of `artifact_bytes`. Several deltas are a way only where they are lighter together than the one that
/// leads there at once: else every delta that is made would change the plans of machines that do not gain by it.
///
/// They lead over releases alone that `may_have` lets pass: a delta discloses what it makes. Of `to` it is
/// not asked. All deltas lead upwards.
pub fn ways<'a>(
    edges: &'a [Edge],
    (from, to): (&Version, &Version),
    artifact_bytes: u64,
    mut may_have: impl FnMut(&Version) -> bool,
) -> Vec<Way<'a>> {
    let upwards = |edge: &&Edge| edge.from < edge.to && edge.to <= *to;
    let mut out: BTreeMap<&Version, Vec<&Edge>> = BTreeMap::new();
    for edge in edges.iter().filter(upwards) {
        out.entry(&edge.from).or_default().push(edge);
    }
    let mut asked: BTreeMap<&Version, bool> = BTreeMap::new();
    let mut found = Vec::new();
    let start = Way { bytes: 0, edges: Vec::new() };
    let mut ends: BTreeMap<&Version, Vec<Way<'a>>> = BTreeMap::from([(from, vec![start])]);
    for _ in 0..DeltaPath::STEPS_MAX {
        let mut next: BTreeMap<&Version, Vec<Way<'a>>> = BTreeMap::new();
        for (end, ways) in &ends {
            for edge in out.get(end).into_iter().flatten().copied() {
                if edge.to != *to && !*asked.entry(&edge.to).or_insert_with(|| may_have(&edge.to)) {
                    continue;
                }
                let longer = ways.iter().filter_map(|way| way.and(edge));
                let lighter = longer.filter(|way| way.bytes < artifact_bytes);
                next.entry(&edge.to).or_default().extend(lighter);
            }
        }
        // Whatever follows, it makes no lighter way of a heavier one.
        next.values_mut().for_each(keep_lightest);
        found.extend(next.remove(to).unwrap_or_default());
        ends = next;
    }
    let direct = found.iter().filter(|way| way.edges.len() == 1).map(|way| way.bytes).min();
    found.retain(|way| way.edges.len() == 1 || direct.is_none_or(|direct| way.bytes < direct));
    keep_lightest(&mut found);
    found
}

impl<'a> Way<'a> {
    fn and(&self, edge: &'a Edge) -> Option<Self> {
        let bytes = self.bytes.checked_add(edge.length)?;
        let mut edges = self.edges.clone();
        edges.push(edge);
        Some(Self { bytes, edges })
    }
}

fn keep_lightest(ways: &mut Vec<Way<'_>>) {
    let key = |way: &Way<'_>| {
        let digests = way.edges.iter().map(|edge| *edge.sha256.as_bytes()).collect::<Vec<_>>();
        (way.bytes, way.edges.len(), digests)
    };
    ways.sort_by_cached_key(key);
    ways.truncate(DeltaPath::PER_TARGET_MAX);
}
