"""Comparisons of computed values: numbers that decide as torch's conditions do."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from fuseflow.errors import ModelError
from fuseflow.frontend.torch.module import import_torch
from fuseflow.ir.evaluate import evaluate_outputs
from tests.frontend.imports import Function, draw, imported

COMPARISONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "eq": operator.eq,
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
    "ne": operator.ne,
}
# Neighbours in float32, the smallest number there is, and the largest distance.
EDGES = [0.0, -0.0, 1e-45, -1e-45, 1.0, 1.0000001, -1.0, 3e38, -3e38]


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_decides_on_every_pair_of_edge_cases(name: str) -> None:
    x = torch.tensor(EDGES)
    compare = COMPARISONS[name]
    graph = import_torch(Function(lambda a, b: compare(a[:, None], b[None]).float()), (x, x))
    (result,) = evaluate_outputs(graph).values()
    np.testing.assert_array_equal(result, compare(x[:, None], x[None]).numpy())


MODELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "number": lambda x, y: (x > 0.25) * x,
    "where": lambda x, y: torch.where(x > y, x, y * 2),
    "masked_fill": lambda x, y: x.masked_fill(x <= y, -1.5),
    "both": lambda x, y: torch.where((x > 0) & ~(y > 0), x, y),
    "either": lambda x, y: ((x > 0) | (y > 0)).to(torch.float32) + x,
    "any": lambda x, y: x * (x > y).any(dim=1, keepdim=True),
    "all": lambda x, y: x + (x > -2).all(dim=0),
    "moved": lambda x, y: x * (x > y).t().unsqueeze(0)[0].t(),
    "sign": lambda x, y: torch.sign(x) * y,
    "in a softmax": lambda x, y: x.masked_fill(x < x.amax(1, True) - 1, -torch.inf).softmax(1),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_condition_on_computed_values_agrees_with_torch(name: str) -> None:
    imported(MODELS[name], draw(4, 5), draw(4, 5, seed=1))


def test_counting_what_holds_is_refused_as_integers() -> None:
    with pytest.raises(ModelError, match="integers or booleans computed") as caught:
        imported(lambda x: (x > 0).sum(1) * 2, draw(4, 5))
    assert caught.value.rule == "I001 unsupported-operator"


def test_a_float_as_a_condition_is_refused() -> None:
    with pytest.raises(ModelError, match="integers or booleans computed"):
        imported(lambda x: torch.where((x * 2).bool(), x, 0.0), draw(4, 5))
