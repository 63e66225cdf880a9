# SPDX-License-Identifier: MIT
"""Stores constants that are given by their entries; their dense form is never made.

Not here: which format they get (see `formats`).
"""

from __future__ import annotations

from fuseflow.frontend.einsums.views import StoredOperand
from fuseflow.frontend.graph.entries import Entries
from fuseflow.ir.tensor import Format, LevelFormat, Tensor, tensor_from_coordinates

__all__ = ["default_format", "store_entries"]


def default_format(operand: StoredOperand) -> Format:
    """Return the format of entries about which nobody said anything: no empty row is stored."""
    order = len(operand.extents)
    return Format((LevelFormat.COMPRESSED,) * order, tuple(range(order)))


def store_entries(
    operand: StoredOperand, entries: Entries, fmt: Format, *, pattern: bool
) -> Tensor:
    """Return the tensor of an operand given by entries, its dimensions in their stored order.

    `pattern` drops the values: every entry is 1.
    """
    order = operand.store_as(range(len(operand.extents)))
    split = entries.split([[operand.extents[dim] for dim in dims] for dims in operand.groups])
    values = None if pattern else split.numbers
    return tensor_from_coordinates(operand.shape, split.coordinates[:, list(order)], values, fmt)
