# SPDX-License-Identifier: MIT
"""The rules of ONNX operators that only rename, regroup or cut index spaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fuseflow.frontend.graph import channels
from fuseflow.frontend.onnx.context import Rule, RuleContext

__all__ = ["SHAPE_RULES"]


def _reshape(c: RuleContext) -> str:
    # Inference has resolved -1, 0 and allowzero already; flattening needs the result's shape only.
    return c.builder.reshape(c.value(0), _result_shape(c))


def _result_shape(c: RuleContext) -> tuple[int, ...]:
    return c.shape(c.node.outputs[0])


def _transpose(c: RuleContext) -> str:
    rank = len(c.shape(c.node.input(0)))
    return c.builder.permute(c.value(0), c.node.attrs.get("perm", range(rank)[::-1]))


def _expand(c: RuleContext) -> str:
    return c.builder.expand(c.value(0), _result_shape(c))


def _tile(c: RuleContext) -> str:
    """Repeat whole dimensions: a new dimension before each, expanded and then merged."""
    repeats, shape = c.ints(1, "repeats"), c.shape(c.node.input(0))
    paired = [extent for size in shape for extent in (1, size)]
    wide = [extent for pair in zip(repeats, shape, strict=True) for extent in pair]
    x = c.builder.reshape(c.value(0), paired)
    return c.builder.reshape(c.builder.expand(x, wide), _result_shape(c))


def _slice(c: RuleContext) -> str:
    starts, stops = c.ints(1, "starts"), c.ints(2, "ends")
    axes = c.ints(3, "axes") if c.node.input(3) else list(range(len(starts)))
    steps = c.ints(4, "steps") if c.node.input(4) else [1] * len(starts)
    result = c.value(0)
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        result = _slice_one(c, result, axis, slice(start, stop, step))
    return result


def _slice_one(c: RuleContext, x: str, axis: int, part: slice) -> str:
    """Take a range of one dimension; one that runs backwards is a list of coordinates."""
    b = c.builder
    chosen = np.arange(b.shape(x)[b.dim(x, axis)])[part]
    if part.step > 0 or not chosen.size:
        return b.slice(x, axis, part.start, part.stop, part.step)
    return b.gather(x, b.constant(chosen, "reversed"), axis)


def _split(c: RuleContext) -> Sequence[str]:
    axis = c.builder.dim(c.value(0), c.node.attrs["axis"])
    size = c.shape(c.node.input(0))[axis]
    if c.node.input(1):
        sizes = c.ints(1, "sizes")
    else:
        # Where the parts are not equal, the last one is the smaller one.
        part = -(-size // len(c.node.outputs))
        sizes = [min(part, size - start) for start in range(0, size, part)]
    return c.builder.split(c.value(0), sizes, axis)


def _concat(c: RuleContext) -> str:
    names = [c.value(position) for position in range(len(c.node.inputs))]
    return c.builder.concat(names, c.node.attrs["axis"])


def _pad(c: RuleContext) -> str:
    """Padded are the axes that are named, by default all: first what goes before each."""
    x, rank = c.value(0), len(c.shape(c.node.input(0)))
    flat = c.ints(1, "pads")
    axes = c.ints(3, "axes") if c.node.input(3) else range(rank)
    pads = [(0, 0)] * rank
    for axis, before, after in zip(axes, flat[: len(axes)], flat[len(axes) :], strict=True):
        pads[axis] = (before, after)
    value = c.known(2) if c.node.input(2) else None
    if value is None and c.node.input(2):
        raise c.error("its padding value must be a constant")
    number = 0.0 if value is None else float(value.reshape(()))
    return channels.pad(c.builder, x, pads, c.node.attrs["mode"], number)


SHAPE_RULES: Mapping[str, Rule] = {
    "Concat": _concat,
    "Expand": _expand,
    "Flatten": _reshape,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _reshape,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
