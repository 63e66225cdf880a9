# SPDX-License-Identifier: MIT
"""The BigBird attention mask: a window, global rows and columns, and random blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["bigbird_mask"]

_WINDOW = 1  # blocks on either side of the diagonal
_GLOBAL = 2  # leading block rows and block columns that see, and are seen by, everything


def bigbird_mask(seq: int, block: int, random_blocks: int, seed: int) -> npt.NDArray[np.bool_]:
    """Return the mask bool[seq, seq], true where query i may look at key j.

    `seq` is a multiple of `block`; each block row gets `random_blocks` distinct random block
    columns, of which some may be set already. The block pattern depends on seq / block and the seed
    only, so scaling seq and block together keeps it.
    """
    count = seq // block
    position = np.arange(count)
    blocks: npt.NDArray[np.bool_] = np.abs(position[:, None] - position) <= _WINDOW
    blocks[:_GLOBAL] = True
    blocks[:, :_GLOBAL] = True
    # The legacy generator, because published BigBird masks come from it and its draws are frozen.
    generator = np.random.RandomState(seed)
    for row in range(count):
        blocks[row, generator.choice(count, random_blocks, replace=False)] = True
    return blocks.repeat(block, axis=0).repeat(block, axis=1)
