use std::{
    io::{self, PipeReader, Read as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

use super::Layout;
use crate::format::{HealthCheck, Version};

/// Where a health check finds programs when this process has no `PATH` itself.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long the output of a check that has ended is waited for. It can only take time where the
/// check started a process that left its group and still holds the output.
const OUTPUT_WAIT: Duration = Duration::from_secs(1);

/// How often, and how far apart, a program that is just being written to is tried again.
const BUSY_TRIES: u32 = 20;
const BUSY_WAIT: Duration = Duration::from_millis(25);

/// A release's health check in its place.
///
/// It runs in the release's tree, in a process group of its own, with nothing on its standard
/// input and with these environment variables and no others:
///
/// | variable | value |
/// |---|---|
/// | `PATH`, `HOME` | those of this process; a usual `PATH` where it has none |
/// | `MAINSTAY_VERSION` | the version that is checked |
/// | `MAINSTAY_PREVIOUS_VERSION` | what ran before; absent where nothing did |
/// | `MAINSTAY_ROOT` | the root of the installation |
/// | `MAINSTAY_DATA` | the directory of the program's data, which need not exist |
///
/// When it has ended, what is left of its process group is killed.
pub(super) struct Check<'a> {
    pub(super) health: &'a HealthCheck,
    pub(super) layout: &'a Layout,
    pub(super) version: &'a Version,
    pub(super) previous: Option<&'a Version>,
    pub(super) output_bytes_max: usize,
}

impl Check<'_> {
    /// Runs the check; the error says why the release is not healthy.
    pub(super) fn run(&self) -> Result<(), String> {
        let words = self.health.command.join(" ");
        let problems = self.health.problems();
        if !problems.is_empty() {
            return Err(format!("the health check is malformed: {}", problems.join("; ")));
        }
        let cannot =
            |error: io::Error| format!("the health check `{words}` cannot be started: {error}");
        let (child, output) = self.start().map_err(cannot)?;
        let output = Output::collect(output, self.output_bytes_max);
        let timeout = Duration::from_secs(self.health.timeout_seconds.into());
        let failure = match ended_within(child, timeout) {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => format!("failed ({status})"),
            Ok(None) => format!("took longer than {} seconds", self.health.timeout_seconds),
            Err(error) => format!("ended in an unknown way ({error})"),
        };
        let said = output.end();
        let said = if said.is_empty() { "nothing".to_owned() } else { format!("\n{said}") };
        Err(format!("the health check `{words}` {failure}; it said: {said}"))
    }

    fn start(&self) -> io::Result<(Child, PipeReader)> {
        let (reader, writer) = io::pipe()?;
        let (program, arguments) =
            self.health.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let tree = self.layout.tree(self.version);
        let mut command = if program.contains('/') {
            Command::new(tree.join(program))
        } else {
            Command::new(program)
        };
        command
            .args(arguments)
            .current_dir(&tree)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH_DEFAULT.into()))
            .env("MAINSTAY_VERSION", self.version.to_string())
            .env("MAINSTAY_ROOT", self.layout.root())
            .env("MAINSTAY_DATA", self.layout.data())
            .envs(std::env::var_os("HOME").map(|home| ("HOME", home)))
            .envs(self.previous.map(|from| ("MAINSTAY_PREVIOUS_VERSION", from.to_string())))
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        Ok((spawn(&mut command)?, reader))
    }
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

/// The end of what a check says.
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
