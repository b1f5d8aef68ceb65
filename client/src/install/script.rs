use std::{
    ffi::OsString,
    io::{self, PipeReader, Read as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

use super::Layout;
use crate::format::{HealthCheck, ReleaseDescription, Version};

/// Where a program finds others when this process has no `PATH` itself.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long the output of a program that has ended is waited for. It can only take time where it
/// started a process that left its group and still holds the output.
const OUTPUT_WAIT: Duration = Duration::from_secs(1);

/// How often, and how far apart, a program that is just being written to is tried again.
const BUSY_TRIES: u32 = 20;
const BUSY_WAIT: Duration = Duration::from_millis(25);

/// The variable by which a run's processes are found again, whatever they became.
pub(super) const RUN_VARIABLE: &str = "MAINSTAY_RUN";

/// Why a release's program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Before the switch.
    Before,
    /// After the switch, or after a change away from the release came to nothing.
    After,
    /// To find out whether the release works.
    Check,
}

impl Occasion {
    /// The value of `MAINSTAY_HOOK`.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Check => "check",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Before => "hook before the switch",
            Self::After => "hook after the switch",
            Self::Check => "health check",
        }
    }
}

/// What became of a release's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It ended well, and said so much.
    Passed(String),
    /// It wants to be asked again later, and why.
    NotNow(String),
    /// It failed, and how.
    Failed(String),
}

/// Where and for whom a release's programs run.
///
/// A program runs in the release's tree, as the user that this process runs as, in a process group
/// of its own, with nothing on its standard input and with these environment variables and no
/// others:
///
/// | variable | value |
/// |---|---|
/// | `PATH`, `HOME` | those of this process; a usual `PATH` where it has none |
/// | `MAINSTAY_HOOK` | `before`, `after` or `check` |
/// | `MAINSTAY_VERSION` | the version whose program it is |
/// | `MAINSTAY_PREVIOUS_VERSION` | the version that is left; absent where there is none |
/// | `MAINSTAY_ROOT` | the root of the installation |
/// | `MAINSTAY_DATA` | the directory `data` in it, which need not exist |
/// | `MAINSTAY_DATA_DIRS` | every directory that is copied and restored, one a line |
/// | `MAINSTAY_RUN` | names the attempt; what bears it and is left over after a crash is ended |
///
/// When it has ended, what is left of its process group is killed.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) layout: &'a Layout,
    pub(super) version: &'a Version,
    pub(super) previous: Option<&'a Version>,
    pub(super) data: String,
    pub(super) run: &'a str,
    pub(super) output_bytes_max: usize,
}

impl Place<'_> {
    /// Runs a program of the release.
    pub(super) fn run(
        &self,
        occasion: Occasion,
        command: &[String],
        timeout_seconds: u32,
    ) -> Verdict {
        let name = format!("the {} `{}`", occasion.title(), command.join(" "));
        let mut command = self.command(occasion, command);
        ask(&name, &mut command, timeout_seconds, self.output_bytes_max)
    }

    fn command(&self, occasion: Occasion, command: &[String]) -> Command {
        let tree = self.layout.tree(self.version);
        let program = command.first().map(String::as_str).unwrap_or_default();
        let mut started = if program.contains('/') {
            Command::new(tree.join(program))
        } else {
            Command::new(program)
        };
        started
            .args(command.iter().skip(1))
            .current_dir(&tree)
            .env_clear()
            .envs(surroundings())
            .env("MAINSTAY_HOOK", occasion.as_str())
            .env("MAINSTAY_VERSION", self.version.to_string())
            .env("MAINSTAY_ROOT", self.layout.root())
            .env("MAINSTAY_DATA", self.layout.data())
            .env("MAINSTAY_DATA_DIRS", &self.data)
            .env(RUN_VARIABLE, self.run)
            .envs(self.previous.map(|from| ("MAINSTAY_PREVIOUS_VERSION", from.to_string())));
        started
    }

    /// Finds out whether the release works: runs its check until it passes, for as long as a
    /// failure does not count and as often as failures are put up with.
    pub(super) fn check(&self, health: &HealthCheck) -> Verdict {
        let begun = Instant::now();
        let grace = Duration::from_secs(health.grace_seconds.into());
        let mut failures = 0;
        loop {
            // A run that began within the grace failed of what the grace is for.
            let counts = begun.elapsed() >= grace;
            let verdict = self.run(Occasion::Check, &health.command, health.timeout_seconds);
            let Verdict::Failed(reason) = verdict else { return verdict };
            failures += u32::from(counts);
            if failures > health.retries {
                let runs = if failures > 1 { format!("{failures} times: ") } else { String::new() };
                return Verdict::Failed(format!("{runs}{reason}"));
            }
            thread::sleep(Duration::from_secs(health.retry_after_seconds.into()));
        }
    }
}

