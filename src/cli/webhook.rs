use clap::{Args, Subcommand};
use mainstay_client::format::{CustomerName, ProductName};

use super::{
    CliResult, Output, ServerArgs,
    output::{or_dash, table},
};
use crate::{
    policy::{Interest, NotificationType},
    service::webhook::{CreateEndpoint, DisableEndpoint, IssuedEndpoint, RotateSecret},
    store::{DeliveryRecord, DeliveryStage, DeliveryState, EndpointAddress, EndpointRecord},
};

/// Say where notifications are sent to, and see what has become of them.
#[derive(Debug, Subcommand)]
pub(super) enum Webhook {
    /// Add an endpoint. Its secret is shown this once.
    Create(Create),
    /// List the endpoints.
    List(ServerArgs),
    /// Show an endpoint.
    Show(One),
    /// Send nothing to an endpoint until it is enabled.
    Disable(Disable),
    /// Send to an endpoint again.
    Enable(One),
    /// Give an endpoint a new secret, which is shown this once.
    Rotate(Rotate),
    /// Remove an endpoint with its deliveries.
    Delete(One),
    /// Show what has become of notifications, the newest first.
    Deliveries(Deliveries),
    /// Have a delivery tried again from the beginning.
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    address: Address,
    /// Whose it is, or what for.
    #[arg(long)]
    label: String,
    /// A type of notification that is sent to it, for example `machine.rolled_back`; may be repeated
    /// [default: all].
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<NotificationType>,
    /// Only what is about this product.
    #[arg(long)]
    product: Option<ProductName>,
    /// Only what is this customer's affair alone.
    #[arg(long)]
    customer: Option<CustomerName>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Address {
    /// The address that takes webhooks.
    #[arg(long)]
    url: Option<String>,
    /// The mailbox that takes mail.
    #[arg(long, value_name = "MAILBOX")]
    mail: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct One {
    #[command(flatten)]
    server: ServerArgs,
    /// The endpoint, for example hook-1a2b3c4d.
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct Disable {
    #[command(flatten)]
    server: ServerArgs,
    /// The endpoint, for example hook-1a2b3c4d.
    id: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    server: ServerArgs,
    /// The endpoint, for example hook-1a2b3c4d.
    id: String,
    /// For how many hours the secret until now signs beside the new one [default: 24].
    #[arg(long, value_name = "HOURS")]
    keep_hours: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct Deliveries {
    #[command(flatten)]
    server: ServerArgs,
    /// Those that are not tried any more.
    #[arg(long, conflicts_with = "state")]
    dead: bool,
    /// Those of a state: waiting, delivered or dead.
    #[arg(long)]
    state: Option<DeliveryStage>,
    /// Those to an endpoint.
    #[arg(long, value_name = "ID")]
    webhook: Option<String>,
    /// At most so many [default: 100].
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    server: ServerArgs,
    /// The delivery's number.
    number: u64,
}

impl Webhook {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Create(command) => command.run(output),
            Self::List(server) => {
                let all: Vec<EndpointRecord> = server.connect()?.get("/v1/webhooks")?;
                output.answer(&all, |all| list(all))
            }
            Self::Show(One { server, id }) => {
                let shown: EndpointRecord = server.connect()?.get(&place(&id))?;
                output.answer(&shown, |shown| list(std::slice::from_ref(shown)))
            }
            Self::Disable(Disable { server, id, reason }) => {
                let path = format!("{}/disable", place(&id));
                let changed: EndpointRecord =
                    server.connect()?.post(&path, &DisableEndpoint { reason })?;
                output.answer(&changed, |_| format!("Nothing is sent to {id} until it is enabled."))
            }
            Self::Enable(One { server, id }) => {
                let path = format!("{}/enable", place(&id));
                let changed: EndpointRecord =
                    server.connect()?.post(&path, &serde_json::json!({}))?;
                output.answer(&changed, |_| format!("Notifications are sent to {id} again."))
            }
            Self::Rotate(Rotate { server, id, keep_hours }) => {
                let path = format!("{}/rotate", place(&id));
                let issued: IssuedEndpoint =
                    server.connect()?.post(&path, &RotateSecret { keep_hours })?;
                output.answer(&issued, secret)
            }
            Self::Delete(One { server, id }) => {
                server.connect()?.delete(&place(&id))?;
                output
                    .answer(&serde_json::json!({ "deleted": id }), |_| format!("{id} is removed."))
            }
            Self::Deliveries(command) => command.run(output),
            Self::Replay(Replay { server, number }) => {
                let path = format!("/v1/deliveries/{number}/replay");
                let replayed: DeliveryRecord =
                    server.connect()?.post(&path, &serde_json::json!({}))?;
                output.answer(&replayed, |_| format!("Delivery {number} is tried again."))
            }
        }
    }
}

impl Create {
    fn run(self, output: Output) -> CliResult {
        let Self { server, address: Address { url, mail }, label, types, product, customer } = self;
        let address = url.map(EndpointAddress::Url).or(mail.map(EndpointAddress::Mail));
        let address = address.ok_or_else(|| {
            super::CliError::Input("no address: expected --url URL or --mail MAILBOX".to_owned())
        })?;
        let types = types.into_iter().collect();
        let interest = Interest { types, product, customer };
        let request = CreateEndpoint { address, label, interest };
        let issued: IssuedEndpoint = server.connect()?.post("/v1/webhooks", &request)?;
        output.answer(&issued, |issued| {
            let added = format!("{} is added.", issued.endpoint.id);
            if issued.secret.is_some() { format!("{added}\n{}", secret(issued)) } else { added }
        })
    }
}

impl Deliveries {
    fn run(self, output: Output) -> CliResult {
        let Self { server, dead, state, webhook, limit } = self;
        let state = if dead { Some(DeliveryStage::Dead) } else { state };
        let state = state.map(|state| format!("state={}", state.as_str()));
        let webhook = webhook.map(|id| format!("webhook={}", segment(&id)));
        let limit = limit.map(|limit| format!("limit={limit}"));
        let query: Vec<_> = [state, webhook, limit].into_iter().flatten().collect();
        let path = format!("/v1/deliveries?{}", query.join("&"));
        let found: Vec<DeliveryRecord> = server.connect()?.get(&path)?;
        output.answer(&found, |found| {
            let rows = found.iter().map(|delivery| {
                let last = delivery.last.as_ref().map(|last| last.outcome.clone());
                [
                    delivery.number.to_string(),
                    delivery.notification.timestamp.to_string(),
                    delivery.kind().to_string(),
                    delivery.endpoint.clone(),
                    state_in_words(&delivery.state),
                    delivery.tries.to_string(),
                    or_dash(last),
                ]
            });
            table(["DELIVERY", "HAPPENED", "TYPE", "ENDPOINT", "STATE", "TRIES", "LAST TRY"], rows)
        })
    }
}

fn state_in_words(state: &DeliveryState) -> String {
    match state {
        DeliveryState::Waiting { due_at } => format!("waiting until {due_at}"),
        DeliveryState::Delivered { at } => format!("delivered {at}"),
        DeliveryState::Dead { at } => format!("dead since {at}"),
    }
}

/// The secret alone on its line, so that it can be copied.
fn secret(issued: &IssuedEndpoint) -> String {
    format!(
        "The receiver's secret, which is shown this once:\n{}",
        issued.secret.as_deref().unwrap_or("-")
    )
}

fn place(id: &str) -> String {
    format!("/v1/webhooks/{}", segment(id))
}

/// `text` as a part of an address. What no identifier has becomes `_`, and then nothing is found.
fn segment(text: &str) -> String {
    let is_part = |character: &char| character.is_ascii_alphanumeric() || *character == '-';
    text.chars().map(|character| if is_part(&character) { character } else { '_' }).collect()
}

fn list(endpoints: &[EndpointRecord]) -> String {
    let rows = endpoints.iter().map(|endpoint| {
        let Interest { types, product, customer } = &endpoint.interest;
        let types: Vec<_> = types.iter().map(ToString::to_string).collect();
        let disabled = endpoint.disabled.as_ref();
        [
            endpoint.id.clone(),
            endpoint.address.to_string(),
            endpoint.label.clone(),
            if types.is_empty() { "all".to_owned() } else { types.join(", ") },
            or_dash(product.as_ref()),
            or_dash(customer.as_ref()),
            disabled.map_or("sent to".to_owned(), |it| format!("disabled: {}", it.reason)),
        ]
    });
    table(["ENDPOINT", "ADDRESS", "LABEL", "TYPES", "PRODUCT", "CUSTOMER", "STATE"], rows)
}
