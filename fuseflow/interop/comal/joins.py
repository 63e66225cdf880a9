# SPDX-License-Identifier: MIT
"""Joins of a dialect: every input with one payload, in the public dialect two inputs.

A left join becomes a union, intersected with its first input unless that is a whole dense index.
What has more payloads or inputs becomes chains of joins, one chain for every payload, all of which
walk the same coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fuseflow.interop.comal.schema import PUBLIC
from fuseflow.interop.comal.shapes import references_of, shape_of, tap
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.interop.graphs.origins import is_whole, join_inputs
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op, StreamKind

__all__ = ["adapt_join"]

Side = tuple[int, list[int]]


def adapt_join(draft: Draft, node: DraftNode, dialect: str) -> None:
    """Put a join into the terms of a dialect.

    Raises:
        InterchangeError: X004 if coordinates lack a payload that the dialect wants with them.
    """
    assert isinstance(node.attrs, df.JoinAttrs)
    values = any(draft.wires[w].kind is StreamKind.VAL for w in node.inputs if w is not None)
    if node.attrs.keep == "left" and is_whole(draft, join_inputs(node)[0][0]):
        node.attrs = replace(node.attrs, keep="union")
    elif node.attrs.keep == "left" and _is_simple(node, dialect, values):
        _keep_left(draft, node, dialect)
    elif node.attrs.keep not in ("intersect", "union"):
        draft.remarks.append(f"{node.name} became a union: other values there")
        node.attrs = replace(node.attrs, keep="union")
    payloads = node.attrs.payloads
    if max(payloads) > 1 or (dialect == PUBLIC and (len(payloads) > 2 or values)):
        _make_chains(draft, node, dialect)
    else:
        _add_payloads(draft, node, dialect)


def _is_simple(node: DraftNode, dialect: str, values: bool) -> bool:
    """Return whether a left join can be made of two joins."""
    assert isinstance(node.attrs, df.JoinAttrs)
    payloads = node.attrs.payloads
    return len(payloads) == 2 and max(payloads) == 1 and not (values and dialect == PUBLIC)


def _keep_left(draft: Draft, node: DraftNode, dialect: str) -> None:
    """Unite both inputs, and intersect with the first one again."""
    assert isinstance(node.attrs, df.JoinAttrs)
    node.attrs = replace(node.attrs, keep="union")
    _add_payloads(draft, node, dialect)
    left = [tap(draft, wire) for wire in node.inputs[:2] if wire is not None]
    united = [draft.wire(StreamKind.CRD, node.name), draft.wire(StreamKind.REF, node.name)]
    join = DraftNode(Op.JOIN, f"left of {node.name}", [*left, *united], node.outputs,
                     df.JoinAttrs("intersect", (1, 1)), index=node.index)  # fmt: skip
    payload = node.inputs[3]
    assert payload is not None
    draft.wires[united[1]] = replace(draft.wires[united[1]], kind=draft.wires[payload].kind)
    node.outputs = [united[0], None, united[1]]
    draft.nodes.insert(draft.nodes.index(node) + 1, join)
    draft.remarks.append(f"{node.name} became a union and an intersection: cycles differ")


def _add_payloads(draft: Draft, node: DraftNode, dialect: str) -> None:
    """Pair every coordinate input with a payload; what was added comes out void."""
    assert isinstance(node.attrs, df.JoinAttrs)
    added = {
        side: _shape(draft, crd, node, dialect)
        for side, (crd, given) in enumerate(join_inputs(node))
        if not given
    }
    outputs = iter(node.outputs[1:])
    pairs: list[int | None] = []
    payloads: list[int | None] = []
    for side, (crd, given) in enumerate(join_inputs(node)):
        pairs += [crd, given[0] if given else added[side]]
        payloads.append(next(outputs) if given else None)
    node.inputs, node.outputs = pairs, [node.outputs[0], *payloads]
    node.attrs = replace(node.attrs, payloads=(1,) * len(payloads))


def _make_chains(draft: Draft, node: DraftNode, dialect: str) -> None:
    """Join for every payload by itself, two inputs at a time where the dialect has no more."""
    kept, *targets = node.outputs
    fillers = _fillers(draft, node, dialect)
    sides = join_inputs(node)
    places: list[tuple[int, int | None]]
    places = [(side, wire) for side, (_, given) in enumerate(sides) for wire in given]
    made: list[DraftNode] = []
    for (side, payload), target in zip(places or [(0, None)], targets or [None], strict=True):
        outputs = None if made else kept, target
        if payload is not None and _goes_by_name(draft, payload, dialect):
            pairs = [(crd, payload if at == side else None) for at, (crd, _) in enumerate(sides)]
            made.append(_by_name(draft, node, pairs, outputs))
        else:
            filled = [(crd, filler) for (crd, _), filler in zip(sides, fillers, strict=True)]
            filled[side] = (sides[side][0], payload or fillers[side])
            made += _chain(draft, node, filled, side, outputs, 2 if dialect == PUBLIC else None)
    first = made[0]
    node.inputs, node.outputs, node.attrs = first.inputs, first.outputs, first.attrs
    place = draft.nodes.index(node)
    draft.nodes[place + 1 : place + 1] = made[1:]
    draft.share_wires()
    draft.remarks.append(f"{node.name} became {len(made)} joins: cycles differ")


def _goes_by_name(draft: Draft, payload: int, dialect: str) -> bool:
    """Return whether the dialect has no join for a payload."""
    return dialect == PUBLIC and draft.wires[payload].kind is StreamKind.VAL


def _fillers(draft: Draft, node: DraftNode, dialect: str) -> list[int]:
    """Return for every input of a join a payload that means nothing."""
    payloads = [payload for _, given in join_inputs(node) for payload in given]
    if payloads and all(_goes_by_name(draft, payload, dialect) for payload in payloads):
        return []
    return [_shape(draft, crd, node, dialect) for crd, _ in join_inputs(node)]


def _by_name(
    draft: Draft,
    node: DraftNode,
    pairs: Sequence[tuple[int, int | None]],
    outputs: tuple[int | None, int | None],
) -> DraftNode:
    """Return a join that carries one payload of values, as a function."""
    assert isinstance(node.attrs, df.JoinAttrs)
    counts = tuple(int(payload is not None) for _, payload in pairs)
    inputs = [wire for pair in pairs for wire in pair if wire is not None]
    draft.remarks.append(f"{node.name} became a function: no simulator there runs it")
    return DraftNode(Op.JOIN, f"part of {node.name}", list(inputs), list(outputs),
                     df.JoinAttrs(node.attrs.keep, counts), index=node.index)  # fmt: skip


def _chain(
    draft: Draft,
    node: DraftNode,
    pairs: Sequence[tuple[int, int]],
    side: int,
    outputs: tuple[int | None, int | None],
    width: int | None,
) -> list[DraftNode]:
    """Return joins of at most `width` inputs that carry the payload of one side through."""
    assert isinstance(node.attrs, df.JoinAttrs)
    width = width or len(pairs)
    chain: list[DraftNode] = []
    group, carried = list(pairs[:width]), side if side < width else 0
    rest = list(pairs[width:])
    while True:
        results = outputs
        if rest:
            kinds = StreamKind.CRD, draft.wires[group[carried][1]].kind
            results = draft.wire(kinds[0], node.name), draft.wire(kinds[1], node.name)
        payloads = [results[1] if at == carried else None for at in range(len(group))]
        ends = [wire for pair in group for wire in pair]
        attrs = df.JoinAttrs(node.attrs.keep, (1,) * len(group))
        made = DraftNode(Op.JOIN, f"part of {node.name}", list(ends), [results[0], *payloads],
                         attrs, index=node.index)  # fmt: skip
        chain.append(made)
        if not rest:
            return chain
        crd, payload = results
        assert crd is not None
        assert payload is not None
        group = [(crd, payload), rest.pop(0)]
        carried = int(side == len(pairs) - len(rest) - 1)


def _shape(draft: Draft, crd: int, node: DraftNode, dialect: str) -> int:
    if dialect == PUBLIC:
        return references_of(draft, crd, node)
    return shape_of(draft, crd, node, values=True)
