//! The running server: stores, workers, background jobs, and their orderly end.
//!
//! | module | what is there |
//! |---|---|
//! | `connection` | what becomes of a connection: what machines ask is answered there, the rest is the HTTP service's |
//! | `line` | how a file is sent, by the kernel or over TLS |
//! | `request` | what is answered there |
//! | `rewound` | a connection that is read once more from its beginning |

mod connection;
mod line;
mod request;
mod rewound;

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use actix_server::ServerHandle;
use actix_web::web;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    access_log::AccessLog,
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

/// How many connections may wait to be taken.
const CONNECTIONS_WAITING_MAX: i32 = 1024;

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
    running: actix_server::Server,
    handle: ServerHandle,
    jobs: Vec<tokio::task::JoinHandle<()>>,
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
        let builder = actix_server::Server::build()
            .disable_signals()
            .shutdown_timeout(limits.shutdown_timeout.as_secs());
        let builder = match config.workers {
            Some(workers) => builder.workers(workers),
            None => builder,
        };
        let tls = config.tls.as_ref().map(tls_acceptor).transpose()?;
        let bound = listen(config.listen, &limits).and_then(|listener| {
            let (address, service) = (listener.local_addr()?, service.clone());
            let builder = match tls {
                None => connection::listen::<TcpStream>(builder, listener, (), service)?,
                Some(tls) => {
                    connection::listen::<TlsStream<TcpStream>>(builder, listener, tls, service)?
                }
            };
            Ok((address, builder))
        });
        let what = format!("cannot listen on {}", config.listen);
        let (address, builder) = bound.map_err(|source| ServerError::Io { what, source })?;
        let running = builder.run();
        let service = service.into_inner();
        let deliveries = tokio::spawn(jobs::deliveries::run(Arc::clone(&service)));
        let actions = tokio::spawn(jobs::actions::run(Arc::clone(&service)));
        let deltas = tokio::spawn(jobs::deltas::run(Arc::clone(&service)));
        let mut jobs = vec![tokio::spawn(jobs::run(Arc::clone(&service))), deliveries, actions];
        jobs.extend(service.access_log().cloned().map(jobs::write_access_log).map(tokio::spawn));
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
        if let Some(log) = service.access_log() {
            log.write();
        }
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
    let access_log = config.access_log.clone().map(|rules| {
        let what = format!("the access log {}", rules.path.display());
        AccessLog::open(rules, measures.access_lines_lost()).map(Arc::new).map_err(io(what))
    });
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
    .with_publisher(config.publisher.clone())
    .with_accel(config.accel.clone())
    .with_access_log(access_log.transpose()?);
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

fn listen(address: SocketAddr, limits: &Limits) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    // Once more: the standard library lets far fewer wait.
    rustix::net::listen(&listener, CONNECTIONS_WAITING_MAX)?;
    // Whatever is sent, and by whom: all connections have this of the listener's.
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(
        &listener,
        u32::try_from(limits.send_stall_timeout.as_millis()).map_err(io::Error::other)?,
    )?;
    Ok(listener)
}

fn tls_acceptor(tls: &TlsConfig) -> Result<TlsAcceptor, ServerError> {
    let explain = |path: &Path, error: &dyn std::fmt::Display| {
        ServerError::Tls(format!("{}: {error}", path.display()))
    };
    let certificates = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| explain(&tls.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| explain(&tls.key, &error))?;
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| ServerError::Tls(error.to_string()))?;
    config.alpn_protocols = vec![line::HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn whoever_takes_nothing_is_disconnected_after_a_while() {
        let limits = Limits { send_stall_timeout: Duration::from_millis(100), ..Limits::DEFAULT };
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), &limits).unwrap();
        let _idle = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut connection, _) = listener.accept().unwrap();
        let piece = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = connection.write(&piece) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
