"""A partial import ends in front of what is not supported, with torch's values as reference."""

import pytest
import torch
from torch import Tensor, nn

from fuseflow.errors import ModelError
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.verify_einsum import verify_einsum_graph
from tests.frontend.imports import Function, assert_equal_to_reference, draw, functions


def part(function: object, *args: Tensor, **more: object) -> EinsumGraph:
    module = function if isinstance(function, nn.Module) else Function(function)  # type: ignore[arg-type]
    graph = import_torch(module, args, options=ImportOptions(partial=True, **more))  # type: ignore[arg-type]
    verify_einsum_graph(graph)
    return graph


def test_outputs_are_what_the_unsupported_operator_would_have_read() -> None:
    graph = part(lambda x: torch.cumsum(torch.relu(x) * 2, 0) + 1, draw(3, 4))
    assert [output.name for output in graph.outputs] == ["mul"]
    assert functions(graph) == ["relu", "mul_scalar"]
    assert_equal_to_reference(graph)
    assert any(note.startswith("left out: aten.cumsum is not supported") for note in graph.notes)


def test_branches_that_do_not_need_it_are_complete() -> None:
    graph = part(lambda x, y: (torch.relu(x).cumsum(0) + y.exp(), y.sigmoid()), draw(3), draw(3))
    assert [output.name for output in graph.outputs] == ["relu", "exp", "sigmoid"]
    assert_equal_to_reference(graph)


def test_every_layer_before_a_convolution_is_there() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(4, 6)
            self.convolution = nn.Conv1d(1, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            hidden = torch.relu(self.dense(x))
            result: Tensor = self.convolution(hidden.unsqueeze(1)).relu()
            return result

    graph = part(Net(), draw(3, 4))
    assert graph.outputs[0].shape == (3, 1, 6)
    assert_equal_to_reference(graph)


def test_a_reference_is_left_out_on_request() -> None:
    graph = part(lambda x: torch.relu(x).cumsum(0), draw(3), reference=False)
    assert [output.reference for output in graph.outputs] == [None]


def test_a_model_without_a_supported_part_is_refused() -> None:
    with pytest.raises(ModelError, match="cumsum"):
        part(lambda x: x.cumsum(0), draw(3))


def test_a_model_that_is_supported_is_whole() -> None:
    graph = part(lambda x: torch.relu(x).sum(), draw(3))
    assert functions(graph) == ["relu", "add:copy"]
    assert_equal_to_reference(graph)
