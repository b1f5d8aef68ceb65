"""Which of Mainstay's programs a benchmark runs, and what it ends with."""

import pathlib
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def add_smoke(parser):
    """The option that shows that a benchmark works, with small sizes, and holds nothing to goals."""
    parser.add_argument("--smoke", action="store_true",
                        help="sizes that take seconds, the programs of target/debug as they are, no goals")


def programs(smoke, *builds):
    """The folder of the programs, release builds of which are made unless this is a smoke run."""
    if smoke:
        return REPOSITORY / "target/debug"
    for words in builds:
        subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", *words], check=True,
                       cwd=REPOSITORY)
    return REPOSITORY / "target/release"


def judge(goals, smoke):
    """Prints which goals are reached; the exit code. A smoke run has none."""
    if smoke:
        return 0
    for goal, holds in goals.items():
        print(f"{'reached' if holds else 'MISSED'}: {goal}")
    return 0 if all(goals.values()) else 1
