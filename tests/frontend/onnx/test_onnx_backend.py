"""The node tests that onnx ships for its backends: computed right, or refused with a reason."""

from __future__ import annotations

import pytest

from tests.frontend.onnx.backend import REQUIRED_SHARE, run_all


@pytest.mark.slow
def test_node_tests_of_onnx_are_right_or_refused() -> None:
    results = run_all()
    assert results.wrong == []
    assert results.share >= REQUIRED_SHARE, results.refused
    assert len(results.right) >= 390
