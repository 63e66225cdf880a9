# SPDX-License-Identifier: MIT
"""The rules of tensors, values and outputs, which are the same for both levels of graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Finding, Location
from fuseflow.ir.einsum import Output, Value
from fuseflow.ir.tensor import Level, LevelFormat, Tensor, tile_counts

__all__ = ["TENSOR_RULES", "check_output", "check_value"]

TENSOR_RULES: Mapping[str, str] = {
    "E014": "a value has a shape of extents >= 0, and a numeric or boolean dtype",
    "E015": "format, shape and fill of a value are those of its tensor",
    "E016": "level arrays are well formed: segments ascend from 0 to the number of coordinates, "
    "coordinates ascend strictly within a fiber and stay below the extent of the level",
    "E017": "values are float32, one (or one tile) per stored position",
    "E018": "an output names a value, permutes its dimensions and keeps its number of elements",
    "E019": "a reference is a float32 array of the shape of its output",
}


def check_value(value: Value) -> Iterator[Finding]:
    """Yield a finding for each rule that a value breaks."""
    where = Location(field=value.name)
    for rule, message in _problems(value):
        yield Finding(rule, message, where)


def check_output(values: Mapping[str, Value], output: Output) -> Iterator[Finding]:
    """Yield a finding for each rule that an output of these values breaks."""
    where = Location(field=output.name)
    value = values.get(output.value)
    if value is None:
        yield Finding("E018", f"output of unknown value {output.value!r}", where)
        return
    if sorted(output.permutation) != list(range(len(value.shape))):
        message = f"permutation {output.permutation} does not fit {len(value.shape)} dimensions"
        yield Finding("E018", message, where)
    if np.prod(output.shape, dtype=np.int64) != np.prod(value.shape, dtype=np.int64):
        message = f"shape {output.shape} has not as many elements as {value.shape}"
        yield Finding("E018", message, where)
    reference = output.reference
    if reference is None:
        return
    if reference.shape != output.shape or reference.dtype != np.float32:
        message = f"reference is {reference.dtype} of shape {reference.shape}"
        yield Finding("E019", message, where, fix=f"store float32 of shape {output.shape}")


def _problems(value: Value) -> Iterator[tuple[str, str]]:
    if any(extent < 0 for extent in value.shape):
        yield "E014", f"shape {value.shape} has a negative extent"
    if not _is_numeric(value.dtype):
        yield "E014", f"unknown dtype {value.dtype!r}"
    if value.format is not None and len(value.format.levels) != len(value.shape):
        yield "E015", f"format {value.format} does not fit {len(value.shape)} dimensions"
    if value.tile and len(value.tile) != len(value.shape):
        yield "E015", f"tile {value.tile} does not fit {len(value.shape)} dimensions"
        return
    if value.format is not None and value.format.tile != value.tile:
        yield "E015", f"format {value.format} does not have the tile {value.tile}"
    if value.tensor is None:
        return
    disagreements = list(_disagreements(value, value.tensor))
    yield from (("E015", message) for message in disagreements)
    if disagreements:
        return  # the arrays mean nothing if the levels do not belong to this shape
    broken = _broken_level(value.tensor)
    if broken:
        yield "E016", broken
    else:
        yield from (("E017", message) for message in _bad_values(value.tensor))


def _is_numeric(name: str) -> bool:
    try:
        return np.dtype(name).kind in "biuf"
    except TypeError:
        return False


def _disagreements(value: Value, tensor: Tensor) -> Iterator[str]:
    order = len(tensor.shape)
    if tensor.shape != value.shape:
        yield f"tensor has shape {tensor.shape}, the value {value.shape}"
    if sorted(tensor.mode_order) != list(range(order)) or len(tensor.levels) != order:
        yield f"{len(tensor.levels)} levels in mode order {tensor.mode_order} for {order} modes"
        return
    if value.format is not None and tensor.format != value.format:
        yield f"tensor is stored as {tensor.format}, the value says {value.format}"
    if not np.array_equal(tensor.fill, value.fill, equal_nan=True):
        yield f"tensor has fill {tensor.fill}, the value {value.fill}"
    if tensor.tile != value.tile:
        yield f"tensor has tiles of {tensor.tile}, the value of {value.tile}"
        return
    counts = tile_counts(tensor.shape, tensor.tile)
    for depth, (level, mode) in enumerate(zip(tensor.levels, tensor.mode_order, strict=True)):
        if level.size != counts[mode]:
            yield f"level {depth} has extent {level.size}, mode {mode} has {counts[mode]}"


def _broken_level(tensor: Tensor) -> str | None:
    """Return what is wrong with the outermost broken level, on which the deeper ones rest."""
    parents = 1
    for depth, level in enumerate(tensor.levels):
        problem = _level_problem(level, parents)
        if problem:
            return f"level {depth} ({level.format}): {problem}"
        parents = level.positions(parents)
    return None


def _level_problem(level: Level, parents: int) -> str | None:
    segments, coordinates = level.segments, level.coordinates
    if level.format is not LevelFormat.COMPRESSED and segments is not None:
        return "has segments"
    if level.format is LevelFormat.DENSE:
        return None if coordinates is None else "has coordinates"
    if coordinates is None or not _is_index_array(coordinates):
        return "needs coordinates, a flat int64 array"
    outside = (coordinates < 0) | (coordinates >= level.size)
    if outside.any():
        position = int(np.argmax(outside))
        found = f"coordinate {coordinates[position]} at position {position}"
        return f"{found} is outside of the extent {level.size}"
    if level.format is LevelFormat.SINGLETON:
        count = len(coordinates)
        return None if count == parents else f"{count} coordinates for {parents} positions above"
    return _segments_problem(segments, coordinates, parents)


def _segments_problem(
    segments: npt.NDArray[np.int64] | None, coordinates: npt.NDArray[np.int64], parents: int
) -> str | None:
    if segments is None or not _is_index_array(segments):
        return "needs segments, a flat int64 array"
    if len(segments) != parents + 1:
        return f"{len(segments)} segments for {parents} fibers, expected one more than fibers"
    if segments[0] != 0 or segments[-1] != len(coordinates):
        return f"segments go from {segments[0]} to {segments[-1]}, not 0 to {len(coordinates)}"
    if (np.diff(segments) < 0).any():
        return f"segments fall after fiber {int(np.argmax(np.diff(segments) < 0))}"
    if len(coordinates) < 2:
        return None
    falls = np.diff(coordinates) <= 0
    starts = segments[(segments > 0) & (segments < len(coordinates))]
    falls[starts - 1] = False  # the first coordinate of a fiber may be smaller than the last one
    if falls.any():
        return f"coordinates do not ascend at position {int(np.argmax(falls)) + 1}"
    return None


def _is_index_array(array: npt.NDArray[np.int64]) -> bool:
    return array.dtype == np.int64 and array.ndim == 1


def _bad_values(tensor: Tensor) -> Iterator[str]:
    values = tensor.values
    if values is None:
        return
    if values.dtype != np.float32:
        yield f"values are {values.dtype}, expected float32"
    expected = (tensor.stored, *tensor.tile)
    if values.shape != expected:
        yield f"values have shape {values.shape}, the levels hold {expected}"
