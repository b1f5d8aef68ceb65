use mainstay_client::client::{
    Enrolment,
    settings::{Opening, Windows},
};

use super::{Seeds, repository::now};

/// Settings are written as they can be read, and a window that is said to open is open then.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(enrolment) = toml::from_str::<Enrolment>(text) else { return };
    let written = toml::to_string(&enrolment).unwrap();
    assert_eq!(toml::from_str::<Enrolment>(&written).unwrap(), enrolment);
    expect_to_open(&enrolment.updates.windows);
}

fn expect_to_open(windows: &Windows) {
    let Opening::Closed { until } = windows.at(now()) else { return };
    assert!(now() < until);
    // None may open within a week.
    if until < jiff::Timestamp::MAX {
        assert_eq!(windows.at(until), Opening::Open);
    }
}

pub(crate) fn seeds() -> Seeds {
    let enrolled = "server = \"https://updates.example.com\"\nproduct = \"vault\"\n\
                    machine = \"m-1\"\ncustomer = \"acme\"\ncontract = \"acme-1\"\n\
                    root_version = 1\nroot_sha256 = \"e3b0c44298fc1c149afbf4c8996fb924\
                    27ae41e4649b934ca495991b7852b855\"\n";
    let tables = [
        ("enrolled", ""),
        ("data", "[data]\ndirectories = [\"/var/lib/acme\"]\nsnapshots_kept = 2\n"),
        (
            "network",
            "[network]\nproxy = \"http://proxy.example.com:3128\"\n\
             bytes_per_second_max = 1_000_000\n[disk]\nspare_bytes = 1000\n",
        ),
        (
            "windows",
            "[updates]\ntrees_kept = 3\n[updates.channels]\nfeature = \"auto\"\n\
             [[updates.windows]]\ndays = [\"sat\", \"sun\"]\nfrom = \"22:00\"\n\
             until = \"04:00\"\n[[updates.windows]]\nfrom = \"03:00\"\nuntil = \"03:30\"\n",
        ),
    ];
    tables.map(|(name, table)| (name, format!("{enrolled}{table}").into_bytes())).into()
}
