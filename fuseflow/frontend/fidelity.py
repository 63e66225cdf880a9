# SPDX-License-Identifier: MIT
"""Compares what the einsums of a graph compute with what the framework computed.

The evaluation is that of `fuseflow.ir.evaluate`: dense, in the order of the graph, and apart from
everything that fuses or simulates. An element fits if it is as near as `RTOL` and `ATOL` say, the
latter relative to the largest finite magnitude of its output.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Finding, Location, ModelError, UsageError
from fuseflow.ir.einsum import EinsumGraph, Output
from fuseflow.ir.evaluate import evaluate_outputs
from fuseflow.ir.verify_einsum import verify_einsum_graph

__all__ = ["check_fidelity"]

RTOL = 1e-4
ATOL = 1e-5

# What is compared without being asked for: a few seconds of work, within 2 GiB.
_LIMIT_PRODUCTS = 2**34
_LIMIT_ELEMENTS = 2**28

Array = npt.NDArray[np.float32]


def check_fidelity(graph: EinsumGraph, wanted: bool | None, *, zero_rows: bool = False) -> None:
    """Refuse a graph that computes something else than the framework.

    Args:
        graph: with references; outputs without one are not compared.
        wanted: True to compare, False not to, None to compare unless that is much work, which is
            noted in the graph.
        zero_rows: the user takes softmax rows without entries as zero, where the framework has NaN:
            such elements are not compared.

    Raises:
        UsageError: U132 if a comparison is wanted and there is no reference.
        ModelError: I022 for every output that differs, with its largest difference.
    """
    outputs = [output for output in graph.outputs if output.reference is not None]
    if wanted is False or (not outputs and wanted is None):
        return
    if not outputs:
        fix = "store what the framework computes, or do not ask for the comparison"
        raise UsageError("U132 no-reference", "there is nothing to compare with", fix=fix)
    verify_einsum_graph(graph)
    if wanted is None and _is_much_work(graph):
        graph.notes.append("too large to be compared with the framework unasked: see --check")
        return
    computed = evaluate_outputs(graph)
    findings = [
        finding
        for output in outputs
        if (finding := _compare(output, computed[output.name], zero_rows)) is not None
    ]
    if findings:
        raise ModelError.from_findings(findings)


def _is_much_work(graph: EinsumGraph) -> bool:
    """Tell whether a dense evaluation takes many products, or much memory at once."""
    sizes = graph.index_sizes()
    points = [math.prod(sizes[index] for index in op.indices) for op in graph.einsums]
    is_product = [op.fn == "mul" and op.reduce == "add" for op in graph.einsums]
    elementwise = [n for n, product in zip(points, is_product, strict=True) if not product]
    stored = sum(math.prod(value.shape) for value in graph.values.values())
    return sum(points) > _LIMIT_PRODUCTS or max([stored, *elementwise]) > _LIMIT_ELEMENTS


def _compare(output: Output, got: Array, zero_rows: bool) -> Finding | None:
    expected = output.reference
    assert expected is not None
    if got.shape != expected.shape:
        message = f"has shape {list(got.shape)}, the framework computed {list(expected.shape)}"
        return _finding(output, message)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    if zero_rows:
        same |= np.isnan(expected)
    finite = np.isfinite(expected)
    scale = float(np.abs(expected[finite]).max(initial=0.0))
    with np.errstate(all="ignore"):
        distance = np.abs(got.astype(np.float64) - expected.astype(np.float64))
        allowed = ATOL * scale + RTOL * np.abs(np.where(finite, expected, 0.0))
    distance = np.where(same, 0.0, np.where(np.isfinite(distance), distance, np.inf))
    wrong = distance > allowed
    if not wrong.any():
        return None
    place = np.unravel_index(int((distance - allowed).argmax()), distance.shape)
    index = ",".join(str(int(i)) for i in place)
    return _finding(
        output,
        f"{int(wrong.sum())} of {wrong.size} elements differ from what the framework computed, "
        f"most at [{index}]: {float(got[place]):.9g}, expected {float(expected[place]):.9g}",
    )


def _finding(output: Output, message: str) -> Finding:
    fix = "please report the model; --no-check imports it all the same"
    return Finding("I022 not-faithful", message, Location(field=output.name), fix)
