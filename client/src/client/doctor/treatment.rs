//! One repair after the other.

use super::{Doctor, Finding, Repair, Signed, signed::Source};
use crate::{
    client::{Enrolment, Progress, trust_store::TrustStore},
    error::Error,
    fetch::Remote,
    format::{ChannelName, Platform, Version},
    pack::PayloadIdentity,
};

/// What the repairs of one treatment share.
pub(super) struct Care {
    /// The repository, once it was asked for, or why it could not be had.
    signed: Option<Result<Signed, String>>,
}

impl Care {
    pub(super) const fn new() -> Self {
        Self { signed: None }
    }
}

impl Doctor {
    /// Puts `finding` right, and says what was done.
    pub(super) fn repair(
        &mut self,
        care: &mut Care,
        finding: &Finding,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<String, Error> {
        let path = &finding.path;
        match &finding.repair {
            None => Err(Error::local("only people can put it right")),
            Some(Repair::GivePermissions(mode)) => {
                self.mending.give_permissions(path, *mode)?;
                Ok(format!("its permissions are {mode:04o}"))
            }
            Some(Repair::MakeDirectory(mode)) => {
                self.mending.make_directory(path, *mode)?;
                Ok("it was made".to_owned())
            }
            Some(Repair::Recover) => {
                let said = self.mending.recover()?;
                Ok(said.unwrap_or_else(|| "nothing was left to be done".to_owned()))
            }
            Some(Repair::Point(version)) => {
                self.mending.point(version)?;
                Ok(format!("it points to versions/{version}"))
            }
            Some(Repair::Remove) => {
                self.mending.remove(path)?;
                Ok("it was removed".to_owned())
            }
            Some(Repair::FetchTree(version)) => {
                let signed = self.signed(care)?;
                self.fetch_tree(signed, version, progress)
            }
            Some(Repair::RestoreJournal) => {
                let signed = self.signed(care)?;
                self.restore_journal(signed, progress)
            }
            Some(Repair::FetchMetadata) => {
                let signed = self.signed(care)?;
                self.fetch_metadata(signed, finding)
            }
        }
    }

    /// The repository, which is refreshed once in a treatment.
    fn signed<'a>(&mut self, care: &'a mut Care) -> Result<&'a mut Signed, Error> {
        if care.signed.is_none() {
            let opened = self.open_signed();
            care.signed = Some(opened.map_err(|error| crate::error::with_sources(&error)));
        }
        match &mut care.signed {
            Some(Ok(signed)) => Ok(signed),
            Some(Err(why)) => Err(Error::local(why.clone())),
            None => Err(Error::local("the repository was not asked for")),
        }
    }

    fn open_signed(&mut self) -> Result<Signed, Error> {
        let layout = self.mending.layout();
        let enrolment = Enrolment::read(layout).map_err(|error| {
            Error::local(format!(
                "put the settings right first, which say where the server is: {error}"
            ))
        })?;
        let token = Enrolment::read_token(layout)?;
        let Some(connect) = self.connect.take() else {
            return Err(Error::local("the server was asked before"));
        };
        let transport = connect(&enrolment.address())?;
        let limits = enrolment.network.within(self.fetch_limits);
        let remote = Remote::new(transport, limits, self.retry)
            .with_token(token)
            .until(self.cancellation.clone());
        let store = TrustStore::new(layout.trust(), self.tuf_limits, (self.files)());
        let platform = Platform::of_this_program();
        let source = Source { remote, enrolment, store, limits: self.tuf_limits, platform };
        source.open((self.clock)().wall)
    }

    /// Unpacks the tree of `version` anew, of which the journal knows what was signed.
    fn fetch_tree(
        &mut self,
        signed: &mut Signed,
        version: &Version,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<String, Error> {
        let kept = self.mending.kept_tree(version)?;
        let release = signed.release(version, Some(&kept.channel))?;
        let [known, found] = [&kept, &release.kept].map(|it| PayloadIdentity::from(&it.artifact));
        if known != found {
            return Err(Error::rule(
                "payload",
                format!(
                    "the journal has {version} with SHA-256 {}, and the vendor signs {} now: expected \
                     the same; update to a later version",
                    known.sha256, found.sha256
                ),
            ));
        }
        signed.put_tree(&mut self.mending, &release, progress)?;
        Ok(format!("{version} was fetched and unpacked anew, as the vendor signed it"))
    }

    /// Heals what is trusted, `finding` among it.
    fn fetch_metadata(&mut self, signed: &mut Signed, finding: &Finding) -> Result<String, Error> {
        // All but the roles was healed when the repository was opened.
        let is_channel = finding.path.parent() != Some(&self.mending.layout().trust());
        let name = finding.path.file_stem().and_then(|stem| stem.to_str());
        let name = name.filter(|_| is_channel).and_then(|name| name.parse::<ChannelName>().ok());
        match name.map(|name| signed.heal(&name)) {
            None | Some(Ok(())) => Ok("it was fetched anew and verified".to_owned()),
            // What this machine may not have any more, or nobody lists, it does not need either.
            Some(Err(error)) if error.is_refusal() => {
                self.mending.remove(&finding.path)?;
                Ok(format!("it was removed, for it is not to be had any more: {error}"))
            }
            Some(Err(error)) => Err(error),
        }
    }
}
