use clap::Args;
use mainstay_client::format::{CustomerName, Platform, ProductName, Version};

/// A part of the fleet.
#[derive(Debug, Args)]
pub(super) struct Selected {
    /// Only machines of this product.
    #[arg(long, value_name = "NAME")]
    product: Option<ProductName>,
    /// Only machines of this customer.
    #[arg(long, value_name = "NAME")]
    customer: Option<CustomerName>,
    /// Only machines on this platform.
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Only machines that run this version.
    #[arg(long, value_name = "VERSION")]
    version: Option<Version>,
}

impl Selected {
    /// The question at `path` for this part, and for `more`.
    pub(super) fn question(&self, path: &str, more: &[(&str, Option<String>)]) -> String {
        let Self { product, customer, platform, version } = self;
        let own = [
            ("product", product.as_ref().map(ToString::to_string)),
            ("customer", customer.as_ref().map(ToString::to_string)),
            ("platform", platform.as_ref().map(ToString::to_string)),
            ("version", version.as_ref().map(ToString::to_string)),
        ];
        // Names, versions and places are made of characters that stand for themselves in an address.
        let asked = own.iter().chain(more);
        let asked = asked.filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        format!("{path}?{}", asked.collect::<Vec<_>>().join("&"))
    }
}
