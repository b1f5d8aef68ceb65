//! Answers as tables for spreadsheets (RFC 4180). A column bears the name that the answer's member
//! has in the API.

use std::{
    io::{self, Write},
    ops::ControlFlow,
    path::Path,
};

use serde::Serialize;
use serde_json::Value;

use super::{CliError, CliResult, Output};

/// In which form a command answers that can write tables for spreadsheets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// As a table for a spreadsheet.
    Spreadsheet,
    /// As every command does.
    Answer,
}

impl Format {
    /// The form that was asked for; both at once is none.
    pub(super) fn new(csv: bool, output: Output) -> Result<Self, CliError> {
        match (csv, output.is_json()) {
            (true, true) => Err(CliError::Input(
                "--csv and --json exclude each other: expected one of them".to_owned(),
            )),
            (true, false) => Ok(Self::Spreadsheet),
            (false, _) => Ok(Self::Answer),
        }
    }
}

/// A table that is written row by row.
pub(super) struct Sheet<'a, W: Write> {
    table: csv::Writer<W>,
    columns: &'a [&'static str],
}

impl<'a, W: Write> Sheet<'a, W> {
    /// A table with `columns`, whose names are its first row.
    pub(super) fn new(writer: W, columns: &'a [&'static str]) -> Result<Self, CliError> {
        let mut table = csv::Writer::from_writer(writer);
        let _closed = written(table.write_record(columns).map_err(io::Error::from))?;
        Ok(Self { table, columns })
    }

    /// Adds a row: those members of `value` that there are columns for.
    pub(super) fn add(&mut self, value: &impl Serialize) -> CliResult {
        let value = serde_json::to_value(value)?;
        let cells = self.columns.iter().map(|column| match &value[*column] {
            Value::Null => String::new(),
            Value::String(text) => harmless(text),
            other => other.to_string(),
        });
        written(self.table.write_record(cells).map_err(io::Error::from)).map(|_| ())
    }

    /// Writes what has been added so far, and says whether anybody reads on.
    pub(super) fn flush(&mut self) -> Result<ControlFlow<()>, CliError> {
        written(self.table.flush())
    }
}

/// Writes a table of `rows` to standard output.
pub(super) fn print<T: Serialize>(columns: &[&'static str], rows: &[T]) -> CliResult {
    let mut sheet = Sheet::new(io::stdout().lock(), columns)?;
    rows.iter().try_for_each(|row| sheet.add(row))?;
    sheet.flush().map(|_| ())
}

/// The text so that no spreadsheet takes it for a formula: those begin with `=`, `+`, `-` or `@`, also
/// behind a tab or a line break, and an apostrophe in front says that it is text.
pub(super) fn harmless(text: &str) -> String {
    if is_formula(text) { format!("'{text}") } else { text.to_owned() }
}

/// What [`harmless`] was made of.
pub(super) fn unquoted(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| is_formula(text)).unwrap_or(cell)
}

fn is_formula(text: &str) -> bool {
    text.trim_start().starts_with(['=', '+', '-', '@']) || text.starts_with(['\t', '\r', '\n'])
}

/// Whoever stops reading has read enough; whatever else keeps an answer from being written is an error.
pub(super) fn written(outcome: io::Result<()>) -> Result<ControlFlow<()>, CliError> {
    match outcome {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(CliError::file("write", Path::new("the answer"), error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(rows: &[Value]) -> String {
        let mut bytes = Vec::new();
        let mut sheet = Sheet::new(&mut bytes, &["version", "rule", "message"]).unwrap();
        for row in rows {
            sheet.add(row).unwrap();
        }
        assert!(sheet.flush().unwrap().is_continue());
        drop(sheet);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_row_has_what_there_are_columns_for() {
        let rows = [
            json!({ "rule": 12, "version": "1.0.0", "message": "It says \"yes\", twice.", "more": 1 }),
            json!({ "version": "1.0.1", "rule": null }),
        ];
        insta::assert_snapshot!(written(&rows), @r#"
        version,rule,message
        1.0.0,12,"It says ""yes"", twice."
        1.0.1,,
        "#);
    }

    #[test]
    fn no_cell_is_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n@x"] {
            let table = written(&[json!({ "message": formula })]);
            let mut table = csv::Reader::from_reader(table.as_bytes());
            let row = table.records().next().unwrap().unwrap();
            assert_eq!(row[2], format!("'{formula}"), "{formula:?}");
            assert_eq!(unquoted(&row[2]), formula);
        }
        for text in ["", "1.0.0", "'quoted'", "a=b", "It ends on 2026-01-01."] {
            assert_eq!((harmless(text).as_str(), unquoted(text)), (text, text));
        }
    }
}
