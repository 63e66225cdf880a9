"""The mask has the blocks that the published one has."""

import numpy as np
import pytest

from fuseflow.models.bigbird import bigbird_mask


@pytest.mark.parametrize(("blocks", "expected"), [(64, 549), (32, 268), (16, 118)])
def test_mask_of_seed_0_has_the_published_number_of_blocks(blocks: int, expected: int) -> None:
    assert bigbird_mask(blocks, 1, random_blocks=2, seed=0).sum() == expected


def test_scaling_sequence_and_block_together_keeps_the_block_pattern() -> None:
    small, large = bigbird_mask(32, 1, 2, seed=3), bigbird_mask(128, 4, 2, seed=3)
    assert np.array_equal(large, np.kron(small, np.ones((4, 4), dtype=bool)))


def test_without_random_blocks_only_window_and_global_blocks_are_set() -> None:
    mask = bigbird_mask(6, 1, random_blocks=0, seed=0)
    expected = [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 0, 1, 1, 1],
        [1, 1, 0, 0, 1, 1],
    ]
    assert mask.astype(int).tolist() == expected


def test_random_blocks_depend_on_the_seed() -> None:
    assert not np.array_equal(bigbird_mask(64, 1, 2, seed=0), bigbird_mask(64, 1, 2, seed=1))
