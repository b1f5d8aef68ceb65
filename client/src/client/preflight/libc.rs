//! Which C library the machine's programs are linked with.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    process::Command,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    client::files,
    format::{Libc, SystemVersion},
    fs::LocalFileSystem,
    install::{Layout, script},
};

/// The program by which a machine's C library is known: every machine has it, and it is linked as
/// the machine's other programs are.
const SHELL: &str = "/bin/sh";
/// Where in a program the path of its loader stands, in bytes from the beginning: right behind the
/// program headers.
const HEADER_BYTES: usize = 64 << 10;

const ANSWER_WAIT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 4096;
const KNOWN_BYTES_MAX: u64 = 4096;

/// What was found out, which holds for as long as the loader is the same file. To ask anew starts a
/// program, which takes as long as a quarter of a check.
#[derive(Serialize, Deserialize)]
struct Known {
    loader: Loader,
    libc: Libc,
}

/// The program that loads others, which comes with the C library.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Loader {
    path: String,
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// The C library, by what it says of itself. To ask it within this process would say only which one
/// the agent is linked with, which may be none.
pub(super) fn find(layout: &Layout) -> Option<Libc> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    File::open(SHELL).ok()?.take(HEADER_BYTES as u64).read_to_end(&mut header).ok()?;
    let loader = Loader::at(loader(&header)?)?;
    let path = layout.libc();
    let known = files::read(&path, KNOWN_BYTES_MAX).ok();
    let known = known.and_then(|bytes| serde_json::from_slice::<Known>(&bytes).ok());
    if let Some(known) = known.filter(|known| known.loader == loader) {
        return Some(known.libc);
    }
    let known = Known { libc: ask(&loader.path)?, loader };
    // Whoever may not write here asks again next time.
    if let Ok(bytes) = serde_json::to_vec(&known) {
        let _unkept = files::replace(&LocalFileSystem, &path, &bytes);
    }
    Some(known.libc)
}

impl Loader {
    fn at(path: String) -> Option<Self> {
        let found = fs::metadata(&path).ok()?;
        Some(Self {
            path,
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
        })
    }
}

fn ask(loader: &str) -> Option<Libc> {
    if loader.contains("/ld-musl-") {
        // Called without a program, it says its version and how it is to be called.
        return version_after(&answer(loader, &[])?, "Version ").map(Libc::Musl);
    }
    let by_getconf = answer("getconf", &["GNU_LIBC_VERSION"])
        .and_then(|answer| version_after(&answer, "glibc "));
    // A small system may have no `getconf`; loaders answer since glibc 2.33.
    let by_loader = || version_after(&answer(loader, &["--version"])?, "release version ");
    by_getconf.or_else(by_loader).map(Libc::Glibc)
}

/// The path of the loader that a program asks for.
fn loader(program: &[u8]) -> Option<String> {
    let mut texts = program.split(|byte| *byte == 0).filter_map(|text| {
        let begin = text.iter().position(|byte| *byte == b'/')?;
        str::from_utf8(text.get(begin..)?).ok()
    });
    let is_loader =
        |path: &&str| ["/ld-linux", "/ld-musl-", "/ld64.so"].iter().any(|name| path.contains(name));
    texts.find(is_loader).map(str::to_owned)
}

fn version_after(answer: &str, words: &str) -> Option<SystemVersion> {
    let (_, rest) = answer.split_once(words)?;
    SystemVersion::leading(rest)
}

/// What a program says, however it ends.
fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(script::surroundings()).env("LC_ALL", "C");
    let (ended, said) = script::run(&mut command, ANSWER_WAIT, ANSWER_BYTES_MAX).ok()?;
    ended.ok().flatten().map(|_| said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_of_a_program_is_found_behind_its_headers() {
        for (program, path) in [
            (
                &b"\x7fELF\x02\0\0/lib64/ld-linux-x86-64.so.2\0GNU\0"[..],
                "/lib64/ld-linux-x86-64.so.2",
            ),
            (b"\x7fELF\0\x08/lib/ld-musl-x86_64.so.1\0", "/lib/ld-musl-x86_64.so.1"),
            (b"\x7fELF\0/etc/passwd\0/lib64/ld64.so.2\0", "/lib64/ld64.so.2"),
        ] {
            assert_eq!(loader(program).as_deref(), Some(path));
        }
        assert_eq!(loader(b"#!/usr/bin/env sh\n"), None);
    }

    #[test]
    fn versions_are_read_from_what_c_libraries_say() {
        let version = |text: &str| Some(text.parse().unwrap());
        assert_eq!(version_after("glibc 2.36", "glibc "), version("2.36"));
        let glibc = "ld.so (Debian GLIBC 2.36-9+deb12u4) stable release version 2.36.\n";
        assert_eq!(version_after(glibc, "release version "), version("2.36"));
        let musl = "musl libc (x86_64)\nVersion 1.2.4\nDynamic Program Loader\n";
        assert_eq!(version_after(musl, "Version "), version("1.2.4"));
        assert_eq!(version_after("getconf: no such variable", "glibc "), None);
    }

    #[test]
    fn what_was_found_out_holds_for_as_long_as_the_loader_is_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        fs::create_dir(layout.private()).unwrap();
        let found = find(&layout).unwrap();
        let mut known: Known = serde_json::from_slice(&fs::read(layout.libc()).unwrap()).unwrap();
        let other = Libc::Musl("99.1".parse().unwrap());
        known.libc = other;
        let put = |known: &Known| fs::write(layout.libc(), serde_json::to_vec(known).unwrap());
        put(&known).unwrap();
        assert_eq!(find(&layout), Some(other), "nothing is asked");
        known.loader.modified.1 += 1;
        put(&known).unwrap();
        assert_eq!(find(&layout), Some(found), "the loader is another");
        fs::write(layout.libc(), "{").unwrap();
        assert_eq!(find(&layout), Some(found), "what is damaged is found out anew");
    }
}
