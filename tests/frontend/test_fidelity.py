"""A graph that computes something else than the framework did is not imported."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fuseflow.errors import ModelError, UsageError
from fuseflow.frontend import fidelity
from fuseflow.frontend.fidelity import check_fidelity
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch import rules as torch_rules
from fuseflow.frontend.torch.module import import_torch
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.testing import make_graph
from tests.frontend.imports import Function, draw


def graph(*changes: tuple[int, float]) -> EinsumGraph:
    """Z = A B with a reference in which some elements are changed."""
    made = make_graph(
        ["Z[i,j] = add[k] mul(A[i,k], B[k,j])"],
        tensors={"A": np.arange(6.0).reshape(2, 3), "B": np.arange(12.0).reshape(3, 4)},
        references=True,
    )
    (output,) = made.outputs
    assert output.reference is not None
    reference = output.reference.copy()
    for place, value in changes:
        reference.reshape(-1)[place] = value
    made.outputs[0] = replace(output, reference=reference)
    return made


@pytest.mark.parametrize("wanted", [None, True])
def test_equal_results_pass(wanted: bool | None) -> None:
    made = graph()
    check_fidelity(made, wanted)
    assert made.notes == []


def test_a_difference_names_output_place_and_values() -> None:
    with pytest.raises(ModelError) as caught:
        check_fidelity(graph((0, 21.0), (7, 100.0)), None)
    assert caught.value.rule == "I022 not-faithful"
    (finding,) = caught.value.findings
    assert finding.where.field == "Z"
    assert "2 of 8 elements differ" in finding.message
    assert "most at [1,3]: 92, expected 100" in finding.message


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_must_agree(value: float) -> None:
    with pytest.raises(ModelError, match="1 of 8 elements"):
        check_fidelity(graph((3, value)), True)


def test_rows_that_the_user_takes_as_zero_are_not_compared() -> None:
    check_fidelity(graph((3, math.nan)), True, zero_rows=True)
    with pytest.raises(ModelError):
        check_fidelity(graph((3, 1e6)), True, zero_rows=True)


def test_rounding_is_no_difference() -> None:
    check_fidelity(graph((7, 92 * (1 + 5e-5))), True)


def test_no_comparison_where_none_is_wanted() -> None:
    check_fidelity(graph((0, 1e6)), False)


def test_much_work_is_done_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "_LIMIT_PRODUCTS", 23)
    made = graph((0, 1e6))
    check_fidelity(made, None)
    assert made.notes == ["too large to be compared with the framework unasked: see --check"]
    with pytest.raises(ModelError):
        check_fidelity(graph((0, 1e6)), True)


def test_a_comparison_with_nothing_is_a_wrong_command() -> None:
    options = ImportOptions(check=True, reference=False)
    with pytest.raises(UsageError, match="U132"):
        import_torch(torch.nn.ReLU(), (draw(3),), options=options)


def test_a_wrong_rule_is_noticed_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(torch_rules.RULES, "relu", torch_rules.RULES["sigmoid"])
    with pytest.raises(ModelError, match="I022"):
        import_torch(Function(torch.relu), (draw(3, 4),))
    options = ImportOptions(check=False)
    assert import_torch(Function(torch.relu), (draw(3, 4),), options=options).outputs
