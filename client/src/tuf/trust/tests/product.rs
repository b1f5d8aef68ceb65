use super::*;

fn product(name: &str) -> ProductName {
    name.parse().unwrap()
}

fn of<M: Metadata>(name: Option<&str>, number: u64) -> Header {
    Header { product: name.map(product), ..header::<M>(number) }
}

/// A root of `name` whose keys, as those of every product here, are the same.
fn root_of(name: Option<&str>, number: u64) -> Vec<u8> {
    let roots = [Signer::RootA, Signer::RootB, Signer::RootC];
    signed(&Root { header: of::<Root>(name, number), ..root(number, &roots) }, &Signer::OLD_ROOTS)
}

fn pinned_of(name: Option<&str>) -> Result<TrustedRoot, Refusal> {
    TrustedRoot::pin(&root_of(name, 1), Limits::DEFAULT).unwrap().of(&product("acme-db"))
}

/// The documents of a product that says so by `names`: of timestamp, snapshot, targets and channel.
fn follow(names: [Option<&str>; 4]) -> Result<(), Refusal> {
    let [on_timestamp, on_snapshot, on_targets, on_channel] = names;
    let channel = Targets {
        header: of::<Targets>(on_channel, 1),
        ..targets(1, &[("bugfix/1.0.1/release.json", 1)])
    };
    let top = Targets { header: of::<Targets>(on_targets, 1), ..vendor_targets() };
    let snapshot = Snapshot {
        header: of::<Snapshot>(on_snapshot, 1),
        ..snapshot(1, &[("targets", 1), ("bugfix", 1)])
    };
    let snapshot = signed(&snapshot, &[Signer::Snapshot]);
    let timestamp = Timestamp {
        header: of::<Timestamp>(on_timestamp, 1),
        ..timestamp(1, FileMeta::of(version(1), &snapshot))
    };
    let mut repository = pinned_of(Some("acme-db"))?
        .settle(time(NOW))?
        .accept(&signed(&timestamp, &[Signer::Timestamp]))?
        .accept(&snapshot)?
        .accept(&signed(&top, &[Signer::Targets]))?;
    repository.accept_role("bugfix", &signed(&channel, &[Signer::Bugfix]))?;
    Ok(())
}

#[test]
fn every_document_is_of_the_product() {
    let own = Some("acme-db");
    follow([own; 4]).unwrap();
    for (index, document) in ["timestamp", "snapshot", "targets", "bugfix"].into_iter().enumerate()
    {
        for (other, says) in
            [(Some("acme-web"), "it is of product acme-web"), (None, "of which product")]
        {
            let mut names = [own; 4];
            names[index] = other;
            let message = refused(follow(names), document, Rule::Binding);
            assert!(message.contains(says) && message.contains("expected acme-db"), "{message}");
        }
    }
}

#[test]
fn a_root_is_of_the_product_from_the_first_to_the_last() {
    for other in [Some("acme-web"), None] {
        refused(pinned_of(other), "root", Rule::Binding);
        let mut pinned = pinned_of(Some("acme-db")).unwrap();
        refused(pinned.rotate(&root_of(other, 2)), "root", Rule::Binding);
        assert_eq!(pinned.version(), 1);
        pinned.rotate(&root_of(Some("acme-db"), 2)).unwrap();
    }
}
