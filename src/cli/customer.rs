use clap::{Args, Subcommand};
use mainstay_client::format::CustomerName;

use super::{CliResult, Output, ServerArgs, output::table};
use crate::{service::contract::CreateCustomer, store::CustomerRecord};

/// Add and list customers.
#[derive(Debug, Subcommand)]
pub(super) enum Customer {
    /// Add a customer.
    Create(Create),
    /// List the customers.
    List(ServerArgs),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    server: ServerArgs,
    /// The short name.
    #[arg(long)]
    customer: CustomerName,
    /// What people call it [default: the short name].
    #[arg(long)]
    title: Option<String>,
}

impl Customer {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Create(Create { server, customer, title }) => {
                let request = CreateCustomer { name: customer, title };
                let customer: CustomerRecord = server.connect()?.post("/v1/customers", &request)?;
                output.answer(&customer, |customer| {
                    format!("Customer {} ({}) is added.", customer.name, customer.title)
                })
            }
            Self::List(server) => {
                let customers: Vec<CustomerRecord> = server.connect()?.get("/v1/customers")?;
                output.answer(&customers, |customers| {
                    let rows = customers.iter().map(|customer| {
                        [
                            customer.name.to_string(),
                            customer.title.clone(),
                            customer.created_at.to_string(),
                        ]
                    });
                    table(["CUSTOMER", "TITLE", "SINCE"], rows)
                })
            }
        }
    }
}
