"""A Mainstay server with a product, releases, customers and their machines."""

import hashlib
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import time

from outcome import Failure

PRODUCT = "acme-db"
PLATFORM = f"linux-{platform.machine()}"
# `tough` takes in every role at once and gives up where one has no document yet, so each channel
# has a release, and the archive too.
RELEASES = [("1.0.0", "major"), ("1.0.1", "bugfix"), ("1.0.2", "security"), ("1.0.3", "bugfix"),
            ("1.1.0", "feature")]
# What is retired, and after which release.
RETIRED, AFTER = "1.0.1", "1.0.3"
# Machines by what the contract says: everything; every channel, but only what came out until 2021;
# patches only.
CONTRACTS = {"paying": ("premium", "2099"), "lapsed": ("premium", "2021"),
             "basic": ("basic", "2099")}
COMMAND_SECONDS_MAX = 120


def target(version, file):
    """The path of a file of a release, as the repository lists it."""
    archive = "archive/" if version == RETIRED else ""
    return f"{archive}{dict(RELEASES)[version]}/{version}/{file}"


ARTIFACT = f"{PLATFORM}.tar.zst"


class Server:
    """A server of our own in the folder `work`, `under` another program where one is named; ended with the
    block."""

    def __init__(self, binaries, work, under=()):
        self.binaries, self.work, self.log, self.under = binaries, work, work / "server.log", under
        self.url, self.process = None, None
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith("MAINSTAY_")} | {"TMPDIR": str(work)}

    def __enter__(self):
        command = [*self.under, self.binaries / "mainstay", "serve", "--dir", self.work / "server", "--listen",
                   "127.0.0.1:0", "--log", "json"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.environment,
                                            start_new_session=True)
        try:
            self.url = self._wait_for_url()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _wait_for_url(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            url = re.search(r'"url":"([^"]+)"', self.log.read_text())
            if url:
                return url[1]
            time.sleep(0.05)
        raise Failure(f"the server does not listen; its log:\n{self.log.read_text()}")

    def command(self, *words):
        """Runs a command of the vendor: its answer."""
        environment = self.environment | {
            "MAINSTAY_SERVER": self.url, "MAINSTAY_KEYS": str(self.work / "keys"),
            "MAINSTAY_TOKEN_FILE": str(self.work / "server/admin.token")}
        return json.loads(run([self.binaries / "mainstay", "--json", *words], environment))

    def prepare(self):
        """Makes the vendor's keys and the product, publishes the releases and retires one."""
        self.command("keys", "generate", "--no-passphrase")
        self.command("product", "create", "--product", PRODUCT)
        notes = self.work / "notes.md"
        notes.write_text("What is new.\n")
        for version, channel in RELEASES:
            tree = self.work / "trees" / version
            tree.mkdir(parents=True)
            (tree / "VERSION").write_text(version)
            (tree / "data").write_bytes(hashlib.shake_128(version.encode()).digest(200_000))
            self.command("publish", "--product", PRODUCT, "--version", version, "--channel",
                         channel, "--platform", f"{PLATFORM}={tree}", "--notes", notes,
                         "--immediately")
            if version == AFTER:
                self.command("release", "retire", "--product", PRODUCT, RETIRED)

    def vendor_copy(self, name):
        """What the vendor's own computer remembers of the product: the root that it made, and what
        was the newest before the last release."""
        return (self.work / "keys/trust" / PRODUCT / name).read_bytes()

    def digest(self, version):
        """The digest of a release's artifact, as its publisher knows it."""
        (artifact,) = [release["artifacts"][PLATFORM]["sha256"]
                       for release in self.command("release", "list", "--product", PRODUCT)
                       if release["release"]["version"] == version]
        return artifact

    def enrol(self, contract):
        """A machine under a contract of its own: its credential."""
        tier, end = CONTRACTS[contract]
        self.command("customer", "create", "--customer", contract)
        self.command("contract", "create", "--contract", contract, "--customer", contract,
                     "--tier", tier, "--product", PRODUCT, "--base-line", "1.0",
                     "--start", "2020-01-01T00:00:00Z", "--end", f"{end}-01-01T00:00:00Z")
        issued = self.command("contract", "activation-key", contract)
        machine = self.work / "machines" / contract
        run([self.binaries / "mainstay-agent", "--dir", machine, "--json", "enroll", "--server",
             self.url, "--product", PRODUCT, "--activation-key", issued["activation_key"]],
            self.environment)
        return pathlib.Path(machine, ".mainstay/token").read_text().strip()


def run(command, environment):
    """Runs a command to its end: what it printed."""
    ran = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                         timeout=COMMAND_SECONDS_MAX, check=False)
    if ran.returncode != 0:
        words = " ".join(str(word) for word in command)
        told = (ran.stdout + ran.stderr).decode(errors="replace")
        raise Failure(f"exit code {ran.returncode} of: {words}\n{told}")
    return ran.stdout.decode()
