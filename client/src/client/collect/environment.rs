//! The environment of this process, as far as it is told. Pure.

use std::ffi::OsString;

use serde::Serialize;

/// The variables whose values are told: what a program finds its files, its language and its time by,
/// and the agent's own. Of all others the names alone are told, since anything may be in them.
const TOLD: [&str; 17] = [
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LOGNAME",
    "MAINSTAY_ANSWER_TIMEOUT",
    "MAINSTAY_DIR",
    "MAINSTAY_LOCK_WAIT",
    "MAINSTAY_RATE_MIN",
    "MAINSTAY_RATE_WINDOW",
    "PATH",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
];

/// What is told of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Environment {
    /// The variables whose values may be told.
    values: Vec<(String, String)>,
    /// The names of all others, in their order.
    names: Vec<String>,
}

impl Environment {
    /// What is told of `variables`.
    pub(super) fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let (mut values, mut names) = (Vec::new(), Vec::new());
        for (name, value) in variables {
            let name = name.to_string_lossy().into_owned();
            if TOLD.contains(&name.as_str()) {
                values.push((name, value.to_string_lossy().into_owned()));
            } else {
                names.push(name);
            }
        }
        values.sort_unstable();
        names.sort_unstable();
        Self { values, names }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_of_the_variables_on_the_list_alone() {
        let variables = [("PATH", "/bin"), ("TZ", "UTC"), ("DATABASE", "hunter2"), ("path", "x")];
        let found = Environment::of(variables.map(|(name, value)| (name.into(), value.into())));
        let values = [("PATH", "/bin"), ("TZ", "UTC")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(found.values, values);
        assert_eq!(found.names, ["DATABASE", "path"]);
    }

    #[test]
    fn the_list_is_in_order_and_names_no_secret() {
        assert!(TOLD.is_sorted());
        assert!(TOLD.iter().all(|name| !super::super::scrub::is_secret_name(name)));
    }
}
