//! The `mainstay` command. See `mainstay --help`.

use std::process::ExitCode;

use clap::Parser as _;
use mainstay::cli::Cli;

fn main() -> ExitCode {
    // Only the first installation can succeed, and this is the first.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    Cli::parse().run()
}
