"""TUF clients, each asked in the same way."""

import os
import pathlib
import shutil
import subprocess

import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from outcome import Failure

COMMAND_SECONDS_MAX = 60


class Refused(Exception):
    """The client would not take it, and says why."""


class TokenFetcher(FetcherInterface):
    """Fetches for ngclient, with a machine's credential where there is one."""

    def __init__(self, token):
        self.pool = urllib3.PoolManager(retries=False, timeout=COMMAND_SECONDS_MAX)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def _fetch(self, url):
        response = self.pool.request("GET", url, headers=self.headers, preload_content=False)
        if response.status != 200:
            response.close()
            raise DownloadHTTPError(f"HTTP status {response.status}", response.status)
        return response.stream(1 << 16)


class PythonTuf:
    """python-tuf's ngclient."""

    name = "python-tuf"

    def fetch(self, folder, root, metadata_url, targets_url, target, token=None):
        """The bytes of the target, by way of the metadata kept in `folder`."""
        kept = folder / self.name
        kept.mkdir(exist_ok=True)
        fetcher = TokenFetcher(token)
        try:
            updater = Updater(str(kept), metadata_url, str(kept), targets_url, fetcher,
                              bootstrap=root)
            updater.refresh()
            found = updater.get_targetinfo(target)
            if found is None:
                raise Refused("no role that may speak for it lists it")
            path = kept / "target"
            updater.download_target(found, str(path))
            return path.read_bytes()
        except (RepositoryError, DownloadError) as error:
            raise Refused(f"{type(error).__name__}: {error}") from None
        finally:
            fetcher.pool.clear()


class Command:
    """A client that is a program."""

    def __init__(self, program):
        self.program = program

    def run(self, *words, token=None):
        """Runs the program to its end."""
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("MAINSTAY_")}
        if token:
            environment["MAINSTAY_TOKEN"] = token
        ran = subprocess.run([self.program, *words], env=environment, stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=COMMAND_SECONDS_MAX, check=False)
        said = ran.stderr.decode(errors="replace").strip()
        if ran.returncode == 1:
            raise Refused(said)
        if ran.returncode != 0:
            raise Failure(f"exit code {ran.returncode} of {self.program.name}: {said}")


class Tough(Command):
    """The `tough` crate."""

    name = "tough"

    def fetch(self, folder, root, metadata_url, targets_url, target, token=None):
        """The bytes of the target, by way of the metadata kept in `folder`."""
        kept = folder / self.name
        kept.mkdir(exist_ok=True)
        # Beside the folder in which `tough` keeps metadata under names of its own.
        pinned, path = folder / "tough-root.json", folder / "tough-target"
        pinned.write_bytes(root)
        self.run(pinned, kept, metadata_url, targets_url, target, path, token=token)
        return path.read_bytes()


class TufClient(Command):
    """Mainstay's own, as the example `tuf_client`. A mirror must add the credential."""

    name = "Mainstay"

    def fetch(self, folder, root, metadata_url, targets_url, target, token=None):
        """The bytes of the target, by way of the metadata kept in `folder`."""
        del token
        kept, fetched = folder / self.name, folder / "Mainstay-targets"
        if not kept.exists():
            kept.mkdir()
            pinned = folder / "Mainstay-root.json"
            pinned.write_bytes(root)
            self.run("--metadata-dir", kept, "init", pinned)
        # It leaves a file that is right already as it is, and is to fetch it each time.
        shutil.rmtree(fetched, ignore_errors=True)
        fetched.mkdir()
        self.run("--metadata-dir", kept, "--metadata-url", metadata_url, "--target-name", target,
                 "--target-dir", fetched, "--target-base-url", targets_url, "download")
        (path,) = fetched.iterdir()
        return pathlib.Path(path).read_bytes()
