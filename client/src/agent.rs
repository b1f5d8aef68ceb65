//! The commands of `mainstay-agent`.
//!
//! | part | what is there |
//! |---|---|
//! | [`run`] | one command, from the arguments to the exit code |
//!
//! What the commands print as [`Document`], and end with as [`Exit`], is in [`crate::document`].

mod command;
mod doctor;
mod facts;
mod interrupt;
mod progress;
mod service;
mod text;
mod unit;

use std::ffi::{OsStr, OsString};

use clap::Parser as _;

use self::command::Arguments;
use crate::document::{self, Document, Exit};

/// Runs the command that `arguments` (the program's name first) asks for: prints what came of it
/// and hands back the exit code.
pub fn run<I>(arguments: I) -> Exit
where
    I: IntoIterator<Item: Into<OsString>>,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let wants_json = arguments.iter().any(|argument| is_json(argument));
    let (document, exit) = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.run().unwrap_or_else(|error| document::failed(&error)),
        Err(error) if error.use_stderr() && wants_json => {
            (Document::of_usage(&error.to_string()), Exit::Usage)
        }
        // Help and version are errors to clap, and no failures.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    if wants_json {
        document.print_json();
    } else {
        text::print(&document);
    }
    exit
}

/// Whether an argument says `--json`, in whatever form: also beside others that make no sense.
fn is_json(argument: &OsStr) -> bool {
    argument == "--json" || argument.as_encoded_bytes().starts_with(b"--json=")
}

#[cfg(test)]
mod tests;
