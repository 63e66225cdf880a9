"""What every primitive does to nested lists: the oracle of the token rules, without tokens."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from fuseflow.sim.tokens import MISSING

Nested = Any


def each(function: Callable[..., Nested], depth: int, *lists: Nested) -> Nested:
    """Apply a function to what stands `depth` levels down, in step over all lists."""
    if depth == 0:
        return function(*lists)
    assert len({len(x) for x in lists}) == 1
    return [each(function, depth - 1, *children) for children in zip(*lists, strict=True)]


def unzip(nested: Nested, depth: int, count: int) -> list[Nested]:
    """Turn lists of tuples `depth` levels down into a tuple of lists."""
    return [each(lambda pair, k=k: pair[k], depth, nested) for k in range(count)]


def merge(keep: Sequence[bool], inputs: Sequence[tuple[list[int], list[Any]]]) -> tuple[Any, ...]:
    """Join level-0 lists of coordinates, each with one payload."""
    found = [dict(zip(crd, pay, strict=True)) for crd, pay in inputs]
    every = sorted(set().union(*found))
    crds = [c for c in every if keep[sum(1 << j for j, f in enumerate(found) if c in f)]]
    return (crds, *([f.get(c, MISSING) for c in crds] for f in found))


def fold(
    op: str, values: Sequence[Any], fill: float = 0.0, extent: int | None = None
) -> np.float32:
    """Fold a list from the identity; entries that are missing from the extent hold the fill."""
    identity = {"add": 0, "max": -np.inf, "min": np.inf, "mul": 1}[op]
    function = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}[op]
    total = np.float32(identity)
    absent = 0 if extent is None else extent - len(values)
    for value in [*values, *[fill] * absent]:
        total = np.float32(function(total, np.float32(fill if value is MISSING else value)))
    return total


def drop_empty(pairs: list[tuple[Any, list[Any]]]) -> list[tuple[Any, list[Any]]]:
    """Remove outer elements with an empty list."""
    return [(outer, inner) for outer, inner in pairs if inner]


def leaves(crds: Sequence[Nested], val: Nested) -> list[tuple[tuple[int, ...], Any]]:
    """Entries of an accumulator's input: keys with their value."""
    if not crds:
        return [((), val)]
    found = []
    for i, crd in enumerate(crds[0]):
        below = leaves([level[i] for level in crds[1:]], val[i])
        found += [((crd, *key), value) for key, value in below]
    return found


def accumulate(
    op: str,
    crds: Sequence[Nested],
    val: Nested,
    full: Sequence[int],
    missing: float,
    fill: float,
    extent: int | None,
) -> tuple[Nested, ...]:
    """Combine entries that agree in all keys but the first; return key lists and values."""
    order = len(crds) - 1
    table: dict[tuple[int, ...], list[Any]] = {}
    for key, value in leaves(crds, val):
        table.setdefault(key[1:], []).append(value)

    def keys(prefix: tuple[int, ...]) -> list[int]:
        size = full[len(prefix)]
        return (
            list(range(size))
            if size
            else sorted({k[len(prefix)] for k in table if k[: len(prefix)] == prefix})
        )

    def level(depth: int, prefix: tuple[int, ...]) -> Nested:
        return (
            keys(prefix) if depth == 0 else [level(depth - 1, (*prefix, k)) for k in keys(prefix)]
        )

    def value(prefix: tuple[int, ...]) -> Nested:
        if len(prefix) < order:
            return [value((*prefix, k)) for k in keys(prefix)]
        if prefix in table:
            return fold(op, table[prefix], fill, extent)
        return np.float32(missing) if extent is None else fold(op, [], fill, extent)

    return (*(level(j, ()) for j in range(order)), value(()))


def deal(items: list[Any], lanes: int) -> tuple[list[Any], ...]:
    """Deal the elements of a list to lanes in turn."""
    return tuple(items[lane::lanes] for lane in range(lanes))


def all_tables(arity: int) -> list[tuple[bool, ...]]:
    """Every keep table of a join: false for the empty mask, whatever else."""
    rest = product((False, True), repeat=(1 << arity) - 1)
    return [(False, *table) for table in rest]
