# SPDX-License-Identifier: MIT
"""Random values that depend on a seed and a name only, never on a library version.

NumPy promises that the raw bits of a bit generator stay the same, but not what its distributions
make of them; so only the bits come from NumPy. Each name has a stream of its own: one more
parameter in a model changes no other.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

__all__ = ["CounterStream", "draw_eighths", "draw_kept"]


class CounterStream:
    """An endless stream of integers: a Philox counter with a key from a seed and a name."""

    __slots__ = ("_bits",)

    def __init__(self, seed: int, name: str) -> None:
        digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    def integers(self, count: int) -> npt.NDArray[np.uint64]:
        """Return `count` integers, uniform over 64 bits."""
        return np.asarray(self._bits.random_raw(count), dtype=np.uint64)

    def below(self, bound: int, count: int) -> npt.NDArray[np.int64]:
        """Return `count` integers from 0 to `bound` - 1; `bound` is at most 2**32."""
        high = self.integers(count) >> np.uint64(32)
        return ((high * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)

    def fractions(self, count: int) -> npt.NDArray[np.float64]:
        """Return `count` multiples of 2**-53 from 0 to below 1."""
        return (self.integers(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def order(self, count: int) -> npt.NDArray[np.int64]:
        """Return a random order of 0 .. `count` - 1."""
        return np.argsort(self.integers(count), kind="stable").astype(np.int64)


def draw_eighths(stream: CounterStream, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return values from -1 to 1 that are multiples of 1/8 and never zero.

    Sums and products of such values are exact in float32 over long ranges, so that results do not
    depend on the order of a sum.
    """
    steps = stream.below(16, int(np.prod(shape))) - 8
    steps += steps >= 0
    return (steps / 8).astype(np.float32).reshape(shape)


def draw_kept(
    stream: CounterStream, shape: tuple[int, ...], density: float
) -> npt.NDArray[np.bool_]:
    """Return a mask of `shape` with round(density * size) true entries anywhere in it."""
    keys = stream.integers(int(np.prod(shape)))
    kept = round(density * keys.size)
    if kept == keys.size:
        return np.ones(shape, dtype=np.bool_)
    limit: np.uint64 = np.partition(keys, kept)[kept]
    return np.less(keys, limit).reshape(shape)
