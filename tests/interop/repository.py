"""A TUF repository as python-tuf writes it, with as much of the specification in it as there is."""

import datetime
import hashlib
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole, Delegations, Metadata, MetaFile, Role, Root, Snapshot, SuccinctRoles,
    TargetFile, Targets, Timestamp)
from tuf.api.serialization.json import JSONSerializer

BITS = 3
DOCS = [f"docs/chapter-{number}/page.txt" for number in range(12)]
PACKAGES = [f"packages/{name}/{name}-1.0.tar" for name in "abcdefghijkl"]
# The role's name reaches for another folder, and is not ASCII.
TEAM_ROLE, TEAM = "../team/größe", "team/notes.txt"
TOP_LEVEL = ["readme.txt", "sub/folder/deep/file.bin", "sub/größe 大きさ.txt"]
ALL_TARGETS = [*TOP_LEVEL, *DOCS, *PACKAGES, TEAM]
HALVES = {"docs-low": "01234567", "docs-high": "89abcdef"}


def digests(body, algorithms):
    """The digests of some bytes."""
    return {algorithm: hashlib.new(algorithm, body).hexdigest() for algorithm in algorithms}


def half_of(path):
    """The role that may speak for a path by its digest."""
    digest = hashlib.sha256(path.encode()).hexdigest()
    (name,) = [name for name, prefixes in HALVES.items() if digest[0] in prefixes]
    return name


class Repository:
    """Builds the repository anew with each `publish`.

    `change(name, signed, signers)` may change a document before it is signed, and returns who signs
    it. `files` has what is served, by path.
    """

    # One role and target in three is known by each of these.
    TARGET_DIGESTS = [["sha256"], ["sha512"], ["sha256", "sha512"]]
    ROLE_DIGESTS = [[], ["sha512"], ["sha256", "sha512"]]

    def __init__(self, keys, is_consistent=True, change=lambda name, signed, signers: signers):
        self.keys, self.is_consistent, self.change = keys, is_consistent, change
        self.files, self.roots, self.version = {}, 0, 0
        self.now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        self.expires = self.now + datetime.timedelta(days=30)

    def contents(self, path):
        """What the target is in the present version: half of them change with each."""
        moving = self.version if ALL_TARGETS.index(path) % 2 else 0
        return f"{path} of version {moving}\n".encode() * (1 + len(path))

    def _sign(self, name, signed, signers):
        signers = self.change(name, signed, signers)
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        # Members in no particular order, on several lines: only the canonical form is signed.
        return metadata.to_bytes(JSONSerializer(compact=self.version % 2 == 0))

    def _put(self, name, version, body):
        prefix = f"{version}." if self.is_consistent or name == "root" else ""
        prefix = "" if name == "timestamp" else prefix
        # The client asks for the name percent-encoded, and a web server would decode it.
        self.files[f"/metadata/{prefix}{quote(name, '')}.json"] = body

    def add_root(self, signers, roots, timestamp):
        """The next root: its signers, its keys of which two must sign, the timestamp's key."""
        self.roots += 1
        root = Root(version=self.roots, expires=self.expires,
                    consistent_snapshot=self.is_consistent)
        for role, keys, threshold in [("root", roots, 2), ("timestamp", [timestamp], 1),
                                      ("snapshot", ["snapshot"], 1),
                                      ("targets", ["targets-1", "targets-2", "targets-3"], 2)]:
            root.roles[role] = Role([], threshold)
            for key in keys:
                root.add_key(self.keys[key].public_key, role)
        body = self._sign("root", root, [self.keys[key] for key in signers])
        self._put("root", self.roots, body)
        return body

    def _role(self, name, paths, signers, delegations=None):
        """A targets role that lists `paths`."""
        role = Targets(version=self.version, expires=self.expires, delegations=delegations)
        for path in paths:
            self._add_target(role, path)
        return self._sign(name, role, [self.keys[key] for key in signers])

    def _add_target(self, role, path):
        body = self.contents(path)
        hashes = digests(body, self.TARGET_DIGESTS[len(role.targets) % 3])
        role.targets[path] = TargetFile(len(body), hashes, path, {"custom": {"of": self.version}})
        folder, _, file = path.rpartition("/")
        for prefix in [f"{digest}." for digest in hashes.values()] if self.is_consistent else [""]:
            self.files["/targets/" + quote(f"{folder}/{prefix}{file}".lstrip("/"))] = body

    def _delegations(self, keys, **roles):
        found = [self.keys[key].public_key for key in keys]
        return Delegations({key.keyid: key for key in found}, **roles)

    def _delegated(self, name, keys, **what):
        ids = [self.keys[key].public_key.keyid for key in keys]
        return DelegatedRole(name, ids, len(ids), terminating=False, **what)

    def publish(self, timestamp):
        """The next version of everything below the root."""
        self.version += 1
        bins = SuccinctRoles([self.keys["bins"].public_key.keyid], 1, BITS, "bin")
        halves = [self._delegated(name, ["halves"], path_hash_prefixes=list(prefixes))
                       for name, prefixes in HALVES.items()]
        top = self._delegations(
            ["docs-1", "docs-2", "packages"],
            roles={role.name: role for role in [
                self._delegated("docs", ["docs-1", "docs-2"], paths=["docs/*/*"]),
                self._delegated("packages", ["packages"], paths=["packages/*/*.tar"]),
                self._delegated(TEAM_ROLE, ["packages"], paths=["team/*"])]})
        signed = {
            "targets": self._role("targets", TOP_LEVEL, ["targets-1", "targets-3"], top),
            "docs": self._role("docs", [], ["docs-1", "docs-2"], self._delegations(
                ["halves"], roles={role.name: role for role in halves})),
            "packages": self._role("packages", [], ["packages"], self._delegations(
                ["bins"], succinct_roles=bins)),
            TEAM_ROLE: self._role(TEAM_ROLE, [TEAM], ["packages"])}
        for name in HALVES:
            paths = [path for path in DOCS if half_of(path) == name]
            signed[name] = self._role(name, paths, ["halves"])
        for name in bins.get_roles():
            paths = [path for path in PACKAGES if bins.get_role_for_target(path) == name]
            signed[name] = self._role(name, paths, ["bins"])
        self._finish(signed, timestamp)

    def _finish(self, signed, timestamp):
        snapshot = Snapshot(version=self.version, expires=self.expires)
        for number, (name, body) in enumerate(signed.items()):
            snapshot.meta[f"{name}.json"] = self._announced(body, self.ROLE_DIGESTS[number % 3])
            self._put(name, self.version, body)
        body = self._sign("snapshot", snapshot, [self.keys["snapshot"]])
        self._put("snapshot", self.version, body)
        meta = self._announced(body, self.ROLE_DIGESTS[1])
        newest = Timestamp(version=self.version, expires=self.expires, snapshot_meta=meta)
        body = self._sign("timestamp", newest, [self.keys[timestamp]])
        self._put("timestamp", self.version, body)

    def _announced(self, body, algorithms):
        """What is said of a document: length and digests too, or its version alone."""
        if not algorithms:
            return MetaFile(self.version)
        return MetaFile(self.version, len(body), digests(body, algorithms))


