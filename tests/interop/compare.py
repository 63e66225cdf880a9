"""Comparisons of tensors by what they store."""

import numpy as np

from fuseflow.ir.tensor import Tensor


def assert_same_tensor(got: Tensor, expected: Tensor) -> None:
    """Require equal shapes, formats, level arrays and values, bit for bit."""
    assert (got.shape, got.format, got.fill) == (expected.shape, expected.format, expected.fill)
    for one, other in zip(got.levels, expected.levels, strict=True):
        assert one.size == other.size
        for array, wanted in (
            (one.segments, other.segments),
            (one.coordinates, other.coordinates),
        ):
            assert (array is None) == (wanted is None)
            if array is not None:
                np.testing.assert_array_equal(array, wanted)
    assert (got.values is None) == (expected.values is None)
    if got.values is not None:
        np.testing.assert_array_equal(got.values, expected.values)
