use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp as Instant;

use super::{DIRECTOR, Reader, listed, targets_role, unexpired};
use crate::{
    format::TargetPath,
    tuf::{Delegations, FileMeta, Metadata as _, Refusal, Root, Rule, Snapshot, Target, Targets},
};

/// A repository of which everything down to the top-level targets is trusted: accepts delegated
/// roles, finds targets, verifies plans.
#[derive(Clone, Debug)]
pub struct TrustedRepository {
    pub(super) root: Root,
    pub(super) now: Instant,
    pub(super) reader: Reader,
    pub(super) timestamp_version: u64,
    pub(super) snapshot: Snapshot,
    pub(super) targets: Targets,
    /// The accepted delegated roles by the role that delegated to them, and by name: a role that
    /// one has vouched for speaks in no other's name.
    pub(super) roles: BTreeMap<String, BTreeMap<String, Targets>>,
}

/// That one targets role delegates to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    delegator: String,
    role: String,
}

impl Delegation {
    /// The delegation of the top-level targets to `role`.
    pub fn top_level(role: &str) -> Self {
        Self { delegator: Targets::KIND.to_owned(), role: role.to_owned() }
    }

    /// The role that is delegated to.
    pub fn role(&self) -> &str {
        &self.role
    }
}

/// How far a search for a target has come.
#[derive(Debug)]
pub enum Search<'a> {
    /// The target as it is listed.
    Found(&'a Target),
    /// A role must be accepted before the search can go on.
    Load(Delegation),
    /// No role that may speak for the path lists it.
    Absent,
}

impl TrustedRepository {
    /// The longest path of a target that is searched for, in bytes.
    const PATH_BYTES_MAX: usize = 1024;

