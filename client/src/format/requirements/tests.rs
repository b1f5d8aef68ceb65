use proptest::prelude::*;

use super::*;

fn system(text: &str) -> SystemVersion {
    text.parse().unwrap()
}

fn read(toml: &str) -> Requirements {
    serde_json::from_value(serde_json::from_str(toml).unwrap()).unwrap()
}

#[test]
fn versions_of_systems_are_ordered_by_their_numbers() {
    assert!(system("5.9") < system("5.10"));
    assert_eq!(system("5.10"), system("5.10.0"));
    assert_eq!(system("5.10.0").to_string(), "5.10");
    for text in ["", "5", "5.", "5.10.0.1", "5.10-rc1", " 5.10", "5..1", "99999999999.0"] {
        assert!(text.parse::<SystemVersion>().is_err(), "{text}");
    }
}

#[test]
fn what_a_system_adds_to_its_version_is_passed_over() {
    for (text, version) in [
        ("6.1.0-18-amd64", "6.1"),
        ("5.15.167.4-microsoft-standard-WSL2", "5.15.167"),
        ("5.10", "5.10"),
        ("6.12-rc3", "6.12"),
    ] {
        assert_eq!(SystemVersion::leading(text), Some(system(version)), "{text}");
    }
    assert_eq!(SystemVersion::leading("Linux 5.10"), None);
}

#[test]
fn everything_that_is_missing_is_told_and_not_the_first_alone() {
    let requires = read(
        r#"{"kernel": "5.10", "glibc": "2.31", "musl": "1.2",
            "components": {"postgres": ">=15.2, <17", "redis": "7"}}"#,
    );
    let facts = Facts {
        kernel: Some(system("4.18")),
        libc: Some(Libc::Musl(system("1.1.24"))),
        distribution: None,
        components: [("postgres".parse().unwrap(), "14.9.0".parse().unwrap())].into(),
    };
    let told: Vec<String> = requires.missing(&facts).iter().map(Missing::to_string).collect();
    insta::assert_debug_snapshot!(told, @r#"
    [
        "kernel 5.10 or later is required, this one is 4.18",
        "glibc 2.31 or musl 1.2 or later is required, the C library here is musl 1.1.24",
        "postgres >=15.2, <17 is required, it is 14.9.0",
        "redis ^7 is required, it is not there, as far as is known",
    ]
    "#);
    assert_eq!(requires.missing(&Facts::default()).len(), 4, "what is not known is missing");
}

#[test]
fn requirements_out_of_bounds_are_problems() {
    let names = (0..65).map(|number| format!("c{number}").parse().unwrap());
    let any: VersionRange = "*".parse().unwrap();
    let requires = Requirements {
        free_bytes: (1 << 50) + 1,
        components: names.map(|name| (name, any.clone())).collect(),
        ..Requirements::default()
    };
    insta::assert_debug_snapshot!(requires.problems(), @r#"
    [
        "requires.components has 65 entries: expected at most 64",
        "requires.free_bytes is 1125899906842625: expected at most 1125899906842624",
    ]
    "#);
}

fn system_versions() -> impl Strategy<Value = SystemVersion> {
    (0..4_u32, 0..4_u32, 0..3_u32).prop_map(|(a, b, c)| system(&format!("{a}.{b}.{c}")))
}

fn libcs() -> impl Strategy<Value = Libc> {
    prop_oneof![system_versions().prop_map(Libc::Glibc), system_versions().prop_map(Libc::Musl)]
}

fn names() -> impl Strategy<Value = ComponentName> {
    prop::sample::select(vec!["java", "postgres", "redis"]).prop_map(|it| it.parse().unwrap())
}

fn versions() -> impl Strategy<Value = Version> {
    (0..3_u32, 0..3_u32).prop_map(|(a, b)| format!("{a}.{b}.0").parse().unwrap())
}

fn ranges() -> impl Strategy<Value = VersionRange> {
    (prop::sample::select(vec![">=", "<", "^", "="]), versions())
        .prop_map(|(sign, version)| format!("{sign}{version}").parse().unwrap())
}

/// Requirements of every kind.
pub(crate) fn requirements() -> impl Strategy<Value = Requirements> {
    let optional = || prop::option::of(system_versions());
    let components = prop::collection::btree_map(names(), ranges(), 0..3);
    (optional(), optional(), optional(), components).prop_map(
        |(kernel, glibc, musl, components)| Requirements {
            kernel,
            glibc,
            musl,
            components,
            free_bytes: 0,
        },
    )
}

/// Machines of every kind.
pub(crate) fn facts() -> impl Strategy<Value = Facts> {
    let components = prop::collection::btree_map(names(), versions(), 0..3);
    (prop::option::of(system_versions()), prop::option::of(libcs()), components).prop_map(
        |(kernel, libc, components)| Facts { kernel, distribution: None, libc, components },
    )
}

proptest! {
    #[test]
    fn a_requirement_is_missing_exactly_where_it_is_missing_by_itself(
        requires in requirements(), facts in facts(),
    ) {
        let kernel = Requirements { kernel: requires.kernel, ..Requirements::default() };
        let libc = Requirements {
            glibc: requires.glibc,
            musl: requires.musl,
            ..Requirements::default()
        };
        let mut alone = kernel.missing(&facts);
        alone.extend(libc.missing(&facts));
        for (name, range) in &requires.components {
            let components = [(name.clone(), range.clone())].into();
            let one = Requirements { components, ..Requirements::default() };
            alone.extend(one.missing(&facts));
        }
        prop_assert_eq!(requires.missing(&facts), alone);
    }

    #[test]
    fn what_a_machine_has_exactly_is_not_missing(facts in facts()) {
        let exactly = |version: &Version| format!("={version}").parse().unwrap();
        let (glibc, musl) = match facts.libc {
            Some(Libc::Glibc(version)) => (Some(version), None),
            Some(Libc::Musl(version)) => (None, Some(version)),
            None => (None, None),
        };
        let components = facts.components.iter();
        let requires = Requirements {
            kernel: facts.kernel,
            glibc,
            musl,
            components: components.map(|(name, it)| (name.clone(), exactly(it))).collect(),
            free_bytes: 0,
        };
        prop_assert_eq!(requires.missing(&facts), []);
    }

    #[test]
    fn a_newer_kernel_and_c_library_lack_nothing_that_older_ones_have(
        requires in requirements(), facts in facts(), newer in system_versions(),
    ) {
        let raised = Facts {
            kernel: facts.kernel.map(|kernel| kernel.max(newer)),
            libc: facts.libc.map(|libc| match libc {
                Libc::Glibc(version) => Libc::Glibc(version.max(newer)),
                Libc::Musl(version) => Libc::Musl(version.max(newer)),
            }),
            ..facts.clone()
        };
        let what = |missing: Vec<Missing>| missing.iter().map(Missing::what).collect::<Vec<_>>();
        let before = what(requires.missing(&facts));
        for still in what(requires.missing(&raised)) {
            prop_assert!(before.contains(&still), "{} came up", still);
        }
    }

    #[test]
    fn documents_are_read_as_they_were_written(requires in requirements(), facts in facts()) {
        let written = serde_json::to_string(&requires).unwrap();
        prop_assert_eq!(serde_json::from_str::<Requirements>(&written).unwrap(), requires);
        let written = serde_json::to_string(&facts).unwrap();
        prop_assert_eq!(serde_json::from_str::<Facts>(&written).unwrap(), facts);
    }
}
