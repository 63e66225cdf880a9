"""The node tests that onnx ships for its backends: computed right, or refused with a reason."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from fuseflow.errors import FuseflowError
from fuseflow.frontend.onnx_load import OPSETS
from fuseflow.frontend.onnx_reader import import_onnx
from fuseflow.frontend.onnx_rules import RULES
from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.evaluate import evaluate_outputs

LATEST = OPSETS.stop - 1


def node_tests() -> Iterator[Any]:
    """Yield the tests of one supported node whose operands are all tensors."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        # Collecting computes the expected values, divisions by zero included.
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        nodes = case.model.graph.node
        inputs, outputs = case.data_sets[0]
        tensors = all(isinstance(array, np.ndarray | np.generic) for array in (*inputs, *outputs))
        if tensors and len(nodes) == 1 and nodes[0].op_type in RULES:
            yield case


def is_right(case: Any, folder: Path) -> bool:
    """Import a test and compare; raises FuseflowError if it is refused."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    # The operators have not changed since, only the number that stands in the tests.
    model.opset_import[0].version = min(model.opset_import[0].version, LATEST)
    onnx.save(model, folder / "node.onnx")
    inputs, outputs = case.data_sets[0]
    bindings = {}
    for value, array in zip(model.graph.input, inputs, strict=True):
        np.save(folder / f"{len(bindings)}.npy", array)
        bindings[value.name] = str(folder / f"{len(bindings)}.npy")
    options = ImportOptions(bindings=bindings, reference=False)
    computed = evaluate_outputs(import_onnx(folder / "node.onnx", options))
    return all(
        ours.shape == theirs.shape and np.allclose(ours, theirs, 1e-4, 1e-5, equal_nan=True)
        for ours, theirs in zip(computed.values(), map(np.asarray, outputs), strict=True)
    )


@pytest.mark.slow
def test_node_tests_of_onnx_are_right_or_refused(tmp_path: Path) -> None:
    right, wrong, refused = [], [], []
    for case in node_tests():
        try:
            (right if is_right(case, tmp_path) else wrong).append(case.name)
        except FuseflowError as error:
            refused.append((case.name, error.rule))
    assert wrong == []
    assert len(right) >= 300, refused
