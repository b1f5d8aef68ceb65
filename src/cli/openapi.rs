use std::io::Write as _;

use super::CliResult;
use crate::api;

/// Prints the description of the interface. Nobody is asked: it is one of this program.
pub(super) fn print() -> CliResult {
    let document = serde_json::to_string_pretty(api::document())?;
    // Whoever stops reading has read enough.
    let _closed = writeln!(std::io::stdout(), "{document}");
    Ok(())
}
