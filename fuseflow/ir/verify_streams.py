# SPDX-License-Identifier: MIT
"""The rules of index tuples and domains: which streams may be read together, and what comes out.

A stream is nested in open indices, and each index iterates a domain: the set of coordinates that
one cluster of joins leaves. Streams that are read together must agree in both, since equal names
alone do not make two streams of equal shape. Here a nest is a tuple of entries (index, domain),
and None in an entry is a part that is not known or that the node is free to choose. A stream
without domain ids (from a foreign graph) is compared by its indices only.

Part of the dataflow verifier; rule ids are listed in `fuseflow.ir.verify_dataflow`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fuseflow.errors import Finding
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op, Stream
from fuseflow.ir.verify_nodes import WiredNode

__all__ = ["Entry", "Nest", "check_nests", "compare_nest", "nest_of"]

Entry = tuple[str | None, int | None]
Nest = tuple[Entry, ...]
UNKNOWN: Entry = (None, None)


def nest_of(stream: Stream) -> Nest:
    """Return the entries of a stream, outermost first."""
    domains = stream.domains or (None,) * stream.depth
    return tuple(zip(stream.indices, domains, strict=True))


def compare_nest(stream: Stream, expected: Nest) -> tuple[str, str] | None:
    """Return rule and message if a stream is not nested as the outer part of `expected` says."""
    nest = nest_of(stream)
    outer = expected[: len(nest)]
    if any(
        want is not None and name != want for (name, _), (want, _) in zip(nest, outer, strict=True)
    ):
        names = ",".join(stream.indices)
        wanted = ",".join(want or "*" for want, _ in outer)
        return "D006", f"stream {stream.id} over ({names}), expected ({wanted})"
    for (name, domain), (_, want) in zip(nest, outer, strict=True):
        if None not in (domain, want) and domain != want:
            found = f"stream {stream.id} has domain {domain} at index {name}"
            return "D007", f"{found}, expected {want}"
    return None


def check_nests(wired: WiredNode) -> Iterator[Finding]:
    """Yield D006 and D007 for a node whose ports have the right kinds and depths."""
    inputs = list(_check_inputs(wired))
    yield from inputs
    if not inputs:  # what comes out follows from inputs that agree
        yield from _check_outputs(wired)


def _check_inputs(wired: WiredNode) -> Iterator[Finding]:
    expected = _expected_inputs(wired)
    for number, (stream, nest) in enumerate(zip(wired.inputs, expected, strict=True)):
        problem = None if stream is None else compare_nest(stream, nest)
        if problem:
            yield Finding(problem[0], f"input {number} is {problem[1]}", wired.where)


def _check_outputs(wired: WiredNode) -> Iterator[Finding]:
    nest = _expected_outputs(wired)
    for number, stream in enumerate(wired.outputs):
        problem = None if stream is None else compare_nest(stream, nest)
        if problem:
            yield Finding(problem[0], f"output {number} is {problem[1]}", wired.where)
        elif stream is not None and wired.node.op is not Op.FORK:
            nest = _bind(nest, stream)  # outputs agree with each other; only lanes may differ


def _expected_inputs(wired: WiredNode) -> list[Nest]:
    """Return the nest that each input must have, or be an outer part of."""
    attrs = wired.node.attrs
    if not wired.inputs:
        return []
    if isinstance(attrs, df.JoinAttrs):
        return _joined_inputs(wired, attrs.payloads)
    if isinstance(attrs, df.ConcatAttrs):
        payloads = (1 if attrs.mode == "pad" else 0,) * len(attrs.offsets)
        return _joined_inputs(wired, payloads, attrs.depth, same_name=False)
    if isinstance(attrs, df.GatherAttrs):
        lanes = _free(_deepest(wired), attrs.depth)
        return [lanes] * len(wired.inputs)
    if isinstance(attrs, df.ReplayAttrs):
        outer = _required(wired, 1)[:-1]
        return [outer + (UNKNOWN,) * attrs.depth, (*outer, UNKNOWN)]
    return [_deepest(wired)] * len(wired.inputs)


def _joined_inputs(
    wired: WiredNode, payloads: tuple[int, ...], depth: int = 0, *, same_name: bool = True
) -> list[Nest]:
    """Inputs agree outside of level `depth`, where each has its own list; payloads follow it."""
    shared = _free(_required(wired, 0), depth, same_name=same_name)
    nests: list[Nest] = []
    for count in payloads:
        own = _required(wired, len(nests))
        nests += [shared, *[own] * count]
    return nests


def _expected_outputs(wired: WiredNode) -> Nest:
    """Return the nest of the outputs: each output is the outer part of it of its own depth."""
    attrs, op = wired.node.attrs, wired.node.op
    if op is Op.ROOT:
        return ()
    nest = _deepest(wired)
    if op in (Op.SCAN, Op.FULL):
        return (*nest, UNKNOWN)
    if op is Op.REDUCE:
        return nest[:-1]
    if op in (Op.JOIN, Op.MASK, Op.VALDROP, Op.FORK):
        return _free(nest, 0)
    if op is Op.DROP:
        return _free(nest, 1)
    if isinstance(attrs, df.GatherAttrs):
        return _free(nest, attrs.depth)
    if isinstance(attrs, df.ConcatAttrs):
        return _free(nest, attrs.depth, same_name=False)
    if isinstance(attrs, df.SpaccAttrs):
        reduced = len(nest) - 1 - attrs.order
        return nest[:reduced] + tuple((name, None) for name, _ in nest[reduced + 1 :])
    if isinstance(attrs, df.ReplayAttrs):
        signal, inner = _required(wired, 1), _required(wired, 0)
        return signal + inner[len(inner) - attrs.depth :]
    return nest


def _deepest(wired: WiredNode) -> Nest:
    """Return the nest of the first of the deepest inputs: the others are outer parts of it."""
    streams = [stream for stream in wired.inputs if stream is not None]
    return nest_of(max(streams, key=lambda stream: stream.depth))


def _required(wired: WiredNode, port: int) -> Nest:
    stream = wired.inputs[port]
    assert stream is not None
    return nest_of(stream)


def _free(nest: Nest, level: int, *, same_name: bool = True) -> Nest:
    """Leave the domains of levels 0..level open; at `level` itself the name too, if asked."""
    cut = max(len(nest) - 1 - level, 0)
    inner: list[Entry] = [(name, None) for name, _ in nest[cut:]]
    if inner and not same_name:
        inner[0] = UNKNOWN
    return nest[:cut] + tuple(inner)


def _bind(nest: Nest, stream: Stream) -> Nest:
    """Fill in what was open from an output that fits."""
    known = nest_of(stream)
    bound = tuple(
        (name or own_name, own_domain if domain is None else domain)
        for (name, domain), (own_name, own_domain) in zip(nest[: len(known)], known, strict=True)
    )
    return bound + nest[len(known) :]
