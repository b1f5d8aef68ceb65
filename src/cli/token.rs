use clap::{Args, Subcommand};
use jiff::Timestamp;
use mainstay_client::format::OrganisationName;

use super::{
    CliResult, Output, ServerArgs,
    output::{or_dash, table},
};
use crate::{
    service::access::{CreateToken, IssuedToken},
    store::{Role, TokenRecord},
};

/// Make, list and revoke API tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make a token; it is shown this once.
    Create(Create),
    /// List the tokens, without their secrets.
    List(ServerArgs),
    /// Revoke a token at once.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    server: ServerArgs,
    /// What the bearer may do: admin, publisher, account, support or viewer.
    #[arg(long)]
    role: Role,
    /// Who or what bears it.
    #[arg(long)]
    label: String,
    /// The organisation that it is for; roles support and viewer only. The bearer sees and acts on
    /// what is of the customers that it serves [default: one of the vendor's own].
    #[arg(long)]
    organisation: Option<OrganisationName>,
    /// From when on it is not accepted, for example 2027-01-01T00:00:00Z [default: never].
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    server: ServerArgs,
    /// The token's identifier, for example tok-1a2b3c4d.
    id: String,
}

impl Token {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Create(Create { server, role, label, organisation, expires_at }) => {
                let request = CreateToken { role, label, organisation, expires_at };
                let issued: IssuedToken = server.connect()?.post("/v1/tokens", &request)?;
                // The token alone, so that it can be sent to a file.
                output.answer(&issued, |issued| issued.token.clone())
            }
            Self::List(server) => {
                let tokens: Vec<TokenRecord> = server.connect()?.get("/v1/tokens")?;
                output.answer(&tokens, |tokens| {
                    let rows = tokens.iter().map(|token| {
                        [
                            token.id.clone(),
                            token.role.to_string(),
                            token.label.clone(),
                            or_dash(token.organisation.as_ref()),
                            or_dash(token.expires_at),
                            or_dash(token.revoked_at),
                        ]
                    });
                    table(["TOKEN", "ROLE", "LABEL", "ORGANISATION", "EXPIRES", "REVOKED"], rows)
                })
            }
            Self::Revoke(Revoke { server, id }) => {
                server.connect()?.delete(&format!("/v1/tokens/{id}"))?;
                output.answer(&serde_json::json!({ "revoked": id }), |_| {
                    format!("Token {id} is revoked.")
                })
            }
        }
    }
}
