"""Rows to put into tables."""

from __future__ import annotations

from tools.figures.graphs import Kind
from tools.figures.rows import Row, Status


def a_row(case: str, **fields: object) -> Row:
    """Return a good row of GCN; `fields` replace what it has."""
    values: dict[str, object] = {
        "case": case,
        "figures": ("fig12",),
        "model": "gcn",
        "input": "karate",
        "kind": Kind.REAL.value,
        "scale": "",
        "config": "unfused",
        "density": 0.4,
        "seed": 0,
        "memory": "ideal",
        "timing": "comal",
        "status": Status.OK,
        "cycles": 100,
        "floor": 90,
        **fields,
    }
    return Row(**values)  # type: ignore[arg-type]
