# SPDX-License-Identifier: MIT
"""What the stamps and removals of a channel tell: how much it held, how long its lists were."""

from __future__ import annotations

import numpy as np

from fuseflow.sim.params import Ints
from fuseflow.sim.tokens import CTL_MISSING, TokenStream

__all__ = ["longest_list", "occupancy", "peak_occupancy"]


def occupancy(stamps: Ints, removals: Ints) -> tuple[Ints, Ints]:
    """Return the cycles in which the number of tokens in a channel changes, and that number.

    A token is there from its stamp until the cycle of its removal, that one included.
    """
    events = np.concatenate([stamps, removals + 1])
    changes = np.repeat(np.array([1, -1], np.int64), [len(stamps), len(removals)])
    cycles, places = np.unique(events, return_inverse=True)
    steps = np.zeros(len(cycles), np.int64)
    np.add.at(steps, places, changes)
    return cycles, np.cumsum(steps)


def peak_occupancy(stamps: Ints, removals: Ints) -> int:
    """Return the most tokens that a channel held at a time."""
    return int(np.max(occupancy(stamps, removals)[1], initial=0))


def longest_list(stream: TokenStream) -> int:
    """Return the most elements, missing ones included, between two control tokens."""
    borders = np.flatnonzero(stream.ctl > CTL_MISSING)
    return int(np.max(np.diff(borders, prepend=-1) - 1, initial=0))
