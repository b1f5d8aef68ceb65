//! `include/mainstay.h` says what the library is.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a header that cannot be read has failed; clippy.toml exempts `#[test]` functions only"
)]

use std::collections::BTreeMap;

use mainstay_c::functions::Phase;
use mainstay_client::document::Exit;

const HEADER: &str = include_str!("../include/mainstay.h");
const FUNCTIONS: &str = include_str!("../src/functions.rs");

/// The header without its comments, each run of white space as one space.
fn code() -> String {
    let mut parts = HEADER.split("/*");
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once("*/").expect("comments end").1);
    let text: String = std::iter::once(first).chain(rest).collect();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// What stands between `begin` and `end`.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let rest = text.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {text}")).1;
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} in {rest}")).0
}

/// The values of an `enum`, by their names.
fn values(name: &str) -> BTreeMap<String, u32> {
    let code = code();
    let body = between(&code, &format!("enum {name} {{"), "}");
    let entries = body.split(',').map(|entry| entry.split_once('=').expect("a value"));
    entries.map(|(name, value)| (name.trim().to_owned(), value.trim().parse().unwrap())).collect()
}

/// `UpToDate` as `MAINSTAY_UP_TO_DATE`.
fn name_of(variant: &impl std::fmt::Debug) -> String {
    let mut name = "MAINSTAY".to_owned();
    for letter in format!("{variant:?}").chars() {
        if letter.is_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// A type of Rust as C has it.
fn in_c(rust: &str) -> &str {
    match rust {
        "*const c_char" => "const char *",
        "*mut c_char" => "char *",
        "*mut *mut c_char" => "char **",
        "*mut c_void" => "void *",
        "*const Session" => "const mainstay_client *",
        "*mut Session" => "mainstay_client *",
        "*mut *mut Session" => "mainstay_client **",
        "*const Progress" => "const mainstay_progress *",
        "ProgressCallback" => "mainstay_progress_callback ",
        "ResultCode" => "mainstay_result ",
        "Phase" => "mainstay_phase ",
        "u32" => "uint32_t ",
        "u64" => "uint64_t ",
        "" => "void ",
        other => panic!("{other}: a type of which this test does not know how C has it"),
    }
}

/// What the sources of the functions say, as the header would.
fn expected_declarations() -> Vec<String> {
    let source: String = FUNCTIONS.split_whitespace().collect::<Vec<_>>().join(" ");
    let functions = source.split("#[unsafe(no_mangle)]").skip(1);
    functions
        .map(|function| {
            let signature = between(function, "extern \"C\" fn ", "{").trim();
            let (name, rest) = signature.split_once('(').unwrap();
            let (parameters, result) = rest.rsplit_once(')').unwrap();
            let result = in_c(result.trim().trim_start_matches("-> "));
            let parameters: Vec<_> = parameters
                .split(',')
                .filter_map(|parameter| parameter.trim().split_once(": "))
                .map(|(name, rust)| format!("{}{name}", in_c(rust)))
                .collect();
            let parameters =
                if parameters.is_empty() { "void".to_owned() } else { parameters.join(", ") };
            format!("{result}{name}({parameters})")
        })
        .collect()
}

#[test]
fn the_results_are_the_exit_codes() {
    let expected: BTreeMap<_, _> =
        Exit::ALL.iter().map(|exit| (name_of(exit), u32::from(exit.code()))).collect();
    assert_eq!(values("mainstay_result"), expected);
}

#[test]
fn the_phases_are_those_of_the_library() {
    let expected: BTreeMap<_, _> = [Phase::Downloading, Phase::Installing, Phase::Making]
        .iter()
        .map(|phase| (name_of(phase), *phase as u32))
        .collect();
    assert_eq!(values("mainstay_phase"), expected);
}

#[test]
fn the_functions_are_those_of_the_library() {
    let code = code().replacen("extern \"C\" {", "", 1);
    let mut declared: Vec<_> = code
        .split(';')
        .map(str::trim)
        .filter(|statement| statement.contains('(') && !statement.starts_with("typedef"))
        .collect();
    let mut expected = expected_declarations();
    declared.sort_unstable();
    expected.sort_unstable();
    assert_eq!(declared, expected);
    assert_eq!(declared.len(), 12);
}

#[test]
fn progress_has_the_members_of_the_library() {
    let code = code();
    let declared: Vec<_> = between(&code, "struct mainstay_progress {", "}")
        .split(';')
        .map(|member| member.trim().to_owned())
        .filter(|member| !member.is_empty())
        .collect();
    let body = between(FUNCTIONS, "pub struct Progress {", "\n}");
    let expected: Vec<_> = body
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.trim_end_matches(',').split_once(": "))
        .map(|(name, rust)| format!("{}{name}", in_c(rust)))
        .collect();
    assert_eq!(declared, expected);
    let callback = "typedef void (*mainstay_progress_callback)\
                    (const mainstay_progress *progress, void *context);";
    assert!(code.contains(callback), "{code}");
    assert!(FUNCTIONS.contains("Option<unsafe extern \"C\" fn(*const Progress, *mut c_void)>"));
}
