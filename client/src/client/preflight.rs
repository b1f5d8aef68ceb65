//! What is asked before anything of a release but its manifest is downloaded: does the machine have
//! what the release requires, is there room for it, and does the administrator's own command agree.

mod components;
mod facts;
mod libc;
mod settings;

use std::{path::Path, process::Command};

pub use components::Components;
pub use settings::{FactsReport, PreflightSettings};

use super::{Check, Client, Enrolment, trust_store::Noted, update::Wanted};
use crate::{
    error::Error,
    format::{
        Action, Digest, Facts, Missing, ReleaseManifest, Version,
        requirements::{in_words, refusal},
    },
    install::{
        Layout,
        script::{self, Verdict},
    },
};

/// What a machine is, and whether the server learns that.
#[derive(Clone, Debug)]
pub struct MachineFacts {
    /// Whose machine it is.
    pub enrolment: Enrolment,
    /// What it is.
    pub facts: Facts,
}

impl MachineFacts {
    /// Finds out what the machine of the installation at `root_dir` is. It takes no lock.
    pub fn read(root_dir: &Path) -> Result<Self, Error> {
        let layout = Layout::new(root_dir);
        let enrolment = Enrolment::read(&layout)?;
        let facts = facts::gather(&layout, &enrolment.preflight);
        Ok(Self { enrolment, facts })
    }

    /// Whether the server learns it.
    pub fn report(&self) -> FactsReport {
        self.enrolment.preflight.facts
    }
}

/// What a preflight found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preflight {
    /// Nothing stands in the way, as far as can be known before.
    Passed,
    /// The machine lacks all of this. It is looked at again at the next check or update.
    Missing(Vec<Missing>),
    /// The administrator's command said that it is not the time, and why.
    NotNow(String),
}

/// What a preflight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To know; nothing is changed.
    Look,
    /// To download or install what passes, for which room is made.
    Install,
}

impl Client {
    /// Finds out whether what `check` wants done can be done here, and changes nothing. Only an
    /// update is asked about: what the way back needs is here already. [`Client::fetch`] and
    /// [`Client::apply`] find it out by themselves. The errors are those of [`Client::check`].
    pub fn preflight(&mut self, check: &Check) -> Result<Preflight, Error> {
        let found = self.look_ahead(check);
        self.note_error(&found);
        found
    }

    fn look_ahead(&mut self, check: &Check) -> Result<Preflight, Error> {
        match &check.action {
            Action::Update { target } if self.installation.record().probation.is_none() => {
                let (manifest, wanted) =
                    self.carry_out(&check.plan, |client| client.wanted_update(target, None))?;
                self.examine(&manifest, &wanted, Purpose::Look)
            }
            _ => Ok(Preflight::Passed),
        }
    }

    /// Whether the release can run here and is welcome. Space is missing only where there is too
    /// little even when all is given up that can be; what needs to be is given up once everything else
    /// has passed. What stands in the way is told to the server, once for as long as it is the same.
    pub(super) fn examine(
        &mut self,
        manifest: &ReleaseManifest,
        wanted: &Wanted,
        purpose: Purpose,
    ) -> Result<Preflight, Error> {
        let mut missing = wanted.artifact.requires.missing(&self.facts());
        let origin = self.origin(wanted);
        let rooms = self.rooms(wanted, origin)?;
        missing.extend(self.lack_of_space(&rooms, &self.spares(wanted)));
        let consent = self.consent(manifest, wanted)?;
        let mut found = match consent {
            Verdict::Failed(said) => {
                missing.push(Missing::Consent { said });
                Preflight::Missing(missing)
            }
            // That it is not the time is worth knowing beside what is missing, and no more.
            Verdict::NotNow(said) if !missing.is_empty() => {
                missing.push(Missing::Consent { said });
                Preflight::Missing(missing)
            }
            Verdict::NotNow(said) => Preflight::NotNow(said),
            Verdict::Passed(_) if missing.is_empty() => Preflight::Passed,
            Verdict::Passed(_) => Preflight::Missing(missing),
        };
        let is_short = rooms.iter().any(|room| room.lack() > 0);
        if found == Preflight::Passed && is_short && purpose == Purpose::Install {
            self.make_room(wanted, origin)?;
            let missing = self.lack_of_space(&self.rooms(wanted, origin)?, &[]);
            if !missing.is_empty() {
                found = Preflight::Missing(missing);
            }
        }
        self.tell(&wanted.version, &found)?;
        Ok(found)
    }

