"""Reference outputs come from onnxruntime where there is one, else from onnx itself."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fuseflow.errors import UsageError
from fuseflow.frontend.onnx.reader import import_onnx
from tests.frontend.onnx.build import SmallModel, assert_equals_reference, draw


def layer() -> SmallModel:
    """A layer whose weight is too large to stay in the checked model."""
    model = SmallModel(inputs={"x": draw(3, 64)}, constants={"w": draw(64, 32), "b": draw(32)})
    return model.node("Gemm", ["x", "w", "b"], "h").node("Relu", ["h"])


def test_reference_says_where_it_comes_from(tmp_path: Path) -> None:
    assert "reference outputs come from onnxruntime" in layer().load(tmp_path).notes


def test_without_onnxruntime_the_evaluator_of_onnx_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_runtime = layer().load(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    graph = layer().load(tmp_path)
    assert "reference outputs come from the reference evaluator of onnx" in graph.notes
    assert_equals_reference(graph)
    first, second = graph.outputs[0].reference, with_runtime.outputs[0].reference
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first, second, 1e-5, 1e-5)


def test_reference_is_left_out_on_request(tmp_path: Path) -> None:
    graph = layer().load(tmp_path, reference=False)
    assert graph.outputs[0].reference is None


def test_same_file_gives_the_same_reference_bits(tmp_path: Path) -> None:
    first, second = (layer().load(tmp_path).outputs[0].reference for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.tobytes() == second.tobytes()


def test_without_onnx_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = layer().save(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"fuseflow\[onnx\]"):
        import_onnx(path)
