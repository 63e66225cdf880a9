"""Blocks are found exactly: the largest tiles on the grid that are all stored or all empty."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.frontend.storage.blocks import block_text, consists_of, largest_block


def tiled(tile: tuple[int, ...], grid: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A random pattern of whole tiles."""
    pattern = np.random.default_rng(seed).random(grid) < 0.4
    for dim, extent in enumerate(tile):
        pattern = pattern.repeat(extent, axis=dim)
    return pattern


@pytest.mark.parametrize("tile", [(8, 8), (4, 2), (1, 16), (2, 4, 8)])
def test_the_tiles_a_pattern_was_made_of_are_found(tile: tuple[int, ...]) -> None:
    pattern = tiled(tile, (6, 5, 3)[: len(tile)])
    assert largest_block(pattern) == tile
    assert block_text(pattern) == "blocks " + "x".join(map(str, tile))


def test_one_missing_entry_breaks_its_block() -> None:
    pattern = tiled((8, 8), (4, 4))
    row, column = np.argwhere(pattern)[0]
    pattern[row, column] = False
    assert largest_block(pattern) == (1, 1)
    assert block_text(pattern) == ""


def test_full_and_empty_patterns_have_no_structure_to_tell() -> None:
    assert block_text(np.ones((8, 8), dtype=bool)) == ""
    assert block_text(np.zeros((8, 8), dtype=bool)) == ""


def test_extents_are_powers_of_two_that_divide_the_shape() -> None:
    pattern = np.repeat(np.array([True, False]), 6)
    assert largest_block(pattern) == (2,)
    assert consists_of(pattern, (6,))
    assert not consists_of(pattern, (4,))
    assert not consists_of(pattern, (6, 1))


@given(st.lists(st.booleans(), min_size=16, max_size=16))
def test_no_larger_tile_loses_nothing(bits: list[bool]) -> None:
    pattern = np.array(bits).reshape(4, 4)
    best = largest_block(pattern)
    lossless = {
        (rows, columns)
        for rows, columns in itertools.product((1, 2, 4), repeat=2)
        if all(
            len(set(tile.reshape(-1).tolist())) == 1
            for band in np.split(pattern, 4 // rows)
            for tile in np.split(band, 4 // columns, axis=1)
        )
    }
    assert best in lossless
    assert all(rows <= best[0] and columns <= best[1] for rows, columns in lossless)
