"""Files that are damaged, hostile or too new are refused in one line; odd but legal ones load."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fuseflow.errors import FuseflowError, ModelError, UsageError
from fuseflow.frontend.onnx import load as onnx_load
from fuseflow.frontend.onnx.load import load_onnx
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.tensor import LevelFormat
from tests.frontend.onnx.build import SmallModel, assert_equals_reference, draw


def product(weight: np.ndarray | None = None) -> SmallModel:
    """A matrix product of an input and a weight."""
    weight = draw(4, 5) if weight is None else weight
    return SmallModel(inputs={"x": draw(3, 4)}, constants={"w": weight}).node("MatMul", ["x", "w"])


def write(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def refusal(path: Path) -> str:
    """Load a file that must be refused; return the rule and check that it takes one line."""
    with pytest.raises(ModelError) as caught:
        load_onnx(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return caught.value.rule


def make_external(
    model: onnx.ModelProto, location: str, data: bytes = b"", **entries: str
) -> onnx.ModelProto:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)
    return model


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file") as caught:
        load_onnx(tmp_path / "nothing.onnx")
    assert caught.value.rule == "U003 no-file"


@pytest.mark.parametrize("content", [b"", b"GIF89a not a model", b"\x08\x0a", b"\xff" * 64])
def test_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert refusal(path) == "I210 onnx-file"


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = product().proto().SerializeToString()
    path = tmp_path / "model.onnx"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert refusal(path).startswith("I21")


@pytest.mark.parametrize(
    ("opset", "fits"), [(0, False), (7, True), (13, True), (26, True), (27, False)]
)
def test_opsets_7_to_26_are_accepted(opset: int, fits: bool, tmp_path: Path) -> None:
    model = product()
    model.opset = opset
    path = write(tmp_path, model.proto())
    if fits:
        assert load_onnx(path).opset == max(opset, 13)
    else:
        assert refusal(path) == "I211 onnx-version"


def test_newer_ir_is_refused(tmp_path: Path) -> None:
    model = product().proto()
    model.ir_version = onnx.IR_VERSION + 1
    assert refusal(write(tmp_path, model)) == "I211 onnx-version"


def test_cyclic_graph_is_refused(tmp_path: Path) -> None:
    model = product().proto()
    model.graph.node.append(helper.make_node("Relu", ["b"], ["a"]))
    model.graph.node.append(helper.make_node("Relu", ["a"], ["b"]))
    assert refusal(write(tmp_path, model)) == "I215 onnx-check"


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = product().proto()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7
    assert refusal(write(tmp_path, model)) == "I215 onnx-check"


def test_split_that_claims_more_outputs_than_it_has_is_refused(tmp_path: Path) -> None:
    """Shape inference would allocate room for every claimed output."""
    model = SmallModel(inputs={"x": draw(2, 6)}, outputs=("a", "b"))
    proto = model.node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2).proto()
    next(a for a in proto.graph.node[0].attribute if a.name == "num_outputs").i = 2**31
    assert refusal(write(tmp_path, proto)) == "I215 onnx-check"


def test_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    model = SmallModel(inputs={"x": draw(3, 4)}, constants={"weight": draw(4, 5)})
    data = model.node("MatMul", ["x", "weight"]).proto().SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(data.replace(b"weight", b"we\xffght"))
    with pytest.raises(ModelError, match="UTF-8") as caught:
        import_onnx(path, ImportOptions(random_inputs=1))
    assert caught.value.rule == "I210 onnx-file"


@settings(max_examples=100)
@given(data=st.data())
def test_damaged_bytes_never_end_in_a_traceback(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(product().node("Relu", ["y"], "z").proto().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content)
    with contextlib.suppress(FuseflowError):
        import_onnx(path, ImportOptions(random_inputs=1))


@pytest.mark.parametrize("dims", [[2**40, 2**20], [-1, 5], [4, 6]])
def test_declared_shape_that_the_data_do_not_fill_is_refused(
    dims: list[int], tmp_path: Path
) -> None:
    model = product().proto()
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    assert refusal(write(tmp_path, model)) == "I213 onnx-tensor"


def test_external_data_beside_the_model_are_read(tmp_path: Path) -> None:
    weight = draw(4, 5)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 8 + weight.tobytes())
    model = make_external(product(weight).proto(), "weights.bin", offset="8", length="80")
    loaded = load_onnx(write(tmp_path, model))
    np.testing.assert_array_equal(loaded.constants["w"], weight)


@pytest.mark.parametrize(
    ("location", "entries"),
    [
        ("../secret.bin", {}),
        ("folder/../../secret.bin", {}),
        ("link.bin", {}),
        ("", {}),
        ("nothing.bin", {}),
        ("weights.bin", {"offset": "-8"}),
        ("weights.bin", {"length": "81"}),
        ("weights.bin", {"offset": "8", "length": "80"}),
        ("weights.bin", {"offset": "eight"}),
    ],
)
def test_external_data_outside_folder_or_file_are_refused(
    location: str, entries: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(80))
    (folder / "weights.bin").write_bytes(bytes(80))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    model = make_external(product().proto(), location, **entries)
    assert refusal(write(folder, model)) == "I214 external-data"


def test_absolute_external_path_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(80))
    (tmp_path / "model").mkdir()
    model = make_external(product().proto(), str(secret))
    assert refusal(write(tmp_path / "model", model)) == "I214 external-data"


def sparse_product(indices: np.ndarray, shape: tuple[int, int] = (4, 5)) -> onnx.ModelProto:
    """The product with its weight as a sparse initializer of three entries."""
    model = product().proto()
    del model.graph.initializer[:]
    values = numpy_helper.from_array(np.array([1, 2, 3], dtype=np.float32), "w")
    entries = numpy_helper.from_array(indices.astype(np.int64), "w/indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, entries, list(shape)))
    return model


@pytest.mark.parametrize(
    "indices", [np.array([0, 6, 19]), np.array([[0, 0], [1, 1], [3, 4]])], ids=["flat", "pairs"]
)
def test_sparse_initializer_keeps_values_and_pattern(indices: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path, sparse_product(indices))
    np.save(tmp_path / "x.npy", draw(3, 4))
    graph = import_onnx(path, ImportOptions(bindings={"x": str(tmp_path / "x.npy")}))
    weight = graph.values["w"]
    assert weight.origin == "sparse_initializer"
    assert weight.format is not None
    assert weight.format.levels == (LevelFormat.COMPRESSED, LevelFormat.COMPRESSED)
    assert weight.tensor is not None
    assert weight.tensor.stored == 3
    assert_equals_reference(graph)


@pytest.mark.parametrize(
    "indices", [np.array([0, 6, 20]), np.array([-1, 6, 7]), np.array([[0, 0], [1, 1], [4, 0]])]
)
def test_sparse_initializer_with_wrong_indices_is_refused(
    indices: np.ndarray, tmp_path: Path
) -> None:
    assert refusal(write(tmp_path, sparse_product(indices))) == "I213 onnx-tensor"


def with_functions(*bodies: tuple[str, list[str]]) -> onnx.ModelProto:
    """A model that calls function f0; each function calls others, one after the other."""
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    functions = []
    for name, calls in bodies:
        steps = ["x", *(f"t{n}" for n in range(len(calls) - 1)), "y"]
        nodes = [
            helper.make_node(call, [a], [b], domain="" if call[0].isupper() else "own")
            for call, a, b in zip(calls, steps, steps[1:], strict=False)
        ]
        functions.append(helper.make_function("own", name, ["x"], ["y"], nodes, opsets))
    shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
    node = helper.make_node("f0", ["x"], ["y"], domain="own")
    graph = helper.make_graph([node], "calls", [shape], [result])
    return helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=10)


def test_functions_are_inlined(tmp_path: Path) -> None:
    path = write(tmp_path, with_functions(("f0", ["f1", "Relu"]), ("f1", ["Neg", "Abs"])))
    assert [node.op_type for node in load_onnx(path).proto.graph.node] == ["Neg", "Abs", "Relu"]


def test_functions_that_call_each_other_in_a_cycle_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, with_functions(("f0", ["f1"]), ("f1", ["f0"])))
    assert refusal(path) == "I215 onnx-check"


def test_functions_that_unfold_without_end_are_refused_before_they_do(tmp_path: Path) -> None:
    levels = 40
    bodies = [(f"f{n}", [f"f{n + 1}"] * 2) for n in range(levels)]
    path = write(tmp_path, with_functions(*bodies, (f"f{levels}", ["Relu"])))
    assert refusal(path) == "I215 onnx-check"


def test_large_constants_are_kept_away_from_the_checker(tmp_path: Path) -> None:
    weight = draw(64, 64)
    model = SmallModel(inputs={"x": draw(3, 64)}, constants={"w": weight})
    loaded = load_onnx(write(tmp_path, model.node("MatMul", ["x", "w"]).proto()))
    assert weight.size > onnx_load.SMALL
    assert [tensor.name for tensor in loaded.proto.graph.initializer] == []
    np.testing.assert_array_equal(loaded.constants["w"], weight)
    assert [value.name for value in loaded.inputs] == ["x"]


def test_large_operands_come_from_the_file_beside_the_model(tmp_path: Path) -> None:
    weight = draw(48, 64)
    assert weight.size > onnx_load.SMALL
    model = SmallModel(inputs={"x": draw(3, 48)}, constants={"w": weight})
    proto = model.node("MatMul", ["x", "w"]).proto()
    path = tmp_path / "model.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    assert (tmp_path / "model.onnx.data").stat().st_size >= weight.nbytes
    assert weight.tobytes() not in path.read_bytes()
    graph = import_onnx(path, ImportOptions(bindings=model.bindings(tmp_path)))
    assert_equals_reference(graph)
    tensor = graph.values["w"].tensor
    assert tensor is not None
    np.testing.assert_array_equal(np.sort(tensor.to_dense(), axis=None), np.sort(weight, axis=None))
