"""Functions of scalars: each gives what eager torch gives, in one einsum."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fuseflow.errors import ModelError
from tests.frontend.imports import draw, functions, imported, only

Map = Callable[..., Tensor]

POSITIVE = {"log", "sqrt", "rsqrt"}
UNARY: dict[str, Map] = {
    "abs": torch.abs,
    "cos": torch.cos,
    "erf": torch.erf,
    "exp": torch.exp,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "log": torch.log,
    "neg": torch.neg,
    "reciprocal": torch.reciprocal,
    "relu": F.relu,
    "rsqrt": torch.rsqrt,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "sin": torch.sin,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "tanh": torch.tanh,
}


def test_unary_function_is_one_einsum() -> None:
    x = draw(3, 5).abs() + 0.1
    graph = imported(
        lambda x, y: tuple(f(x if n in POSITIVE else y) for n, f in UNARY.items()), x, -x
    )
    assert functions(graph) == list(UNARY)


NUMBERS: dict[str, tuple[Map, str, tuple[float, ...]]] = {
    "x + 2": (lambda x: x + 2, "add_scalar", (2.0,)),
    "2 + x": (lambda x: 2 + x, "add_scalar", (2.0,)),
    "x - 2": (lambda x: x - 2, "add_scalar", (-2.0,)),
    "2 - x": (lambda x: 2 - x, "rsub_scalar", (2.0,)),
    "x * 3": (lambda x: x * 3, "mul_scalar", (3.0,)),
    "x / 3": (lambda x: x / 3, "div_scalar", (3.0,)),
    "3 / x": (lambda x: 3 / x, "mul_scalar", (3.0,)),
    "1 / x": (lambda x: 1 / x, "reciprocal", ()),
    "x ** 2": (lambda x: x**2, "square", ()),
    "x ** 3": (lambda x: x**3, "pow_scalar", (3.0,)),
    "x ** -1": (lambda x: x**-1, "reciprocal", ()),
    "clamp from below": (lambda x: x.clamp(min=0.5), "max_scalar", (0.5,)),
    "clamp from above": (lambda x: x.clamp(max=0.5), "min_scalar", (0.5,)),
    "maximum with a tensor": (lambda x: torch.maximum(x, torch.tensor(0.5)), "max_scalar", (0.5,)),
    "relu6": (lambda x: F.relu6(x * 9), "min_scalar", (6.0,)),
    "add with alpha": (lambda x: torch.add(x, 2.0, alpha=3), "add_scalar", (6.0,)),
    "a number as a tensor": (lambda x: x * torch.tensor([[4.0]]), "mul_scalar", (4.0,)),
}


@pytest.mark.parametrize("text", NUMBERS)
def test_number_becomes_a_parameter(text: str) -> None:
    function, fn, parameters = NUMBERS[text]
    graph = imported(function, draw(3, 5))
    assert (graph.einsums[-1].fn, graph.einsums[-1].parameters) == (fn, parameters)
    assert sum(value.tensor is not None for value in graph.values.values()) == 1


@pytest.mark.parametrize("function", [lambda x: x + 0, lambda x: x * 1, lambda x: x / 1])
def test_neutral_number_leaves_no_einsum(function: Map) -> None:
    assert functions(imported(lambda x: torch.relu(function(x)), draw(4))) == ["relu"]


BINARY: dict[str, Map] = {
    "add": torch.add,
    "div": torch.div,
    "max": torch.maximum,
    "min": torch.minimum,
    "mul": torch.mul,
    "sub": torch.sub,
}


@pytest.mark.parametrize("shape", [(3, 5), (5,), (3, 1), (1, 5), (2, 3, 5), (1, 1, 5)])
def test_binary_function_broadcasts(shape: tuple[int, ...]) -> None:
    graph = imported(
        lambda x, y: tuple(fn(x, y) for fn in BINARY.values()), draw(3, 5), draw(*shape, seed=1)
    )
    assert functions(graph) == list(BINARY)


def test_broadcast_operand_lacks_the_index() -> None:
    op = only(imported(torch.add, draw(3, 5), draw(3, 1, seed=1)))
    assert [len(access.indices) for access in op.operands] == [2, 1]
    assert op.operands[1].indices == op.operands[0].indices[:1]


def test_outer_sum_has_an_index_of_each_operand() -> None:
    op = only(imported(lambda x, y: x[:, None] + y, draw(3), draw(4, seed=1)))
    assert str(op).endswith("= add(args_0[i], args_1[j])")


def test_subtraction_with_alpha_scales_the_other_operand() -> None:
    graph = imported(lambda x, y: torch.sub(x, y, alpha=2), draw(3), draw(3, seed=1))
    assert functions(graph) == ["mul_scalar", "sub"]


def test_addcmul_multiplies_then_adds() -> None:
    graph = imported(
        lambda x, y, z: torch.addcmul(x, y, z, value=0.5), *(draw(3, seed=n) for n in range(3))
    )
    assert functions(graph) == ["mul", "mul_scalar", "add"]


def test_operators_without_effect_disappear() -> None:
    def forward(x: Tensor) -> Tensor:
        y = x.clone().detach().contiguous().to(torch.float32)
        return torch.relu(F.dropout(y, 0.5, training=False))

    assert functions(imported(forward, draw(4))) == ["relu"]


SPELLED: dict[str, Map] = {
    "celu": lambda x: F.celu(x, 0.7),
    "elu": lambda x: F.elu(x, 0.5),
    "expm1": torch.expm1,
    "glu": F.glu,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "log1p": lambda x: torch.log1p(x.abs()),
    "log2": lambda x: torch.log2(x.abs()),
    "log_sigmoid": F.logsigmoid,
    "logsumexp": lambda x: torch.logsumexp(x, 1),
    "logsumexp, kept": lambda x: torch.logsumexp(x, (0, 1), keepdim=True),
    "mish": F.mish,
    "norm": lambda x: x.norm(dim=-1),
    "norm of order 1": lambda x: torch.linalg.vector_norm(x, 1, dim=0),
    "norm of order inf": lambda x: torch.linalg.vector_norm(x, torch.inf, dim=0),
    "normalize": lambda x: F.normalize(x, dim=1),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])),
    "selu": F.selu,
    "softplus": lambda x: F.softplus(x, beta=2),
    "std": lambda x: x.std(1, keepdim=True),
    "var": lambda x: x.var((0, 1), correction=0),
}


def test_spelled_functions_agree_with_torch_also_for_large_arguments() -> None:
    graph = imported(lambda x: tuple(function(x) for function in SPELLED.values()), draw(4, 6) * 30)
    assert len(graph.outputs) == len(SPELLED)


def test_parts_of_a_spelled_function_share_a_composite() -> None:
    graph = imported(lambda x: F.softplus(F.softplus(x)), draw(4, 6))
    assert list(dict.fromkeys(op.composite for op in graph.einsums)) == ["softplus_1", "softplus_2"]


def test_norm_of_another_order_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        imported(lambda x: torch.linalg.vector_norm(x, 3, dim=0), draw(4, 6))
    assert caught.value.rule == "I002 unsupported-form"


def test_powers_of_tensors_equal_torch() -> None:
    def forward(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        return x**y, 2**y, y ** torch.tensor([1, 2, 3, 0, 2])

    graph = imported(forward, draw(3, 5).abs(), draw(5, seed=1))
    assert functions(graph) == ["pow", "pow", "pow"]
