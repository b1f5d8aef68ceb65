//! The corpus as the manual has it.

use std::fmt::Write as _;

use super::cases::{
    Case,
    Fate::{Refused, Unpacked},
    Group, corpus,
};

/// The file in `fixtures/trees` that lists the others.
pub(crate) const TABLE: &str = "cases.md";

/// Each case with what it holds and what becomes of it.
pub(crate) fn table() -> String {
    let mut text = String::new();
    for Group { title, cases } in corpus() {
        let _ =
            write!(text, "## {title}\n\n| file | holds | what becomes of it |\n|---|---|---|\n");
        for Case { name, holds, fate, .. } in cases {
            let fate = match fate {
                Refused(says) => format!("refused: ``{says}``"),
                Unpacked(becomes) => format!("unpacked {becomes}"),
            };
            let _ = writeln!(text, "| `{name}` | {holds} | {fate} |");
        }
        text.push('\n');
    }
    text
}
