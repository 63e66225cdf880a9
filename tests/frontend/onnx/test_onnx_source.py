"""Every einsum knows the module, the line and the node that it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnx import helper
from torch import Tensor, nn

from fuseflow.frontend.onnx.source import Origins
from tests.frontend.onnx.build import SmallModel, draw
from tests.frontend.onnx.export import export_module
from tests.frontend.onnx.test_onnx_zoo import load


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.body(x)) + x


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([Block(), Block()])
        self.head = nn.Sequential(nn.Sequential(nn.Linear(4, 2)))

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        y: Tensor = self.head(x)
        return y


@pytest.mark.parametrize("road", ["dynamo-20", "legacy-17"])
def test_scopes_are_the_modules_of_the_model(road: str, tmp_path: Path) -> None:
    model = Net()
    graph = load(export_module(model, [torch.ones(3, 4)], ["x"], road, tmp_path))
    scopes = [op.sources[0].scopes[-1][0] for op in graph.einsums]
    block = [("body.0", 2), ("body.1", 1), ("", 2)]
    expected = [
        ".".join(filter(None, (f"stages.{n}", part)))
        for n in range(2)
        for part, count in block
        for _ in range(count)
    ]
    assert scopes == [*expected, "head.0.0", "head.0.0"]
    assert set(scopes) <= {name for name, _ in model.named_modules()}


def test_dynamo_export_tells_class_and_line(tmp_path: Path) -> None:
    graph = load(export_module(Net(), [torch.ones(3, 4)], ["x"], "dynamo-20", tmp_path))
    tanh = next(op for op in graph.einsums if op.fn == "tanh").sources[0]
    assert tanh.scopes[-1][1].endswith("Block")
    assert tanh.file == Path(__file__).name
    assert "torch.tanh" in Path(__file__).read_text().splitlines()[tanh.line - 1]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("MatMul_3", [""]),
        ("/MatMul", [""]),
        ("/l1/MatMul", ["", "l1"]),
        ("/blocks.0/attention/MatMul", ["", "blocks.0", "blocks.0.attention"]),
        ("/stem/stem.0/Gemm", ["", "stem", "stem.0"]),
        ("/a/stem/stem.1/stem.1.0/Gemm", ["", "a", "a.stem", "a.stem.1", "a.stem.1.0"]),
    ],
)
def test_path_in_a_node_name_is_a_chain_of_modules(name: str, paths: list[str]) -> None:
    node = helper.make_node("Relu", ["x"], ["y"], name=name)
    graph = helper.make_graph([node], "g", [], [])
    assert [path for path, _ in Origins(graph).of(node).loc.scopes] == paths


def test_node_without_a_name_is_known_by_its_result(tmp_path: Path) -> None:
    graph = SmallModel(inputs={"x": draw(2)}).node("Relu", ["x"], name="").load(tmp_path)
    assert graph.einsums[0].sources[0].node == "y"


def test_node_of_the_optimiser_stays_in_the_scope_before_it() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Split", ["a"], ["b"])]
    entries = {"name_scopes": "['', 'l1', 'relu']", "class_hierarchy": "['Net', 'Layer', 'relu']"}
    for key, value in entries.items():
        nodes[0].metadata_props.add(key=f"pkg.torch.onnx.{key}", value=value)
    origins = Origins(helper.make_graph(nodes, "g", [], []))
    first, second = (origins.of(node) for node in nodes)
    assert first.loc.scopes == second.loc.scopes == (("", "Net"), ("l1", "Layer"))