    /// The root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The timestamp's version.
    pub fn timestamp_version(&self) -> u64 {
        self.timestamp_version
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The top-level targets.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The accepted roles to which the top-level targets delegate, by name.
    pub fn roles(&self) -> &BTreeMap<String, Targets> {
        const NONE: &BTreeMap<String, Targets> = &BTreeMap::new();
        self.roles.get(Targets::KIND).unwrap_or(NONE)
    }

    /// The delegated role `name` that the snapshot lists.
    pub fn listed_role(&self, name: &str) -> Result<&FileMeta, Refusal> {
        listed(&self.snapshot, name)
    }

    /// Accepts the role `name` to which the top-level targets delegate, which is never [`DIRECTOR`]:
    /// its key is on the server, and no server may say what machines install.
    pub fn accept_role(&mut self, name: &str, bytes: &[u8]) -> Result<&Targets, Refusal> {
        self.accept(&Delegation::top_level(name), bytes)
    }

    /// Accepts the role that [`Search::Load`] asks for.
    pub fn accept(&mut self, delegation: &Delegation, bytes: &[u8]) -> Result<&Targets, Refusal> {
        let targets = self.verified(delegation, bytes)?;
        let Delegation { delegator, role } = delegation;
        unexpired(role, &targets, self.now)?;
        if self.accepted(role).is_some_and(|accepted| *accepted != targets) {
            let detail = "two documents of one version: expected the same from all who delegate";
            let version = targets.header.version.get();
            return Err(Refusal::new(role, Rule::Digest, detail).at(Some(version)));
        }
        let siblings = self.roles.entry(delegator.clone()).or_default();
        siblings.remove(role);
        Ok(siblings.entry(role.clone()).or_insert(targets))
    }

    /// The role `name` to which the top-level targets delegate, verified but for its expiry: for its
    /// owner, who is about to sign the next version of it. Nothing is to be installed by it.
    pub fn role_to_amend(&self, name: &str, bytes: &[u8]) -> Result<Targets, Refusal> {
        self.verified(&Delegation::top_level(name), bytes)
    }

    fn verified(&self, delegation: &Delegation, bytes: &[u8]) -> Result<Targets, Refusal> {
        let Delegation { delegator, role: name } = delegation;
        if *delegation == Delegation::top_level(DIRECTOR) {
            let detail = "it signs plans: expected a role that lists targets";
            return Err(Refusal::new(name, Rule::NotListed, detail));
        }
        let meta = self.listed_role(name)?;
        let delegations = self.delegations_of(delegator).ok_or_else(|| not_delegated(name))?;
        let keys = delegations.role_keys(name).ok_or_else(|| not_delegated(name))?;
        targets_role(name, bytes, meta, (&delegations.keys, keys), &self.reader)
    }

    pub(super) fn delegations(&self, wanted: &str) -> Result<&Delegations, Refusal> {
        self.targets.delegations.as_ref().ok_or_else(|| not_delegated(wanted))
    }

    fn delegations_of(&self, name: &str) -> Option<&Delegations> {
        let targets = if name == Targets::KIND { Some(&self.targets) } else { self.accepted(name) };
        targets?.delegations.as_ref()
    }

    /// The role `name`, whoever delegates to it: all have vouched for the same document.
    fn accepted(&self, name: &str) -> Option<&Targets> {
        self.roles.values().find_map(|roles| roles.get(name))
    }

    /// Finds the target `path` in the roles that are accepted.
    pub fn target(&self, path: &TargetPath) -> Result<&Target, Refusal> {
        let missing = |detail: String| Err(Refusal::new(path.as_str(), Rule::NotListed, detail));
        match self.search(path.as_str())? {
            Search::Found(target) => Ok(target),
            Search::Load(delegation) => missing(format!("role {} is not loaded", delegation.role)),
            Search::Absent => missing("no role that may speak for it lists it".to_owned()),
        }
    }

    /// Searches for the target `path` by asking the top-level targets and then, in pre-order, the
    /// delegated roles that may speak for it; the first terminating one, with those that it
    /// delegates to, has the last word (TUF 1.0.34 §5.6.7). Each role is asked once, whoever
    /// delegates to it.
    pub fn search(&self, path: &str) -> Result<Search<'_>, Refusal> {
        if path.len() > Self::PATH_BYTES_MAX {
            let detail = format!("{} bytes: expected at most {}", path.len(), Self::PATH_BYTES_MAX);
            return Err(Refusal::new("target path", Rule::Length, detail));
        }
        let mut asked = BTreeSet::new();
        let mut to_ask = Vec::new();
        let mut targets = &self.targets;
        let mut name = Targets::KIND.to_owned();
        loop {
            if let Some(target) = targets.targets.get(path) {
                return Ok(Search::Found(target));
            }
            push_speakers(&name, targets, path, &mut to_ask);
            let next = loop {
                let Some(next) = to_ask.pop() else { return Ok(Search::Absent) };
                if asked.insert(next.role.clone()) {
                    break next;
                }
            };
            if asked.len() > self.reader.limits.delegations_max {
                let most = self.reader.limits.delegations_max;
                let detail = format!("more than {most} roles may speak for it");
                return Err(Refusal::new(path, Rule::Length, detail));
            }
            let accepted = self.roles.get(&next.delegator).and_then(|roles| roles.get(&next.role));
            match accepted {
                Some(accepted) => targets = accepted,
                None => return Ok(Search::Load(next)),
            }
            name = next.role;
        }
    }
}

/// Puts those to whom `delegator` delegates `path` on the stack, the first one on top. A terminating
/// one takes away everybody who would come after it.
fn push_speakers(delegator: &str, targets: &Targets, path: &str, to_ask: &mut Vec<Delegation>) {
    let mut next = Vec::new();
    for (role, terminating) in
        targets.delegations.iter().flat_map(|delegations| delegations.speakers(path))
    {
        let delegation = Delegation { delegator: delegator.to_owned(), role };
        if delegation == Delegation::top_level(DIRECTOR) {
            continue;
        }
        next.push(delegation);
        if terminating {
            to_ask.clear();
            break;
        }
    }
    to_ask.extend(next.into_iter().rev());
}

pub(super) fn not_delegated(name: &str) -> Refusal {
    Refusal::new(name, Rule::NotListed, "the product's targets do not delegate to it")
}
