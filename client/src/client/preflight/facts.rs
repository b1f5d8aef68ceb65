//! The one place that finds out what this machine is.

use std::{fs::File, io::Read as _, path::Path, process::Command, time::Duration};

use super::{Components, PreflightSettings};
use crate::{
    format::{Distribution, Facts, Libc, SystemVersion},
    install::{Layout, script},
};

/// The program by which a machine's C library is known: every machine has it, and it is linked as
/// the machine's other programs are.
const SHELL: &str = "/bin/sh";
/// Where in a program the path of its loader stands, in bytes from the beginning: right behind the
/// program headers.
const HEADER_BYTES: u64 = 64 << 10;

/// Where a distribution says which one it is, the administrator's own word first (`os-release(5)`).
const RELEASE_FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
const RELEASE_FILE_BYTES: u64 = 64 << 10;

const ANSWER_WAIT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 4096;

/// What this machine is; what cannot be found out is absent.
pub(super) fn gather(layout: &Layout, settings: &PreflightSettings) -> Facts {
    let mut components = Components::of(layout).all();
    components.extend(settings.components.clone());
    Facts {
        kernel: SystemVersion::leading(&rustix::system::uname().release().to_string_lossy()),
        distribution: RELEASE_FILES.iter().find_map(|path| read_distribution(Path::new(path))),
        libc: libc(),
        components: components.into_iter().take(Facts::COMPONENTS_MAX).collect(),
    }
}

fn read_distribution(path: &Path) -> Option<Distribution> {
    let mut text = String::new();
    File::open(path).ok()?.take(RELEASE_FILE_BYTES).read_to_string(&mut text).ok()?;
    distribution(&text)
}

/// The distribution that a file in the form of `os-release(5)` is of.
fn distribution(text: &str) -> Option<Distribution> {
    let value = |name: &str| {
        let assigned = text.lines().filter_map(|line| line.trim().split_once('='));
        let value = assigned.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()?;
        Some(value.trim_matches(['"', '\'']))
    };
    // A file without an ID is of a system that nobody has named.
    let name = value("ID").unwrap_or("linux").parse().ok()?;
    let version = value("VERSION_ID").and_then(|text| text.parse().ok());
    Some(Distribution { name, version })
}

/// The C library, by what it says of itself. To ask it within this process would say only which one
/// the agent is linked with, which may be none.
fn libc() -> Option<Libc> {
    let mut header = Vec::new();
    File::open(SHELL).ok()?.take(HEADER_BYTES).read_to_end(&mut header).ok()?;
    let loader = loader(&header)?;
    if loader.contains("/ld-musl-") {
        // Called without a program, it says its version and how it is to be called.
        return version_after(&answer(&loader, &[])?, "Version ").map(Libc::Musl);
    }
    let by_getconf = answer("getconf", &["GNU_LIBC_VERSION"])
        .and_then(|answer| version_after(&answer, "glibc "));
    // A small system may have no `getconf`; loaders answer since glibc 2.33.
    let by_loader = || version_after(&answer(&loader, &["--version"])?, "release version ");
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
    fn distributions_are_read_as_they_name_themselves() {
        for (text, expected) in [
            ("NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n", "debian 12"),
            ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID='22.04'\n", "ubuntu 22.04"),
            ("ID=\"opensuse-leap\"\n VERSION_ID=15.5\n", "opensuse-leap 15.5"),
            ("# VERSION_ID=1\nID=arch\nBUILD_ID=rolling\n", "arch"),
            ("ID=void\nVERSION_ID=\"rolling-2\"\n", "void"),
            ("ID=first\nID=second\n", "second"),
            ("PRETTY_NAME=x\n", "linux"),
        ] {
            assert_eq!(distribution(text).unwrap().to_string(), expected);
        }
        assert_eq!(distribution("ID=\"Not A Name\"\n"), None);
    }

    #[test]
    fn this_machine_has_a_kernel_and_a_c_library() {
        let folder = tempfile::tempdir().unwrap();
        let facts = gather(&Layout::new(folder.path()), &PreflightSettings::default());
        assert!(facts.kernel.is_some() && facts.libc.is_some(), "{facts:?}");
    }
}
