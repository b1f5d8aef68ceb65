use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::{
    format::{ChannelName, Digest, ReleaseManifest},
    tuf::{Header, KeyId, Metadata, RoleKeys, Root, Targets},
};

use super::review::{Body, Document, Requirement, Review};

/// What people call keys: the names of the files in this computer's directory of keys.
pub(super) type Names = BTreeMap<KeyId, String>;

/// The proposal in plain words: what changes, who has signed, who has not. Nothing in it steers a
/// terminal, whoever has written the file.
pub(super) fn words(review: &Review, names: &Names) -> String {
    let mut lines =
        vec![format!("Proposal for {}, built upon revision {}.", review.product, review.revision)];
    for document in &review.documents {
        lines.push(String::new());
        lines.extend(document_lines(review, document, names));
    }
    lines.push(String::new());
    lines.push(if review.is_complete() {
        "Everybody has signed who must. Next: mainstay trust submit FILE".to_owned()
    } else {
        "Signatures are missing. Next: mainstay trust sign FILE --key NAME".to_owned()
    });
    let text = lines.join("\n");
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

fn document_lines(review: &Review, document: &Document, names: &Names) -> Vec<String> {
    let base = &review.base;
    let mut lines = Vec::new();
    match &document.body {
        Body::Root(next) => {
            lines.push(heading("root", Some(&base.root.header), &next.header));
            lines.extend(root_lines(&base.root, next, names));
        }
        Body::Targets(next) => {
            lines.push(heading("targets", Some(&base.targets.header), &next.header));
            lines.extend(targets_lines(&base.targets, next, names));
        }
        Body::Channel(next) => {
            let present =
                document.name.parse::<ChannelName>().ok().and_then(|name| base.channels.get(&name));
            let what = format!("channel {}", document.name);
            lines.push(heading(&what, present.map(Metadata::header), next.header()));
            lines.push(match &review.manifest {
                None => format!("  lists its {} unchanged", counted(Review::releases(next))),
                Some(manifest) => format!(
                    "  lists its {} unchanged, and one more: {}",
                    counted(Review::releases(next).saturating_sub(1)),
                    release(manifest)
                ),
            });
        }
    }
    lines.push(format!("  SHA-256 of what is signed: {}", spoken(&document.sha256())));
    for requirement in &document.requirements {
        lines.push(requirement_line(document, requirement, names));
    }
    lines
}

fn heading(what: &str, present: Option<&Header>, next: &Header) -> String {
    match present {
        Some(present) => format!(
            "{what}: version {} follows {}; expires {} (the present one: {})",
            next.version, present.version, next.expires, present.expires
        ),
        None => format!("{what}: its first version; expires {}", next.expires),
    }
}

fn root_lines(present: &Root, next: &Root, names: &Names) -> Vec<String> {
    let (old, new) = (&present.roles, &next.roles);
    let unpinned = (present.consistent_snapshot && !next.consistent_snapshot)
        .then(|| "  consistent_snapshot is TURNED OFF".to_owned());
    [
        ("root", &old.root, &new.root),
        ("targets", &old.targets, &new.targets),
        ("timestamp", &old.timestamp, &new.timestamp),
        ("snapshot", &old.snapshot, &new.snapshot),
    ]
    .into_iter()
    .flat_map(|(what, old, new)| role_lines(&format!("{what} keys"), old, new, names))
    .chain(unpinned)
    .collect()
}

fn targets_lines(present: &Targets, next: &Targets, names: &Names) -> Vec<String> {
    let roles = |targets: &Targets| -> BTreeMap<String, _> {
        let delegations = targets.delegations.iter();
        let roles = delegations.flat_map(|delegations| delegations.roles.clone());
        roles.map(|role| (role.name.clone(), role)).collect()
    };
    let (old, new) = (roles(present), roles(next));
    let mut lines = Vec::new();
    for (name, role) in &new {
        let name = name.escape_debug();
        match old.get(&role.name) {
            None => lines.push(format!("  NEW role {name}")),
            Some(known) => {
                lines.extend(role_lines(
                    &format!("keys of {name}"),
                    &known.keys,
                    &role.keys,
                    names,
                ));
                if known.paths != role.paths || known.terminating != role.terminating {
                    lines.push(format!("  OTHER paths of role {name}"));
                }
            }
        }
    }
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    lines.extend(gone.map(|name| format!("  role {} is REMOVED", name.escape_debug())));
    let still = order(present).filter(|name| new.contains_key(*name));
    if still.ne(order(next).filter(|name| old.contains_key(*name))) {
        lines.push(
            "  OTHER order of the roles: the first that may speak for a file is asked".to_owned(),
        );
    }
    if next.targets != present.targets {
        lines.push("  OTHER targets of its own".to_owned());
    }
    lines
}

/// The roles in the order in which machines ask them.
fn order(targets: &Targets) -> impl Iterator<Item = &String> {
    targets.delegations.iter().flat_map(|listed| listed.roles.iter().map(|role| &role.name))
}

fn role_lines(what: &str, old: &RoleKeys, new: &RoleKeys, names: &Names) -> Vec<String> {
    let mut lines = Vec::new();
    let difference = |a: &RoleKeys, b: &RoleKeys, sign: &str| -> Vec<String> {
        let only = a.keyids.difference(&b.keyids);
        only.map(|id| format!("  {what}: {sign} {}", called(id, names))).collect()
    };
    lines.extend(difference(new, old, "added"));
    lines.extend(difference(old, new, "REMOVED"));
    if old.threshold != new.threshold {
        lines.push(format!(
            "  {what}: {} of {} must sign (until now {} of {})",
            new.threshold,
            new.keyids.len(),
            old.threshold,
            old.keyids.len()
        ));
    }
    lines
}

fn requirement_line(document: &Document, required: &Requirement, names: &Names) -> String {
    let signed = required.signed(&document.envelope);
    let list = |ids: &mut dyn Iterator<Item = &KeyId>| {
        ids.map(|id| called(id, names)).collect::<Vec<_>>().join(", ")
    };
    let mut line = vec![format!(
        "  {}: {} of {} needed signatures",
        required.who,
        signed.len().min(usize::try_from(required.role.threshold.get()).unwrap_or(usize::MAX)),
        required.role.threshold
    )];
    if !signed.is_empty() {
        line.push(format!("signed by {}", list(&mut signed.iter())));
    }
    let missing = required.missing(&document.envelope);
    if missing > 0 {
        let open: BTreeSet<_> = required.role.keyids.difference(&signed).collect();
        let open = list(&mut open.into_iter());
        line.push(format!("MISSING {missing} of {open}"));
    }
    line.join("; ")
}

fn called(id: &KeyId, names: &Names) -> String {
    match names.get(id) {
        Some(name) => format!("{} ({id})", name.escape_debug()),
        None => id.to_string(),
    }
}

fn release(manifest: &ReleaseManifest) -> String {
    let platforms: Vec<_> = manifest.artifacts.keys().map(ToString::to_string).collect();
    let advisories: Vec<_> = manifest.advisories.iter().map(ToString::to_string).collect();
    let fixes = if advisories.is_empty() {
        String::new()
    } else {
        format!(", fixes {}", advisories.join(", "))
    };
    format!(
        "{} ({}, severity {}, for {}{fixes})",
        manifest.version,
        manifest.channel,
        manifest.severity,
        platforms.join(", ")
    )
}

fn counted(releases: usize) -> String {
    if releases == 1 { "1 release".to_owned() } else { format!("{releases} releases") }
}

/// A digest in groups of four, to be read aloud.
fn spoken(digest: &Digest) -> String {
    let text = digest.to_string();
    let groups: Vec<_> = text
        .as_bytes()
        .chunks(4)
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    groups.join(" ")
}
