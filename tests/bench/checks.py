"""A server with many machines under one contract, and what they ask."""

import json
import pathlib
import subprocess

from mainstay import PLATFORM, PRODUCT, Server

CONTRACT = "paying"


def prepare(binaries, work, machines, questions):
    """Fills the folder of a server, which has one worker and makes no deltas, with machines: the file of so
    many checks."""
    with Server(binaries, work) as server:
        server.prepare()
        server.enrol(CONTRACT)
    (work / "server/mainstay.toml").write_text('workers = 1\n[deltas]\nenabled = false\n')
    checks = work / "checks"
    subprocess.run([binaries / "examples/fleet", work / "server/records", PRODUCT, CONTRACT, PLATFORM,
                    str(machines), checks, str(questions)], check=True)
    return checks


def twice(checks):
    """The same checks and then others, each of which differs from the machine's one before, so that the answer
    to that is not given again: the file."""
    both = checks.with_name("checks-twice")
    first = checks.read_text()
    newest = str(1 << 30)
    question = f'snapshot\\":{newest}'
    if question not in first:
        raise ValueError("a check does not say which snapshot is known")
    both.write_text(first + first.replace(question, f'snapshot\\":{int(newest) + 1}'))
    return both


def load(binaries, address, requests, connections, **options):
    """Sends the requests of a file: what came of it."""
    words = [str(word) for option in options.items() for word in option]
    command = [binaries / "examples/load", address, requests, str(connections), *words]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(told.stdout)


def children(process):
    """The processes that a process has started."""
    tasks = pathlib.Path("/proc", str(process), "task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]
