//! What goes into a support bundle.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{environment::Environment, scrub::Scrubber};
use crate::{
    client::{
        Client, FactsReport, doctor::Diagnosis, enrolment, files, history::History,
        trust_store::Stored,
    },
    document,
    error::Error,
    format::BundleHeading,
    install::{Layout, room::Space},
    pack::Bundle,
    tuf::{Envelope, Root},
};

/// Of how much of a file that the machine keeps it is looked at, in bytes.
const SOURCE_BYTES_MAX: u64 = 4 << 20;

impl Client {
    /// Makes a support bundle, for `order` or for somebody at the machine to look at. Needs no server;
    /// the doctor looks through the installation for it.
    ///
    /// # Errors
    ///
    /// [`Local`](crate::error::ErrorKind::Local) where it is too large.
    pub fn bundle(&self, order: Option<u64>) -> Result<Vec<u8>, Error> {
        let mut files =
            Files { scrubber: self.scrubber(), bundle: Bundle::default(), cut: Vec::new() };
        self.gather(&mut files)?;
        let heading = BundleHeading {
            kind: BundleHeading::KIND.to_owned(),
            format: BundleHeading::FORMAT,
            machine: self.enrolment.machine.clone(),
            customer: self.enrolment.customer.clone(),
            product: self.enrolment.product.clone(),
            order,
            made_at: self.now(),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            removed: files.scrubber.removed,
            cut: files.cut.clone(),
        };
        files.add(BundleHeading::FILE, &heading)?;
        let bytes = files.bundle.to_bytes().map_err(|error| unusable(&error))?;
        if bytes.len() as u64 > BundleHeading::BYTES_MAX {
            let (found, max) = (bytes.len(), BundleHeading::BYTES_MAX);
            return Err(unusable(&format!("it has {found} bytes: expected at most {max}")));
        }
        Ok(bytes)
    }

    fn gather(&self, files: &mut Files) -> Result<(), Error> {
        let layout = self.installation.layout();
        let diagnosis = Diagnosis::read(layout.root())?;
        files.add("status.json", &document::shown(&self.status()).0)?;
        files.add("doctor.json", &document::diagnosed(&diagnosis).0)?;
        files.add("journal.json", &journal(layout))?;
        files.add("history.json", &History::read(layout))?;
        files.add("versions.json", &self.kept_versions())?;
        files.add("metadata.json", &self.store.known(self.root_version()))?;
        files.add_settings(&text(layout.settings()));
        if self.enrolment.preflight.facts == FactsReport::Sent {
            files.add("facts.json", &self.facts())?;
        }
        files.add("environment.json", &Environment::of(std::env::vars_os()))?;
        files.add("disk.json", &disk(layout))
    }

    /// One that knows what this machine is known by.
    fn scrubber(&self) -> Scrubber {
        let layout = self.installation.layout();
        let token = text(enrolment::token_path(layout)).trim().to_owned();
        let key = text(enrolment::key_path(layout));
        let lines = key.lines().filter(|line| !line.starts_with("-----")).map(ToOwned::to_owned);
        Scrubber::new(lines.chain([token]))
    }

    fn kept_versions(&self) -> Value {
        let trees = self.installation.record().trees.iter().map(|tree| {
            json!({
                "version": tree.version,
                "channel": tree.channel,
                "sha256": tree.artifact.sha256,
                "is_there": self.installation.has_tree(&tree.version),
            })
        });
        trees.collect()
    }

    fn root_version(&self) -> u64 {
        let bytes = self.store.read(Stored::Root).unwrap_or_default();
        let root = Envelope::parse("root", &bytes).and_then(|envelope| envelope.document::<Root>());
        root.map_or(self.enrolment.root_version, |root| root.header.version.get())
    }
}

/// The files of a bundle that is being made.
struct Files {
    scrubber: Scrubber,
    bundle: Bundle,
    cut: Vec<String>,
}

impl Files {
    fn add(&mut self, name: &str, document: &impl Serialize) -> Result<(), Error> {
        let document = serde_json::to_value(document).map_err(|error| unusable(&error))?;
        let document = self.scrubber.value(document);
        let text = serde_json::to_string_pretty(&document).map_err(|error| unusable(&error))?;
        self.add_text(name, &text);
        Ok(())
    }

    /// The settings as they stand there; without their comments where they can be read.
    fn add_settings(&mut self, text: &str) {
        let settings = toml::from_str::<toml::Table>(text).ok();
        let settings = settings.and_then(|table| serde_json::to_value(table).ok());
        let scrubbed = settings.map(|settings| self.scrubber.value(settings));
        let written = scrubbed.and_then(|settings| toml::to_string(&settings).ok());
        let written = written.unwrap_or_else(|| self.scrubber.text(text));
        self.add_text("agent.toml", &written);
    }

    /// What was missed by its form is found by its content.
    fn add_text(&mut self, name: &str, text: &str) {
        let mut text = self.scrubber.without_known(text);
        if text.len() > BundleHeading::FILE_BYTES_MAX {
            text.truncate(text.floor_char_boundary(BundleHeading::FILE_BYTES_MAX));
            self.cut.push(name.to_owned());
        }
        self.bundle.0.insert(name.to_owned(), text.into_bytes());
    }
}

/// The text of a file that may be missing, or be no text.
fn text(path: impl AsRef<std::path::Path>) -> String {
    let bytes = files::read(path.as_ref(), SOURCE_BYTES_MAX).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The journal behind its heading, as it stands on the disk: it may be one that cannot be read.
fn journal(layout: &Layout) -> Value {
    let text = text(layout.journal());
    let (heading, body) = text.split_once('\n').unwrap_or(("", &text));
    let read = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    json!({ "heading": read(heading), "journal": read(body) })
}

/// How much space there is at the places that the agent writes to, in bytes.
fn disk(layout: &Layout) -> Value {
    let places = [layout.root().to_owned(), layout.private(), std::env::temp_dir()];
    let spaces = places.iter().map(|path| {
        let space = Space::at(path).ok();
        let bytes = space.map(|space| json!({ "free": space.free, "all": space.all }));
        (path.display().to_string(), bytes.unwrap_or_default())
    });
    json!(spaces.collect::<BTreeMap<_, _>>())
}

fn unusable(why: &dyn std::fmt::Display) -> Error {
    Error::local(format!("no support bundle can be made: {why}"))
}
