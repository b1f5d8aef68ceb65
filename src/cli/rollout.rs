mod action;
mod shown;
mod stop;
mod wish;

use clap::{Args, Subcommand};
use mainstay_client::format::{ProductName, Version};

use self::action::{OfRelease, Start};
pub(super) use self::{
    shown::{plan, spreads},
    wish::WishArgs,
};
use super::{CliResult, Output, ServerArgs};
use crate::service::rollout::{
    PlanRollout, ProductRollouts, RolloutAction, RolloutPlan, RolloutView,
};

/// Show how releases spread, steer that, and stop it.
#[derive(Debug, Subcommand)]
pub(super) enum RolloutCommand {
    /// List the rollouts of a product, and say whether all its updates are stopped.
    List(List),
    /// Show how a release spreads, and what became of it on the machines that tried it.
    Show(Named),
    /// Say how many machines of which customers a rollout reaches, and when.
    Plan(Plan),
    /// Start a rollout of a release that has none: machines that do not have it wait for their wave.
    Start(Start),
    /// Agree to a rollout that somebody else has started.
    Approve(OfRelease),
    /// Give a release to nobody new for now.
    Pause(OfRelease),
    /// Let a rollout go on where it was paused.
    Resume(OfRelease),
    /// Give a release to everybody from now on.
    Finish(OfRelease),
    /// Give a release to nobody new any more. That is final.
    Withdraw(OfRelease),
    /// Stop all updates of a product. Orders to go back are carried out all the same.
    Stop(stop::OfProduct),
    /// Let the updates of a product go on.
    Unstop(stop::OfProduct),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
}

/// The release whose rollout it is.
#[derive(Debug, Args)]
pub(super) struct Named {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The version.
    version: Version,
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    wish: WishArgs,
}

impl Named {
    fn path(&self) -> String {
        format!("/v1/products/{}/rollouts/{}", self.product, self.version)
    }
}

impl RolloutCommand {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::List(List { server, product }) => {
                let path = format!("/v1/products/{product}/rollouts");
                let rollouts: ProductRollouts = server.connect()?.get(&path)?;
                output.answer(&rollouts, shown::list)
            }
            Self::Show(named) => {
                let view: RolloutView = named.server.connect()?.get(&named.path())?;
                output.answer(&view, shown::page)
            }
            Self::Plan(Plan { named, wish }) => {
                let request = PlanRollout { rollout: wish.read()?, release: None };
                let path = format!("{}/plan", named.path());
                let foreseen: RolloutPlan = named.server.connect()?.post(&path, &request)?;
                output.answer(&foreseen, plan)
            }
            Self::Start(start) => start.run(output),
            Self::Approve(of) => of.run(RolloutAction::Approve {}, output),
            Self::Pause(of) => of.run(RolloutAction::Pause {}, output),
            Self::Resume(of) => of.run(RolloutAction::Resume {}, output),
            Self::Finish(of) => of.run(RolloutAction::Finish {}, output),
            Self::Withdraw(of) => of.run(RolloutAction::Withdraw {}, output),
            Self::Stop(of) => of.stop(output),
            Self::Unstop(of) => of.unstop(output),
        }
    }
}
