mod demo;
mod fleet;
mod story;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use clap::Args;
use tokio::sync::oneshot;

use self::{demo::DemoRelease, fleet::Fleet, story::Story};
use super::{
    CliError, CliResult, Output, ServerArgs,
    keys::{KeyArgs, ensure_demo_keys},
    product,
    serve::{runtime, stop_signal},
};
use crate::{
    config::{Config, Overrides},
    server::{ADMIN_TOKEN_FILE, Server, ServerError},
    store::ProductRecord,
};

/// Show everything at work: a server, a demo product, two customers with a machine each, updates
/// and rollbacks. It tells what it does, and leaves the server running until you stop it.
///
/// Run again in the same directory it tells the story anew, with a product and machines of their
/// own; nothing that is there is changed.
#[derive(Debug, Args)]
pub(super) struct Quickstart {
    /// Where everything is kept.
    #[arg(long, default_value = "mainstay-demo", value_name = "DIR")]
    dir: PathBuf,
    /// Where to listen [default: 127.0.0.1:8420, or a port that the system picks if that is taken].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Stop when the story is told.
    #[arg(long)]
    once: bool,
}

impl Quickstart {
    pub(super) fn run(self, output: Output) -> CliResult {
        let Self { dir, listen, once } = self;
        // Absolute, so that the commands to paste hold in any terminal.
        let dir = std::fs::create_dir_all(&dir)
            .and_then(|()| std::path::absolute(&dir))
            .map_err(|source| CliError::file("make", &dir, source))?;
        let server_dir = dir.join("server");
        let background = Background::start(&server_dir, listen)?;
        let told = tell(&dir, &server_dir, &background.url, output);
        if told.is_ok() && !once {
            output.say("\nThe server goes on running. Press Ctrl-C to stop it.");
            runtime()?.block_on(stop_signal());
        }
        background.stop()?;
        told
    }
}

/// Tells the story against the server at `url`.
fn tell(dir: &Path, server_dir: &Path, url: &str, output: Output) -> CliResult {
    let args = ServerArgs {
        server: url.to_owned(),
        token_file: Some(server_dir.join(ADMIN_TOKEN_FILE)),
        ca: None,
    };
    let keys = KeyArgs { keys: dir.join("keys"), passphrase_file: None };
    let server = args.connect()?;
    let mut story = Story::new(output);
    story.tell(&format!(
        "The server listens on {url} and keeps everything in {}.",
        server_dir.display()
    ));

    ensure_demo_keys(&keys.keys)?;
    story.tell(&format!(
        "The vendor's keys are in {}; the server never sees them.",
        keys.keys.display()
    ));
    let products: Vec<ProductRecord> = server.get("/v1/products")?;
    let name = demo::free_name(&products)?;
    product::Create::with_default_keys(&args, keys.clone(), name.clone()).run(&server)?;
    story.tell(&format!("Product {name} is registered: its root and targets were signed here."));

    let fleet = Fleet::enrol(&server, url, dir, &name, &mut story)?;
    let trees = dir.join("releases");
    let mut publish = |story: &mut Story, version: &str| -> CliResult {
        let release = DemoRelease::find(version)?;
        release.publish(&server, &args, &keys, &name, &trees)?;
        story.published(&release);
        Ok(())
    };
    fleet.tell(&mut story, &mut publish)?;

    let [first, ..] = fleet.machine_dirs();
    let commands = story::next_commands(dir, &args, &keys, &name, fleet.first_machine(), &first);
    story.end(url, &commands)
}

/// The server on a thread of its own.
struct Background {
    url: String,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<Result<(), ServerError>>,
}

impl Background {
    const PORT: u16 = 8420;

    /// Starts the server at `listen`; without it, at the usual port or, if that is taken, at one
    /// that the system picks.
    fn start(dir: &Path, listen: Option<SocketAddr>) -> Result<Self, CliError> {
        if let Some(listen) = listen {
            return Self::start_at(dir, listen);
        }
        let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, Self::PORT));
        match Self::start_at(dir, usual) {
            Err(CliError::Serve(ServerError::Io { source, .. }))
                if source.kind() == std::io::ErrorKind::AddrInUse =>
            {
                Self::start_at(dir, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            }
            started => started,
        }
    }

    fn start_at(dir: &Path, listen: SocketAddr) -> Result<Self, CliError> {
        let overrides = Overrides { listen: Some(listen), file: None };
        let config = Config::load(dir, &overrides)?;
        let runtime = runtime()?;
        let (started, starting) = mpsc::channel();
        let (stop, stopping) = oneshot::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async move {
                let server = match Server::start(&config).await {
                    Ok(server) => server,
                    Err(error) => return Err(error),
                };
                // Whoever started it waits for this.
                let _waiting = started.send(server.url());
                server
                    .serve(async {
                        let _told_or_gone = stopping.await;
                    })
                    .await
            })
        });
        match starting.recv() {
            Ok(url) => Ok(Self { url, stop, thread }),
            // Nothing was sent: the thread ended with an error.
            Err(_) => Err(ended(thread).err().unwrap_or_else(|| {
                CliError::Input("the server ended before it listened".to_owned())
            })),
        }
    }

    fn stop(self) -> CliResult {
        let _gone_already = self.stop.send(());
        ended(self.thread)
    }
}

fn ended(thread: thread::JoinHandle<Result<(), ServerError>>) -> CliResult {
    match thread.join() {
        Ok(ended) => Ok(ended?),
        Err(_) => Err(CliError::Input("the server's thread panicked".to_owned())),
    }
}
