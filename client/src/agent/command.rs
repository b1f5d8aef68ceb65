use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Parser, Subcommand};

use super::{
    Document, Exit, doctor, facts,
    facts::Component,
    interrupt,
    progress::{Json, Shown},
    service::Service,
    text, unit,
};
use crate::{
    client::{Client, EnrollOptions, Identity, Status, Surroundings},
    document::{Answer, checked, confirmed, fetched, rolled_back, shown, updated},
    error::{Error, with_sources},
    fetch::{self, Cancellation},
    format::{Action, Digest, ProductName, Version},
    install,
};

/// Checks for updates of one installation, installs them, rolls back.
#[derive(Debug, Parser)]
#[command(name = "mainstay-agent", version, after_help = Exit::table(), propagate_version = true)]
pub(super) struct Arguments {
    /// The root of the installation
    #[arg(long, global = true, env = "MAINSTAY_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print exactly one JSON document on standard output; with `--json=stream` one a line, first how
    /// far it has come and last what came of it. `run` prints one a line
    #[arg(long, global = true, value_name = "HOW", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "document", hide_possible_values = true)]
    pub(super) json: Option<Json>,
    /// The slowest transfer that is put up with, in bytes a second [default: 1024]
    #[arg(long, global = true, env = "MAINSTAY_RATE_MIN", value_name = "BYTES")]
    rate_min: Option<u64>,
    /// Over how many seconds a transfer's rate is measured [default: 60]
    #[arg(long, global = true, env = "MAINSTAY_RATE_WINDOW", value_name = "SECONDS")]
    rate_window: Option<u64>,
    /// How many seconds the server has until it has begun to answer [default: 60]
    #[arg(long, global = true, env = "MAINSTAY_ANSWER_TIMEOUT", value_name = "SECONDS")]
    answer_timeout: Option<u64>,
    /// How many seconds to wait for another agent that is at work on the installation
    /// [default: 1; 60 for `run`, and for `confirm`, which a program may call while it is being checked]
    #[arg(long, global = true, env = "MAINSTAY_LOCK_WAIT", value_name = "SECONDS")]
    lock_wait: Option<u64>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make this machine known to a server
    Enroll(Enroll),
    /// Ask the server what this machine is to run; changes nothing
    Check,
    /// Download what the server's plan says is to be installed; changes nothing that runs
    Fetch,
    /// Do what the server's plan says: update, roll back, or nothing
    Update,
    /// Check for as long as it lives, and do what the administrator lets happen by itself. SIGHUP
    /// lets it check at once, SIGTERM ends it
    Run,
    /// Let `run` install a version that waits for approval
    Approve {
        /// The version [default: the one that is offered]
        #[arg(id = "approved", value_name = "VERSION")]
        version: Option<Version>,
    },
    /// Make the support bundle that support may ask for, to look at it, or approve of sending it
    Collect {
        /// Write the bundle here: a tar file that is compressed by zstd
        #[arg(long, value_name = "FILE", required_unless_present = "approve")]
        output: Option<PathBuf>,
        /// Let the next check send the bundle that is asked for
        #[arg(long, conflicts_with = "output")]
        approve: bool,
    },
    /// Print a systemd unit that runs this installation's agent
    Unit,
    /// Go back to an earlier version, by an order given here
    Rollback {
        /// The version to go back to [default: the one confirmed last below what runs]
        #[arg(long, value_name = "VERSION")]
        to: Option<Version>,
    },
    /// Say that the version on probation works
    Confirm,
    /// Show what is known about this machine; needs no network, changes nothing, and works while
    /// another agent is at work
    Status,
    /// Finish or undo what a crash or power cut interrupted; needs no network
    Recover,
    /// Look for all that is wrong with the installation; needs no network, changes nothing, and works
    /// where the other commands refuse
    Doctor {
        /// Put right what can be put right from what the vendor signed and from what the installation
        /// itself proves
        #[arg(long)]
        repair: bool,
    },
    /// Let a version be tried again that failed here or was left by a rollback
    Unblock {
        /// The version
        #[arg(id = "blocked", value_name = "VERSION")]
        version: Version,
    },
    /// Compare the installed files with what was signed; needs no network
    Verify,
    /// Show what this machine is, as releases may require it; needs no network
    Facts,
    #[command(subcommand)]
    Component(Component),
}

