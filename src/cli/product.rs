mod line;

use std::{collections::BTreeMap, num::NonZeroU64};

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use mainstay_client::{
    format::{
        Channel, ChannelName, Lines, ProductName,
        wire::{CreateProductRequest, ServerKeys},
    },
    tuf::{
        self, DIRECTOR, DelegatedRole, Delegations, Header, Metadata, PathPattern, PublicKey,
        RoleKeys, Root, RootRoles, Signer, Targets,
    },
};

use super::{
    CliError, CliResult, Connection, Output, ServerArgs, keys::KeyArgs, output::table,
    vendor_trust::VendorTrust,
};
use crate::{clock::Clock, store::ProductRecord};

/// How long the vendor's root and top-level targets are good for.
pub(super) const OFFLINE_LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Register and list products; date and list their lines.
#[derive(Debug, Subcommand)]
pub(super) enum Product {
    /// Build and sign a product's root and top-level targets here, and register them.
    Create(Create),
    /// List the products.
    List(List),
    /// Set the dates of lines: general availability, end of support (EOS), end of life (EOL).
    #[command(subcommand)]
    Line(line::Line),
    /// List a product's lines: their dates, newest releases, and where they stand.
    Lines(line::Lines),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// What the product is called.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// A root key; give it again for each further one.
    #[arg(long, default_value = "root", value_name = "KEY")]
    root_key: Vec<String>,
    /// How many root keys must sign a new root.
    #[arg(long, default_value = "1", value_name = "N")]
    root_threshold: NonZeroU64,
    /// The key that signs the top-level targets.
    #[arg(long, default_value = "targets", value_name = "KEY")]
    targets_key: String,
    /// A release key, of which the public half is enough; give it again for each further one.
    #[arg(long, default_value = "release", value_name = "KEY")]
    release_key: Vec<String>,
    /// How many release keys must sign a channel.
    #[arg(long, default_value = "1", value_name = "N")]
    release_threshold: NonZeroU64,
}

impl Product {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Create(create) => {
                let server = create.server.connect()?;
                let product = create.run(&server)?;
                output.answer(&product, |product| {
                    format!(
                        "Product {} is registered. Its root has the SHA-256 {}.",
                        product.name, product.repository.root.sha256
                    )
                })
            }
            Self::Line(line) => line.run(output),
            Self::Lines(lines) => lines.run(output),
            Self::List(list) => {
                let products: Vec<ProductRecord> = list.server.connect()?.get("/v1/products")?;
                output.answer(&products, |products| {
                    let rows = products
                        .iter()
                        .map(|product| [product.name.to_string(), product.revision.to_string()]);
                    table(["PRODUCT", "REVISION"], rows)
                })
            }
        }
    }
}

impl Create {
    /// Creates the product with the keys called root, targets and release in `keys`.
    pub(super) fn with_default_keys(
        server: &ServerArgs,
        keys: KeyArgs,
        product: ProductName,
    ) -> Self {
        Self {
            server: server.clone(),
            keys,
            product,
            root_key: vec!["root".to_owned()],
            root_threshold: NonZeroU64::MIN,
            targets_key: "targets".to_owned(),
            release_key: vec!["release".to_owned()],
            release_threshold: NonZeroU64::MIN,
        }
    }

    pub(super) fn run(&self, server: &Connection) -> Result<ProductRecord, CliError> {
        let online: ServerKeys = server.get("/v1/server-keys")?;
        let root_keys = self
            .root_key
            .iter()
            .map(|name| self.keys.private(name))
            .collect::<Result<Vec<_>, _>>()?;
        let targets_key = self.keys.private(&self.targets_key)?;
        let release_keys = self
            .release_key
            .iter()
            .map(|name| self.keys.public(name))
            .collect::<Result<Vec<_>, _>>()?;
        let now = Clock::system().now();
        let expires = now
            .checked_add(OFFLINE_LIFETIME)
            .map_err(|error| CliError::Input(error.to_string()))?;
        let root = self.root(&root_keys, &targets_key.public(), &online, expires)?;
        let targets = self.targets(&release_keys, &online.director, expires)?;
        let signers: Vec<_> = root_keys.iter().map(|key| key as &dyn Signer).collect();
        let root = tuf::sign(&root, &signers)?;
        let targets = tuf::sign(&targets, &[&targets_key])?;
        let trust = VendorTrust::new(&self.keys.keys, &self.product);
        let is_new = trust.begin(&root)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let request = CreateProductRequest {
            product: self.product.clone(),
            root: text(root),
            targets: text(targets),
        };
        let created = server.post("/v1/products", &request);
        // After a refusal only: what a failing server has kept is not known, and without the trust
        // nothing could be published of it.
        if let Err(CliError::Server(problem)) = &created
            && problem.status < 500
            && is_new
        {
            trust.forget()?;
        }
        created
    }

