"""Inputs of torch models: named, nested, by keyword, and taken from files that users bind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import Tensor, nn

from fuseflow.errors import ModelError, UsageError
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.pt2 import import_pt2
from fuseflow.ir.einsum import EinsumGraph, Role
from tests.frontend.imports import assert_equal_to_reference, draw, imported

PATTERN = np.array([[0, 2, 0, 0], [1, 0, 3, 0], [0, 0, 0, 0], [0, 0, 0, 4]], dtype=np.float32)


class Propagation(nn.Module):
    def forward(self, adj: Tensor, x: Tensor) -> Tensor:
        return adj @ x


class Lookup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, ids: Tensor) -> Tensor:
        result: Tensor = self.table(ids)
        return result


class Nested(nn.Module):
    def forward(
        self, pair: tuple[Tensor, Tensor], scale: float, *, bias: Tensor, shift: Tensor
    ) -> Tensor:
        return (pair[0] @ pair[1] + bias) * scale - shift


def bound(module: nn.Module, *args: Tensor, **bindings: Path) -> EinsumGraph:
    texts = {name: str(path) for name, path in bindings.items()}
    return imported(module, *args, options=ImportOptions(bindings=texts))


def data_of(graph: EinsumGraph, name: str) -> np.ndarray:
    tensor = graph.values[name].tensor
    assert tensor is not None
    return tensor.to_dense()


def save_csr(folder: Path) -> Path:
    sparse.save_npz(folder / "a.npz", sparse.csr_matrix(PATTERN))
    return folder / "a.npz"


def test_inputs_have_the_names_of_the_parameters() -> None:
    graph = imported(Propagation(), draw(4, 4), draw(4, 2))
    assert [v.name for v in graph.values.values() if v.role is Role.INPUT] == ["adj", "x"]


def test_nested_inputs_and_keywords_are_named_and_ordered_as_torch_does() -> None:
    graph = imported(
        Nested(),
        (draw(3, 4), draw(4, 2, seed=1)),  # type: ignore[arg-type]
        2.0,  # type: ignore[arg-type]
        kwargs={"shift": draw(2, seed=2), "bias": draw(2, seed=3)},
    )
    inputs = [v.name for v in graph.values.values() if v.role is Role.INPUT]
    assert inputs == ["pair_0", "pair_1", "bias", "shift"]
    np.testing.assert_array_equal(data_of(graph, "bias"), draw(2, seed=3).numpy())


def test_a_bound_file_replaces_the_example(tmp_path: Path) -> None:
    graph = bound(Propagation(), torch.eye(4), draw(4, 2), adj=save_csr(tmp_path))
    np.testing.assert_array_equal(data_of(graph, "adj"), PATTERN)
    assert (str(graph.values["adj"].format), graph.values["adj"].origin) == (
        "dense,compressed",
        "file",
    )


def test_a_bound_file_may_have_another_size_than_the_example(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((4, 7)))
    graph = bound(Propagation(), torch.eye(4), draw(4, 2), x=tmp_path / "x.npy")
    assert graph.outputs[0].shape == (4, 7)


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_a_sparse_example_gives_the_bound_data_its_layout(
    tmp_path: Path, layout: torch.layout
) -> None:
    example = torch.eye(4).to_sparse(layout=layout)
    graph = bound(Propagation(), example, draw(4, 2), adj=save_csr(tmp_path))
    np.testing.assert_array_equal(data_of(graph, "adj"), PATTERN)
    assert graph.values["adj"].origin == "layout"


def test_integers_are_bound_and_decide_the_graph(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.array([3, 3, 9], dtype=np.int16))
    graph = bound(Lookup(), torch.tensor([0]), ids=tmp_path / "ids.npy")
    assert graph.outputs[0].shape == (3, 4)


def test_data_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.ones(4))
    np.save(tmp_path / "half.npy", np.array([0.5]))
    np.save(tmp_path / "five.npy", np.ones((5, 2)))
    with pytest.raises(ModelError, match=r"v.npy has shape \[4\], the input has shape \[4, 2\]"):
        bound(Propagation(), torch.eye(4), draw(4, 2), x=tmp_path / "v.npy")
    with pytest.raises(ModelError, match="values that are not int64"):
        bound(Lookup(), torch.tensor([0]), ids=tmp_path / "half.npy")
    with pytest.raises(ModelError, match="I006 eager-failed"):
        bound(Propagation(), torch.eye(4), draw(4, 2), x=tmp_path / "five.npy")


def test_a_binding_to_no_input_proposes_the_nearest() -> None:
    with pytest.raises(UsageError, match='did you mean "adj"'):
        bound(Propagation(), torch.eye(4), draw(4, 2), adk=Path("a.npz"))


def test_more_inputs_than_parameters_are_a_wrong_call() -> None:
    with pytest.raises(UsageError, match="U131"):
        imported(Propagation(), draw(4, 4), draw(4, 2), draw(1))


# Saved exports.


def save(folder: Path, module: nn.Module, *args: Tensor) -> Path:
    torch.export.save(torch.export.export(module, args), folder / "model.pt2")
    return folder / "model.pt2"


def test_a_saved_export_takes_bound_data(tmp_path: Path) -> None:
    path = save(tmp_path, Propagation(), torch.eye(4), draw(4, 2))
    options = ImportOptions(bindings={"adj": str(save_csr(tmp_path))})
    graph = import_pt2(path, options=options)
    np.testing.assert_array_equal(data_of(graph, "adj"), PATTERN)
    assert_equal_to_reference(graph)


def test_a_saved_export_takes_data_of_its_own_shape_only(tmp_path: Path) -> None:
    path = save(tmp_path, Propagation(), torch.eye(4), draw(4, 2))
    np.save(tmp_path / "x.npy", np.ones((4, 3)))
    with pytest.raises(ModelError, match=r"the program was exported for \[4, 2\]"):
        import_pt2(path, options=ImportOptions(bindings={"x": str(tmp_path / "x.npy")}))


def test_a_saved_export_without_inputs_takes_random_ones(tmp_path: Path) -> None:
    program = torch.export.export(Propagation(), (torch.eye(4), draw(4, 2)))
    program.example_inputs = None
    torch.export.save(program, tmp_path / "model.pt2")
    graph = import_pt2(tmp_path / "model.pt2", options=ImportOptions(random_inputs=3))
    assert data_of(graph, "x").std() > 0
    assert_equal_to_reference(graph)