    /// What this machine is.
    pub(super) fn facts(&self) -> Facts {
        facts::gather(self.installation.layout(), &self.enrolment.preflight)
    }

    /// The same, as far as the server is to know.
    pub(super) fn told_facts(&self) -> Option<Facts> {
        (self.enrolment.preflight.facts == FactsReport::Sent).then(|| self.facts())
    }

    /// What the administrator's command says of the release, where there is such a command.
    ///
    /// It runs in the root of the installation, as the user that this process runs as, with these
    /// environment variables and no others:
    ///
    /// | variable | value |
    /// |---|---|
    /// | `PATH`, `HOME` | those of this process |
    /// | `MAINSTAY_HOOK` | `preflight` |
    /// | `MAINSTAY_PRODUCT`, `MAINSTAY_VERSION` | what is offered |
    /// | `MAINSTAY_CHANNEL`, `MAINSTAY_SEVERITY` | of which kind it is |
    /// | `MAINSTAY_PREVIOUS_VERSION` | what runs; absent where nothing does |
    /// | `MAINSTAY_ROOT`, `MAINSTAY_DATA` | the installation, and its data |
    fn consent(&self, manifest: &ReleaseManifest, wanted: &Wanted) -> Result<Verdict, Error> {
        let settings = &self.enrolment.preflight;
        let Some((program, arguments)) = settings.command.split_first() else {
            return Ok(Verdict::Passed(String::new()));
        };
        let layout = self.installation.layout();
        settings.expect_sound(&layout.settings())?;
        let running = self.installation.running();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(layout.root())
            .env_clear()
            .envs(script::surroundings())
            .env("MAINSTAY_HOOK", "preflight")
            .env("MAINSTAY_PRODUCT", manifest.product.as_str())
            .env("MAINSTAY_VERSION", wanted.version.to_string())
            .env("MAINSTAY_CHANNEL", manifest.channel.as_str())
            .env("MAINSTAY_SEVERITY", manifest.severity.as_str())
            .envs(running.map(|from| ("MAINSTAY_PREVIOUS_VERSION", from.to_string())))
            .env("MAINSTAY_ROOT", layout.root())
            .env("MAINSTAY_DATA", layout.data());
        let name = format!("this machine's preflight command `{}`", settings.command.join(" "));
        let bytes_max = PreflightSettings::OUTPUT_BYTES_MAX;
        Ok(script::ask(&name, &mut command, settings.timeout_seconds, bytes_max))
    }

    /// Queues the event of what stands in the way, unless it is what stood there the last time.
    fn tell(&mut self, to: &Version, found: &Preflight) -> Result<(), Error> {
        let said = match found {
            Preflight::Passed => None,
            Preflight::Missing(missing) => Some(in_words(missing)),
            Preflight::NotNow(reason) => Some(reason.clone()),
        };
        self.note_obstacle(to, said.as_deref());
        let obstacles = match found {
            Preflight::Passed => return self.store.forget(Noted::Obstacles),
            Preflight::Missing(missing) => missing.iter().map(Missing::what).collect(),
            Preflight::NotNow(_) => vec!["not now".to_owned()],
        };
        let mark = mark(&format!("{to} {}", obstacles.join("; ")));
        if self.store.noted(Noted::Obstacles) == Some(mark) {
            return Ok(());
        }
        match found {
            Preflight::Passed => {}
            Preflight::Missing(missing) => {
                self.installation.note_refusal(to, None, &refusal(to, missing))?;
            }
            Preflight::NotNow(reason) => self.installation.note_deferral(to, reason)?,
        }
        self.store.note(Noted::Obstacles, mark)
    }
}

/// A number that stands for `text`.
fn mark(text: &str) -> u64 {
    let digest = Digest::of(text.as_bytes()).to_string();
    digest.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
