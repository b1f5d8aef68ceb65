//! The command `doctor`, and what it tells people.

use std::{io::Write as _, path::Path};

use super::{
    Document,
    progress::{Json, Shown},
    text,
};
use crate::{
    client::{
        Surroundings,
        doctor::{Diagnosis, Doctor, Finding},
    },
    document::{Answer, FindingDocument, diagnosed, treated},
    error::Error,
};

/// Says what is wrong with the installation at `dir`.
pub(super) fn examine(dir: &Path) -> Result<Answer, Error> {
    Ok(diagnosed(&Diagnosis::read(dir)?))
}

/// Puts right what can be put right of the installation at `dir`, after saying what that is.
pub(super) fn treat(
    dir: &Path,
    surroundings: Surroundings,
    json: Option<Json>,
) -> Result<Answer, Error> {
    let doctor = Doctor::open_within(dir, surroundings)?;
    let mut show = Shown::new(json);
    let mut announce = |planned: &[Finding]| match json {
        None => {
            let text = text::printed(&announced(planned));
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
        }
        Some(Json::Stream) => Document::of_repairs(planned).print_json(),
        Some(Json::Document) => {}
    };
    let treatment = doctor.treat(&mut announce, &mut |progress| show.tell(&progress));
    drop(show);
    Ok(treated(&treatment))
}

fn announced(planned: &[Finding]) -> Vec<String> {
    let line = |finding: FindingDocument| {
        let repair = finding.repair.unwrap_or_default();
        format!("To repair: {}: {}. It will {repair}.", finding.path, finding.message)
    };
    planned.iter().map(|finding| line(finding.into())).collect()
}

/// The first line of what is told.
pub(super) fn headline(document: &Document) -> String {
    let name = document.product.as_ref().map_or("This installation", |product| product.as_str());
    let wrong = match document.doctor.as_ref().map_or(0, |doctor| doctor.findings.len()) {
        1 => "one thing is".to_owned(),
        count => format!("{count} things are"),
    };
    let repairs = document.doctor.as_ref().and_then(|doctor| doctor.repairs.as_ref());
    match document.outcome {
        "well" => format!("{name}: nothing is wrong."),
        "repaired" => format!("{name}: all that was wrong is repaired."),
        _ if repairs.is_some() => format!("{name}: {wrong} still wrong."),
        _ => format!("{name}: {wrong} wrong."),
    }
}

/// The lines after it.
pub(super) fn lines(document: &Document) -> Vec<String> {
    let Some(doctor) = &document.doctor else { return Vec::new() };
    let mut lines = Vec::new();
    for repair in doctor.repairs.iter().flatten() {
        let title = if repair.outcome == "done" { "Repaired" } else { "Not repaired" };
        lines.push(format!("{title}: {}: {}.", repair.path, repair.message));
    }
    for finding in &doctor.findings {
        let FindingDocument { path, message, repair, needs_server, .. } = finding;
        let rest = match repair {
            None => String::new(),
            Some(repair) if *needs_server => {
                format!(" `doctor --repair` will {repair}, with the server's help.")
            }
            Some(repair) => format!(" `doctor --repair` will {repair}."),
        };
        lines.push(format!("Wrong: {path}: {message}.{rest}"));
    }
    lines
}
