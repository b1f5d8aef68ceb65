"""What others' clients make of a repository that Mainstay serves."""

import hashlib
import json
import re

from clients import Refused
from mainstay import ARTIFACT, CONTRACTS, PLATFORM, PRODUCT, RELEASES, Server, target
from mirror import Mirror, cut, empty, flipped, padded, signature_flipped, upstream

METADATA = {"the timestamp": "timestamp", "the snapshot": r"\d+\.snapshot",
            "the targets": r"\d+\.targets", "the channel": r"\d+\.feature"}
TARGETS = {"the release manifest": r"release\.json", "the artifact": r"tar\.zst"}


def check(binaries, clients, work, report):
    """Starts a server and asks it as machines with different contracts."""
    with Server(binaries, work) as server:
        server.prepare()
        root = server.vendor_copy("root.json")
        tokens = {contract: server.enrol(contract) for contract in CONTRACTS}
        for contract, token in tokens.items():
            with Mirror(upstream(server.url, token)) as mirror:
                for client in clients:
                    asker = Asker(client, mirror, server.url, root, token, work, report)
                    asker.granted_and_refused(contract, server)
                    if contract == "paying":
                        asker.tampered(server.vendor_copy("timestamp.json"))


class Asker:
    """A client as one machine."""

    def __init__(self, client, mirror, url, root, token, work, report):
        self.client, self.mirror, self.root, self.token = client, mirror, root, token
        # Mainstay's own has no credential of its own here, and goes through the mirror always.
        self.direct = mirror.url if client.name == "Mainstay" else url
        self.work, self.report, self.folders = work / f"{client.name} {token[-8:]}", report, 0
        self.work.mkdir()

    def folder(self):
        """A folder for trust that begins anew."""
        self.folders += 1
        folder = self.work / str(self.folders)
        folder.mkdir()
        return folder

    def fetch(self, url, version, file, folder=None):
        """The bytes of a file of a release."""
        base = f"{url}/repo/{PRODUCT}/"
        return self.client.fetch(folder or self.folder(), self.root, base, f"{base}targets/",
                                 target(version, file), self.token)

    def granted_and_refused(self, contract, server):
        """The contract's releases arrive as they were published, the others do not."""
        granted = {"paying": ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.1.0"], "lapsed": ["1.0.0"],
                   "basic": ["1.0.0", "1.0.1", "1.0.2", "1.0.3"]}[contract]
        if contract == "basic" and self.client.name == "tough":
            # It takes in every role before it looks for a target, and this machine may not have
            # the one of a channel.
            granted = []
        for version, _ in RELEASES:
            what = f"{self.client.name}, {contract}: {version}"
            folder = self.folder()
            try:
                manifest = self.fetch(self.direct, version, "release.json", folder)
                artifact = self.fetch(self.direct, version, ARTIFACT, folder)
            except Refused as refused:
                self.report.row(f"{what} is refused", version not in granted, str(refused))
                if self.client.name != "Mainstay":
                    self.report.row(f"{what} is refused with 403", "403" in str(refused),
                                    str(refused))
                continue
            self.report.row(f"{what} is granted", version in granted)
            described = json.loads(manifest)
            listed = described["artifacts"][PLATFORM]["sha256"]
            self.report.row(f"{what} is what was published",
                            described["version"] == version
                            and hashlib.sha256(artifact).hexdigest() == listed
                            == server.digest(version))

    def tampered(self, older):
        """What a mirror changed is refused, and so is what is older than what was seen."""
        rows = [(f"{what} with a bit flipped", f"{file}\\.json", flipped)
                for what, file in METADATA.items()]
        rows += [(f"{what} with a bit of its signature flipped", f"{file}\\.json",
                  signature_flipped) for what, file in METADATA.items()]
        rows += [(f"{what} with a bit flipped", file, flipped) for what, file in TARGETS.items()]
        everything = {what: f"{file}\\.json" for what, file in METADATA.items()} | TARGETS
        rows += [(f"{what} without its last byte", file, cut) for what, file in everything.items()]
        rows += [(f"{what} without an end", file, padded) for what, file in everything.items()]
        rows += [(f"{what} that is empty", file, empty) for what, file in everything.items()]
        rows.append(("a timestamp in place of the targets", METADATA["the targets"] + r"\.json",
                     lambda _: older))
        for what, pattern, change in rows:
            self.refuses(what, pattern, change, self.folder())
        folder = self.folder()
        self.arrives("before anything older", folder)
        self.refuses("an older timestamp than was seen", r"timestamp\.json", lambda _: older,
                     folder)
        self.arrives("after all", folder)
        self.arrives("by the same mirror", self.folder())

    def refuses(self, what, pattern, change, folder):
        """The client does not take what the mirror changed."""
        expression = re.compile(f"/([0-9a-f]{{64}}\\.)?[^/]*{pattern}$")
        self.mirror.changes = [(expression.search, change)]
        file = "release.json" if "manifest" in what else ARTIFACT
        try:
            self.fetch(self.mirror.url, "1.1.0", file, folder)
            self.report.row(f"{self.client.name} refuses {what}", False)
        except Refused as refused:
            self.report.row(f"{self.client.name} refuses {what}", True, str(refused))
        finally:
            self.mirror.changes = []

    def arrives(self, what, folder):
        """The mirror, which changes nothing now, is not the reason of a refusal."""
        try:
            self.fetch(self.mirror.url, "1.1.0", ARTIFACT, folder)
            self.report.row(f"{self.client.name} fetches {what}", True)
        except Refused as refused:
            self.report.row(f"{self.client.name} fetches {what}", False, str(refused))
