"""Every network computes its formula, and both exporters see its plain operators."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch

from fuseflow.models import ModelCase, zoo

Array = npt.NDArray[np.float64]
Weights = dict[str, Array]

# torch warns about its own use of its own classes.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")

NAMES = ("gcn", "graphsage", "sae", "gpt")
SETTINGS: dict[str, dict[str, str]] = {
    "gcn": {"graph": "powerlaw", "nodes": "40", "edges": "160", "features": "6"},
    "graphsage": {"graph": "powerlaw", "nodes": "40", "edges": "160", "features": "6"},
    "sae": {"input": "24", "hidden": "10"},
    "gpt": {"seq": "32", "dim": "16", "heads": "2", "ffn": "24", "block": "4", "layers": "2"},
}


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest) -> ModelCase:
    return zoo.build(request.param, SETTINGS[request.param])


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def _linear(weights: Weights, name: str, x: Array) -> Array:
    return np.asarray(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])


def _norm(x: Array) -> Array:
    centered = x - x.mean(axis=-1, keepdims=True)
    return np.asarray(centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5))


def _gcn(weights: Weights, x: Array, adj: Array) -> Array:
    hidden = _relu(_linear(weights, "layer1.linear", adj @ x))
    scores = _linear(weights, "layer2.linear", adj @ hidden)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _graphsage(weights: Weights, x: Array, adj: Array) -> Array:
    for layer in ("layer1", "layer2"):
        own = _linear(weights, f"{layer}.self_linear", x)
        x = _relu(own + _linear(weights, f"{layer}.neighbor_linear", adj @ x))
    return x


def _autoencoder(weights: Weights, x: Array) -> Array:
    return _linear(weights, "decoder.linear", _relu(_linear(weights, "encoder.linear", x)))


def _attend(query: Array, key: Array, value: Array, mask: Array) -> Array:
    """One head, looking at each query's allowed keys and nothing else."""
    rows = []
    for position, allowed in enumerate(mask.astype(bool)):
        powers = np.exp(key[allowed] @ query[position] / np.sqrt(query.shape[1]))
        rows.append(powers @ value[allowed] / powers.sum())
    return np.array(rows)


def _gpt(weights: Weights, tokens: Array) -> Array:
    x, width = tokens[0], 8
    for block in ("blocks.0", "blocks.1"):
        normed = _norm(x)
        query, key, value = (
            _linear(weights, f"{block}.projection.{name}", normed)
            for name in ("query", "key", "value")
        )
        heads = [slice(start, start + width) for start in range(0, x.shape[1], width)]
        mask = weights[f"{block}.attention.mask"]
        attended = [_attend(query[:, h], key[:, h], value[:, h], mask) for h in heads]
        x = x + _linear(weights, f"{block}.feedforward.output", np.concatenate(attended, axis=1))
        up = _relu(_linear(weights, f"{block}.feedforward.up", _norm(x)))
        x = x + _linear(weights, f"{block}.feedforward.down", up)
    return x[None]


FORMULAS: dict[str, Callable[..., Array]] = {
    "gcn": _gcn,
    "graphsage": _graphsage,
    "sae": _autoencoder,
    "gpt": _gpt,
}


def test_network_computes_its_formula(case: ModelCase) -> None:
    weights = {name: value.double().numpy() for name, value in case.module.state_dict().items()}
    expected = FORMULAS[case.name](weights, *(each.double().numpy() for each in case.args))
    result = case.module(*case.args)
    assert torch.isfinite(result).all()
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert len(np.unique(expected)) > expected.size / 4


def test_case_is_frozen_and_its_inputs_are_plain_tensors(case: ModelCase) -> None:
    assert not any(module.training for module in case.module.modules())
    assert not any(each.requires_grad for each in case.module.parameters())
    tensors = [*case.module.state_dict().values(), *case.args]
    assert all(each.layout == torch.strided and each.is_contiguous() for each in tensors)


ATEN_OPERATORS: dict[str, dict[str, int]] = {
    "gcn": {"matmul": 2, "linear": 2, "relu": 1, "softmax": 1},
    "graphsage": {"linear": 4, "matmul": 2, "add": 2, "relu": 2},
    "sae": {"linear": 2, "relu": 1},
    "gpt": {
        "layer_norm": 4,
        "linear": 12,
        "view": 6,
        "transpose": 10,
        "matmul": 4,
        "bitwise_not": 2,
        "masked_fill": 2,
        "div": 2,
        "softmax": 2,
        "clone": 2,
        "_unsafe_view": 2,
        "add": 4,
        "relu": 2,
    },
}


def _exported_nodes(case: ModelCase) -> list[torch.fx.Node]:
    program = torch.export.export(case.module, case.args).run_decompositions({})
    return [node for node in program.graph.nodes if node.op == "call_function"]


def test_export_keeps_the_operators_as_written(case: ModelCase) -> None:
    nodes: list[Any] = _exported_nodes(case)
    operators = Counter(node.target.overloadpacket.__name__ for node in nodes)
    assert operators == ATEN_OPERATORS[case.name]


GROUPS: dict[str, list[str]] = {
    "gcn": ["layer1", "layer2"],
    "graphsage": ["layer1", "layer2"],
    "sae": ["encoder", "decoder"],
    "gpt": [
        f"blocks.{block}.{part}"
        for block in range(2)
        for part in ("projection", "attention", "feedforward")
    ],
}


def test_every_operator_lies_in_the_module_of_its_layer(case: ModelCase) -> None:
    scopes = [list(node.meta["nn_module_stack"].values())[-1][0] for node in _exported_nodes(case)]
    groups = GROUPS[case.name]
    owners = [next(g for g in groups if f"{scope}.".startswith(f"{g}.")) for scope in scopes]
    assert list(dict.fromkeys(owners)) == groups


@pytest.mark.filterwarnings("ignore")
def test_onnx_export_gives_the_same_result(case: ModelCase) -> None:
    program = torch.onnx.export(
        case.module, case.args, input_names=case.input_names, dynamo=True, verbose=False
    )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    assert tuple(each.name for each in session.get_inputs()) == case.input_names
    feeds = {name: each.numpy() for name, each in zip(case.input_names, case.args, strict=True)}
    (result,) = session.run(None, feeds)
    np.testing.assert_allclose(result, case.module(*case.args).numpy(), rtol=1e-4, atol=1e-5)
