//! What a customer is not to know of, in tables that may be passed on to it.

use clap::Args;

use super::output::write_error_line;
use crate::policy::Code;

#[derive(Debug, Args)]
pub(super) struct WithHidden {
    /// Also list releases that the customer is not to know of: custom builds for others,
    /// other audiences. Not for a table that the customer gets.
    #[arg(long)]
    with_hidden: bool,
}

impl WithHidden {
    /// Leaves out of `rows` what is hidden from the customer, unless it was asked for, and says how many
    /// that were. The server has told the vendor alone of them.
    pub(super) fn filter<T>(&self, rows: &mut Vec<T>, code: impl Fn(&T) -> &str) -> usize {
        let before = rows.len();
        rows.retain(|row| self.with_hidden || !hides(code(row)));
        before - rows.len()
    }

    /// Tells whoever wonders where a release is; not in what a program reads.
    pub(super) fn note(left_out: usize) {
        if left_out > 0 {
            let decisions = if left_out == 1 { "decision" } else { "decisions" };
            write_error_line(&format!(
                "{left_out} {decisions} left out, on releases that the customer is not to know of: \
                 --with-hidden lists them"
            ));
        }
    }
}

fn hides(code: &str) -> bool {
    Code::ALL.iter().any(|known| known.is_hidden() && known.as_str() == code)
}