    fn header<M: Metadata>(&self, expires: jiff::Timestamp) -> Header {
        Header::of::<M>(self.product.clone(), NonZeroU64::MIN, expires)
    }

    fn root(
        &self,
        root_keys: &[Box<dyn Signer>],
        targets_key: &PublicKey,
        online: &ServerKeys,
        expires: jiff::Timestamp,
    ) -> Result<Root, CliError> {
        let root_keys: Vec<_> = root_keys.iter().map(Signer::public).collect();
        let root = role("root", &root_keys, self.root_threshold)?;
        let all = root_keys.iter().chain([targets_key, &online.timestamp, &online.snapshot]);
        Ok(Root {
            header: self.header::<Root>(expires),
            consistent_snapshot: true,
            keys: all.map(|key| (key.id(), key.clone())).collect(),
            roles: RootRoles {
                root,
                timestamp: RoleKeys::any_of([&online.timestamp]),
                snapshot: RoleKeys::any_of([&online.snapshot]),
                targets: RoleKeys::any_of([targets_key]),
            },
        })
    }

    fn targets(
        &self,
        release_keys: &[PublicKey],
        director: &PublicKey,
        expires: jiff::Timestamp,
    ) -> Result<Targets, CliError> {
        let keys = role("release", release_keys, self.release_threshold)?;
        let pattern = |text: String| PathPattern::try_from(text).map_err(CliError::from);
        let mut roles = Vec::new();
        for channel in Channel::ALL {
            roles.push(DelegatedRole {
                name: channel.to_string(),
                keys: keys.clone(),
                terminating: true,
                paths: vec![pattern(format!("{channel}/*/*"))?].into(),
            });
        }
        roles.push(archive(keys)?);
        roles.push(DelegatedRole {
            name: DIRECTOR.to_owned(),
            keys: RoleKeys::any_of([director]),
            terminating: true,
            // It signs plans and speaks for no target.
            paths: vec![pattern(DIRECTOR.to_owned())?].into(),
        });
        let all = release_keys.iter().chain([director]);
        Ok(Targets {
            header: self.header::<Targets>(expires),
            targets: BTreeMap::new(),
            delegations: Some(Delegations {
                keys: all.map(|key| (key.id(), key.clone())).collect(),
                roles,
                succinct_roles: None,
            }),
            lines: Lines::default(),
        })
    }
}

/// The delegation to the archive, which `keys` sign.
pub(super) fn archive(keys: RoleKeys) -> Result<DelegatedRole, CliError> {
    let name = ChannelName::ARCHIVE.to_owned();
    let paths = vec![PathPattern::try_from(format!("{name}/*/*/*"))?].into();
    Ok(DelegatedRole { name, keys, terminating: true, paths })
}

/// `threshold` of `keys`, which must be that many different ones.
pub(super) fn role(
    what: &str,
    keys: &[PublicKey],
    threshold: NonZeroU64,
) -> Result<RoleKeys, CliError> {
    let role = RoleKeys { threshold, ..RoleKeys::any_of(keys) };
    if role.keyids.len() as u64 >= threshold.get() {
        return Ok(role);
    }
    Err(CliError::Input(format!(
        "{threshold} {what} keys must sign, and there are {} different ones",
        role.keyids.len()
    )))
}
