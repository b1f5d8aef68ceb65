"""What Mainstay's client makes of a repository that python-tuf writes, good and bad."""

import datetime

from clients import Refused
from mirror import Mirror, cut, empty, files_of, flipped, padded, signature_flipped
from repository import (
    ALL_TARGETS, DOCS, HALVES, PACKAGES, TEAM, PlainRepository, Repository, generate_keys, half_of)

SOME = ["readme.txt", "sub/folder/deep/file.bin", DOCS[0], PACKAGES[0], TEAM]
# One document each on the way to DOCS[0] and to PACKAGES[0].
ON_THE_WAY = ["root", "timestamp", "snapshot", "targets", "docs", "packages"]


def check(clients, tough, work, report):
    """All clients on each repository: they are to agree, and the good ones to be taken. `tough` is
    asked where it knows all that is in it."""
    keys = generate_keys()
    for is_consistent in (True, False):
        journey(clients, work, report, keys, is_consistent)
    cases = [*broken(keys, Repository), *broken_by_digest(keys)]
    for what, target, repository in cases:
        refuses(clients, work, report, (what, target, repository))
    plain([*clients, tough], work, report, keys)
    changed_on_the_way(clients, work, report, keys)


def plain(clients, work, report, keys):
    """The same rows on a repository that every client takes."""
    folder = work / "plain"
    folder.mkdir()
    repository = PlainRepository(keys)
    first = begun(repository)
    with Mirror(files_of(repository.files)) as mirror:
        for client in clients:
            for target in ["readme.txt", "sub/folder/deep/file.bin", DOCS[0], PACKAGES[0]]:
                found = fetch(client, folder, first, mirror, target)
                report.row(f"{client.name}, plain: {target}", found == repository.contents(target))
    for what, target, repository in broken(keys, PlainRepository):
        refuses(clients, work, report, (f"{what}, plain", target, repository))


def begun(repository):
    """Has two roots and all below them signed; returns the first root."""
    first = repository.add_root(["root-1", "root-2", "root-3"], ["root-1", "root-2", "root-3"],
                                "timestamp-1")
    repository.add_root(["root-2", "root-3", "root-4"], ["root-2", "root-3", "root-4"],
                        "timestamp-1")
    repository.publish("timestamp-1")
    return first


def fetch(client, folder, first, mirror, target):
    """The bytes of a target."""
    return client.fetch(folder, first, f"{mirror.url}/metadata/", f"{mirror.url}/targets/", target)


def journey(clients, work, report, keys, is_consistent):
    """Three versions of the repository, and of the root, each of which the clients live through."""
    repository = Repository(keys, is_consistent)
    steps = [(["root-1", "root-3"], ["root-1", "root-2", "root-3"], "timestamp-1"),
             # Signed by two of the old and two of the new, of which one is the same.
             (["root-2", "root-3", "root-4"], ["root-2", "root-3", "root-4"], "timestamp-1"),
             (["root-2", "root-4", "root-5"], ["root-2", "root-4", "root-5"], "timestamp-2")]
    folders = work / f"journey {is_consistent}"
    folders.mkdir()
    kind = "consistent snapshots" if is_consistent else "no consistent snapshots"
    first = None
    with Mirror(files_of(repository.files)) as mirror:
        for number, (signers, roots, timestamp) in enumerate(steps, 1):
            root = repository.add_root(signers, roots, timestamp)
            first = first or root
            repository.publish(timestamp)
            for client in clients:
                for target in ALL_TARGETS if number == len(steps) else SOME:
                    what = f"{client.name}, version {number} with {kind}: {target}"
                    try:
                        found = fetch(client, folders, first, mirror, target)
                        report.row(what, found == repository.contents(target))
                    except Refused as refused:
                        report.row(what, False, str(refused))
        repository.version -= 2
        repository.publish(timestamp)
        for client in clients:
            what = f"{client.name}, {kind}, refuses a timestamp older than was seen"
            expect_refusal(report, what, client, folders, (first, mirror, SOME[0]))


def expect_refusal(report, what, client, folder, asked):
    """The client does not take it."""
    try:
        fetch(client, folder, *asked)
        report.row(what, False)
    except Refused as refused:
        report.row(what, True, str(refused))


def refuses(clients, work, report, case):
    """No client takes a target from a broken repository, of which the rest is good."""
    what, target, repository = case
    first = begun(repository)
    folder = work / f"broken {len(list(work.iterdir()))}"
    folder.mkdir()
    with Mirror(files_of(repository.files)) as mirror:
        for client in clients:
            expect_refusal(report, f"{client.name} refuses {what}", client, folder,
                           (first, mirror, target))


