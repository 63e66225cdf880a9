"""Every input of a file gets its data from the user, and data that do not fit are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from fuseflow.errors import ModelError, UsageError
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.storage.sidecar import read_sidecar
from fuseflow.ir.einsum import Role
from fuseflow.ir.tensor import LevelFormat
from tests.frontend.onnx.build import SmallModel, assert_equals_reference, draw


def product(**changes: np.ndarray) -> SmallModel:
    inputs = {"x": draw(3, 4), "adj": draw(4, 3, seed=1), **changes}
    return SmallModel(inputs=inputs).node("MatMul", ["x", "adj"])


def test_all_inputs_without_data_are_listed(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        import_onnx(product().save(tmp_path))
    assert [finding.rule for finding in caught.value.findings] == ["I205 unbound-input"] * 2
    texts = [str(finding) for finding in caught.value.findings]
    assert "float32[3, 4] has no data" in texts[0]
    assert "--bind adj=FILE, or --random-inputs SEED" in texts[1]


def test_random_inputs_fill_what_is_not_bound(tmp_path: Path) -> None:
    model = product()
    bound = {"x": model.bindings(tmp_path)["x"]}
    options = ImportOptions(bindings=bound, random_inputs=7)
    first, second = (import_onnx(model.save(tmp_path), options) for _ in range(2))
    assert_equals_reference(first)
    for name in ("x", "adj"):
        left, right = first.values[name].tensor, second.values[name].tensor
        assert left is not None
        assert right is not None
        np.testing.assert_array_equal(left.to_dense(), right.to_dense())
    np.testing.assert_array_equal(
        np.sort(np.asarray(first.values["x"].tensor.to_dense()).ravel()),
        np.sort(model.inputs["x"].ravel()),
    )


def test_binding_of_an_unknown_input_proposes_the_nearest(tmp_path: Path) -> None:
    path = product().save(tmp_path)
    with pytest.raises(UsageError, match='did you mean "adj"') as caught:
        import_onnx(path, ImportOptions(bindings={"adjj": "a.npy"}))
    assert caught.value.rule == "U204 unknown-input"


def test_operand_of_another_shape_is_refused(tmp_path: Path) -> None:
    model = product()
    options = ImportOptions(bindings=model.bindings(tmp_path))
    np.save(tmp_path / "input_0.npy", draw(3, 5))
    with pytest.raises(ModelError, match=r"\[3, 5\].*float32\[3, 4\]") as caught:
        import_onnx(model.save(tmp_path), options)
    assert caught.value.rule == "I206 input-data"


def test_named_dimension_takes_the_extent_of_the_data(tmp_path: Path) -> None:
    model = product()
    model.shapes = {"x": ("batch", 4), "adj": (4, None)}
    assert_equals_reference(model.load(tmp_path))


def test_named_dimension_has_one_extent(tmp_path: Path) -> None:
    model = SmallModel(inputs={"a": draw(3), "b": draw(2)}).node("Add", ["a", "b"])
    model.shapes = {"a": ("n",), "b": ("n",)}
    with pytest.raises(ModelError, match=r"\[2\].*float32\[n\]") as caught:
        model.load(tmp_path)
    assert caught.value.rule == "I206 input-data"


def test_random_data_need_a_fixed_shape(tmp_path: Path) -> None:
    model = product()
    model.shapes = {"x": ("batch", 4)}
    with pytest.raises(ModelError, match="no fixed shape"):
        import_onnx(model.save(tmp_path), ImportOptions(random_inputs=1))


def test_operand_is_converted_to_the_declared_type(tmp_path: Path) -> None:
    model = product()
    options = ImportOptions(bindings=model.bindings(tmp_path))
    np.save(tmp_path / "input_0.npy", np.arange(12).reshape(3, 4))
    assert_equals_reference(import_onnx(model.save(tmp_path), options))


def test_mask_that_is_not_boolean_is_refused(tmp_path: Path) -> None:
    mask = np.ones((2, 3), dtype=np.bool_)
    model = SmallModel(inputs={"m": mask, "x": draw(2, 3)}, constants={"z": np.float32([0])})
    model.node("Where", ["m", "x", "z"])
    options = ImportOptions(bindings=model.bindings(tmp_path))
    np.save(tmp_path / "input_0.npy", np.full((2, 3), 0.5))
    with pytest.raises(ModelError, match="not bool"):
        import_onnx(model.save(tmp_path), options)


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_input_of_another_float_type_is_refused(dtype: type, tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(2, 3).astype(dtype)}).node("Relu", ["x"])
    with pytest.raises(ModelError, match="float32") as caught:
        model.load(tmp_path)
    assert caught.value.rule == "I207 input-type"


def test_operand_from_a_sparse_file_keeps_its_layout(tmp_path: Path) -> None:
    model = product(adj=np.eye(4, 3, dtype=np.float32))
    bindings = model.bindings(tmp_path)
    sparse.save_npz(tmp_path / "adj.npz", sparse.csr_matrix(model.inputs["adj"]))
    bindings["adj"] = str(tmp_path / "adj.npz")
    adjacency = import_onnx(model.save(tmp_path), ImportOptions(bindings=bindings)).values["adj"]
    assert adjacency.role is Role.INPUT
    assert adjacency.origin == "file"
    assert adjacency.format is not None
    assert adjacency.format.levels == (LevelFormat.DENSE, LevelFormat.COMPRESSED)


def test_integer_input_is_folded_away(tmp_path: Path) -> None:
    """An input that only chooses a shape leaves no value behind."""
    model = SmallModel(inputs={"x": draw(2, 6), "shape": np.array([12])})
    graph = model.node("Reshape", ["x", "shape"], "t").node("Relu", ["t"]).load(tmp_path)
    assert [name for name, value in graph.values.items() if value.role is Role.INPUT] == ["x"]


def test_a_shape_from_the_user_fixes_what_the_model_leaves_open(tmp_path: Path) -> None:
    model = product()
    model.shapes = {"x": ("batch", 4)}
    options = ImportOptions(random_inputs=1, input_shapes={"x": (6, 4)})
    graph = import_onnx(model.save(tmp_path), options)
    assert graph.outputs[0].shape == (6, 3)


@pytest.mark.parametrize("shape", [(6, 5), (6,)])
def test_a_shape_from_the_user_must_fit_the_model(tmp_path: Path, shape: tuple[int, ...]) -> None:
    model = product()
    model.shapes = {"x": ("batch", 4)}
    options = ImportOptions(random_inputs=1, input_shapes={"x": shape})
    with pytest.raises(ModelError, match=r"exported for float32\[batch, 4\]"):
        import_onnx(model.save(tmp_path), options)


def test_a_shape_of_an_unknown_input_proposes_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='did you mean "adj"'):
        import_onnx(product().save(tmp_path), ImportOptions(input_shapes={"ad": (4, 3)}))


def test_a_density_of_the_sidecar_gives_random_data_of_that_density(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(
        "tensors: [{match: adj, levels: [compressed, compressed], density: 0.1}]"
    )
    model = SmallModel(inputs={"adj": draw(40, 40), "x": draw(40, 3)})
    model.node("MatMul", ["adj", "x"])
    bindings = {"x": model.bindings(tmp_path)["x"]}
    sidecar = read_sidecar(tmp_path / "net.yaml")
    graph = import_onnx(model.save(tmp_path), ImportOptions(bindings=bindings, sidecar=sidecar))
    adjacency = graph.values["adj"]
    assert adjacency.tensor is not None
    assert 0.05 < adjacency.tensor.density < 0.15
    assert adjacency.origin == "sidecar net.yaml:1"
    assert_equals_reference(graph)


def test_a_file_of_the_sidecar_is_bound(tmp_path: Path) -> None:
    model = product()
    (tmp_path / "net.yaml").write_text(
        "tensors: [{match: adj, data: input_1.npy}, {match: x, data: input_0.npy}]"
    )
    model.bindings(tmp_path)
    options = ImportOptions(sidecar=read_sidecar(tmp_path / "net.yaml"))
    assert_equals_reference(import_onnx(model.save(tmp_path), options))


def test_edges_of_an_integer_input_come_from_a_matrix(tmp_path: Path) -> None:
    """The pairs (0, 1) and (2, 0) choose rows 0 and 2, then 1 and 0, of the features."""
    matrix = np.zeros((3, 3), dtype=np.float32)
    matrix[0, 1] = matrix[2, 0] = 1
    sparse.save_npz(tmp_path / "a.npz", sparse.csr_matrix(matrix))
    edges = np.array([[0, 2], [1, 0]])
    model = SmallModel(inputs={"x": draw(3, 2), "edges": edges}, outputs=("y",))
    model.node("Gather", ["x", "edges"], axis=0)
    bindings = {**model.bindings(tmp_path), "edges": str(tmp_path / "a.npz")}
    graph = import_onnx(model.save(tmp_path), ImportOptions(bindings=bindings))
    assert_equals_reference(graph)
    assert graph.outputs[0].reference is not None
    np.testing.assert_array_equal(graph.outputs[0].reference, model.inputs["x"][edges])
