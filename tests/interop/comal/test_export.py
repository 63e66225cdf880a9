"""Kernels in the primitives of a dialect: the same values, or a refusal that names the node."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fuseflow.errors import InterchangeError
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.interop.comal.exporter import export_comal, export_kernels
from fuseflow.interop.comal.importer import import_comal
from fuseflow.interop.comal.schema import DIALECTS, LATEST, PUBLIC
from fuseflow.interop.graphs.operands import FolderOperands
from fuseflow.interop.tensors.directory import TensorFolder
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowProgram, Op, StreamKind
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.testing import make_graph, sparse_array
from fuseflow.sim import simulate
from tests.ir.programs import change_node, product_program

RNG = np.random.default_rng(11)
A, B = sparse_array(RNG, (6, 5), 0.4), sparse_array(RNG, (5, 4), 0.6)
V = sparse_array(RNG, (5,), 1.0)
MATRIX = {"A": (A, "dense,compressed"), "B": (B, "dense,dense")}

KERNELS = {
    "product": (["T[i,j] = add[k] mul(A[i,k], B[k,j])"], MATRIX),
    "sparse product": (
        ["T[i,j] = add[k] mul(A[i,k], B[k,j])"],
        {"A": (A, "compressed,compressed"), "B": (B, "compressed,compressed")},
    ),
    "vector": (["T[i] = add[k] mul(A[i,k], v[k])"], {"A": MATRIX["A"], "v": V}),
    "sum": (["T[i,k] = add(A[i,k], C[i,k])"], {"A": MATRIX["A"], "C": (A, "dense,compressed")}),
    "bias": (["T[i,k] = add(A[i,k], v[k])"], {"A": MATRIX["A"], "v": V}),
    "exponential": (["T[k] = exp(v[k])"], {"v": V}),
    "column sums": (["T[k] = add[i] copy(A[i,k])"], {"A": (A, "dense,compressed@1,0")}),
}
CHAINS = {
    "linear": ["H[i,j] = add[k] mul(A[i,k], B[k,j])", "T[i,j] = add(H[i,j], w[j])"],
    "relu": ["H[i,j] = add[k] mul(A[i,k], B[k,j])", "T[i,j] = relu(H[i,j])"],
    "two layers": [
        "H[i,j] = add[k] mul(A[i,k], B[k,j])",
        "T[i,m] = add[j] mul(H[i,j], C[j,m])",
    ],
    "squares": ["H[i,k] = square(A[i,k])", "T[i] = add[k] copy(H[i,k])"],
}
MORE = {"w": V[:4], "C": sparse_array(RNG, (4, 3), 1.0)}


def travel(program: DataflowProgram, folder: Path, dialect: str) -> tuple[DataflowProgram, str]:
    """Write every kernel with its data, read all of it back; return the remarks too."""
    remarks = export_comal(program, folder, dialect)
    data = folder / "data"
    data.mkdir()
    for kernel in sorted(path for path in folder.iterdir() if path != data):
        for path in (kernel / "data").iterdir():
            (data / path.name).write_bytes(path.read_bytes())
    return import_comal(folder, FolderOperands(TensorFolder(data))), "; ".join(remarks)


def outputs_of(program: DataflowProgram) -> dict[str, np.ndarray]:
    found = {}
    for value in simulate(program, engine="twin").outputs:
        assert value.tensor is not None
        found[value.name] = value.tensor.to_dense()
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", sorted(KERNELS))
def test_kernel_computes_the_same_behind_a_trip(tmp_path: Path, name: str, dialect: str) -> None:
    einsums, tensors = KERNELS[name]
    program = fuse(make_graph(einsums, tensors))
    again, _ = travel(program, tmp_path, dialect)
    np.testing.assert_allclose(outputs_of(again)["T"], outputs_of(program)["T"], rtol=1e-6)
    once = simulate(again, engine="twin").totals.cycles
    second, _ = travel(again, tmp_path / "second", dialect)
    assert simulate(second, engine="twin").totals.cycles == once


@pytest.mark.parametrize("name", sorted(CHAINS))
@pytest.mark.parametrize("strategy", [Strategy.UNFUSED, Strategy.FULL])
def test_chain_of_kernels_hands_tensors_on(tmp_path: Path, name: str, strategy: Strategy) -> None:
    program = fuse(make_graph(CHAINS[name], MATRIX | MORE), FuseOptions(strategy))
    again, _ = travel(program, tmp_path, LATEST)
    assert len(again.kernels) == len(program.kernels)
    assert outputs_of(again).keys() == outputs_of(program).keys()
    np.testing.assert_allclose(outputs_of(again)["T"], outputs_of(program)["T"], rtol=1e-5)


def test_kernel_that_needs_no_rewriting_keeps_its_cycles(tmp_path: Path) -> None:
    einsums, tensors = KERNELS["sparse product"]
    program = fuse(make_graph(einsums, tensors))
    again, remarks = travel(program, tmp_path, LATEST)
    assert remarks == ""
    assert simulate(again).totals.cycles == simulate(program).totals.cycles


def test_dense_operand_is_stored_in_the_order_of_its_walk(tmp_path: Path) -> None:
    """A sum over rows, column by column: the program computes addresses, others follow levels."""
    graph = make_graph(["T[j] = add[k] mul(B[k,j], v[k])"], {"B": B, "v": V})
    program = fuse(graph, FuseOptions(order=("j", "k")))
    again, _ = travel(program, tmp_path, LATEST)
    stored = TensorFolder(tmp_path / "data").read("B")
    assert stored.mode_order == (1, 0)
    np.testing.assert_array_equal(stored.to_dense(), B)
    np.testing.assert_allclose(outputs_of(again)["T"], V @ B, rtol=1e-6)


def test_folder_has_graph_text_and_data(tmp_path: Path) -> None:
    export_comal(product_program(), tmp_path, LATEST)
    (kernel,) = tmp_path.iterdir()
    assert kernel.name == "00_k0"
    assert sorted(path.name for path in kernel.iterdir()) == ["data", "graph.bin", "graph.txtpb"]
    names = {path.name for path in (kernel / "data").iterdir()}
    assert {"tensor_A_mode_1_seg", "tensor_B_mode_vals", "tensor_index3_mode_shape"} <= names
    assert "tensor_index3_mode_vals" not in names


@pytest.mark.parametrize(
    ("node", "changes", "dialect", "message"),
    [
        ("mul", {"attrs__fn": "max"}, LATEST, "the function max"),
        ("mul", {"attrs__fn": "safe_div"}, LATEST, "the function safe_div"),
        ("add Z", {"attrs__op": "max"}, LATEST, "an accumulator by max"),
        ("add Z", {"attrs__extent": 4}, LATEST, "counts entries it does not see"),
        ("add Z", {"attrs__full": (2,), "attrs__missing": 1.0}, LATEST, "keys without values"),
        ("add Z", {"attrs__full": (2,)}, PUBLIC, "keys without values"),
        ("locate A.i", {"attrs__stride": 2}, LATEST, "a lookup with strides"),
        ("repeat j", {"op": Op.REPLAY, "attrs": df.ReplayAttrs(1)}, LATEST, "a replay of lists"),
    ],
)
def test_node_that_the_dialect_lacks_is_refused_by_name(
    node: str, changes: dict[str, object], dialect: str, message: str
) -> None:
    program = change_node(product_program(), node, **changes)
    with pytest.raises(InterchangeError) as caught:
        export_kernels(program, dialect)
    assert caught.value.rule == "X004"
    assert f'node "{node}"' in str(caught.value)
    assert dialect in str(caught.value)
    assert message in str(caught.value)


def test_all_nodes_that_cannot_travel_are_named_at_once() -> None:
    program = product_program()
    change_node(program, "mul", attrs__fn="max")
    change_node(program, "add Z", attrs__op="max")
    with pytest.raises(InterchangeError) as caught:
        export_kernels(program, LATEST)
    assert [finding.where.node for finding in caught.value.findings] == ["mul", "add Z"]


def test_accumulator_of_order_three_is_refused() -> None:
    cube = make_graph(
        ["T[j,k,l] = add[i] copy(D[i,j,k,l])"],
        {"D": (sparse_array(RNG, (2, 2, 2, 2)), "compressed,compressed,compressed,compressed")},
    )
    with pytest.raises(InterchangeError, match="X004"):
        export_kernels(fuse(cube), LATEST)


def test_missing_values_that_are_not_zero_are_refused() -> None:
    """A union of tensors over a background of 1: there a missing entry would read as 0."""
    ones = np.where(A == 0, 1, A)
    tensors = dict.fromkeys("AC", (ones, "compressed,compressed fill=1"))
    graph = make_graph(["T[i,k] = sub(A[i,k], C[i,k])"], tensors)
    with pytest.raises(InterchangeError, match=r"X004.*takes what is missing for 0"):
        export_kernels(fuse(graph), LATEST)


def test_what_runs_with_luck_is_remarked(tmp_path: Path) -> None:
    tensors = dict.fromkeys("AC", (A, "compressed,compressed"))
    program = fuse(make_graph(["T[i,k] = add(A[i,k], C[i,k])"], tensors))
    again, remarks = travel(program, tmp_path, LATEST)
    assert "no stop of its own in Comal" in remarks
    np.testing.assert_array_equal(outputs_of(again)["T"], A + A)


def test_formats_without_files_are_refused() -> None:
    program = product_program()
    value = program.tensors["Z"]
    value.format = parse_format("dense,singleton")
    with pytest.raises(InterchangeError, match=r"X004.*singleton level"):
        export_kernels(program, LATEST)
    value.format = None
    with pytest.raises(InterchangeError, match=r"X004.*has no format"):
        export_kernels(program, LATEST)


def test_fork_and_gather_travel(tmp_path: Path) -> None:
    """Two lanes over the rows of a matrix: dealt, read, gathered again."""
    program = lanes_program()
    again, remarks = travel(program, tmp_path, LATEST)
    np.testing.assert_array_equal(outputs_of(again)["Z"], A)
    assert "multiple of the lanes" in remarks
    assert simulate(again).totals.cycles == simulate(program).totals.cycles
    with pytest.raises(InterchangeError, match=r"X004.*a fork"):
        export_kernels(program, PUBLIC)


def lanes_program() -> DataflowProgram:
    from fuseflow.ir.einsum import Output, Role, Value
    from fuseflow.ir.testing import KernelBuilder, make_tensor

    tensor = make_tensor((A, "compressed,compressed"))
    k = KernelBuilder("lanes")
    (root,) = k.add(Op.ROOT, df.RootAttrs("A"), outputs=["ref"])
    crd, ref = k.add(Op.SCAN, df.ScanAttrs("A", 0), [root], ["crd i", "ref i"])
    lanes = k.add(Op.FORK, df.ForkAttrs(2), [ref], ["ref i", "ref i", ""])[:2]
    crds, vals = [], []
    for lane in lanes:
        inner, pos = k.add(Op.SCAN, df.ScanAttrs("A", 1), [lane], ["crd i j", "ref i j"])
        crds.append(inner)
        vals += k.add(Op.ARRAY, df.ArrayAttrs("A"), [pos], ["val i j"])
    gather = df.GatherAttrs(2, 1)
    (columns,) = k.add(Op.GATHER, gather, [*crds, None], ["crd i j"])
    (values,) = k.add(Op.GATHER, gather, [*vals, None], ["val i j"])
    k.add(Op.LEVEL_WRITE, df.LevelWriteAttrs("Z", 0), [crd])
    k.add(Op.LEVEL_WRITE, df.LevelWriteAttrs("Z", 1), [columns])
    k.add(Op.VAL_WRITE, df.ValWriteAttrs("Z"), [values, None])
    tensors = {
        "A": Value("A", A.shape, Role.INPUT, format=tensor.format, tensor=tensor),
        "Z": Value("Z", A.shape, Role.INTERMEDIATE, format=tensor.format),
    }
    return DataflowProgram("lanes", tensors, [k.graph], [Output("Z", "Z", (0, 1), A.shape)])


def test_capacities_are_no_part_of_the_format(tmp_path: Path) -> None:
    program = product_program()
    streams = program.kernels[0].streams
    for sid, stream in streams.items():
        streams[sid] = replace(stream, capacity=64)
    again, remarks = travel(program, tmp_path, LATEST)
    assert "depths of channels" in remarks
    kinds = {stream.kind for stream in again.kernels[0].streams.values()}
    assert kinds == set(StreamKind)
