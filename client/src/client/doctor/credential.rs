//! What is wrong with what the machine is known by, and with its settings.

use std::{io, path::Path};

use secrecy::SecretString;

use super::settings;
use crate::{
    client::{
        Enrolment,
        enrolment::{key_path, token_path},
        files,
    },
    install::{Finding, Layout, What, unreadable},
    tuf::SigningKey,
};

const ENROL: &str = "enrol again (`mainstay-agent enroll`): what runs and what is trusted stay";

/// What is wrong with the settings of the installation at `layout`.
pub(super) fn examine_settings(layout: &Layout) -> Vec<Finding> {
    let path = layout.settings();
    let finding = |message: String| Finding::by_hand(What::Settings, &path, message);
    let bytes = match files::read(&path, Enrolment::BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) => return vec![cannot_read(What::Settings, &path, &error)],
    };
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => return vec![finding(format!("it is not UTF-8 ({error}): write it anew"))],
    };
    let problems = settings::problems(text);
    if let (true, Err(error)) = (problems.is_empty(), toml::from_str::<Enrolment>(text)) {
        return vec![finding(error.to_string())];
    }
    problems.iter().map(|problem| finding(problem.to_string())).collect()
}

/// What is wrong with the settings of `enrolment` that are right by themselves.
pub(super) fn examine_enrolment(layout: &Layout, enrolment: &Enrolment) -> Vec<Finding> {
    let mut found = Vec::new();
    let path = layout.settings();
    if let Some(file) = &enrolment.ca_file
        && let Err(error) = crate::fetch::CertificateAuthority::read(file)
    {
        let message = format!("`ca_file` {}: {error}", file.display());
        found.push(Finding::by_hand(What::Settings, &path, message));
    }
    if !enrolment.preflight.command.is_empty()
        && let Err(error) = enrolment.preflight.expect_sound(&path)
    {
        found.push(Finding::by_hand(What::Settings, &path, error.to_string()));
    }
    found
}

/// What is wrong with the machine's credential and key. Whether the server knows them, it alone can
/// say.
pub(super) fn examine_credential(layout: &Layout) -> Vec<Finding> {
    let mut found = Vec::new();
    let path = token_path(layout);
    if let Err(error) = files::read(&path, Enrolment::BYTES_MAX) {
        found.push(cannot_read(What::Credential, &path, &error));
    } else if Enrolment::read_token(layout).is_err() {
        let message = format!("it holds no credential; {ENROL}");
        found.push(Finding::by_hand(What::Credential, &path, message));
    }
    let path = key_path(layout);
    match files::read(&path, Enrolment::BYTES_MAX).map(String::from_utf8) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = "it is gone: expected the machine's key; enrol again, and the server takes \
                           it for another machine from then on (`mainstay-agent enroll`)";
            found.push(Finding::by_hand(What::Credential, &path, message));
        }
        Err(error) => found.push(cannot_read(What::Credential, &path, &error)),
        Ok(text) => {
            let pem = SecretString::from(text.unwrap_or_default());
            if let Err(error) =
                SigningKey::from_pem(secrecy::ExposeSecret::expose_secret(&pem), || None)
            {
                let message = format!(
                    "it is not the machine's key any more ({error}); put it back from a copy, or move \
                     it away and enrol again, as another machine to the server"
                );
                found.push(Finding::by_hand(What::Credential, &path, message));
            }
        }
    }
    found
}

fn cannot_read(what: What, path: &Path, error: &io::Error) -> Finding {
    match error.kind() {
        io::ErrorKind::NotFound => Finding::by_hand(
            what,
            path,
            format!("it is gone: expected what enrolling has written; {ENROL}"),
        ),
        io::ErrorKind::PermissionDenied => unreadable(path, error),
        _ => Finding::by_hand(what, path, format!("{error}; {ENROL}")),
    }
}
