//! What of an installation is not as Mainstay left it: all of it, and nothing is changed.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Layout, Limits,
    error::ErrorKind,
    finding::{Finding, Repair, What, add_news},
    journal::{Journal, Stage},
    lock,
    observed::{Current, Observed},
    old_tree::changed_names,
    permissions::{self, entries, unreadable},
    record::{KeptTree, Recorded},
    sentence,
};
use crate::{
    format::Version,
    pack::{self, PayloadIdentity},
};

/// Whether whoever looks at an installation is the one that has its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looking {
    /// Nobody else is at work.
    Locked,
    /// Somebody else may be.
    Unlocked,
}

/// Looks at everything that can be looked at of the installation at `layout`. What another process is
/// just doing may be found unfinished; what it is just making is not taken for left over.
///
/// Of trees every byte is read, whatever their seals say. Findings stand in the order in which they
/// are put right: what others need comes first.
pub(crate) fn examine(layout: &Layout, limits: &Limits, looking: Looking) -> Vec<Finding> {
    let mut found = permissions::examine(layout);
    add_news(&mut found, missing_directories(layout));
    let journal = Observed::of(layout)
        .map_err(|error| Finding::by_hand(What::Unreadable, &layout.versions(), sentence(&error)))
        .and_then(|observed| Ok((journal(layout, limits, &observed)?, observed)));
    let (journal, observed) = match journal {
        Ok(read) => read,
        Err(finding) => {
            add_news(&mut found, [finding]);
            // Who does not know what should be there cannot say what else is wrong.
            return found;
        }
    };
    let is_settled = matches!(journal.stage, Stage::Idle | Stage::Probation(_));
    if !is_settled {
        add_news(&mut found, [unfinished(layout, &journal)]);
    }
    for kept in &journal.record.trees {
        add_news(&mut found, tree(layout, limits, kept, journal.record.running.as_ref()));
    }
    if is_settled {
        found.extend(current(layout, &observed.current, journal.record.running.as_ref()));
        add_news(&mut found, left_over(layout, &journal, looking));
    }
    found
}

fn missing_directories(layout: &Layout) -> impl Iterator<Item = Finding> {
    let directories = layout.directories().into_iter();
    let is_missing = |path: &Path| {
        fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    directories.filter(move |(path, _)| is_missing(path)).map(|(path, mode)| {
        let message = "it is gone: expected a directory of Mainstay's own";
        Finding::by_hand(What::Missing, &path, message).repaired_by(Repair::MakeDirectory(mode))
    })
}

/// The journal, or what is wrong with it.
fn journal(layout: &Layout, limits: &Limits, observed: &Observed) -> Result<Journal, Finding> {
    let path = layout.journal();
    let damaged = |message: String| {
        let message = format!(
            "{message}; nothing of it is believed. Whoever has a copy from before may put that back"
        );
        Finding::by_hand(What::Journal, &path, message).repaired_by(Repair::RestoreJournal)
    };
    match Journal::read(layout, limits) {
        Ok(Some(journal)) => Ok(journal),
        Ok(None) if observed.current == Current::Nothing && observed.trees.is_empty() => {
            Ok(Journal::default())
        }
        Ok(None) => Err(damaged("it is gone: expected it beside what is installed".to_owned())),
        Err(error) => Err(match (error.journal_damage(), error.kind()) {
            (Some(what), _) => damaged(format!("it is damaged or was changed by hand: {what}")),
            (None, ErrorKind::JournalDamaged) => {
                Finding::by_hand(What::JournalFormat, &path, error.to_string())
            }
            _ => Finding::by_hand(What::Unreadable, &path, sentence(&error)),
        }),
    }
}

fn unfinished(layout: &Layout, journal: &Journal) -> Finding {
    let attempted = Recorded::of(journal, layout).attempted;
    let attempted = attempted.map_or_else(|| "a version".to_owned(), |it| it.to_string());
    let message = format!(
        "a change to {attempted} is under way by another agent, or was cut off: expected nothing to \
         be going on"
    );
    Finding::by_hand(What::Unfinished, &layout.journal(), message).repaired_by(Repair::Recover)
}

/// What is wrong with a tree that the journal says is kept.
fn tree(
    layout: &Layout,
    limits: &Limits,
    kept: &KeptTree,
    running: Option<&Version>,
) -> Option<Finding> {
    let KeptTree { version, artifact, .. } = kept;
    let path = layout.tree(version);
    let fetched = |what, message: String| {
        let repair = Repair::FetchTree(version.clone());
        Some(Finding::by_hand(what, &path, message).repaired_by(repair))
    };
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            let message = "it is no directory: expected the tree of a version; move it away";
            return Some(Finding::by_hand(What::Obstructed, &path, message));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = "it is gone: expected the tree of a version that is kept";
            return fetched(What::TreeMissing, message.to_owned());
        }
        Err(error) => return Some(unreadable(&path, &error)),
    }
    let signed = PayloadIdentity::from(artifact);
    let packed = pack::scan_tree(&path, &limits.pack)
        .and_then(|plan| Ok((plan.identity(&mut |_| {})?, plan)));
    match packed {
        Ok((found, _)) if found == signed => None,
        Ok((found, plan)) => fetched(
            What::TreeChanged,
            format!(
                "somebody changed it{}: it packs to {} bytes with SHA-256 {}, and {} bytes with {} were \
                 signed",
                changed_names(layout, running, version, &plan),
                found.length,
                found.sha256,
                signed.length,
                signed.sha256
            ),
        ),
        Err(error) if error.kind() == pack::ErrorKind::FileSystem => {
            Some(Finding::by_hand(What::Unreadable, &path, sentence(&error)))
        }
        Err(error) => {
            fetched(What::TreeChanged, format!("somebody changed it: {}", sentence(&error)))
        }
    }
}

