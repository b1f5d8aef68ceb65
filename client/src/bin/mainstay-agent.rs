//! `mainstay-agent`: checks for updates of one installation, installs them, rolls back.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The first provider that is installed is the one; nobody else installs any.
    let _ = rustls::crypto::ring::default_provider().install_default();
    mainstay_client::agent::run(std::env::args_os()).into()
}
