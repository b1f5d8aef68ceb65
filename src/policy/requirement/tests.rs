use std::collections::BTreeMap;

use mainstay_client::format::{Libc, SystemVersion, Version};
use proptest::{prelude::*, sample::Index};

use super::*;
use crate::policy::{
    Action, Machine, Offer, Standing, entitlement::properties::world, resolve,
    resolve::tests::offers,
};

fn systems() -> impl Strategy<Value = SystemVersion> {
    (0..4_u32, 0..3_u32).prop_map(|(major, minor)| format!("{major}.{minor}").parse().unwrap())
}

fn some_facts() -> impl Strategy<Value = Facts> {
    let libc = prop_oneof![systems().prop_map(Libc::Glibc), systems().prop_map(Libc::Musl)];
    let postgres = (0..3_u32)
        .prop_map(|major| ("postgres".parse().unwrap(), format!("{major}.0.0").parse().unwrap()));
    (prop::option::of(systems()), prop::option::of(libc), prop::option::of(postgres)).prop_map(
        |(kernel, libc, postgres)| Facts {
            kernel,
            libc,
            distribution: None,
            components: postgres.into_iter().collect(),
        },
    )
}

fn some_requirements() -> impl Strategy<Value = Requirements> {
    let optional = || prop::option::weighted(0.3, systems());
    let postgres = (0..3_u32)
        .prop_map(|major| ("postgres".parse().unwrap(), format!(">={major}").parse().unwrap()));
    (optional(), optional(), optional(), prop::option::weighted(0.3, postgres)).prop_map(
        |(kernel, glibc, musl, postgres)| Requirements {
            kernel,
            glibc,
            musl,
            components: postgres.into_iter().collect(),
            free_bytes: 0,
        },
    )
}

#[test]
fn a_machine_that_tells_nothing_is_given_what_it_was_given() {
    let requires = Requirements { kernel: "99.0".parse().ok(), ..Requirements::default() };
    assert_eq!(unmet(&requires, None), None);
    let told = unmet(&requires, Some(&Facts::default())).unwrap();
    assert_eq!(told, "kernel 99.0 or later is required, this one is not known");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A plan names no release whose requirements the reported facts do not meet; and what is
    /// withheld for that costs the machine no other release: the plan is the one that there would be
    /// if those releases had never been made for its platform.
    #[test]
    fn a_plan_leads_to_the_highest_release_that_the_machine_can_run(
        world in world(),
        luck in prop::collection::vec(any::<Index>(), 16),
        start in prop::option::of(any::<Index>()),
        requirements in prop::collection::vec(some_requirements(), 16),
        facts in some_facts(),
    ) {
        let catalogue = world.catalogue();
        let standing = Standing::new(&world.contract, &catalogue, world.now);
        let decisions = world.decisions();
        let running = start.map(|start| start.get(&world.releases).version.clone());
        let machine = Machine::new(running, "linux-x86_64".parse().unwrap());
        let unmet: BTreeMap<&Version, Option<String>> = (world.releases.iter())
            .zip(requirements.iter().cycle())
            .map(|(release, requires)| (&release.version, unmet(requires, Some(&facts))))
            .collect();
        let without = offers(&world, &luck);
        let with = |change: &dyn Fn(&mut Offer, Option<String>)| {
            let mut changed = without.clone();
            for (version, offer) in &mut changed {
                change(offer, unmet.get(version).cloned().flatten());
            }
            resolve(&standing, &decisions, &changed, &machine).action
        };
        let action = with(&|offer, unmet| offer.requirement_unmet = unmet);
        if let Action::Update(version) = &action {
            prop_assert_eq!(&unmet[version], &None);
        }
        let never_made = with(&|offer, unmet| {
            if unmet.is_some() {
                offer.platforms.clear();
            }
        });
        prop_assert_eq!(action, never_made);
    }
}
