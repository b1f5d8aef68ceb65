//! A program that updates itself: a guide to [`mainstay_client`], to run and to copy from.
//!
//! It is published as a release, and installed on a machine that is enrolled, with this tree:
//!
//! ```text
//! bin/self_update     this program
//! VERSION             which version it is
//! greeting            what it says when it works
//! mainstay.toml       [health]
//!                     command = ["bin/self_update", "--version"]
//!                     confirm_within_seconds = 600
//! ```
//!
//! From then on `<root>/current/bin/self_update` looks after itself each time that it is started. Where
//! it is new it tries itself, and says that it works or goes back. Where there is an update it installs
//! that and becomes it. Then it does its work, also where all of this failed: a server that is away, or an
//! agent that is at work on the installation, keeps no program from running.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use mainstay_client::{
    client::{Client, Progress, Surroundings},
    error::Error,
    install::Limits,
};

fn main() -> ExitCode {
    let done = Program::of_this_process().and_then(|program| {
        if std::env::args().nth(1).as_deref() == Some("--version") {
            println!("{}", program.version()?);
            return Ok(());
        }
        program.run()
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// This program, where it is installed.
struct Program {
    root: PathBuf,
    tree: PathBuf,
}

/// What follows when it has looked after itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Its work.
    Work,
    /// Another version of it runs from now on: it becomes that.
    Become,
}

impl Program {
    /// This process runs from `<root>/versions/<version>/bin/self_update`; the link `current` by which it
    /// was started is resolved already.
    fn of_this_process() -> io::Result<Self> {
        let path = std::env::current_exe()?;
        let above = |levels: usize| path.ancestors().nth(levels).map(Path::to_owned);
        match (above(4), above(2)) {
            (Some(root), Some(tree)) => Ok(Self { root, tree }),
            _ => Err(io::Error::other(format!("{} is in no installation", path.display()))),
        }
    }

    fn run(&self) -> io::Result<()> {
        match self.look_after_itself() {
            Ok(Next::Become) => return Err(self.become_current()),
            Ok(Next::Work) => {}
            Err(error) => println!("it stays as it is: {error}"),
        }
        println!("{} says {}", self.version()?, self.greeting()?);
        Ok(())
    }

    /// The client holds the installation's lock, and lets go of it at the end of this function.
    fn look_after_itself(&self) -> Result<Next, Error> {
        // An agent may be at work just now.
        let install_limits = Limits { lock_wait: Duration::from_secs(10), ..Limits::default() };
        let surroundings = Surroundings { install_limits, ..Surroundings::default() };
        let mut client = Client::open_within(&self.root, surroundings)?;

        // An agent may have installed another version since this one was started, or opening may have
        // undone this one, which was not confirmed in time.
        if !self.is_current(&client) {
            return Ok(Next::Become);
        }
        if client.status().recorded.record.probation.is_some() {
            match self.greeting() {
                Ok(_) => println!("it works: {:?}", client.confirm()?),
                Err(reason) => {
                    println!("it does not work: {reason}");
                    println!("{:?}", client.roll_back(None, &mut Self::show)?);
                    return Ok(Next::Become);
                }
            }
        }

        let check = client.check()?;
        let update = client.apply(check, &mut Self::show)?;
        if let Some(outcome) = update.outcome {
            println!("{outcome:?}");
        }
        Ok(if self.is_current(&client) { Next::Work } else { Next::Become })
    }

    fn is_current(&self, client: &Client) -> bool {
        let running = client.status().recorded.record.running;
        running.is_some_and(|running| self.tree.ends_with(running.to_string()))
    }

    /// Goes on as the version that is current now, as the same process. Comes back only if that fails.
    fn become_current(&self) -> io::Error {
        let path = self.root.join("current/bin/self_update");
        Command::new(path).args(std::env::args_os().skip(1)).exec()
    }

    fn show(progress: Progress) {
        match progress {
            Progress::Downloading { received, length } => {
                println!("downloading: {received} of {length} bytes");
            }
            Progress::Installing { version } => println!("installing {version}"),
            // There may be more to show one day.
            _ => {}
        }
    }

    fn version(&self) -> io::Result<String> {
        read(&self.tree.join("VERSION"))
    }

    /// What this program is for, and what it tries when it tries itself.
    fn greeting(&self) -> io::Result<String> {
        read(&self.tree.join("greeting"))
    }
}

fn read(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(text.trim().to_owned())
}
