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

/// The deltas that are kept of one product and platform, by the release that they are applied to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edges(BTreeMap<Version, Vec<Edge>>);

impl Edges {
    /// Adds one.
    pub fn add(&mut self, edge: Edge) {
        self.0.entry(edge.from.clone()).or_default().push(edge);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn from(&self, version: &Version) -> &[Edge] {
        self.0.get(version).map(Vec::as_slice).unwrap_or_default()
    }
}

impl FromIterator<Edge> for Edges {
    fn from_iter<I: IntoIterator<Item = Edge>>(edges: I) -> Self {
        let mut all = Self::default();
        edges.into_iter().for_each(|edge| all.add(edge));
        all
    }
}

/// The lightest ways from one release to another, the lightest first: at most
/// [`DeltaPath::PER_TARGET_MAX`] of at most [`DeltaPath::STEPS_MAX`] deltas of one profile, each lighter
/// than the artifact of `artifact_bytes`. Several deltas are a way only where they are lighter together
/// than the one that leads there at once: else every delta that is made would change the plans of machines
/// that do not gain by it. Nor is a *compact* way one that is no lighter than a *fast* one; of those that
/// are, half of the places are left to *fast* ones.
///
/// They lead over releases alone that `may_have` lets pass: a delta discloses what it makes. Of `to` it is
/// not asked. All deltas lead upwards.
pub fn ways<'a>(
    edges: &'a Edges,
    between: (&'a Version, &'a Version),
    artifact_bytes: u64,
    mut may_have: impl FnMut(&Version) -> bool,
) -> Vec<Way<'a>> {
    let mut asked: BTreeMap<&Version, bool> = BTreeMap::new();
    let mut leads_over =
        |version: &'a Version| *asked.entry(version).or_insert_with(|| may_have(version));
    let mut found = ways_of(edges, DeltaProfile::Fast, between, artifact_bytes, &mut leads_over);
    let bytes_max = found.first().map_or(artifact_bytes, |lightest| lightest.bytes);
    let mut compact = ways_of(edges, DeltaProfile::Compact, between, bytes_max, &mut leads_over);
    compact.truncate(DeltaPath::PER_TARGET_MAX / 2);
    found.truncate(DeltaPath::PER_TARGET_MAX - compact.len());
    compact.append(&mut found);
    compact
}

/// The lightest ways of deltas of one profile, the lightest first, each lighter than `bytes_max`.
fn ways_of<'a>(
    edges: &'a Edges,
    profile: DeltaProfile,
    (from, to): (&'a Version, &'a Version),
    bytes_max: u64,
    leads_over: &mut impl FnMut(&'a Version) -> bool,
) -> Vec<Way<'a>> {
    let is_upwards = |edge: &&Edge| edge.from < edge.to && edge.to <= *to;
    let mut found = Vec::new();
    let start = Way { bytes: 0, edges: Vec::new() };
    let mut ends: BTreeMap<&Version, Vec<Way<'a>>> = BTreeMap::from([(from, vec![start])]);
    for _ in 0..DeltaPath::STEPS_MAX {
        let mut next: BTreeMap<&Version, Vec<Way<'a>>> = BTreeMap::new();
        for (end, ways) in &ends {
            let of_profile = edges.from(end).iter().filter(|edge| edge.profile == profile);
            for edge in of_profile.filter(is_upwards) {
                if edge.to == *to || leads_over(&edge.to) {
                    let longer = ways.iter().filter_map(|way| way.and(edge));
                    let lighter = longer.filter(|way| way.bytes < bytes_max);
                    next.entry(&edge.to).or_default().extend(lighter);
                }
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
