"""Random inputs for every primitive with the outputs that its list function gives.

Lists are empty with probability 0.3 at every level; dimension 1 and missing references occur.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import Any

import numpy as np

from fuseflow.sim import params as pm
from fuseflow.sim.machine import ChannelKind, Cost, UnitKind
from fuseflow.sim.tokens import MISSING
from tests.sim import oracles
from tests.sim.oracles import each, unzip

CRD, REF, VAL, SIG = ChannelKind.CRD, ChannelKind.REF, ChannelKind.VAL, ChannelKind.SIG


@dataclass(frozen=True)
class Lists:
    """A stream as a nested list; `nested` None is a port that is not connected."""

    nested: Any
    depth: int
    kind: ChannelKind = REF


@dataclass(frozen=True)
class Case:
    """A unit with inputs and expected outputs in port order, and what a writer must store."""

    kind: UnitKind
    inputs: list[Lists]
    outputs: list[Lists | None]
    params: pm.UnitParams | None = None
    cost: Cost | None = None
    written: dict[str, list[Any]] | None = None


def nested(rng: Random, depth: int, leaf: Callable[[], Any]) -> Any:
    """A random list of this depth."""
    if depth == 0:
        return leaf()
    count = 0 if rng.random() < 0.3 else rng.randint(1, 3)
    return [nested(rng, depth - 1, leaf) for _ in range(count)]


def ascending(rng: Random, size: int = 5) -> list[int]:
    count = 0 if rng.random() < 0.3 else rng.randint(1, size)
    return sorted(rng.sample(range(size), count))


def number(rng: Random) -> np.float32:
    return np.float32(rng.randint(-4, 4))


def maybe(rng: Random, value: Any) -> Any:
    return MISSING if rng.random() < 0.2 else value


def below(rng: Random, outer: Any, depth: int, leaf: Callable[[], Any], levels: int = 1) -> Any:
    """A list that has a random list in place of each element of `outer`."""
    return each(lambda _x: nested(rng, levels, leaf), depth, outer)


def joined(rows: Iterable[list[Any]]) -> list[Any]:
    """The lists one after the other."""
    return list(chain.from_iterable(rows))


def scan(rng: Random) -> Case:
    depth, fibers, size = rng.randint(0, 3), rng.randint(1, 4), rng.choice([1, 3, 5])
    refs = nested(rng, depth, lambda: maybe(rng, rng.randrange(fibers)))
    form = rng.choice(["compressed", "dense", "singleton"])
    rows = [ascending(rng, size) for _ in range(fibers)]
    seg = np.cumsum([0, *map(len, rows)])
    single = [rng.randrange(size) for _ in range(fibers)]

    def fiber(ref: Any) -> list[tuple[int, int]]:
        if ref is MISSING:
            return []
        if form == "dense":
            return [(c, ref * size + c) for c in range(size)]
        if form == "singleton":
            return [(single[ref], ref)]
        return [(c, int(seg[ref]) + i) for i, c in enumerate(rows[ref])]

    stored = {"dense": None, "singleton": single, "compressed": joined(rows)}[form]
    params = pm.ScanParams(
        form,
        size,
        fibers,
        seg.astype(np.int64) if form == "compressed" else None,
        None if stored is None else np.array(stored, np.int64),
    )
    crd, ref = unzip(each(fiber, depth, refs), depth + 1, 2)
    outputs = [Lists(crd, depth + 1, CRD), Lists(ref, depth + 1)]
    return Case(UnitKind.SCAN, [Lists(refs, depth)], outputs, params)


def full(rng: Random) -> Case:
    depth, size = rng.randint(0, 3), rng.choice([1, 3])
    x = nested(rng, depth, lambda: maybe(rng, rng.randrange(5)))
    out = each(lambda _x: list(range(size)), depth, x)
    return Case(UnitKind.FULL, [Lists(x, depth)], [Lists(out, depth + 1, CRD)], pm.FullParams(size))


def locate(rng: Random) -> Case:
    depth, fibers, size = rng.randint(0, 2), 3, 5
    parent = nested(rng, depth, lambda: maybe(rng, rng.randrange(fibers)))
    crd = each(lambda _p: ascending(rng, size), depth, parent)
    rows = [ascending(rng, size) for _ in range(fibers)]
    seg = np.cumsum([0, *map(len, rows)])
    search, has_parent = rng.random() < 0.5, rng.random() < 0.8

    def place(p: Any, c: int) -> Any:
        if p is MISSING:
            return MISSING
        if not search:
            return p * 7 + c * 2 + 1
        return int(seg[p]) + rows[p].index(c) if c in rows[p] else MISSING

    above = parent if has_parent else each(lambda _p: 0, depth, parent)
    loc = each(lambda p, cs: [place(p, c) for c in cs], depth, above, crd)
    coordinates = np.array(joined(rows), np.int64)
    params = pm.LocateParams(size, 2, 1, 7, search, seg.astype(np.int64), coordinates)
    inputs = [Lists(crd, depth + 1, CRD), Lists(parent if has_parent else None, depth)]
    return Case(
        UnitKind.LOCATE, inputs, [Lists(crd, depth + 1, CRD), Lists(loc, depth + 1)], params
    )


def join(rng: Random) -> Case:
    depth, arity = rng.randint(1, 3), rng.choice([2, 2, 3])
    keep = (
        rng.choice(oracles.all_tables(2))
        if arity == 2
        else rng.choice([tuple(m == 7 for m in range(8)), tuple(m > 0 for m in range(8))])
    )
    frame = nested(rng, depth - 1, lambda: None)
    crds = [each(lambda _x: ascending(rng), depth - 1, frame) for _ in range(arity)]
    pays = [each(lambda _c: maybe(rng, rng.randrange(9)), depth, crd) for crd in crds]
    merged = each(
        lambda *pairs: oracles.merge(keep, pairs),
        depth - 1,
        *(each(lambda c, p: (c, p), depth - 1, c, p) for c, p in zip(crds, pays, strict=True)),
    )
    outs = unzip(merged, depth - 1, arity + 1)
    inputs = [
        s for c, p in zip(crds, pays, strict=True) for s in (Lists(c, depth, CRD), Lists(p, depth))
    ]
    outputs = [Lists(outs[0], depth, CRD), *(Lists(o, depth) for o in outs[1:])]
    return Case(UnitKind.JOIN, inputs, outputs, pm.JoinParams(keep, (1,) * arity))


def repsig(rng: Random) -> Case:
    depth = rng.randint(0, 3)
    x = nested(rng, depth, lambda: maybe(rng, rng.randrange(5)))
    return Case(
        UnitKind.REPSIG, [Lists(x, depth)], [Lists(each(lambda _x: 1, depth, x), depth, SIG)]
    )


def repeat(rng: Random) -> Case:
    depth = rng.randint(0, 3)
    x = nested(rng, depth, lambda: maybe(rng, rng.randrange(9)))
    sig = below(rng, x, depth, lambda: 1)
    out = each(lambda a, s: [a] * len(s), depth, x, sig)
    params = pm.RepeatParams(rng.random() < 0.5)
    inputs = [Lists(x, depth), Lists(sig, depth + 1, SIG)]
    return Case(UnitKind.REPEAT, inputs, [Lists(out, depth + 1)], params)


def replay(rng: Random) -> Case:
    outer, k = rng.randint(0, 2), rng.randint(1, 3)
    frame = nested(rng, outer, lambda: None)
    x = below(rng, frame, outer, lambda: rng.randrange(9), k)
    sig = below(rng, frame, outer, lambda: 1)
    out = each(lambda a, s: [a] * len(s), outer, x, sig)
    inputs = [Lists(x, outer + k), Lists(sig, outer + 1)]
    return Case(UnitKind.REPLAY, inputs, [Lists(out, outer + k + 1)], pm.ReplayParams(k))


def hold(rng: Random) -> Case:
    depth = rng.randint(1, 3)
    outer = nested(rng, depth, lambda: rng.randrange(9))
    inner = each(lambda _x: ascending(rng), depth, outer)
    spread = each(lambda a, s: [a] * len(s), depth, outer, inner)
    inputs = [Lists(outer, depth, CRD), Lists(inner, depth + 1, CRD)]
    outputs = [Lists(spread, depth + 1, CRD), Lists(inner, depth + 1, CRD)]
    return Case(UnitKind.HOLD, inputs, outputs)


def drop(rng: Random) -> Case:
    depth = rng.randint(1, 3)
    outer = nested(rng, depth, lambda: rng.randrange(9))
    inner = each(lambda _x: ascending(rng), depth, outer)
    pay = each(lambda _x: rng.randrange(9), depth + 1, inner)
    rows = each(
        lambda o, i, p: oracles.drop_empty(
            list(zip(o, map(lambda c, q: list(zip(c, q, strict=True)), i, p), strict=True))
        ),
        depth - 1,
        outer,
        inner,
        pay,
    )
    kept, pairs = unzip(rows, depth, 2)
    crd, load = unzip(pairs, depth + 1, 2)
    inputs = [Lists(outer, depth, CRD), Lists(inner, depth + 1, CRD), Lists(pay, depth + 1)]
    outputs = [Lists(kept, depth, CRD), Lists(crd, depth + 1, CRD), Lists(load, depth + 1)]
    return Case(UnitKind.DROP, inputs, outputs, cost=Cost(inner=rng.randint(0, 1)))


def mask(rng: Random) -> Case:
    depth, keep = rng.randint(1, 3), rng.choice(["lt", "le", "eq", "ne", "ge", "gt"])
    outer = nested(rng, depth, lambda: rng.randrange(5))
    inner = each(lambda _x: ascending(rng), depth, outer)
    pay = each(lambda c: c + 100, depth + 1, inner)
    test = getattr(operator, keep)
    out = each(lambda o, row: [c for c in row if test(o, c)], depth, outer, inner)
    load = each(lambda c: c + 100, depth + 1, out)
    inputs = [Lists(outer, depth, CRD), Lists(inner, depth + 1, CRD), Lists(pay, depth + 1)]
    outputs = [Lists(out, depth + 1, CRD), Lists(load, depth + 1)]
    return Case(UnitKind.MASK, inputs, outputs, pm.MaskParams(keep))


def valdrop(rng: Random) -> Case:
    depth = rng.randint(1, 3)
    crd = nested(rng, depth, lambda: rng.randrange(9))
    val = each(lambda _c: maybe(rng, np.float32(rng.randint(0, 2))), depth, crd)
    pairs = each(
        lambda c, v: [(a, b) for a, b in zip(c, v, strict=True) if b is not MISSING and b != 0],
        depth - 1,
        crd,
        val,
    )
    out_crd, out_val = unzip(pairs, depth, 2)
    return Case(
        UnitKind.VALDROP,
        [Lists(crd, depth, CRD), Lists(val, depth, VAL)],
        [Lists(out_crd, depth, CRD), Lists(out_val, depth, VAL)],
        pm.ValDropParams(0.0),
    )
