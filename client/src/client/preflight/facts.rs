//! The one place that finds out what this machine is.

use std::{fs::File, io::Read as _, path::Path};

use super::{Components, PreflightSettings, libc};
use crate::{
    format::{Distribution, Facts, SystemVersion},
    install::Layout,
};

/// Where a distribution says which one it is, the administrator's own word first (`os-release(5)`).
const RELEASE_FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
const RELEASE_FILE_BYTES: u64 = 64 << 10;

/// What this machine is; what cannot be found out is absent.
pub(super) fn gather(layout: &Layout, settings: &PreflightSettings) -> Facts {
    let mut components = Components::of(layout).all();
    components.extend(settings.components.clone());
    Facts {
        kernel: SystemVersion::leading(&rustix::system::uname().release().to_string_lossy()),
        distribution: RELEASE_FILES.iter().find_map(|path| read_distribution(Path::new(path))),
        libc: libc::find(layout),
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

#[cfg(test)]
mod tests {
    use super::*;

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
