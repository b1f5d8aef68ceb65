//! Contracts as a table. A cell holds what the JSON document's member of that name holds; a list
//! stands in one cell, its items apart by spaces, and a term as `START/END` (ISO 8601).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::{
    CliError,
    spreadsheet::{harmless, unquoted},
};
use crate::service::import::ImportedContract;

/// How a member of a contract stands in a cell.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Number,
    List,
    Terms,
}

/// The columns of the contract itself; `name`, `customer`, `title` and `at` come before them.
const COLUMNS: [(&str, Form); 15] = [
    ("state", Form::Text),
    ("tier", Form::Text),
    ("products", Form::List),
    ("channels", Form::List),
    ("terms", Form::Terms),
    ("grace_days", Form::Number),
    ("security_tail_days", Form::Number),
    ("base_line", Form::Text),
    ("cap", Form::Text),
    ("fallback", Form::Text),
    ("addons", Form::List),
    ("els_lines", Form::List),
    ("audience", Form::List),
    ("bridge", Form::Text),
    ("seats", Form::Number),
];
const OWN_COLUMNS: [&str; 4] = ["name", "customer", "title", "at"];

/// The rows as documents, or everything that is wrong with the table. What is wrong with a contract
/// is the server's to say.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Value>, Vec<String>> {
    let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let headings: Vec<String> = match table.headers() {
        Ok(headings) => headings.iter().map(str::to_owned).collect(),
        Err(error) => return Err(vec![error.to_string()]),
    };
    let mut problems = wrong_headings(&headings);
    let mut documents = Vec::new();
    for (index, row) in table.records().enumerate() {
        match row {
            Ok(row) => documents.push(document(&headings, &row)),
            Err(error) => problems.push(format!("row {}: {error}", index + 1)),
        }
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}

fn wrong_headings(headings: &[String]) -> Vec<String> {
    let known = COLUMNS.iter().map(|(name, _)| *name).chain(OWN_COLUMNS);
    let known: BTreeSet<_> = known.collect();
    let mut seen = BTreeSet::new();
    let wrong = headings.iter().filter_map(|heading| {
        if !known.contains(heading.as_str()) {
            let expected = known.iter().copied().collect::<Vec<_>>().join(", ");
            Some(format!("column `{}`: expected one of {expected}", heading.escape_debug()))
        } else if !seen.insert(heading) {
            Some(format!("column `{heading}` stands there twice"))
        } else {
            None
        }
    });
    wrong.collect()
}

/// An empty cell is an absent member.
fn document(headings: &[String], row: &csv::StringRecord) -> Value {
    let mut own = Map::new();
    let mut contract = Map::new();
    for (heading, cell) in headings.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
        match COLUMNS.iter().find(|(name, _)| name == heading) {
            Some((_, form)) => contract.insert(heading.clone(), form.read(cell)),
            None => own.insert(heading.clone(), unquoted(cell).into()),
        };
    }
    own.insert("contract".to_owned(), contract.into());
    own.into()
}

impl Form {
    fn read(self, cell: &str) -> Value {
        match self {
            Self::Text => cell.into(),
            Self::Number => cell.parse::<u32>().map_or_else(|_| cell.into(), Value::from),
            Self::List => cell.split_whitespace().collect(),
            Self::Terms => cell
                .split_whitespace()
                .map(|term| match term.split_once('/') {
                    Some((start, end)) => json!({ "start": start, "end": end }),
                    None => term.into(),
                })
                .collect(),
        }
    }

    fn write(self, value: &Value) -> String {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let item = |item: &Value| match self {
            Self::Terms => format!("{}/{}", text(&item["start"]), text(&item["end"])),
            _ => text(item),
        };
        match value {
            Value::Array(items) => items.iter().map(item).collect::<Vec<_>>().join(" "),
            value => text(value),
        }
    }
}

/// The table of `contracts`.
pub(super) fn write(contracts: &[ImportedContract]) -> Result<Vec<u8>, CliError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let wrong = |error: csv::Error| CliError::Input(error.to_string());
    let headings = OWN_COLUMNS.into_iter().chain(COLUMNS.iter().map(|(name, _)| *name));
    table.write_record(headings).map_err(wrong)?;
    for contract in contracts {
        let document = serde_json::to_value(&contract.contract)?;
        let own = [
            contract.name.to_string(),
            contract.customer.to_string(),
            harmless(contract.title.as_deref().unwrap_or_default()),
            contract.at.map(|at| at.to_string()).unwrap_or_default(),
        ];
        let cells = COLUMNS.iter().map(|(name, form)| form.write(&document[*name]));
        table.write_record(own.into_iter().chain(cells)).map_err(wrong)?;
    }
    table.into_inner().map_err(|error| CliError::Input(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract() -> ImportedContract {
        serde_json::from_value(json!({
            "name": "initech-db", "customer": "initech", "at": "2025-05-03T00:00:00Z",
            "contract": {
                "state": "suspended", "products": ["a", "b"], "channels": ["bugfix", "security"],
                "terms": [
                    { "start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z" },
                    { "start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z" }
                ],
                "grace_days": 30, "base_line": "2.4", "cap": "3.9", "fallback": "perpetual",
                "addons": ["maps"], "els_lines": ["1.0", "1.1"], "audience": ["beta"],
                "bridge": "critical", "seats": 5, "tier": "premium"
            }
        }))
        .unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut bare = ImportedContract { at: None, ..contract() };
        bare.contract = serde_json::from_value(json!({
            "products": ["a"], "channels": ["bugfix"], "base_line": "1.0",
            "terms": [{ "start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z" }]
        }))
        .unwrap();
        let contracts = [contract(), bare];
        let rows = read(&write(&contracts).unwrap()).unwrap();
        let rows = rows.into_iter().map(|row| serde_json::from_value(row).unwrap());
        assert_eq!(rows.collect::<Vec<ImportedContract>>(), contracts);
    }

    #[test]
    fn a_table_that_is_none_is_refused_with_all_that_is_wrong() {
        let problems = read(b"name,custmer,name\na,b,c\na,b\n").unwrap_err();
        for expected in ["custmer", "`name` stands there twice", "row 2"] {
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:#?}");
        }
    }

    #[test]
    fn what_is_no_number_or_term_is_left_for_the_server_to_refuse() {
        let rows = read(b"name,seats,terms\na,many,soon\n").unwrap();
        assert_eq!(rows[0]["contract"], json!({ "seats": "many", "terms": ["soon"] }));
    }
}
