use std::io::{IsTerminal as _, Write as _};

use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use super::{CliError, CliResult};
use crate::store::Word;

/// How a command answers.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Output {
    /// Answer with one JSON document.
    #[arg(long, global = true)]
    json: bool,
}

impl Output {
    /// Whether a program reads the answer.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// For a step of something larger, which says nothing of itself.
    pub(super) const QUIET: Self = Self { json: true };

    /// Answers with `value` for a program, or with what `text` makes of it for a person.
    pub(super) fn answer<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> CliResult {
        let answer = if self.json { serde_json::to_string(value)? } else { text(value) };
        // Whoever stops reading has read enough.
        let _closed = writeln!(std::io::stdout(), "{}", answer.trim_end());
        Ok(())
    }

    /// Tells a person how it goes; a program is not disturbed.
    pub(super) fn say(self, line: &str) {
        if !self.json {
            write_error_line(line);
        }
    }

    pub(super) fn error(self, error: &CliError) {
        if self.json {
            let document = json!({
                "outcome": "error",
                "code": error.code(),
                "message": error.to_string(),
                "problems": error.problems(),
            });
            let _closed = writeln!(std::io::stdout(), "{document}");
            return;
        }
        write_error_line(&format!("error: {error}"));
        for problem in error.problems() {
            write_error_line(&format!("  - {problem}"));
        }
    }

    /// A progress bar over `bytes`, on a terminal only.
    pub(super) fn progress(self, what: &str, bytes: u64) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(
            "{msg:20} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(bytes).with_style(style).with_message(what.to_owned())
    }
}

pub(super) fn write_error_line(line: &str) {
    // Whoever stops reading has read enough.
    let _closed = writeln!(std::io::stderr(), "{line}");
}

/// A table with `headings` over `rows`. What machines report must not steer the terminal of
/// whoever looks at it: control characters are shown as �.
pub(super) fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(headings);
    for row in rows {
        table.add_row(
            row.map(|cell| cell.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")),
        );
    }
    table.trim_fmt()
}

/// `value`, or a dash where there is none.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Who said it, when and why.
pub(super) fn said(word: &Word) -> String {
    let ticket = word.ticket.as_ref().map(|ticket| format!(" [{ticket}]")).unwrap_or_default();
    format!("{} at {}: {}{ticket}", word.by, word.at, word.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_does_not_steer_the_terminal() {
        let shown = table(["DETAIL"], [["\u{1b}[2Jgone\u{9b}31m\r".to_owned()]]);
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
        assert!(shown.contains("[2Jgone"), "{shown:?}");
    }
}
