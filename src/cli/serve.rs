use std::{io::IsTerminal as _, net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::{CliError, CliResult};
use crate::{
    config::{Config, Overrides},
    server::Server,
};

/// Run the server. It listens until it is told to stop (SIGTERM or SIGINT), and then lets the
/// requests under way end.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where everything is kept; made on first start.
    #[arg(long, env = "MAINSTAY_DIR", value_name = "DIR")]
    dir: PathBuf,
    /// Where to listen; port 0 lets the system pick one [default: 127.0.0.1:8420].
    #[arg(long, env = "MAINSTAY_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The configuration file [default: mainstay.toml in the directory, if it is there].
    #[arg(long, env = "MAINSTAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the log is written. `MAINSTAY_LOG` says what is logged: `info` unless set.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Serve {
    pub(super) fn run(self) -> CliResult {
        start_log(self.log);
        let overrides = Overrides { listen: self.listen, file: self.config };
        let config = Config::load(&self.dir, &overrides)?;
        runtime()?.block_on(async {
            let server = Server::start(&config).await?;
            tracing::info!(
                url = server.url(),
                dir = %config.dir.display(),
                version = env!("CARGO_PKG_VERSION"),
                "the server listens"
            );
            server.serve(stop_signal()).await?;
            tracing::info!("the server has stopped");
            Ok(())
        })
    }
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|source| CliError::file("start", std::path::Path::new("the runtime"), source))
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("MAINSTAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Comes when the process is told to stop.
pub(super) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => if interrupted.is_err() {
            std::future::pending::<()>().await;
        },
    }
}