#[derive(Debug, Args)]
struct Enroll {
    #[arg(long, value_name = "URL", help = "The server, as in https://updates.example.com")]
    server: String,
    /// The product that this machine will run
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The customer's activation key
    #[arg(long, env = "MAINSTAY_ACTIVATION_KEY", hide_env_values = true, value_name = "KEY")]
    activation_key: String,
    /// What this machine is called [default: its host name]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// PEM certificates of the authority that signed the server's; only these are trusted then
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The proxy by which the server is reached, as in `http://proxy.example.com:3128` [default: as
    /// at the last enrolment]
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Enrol as a machine of its own, with a new key: what a copied disk needs
    #[arg(long)]
    new_machine: bool,
    /// SHA-256 of the product's root, as the vendor told it
    #[arg(long, value_name = "HEX")]
    root_sha256: Option<Digest>,
}

type Finished = Result<Answer, Error>;

impl Arguments {
    /// Runs the command.
    pub(super) fn run(&self) -> Finished {
        match &self.command {
            Command::Enroll(enroll) => self.enroll(enroll),
            Command::Check => self.check(),
            Command::Fetch => self.fetch(),
            Command::Update => self.update(),
            Command::Run => self.serve(),
            Command::Approve { version } => self.approve(version.as_ref()),
            Command::Collect { output: Some(output), .. } => self.collect(output),
            Command::Collect { output: None, .. } => self.approve_collection(),
            Command::Unit => {
                let text = unit::text(self.dir()?, &Status::read(self.dir()?)?.enrolment)?;
                Ok((
                    Document { outcome: "unit", message: Some(text), ..Document::default() },
                    Exit::Done,
                ))
            }
            Command::Rollback { to } => self.rollback(to.as_ref()),
            Command::Confirm => self.confirm(),
            Command::Status => Ok(shown(&Status::read(self.dir()?)?)),
            Command::Recover => self.recover(),
            Command::Doctor { repair: false } => doctor::examine(self.dir()?),
            Command::Doctor { repair: true } => self.treat(),
            Command::Unblock { version } => self.unblock(version),
            Command::Verify => self.verify(),
            Command::Facts => facts::show(self.dir()?),
            Command::Component(component) => component.run(self.dir()?),
        }
    }

    fn dir(&self) -> Result<&Path, Error> {
        let missing = || Error::input("which installation: expected --dir DIR or MAINSTAY_DIR");
        self.dir.as_deref().ok_or_else(missing)
    }

    fn open(&self) -> Result<Client, Error> {
        Client::open_within(self.dir()?, self.surroundings())
    }

    /// The same, from which nothing more is fetched once this process is asked to end.
    fn open_interruptible(&self) -> Result<Client, Error> {
        self.open_until(interrupt::listen()?)
    }

    /// The same, from which nothing more is fetched once `cancellation` is asked for.
    pub(super) fn open_until(&self, cancellation: Cancellation) -> Result<Client, Error> {
        let surroundings = Surroundings { cancellation, ..self.surroundings() };
        Client::open_within(self.dir()?, surroundings)
    }

    fn surroundings(&self) -> Surroundings {
        let usual = fetch::Limits::DEFAULT;
        // An agent that is killed as it starts a hook leaves its lock to that, until its program begins.
        let is_patient = matches!(self.command, Command::Confirm | Command::Run);
        let usual_wait = if is_patient { 60 } else { 1 };
        let lock_wait = Duration::from_secs(self.lock_wait.unwrap_or(usual_wait));
        let limits = fetch::Limits {
            rate_bytes_min: self.rate_min.unwrap_or(usual.rate_bytes_min),
            rate_window: self.rate_window.map_or(usual.rate_window, Duration::from_secs),
            answer_timeout: self.answer_timeout.map_or(usual.answer_timeout, Duration::from_secs),
            ..usual
        };
        let surroundings = Surroundings::with_fetch_limits(limits);
        let install_limits = install::Limits { lock_wait, ..surroundings.install_limits };
        Surroundings { install_limits, ..surroundings }
    }

    fn enroll(&self, enroll: &Enroll) -> Finished {
        let options = EnrollOptions {
            root_dir: self.dir()?.to_owned(),
            server_url: enroll.server.clone(),
            product: enroll.product.clone(),
            activation_key: enroll.activation_key.clone().into(),
            host: enroll.host.clone().map_or_else(host_name, Ok)?,
            ca_file: enroll.ca.clone(),
            proxy: enroll.proxy.clone(),
            identity: if enroll.new_machine { Identity::New } else { Identity::Kept },
            root_sha256: enroll.root_sha256,
        };
        let enrolment = Client::enroll_within(&options, self.surroundings())?;
        Ok((Document::of_enrolment(&enrolment), Exit::Done))
    }

