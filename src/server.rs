//! The running server: stores, workers, background jobs, and their orderly end.

use std::{future::Future, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use actix_web::{App, HttpServer, dev::ServerHandle, web};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::{
    api,
    clock::{Clock, random_hex},
    config::{Config, TlsConfig},
    jobs,
    limits::Limits,
    measures::Measures,
    outlet::{Outlet, signature::SigningKey},
    service::{
        Service, ServiceError,
        keys::{OnlineKeys, write_secret},
    },
    store::{ObjectBlobs, SledStore, StoreError},
};

/// The file in the server's directory that holds the first administrator's token.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";

/// The file in the directory of keys that the secrets of webhooks are derived from.
const WEBHOOK_KEY_FILE: &str = "webhooks.key";

/// The file in the server's directory that holds the name by which it claims background work.
const NAME_FILE: &str = "server.name";

/// How long the making of a delta may take to end when the server is told to stop. It is made again later.
const DELTA_END_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the server did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file or address could not be used.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The first administrator's token could not be made.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Notifications cannot be sent as the configuration says.
    #[error("the configuration of notifications: {0}")]
    Outlet(String),
    /// The certificate or key cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
}

/// A server that listens.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    running: actix_web::dev::Server,
    handle: ServerHandle,
    jobs: [tokio::task::JoinHandle<()>; 3],
    deltas: tokio::task::JoinHandle<()>,
    service: Arc<Service>,
}

impl Server {
    /// Opens the stores (making them on first start) and begins to listen.
    pub async fn start(config: &Config) -> Result<Self, ServerError> {
        let service = web::Data::new(open_service(config).await?);
        let limits = *service.limits();
        jobs::renew(&service).await;
        // Before the first check: plans of before name them.
        service.load_deltas().await?;
        let app_data = service.clone();
        let server = HttpServer::new(move || {
            App::new().app_data(app_data.clone()).configure(api::configure)
        })
        .disable_signals()
        .client_request_timeout(limits.request_head_timeout)
        .keep_alive(limits.keep_alive)
        .shutdown_timeout(limits.shutdown_timeout.as_secs())
        .tcp_nodelay(true);
        let server = match config.workers {
            Some(workers) => server.workers(workers),
            None => server,
        };
        let bound = match &config.tls {
            None => server.bind_auto_h2c(config.listen),
            Some(tls) => server.bind_rustls_0_23(config.listen, tls_config(tls)?),
        };
        let what = format!("cannot listen on {}", config.listen);
        let bound = bound.map_err(|source| ServerError::Io { what, source })?;
        let address = bound.addrs().first().copied().unwrap_or(config.listen);
        let running = bound.run();
        let service = service.into_inner();
        let deliveries = tokio::spawn(jobs::deliveries::run(Arc::clone(&service)));
        let actions = tokio::spawn(jobs::actions::run(Arc::clone(&service)));
        let deltas = tokio::spawn(jobs::deltas::run(Arc::clone(&service)));
        let jobs = [tokio::spawn(jobs::run(Arc::clone(&service))), deliveries, actions];
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        Ok(Self { address, scheme, handle: running.handle(), running, jobs, deltas, service })
    }

    /// The server's address.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Serves until `shutdown` comes, then lets the requests under way end.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { running, handle, jobs, mut deltas, service, .. } = self;
        let stop = async {
            shutdown.await;
            tracing::info!("stopping: requests under way may end");
            handle.stop(true).await;
            std::future::pending::<()>().await;
        };
        let served = tokio::select! {
            served = running => served,
            () = stop => Ok(()),
        };
        service.stop_deltas();
        if tokio::time::timeout(DELTA_END_TIMEOUT, &mut deltas).await.is_err() {
            deltas.abort();
            let _aborted = deltas.await;
        }
        for job in jobs {
            job.abort();
            let _aborted = job.await;
        }
        jobs::write_seen(&service).await;
        served.map_err(|source| ServerError::Io { what: "serving".to_owned(), source })
    }
}

async fn open_service(config: &Config) -> Result<Service, ServerError> {
    let dir = config.dir.as_path();
    let io = |what: String| move |source| ServerError::Io { what, source };
    std::fs::create_dir_all(dir).map_err(io(format!("cannot make {}", dir.display())))?;
    // The keys come first and only once: records without keys have lost them.
    let (records, keys) = (dir.join("records"), dir.join("keys"));
    let keys =
        if records.exists() { OnlineKeys::open(&keys) } else { OnlineKeys::open_or_create(&keys) };
    let keys = keys.map_err(io("the server's keys".to_owned()))?;
    let webhook_key = SigningKey::open_or_create(&dir.join("keys").join(WEBHOOK_KEY_FILE));
    let webhook_key = webhook_key.map_err(io("the server's keys".to_owned()))?;
    let outlet = Outlet::new(webhook_key, &config.outlet).map_err(ServerError::Outlet)?;
    let measures = Arc::<Measures>::default();
    let meta = Arc::new(SledStore::open_measured(&records, measures.commits().clone())?);
    let blobs = Arc::new(ObjectBlobs::local(&dir.join("blobs"))?);
    let service = Service::new(
        meta,
        blobs,
        keys,
        Clock::system(),
        config.tiers.clone(),
        Limits::DEFAULT,
        dir.join("uploads"),
    )
    .with_silence(config.silence)
    .with_measures(measures)
    .with_outlet(outlet)
    .with_rollouts(config.rollouts.clone())
    .with_alone(config.alone)
    .with_deltas(config.deltas, server_name(&dir.join(NAME_FILE))?)
    .with_publisher(config.publisher.clone());
    let token_file = dir.join(ADMIN_TOKEN_FILE);
    service
        .make_first_token(|token| {
            tracing::info!(file = %token_file.display(), "made the first administrator's token");
            write_secret(&token_file, token)
        })
        .await?;
    Ok(service)
}

/// The name in the file at `path`, which is made up on first start. A server that starts again has it still:
/// so it knows which work it left behind.
fn server_name(path: &Path) -> Result<String, ServerError> {
    let name = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = random_hex::<8>().map_err(ServiceError::from)?;
            write_secret(path, &name).map(|()| name)
        }
        other => other,
    };
    let what = path.display().to_string();
    let name = name.map_err(|source| ServerError::Io { what, source })?;
    Ok(format!("server-{}", name.trim()))
}

fn tls_config(tls: &TlsConfig) -> Result<rustls::ServerConfig, ServerError> {
    let explain = |path: &Path, error: &dyn std::fmt::Display| {
        ServerError::Tls(format!("{}: {error}", path.display()))
    };
    let certificates = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| explain(&tls.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| explain(&tls.key, &error))?;
    rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| ServerError::Tls(error.to_string()))
}
