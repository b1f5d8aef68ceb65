//! Ends what a killed agent left running.
//!
//! A hook or a health check is a child of the agent. Where the agent is killed, nothing ends it: to
//! ask the kernel for that takes code between fork and exec, which Rust calls unsafe. So the next
//! agent looks for it. Every process of an attempt bears the attempt's name in its environment, in
//! which its children inherit it, whatever group or session they move to; and the journal has the
//! name before the first of them starts.

use std::{fs, thread, time::Duration};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::script::RUN_VARIABLE;

/// How often, and how far apart, it is looked whether they have ended.
const LOOKS: u32 = 200;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Ends every process of the attempt called `run`, and says how many there were. Processes of other
/// users are not seen unless this one is root.
pub(super) fn end(run: &str) -> usize {
    let mark = format!("{RUN_VARIABLE}={run}");
    let mut ended = std::collections::BTreeSet::new();
    for _ in 0..LOOKS {
        let found: Vec<_> = processes().filter(|process| bears(*process, &mark)).collect();
        if found.is_empty() {
            break;
        }
        for process in found {
            ended.insert(process);
            // The number could be another process's by now; what is held open cannot.
            if let Some(pid) = Pid::from_raw(process)
                && let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
                && bears(process, &mark)
            {
                let _ = pidfd_send_signal(handle, Signal::KILL);
            }
        }
        thread::sleep(LOOK_EVERY);
    }
    ended.len()
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = i32::try_from(std::process::id()).ok();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |process| Some(*process) != own)
}

/// Whether `mark` is in the environment that the process began with.
fn bears(process: i32, mark: &str) -> bool {
    let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _},
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn all_that_an_attempt_started_is_ended_and_nothing_else() {
        let start = |run: &str| {
            // The second one leaves its parent's group.
            let script = "setsid sleep 600 & sleep 600 & echo started; wait";
            let mut command = Command::new("sh");
            command.args(["-c", script]).env(RUN_VARIABLE, run).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            output.read_line(&mut String::new()).unwrap();
            (child, output)
        };
        let own = format!("a-test-of-{}", std::process::id());
        let (mut child, mut output) = start(&own);
        let (mut other, _output) = start(&format!("{own}-other"));
        assert!(end(&own) >= 3);
        assert!(!child.wait().unwrap().success());
        // This ends only once nobody holds the other end.
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
        assert!(other.try_wait().unwrap().is_none());
        assert_eq!(end(&own), 0);
        end(&format!("{own}-other"));
        other.wait().unwrap();
    }
}
