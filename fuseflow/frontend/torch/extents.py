# SPDX-License-Identifier: MIT
"""The extents that torch could only name when it exported: how many edges are no loops, and such.

Where the data that decide are bound, such an extent is a number after all: it is learnt from the
tensors that torch computes when the graph is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Extents"]


class Extents:
    """Knows the value of every symbol that it has met."""

    def __init__(self) -> None:
        self._values: dict[Any, int] = {}

    def learn(self, declared: Sequence[Any], actual: Sequence[int]) -> None:
        """Note what the symbols in a declared shape are, given the shape of the real tensor."""
        for extent, number in zip(declared, actual, strict=False):
            symbol = _expression(extent)
            if symbol is not None and symbol.is_symbol:
                self._values[symbol] = number

    def known(self, shape: Sequence[Any]) -> tuple[int, ...] | None:
        """Return a shape in numbers, None if it has a symbol that is not known."""
        extents = [self._known(extent) for extent in shape]
        return None if None in extents else tuple(e for e in extents if e is not None)

    def _known(self, extent: Any) -> int | None:
        symbol = _expression(extent)
        if symbol is None:
            return int(extent)
        value = symbol.subs(self._values)
        return int(value) if value.is_number else None


def _expression(extent: Any) -> Any:
    """Return the formula of a symbolic extent, None for a plain number."""
    node = getattr(extent, "node", None)
    return None if node is None else node.expr
