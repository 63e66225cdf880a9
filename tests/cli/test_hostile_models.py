"""Files that are made to hurt: each is refused in one line, nothing runs, memory stays bounded."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Shell

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.slow

# Enough for Python, onnx, its runtime and PyTorch, all of which map far more than they use.
LIMIT_KIB = 8 * 2**20
FLOAT, INT = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
HUGE = 2**40

Files = dict[str, bytes]


class Bomb:
    """An object whose unpickling leaves a file behind."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, ("exploded", "w"))


def model(*nodes: Any, inputs: Any = (), constants: Any = (), rank: int = 1, **more: Any) -> bytes:
    """A model that computes y, of any extents, from x of shape [2]."""
    helper = onnx.helper
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Relu", ["x"], ["y"])],
        "hostile",
        list(inputs) or [helper.make_tensor_value_info("x", FLOAT, [2])],
        [helper.make_tensor_value_info("y", FLOAT, [f"n{axis}" for axis in range(rank)])],
        list(constants),
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=10, **more)
    return bytes(proto.SerializeToString())


def node(op: str, inputs: list[str], output: str = "y", **more: Any) -> Any:
    return onnx.helper.make_node(op, inputs, [output], **more)


def ints(name: str, *values: int) -> Any:
    return onnx.numpy_helper.from_array(np.array(values, dtype=np.int64), name)


def scalar(name: str, value: int) -> Any:
    return onnx.numpy_helper.from_array(np.array(value, dtype=np.int64), name)


def only(content: bytes) -> Files:
    return {"model.onnx": content}


def declared(*dims: int) -> Any:
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=dims)
    tensor.raw_data = b"\0" * 16
    return tensor


def external(location: str) -> Any:
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=[2])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def cyclic() -> Files:
    opset = onnx.helper.make_opsetid("own", 1)
    functions = [
        onnx.helper.make_function(
            "own", name, ["a"], ["b"], [onnx.helper.make_node(other, ["a"], ["b"], domain="own")],
            [opset],
        )
        for name, other in (("f", "g"), ("g", "f"))
    ]  # fmt: skip
    return only(model(node("f", ["x"], domain="own"), functions=functions))


def doubling() -> Files:
    """Forty functions that each call the next twice: 2**40 nodes when written out."""
    make = onnx.helper.make_node
    opsets = [onnx.helper.make_opsetid("own", 1), onnx.helper.make_opsetid("", 20)]
    functions = [
        onnx.helper.make_function(
            "own", f"f{n}", ["a"], ["c"],
            [make(f"f{n + 1}", ["a"], ["b"], domain="own"),
             make(f"f{n + 1}", ["b"], ["c"], domain="own")],
            opsets,
        )
        for n in range(40)
    ]  # fmt: skip
    functions.append(
        onnx.helper.make_function("own", "f40", ["a"], ["c"], [make("Relu", ["a"], ["c"])], opsets)
    )
    return only(model(node("f0", ["x"], domain="own"), functions=functions))


def saved(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(array), allow_pickle=True)
    return stream.getvalue()


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name.replace("__", "."), content)
    return stream.getvalue()


def bomb_archive() -> bytes:
    """An archive whose member claims a terabyte of zeros that it does not have."""
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (2**38,)}
    np.lib.format.write_array_header_1_0(stream, header)
    return archive(x__npy=stream.getvalue())


def bound(name: str, content: bytes) -> Files:
    return {**only(model()), name: content}


def wide(*extents: int) -> Files:
    info = onnx.helper.make_tensor_value_info("x", FLOAT, list(extents))
    return only(model(node("Relu", ["x"]), inputs=[info]))


def add_of(*nodes: Any, constants: Any) -> Files:
    """A model that adds a huge constant, computed by `nodes` as c, to its input."""
    info = onnx.helper.make_tensor_value_info("x", FLOAT, [1])
    return only(model(*nodes, node("Add", ["x", "c"]), inputs=[info], constants=constants))


