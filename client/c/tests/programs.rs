//! Programs in C that are compiled with the header, linked with the library, and run. With a server: the
//! root package's `tests/e2e/library.rs`.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// How a program is linked.
#[derive(Clone, Copy)]
enum Linked {
    Dynamically,
    Statically,
}

/// Compiles the program at `source`, which lies in this package, to `program`.
fn compile(source: &str, linked: Linked, program: &Path) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Cargo has put the library beside this test.
    let built = std::env::current_exe().unwrap().with_file_name("");
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]);
    command.arg(package.join("include")).arg(package.join(source));
    match linked {
        Linked::Dynamically => {
            command.arg("-L").arg(&built).arg("-lmainstay_c");
            command.arg(format!("-Wl,-rpath,{}", built.display()));
        }
        Linked::Statically => {
            command.arg(built.join("libmainstay_c.a")).args(["-lpthread", "-ldl", "-lm"]);
        }
    }
    let output = command.arg("-o").arg(program).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A machine that is enrolled at a server that nobody can reach.
fn enrolled(folder: &Path) -> PathBuf {
    let root = folder.join("acme");
    let private = root.join(".mainstay");
    fs::create_dir_all(&private).unwrap();
    let settings = format!(
        "server = \"http://127.0.0.1:1\"\nproduct = \"acme-db\"\nmachine = \"m-0001\"\n\
         customer = \"initech\"\ncontract = \"initech-2026\"\nroot_version = 1\n\
         root_sha256 = \"{}\"\n",
        "0".repeat(64)
    );
    fs::write(private.join("agent.toml"), settings).unwrap();
    fs::write(private.join("token"), "mst_token\n").unwrap();
    root
}

fn expect_what_is_wrong_to_be_told(linked: Linked) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("misuse");
    compile("tests/misuse.c", linked, &program);
    let nowhere = folder.path().join("nowhere");
    let ran = Command::new(program).arg(enrolled(folder.path())).arg(&nowhere).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(!nowhere.exists());
}

#[test]
fn what_is_wrong_is_told() {
    expect_what_is_wrong_to_be_told(Linked::Dynamically);
}

#[test]
fn a_program_can_have_the_library_in_it() {
    expect_what_is_wrong_to_be_told(Linked::Statically);
}

#[test]
fn the_example_says_what_is_the_matter() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("update");
    compile("examples/update.c", Linked::Dynamically, &program);
    let ran = |words: &[&str]| Command::new(&program).args(words).output().unwrap();
    assert_eq!(ran(&[]).status.code(), Some(2));
    let nowhere = ran(&["/there/is/no/such/installation"]);
    assert_eq!(nowhere.status.code(), Some(30));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("mainstay-agent enroll"));
    let root = enrolled(folder.path());
    let unreachable = ran(&[root.to_str().unwrap()]);
    assert_eq!(unreachable.status.code(), Some(32));
    assert!(String::from_utf8_lossy(&unreachable.stdout).contains("\"kind\":\"network\""));
}
