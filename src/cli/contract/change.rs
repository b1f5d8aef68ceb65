//! The changes of a contract as words of a command.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use mainstay_client::format::{Channel, ContractName, LineName, Tag};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value},
};

use super::{
    super::{CliError, Connection, ServerArgs},
    TierName, parse_change,
};
use crate::{
    policy::{Bridge, Change, Exit, Fallback, Term},
    service::{
        contract::{AmendContract, ContractView},
        instant,
    },
};

#[derive(Debug, Args)]
#[command(subcommand_precedence_over_arg = true)]
pub(in super::super) struct Amend {
    #[command(flatten)]
    server: ServerArgs,
    /// Which contract.
    contract: ContractName,
    /// From when on the change is in force [default: now].
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    at: Option<Timestamp>,
    /// The change as a JSON document, in place of a verb.
    #[arg(long, value_name = "JSON")]
    change: Option<String>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Maintenance is paid for a further time.
    Renew {
        /// The first instant that is in.
        #[arg(long, value_name = "TIME", value_parser = instant::parse)]
        start: Timestamp,
        /// The first instant that is out.
        #[arg(long, value_name = "TIME", value_parser = instant::parse)]
        end: Timestamp,
    },
    /// The latest term ends later.
    Extend {
        /// The first instant that is out.
        #[arg(long, value_name = "TIME", value_parser = instant::parse)]
        until: Timestamp,
    },
    /// The contract takes over all that a tier stands for.
    SetTier {
        #[arg(value_enum)]
        tier: TierName,
    },
    /// A kind of release is covered from now on.
    AddChannel { channel: Channel },
    /// A kind of release is covered no longer.
    EndChannel { channel: Channel },
    /// An add-on was bought.
    AddAddon { addon: Tag },
    /// An add-on was given up.
    EndAddon { addon: Tag },
    /// Support past its end of support was bought for a line.
    AddElsLine { line: LineName },
    /// Support past its end of support is given up for a line.
    EndElsLine { line: LineName },
    /// The customer belongs to an audience from now on.
    AddAudience { audience: Tag },
    /// The customer belongs to an audience no longer.
    EndAudience { audience: Tag },
    /// The highest line licensed changes.
    SetCap {
        /// The line [default: no limit].
        line: Option<LineName>,
    },
    /// The number of machines changes.
    SetSeats {
        /// The number [default: no limit].
        seats: Option<u32>,
    },
    /// Conditions that otherwise come with the tier; for a contract of the tier enterprise, or of
    /// none.
    #[group(required = true, multiple = true)]
    SetConditions {
        /// Days of grace.
        #[arg(long, value_name = "DAYS")]
        grace_days: Option<u32>,
        /// Days of the security tail.
        #[arg(long, value_name = "DAYS")]
        security_tail_days: Option<u32>,
        /// What stays when the paid time is over: perpetual or none.
        #[arg(long, value_parser = word::<Fallback>)]
        fallback: Option<Fallback>,
        /// Whether a critical fix may come from a line that is not owned: critical or never.
        #[arg(long, value_parser = word::<Bridge>)]
        bridge: Option<Bridge>,
    },
    /// Nothing is granted until a resumption.
    Suspend,
    /// A suspension is over.
    Resume,
    /// The contract ends for good.
    Terminate {
        /// Whether what the fallback keeps of the paid time stays: fallback or nothing.
        #[arg(long, value_parser = word::<Exit>, default_value = "nothing")]
        exit: Exit,
    },
}

impl Amend {
    pub(super) fn run(self) -> Result<ContractView, CliError> {
        let Self { server, contract, at, change, verb } = self;
        let change = match (change, verb) {
            (Some(text), None) => parse_change("--change", &text)?,
            (None, Some(verb)) => verb.into(),
            _ => {
                return Err(CliError::Input(
                    "expected a verb such as `extend --until TIME`, or --change JSON; `contract \
                     amend --help` lists the verbs"
                        .to_owned(),
                ));
            }
        };
        let server: Connection = server.connect()?;
        server.post(&format!("/v1/contracts/{contract}/amendments"), &AmendContract { at, change })
    }
}

impl From<Verb> for Change {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Renew { start, end } => Self::Renew { term: Term { start, end } },
            Verb::Extend { until } => Self::Extend { until },
            Verb::SetTier { tier } => Self::SetTier { tier: tier.into(), preset: None },
            Verb::AddChannel { channel } => Self::AddChannel { channel },
            Verb::EndChannel { channel } => Self::EndChannel { channel },
            Verb::AddAddon { addon } => Self::AddAddon { addon },
            Verb::EndAddon { addon } => Self::EndAddon { addon },
            Verb::AddElsLine { line } => Self::AddElsLine { line },
            Verb::EndElsLine { line } => Self::EndElsLine { line },
            Verb::AddAudience { audience } => Self::AddAudience { audience },
            Verb::EndAudience { audience } => Self::EndAudience { audience },
            Verb::SetCap { line } => Self::SetCap { cap: line },
            Verb::SetSeats { seats } => Self::SetSeats { seats },
            Verb::SetConditions { grace_days, security_tail_days, fallback, bridge } => {
                Self::SetConditions { grace_days, security_tail_days, fallback, bridge }
            }
            Verb::Suspend => Self::Suspend,
            Verb::Resume => Self::Resume,
            Verb::Terminate { exit } => Self::Terminate { exit },
        }
    }
}

/// One of the words that the documents have for a `T`.
fn word<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, value::Error> {
    T::deserialize(text.into_deserializer())
}