CASES: dict[str, tuple[Callable[[], Files], str]] = {
    "truncated": (lambda: only(model(constants=[ints("w", *range(999))])[:-500]), ""),
    "noise": (lambda: only(bytes(range(256)) * 40), ""),
    "huge weight": (lambda: only(model(constants=[declared(HUGE, HUGE)])), ""),
    "weight that is not there": (lambda: only(model(constants=[declared(2**20, 100)])), ""),
    "huge input": (lambda: wide(HUGE), "--random-inputs 1"),
    "huge constant": (
        lambda: add_of(node("ConstantOfShape", ["s"], "c"), constants=[ints("s", HUGE)]), "",
    ),
    "huge range": (
        lambda: add_of(
            node("Range", ["a", "b", "a1"], "r"), node("Cast", ["r"], "c", to=FLOAT),
            constants=[scalar("a", 0), scalar("b", HUGE), scalar("a1", 1)],
        ), "",
    ),
    "huge tile": (
        lambda: add_of(
            node("Cast", ["s"], "f", to=FLOAT), node("Tile", ["f", "s"], "c"),
            constants=[ints("s", HUGE)],
        ), "",
    ),
    "huge expansion": (
        lambda: only(model(
            node("Expand", ["x", "s"], "t"), node("Exp", ["t"]),
            constants=[ints("s", 2**30, 2**9, 2)], rank=3,
        )), "--random-inputs 1",
    ),
    "cyclic functions": (cyclic, ""),
    "doubling functions": (doubling, ""),
    "external data above": (lambda: only(model(constants=[external("../../etc/passwd")])), ""),
    "external data at root": (lambda: only(model(constants=[external("/etc/passwd")])), ""),
    "pickled array": (lambda: bound("x.npy", saved(Bomb())), "--bind x=x.npy"),
    "pickled archive": (
        lambda: bound("x.npz", archive(x__npy=saved(Bomb()))), "--bind x=x.npz",
    ),
    "archive of a terabyte": (lambda: bound("x.npz", bomb_archive()), "--bind x=x.npz"),
    "huge matrix": (
        lambda: bound("x.mtx", b"%%MatrixMarket matrix array real general\n900000 900000\n"),
        "--bind x=x.mtx",
    ),
    "huge coordinates": (lambda: bound("x.tns", b"999999999 999999999 1\n"), "--bind x=x.tns"),
    "yaml that calls": (
        lambda: bound("s.yaml", b"tensors: [{match: !!python/object/apply:open [exploded, w]}]"),
        "--sidecar s.yaml --random-inputs 1",
    ),
    "yaml of brackets": (
        lambda: bound("s.yaml", b"[" * 500_000), "--sidecar s.yaml --random-inputs 1",
    ),
}  # fmt: skip


def refused(shell: Shell, files: Files, words: str) -> str:
    """Import in a process of bounded memory; return what it says in its one line."""
    folder = Path(shell("pwd").stdout.decode().strip())
    for name, content in files.items():
        (folder / name).write_bytes(content)
    first = next(iter(files))
    done = shell(f"ulimit -v {LIMIT_KIB}; timeout 60 ff-import {first} {words} -o out.pb")
    said = done.stderr.decode()
    assert done.returncode in (1, 2), said
    assert done.stdout == b""
    lines = [line for line in said.splitlines() if not line.startswith("  fix: ")]
    assert len(lines) == 1, said
    assert lines[0].startswith("ff-import: error: ")
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)
    return lines[0]


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused_in_one_line(shell: Shell, name: str) -> None:
    make, words = CASES[name]
    refused(shell, make(), words or "--random-inputs 1")


def test_a_pickle_in_place_of_a_saved_export_is_not_executed(shell: Shell) -> None:
    assert "I005" in refused(shell, {"model.pt2": pickle.dumps(Bomb())}, "")


def test_what_the_cases_do_to_a_plain_model_is_its_only_fault(shell: Shell) -> None:
    folder = Path(shell("pwd").stdout.decode().strip())
    (folder / "model.onnx").write_bytes(model())
    done = shell(f"ulimit -v {LIMIT_KIB}; ff-import model.onnx --random-inputs 1 -q -o out.pb")
    assert (done.returncode, done.stderr) == (0, b"")
