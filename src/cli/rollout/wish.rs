use std::{fs, path::PathBuf};

use clap::Args;

use super::super::CliError;
use crate::policy::{RolloutWish, rollout::Waves};

/// How a release is to spread. What is not said is as the server's configuration has it.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct WishArgs {
    /// The waves, each with how far it reaches and how long it lasts: early:4h,1%:12h,10%:1d,100%. Before
    /// shares of the ring general come canaries, preview and early, after them last.
    #[arg(long, value_name = "WAVES")]
    waves: Option<Waves>,
    /// To everybody at once, at any hour.
    #[arg(long, conflicts_with = "waves")]
    immediately: bool,
    /// A file (TOML) that says so, as the section [rollout] of the server's configuration does: waves,
    /// canaries, schedule, failure, success.
    #[arg(long = "rollout", value_name = "FILE", conflicts_with_all = ["waves", "immediately"])]
    file: Option<PathBuf>,
}

impl WishArgs {
    /// To everybody at once.
    pub(in crate::cli) fn immediately() -> Self {
        Self { immediately: true, ..Self::default() }
    }

    /// What is wanted.
    pub(in crate::cli) fn read(&self) -> Result<RolloutWish, CliError> {
        if self.immediately {
            return Ok(RolloutWish::at_once());
        }
        let Some(file) = &self.file else {
            return Ok(RolloutWish { waves: self.waves.clone(), ..RolloutWish::default() });
        };
        let text =
            fs::read_to_string(file).map_err(|source| CliError::file("read", file, source))?;
        let wish: RolloutWish = toml::from_str(&text)
            .map_err(|error| CliError::Input(format!("{}: {error}", file.display())))?;
        match wish.problem() {
            None => Ok(wish),
            Some(problem) => Err(CliError::Input(format!("{}: {problem}", file.display()))),
        }
    }
}
