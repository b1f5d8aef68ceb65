//! What is wrong with the copies of what the machine trusts, as far as can be said without the
//! server: whether each is what somebody signed who may.

use std::{collections::BTreeMap, io, path::Path};

use crate::{
    client::{
        Enrolment, files,
        trust_store::{Noted, Stored, TrustStore},
    },
    format::{ChannelName, Digest, Plan},
    install::{Finding, Repair, What, unreadable},
    tuf::{
        self, DIRECTOR, Delegations, Envelope, KeyId, Limits, PublicKey, RoleKeys, Snapshot,
        Targets, TrustedRoot,
    },
};

/// Who must have signed a document: keys, and of which role. Nothing where that cannot be known.
type Signers<'a> = Option<(&'a BTreeMap<KeyId, PublicKey>, &'a RoleKeys)>;

/// A document as it lies there.
enum Copy {
    Absent,
    Bytes(Vec<u8>),
    /// It cannot be what was stored.
    Unusable(Finding),
}

/// Looks at every copy. That one is old is nothing: what is old is verified for what it was.
pub(super) fn examine(store: &TrustStore, enrolment: &Enrolment, limits: Limits) -> Vec<Finding> {
    let mut found = Vec::new();
    let root = match copy(store, Stored::Root) {
        Copy::Bytes(bytes) => match trusted_root(&bytes, enrolment, limits) {
            Ok(root) => Some(root),
            Err(why) => {
                found.push(damaged(&store.path(Stored::Root), &why));
                None
            }
        },
        Copy::Absent => {
            found.push(damaged(&store.path(Stored::Root), "it is gone"));
            None
        }
        Copy::Unusable(finding) => {
            found.push(finding);
            None
        }
    };
    let root = root.as_ref().map(TrustedRoot::root);
    let of = |role: fn(&tuf::RootRoles) -> &RoleKeys| root.map(|it| (&it.keys, role(&it.roles)));
    let examination = Examination { store, has_checked: store.path(Stored::Plan).exists() };
    let _ = examination.look::<tuf::Timestamp>(
        Stored::Timestamp,
        of(|roles| &roles.timestamp),
        &mut found,
    );
    let _ = examination.look::<Snapshot>(Stored::Snapshot, of(|roles| &roles.snapshot), &mut found);
    let targets =
        examination.look::<Targets>(Stored::Targets, of(|roles| &roles.targets), &mut found);
    let delegations = targets.as_ref().and_then(|targets| targets.delegations.as_ref());
    for name in channels(store) {
        let keys = delegations.and_then(|it| Some((&it.keys, it.role_keys(name.as_str())?)));
        // A role to which nobody delegates any more is nobody's concern.
        if delegations.is_none() || keys.is_some() {
            let _ = examination.look::<Targets>(Stored::Channel(&name), keys, &mut found);
        }
    }
    let director = delegations.and_then(|it| Some((&it.keys, director(it)?)));
    let _ = examination.look::<Plan>(Stored::Plan, director, &mut found);
    found.extend(Noted::ALL.into_iter().filter_map(|number| noted(store, number)));
    found
}

fn director(delegations: &Delegations) -> Option<&RoleKeys> {
    delegations.role(DIRECTOR).map(|role| &role.keys)
}

fn channels(store: &TrustStore) -> Vec<ChannelName> {
    let mut channels = store.channels();
    channels.sort_unstable();
    channels
}

struct Examination<'a> {
    store: &'a TrustStore,
    /// Whether the machine has checked before, and so has had all the others.
    has_checked: bool,
}

impl Examination<'_> {
    /// The document, if it is what somebody signed who may; what is wrong with it goes to `found`.
    fn look<T: serde::de::DeserializeOwned>(
        &self,
        document: Stored<'_>,
        signers: Signers<'_>,
        found: &mut Vec<Finding>,
    ) -> Option<T> {
        let path = self.store.path(document);
        let bytes = match copy(self.store, document) {
            Copy::Bytes(bytes) => bytes,
            Copy::Absent => {
                if self.has_checked {
                    found.push(damaged(&path, "it is gone"));
                }
                return None;
            }
            Copy::Unusable(finding) => {
                found.push(finding);
                return None;
            }
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let read = Envelope::parse(&name, &bytes).and_then(|envelope| {
            if let Some((keys, role)) = signers {
                envelope.verify(keys, role)?;
            }
            envelope.document::<T>()
        });
        match read {
            Ok(read) => signers.is_some().then_some(read),
            Err(refusal) => {
                let finding = damaged(&path, &refusal.to_string());
                // The next check brings the newest plan; there are no others to be had.
                let is_plan = document == Stored::Plan;
                found.push(if is_plan { finding.repaired_by(Repair::Remove) } else { finding });
                None
            }
        }
    }
}

fn copy(store: &TrustStore, document: Stored<'_>) -> Copy {
    let path = store.path(document);
    match files::read(&path, store.bytes_max(document)) {
        Ok(bytes) => Copy::Bytes(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Copy::Absent,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Copy::Unusable(unreadable(&path, &error))
        }
        Err(error) => Copy::Unusable(damaged(&path, &error.to_string())),
    }
}

/// The root, if it is the one that was pinned or may have come after it.
fn trusted_root(
    bytes: &[u8],
    enrolment: &Enrolment,
    limits: Limits,
) -> Result<TrustedRoot, String> {
    let root = TrustedRoot::pin(bytes, limits)
        .and_then(|root| root.of(&enrolment.product))
        .map_err(|refusal| refusal.to_string())?;
    let (version, pinned) = (root.version(), enrolment.root_version);
    if version < pinned {
        return Err(format!(
            "it is version {version}: {pinned} was pinned when the machine enrolled"
        ));
    }
    if version == pinned && Digest::of(bytes) != enrolment.root_sha256 {
        let found = Digest::of(bytes);
        return Err(format!("it has SHA-256 {found}: {} was pinned", enrolment.root_sha256));
    }
    Ok(root)
}

fn damaged(path: &Path, why: &str) -> Finding {
    let message = format!("{why}: expected the copy of a document that was verified");
    Finding::by_hand(What::Trust, path, message).repaired_by(Repair::FetchMetadata)
}

/// What is wrong with a number that was noted.
fn noted(store: &TrustStore, number: Noted) -> Option<Finding> {
    let path = store.noted_path(number);
    if !path.exists() || store.noted(number).is_some() {
        return None;
    }
    let lost = match number {
        Noted::RefusedPlan | Noted::Obstacles => "the server may be told of a refusal once more",
        Noted::CollectionWaiting => "the server may be told once more that a bundle waits",
        Noted::CollectionAnswered => "a support bundle that was sent may be sent once more",
        Noted::OrderDone => "the newest plan alone says then which orders are old",
        Noted::RootSeen => "the copy of the root alone says then which roots are old",
    };
    let message = format!("it holds no number: expected one; without it, {lost}");
    Some(Finding::by_hand(What::Trust, &path, message).repaired_by(Repair::Remove))
}
