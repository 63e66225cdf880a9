"""The node tests that onnx ships for its backends, run and counted: ``make onnx-backend``.

Counted are the tests of one supported operator on tensors that have elements, and among floats on
float32 alone: einsums compute with float32, and streams carry no tensors without elements. Other
tests are run too, and must be refused or right.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from fuseflow.errors import FuseflowError
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.onnx.rules import RULES
from fuseflow.frontend.onnx.versions import OPSETS
from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.evaluate import evaluate_outputs

__all__ = ["REQUIRED_SHARE", "Results", "run_all"]

REQUIRED_SHARE = 0.95
LATEST = OPSETS.stop - 1


@dataclass
class Results:
    """Names of tests by outcome; `refused` has the reason of each, `not_counted` why not."""

    right: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    not_counted: dict[str, str] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Return the share of the counted tests that are right."""
        return len(self.right) / (len(self.right) + len(self.wrong) + len(self.refused))


def run_all() -> Results:
    """Run every node test of a supported operator."""
    results = Results()
    with tempfile.TemporaryDirectory() as folder:
        for case in _node_tests():
            _run(case, Path(folder), results)
    return results


def _run(case: Any, folder: Path, results: Results) -> None:
    reason = _reason_not_to_count(case)
    try:
        is_right = _is_right(case, folder)
    except FuseflowError as error:
        if reason:
            results.not_counted[case.name] = reason
        else:
            finding = error.findings[0]
            results.refused[case.name] = f"{finding.rule}: {finding.message}"
        return
    if not is_right:
        results.wrong.append(case.name)
    elif reason:
        results.not_counted[case.name] = reason
    else:
        results.right.append(case.name)


def _node_tests() -> Iterator[Any]:
    """Yield the tests of one supported node whose operands are all tensors."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        # Collecting computes the expected values, divisions by zero included.
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        nodes = case.model.graph.node
        tensors = all(isinstance(array, np.ndarray | np.generic) for array in _arrays(case))
        if tensors and len(nodes) == 1 and nodes[0].op_type in RULES:
            yield case


def _arrays(case: Any) -> list[Any]:
    inputs, outputs = case.data_sets[0]
    return [*inputs, *outputs]


def _reason_not_to_count(case: Any) -> str:
    arrays = [np.asarray(array) for array in _arrays(case)]
    if any(not array.size for array in arrays):
        return "tensors without elements"
    # Integers and booleans are positions, shapes and masks, and fold where they are computed with.
    floats = [array.dtype for array in arrays if array.dtype.kind not in "iub"]
    return "" if all(dtype == np.float32 for dtype in floats) else "floats of other widths"


def _is_right(case: Any, folder: Path) -> bool:
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


def main() -> int:
    """Print the count and all failures with their reasons; 1 if too many tests fail."""
    results = run_all()
    total = len(results.right) + len(results.wrong) + len(results.refused)
    lines = [f"{len(results.right)} of {total} node tests are right ({results.share:.1%})"]
    lines += [f"  wrong: {name}" for name in results.wrong]
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for name, reason in results.refused.items():
        by_reason[reason].append(name)
    lines += [f"  {reason}: {', '.join(names)}" for reason, names in sorted(by_reason.items())]
    rest = sorted(Counter(results.not_counted.values()).items())
    lines += [f"not counted: {count} with {reason}" for reason, count in rest]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(results.wrong) or results.share < REQUIRED_SHARE)


if __name__ == "__main__":
    sys.exit(main())
