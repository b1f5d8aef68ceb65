//! The commands of `mainstay-agent`.
//!
//! | part | what is there |
//! |---|---|
//! | [`run`] | one command, from the arguments to the exit code |
//! | [`Exit`] | the exit codes |
//! | [`Document`] | what `--json` prints: one document a command |

mod command;
mod document;
mod exit;
mod facts;
mod progress;
mod service;
mod text;
mod unit;

use std::ffi::OsString;

use clap::Parser as _;

pub use document::{
    Document, MissingDocument, PlanDocument, StatusDocument, TreeDocument, WithheldDocument,
};
pub use exit::Exit;

use self::command::Arguments;

/// Runs the command that `arguments` (the program's name first) asks for: prints what came of it
/// and hands back the exit code.
pub fn run<I>(arguments: I) -> Exit
where
    I: IntoIterator<Item: Into<OsString>>,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let (document, exit) = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments
            .run()
            .unwrap_or_else(|error| (Document::of_error(&error), Exit::of_error(&error))),
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

#[cfg(test)]
mod tests;
