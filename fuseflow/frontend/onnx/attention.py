# SPDX-License-Identifier: MIT
"""The Attention operator of ONNX in all its forms: grouped heads, caches, windows, caps, outputs.

What is allowed is worked out here as far as it is known (causal triangle, window, lengths of
padded sequences, boolean mask), so that the scores get one pattern.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fuseflow.frontend.graph import spellings
from fuseflow.frontend.onnx.context import RuleContext

__all__ = ["attention"]

_MASK, _PAST_KEY, _PAST_VALUE, _LENGTHS = 3, 4, 5, 6

Allowed = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Scores:
    """Extents of the scores, and how many keys come before the first query in each sequence."""

    rows: int
    columns: int
    offset: npt.NDArray[np.int64]

    @property
    def ahead(self) -> npt.NDArray[np.int64]:
        """Return how far each key is ahead of each query, [batch or 1, 1, rows, columns]."""
        distance = np.arange(self.columns) - np.arange(self.rows)[:, None]
        return np.asarray(distance - self.offset.reshape(-1, 1, 1, 1))


def attention(c: RuleContext) -> tuple[str, ...]:
    """Spell a node; returns what its four outputs are, whether they are used or not."""
    b = c.builder
    q, k, v = (_heads(c, position) for position in range(3))
    k, v = _with_past(c, k, _PAST_KEY), _with_past(c, v, _PAST_VALUE)
    heads, width = b.shape(q)[1], b.shape(q)[-1]
    shared_k, shared_v = (_shared(c, each, heads) for each in (k, v))
    scale = c.node.attrs.get("scale") or 1 / math.sqrt(width)
    raw = spellings.scalar(b, "mul", spellings.matmul(b, q, shared_k, transpose_y=True), scale)
    capped = _capped(c, raw)
    masked, has_mask = _masked(c, capped, _extents(c, q, k))
    weights = b.softmax(masked, -1, zero_rows=has_mask)
    y = spellings.matmul(b, weights, shared_v)
    if len(c.shape(c.node.input(0))) != 4:
        y = b.reshape(b.transpose(y, 1, 2), c.shape(c.node.outputs[0]))
    stages = (raw, capped, masked, weights)
    return y, k, v, stages[c.node.attrs.get("qk_matmul_output_mode", 0)]


def _heads(c: RuleContext, position: int) -> str:
    """Return queries, keys or values as [batch, heads, length, depth]."""
    name = c.value(position)
    shape = c.builder.shape(name)
    if len(shape) == 4:
        return name
    batch, length, width = shape
    heads = c.node.attrs["kv_num_heads" if position else "q_num_heads"]
    return c.builder.transpose(
        c.builder.reshape(name, (batch, length, heads, width // heads)), 1, 2
    )


def _with_past(c: RuleContext, new: str, position: int) -> str:
    """Put the cache of earlier keys or values in front of the new ones."""
    if not c.node.input(position):
        return new
    return c.builder.concat((c.value(position), new), 2)


def _shared(c: RuleContext, x: str, heads: int) -> str:
    """Let several heads of queries share one of keys or values."""
    b = c.builder
    batch, own, length, width = b.shape(x)
    if own == heads:
        return x
    grouped = b.expand(b.unsqueeze(x, (2,)), (batch, own, heads // own, length, width))
    return b.reshape(grouped, (batch, heads, length, width))


def _capped(c: RuleContext, scores: str) -> str:
    cap = c.real("softcap") if c.node.attrs.get("softcap") else 0.0
    if not cap:
        return scores
    b = c.builder
    return spellings.scalar(b, "mul", b.map("tanh", spellings.scalar(b, "div", scores, cap)), cap)


def _extents(c: RuleContext, q: str, k: str) -> _Scores:
    rows, columns = c.builder.shape(q)[2], c.builder.shape(k)[2]
    offset = np.zeros(1, dtype=np.int64)
    if c.node.input(_PAST_KEY):
        offset = np.array([columns - c.shape(c.node.input(1))[-2]])
    elif c.node.input(_LENGTHS):
        offset = np.array(c.ints(_LENGTHS, "lengths of sequences")) - rows
    return _Scores(rows, columns, offset)


def _masked(c: RuleContext, scores: str, extents: _Scores) -> tuple[str, bool]:
    """Apply what is known of the mask as a pattern, and the rest as an addend."""
    b = c.builder
    allowed, additive = _allowed(c, extents), ""
    if c.node.input(_MASK):
        given = c.known(_MASK)
        if given is None or given.dtype.kind != "b":
            additive = _addend(c, extents.columns)
        elif allowed is None and given.shape[-1] == extents.columns:
            return b.where(c.value(_MASK), scores, b.constant(np.float32(-np.inf))), True
        else:
            known = _padded(given, extents.columns, fill=False)
            allowed = known if allowed is None else known & allowed
    if allowed is not None:
        scores = b.where(b.constant(allowed, "band"), scores, b.constant(np.float32(-np.inf)))
    return b.map("add", scores, additive) if additive else scores, allowed is not None


def _allowed(c: RuleContext, extents: _Scores) -> Allowed | None:
    """Return which keys each query may see by position alone, None if all."""
    left, right = (c.node.attrs.get(f"{side}_window_size", -1) for side in ("left", "right"))
    if c.node.attrs["is_causal"]:
        right = 0
    ahead = extents.ahead
    inside = np.ones(ahead.shape, dtype=np.bool_)
    inside &= (ahead >= -left) | (left < 0)
    inside &= (ahead <= right) | (right < 0)
    if c.node.input(_LENGTHS):
        lengths = np.array(c.ints(_LENGTHS, "lengths of sequences")).reshape(-1, 1, 1, 1)
        inside = inside & (np.arange(extents.columns) < lengths)
    if inside.all():
        return None
    return np.asarray(inside.squeeze((0, 1)) if len(inside) == 1 else inside)


def _addend(c: RuleContext, columns: int) -> str:
    """Return the mask that is added to the scores; a short one hides the keys behind it."""
    if c.shape(c.node.input(_MASK))[-1] == columns:
        return c.value(_MASK)
    given = c.known(_MASK)
    if given is not None:
        padded = _padded(given.astype(np.float32), columns, fill=-np.inf)
        return c.builder.constant(padded, c.node.input(_MASK))
    rest = columns - c.shape(c.node.input(_MASK))[-1]
    hidden = np.full((*c.shape(c.node.input(_MASK))[:-1], rest), -np.inf, dtype=np.float32)
    return c.builder.concat((c.value(_MASK), c.builder.constant(hidden, "hidden")), -1)


def _padded(mask: npt.NDArray[Any], columns: int, *, fill: float) -> npt.NDArray[Any]:
    width = [(0, 0)] * (mask.ndim - 1) + [(0, columns - mask.shape[-1])]
    return np.pad(mask, width, constant_values=fill)
