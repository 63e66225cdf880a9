"""Random cases of the primitives that compute, split, join and store (see `cases`)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from fuseflow.ir.scalar import REDUCTIONS
from fuseflow.sim import params as pm
from fuseflow.sim.machine import Cost, UnitKind
from fuseflow.sim.tokens import MISSING
from tests.sim import cases, oracles
from tests.sim.cases import CRD, REF, VAL, Case, Lists, ascending, joined, maybe, nested, number
from tests.sim.oracles import each, unzip


def array(rng: Random) -> Case:
    depth, values = rng.randint(0, 3), np.arange(4, dtype=np.float32) + 1
    refs = nested(rng, depth, lambda: maybe(rng, rng.randrange(4)))
    out = each(lambda r: np.float32(-7) if r is MISSING else values[r], depth, refs)
    params = pm.ArrayParams(values, 4, -7.0)
    cost = Cost(latency=rng.randint(1, 4))
    return Case(UnitKind.ARRAY, [Lists(refs, depth)], [Lists(out, depth, VAL)], params, cost)


def alu(rng: Random) -> Case:
    depth, name = rng.randint(0, 3), rng.choice(["add", "sub", "mul", "max", "min"])
    function = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum}
    a = nested(rng, depth, lambda: maybe(rng, number(rng)))
    b = each(lambda _a: maybe(rng, number(rng)), depth, a)

    def apply(x: Any, y: Any) -> np.float32:
        operands = (2 if x is MISSING else x, 3 if y is MISSING else y)
        return np.float32(function.get(name, np.minimum)(*map(np.float32, operands)))

    params = pm.AluParams(name, (2.0, 3.0), (), 1)
    cost = Cost(ii=rng.randint(1, 3), latency=rng.randint(1, 5))
    inputs = [Lists(a, depth, VAL), Lists(b, depth, VAL)]
    return Case(UnitKind.ALU, inputs, [Lists(each(apply, depth, a, b), depth, VAL)], params, cost)


def reduce(rng: Random) -> Case:
    depth, op = rng.randint(1, 3), rng.choice(["add", "max", "min", "mul"])
    extent = rng.choice([None, 3, 4])
    fill = float(rng.randint(-1, 2))
    x = nested(rng, depth, lambda: maybe(rng, number(rng)))
    out = each(lambda row: oracles.fold(op, row, fill, extent), depth - 1, x)
    shape = each(lambda _row: 0, depth - 1, x) if rng.random() < 0.5 else None
    identity = REDUCTIONS[op].identity
    return Case(
        UnitKind.REDUCE,
        [Lists(x, depth, VAL), Lists(shape, depth - 1)],
        [Lists(out, depth - 1, VAL)],
        pm.ReduceParams(op, identity, identity, fill, extent),
        Cost(n_cost=rng.randint(0, 1), latency=rng.randint(1, 3)),
    )


def spacc(rng: Random) -> Case:
    outer, order = rng.randint(0, 2), rng.randint(1, 3)
    op, extent = rng.choice(["add", "max"]), rng.choice([None, None, 9])
    full = tuple(rng.choice([0, 0, 4]) for _ in range(order))
    fill, missing = float(rng.randint(-1, 1)), 5.0
    frame = nested(rng, outer, lambda: None)
    crds = []
    for level in range(order + 1):
        above, depth = (crds[-1], outer + level) if level else (frame, outer)
        crds.append(each(lambda _x: ascending(rng, 3), depth, above))
    val = each(lambda _c: maybe(rng, number(rng)), outer + order + 1, crds[-1])
    results = each(
        lambda *x: oracles.accumulate(op, x[:-1], x[-1], full, missing, fill, extent),
        outer,
        *crds,
        val,
    )
    outs = unzip(results, outer, order + 1)
    shape = each(lambda _x: 0, outer, frame) if rng.random() < 0.5 else None
    inputs = [Lists(c, outer + 1 + i, CRD) for i, c in enumerate(crds)]
    inputs += [Lists(val, outer + order + 1, VAL), Lists(shape, outer)]
    outputs: list[Lists | None] = [Lists(outs[i], outer + 1 + i, CRD) for i in range(order)]
    outputs.append(Lists(outs[-1], outer + order, VAL))
    params = pm.SpaccParams(op, REDUCTIONS[op].identity, order, full, missing, fill, extent)
    return Case(UnitKind.SPACC, inputs, outputs, params, Cost(flush_ii=rng.randint(0, 1)))


def fork(rng: Random) -> Case:
    depth, lanes = rng.randint(1, 3), rng.randint(1, 4)
    x = nested(rng, depth, lambda: maybe(rng, rng.randrange(9)))
    dealt = unzip(each(lambda row: oracles.deal(row, lanes), depth - 1, x), depth - 1, lanes)
    sel = each(lambda row: [i % lanes for i in range(len(row))], depth - 1, x)
    outputs: list[Lists | None] = [Lists(lane, depth) for lane in dealt]
    outputs.append(Lists(sel, depth, CRD) if rng.random() < 0.5 else None)
    return Case(UnitKind.FORK, [Lists(x, depth)], outputs, cost=Cost(done=1))


def gather(rng: Random) -> Case:
    outer, k, lanes = rng.randint(0, 2), rng.randint(0, 3), rng.randint(1, 4)
    frame = nested(rng, outer, lambda: None)
    x = cases.below(rng, frame, outer, lambda: maybe(rng, rng.randrange(9)), k + 1)
    any_dealing = rng.random() < 0.5
    sel = each(
        lambda row: [rng.randrange(lanes) if any_dealing else i % lanes for i in range(len(row))],
        outer,
        x,
    )
    dealt = [
        each(
            lambda row, s, lane=lane: [e for e, j in zip(row, s, strict=True) if j == lane],
            outer,
            x,
            sel,
        )
        for lane in range(lanes)
    ]
    has_sel = any_dealing or rng.random() < 0.3
    inputs = [Lists(lane, outer + k + 1) for lane in dealt]
    inputs.append(Lists(sel if has_sel else None, outer + 1, CRD))
    params = pm.GatherParams(lanes, k)
    return Case(UnitKind.GATHER, inputs, [Lists(x, outer + k + 1)], params, Cost(done=lanes - 1))


def broadcast(rng: Random) -> Case:
    depth = rng.randint(0, 3)
    x = nested(rng, depth, lambda: maybe(rng, rng.randrange(9)))
    outputs: list[Lists | None] = [Lists(x, depth), None, Lists(x, depth)]
    return Case(UnitKind.BROADCAST, [Lists(x, depth)], outputs)


def concat_mix(rng: Random) -> Case:
    outer, k, count = rng.randint(0, 2), rng.randint(0, 2), rng.randint(1, 3)
    frame = nested(rng, outer, lambda: None)
    parts = [
        cases.below(rng, frame, outer, lambda: maybe(rng, rng.randrange(9)), k + 1)
        for _ in range(count)
    ]
    offsets = tuple(rng.randrange(10) for _ in range(count))
    shifted = [
        each(lambda x, o=o: x if x is MISSING else x + o, outer + k + 1, part)
        for part, o in zip(parts, offsets, strict=True)
    ]
    out = each(lambda *rows: joined(rows), outer, *shifted)
    depth = outer + k + 1
    params = pm.ConcatParams("mix", k, offsets)
    return Case(UnitKind.CONCAT, [Lists(p, depth) for p in parts], [Lists(out, depth)], params)


def concat_pad(rng: Random) -> Case:
    depth, count = rng.randint(1, 3), rng.randint(1, 3)
    frame = nested(rng, depth - 1, lambda: None)
    crds = [each(lambda _x: ascending(rng), depth - 1, frame) for _ in range(count)]
    pays = [each(lambda _c: maybe(rng, rng.randrange(9)), depth, crd) for crd in crds]
    offsets = tuple(5 * j for j in range(count))
    out = each(
        lambda *rows: [c + o for row, o in zip(rows, offsets, strict=True) for c in row],
        depth - 1,
        *crds,
    )

    def padded(j: int) -> Any:
        return each(
            lambda *rows: [p if i == j else MISSING for i, row in enumerate(rows) for p in row],
            depth - 1,
            *pays,
        )

    inputs = [
        s for c, p in zip(crds, pays, strict=True) for s in (Lists(c, depth, CRD), Lists(p, depth))
    ]
    outputs: list[Lists | None] = [Lists(out, depth, CRD)]
    outputs += [Lists(padded(j), depth) for j in range(count)]
    return Case(UnitKind.CONCAT, inputs, outputs, pm.ConcatParams("pad", 0, offsets))


def level_write(rng: Random) -> Case:
    depth = rng.randint(1, 3)
    crd = nested(rng, depth, lambda: rng.randrange(9))
    rows = [crd] if depth == 1 else flatten(crd, depth - 1)
    seg = [0, *np.cumsum([len(row) for row in rows], dtype=int).tolist()]
    written = {"segments": seg, "coordinates": joined(rows)}
    params = pm.LevelWriteParams("X", 0)
    return Case(UnitKind.LEVEL_WRITE, [Lists(crd, depth, CRD)], [], params, written=written)


def val_write(rng: Random) -> Case:
    depth = rng.randint(0, 3)
    val = nested(rng, depth, lambda: maybe(rng, number(rng)))
    flat = [-7.0 if v is MISSING else float(v) for v in flatten(val, depth)]
    ref, positions, stored = None, None, flat
    if rng.random() < 0.5:
        places = rng.sample(range(len(flat) + 3), len(flat))
        positions, stored = len(flat) + 3, [-7.0] * (len(flat) + 3)
        for place, value in zip(places, flat, strict=True):
            stored[place] = value
        queue = iter(places)
        ref = each(lambda _v: next(queue), depth, val)
    params = pm.ValWriteParams("X", -7.0, positions)
    inputs = [Lists(val, depth, VAL), Lists(ref, depth, REF)]
    cost = Cost(done=1)
    return Case(UnitKind.VAL_WRITE, inputs, [], params, cost, {"values": stored})


def flatten(nest: Any, depth: int) -> list[Any]:
    """The elements `depth` levels down, in order."""
    return [nest] if depth == 0 else [x for child in nest for x in flatten(child, depth - 1)]


def root(_rng: Random) -> Case:
    return Case(UnitKind.ROOT, [], [Lists(0, 0)])


CASES: dict[str, Callable[[Random], Case]] = {
    function.__name__: function
    for function in (
        root,
        cases.scan,
        cases.full,
        cases.locate,
        cases.join,
        cases.repsig,
        cases.repeat,
        cases.replay,
        cases.hold,
        cases.drop,
        cases.mask,
        cases.valdrop,
        array,
        alu,
        reduce,
        spacc,
        fork,
        gather,
        broadcast,
        concat_mix,
        concat_pad,
        level_write,
        val_write,
    )
}
