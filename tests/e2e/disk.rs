//! File systems of a test's own: small ones in memory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::harness::Ran;

/// A file system that is mounted until the test is over.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// Mounts one in memory of so many bytes at `path`. Nothing where that is not permitted, unless
    /// `MAINSTAY_TESTS_MUST_MOUNT` says that it must be, as `tests/run` does for root.
    pub(crate) fn at(path: &Path, bytes: u64) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let size = format!("size={bytes}");
        may(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(path))?;
        Some(Self(path.to_owned()))
    }

    /// What a test has mounted at `path` by itself.
    pub(crate) fn already(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        Ran::run(Command::new("mount").args(["-o", &option]).arg(&self.0)).succeeds();
    }

    pub(crate) fn available(&self) -> u64 {
        let df = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.0).output().unwrap();
        let text = String::from_utf8(df.stdout).unwrap();
        text.lines().last().unwrap().trim().parse().unwrap()
    }

    /// Fills it so that so many bytes stay free.
    pub(crate) fn fill(&self, free: u64) {
        let filler = self.available().saturating_sub(free);
        fs::write(self.0.join("filler"), vec![0; usize::try_from(filler).unwrap()]).unwrap();
    }

    pub(crate) fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ended = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Runs a command that prepares a file system, if that is permitted here.
pub(crate) fn may(command: &mut Command) -> Option<Output> {
    let ran = command.output();
    if let Ok(output) = &ran
        && output.status.success()
    {
        return ran.ok();
    }
    let must = std::env::var_os("MAINSTAY_TESTS_MUST_MOUNT").is_some();
    assert!(!must, "cannot prepare a file system: {command:?}: {ran:?}");
    println!("skipped: preparing a file system is not permitted here: {command:?}: {ran:?}");
    None
}
