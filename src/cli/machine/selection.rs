use std::{io::Read as _, path::PathBuf};

use clap::Args;
use mainstay_client::format::{CustomerName, MachineName, Platform, ProductName, Version};

use super::super::CliError;
use crate::{policy::Ring, service::actions::MachineSelection, store::MachineFilter};

/// In place of one machine, those of which everything is true that is asked for, or those of a list.
#[derive(Debug, Args)]
pub(super) struct SelectionArgs {
    /// In place of one machine: those of this product. It need not be said where all run the same one.
    #[arg(long, value_name = "NAME")]
    product: Option<ProductName>,
    /// In place of one machine: those of this customer.
    #[arg(long, value_name = "NAME")]
    customer: Option<CustomerName>,
    /// In place of one machine: those that run this version.
    #[arg(long, value_name = "VERSION")]
    running: Option<Version>,
    /// In place of one machine: those on this platform.
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// In place of one machine: those that get releases as early as this ring does.
    #[arg(long = "ring", id = "of_ring", value_name = "RING")]
    ring: Option<Ring>,
    /// In place of one machine: those whose names are in this file, one a line; `-` for standard input.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["customer", "running", "platform", "of_ring"]
    )]
    machines: Option<PathBuf>,
}

impl SelectionArgs {
    /// The product, where it was named.
    pub(super) fn product(&self) -> Option<ProductName> {
        self.product.clone()
    }

    /// Whether anything is selected.
    pub(super) fn is_given(&self) -> bool {
        self.machines.is_some()
            || self.product.is_some()
            || self.filter() != MachineFilter::default()
    }

    /// Which machines are selected.
    pub(super) fn read(&self) -> Result<MachineSelection, CliError> {
        match &self.machines {
            Some(file) => {
                Ok(MachineSelection::Listed { machines: names(file)?.into_iter().collect() })
            }
            None => Ok(MachineSelection::Filter { filter: self.filter() }),
        }
    }

    fn filter(&self) -> MachineFilter {
        let Self { customer, running, platform, ring, .. } = self;
        MachineFilter {
            customer: customer.clone(),
            version: running.clone(),
            platform: platform.clone(),
            ring: *ring,
        }
    }
}

/// The names in a file, one a line; empty lines are passed over.
fn names(file: &PathBuf) -> Result<Vec<MachineName>, CliError> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|source| CliError::file("read", file, source))?;
    let (mut names, mut problems) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        match line.parse() {
            Ok(name) => names.push(name),
            Err(_) if line.is_empty() => {}
            Err(problem) => problems.push(format!("line {number}: {problem}")),
        }
    }
    if problems.is_empty() {
        return Ok(names);
    }
    Err(CliError::UnsoundFile { file: file.display().to_string(), problems })
}
