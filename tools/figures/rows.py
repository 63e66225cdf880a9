# SPDX-License-Identifier: MIT
"""One row per finished case, as JSON in a file of its own, written whole or not at all.

A run that is stopped loses the case it was in and nothing else: rows whose case and version are
unchanged are read back instead of being made again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["KernelRow", "Row", "Status", "load_rows", "row_from", "row_path", "store_row"]


class Status(enum.StrEnum):
    """What became of a case; only `ok` has cycles that count."""

    OK = "ok"
    MISMATCH = "mismatch"
    UNSUPPORTED = "unsupported"
    SKIPPED = "skipped"
    SKIPPED_BUDGET = "skipped-budget"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class KernelRow:
    """One kernel of a case: cycles of one run, its floor without drain, and how often it runs."""

    name: str
    order: str
    runs: int
    cycles: int
    floor: int
    critical: str = ""
    stalled_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one case; sums over kernels, each as often as it runs.

    `floor` includes emptying accumulators, `floor_bare` does not. `one_projection` has the cycles
    where one projection of a decoder stands for three. `bytes` are all words that cross DRAM,
    `bytes_artifact` those of values and of written coordinates only. Errors are relative.
    `estimate` has the compiler's figures of the same names, where they are asked for, and `orders`
    numbers of loop orders by rule. `spec` identifies the case in every detail.
    """

    case: str
    figures: tuple[str, ...]
    model: str
    input: str
    kind: str
    scale: str
    config: str
    density: float
    seed: int
    memory: str
    timing: str
    status: Status
    reason: str = ""
    nodes: int | None = None
    entries: int | None = None
    features: int | None = None
    two_hops: int | None = None
    digest: str = ""
    lanes: str = ""
    kernels: tuple[KernelRow, ...] = ()
    kernels_expected: int = 0
    cycles: int = 0
    floor: int = 0
    floor_bare: int = 0
    one_projection: int | None = None
    tokens: int = 0
    flops: int = 0
    bytes: int = 0
    bytes_artifact: int = 0
    max_rel_error: float | None = None
    compile_ms: float = 0.0
    wall_s: float = 0.0
    estimate: Mapping[str, float] | None = None
    orders: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()
    spec: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Return cycles over the floor; None where nothing counts."""
        return self.cycles / self.floor if self.status is Status.OK and self.floor else None


def row_path(folder: Path, case: str) -> Path:
    """Return the file of a case."""
    return folder / (re.sub(r"[^\w.=-]+", "_", case) + ".json")


def store_row(folder: Path, row: Row) -> None:
    """Write a row; readers see the old file or the new one, never half of it."""
    path = row_path(folder, row.case)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        partial.write_text(json.dumps(dataclasses.asdict(row), indent=1) + "\n")
        partial.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def load_rows(folder: Path, cases: Iterable[str]) -> dict[str, Row]:
    """Return the stored rows of cases by name; one that cannot be read counts as missing."""
    rows = {}
    for case in cases:
        with contextlib.suppress(FileNotFoundError, KeyError, TypeError, ValueError):
            row = row_from(json.loads(row_path(folder, case).read_text()))
            if row.case == case:
                rows[case] = row
    return rows


def row_from(data: dict[str, Any]) -> Row:
    """Return the row that a JSON object holds; fields that it lacks have their defaults.

    Raises:
        KeyError, TypeError, ValueError: if it holds no row.
    """
    data["status"] = Status(data["status"])
    data["kernels"] = tuple(KernelRow(**each) for each in data.get("kernels", ()))
    for name in ("figures", "notes"):
        data[name] = tuple(data.get(name, ()))
    return Row(**data)
