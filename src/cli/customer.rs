use clap::{Args, Subcommand};
use mainstay_client::format::{self, CustomerName};

use super::{CliResult, Output, ServerArgs, output::table};
use crate::{
    service::contract::{CreateCustomer, TagCustomer},
    store::CustomerRecord,
};

/// Add and list customers.
#[derive(Debug, Subcommand)]
pub(super) enum Customer {
    /// Add a customer.
    Create(Create),
    /// List the customers.
    List(ServerArgs),
    /// Give a customer tags, or take them away. Safeguards can be for customers with a tag; the
    /// customer is not told of it.
    Tag(Tag),
}

#[derive(Debug, Args)]
#[group(id = "tags", required = true, multiple = true, args = ["add", "remove"])]
pub(super) struct Tag {
    #[command(flatten)]
    server: ServerArgs,
    /// The customer.
    customer: CustomerName,
    /// A tag that it is to have; may be given several times.
    #[arg(long, value_name = "TAG")]
    add: Vec<format::Tag>,
    /// A tag that it is not to have; may be given several times.
    #[arg(long, value_name = "TAG")]
    remove: Vec<format::Tag>,
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
                            tags(customer),
                        ]
                    });
                    table(["CUSTOMER", "TITLE", "SINCE", "TAGS"], rows)
                })
            }
            Self::Tag(Tag { server, customer, add, remove }) => {
                let path = format!("/v1/customers/{customer}/tags");
                let request = TagCustomer {
                    add: add.into_iter().collect(),
                    remove: remove.into_iter().collect(),
                };
                let customer: CustomerRecord = server.connect()?.post(&path, &request)?;
                output.answer(&customer, |customer| {
                    format!("Customer {} has the tags: {}.", customer.name, tags(customer))
                })
            }
        }
    }
}

fn tags(customer: &CustomerRecord) -> String {
    let tags: Vec<_> = customer.tags.iter().map(format::Tag::as_str).collect();
    if tags.is_empty() { "-".to_owned() } else { tags.join(" ") }
}
