# SPDX-License-Identifier: MIT
"""Compare simulated outputs with what the framework computed.

An element fits if |got - expected| <= atol * M + rtol * |expected|, where M is the largest finite
magnitude of the reference. Infinities and NaN must stand at the same places. The relative error of
an output is its largest absolute error over M, which is robust where the reference is near zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from fuseflow.ir.einsum import Output, Value
from fuseflow.ir.report import CheckResult

__all__ = ["ATOL", "RTOL", "check_outputs"]

RTOL = 1e-4
ATOL = 1e-5

Array = npt.NDArray[np.float32]


def check_outputs(
    outputs: Iterable[Output],
    tensors: Mapping[str, Value],
    *,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> CheckResult:
    """Return the comparison of all outputs that have a reference.

    `performed` is False if none has one. `failures` names output, position, the value got and the
    value expected of the worst element, and how many elements do not fit.
    """
    pairs = [
        (output, _computed(output, tensors), output.reference)
        for output in outputs
        if output.reference is not None
    ]
    errors = [_errors(got, expected) for _, got, expected in pairs]
    failures = [_failure(*pair, rtol, atol) for pair in pairs]
    lines = tuple(line for line in failures if line)
    return CheckResult(
        performed=bool(pairs),
        passed=bool(pairs) and not lines,
        max_abs_error=max((absolute for absolute, _ in errors), default=0.0),
        max_rel_error=max((relative for _, relative in errors), default=0.0),
        rtol=rtol,
        atol=atol,
        failures=lines,
    )


def _computed(output: Output, tensors: Mapping[str, Value]) -> Array:
    tensor = tensors[output.value].tensor
    assert tensor is not None
    return output.view(tensor.to_dense())


def _magnitude(expected: Array) -> float:
    finite = np.abs(expected[np.isfinite(expected)])
    return float(finite.max()) if finite.size else 0.0


def _distances(got: Array, expected: Array) -> npt.NDArray[np.float64]:
    """Return |got - expected|; where either is not finite, 0 if they are the same, else inf."""
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    comparable = np.isfinite(got) & np.isfinite(expected)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    return np.where(same, 0.0, np.where(comparable, distance, np.inf))


def _errors(got: Array, expected: Array) -> tuple[float, float]:
    distances = _distances(got, expected)
    absolute = float(distances.max()) if distances.size else 0.0
    return absolute, absolute / (_magnitude(expected) or 1.0)


def _failure(output: Output, got: Array, expected: Array, rtol: float, atol: float) -> str:
    """Return a line about the worst element that does not fit; "" if all do."""
    distances = _distances(got, expected)
    finite = np.where(np.isfinite(expected), np.abs(expected), 0.0).astype(np.float64)
    excess = distances - (atol * _magnitude(expected) + rtol * finite)
    wrong = int((excess > 0).sum())
    if not wrong:
        return ""
    place = np.unravel_index(int(excess.argmax()), expected.shape)
    index = ",".join(str(int(i)) for i in place)
    found = f"got {float(got[place]):.9g}, expected {float(expected[place]):.9g}"
    return f"{output.name}[{index}]: {found} ({wrong} of {expected.size} elements differ)"
