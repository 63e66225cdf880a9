# SPDX-License-Identifier: MIT
"""Cuts the data of a tensor into tiles.

A tile is stored if any of its elements was. Elements of a stored tile that were not stored, and
those beyond the extent of a dimension, hold the fill.
"""

from __future__ import annotations

import math

import numpy as np

from fuseflow.ir.tensor import Format, Tensor, tensor_from_coordinates, tile_counts

__all__ = ["tile_tensor"]


def tile_tensor(tensor: Tensor, tile: tuple[int, ...]) -> Tensor:
    """Store a tensor of numbers in tiles, with the same level formats and mode order.

    Args:
        tensor: scalar values or a pattern.
        tile: extent of a tile along each logical dimension.

    Returns:
        The tiled tensor. A pattern stays one if its tiles are all set and none is cut off, so that
        storing a tile says all that there is to say; otherwise its tiles hold 1 and 0.

    Raises:
        ValueError: if the tensor has tiles already, or `tile` has another rank.
    """
    if tensor.tile or len(tile) != len(tensor.shape):
        raise ValueError(f"tile {tile} for a tensor of shape {tensor.shape} and tile {tensor.tile}")
    entries = tensor.coordinates()
    fmt = Format(tensor.format.levels, tensor.mode_order, tile)
    counts = tile_counts(tensor.shape, tile)
    outer = np.ravel_multi_index(tuple((entries // tile).T), counts) if len(tile) else entries[:, 0]
    kept, place = np.unique(outer, return_inverse=True)
    coordinates = np.stack(np.unravel_index(kept, counts), axis=1)
    if tensor.values is None and len(entries) == len(kept) * math.prod(tile):
        return tensor_from_coordinates(tensor.shape, coordinates, None, fmt, fill=tensor.fill)
    values = np.full((len(kept), *tile), tensor.fill, np.float32)
    values[(place, *(entries % tile).T)] = 1.0 if tensor.values is None else tensor.values
    return tensor_from_coordinates(tensor.shape, coordinates, values, fmt, fill=tensor.fill)
