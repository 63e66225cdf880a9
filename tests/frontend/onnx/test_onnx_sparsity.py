"""What an ONNX file states about sparsity, and who wins where several say something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.storage.sidecar import read_sidecar
from fuseflow.ir.einsum import EinsumGraph
from tests.frontend.onnx.build import SmallModel, assert_equals_reference, draw

KEY = "fuseflow.sparsity"
WEIGHT = draw(8, 8) * (np.arange(8) % 3 == 0)


def load(
    folder: Path,
    *,
    on_input: str = "",
    on_weight: str = "",
    sparse: bool = False,
    **options: object,
) -> EinsumGraph:
    model = SmallModel(inputs={"x": draw(8, 8)}, constants={"w": WEIGHT}).node("MatMul", ["x", "w"])
    path, bindings = model.save(folder), model.bindings(folder)
    proto = onnx.load(path)
    if sparse:
        _make_sparse(proto)
    holders = [*proto.graph.input, *proto.graph.initializer]
    for holder in holders:
        text = {"x": on_input, "w": on_weight}.get(holder.name, "")
        if text:
            holder.metadata_props.add(key=KEY, value=text)
    path.write_bytes(proto.SerializeToString())
    return import_onnx(path, ImportOptions(bindings=bindings, **options))  # type: ignore[arg-type]


def _make_sparse(proto: onnx.ModelProto) -> None:
    """Turn the weight into a sparse initializer."""
    dense = onnx.numpy_helper.to_array(proto.graph.initializer[0])
    del proto.graph.initializer[:]
    indices = np.flatnonzero(dense)
    values = onnx.numpy_helper.from_array(dense.reshape(-1)[indices], "w")
    entries = onnx.numpy_helper.from_array(indices.astype(np.int64), "w_indices")
    proto.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, entries, list(dense.shape))
    )


def stored(graph: EinsumGraph, name: str) -> tuple[str, str]:
    return str(graph.values[name].format), graph.values[name].origin


def test_metadata_of_inputs_and_weights_decide(tmp_path: Path) -> None:
    graph = load(tmp_path, on_input="compressed,dense", on_weight="compressed,compressed")
    assert stored(graph, "x") == ("compressed,dense", "metadata")
    assert stored(graph, "w") == ("compressed,compressed", "metadata")
    assert_equals_reference(graph)


def test_a_sparse_initializer_decides_before_its_zeros_are_counted(tmp_path: Path) -> None:
    assert stored(load(tmp_path, sparse=True), "w") == (
        "compressed,compressed",
        "sparse_initializer",
    )
    assert stored(load(tmp_path), "w") == ("dense,compressed", "zeros")


def test_user_and_sidecar_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("tensors: [{match: w, levels: [dense, dense]}]")
    sidecar = read_sidecar(tmp_path / "net.yaml")
    graph = load(tmp_path, on_weight="compressed,compressed", sidecar=sidecar)
    assert stored(graph, "w") == ("dense,dense", "sidecar net.yaml:1")
    user = {"w": "dense,compressed"}
    graph = load(tmp_path, on_weight="compressed,compressed", sidecar=sidecar, formats=user)
    assert stored(graph, "w") == ("dense,compressed", "user")


def test_metadata_that_mean_no_format_name_the_tensor(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(tmp_path, on_weight="wobbly")
    assert caught.value.rule == "I021 bad-format"
    assert caught.value.findings[0].where.field == "w"
