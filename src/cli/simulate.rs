use std::num::NonZeroU32;

use clap::Args;
use jiff::SignedDuration;
use mainstay_client::format::Platform;
use serde::Serialize;

use super::{CliError, CliResult, Output, output::table};
use crate::policy::{
    RolloutRules,
    rollout::{FailureThreshold, Share, Terms, Threshold, Thresholds, Waves},
    simulation::{Comparison, Courses, FailureModel, Fleet, Manner, PLATFORMS, compare},
};

/// Show by made-up machines how far a bad release gets before its rollout is paused. No server is asked.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// How many machines there are.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=Self::MACHINES_MAX))]
    machines: u32,
    /// Which of all such fleets: the same seed gives the same table.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// In how many fleets, of this seed and those that follow.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=Self::RUNS_MAX))]
    runs: u32,
    /// Waves to try, as for `publish`; can be given several times. Without it the usual ones of a server,
    /// and some others next to them.
    #[arg(long, value_name = "WAVES")]
    waves: Vec<Waves>,
    /// On which share of the machines the bad release fails.
    #[arg(long, default_value = "5%", value_name = "SHARE")]
    failure: Share,
    /// The platform on which alone it does: linux-x86_64 (60 of 100 machines), windows-x86_64 (30) or
    /// linux-aarch64 (10).
    #[arg(long)]
    platform: Option<Platform>,
    /// A machine on which it fails is not heard of again, and does not say so.
    #[arg(long)]
    silent: bool,
    /// On which share of the machines every release fails.
    #[arg(long, default_value = "0.2%", value_name = "SHARE")]
    background: Share,
    /// How long a machine waits before it asks again, in seconds.
    #[arg(long, default_value_t = Fleet::POLL_SECONDS, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(60..=86_400))]
    poll: u32,
    /// Which share of failures pauses, instead of the usual.
    #[arg(long, value_name = "SHARE")]
    pause_at: Option<Share>,
    /// How many failures it takes at the least to pause, instead of the usual.
    #[arg(long, value_name = "COUNT")]
    failed_min: Option<NonZeroU32>,
    /// How many machines must have tried the release before anything pauses, instead of the usual.
    #[arg(long, value_name = "COUNT")]
    tried_min: Option<NonZeroU32>,
    /// Below which share of successes of at least 20 no further wave begins, instead of the usual.
    #[arg(long, value_name = "SHARE")]
    hold_below: Option<Share>,
}

/// The answer for a program.
#[derive(Serialize)]
struct Simulated<'a> {
    fleet: Fleet,
    failure: &'a FailureModel,
    thresholds: Thresholds,
    settings: Vec<Comparison>,
}

impl Simulate {
    const MACHINES_MAX: i64 = 10_000_000;
    const RUNS_MAX: i64 = 100_000;
    /// What is shown next to the usual waves.
    const OTHERS: [&str; 4] =
        ["100%", "10%:1d,100%", "1%:1d,10%:1d,100%", "early:4h,1%:12h,10%:1d,100%"];

    pub(super) fn run(self, output: Output) -> CliResult {
        self.known_platform()?;
        let fleet = Fleet { seed: self.seed, machines: self.machines, poll_seconds: self.poll };
        let failure = FailureModel {
            bad: Some(self.failure),
            platform: self.platform.clone(),
            manner: if self.silent { Manner::Silent } else { Manner::Reported },
            background: self.background,
        };
        let thresholds = self.thresholds();
        let terms: Vec<_> = self
            .settings()
            .map(|waves| Terms { waves, thresholds, ..RolloutRules::default().terms })
            .collect();
        let failed = |error| CliError::Input(format!("cannot make up machines: {error}"));
        let settings = compare(&terms, fleet, &failure, self.runs).map_err(failed)?;
        output.answer(&Simulated { fleet, failure: &failure, thresholds, settings }, told)
    }

    fn known_platform(&self) -> CliResult {
        let Some(platform) = &self.platform else { return Ok(()) };
        let names = PLATFORMS.map(|(name, _)| name);
        if names.contains(&platform.as_str()) {
            return Ok(());
        }
        let names = names.join(", ");
        Err(CliError::Input(format!(
            "no simulated machine is of the platform {platform}: expected one of {names}"
        )))
    }

    fn settings(&self) -> impl Iterator<Item = Waves> {
        let usual = self.waves.is_empty().then(Waves::usual);
        let others = Self::OTHERS.into_iter().filter_map(|waves| waves.parse().ok());
        let others = usual.is_some().then_some(others).into_iter().flatten();
        let others: Vec<_> = others.filter(|waves| Some(waves) != usual.as_ref()).collect();
        usual.into_iter().chain(others).chain(self.waves.clone())
    }

    fn thresholds(&self) -> Thresholds {
        let usual = Thresholds::usual();
        let success = self
            .hold_below
            .map(|share| Threshold { share, tried_min: NonZeroU32::MIN.saturating_add(19) });
        Thresholds {
            failure: usual.failure.map(|usual| FailureThreshold {
                share: self.pause_at.unwrap_or(usual.share),
                tried_min: self.tried_min.unwrap_or(usual.tried_min),
                failed_min: self.failed_min.unwrap_or(usual.failed_min),
            }),
            success: success.or(usual.success),
        }
    }
}

fn told(simulated: &Simulated<'_>) -> String {
    let machines = simulated.fleet.machines;
    let rows = simulated.settings.iter().map(|Comparison { waves, bad, good }| {
        [
            waves.to_string(),
            of(bad.paused + bad.held, bad),
            of(bad.in_time, bad),
            format!("{} ({})", bad.reached.median, share(bad.reached.median, machines)),
            format!("{} ({})", bad.reached.most, share(bad.reached.most, machines)),
            hours(bad.after_seconds.median),
            of(good.paused, good),
            of(good.held, good),
            hours(good.after_seconds.median),
        ]
    });
    let headings = [
        "WAVES",
        "BAD: STOPPED",
        "BEFORE 2%",
        "REACHED, MEDIAN",
        "MOST",
        "AFTER",
        "GOOD: PAUSED",
        "HELD",
        "AFTER",
    ];
    let Simulated { fleet: Fleet { seed, poll_seconds, .. }, failure, thresholds, .. } = simulated;
    let bad = failure.bad.map_or_else(|| "no".to_owned(), |share| share.to_string());
    let platform = failure.platform.as_ref().map(|it| format!(" of {it}")).unwrap_or_default();
    let silent = if failure.manner == Manner::Silent { " and falls silent" } else { "" };
    let pauses = thresholds.failure.map(|it| format!("pauses at failures of {it}"));
    let holds = thresholds.success.map(|it| format!("holds below successes of {it}"));
    let stops: Vec<_> = [pauses, holds].into_iter().flatten().collect();
    format!(
        "{}\n\n{machines} machines, seed {seed}, asking every {poll_seconds} s. The bad release fails on \
         {bad} of the machines{platform}{silent}; every release fails on {}. A rollout {}.",
        table(headings, rows),
        failure.background,
        stops.join("; "),
    )
}

fn of(count: u32, courses: &Courses) -> String {
    format!("{count} of {}", courses.runs)
}

fn share(part: u32, whole: u32) -> String {
    let hundredths = (u64::from(part) * 10_000).div_ceil(u64::from(whole.max(1)));
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

fn hours(seconds: u32) -> String {
    let after = SignedDuration::from_secs(i64::from(seconds));
    format!("{}h {:02}m", after.as_hours(), after.as_mins() % 60)
}
