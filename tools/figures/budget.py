# SPDX-License-Identifier: MIT
"""How long cases will take, from a short calibration, and which of them fit into a budget."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

from tools.figures.cases import Case, predicted_tokens
from tools.figures.configs import CONFIGS
from tools.figures.graphs import Kind
from tools.figures.runner import Runner
from tools.figures.workloads import Autoencoder

__all__ = ["choose", "free_memory", "predict", "shortage"]

# Export and import of a small model, once torch is loaded.
_IMPORT_SECONDS = 1.5
# Draws, parameters, copies of export and import, tensors: of both weights together.
_BYTES_PER_WEIGHT = 48


def predict(cases: Sequence[Case], runner: Runner) -> list[float]:
    """Return about how many seconds each case takes on this machine, as it is now.

    Runs a small autoencoder to see how fast this machine simulates; the import of a model is
    charged to the first of its cases.
    """
    rate = _tokens_per_second(runner)
    seconds = []
    for position, case in enumerate(cases):
        new = not position or cases[position - 1].workload != case.workload
        seconds.append(predicted_tokens(case) / rate + new * _IMPORT_SECONDS)
    return seconds


def shortage(case: Case, free: int | None) -> str:
    """Say that a case needs more than the `free` bytes of memory; "" if it fits, or None is known.

    The model of a case is drawn densely, and copied by its import.
    """
    load = case.workload
    need = _BYTES_PER_WEIGHT * load.inputs * load.hidden if isinstance(load, Autoencoder) else 0
    if free is None or need <= free:
        return ""
    return f"needs about {need / 2**30:.0f} GiB of memory, {free / 2**30:.0f} are free"


def free_memory() -> int | None:
    """Return how many bytes this machine could still give to a process, if it says so."""
    table = Path("/proc/meminfo")
    if not table.exists():
        return None
    found = re.search(r"^MemAvailable: *(\d+) kB$", table.read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def choose(cases: Sequence[Case], seconds: Sequence[float], budget: float | None) -> set[Case]:
    """Return the cases that fit into the budget: the most expendable are left out first."""
    chosen = dict(zip(cases, seconds, strict=True))
    if budget is None:
        return set(chosen)
    for case in sorted(cases, key=lambda each: (-each.expendable, -chosen[each])):
        if sum(chosen.values()) <= budget:
            break
        del chosen[case]
    return set(chosen)


def _tokens_per_second(runner: Runner) -> float:
    load = Autoencoder("calibration", 2048, 256, 8, 0.5, Kind.REDUCED)
    case = Case((), load, CONFIGS["sae"]["partial"])
    runner.run(case)  # loads torch, and everything that is loaded on first use
    started = time.perf_counter()
    row = runner.run(case)
    return row.tokens / (time.perf_counter() - started)