class PlainRepository(Repository):
    """Without what not every client knows: SHA-512, delegations by the digests of paths, succinct
    and nested ones, names beyond ASCII."""

    TARGET_DIGESTS = [["sha256"]] * 3
    ROLE_DIGESTS = [["sha256"]] * 3

    def publish(self, timestamp):
        """The next version of everything below the root."""
        self.version += 1
        top = self._delegations(
            ["docs-1", "docs-2", "packages"],
            roles={role.name: role for role in [
                self._delegated("docs", ["docs-1", "docs-2"], paths=["docs/*/*"]),
                self._delegated("packages", ["packages"], paths=["packages/*/*.tar"])]})
        self._finish({
            "targets": self._role("targets", TOP_LEVEL[:2], ["targets-1", "targets-3"], top),
            "docs": self._role("docs", DOCS, ["docs-1", "docs-2"]),
            "packages": self._role("packages", PACKAGES, ["packages"])}, timestamp)


def generate_keys():
    """Keys of every kind that there is."""
    kinds = {"ed25519": CryptoSigner.generate_ed25519, "ecdsa": CryptoSigner.generate_ecdsa,
             "rsa": CryptoSigner.generate_rsa}
    uses = {"root-1": "ed25519", "root-2": "ecdsa", "root-3": "rsa", "root-4": "ed25519",
            "root-5": "ecdsa", "timestamp-1": "ecdsa", "timestamp-2": "rsa", "snapshot": "rsa",
            "targets-1": "ed25519", "targets-2": "ecdsa", "targets-3": "rsa", "docs-1": "ecdsa",
            "docs-2": "rsa", "halves": "ed25519", "packages": "ecdsa", "bins": "rsa",
            "stranger": "ed25519"}
    return {name: kinds[kind]() for name, kind in uses.items()}


