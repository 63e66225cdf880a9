"""An operator that is not supported comes with what to do about it."""

import pytest
import torch
from torch import nn

from fuseflow.errors import ModelError
from fuseflow.frontend.graph.alternatives import alternative
from fuseflow.frontend.torch.module import import_torch
from tests.frontend.imports import draw

SUPPORTED = ("relu", "softmax", "prod", "Softmax", "_prelu_kernel")


@pytest.mark.parametrize(
    ("operator", "advice"),
    [
        ("aten.convolution", "unfolded patches"),
        ("Conv", "unfolded patches"),
        ("ConvTranspose", "unfolded patches"),
        ("aten.max_pool2d", "if windows do not overlap"),
        ("AveragePool", "if windows do not overlap"),
        ("aten.cumsum", "torch.ones(n, n).tril() @ x"),
        ("aten.topk", "outside of the model"),
        ("LSTM", "write the steps out"),
        ("cond (not an ATen operator)", "torch.where"),
        ("aten.rand (random numbers)", "draw random numbers outside"),
        ("com.example::QuantizeLinear", "float32"),
        ("Resize", "whole factors"),
    ],
)
def test_operators_that_people_use_have_advice(operator: str, advice: str) -> None:
    assert advice in alternative(operator, SUPPORTED)


@pytest.mark.parametrize(
    ("operator", "near"),
    [("aten.cumprod", "prod"), ("aten.softmax2", "softmax"), ("ReLUx", "relu")],
)
def test_others_get_the_nearest_name(operator: str, near: str) -> None:
    assert alternative(operator, SUPPORTED).endswith(f"nearest name is {near}")


def test_where_no_name_is_near_a_part_can_be_imported() -> None:
    assert (
        alternative("aten.hypot", SUPPORTED) == "import what comes before it with --allow-partial"
    )


def test_the_advice_is_in_the_error() -> None:
    with pytest.raises(ModelError) as caught:
        import_torch(nn.Conv1d(1, 2, 3), (draw(1, 1, 8),))
    assert "unfolded patches" in str(caught.value.findings[0].fix)


def test_every_pattern_is_one_that_an_operator_of_a_framework_has() -> None:
    onnx = pytest.importorskip("onnx")
    names = [schema.name for schema in onnx.defs.get_all_schemas()]
    names += [name.removeprefix("aten::") for name in torch._C._dispatch_get_all_op_names()]
    unused = set(_advice()) - {alternative(name, ()) for name in names}
    assert unused == set()


def _advice() -> list[str]:
    from fuseflow.frontend.graph.alternatives import _ADVICE

    return [advice for _, advice in _ADVICE]
