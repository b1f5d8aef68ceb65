//! The `mainstay` command: the server, the vendor's and the technician's commands, the quickstart.
//!
//! Tables for people, `--json` for programs. Exit codes are those of [`ExitStatus`].

mod action;
mod advisory;
mod audit;
mod census;
mod channel;
mod confirm;
mod connection;
mod contract;
mod customer;
mod delta;
mod error;
mod exposure;
mod hidden;
mod keys;
mod machine;
mod openapi;
mod organisation;
mod output;
mod product;
mod publish;
mod quickstart;
mod release;
mod rollout;
mod safeguard;
mod selected;
mod serve;
mod simulate;
mod spreadsheet;
mod status;
mod token;
mod trust;
mod vendor_trust;
mod webhook;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

pub use self::error::{CliError, ExitStatus};
use self::{connection::Connection, output::Output};

type CliResult = Result<(), CliError>;

/// Mainstay: patches and updates for software under maintenance contracts.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, after_help = ExitStatus::HELP)]
pub struct Cli {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(serve::Serve),
    /// Show everything at work: server, demo product, two customers, updates and rollbacks.
    Quickstart(quickstart::Quickstart),
    /// Make and show keys: the vendor's, and new ones for a server.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Register and list products.
    #[command(subcommand)]
    Product(product::Product),
    /// Change, sign and renew what machines trust: keys, thresholds, expiry.
    #[command(subcommand)]
    Trust(trust::Trust),
    /// Make, list and end private channels, which list the custom builds for one customer.
    #[command(subcommand)]
    Channel(channel::ChannelCommand),
    /// Publish a release.
    Publish(Box<publish::Publish>),
    /// List what is published; say what is in it; retire what is old.
    #[command(subcommand)]
    Release(release::Release),
    /// Show how releases spread, steer that, and stop it.
    #[command(subcommand)]
    Rollout(rollout::RolloutCommand),
    /// List the deltas that the server makes, and what they save; make, apply and describe deltas by hand.
    #[command(subcommand)]
    Delta(delta::Delta),
    /// Show by made-up machines how far a bad release gets before its rollout is paused. No server is asked.
    Simulate(simulate::Simulate),
    /// Add and list customers.
    #[command(subcommand)]
    Customer(customer::Customer),
    /// Make, amend and show contracts; make activation keys.
    #[command(subcommand)]
    Contract(contract::ContractCommand),
    /// Add and show organisations that support customers; say whom they serve.
    #[command(subcommand)]
    Organisation(organisation::Organisation),
    /// Make, list and revoke API tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Show and explain machines; order a rollback.
    #[command(subcommand)]
    Machine(machine::Machine),
    /// Show what was ordered for several machines at once, approve and cancel it.
    #[command(subcommand)]
    Action(action::ActionCommand),
    /// Hold releases back from machines on which they do harm.
    #[command(subcommand)]
    Safeguard(safeguard::Safeguard),
    /// Say how many machines run what.
    Census(census::Census),
    /// Record what advisories are about, and export what is known of them.
    #[command(subcommand)]
    Advisory(advisory::AdvisoryCommand),
    /// Say which machines lack the fix of an advisory, since when and why.
    Exposure(exposure::Exposure),
    /// Say where notifications are sent to, and see what has become of them.
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// Show when metadata expires, and what renews it.
    Status(status::Status),
    /// Show who changed what.
    Audit(audit::Audit),
    /// Print the description of the HTTP interface (OpenAPI 3.1), as a server of this version has it at
    /// /v1/openapi.json.
    #[command(name = "openapi")]
    OpenApi,
}

/// How a command reaches the server.
#[derive(Clone, Debug, Args)]
struct ServerArgs {
    /// The server's address.
    #[arg(
        long,
        env = "MAINSTAY_SERVER",
        default_value = "http://127.0.0.1:8420",
        value_name = "URL"
    )]
    server: String,
    /// The file that holds the API token.
    #[arg(long, env = "MAINSTAY_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A PEM file with the certificate authority that the server's certificate comes from, where
    /// it is not a public one.
    #[arg(long, env = "MAINSTAY_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl ServerArgs {
    fn connect(&self) -> Result<Connection, CliError> {
        let token = match (&self.token_file, std::env::var("MAINSTAY_TOKEN")) {
            (Some(file), _) => std::fs::read_to_string(file)
                .map_err(|source| CliError::file("read the token file", file, source))?,
            (None, Ok(token)) => token,
            (None, Err(_)) => {
                return Err(CliError::Input(
                    "no API token: give --token-file FILE, or set MAINSTAY_TOKEN_FILE or \
                     MAINSTAY_TOKEN (the server keeps the first one in admin.token in its \
                     directory)"
                        .to_owned(),
                ));
            }
        };
        Connection::new(&self.server, token.trim(), self.ca.as_deref())
    }
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self) -> ExitCode {
        let Self { output, command } = self;
        let done = match command {
            Command::Serve(command) => command.run(),
            Command::Quickstart(command) => command.run(output),
            Command::Keys(command) => command.run(output),
            Command::Product(command) => command.run(output),
            Command::Trust(command) => command.run(output),
            Command::Channel(command) => command.run(output),
            Command::Publish(command) => command.run(output),
            Command::Release(command) => command.run(output),
            Command::Rollout(command) => command.run(output),
            Command::Delta(command) => command.run(output),
            Command::Simulate(command) => command.run(output),
            Command::Customer(command) => command.run(output),
            Command::Contract(command) => command.run(output),
            Command::Organisation(command) => command.run(output),
            Command::Token(command) => command.run(output),
            Command::Machine(command) => command.run(output),
            Command::Action(command) => return ended(command.run(output), output),
            Command::Safeguard(command) => command.run(output),
            Command::Census(command) => command.run(output),
            Command::Advisory(command) => command.run(output),
            Command::Exposure(command) => command.run(output),
            Command::Webhook(command) => command.run(output),
            Command::Audit(command) => command.run(output),
            Command::OpenApi => openapi::print(),
            Command::Status(command) => return ended(command.run(output), output),
        };
        ended(done.map(|()| ExitStatus::Done), output)
    }
}

/// Says why a command failed, where it did, and what to exit with.
fn ended(done: Result<ExitStatus, CliError>, output: Output) -> ExitCode {
    match done {
        Ok(status) => status.into(),
        Err(error) => {
            output.error(&error);
            error.exit_status().into()
        }
    }
}
