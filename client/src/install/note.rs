use super::{Installation, error::Error, journal::Draft};
use crate::format::{Version, wire::EventKind};

impl Installation {
    /// Queues the event that an update to a version was put off before anything of it was fetched.
    pub fn note_deferral(&mut self, to: &Version, detail: &str) -> Result<(), Error> {
        let (from, limits) = (self.running().cloned(), self.engine.limits.clone());
        let kind = EventKind::Deferred;
        self.engine.write(|journal| {
            let draft = Draft { kind, from: from.as_ref(), to, order: None, detail };
            journal.queue(&draft, &limits);
        })
    }
}