/// What is wrong with the link to what runs.
fn current(layout: &Layout, found: &Current, running: Option<&Version>) -> Option<Finding> {
    let path = layout.current();
    let points = match found {
        Current::Nothing => "it is gone".to_owned(),
        Current::Version(version) => format!("it points to versions/{version}"),
        Current::Elsewhere => match fs::read_link(&path) {
            Ok(target) => format!("it points to `{}`", target.display()),
            Err(_) => "it points elsewhere".to_owned(),
        },
        Current::Obstructed => "it is no symbolic link".to_owned(),
    };
    match (found, running) {
        (Current::Nothing, None) => None,
        (Current::Version(version), Some(running)) if version == running => None,
        (Current::Obstructed, _) => {
            let message = format!("{points}: expected the link that Mainstay makes; move it away");
            Some(Finding::by_hand(What::Obstructed, &path, message))
        }
        (_, None) => {
            let message = format!("{points}, and the journal says that nothing runs; move it away");
            Some(Finding::by_hand(What::Current, &path, message))
        }
        (_, Some(running)) => {
            let message =
                format!("{points}: expected versions/{running}, which runs as the journal has it");
            let finding = Finding::by_hand(What::Current, &path, message);
            Some(finding.repaired_by(Repair::Point(running.clone())))
        }
    }
}

/// What a crash left, and what nothing names any more. While an update is downloaded and unpacked the
/// journal names nothing of it, so that is known only where nobody else is at work.
fn left_over(layout: &Layout, journal: &Journal, looking: Looking) -> Vec<Finding> {
    let mut paths = unnamed(layout, journal);
    if looking == Looking::Unlocked && !paths.is_empty() {
        if lock::is_held(&layout.lock()) {
            return Vec::new();
        }
        // Whoever made it may have come to an end since, and have taken it away.
        paths.retain(|path| fs::symlink_metadata(path).is_ok());
    }
    let finding = |path: PathBuf| {
        let message = "it was left over: expected nothing that the journal does not name";
        Finding::by_hand(What::LeftOver, &path, message).repaired_by(Repair::Remove)
    };
    paths.into_iter().map(finding).collect()
}

/// What is there of all that is made and removed again, and the journal does not name.
fn unnamed(layout: &Layout, journal: &Journal) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    for directory in [layout.staging(), layout.trash()] {
        paths.extend(entries(&directory));
    }
    for path in entries(&layout.versions()) {
        if name_of(&path).parse::<Version>().is_ok_and(|version| !journal.names(&version)) {
            paths.insert(path);
        }
    }
    for path in entries(&layout.snapshots()) {
        if !journal.names_snapshot(&name_of(&path)) {
            paths.insert(path);
        }
    }
    let trust = layout.trust();
    let private = layout.private();
    for directory in [&private, &trust, &trust.join("channels"), &private.join("components")] {
        let begun =
            entries(directory).into_iter().filter(|path| name_of(path).starts_with(".new-"));
        paths.extend(begun);
    }
    paths.extend(Some(layout.staged_journal()).filter(|path| path.exists()));
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
