use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    format::{ChannelName, Digest, ReleaseManifest},
    tuf::{DelegatedRole, Header, KeyId, Metadata, Paths, PublicKey, RoleKeys, Root, Targets},
};

use super::{
    super::{product::OFFLINE_LIFETIME, publish::CHANNEL_LIFETIME},
    line::line_words,
    review::{Body, Document, Requirement, Review},
};

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
    for instead in &review.signed_instead {
        lines
            .push(format!("ATTENTION: this computer has signed something else before: {instead}."));
    }
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
            lines.extend(long_life(&next.header, review.now, OFFLINE_LIFETIME));
            lines.extend(root_lines(&base.root, next, names));
        }
        Body::Targets(next) => {
            lines.push(heading("targets", Some(&base.targets.header), &next.header));
            lines.extend(long_life(&next.header, review.now, OFFLINE_LIFETIME));
            lines.extend(targets_lines(&base.targets, next, names));
            lines.extend(line_words(&base.targets.lines, &next.lines, review.now));
        }
        Body::Channel(next) => {
            let present =
                document.name.parse::<ChannelName>().ok().and_then(|name| base.channels.get(&name));
            let what = format!("channel {}", document.name);
            lines.push(heading(&what, present.map(Metadata::header), next.header()));
            lines.extend(long_life(next.header(), review.now, CHANNEL_LIFETIME));
            lines.push(match &review.manifest {
                None if !review.retire.is_empty() => retired_line(review, &document.name, next),
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

/// What a retirement does to the role `name`.
fn retired_line(review: &Review, name: &str, next: &Targets) -> String {
    let moved = review.moved(name);
    let versions: Vec<_> = moved.iter().map(ToString::to_string).collect();
    let (versions, lists) = (versions.join(", "), Review::releases(next));
    if name == ChannelName::ARCHIVE {
        let kept = counted(lists.saturating_sub(moved.len()));
        format!("  lists its {kept} unchanged, and TAKES IN as retired: {versions}")
    } else {
        format!("  lists {} unchanged, and RETIRES to the archive: {versions}", counted(lists))
    }
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

/// Says so where a document is good for more than twice as long as is `usual`.
fn long_life(next: &Header, now: Timestamp, usual: SignedDuration) -> Option<String> {
    let days = |span: SignedDuration| span.as_hours() / 24;
    let life = next.expires.duration_since(now);
    (days(life) > 2 * days(usual)).then(|| {
        format!("  UNUSUALLY LONG: it is good for {} days; usual are {}", days(life), days(usual))
    })
}

fn root_lines(present: &Root, next: &Root, names: &Names) -> Vec<String> {
    let (old, new) = (&present.roles, &next.roles);
    let unpinned = (present.consistent_snapshot && !next.consistent_snapshot)
        .then(|| "  consistent_snapshot is TURNED OFF".to_owned());
    let unused =
        unused_lines(&next.keys, [&new.root, &new.targets, &new.timestamp, &new.snapshot], names);
    [
        ("root", &old.root, &new.root),
        ("targets", &old.targets, &new.targets),
        ("timestamp", &old.timestamp, &new.timestamp),
        ("snapshot", &old.snapshot, &new.snapshot),
    ]
    .into_iter()
    .flat_map(|(what, old, new)| role_lines(&format!("{what} keys"), old, new, names))
    .chain(unpinned)
    .chain(unused)
    .collect()
}

fn targets_lines(present: &Targets, next: &Targets, names: &Names) -> Vec<String> {
    let (old, new) = (roles(present), roles(next));
    let find =
        |roles: &[DelegatedRole], name: &str| roles.iter().find(|role| role.name == name).cloned();
    let mut lines = Vec::new();
    for role in new {
        match find(old, &role.name) {
            None => {
                lines.push(format!("  NEW role {}", role.name.escape_debug()));
                lines.extend(described(role, names));
            }
            Some(known) => lines.extend(delegation_lines(&known, role, names)),
        }
    }
    for role in old.iter().filter(|role| find(new, &role.name).is_none()) {
        lines.push(format!("  role {} is REMOVED; it was", role.name.escape_debug()));
        lines.extend(described(role, names));
    }
    if order(old) != order(new) {
        lines.push(format!(
            "  OTHER order of the roles: the first that may speak for a file is asked: {} (until \
             now {})",
            order(new),
            order(old)
        ));
    }
    let described = next.delegations.iter().flat_map(|listed| {
        unused_lines(&listed.keys, listed.roles.iter().map(|role| &role.keys), names)
    });
    lines.extend(described);
    lines
}

fn roles(targets: &Targets) -> &[DelegatedRole] {
    targets.delegations.as_ref().map_or(&[], |listed| &listed.roles)
}

/// The roles in the order in which machines ask them.
fn order(roles: &[DelegatedRole]) -> String {
    let names: Vec<_> = roles.iter().map(|role| role.name.escape_debug().to_string()).collect();
    names.join(", ")
}

/// What is different about a role.
fn delegation_lines(old: &DelegatedRole, new: &DelegatedRole, names: &Names) -> Vec<String> {
    let name = new.name.escape_debug();
    let mut lines = role_lines(&format!("keys of {name}"), &old.keys, &new.keys, names);
    if old.paths != new.paths {
        lines.push(format!(
            "  OTHER paths of {name}: {} (until now {})",
            paths(&new.paths),
            paths(&old.paths)
        ));
    }
    if old.terminating != new.terminating {
        lines.push(format!(
            "  {name} becomes {}; until now {}",
            terminating(new),
            terminating(old)
        ));
    }
    lines
}

/// All that a role may do.
fn described(role: &DelegatedRole, names: &Names) -> Vec<String> {
    let keys: Vec<_> = role.keys.keyids.iter().map(|id| called(id, names)).collect();
    vec![
        format!("    {} of {} must sign: {}", role.keys.threshold, keys.len(), keys.join(", ")),
        format!("    paths: {}", paths(&role.paths)),
        format!("    {}", terminating(role)),
    ]
}

fn paths(paths: &Paths) -> String {
    let quoted = |text: &dyn std::fmt::Display| format!("`{}`", text.to_string().escape_debug());
    let listed: Vec<_> = match paths {
        Paths::Patterns(patterns) => patterns.iter().map(|pattern| quoted(pattern)).collect(),
        Paths::HashPrefixes(prefixes) => prefixes
            .iter()
            .map(|prefix| format!("SHA-256 {}…", quoted(&String::from(prefix.clone()))))
            .collect(),
    };
    if listed.is_empty() { "none".to_owned() } else { listed.join(", ") }
}

fn terminating(role: &DelegatedRole) -> &'static str {
    if role.terminating {
        "terminating (no later role is asked for its paths)"
    } else {
        "not terminating (later roles are asked for its paths, too)"
    }
}

/// Keys that are described and may do nothing.
fn unused_lines<'a>(
    keys: &BTreeMap<KeyId, PublicKey>,
    roles: impl IntoIterator<Item = &'a RoleKeys>,
    names: &Names,
) -> Vec<String> {
    let used: BTreeSet<_> = roles.into_iter().flat_map(|role| &role.keyids).collect();
    let unused = keys.keys().filter(|id| !used.contains(id));
    unused.map(|id| format!("  describes key {}, which no role lists", called(id, names))).collect()
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
    let channel = match &manifest.private_channel {
        Some(private) => format!("{}, custom build of channel {private}", manifest.channel),
        None => manifest.channel.to_string(),
    };
    format!(
        "{} ({channel}, severity {}, for {}{fixes})",
        manifest.version,
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
