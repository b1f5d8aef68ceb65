//! The `tough` client on the command line, so that it can be asked what Mainstay's own is asked.
//!
//! ```text
//! mainstay-interop-tough ROOT DATASTORE METADATA_URL TARGETS_URL [TARGET OUTPUT]
//! ```
//!
//! It ends with 0 where everything went well and with 1 otherwise, and says why. Where the
//! environment has a `MAINSTAY_TOKEN`, each request carries it.

use std::{env, error::Error, fs, process::ExitCode};

use futures::stream;
use tough::{
    ExpirationEnforcement, IntoVec as _, RepositoryLoader, TargetName, Transport, TransportError,
    TransportErrorKind, TransportStream, async_trait,
};
use url::Url;

/// Files over HTTP. The transport that `tough` brings would be the larger part of the build, and
/// knows no credentials.
#[derive(Clone, Debug)]
struct Http {
    agent: ureq::Agent,
    token: Option<String>,
    targets: Url,
}

impl Http {
    fn new(targets: Url) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        Self { agent, token: env::var("MAINSTAY_TOKEN").ok(), targets }
    }

    /// The address as The Update Framework has it: `tough` puts the digest before the whole path of
    /// a target, the specification before the last part of it (1.0.34 §5.7.3).
    fn address(&self, url: &Url) -> String {
        url.as_str()
            .strip_prefix(self.targets.as_str())
            .and_then(|path| path.split_once('.'))
            .and_then(|(digest, path)| Some((digest, path.rsplit_once('/')?)))
            .filter(|(digest, _)| digest.len() == 64)
            .map_or_else(
                || url.to_string(),
                |(digest, (folder, name))| format!("{}{folder}/{digest}.{name}", self.targets),
            )
    }

    fn bytes(&self, url: &Url) -> Result<Vec<u8>, TransportError> {
        let failed = |error: ureq::Error| {
            TransportError::new_with_cause(TransportErrorKind::Other, url, error)
        };
        let mut request = self.agent.get(self.address(url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(failed)?;
        match response.status().as_u16() {
            200 => response.body_mut().with_config().limit(64 << 20).read_to_vec().map_err(failed),
            404 => Err(TransportError::new(TransportErrorKind::FileNotFound, url)),
            status => {
                let cause = format!("HTTP status {status}");
                Err(TransportError::new_with_cause(TransportErrorKind::Other, url, cause))
            }
        }
    }
}

#[async_trait]
impl Transport for Http {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let bytes = self.bytes(&url)?;
        Ok(Box::pin(stream::iter([Ok(bytes.into())])))
    }
}

async fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [root, datastore, metadata, targets, target @ ..] = arguments else {
        return Err("expected ROOT DATASTORE METADATA_URL TARGETS_URL [TARGET OUTPUT]".into());
    };
    let (metadata, targets) = (Url::parse(metadata)?, Url::parse(targets)?);
    let repository = RepositoryLoader::new(&fs::read(root)?, metadata, targets.clone())
        .transport(Http::new(targets))
        .datastore(datastore)
        .expiration_enforcement(ExpirationEnforcement::Safe)
        .load()
        .await?;
    if let [target, output] = target {
        let name = TargetName::new(target)?;
        let stream = repository.read_target(&name).await?.ok_or("no role lists the target")?;
        fs::write(output, stream.into_vec().await?)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(&arguments)),
        Err(error) => Err(error.into()),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    eprintln!("{error}");
    let mut cause = error.source();
    while let Some(beneath) = cause {
        eprintln!("because: {beneath}");
        cause = beneath.source();
    }
    ExitCode::FAILURE
}
