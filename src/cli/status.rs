use clap::Args;

use super::{
    CliError, ExitStatus, Output, ServerArgs,
    output::{or_dash, table},
};
use crate::service::status::{OnlineKeyState, ProductStatus, RenewedBy};

/// Show when the metadata of every product expires, and what renews it. Exits with 7 where something
/// expires within 3 days, has expired, or cannot be signed because the server's keys are lost.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    server: ServerArgs,
}

impl Status {
    pub(super) fn run(self, output: Output) -> Result<ExitStatus, CliError> {
        let status: Vec<ProductStatus> = self.server.connect()?.get("/v1/status")?;
        output.answer(&status, |status| text(status))?;
        let is_urgent = status.iter().any(ProductStatus::is_urgent);
        Ok(if is_urgent { ExitStatus::Expiring } else { ExitStatus::Done })
    }
}

fn text(status: &[ProductStatus]) -> String {
    let rows = status.iter().flat_map(|product| {
        product.roles.iter().map(|role| {
            let renewed_by = match role.renewed_by {
                RenewedBy::Server => "the server".to_owned(),
                RenewedBy::Vendor => or_dash(role.command.as_ref()),
            };
            [
                product.product.to_string(),
                role.role.clone(),
                role.version.to_string(),
                role.expires.to_string(),
                role.days_left.to_string(),
                role.state.as_str().to_owned(),
                renewed_by,
            ]
        })
    });
    let headings = ["PRODUCT", "ROLE", "VERSION", "EXPIRES", "DAYS LEFT", "STATE", "RENEWED BY"];
    let mut lines = vec![table(headings, rows)];
    for product in status {
        let what = match product.online_keys {
            OnlineKeyState::Adopted => continue,
            OnlineKeyState::NewerWait => "The server has newer online keys than",
            OnlineKeyState::Lost => "The server has LOST the online keys of",
        };
        lines.push(format!(
            "{what} {}; adopt the present ones: {}",
            product.product,
            or_dash(product.online_keys_command.as_ref())
        ));
    }
    lines.join("\n")
}
