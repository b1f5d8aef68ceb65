use clap::{Args, Subcommand};
use mainstay_client::format::{CustomerName, OrganisationName};

use super::{CliResult, Output, ServerArgs, output::table};
use crate::{service::organisation::CreateOrganisation, store::OrganisationRecord};

/// Add and show organisations that support customers; say whom they serve.
#[derive(Debug, Subcommand)]
pub(super) enum Organisation {
    /// Add an organisation. It serves nobody yet.
    Create(Create),
    /// List the organisations.
    List(ServerArgs),
    /// Show an organisation and the customers that it serves.
    Show(Show),
    /// Let an organisation's tokens see and act on what is of a customer, or end that at once.
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    server: ServerArgs,
    /// The short name.
    #[arg(long)]
    organisation: OrganisationName,
    /// What people call it [default: the short name].
    #[arg(long)]
    title: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    server: ServerArgs,
    /// The organisation's short name.
    organisation: OrganisationName,
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    server: ServerArgs,
    /// The organisation's short name.
    #[arg(long)]
    organisation: OrganisationName,
    /// The customer's short name.
    #[arg(long)]
    customer: CustomerName,
    /// It serves the customer no longer, from now on.
    #[arg(long)]
    end: bool,
}

impl Organisation {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Create(Create { server, organisation, title }) => {
                let request = CreateOrganisation { name: organisation, title };
                let created: OrganisationRecord =
                    server.connect()?.post("/v1/organisations", &request)?;
                output.answer(&created, |created| {
                    format!("Organisation {} ({}) is added.", created.name, created.title)
                })
            }
            Self::List(server) => {
                let all: Vec<OrganisationRecord> = server.connect()?.get("/v1/organisations")?;
                output.answer(&all, |all| list(all))
            }
            Self::Show(Show { server, organisation }) => {
                let path = format!("/v1/organisations/{organisation}");
                let shown: OrganisationRecord = server.connect()?.get(&path)?;
                output.answer(&shown, |shown| list(std::slice::from_ref(shown)))
            }
            Self::Serve(Serve { server, organisation, customer, end }) => {
                let path = format!("/v1/organisations/{organisation}");
                let place = format!("{path}/customers/{customer}");
                let server = server.connect()?;
                if end { server.delete(&place) } else { server.put(&place) }?;
                let serving: OrganisationRecord = server.get(&path)?;
                output.answer(&serving, |serving| list(std::slice::from_ref(serving)))
            }
        }
    }
}

fn list(organisations: &[OrganisationRecord]) -> String {
    let rows = organisations.iter().map(|organisation| {
        let served: Vec<_> = organisation.customers.iter().map(ToString::to_string).collect();
        [
            organisation.name.to_string(),
            organisation.title.clone(),
            organisation.created_at.to_string(),
            if served.is_empty() { "-".to_owned() } else { served.join(", ") },
        ]
    });
    table(["ORGANISATION", "TITLE", "SINCE", "SERVES"], rows)
}