    fn check(&self) -> Finished {
        let mut client = self.open_interruptible()?;
        let check = client.check()?;
        let preflight = client.preflight(&check)?;
        Ok(checked(&client, &check, &preflight))
    }

    fn fetch(&self) -> Finished {
        let mut client = self.open_interruptible()?;
        let check = client.check()?;
        let mut show = Shown::new(self.json);
        let preflight = client.fetch(&check, &mut |progress| show.tell(&progress))?;
        drop(show);
        Ok(fetched(&client, &check, &preflight))
    }

    fn serve(&self) -> Finished {
        let tell = if self.json.is_some() { Document::print_json } else { text::print_for_journal };
        Ok((Service::new(self, tell).run()?, Exit::Done))
    }

    fn approve(&self, version: Option<&Version>) -> Finished {
        let client = self.open()?;
        let plan = client.status().plan;
        let offered = plan.as_ref().and_then(|plan| match &plan.action {
            Action::Update { target } => Some(&target.version),
            _ => None,
        });
        let Some(approved) = offered.filter(|offered| version.is_none_or(|it| it == *offered))
        else {
            let shown = |it: Option<&Version>| it.map_or("nothing".to_owned(), ToString::to_string);
            let detail = match version {
                Some(version) => format!("{version} is not offered: {} is", shown(offered)),
                None => "no update is offered: expected one to approve of".to_owned(),
            };
            return Err(Error::not_found(detail));
        };
        client.approve(approved)?;
        let document = Document::of_machine("approved", client.enrolment());
        Ok((Document { version_to: Some(approved.clone()), ..document }, Exit::Done))
    }

    fn collect(&self, output: &Path) -> Finished {
        let client = self.open()?;
        let bundle = client.bundle(None)?;
        let mut file = std::fs::File::options();
        let file = file.write(true).create_new(true).mode(0o600);
        file.open(output)
            .and_then(|mut file| file.write_all(&bundle))
            .map_err(|error| Error::disk(output, error))?;
        let document = Document::of_machine("collected", client.enrolment());
        Ok((Document { message: Some(output.display().to_string()), ..document }, Exit::Done))
    }

    fn approve_collection(&self) -> Finished {
        let client = self.open()?;
        let number = client.approve_collection()?;
        let document = Document::of_machine("collection_approved", client.enrolment());
        let message = Some(format!("the bundle of order {number} is sent at the next check"));
        Ok((Document { message, ..document }, Exit::Done))
    }

    fn update(&self) -> Finished {
        let mut client = self.open_interruptible()?;
        let mut show = Shown::new(self.json);
        let update = client.update(&mut |progress| show.tell(&progress))?;
        drop(show);
        Ok(updated(&client, update))
    }

    fn rollback(&self, to: Option<&Version>) -> Finished {
        let mut client = self.open_interruptible()?;
        let mut show = Shown::new(self.json);
        let outcome = client.roll_back(to, &mut |progress| show.tell(&progress))?;
        drop(show);
        Ok(rolled_back(&client, &outcome))
    }

    fn confirm(&self) -> Finished {
        let mut client = self.open()?;
        let outcome = client.confirm();
        confirmed(&client, outcome)
    }

    fn recover(&self) -> Finished {
        let client = self.open()?;
        let document = Document {
            version_from: client.status().recorded.record.running,
            message: client.recovery().map(ToOwned::to_owned),
            ..Document::of_machine("recovered", client.enrolment())
        };
        Ok((document, Exit::Done))
    }

    fn treat(&self) -> Finished {
        let cancellation = interrupt::listen()?;
        let surroundings = Surroundings { cancellation, ..self.surroundings() };
        doctor::treat(self.dir()?, surroundings, self.json)
    }

    fn unblock(&self, version: &Version) -> Finished {
        let mut client = self.open()?;
        let was_blocked = client.unblock(version)?;
        let outcome = if was_blocked { "unblocked" } else { "not_blocked" };
        let undelivered = client.report().err();
        let document = Document {
            version_to: Some(version.clone()),
            undelivered: undelivered.as_ref().map(|it| with_sources(it)),
            ..Document::of_machine(outcome, client.enrolment())
        };
        Ok((document, if was_blocked { Exit::Done } else { Exit::UpToDate }))
    }

    fn verify(&self) -> Finished {
        let client = self.open()?;
        let found = client.verify()?;
        let exit = if found.is_intact() { Exit::Done } else { Exit::Modified };
        Ok((Document::of_verification(client.enrolment(), &found), exit))
    }
}

/// What this machine calls itself.
fn host_name() -> Result<String, Error> {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty())
        .ok_or_else(|| Error::input("this machine has no host name: expected --host NAME"))
}
