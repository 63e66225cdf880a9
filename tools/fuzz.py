# SPDX-License-Identifier: MIT
"""Look for graphs that are compiled wrongly: ``python -m tools.fuzz [--minutes M] [TEST ...]``.

Runs the property tests again and again, each round with another seed, until the time is over or a
round fails. A failure is shrunk to a small graph and printed together with the seed; run the seed
again with ``--seed`` after a fix.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
TESTS = (
    "tests/fusion/test_random_graphs.py",
    "tests/fusion/test_schedule_random.py",
    "tests/fusion/test_lanes.py",
    "tests/fusion/test_blocks.py",
    "tests/fusion/test_hazards_nonfinite.py",
)
SEEDS = 2**31


def main(arguments: Sequence[str] | None = None) -> int:
    """Run rounds until the time is over; return 1 if one failed."""
    options = _parser().parse_args(arguments)
    seed = random.SystemRandom().randrange(SEEDS) if options.seed is None else options.seed
    start = time.monotonic()
    rounds = 0
    while not rounds or time.monotonic() - start < 60 * options.minutes:
        print(f"round {rounds + 1}: seed {seed}", flush=True)
        if not _run(options.tests or TESTS, seed, options.jobs):
            print(f"failed; to run it again: python -m tools.fuzz --seed {seed}")
            return 1
        rounds += 1
        seed = (seed + 1) % SEEDS
    print(f"{rounds} rounds passed")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tools.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="start no round after this")
    parser.add_argument("--seed", type=int, help="the seed of the first round (default: random)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("tests", nargs="*", metavar="TEST", help=f"default: {' '.join(TESTS)}")
    return parser


def _run(tests: Sequence[str], seed: int, jobs: int) -> bool:
    """Run the tests once with a seed; print what they print if they fail."""
    command = [sys.executable, "-m", "pytest", "--quiet", "--no-header", "--tb=short"]
    command += [f"--numprocesses={jobs}", "--hypothesis-profile=fuzz", f"--hypothesis-seed={seed}"]
    done = subprocess.run(
        [*command, *tests], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(done.stdout)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