/// What every program sees of this process's environment.
pub(crate) fn surroundings() -> impl Iterator<Item = (&'static str, OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| PATH_DEFAULT.into());
    [("PATH", path)].into_iter().chain(std::env::var_os("HOME").map(|home| ("HOME", home)))
}

/// Runs `command`, which is `name` to people, and takes its exit status for a verdict.
pub(crate) fn ask(
    name: &str,
    command: &mut Command,
    timeout_seconds: u32,
    output_bytes_max: usize,
) -> Verdict {
    let timeout = Duration::from_secs(timeout_seconds.into());
    let (ended, said) = match run(command, timeout, output_bytes_max) {
        Ok(ran) => ran,
        Err(error) => return Verdict::Failed(format!("{name} cannot be started: {error}")),
    };
    let told = if said.is_empty() { "nothing".to_owned() } else { format!("\n{said}") };
    let failure = match ended {
        Ok(Some(status)) if status.success() => return Verdict::Passed(said),
        Ok(Some(status)) if status.code() == Some(ReleaseDescription::NOT_NOW) => {
            return Verdict::NotNow(format!("{name} said not now: {told}"));
        }
        Ok(Some(status)) => format!("failed ({status})"),
        Ok(None) => format!("took longer than {timeout_seconds} seconds"),
        Err(error) => format!("ended in an unknown way ({error})"),
    };
    Verdict::Failed(format!("{name} {failure}; it said: {told}"))
}

/// How a program ended, if it did so in time.
type Ended = io::Result<Option<ExitStatus>>;

/// Runs `command` in a process group of its own, of which nothing is left afterwards. Says how it
/// ended and what it said last; an error where it cannot be started.
pub(crate) fn run(
    command: &mut Command,
    timeout: Duration,
    output_bytes_max: usize,
) -> io::Result<(Ended, String)> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let child = spawn(command)?;
    // The command holds the other end of the pipe, which must be closed when the program is over.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let output = Output::collect(reader, output_bytes_max);
    let ended = ended_within(child, timeout);
    Ok((ended, output.end()))
}

/// Starts `command`. A program that was only just written may be busy: where another thread of
/// this process forks at the wrong moment, its child holds the file open until its own exec.
fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 1..BUSY_TRIES {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                thread::sleep(BUSY_WAIT);
            }
            result => return result,
        }
    }
    command.spawn()
}

/// Waits for `child` and kills its process group; nothing where it did not end by itself in time.
fn ended_within(mut child: Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let group = Pid::from_child(&child);
    let in_time = thread::scope(|scope| {
        let (ended, end) = mpsc::channel();
        scope.spawn(move || {
            // The child stays unreaped, so that its number still names its group below.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(group), options), Err(Errno::INTR)) {}
            let _ = ended.send(());
        });
        let in_time = end.recv_timeout(timeout).is_ok();
        // An error means that nothing is left of the group.
        let _ = kill_process_group(group, Signal::KILL);
        in_time
    });
    let status = child.wait()?;
    Ok(in_time.then_some(status))
}

/// The end of what a program says.
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    closed: mpsc::Receiver<()>,
    bytes_max: usize,
}

impl Output {
    fn collect(mut reader: PipeReader, bytes_max: usize) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let (close, closed) = mpsc::channel();
        let collected = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let read = match reader.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Ok(0) | Err(_) => break,
                    Ok(read) => read,
                };
                let mut bytes = collected.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend(chunk.iter().take(read));
                let surplus = bytes.len().saturating_sub(bytes_max);
                bytes.drain(..surplus);
            }
            let _ = close.send(());
        });
        Self { bytes, closed, bytes_max }
    }

    fn end(self) -> String {
        let _ = self.closed.recv_timeout(OUTPUT_WAIT);
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        debug_assert!(bytes.len() <= self.bytes_max, "the collector keeps the limit");
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

#[cfg(test)]
mod tests;