def changed(name, how, version=None):
    """A change of one document. `how(signed, signers)` returns who signs; nothing: the same."""
    def change(document, signed, signers):
        if document != name or version not in (None, signed.version):
            return signers
        others = how(signed, signers)
        return signers if others is None else others

    return change


def broken(keys, kind):
    """Repositories that nobody may take, and the target by which that shows."""
    def expired(signed, _):
        signed.expires = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)

    def by_a_stranger(*_):
        return [keys["stranger"]]

    def unsigned(*_):
        return []

    def case(what, target, *change):
        return what, target, kind(keys, change=changed(*change))

    ways = {"root": SOME[0], "timestamp": SOME[0], "snapshot": SOME[0], "targets": SOME[0],
            "docs": DOCS[0], "packages": PACKAGES[0]}
    for name, target in ways.items():
        version = 2 if name == "root" else None
        yield case(f"{name} that has expired", target, name, expired, version)
        yield case(f"{name} that a stranger signed", target, name, by_a_stranger, version)
        yield case(f"{name} that nobody signed", target, name, unsigned, version)
    for name in ("targets", "docs"):
        yield case(f"{name} below its threshold", ways[name], name, lambda _, who: who[:1])
    yield case("a root that only its own keys signed", SOME[0], "root",
               lambda *_: [keys["root-4"], keys["root-3"]], 2)
    yield case("a root below its own threshold", SOME[0], "root",
               lambda *_: [keys["root-1"], keys["root-2"]], 2)

    def skips(signed, _):
        signed.version = 3

    yield case("a root that skips a version", SOME[0], "root", skips, 2)
    for name in ("snapshot", "targets", "docs"):
        yield case(f"{name} of another version than is listed", ways[name], name, skips)

    def forgets(name):
        def forget(signed, _):
            del signed.meta[f"{name}.json"]
        return forget

    for name in ("targets", "docs"):
        yield case(f"a snapshot that does not list {name}", ways[name], "snapshot", forgets(name))

    # The role that lists documents, and speaks for nothing else.
    lists = "docs" if kind is PlainRepository else "docs-low"

    def listed_by(target):
        def also_lists(signed, _):
            signed.targets[target] = next(iter(signed.targets.values()))
        return also_lists

    yield case("a target that only a role lists which may not speak for it", "stray.txt",
               lists, listed_by("stray.txt"))
    stray = "packages/x/x-1.0.tar"
    yield case("a target of one part that a role of another part lists", stray, lists,
               listed_by(stray))


def broken_by_digest(keys):
    """The same, where roles are delegated to by the digests of paths."""
    (half,) = HALVES.keys() - {half_of(DOCS[0])}
    moved = Repository(keys, change=moves(DOCS[0], half))
    yield "a target in the wrong half of the digests", DOCS[0], moved


def moves(path, half):
    """A change by which a target moves to the other half."""
    taken = []

    def change(name, signed, signers):
        if name in HALVES and path in signed.targets:
            taken.append(signed.targets.pop(path))
        if name == half:
            # Roles are signed in the order of the halves; before it was taken, its like will do.
            signed.targets[path] = (taken or list(signed.targets.values()))[0]
        return signers

    return change


def changed_on_the_way(clients, work, report, keys):
    """A good repository behind a mirror that changes one document or target after the other."""
    repository = Repository(keys)
    first = repository.add_root(["root-1", "root-2"], ["root-1", "root-2", "root-3"],
                                "timestamp-1")
    repository.add_root(["root-1", "root-2", "root-4"], ["root-1", "root-2", "root-4"],
                        "timestamp-1")
    repository.publish("timestamp-1")
    folders = work / "changed"
    folders.mkdir()
    changes = [("with a bit flipped", flipped),
               ("with a bit of its signature flipped", signature_flipped),
               ("without its last byte", cut), ("without an end", padded),
               ("that is empty", empty)]
    with Mirror(files_of(repository.files)) as mirror:
        for name in [*ON_THE_WAY, *SOME]:
            is_target = name in SOME
            target = name if is_target else PACKAGES[0] if name == "packages" else DOCS[0]
            end = f".{name.rpartition('/')[2]}" if is_target else f"{name}.json"
            for how, change in changes:
                if is_target and change is signature_flipped:
                    continue
                mirror.changes = [(lambda path, end=end: path.endswith(end)
                                   and not path.endswith("1.root.json"), change)]
                for client in clients:
                    folder = folders / str(len(list(folders.iterdir())))
                    folder.mkdir()
                    expect_refusal(report, f"{client.name} refuses {name} {how}", client, folder,
                                   (first, mirror, target))
        mirror.changes = []
        for client in clients:
            for target in SOME:
                found = fetch(client, folders / "0", first, mirror, target)
                report.row(f"{client.name} takes {target} as it is",
                           found == repository.contents(target))
