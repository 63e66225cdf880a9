# SPDX-License-Identifier: MIT
"""Norms over channels and padding, spelled for both frameworks: layout [batch, channel, ...]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph.builder import OpBuilder

__all__ = ["batch_norm", "group_norm", "pad", "per_channel"]


def batch_norm(
    b: OpBuilder, x: str, mean: str, variance: str, eps: float, weight: str = "", bias: str = ""
) -> str:
    """Scale and shift by constants: the statistics are part of the model, as in eval mode.

    `mean` and the others name constants with one number per channel.
    """
    shift, deviation = _data(b, mean), np.sqrt(_data(b, variance) + np.float32(eps))
    scale = 1 / deviation if not weight else _data(b, weight) / deviation
    with b.composite("batch_norm"):
        y = b.map("sub", x, _channels(b, shift, x, mean))
        y = b.map("mul", y, _channels(b, scale, x, variance))
        return b.map("add", y, per_channel(b, bias, x)) if bias else y


def group_norm(
    b: OpBuilder, x: str, groups: int, eps: float, weight: str = "", bias: str = ""
) -> str:
    """Normalise groups of channels; scale and shift, constants, are per channel."""
    shape = b.shape(x)
    with b.composite("group_norm"):
        grouped = b.layer_norm(b.reshape(x, (shape[0], groups, -1)), (-1,), eps)
        y = b.reshape(grouped, shape)
        y = b.map("mul", y, per_channel(b, weight, x)) if weight else y
        return b.map("add", y, per_channel(b, bias, x)) if bias else y


def per_channel(b: OpBuilder, name: str, x: str) -> str:
    """Return a constant per channel of `x` in a shape that broadcasts against it."""
    return _channels(b, _data(b, name), x, name)


def pad(
    b: OpBuilder, x: str, pads: Sequence[tuple[int, int]], mode: str, value: float = 0.0
) -> str:
    """Add (before, after) coordinates to each dimension, or cut off negative ones.

    New ones hold `value`, or in the modes edge, reflect and wrap what NumPy's `pad` gives.
    """
    with b.composite("pad"):
        for dim, (before, after) in enumerate(pads):
            extent = b.shape(x)[dim]
            x = b.slice(x, dim, max(-before, 0), extent - max(-after, 0))
            wide = max(before, 0), max(after, 0)
            if any(wide):
                x = _pad_one(b, x, dim, wide, mode, value)
        return x


def _pad_one(b: OpBuilder, x: str, dim: int, wide: tuple[int, int], mode: str, value: float) -> str:
    extent = b.shape(x)[dim]
    if mode != "constant":
        chosen = np.pad(np.arange(extent), wide, mode)  # type: ignore[call-overload]
        return b.gather(x, b.constant(chosen, "padded"), dim)
    if not value:
        places = np.arange(wide[0], wide[0] + extent)
        return b.scatter(x, b.constant(places, "padded"), dim, sum(wide) + extent, "add")
    parts = [_filled(b, b.shape(x), dim, count, value) for count in wide if count]
    parts.insert(1 if wide[0] else 0, x)
    return b.concat(parts, dim)


def _filled(b: OpBuilder, shape: Sequence[int], dim: int, count: int, value: float) -> str:
    whole = (*shape[:dim], count, *shape[dim + 1 :])
    return b.constant(np.full(whole, value, np.float32), "padding")


def _data(b: OpBuilder, name: str) -> npt.NDArray[np.float32]:
    data = b.graph.values[name].data
    if data is None:
        raise b.error("statistics, scale and shift per channel must be constants")
    return np.asarray(data, dtype=np.float32)


def _channels(b: OpBuilder, numbers: npt.NDArray[np.float32], x: str, name: str) -> str:
    wide = numbers.reshape(-1, *(1,) * (len(b.shape(x)) - 2))
    return b.constant(wide, b.graph.values[name].label)
