"""Kernels in the primitives of a dialect: the same values, or a refusal that names the node."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fuseflow.errors import InterchangeError
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.interop.comal.dialect import parse_graph
from fuseflow.interop.comal.exporter import export_comal, export_kernels
from fuseflow.interop.comal.importer import import_comal, program_of_graphs
from fuseflow.interop.comal.message import decode, encode
from fuseflow.interop.comal.reader import draft_graph
from fuseflow.interop.comal.schema import DIALECTS, LATEST, PUBLIC
from fuseflow.interop.comal.text import format_text
from fuseflow.interop.graphs.operands import BoundOperands, FolderOperands
from fuseflow.interop.tensors.directory import TensorFolder
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowProgram, Op
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


# Kernels with one node that no simulator of the dialect computes, and what the remark says.
NEAR = [
    ("mul", {"attrs__fn": "safe_div", "attrs__fills": (0.0, 0.0)}, LATEST, "became div"),
    ("mul", {"attrs__fn": "masked", "attrs__parameters": (-1.0,)}, LATEST, "became mul"),
    ("add Z", {"attrs__op": "max"}, LATEST, "became a function"),
    ("add Z", {"attrs__extent": 4}, LATEST, "became a function"),
    ("add Z", {"attrs__full": (2,), "attrs__missing": 1.0}, LATEST, "no key that has no value"),
    ("add Z", {"attrs__full": (2,)}, PUBLIC, "no key that has no value"),
    ("locate A.i", {"attrs__stride": 2}, LATEST, "looks up other places"),
]


@pytest.mark.parametrize(("node", "changes", "dialect", "message"), NEAR)
def test_node_without_counterpart_returns_by_its_label(
    tmp_path: Path, node: str, changes: dict[str, object], dialect: str, message: str
) -> None:
    program = change_node(product_program(), node, **changes)
    (kernel,) = export_kernels(program, dialect)
    assert any(node in remark and message in remark for remark in kernel.remarks)
    draft = draft_graph(decode(kernel.graph.schema, encode(kernel.graph)))
    assert draft.exact
    wanted = program.kernels[0].nodes
    assert [(n.op, n.inputs, n.outputs) for n in draft.nodes] == [
        (n.op, list(n.inputs), list(n.outputs)) for n in wanted
    ]
    place = next(at for at, found in enumerate(wanted) if found.name == node)
    assert draft.nodes[place].attrs == wanted[place].attrs


@pytest.mark.parametrize(
    ("node", "changes", "dialect", "message"),
    [
        ("mul", {"attrs__fn": "max"}, LATEST, "the function max"),
        ("repeat j", {"op": Op.REPLAY, "attrs": df.ReplayAttrs(1)}, LATEST, "a replay of lists"),
    ],
)
def test_node_without_operator_is_refused_by_name(
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
    change_node(program, "repeat j", op=Op.REPLAY, attrs=df.ReplayAttrs(1))
    with pytest.raises(InterchangeError) as caught:
        export_kernels(program, LATEST)
    assert sorted(finding.where.node for finding in caught.value.findings) == ["mul", "repeat j"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_accumulator_of_order_three_is_a_function_there(tmp_path: Path, dialect: str) -> None:
    data = sparse_array(RNG, (2, 2, 2, 2))
    graph = make_graph(
        ["T[j,k,l] = add[i] copy(D[i,j,k,l])"],
        {"D": (data, "compressed,compressed,compressed,compressed")},
    )
    again, remarks = travel(fuse(graph), tmp_path, dialect)
    assert "no simulator there runs it" in remarks
    np.testing.assert_allclose(outputs_of(again)["T"], data.sum(0), rtol=1e-6)


def test_missing_values_that_are_not_zero_are_remarked(tmp_path: Path) -> None:
    """A union of tensors over a background of 1: there a missing entry would read as 0."""
    ones = np.where(A == 0, 1, A)
    tensors = dict.fromkeys("AC", (ones, "compressed,compressed fill=1"))
    program = fuse(make_graph(["T[i,k] = sub(A[i,k], C[i,k])"], tensors))
    again, remarks = travel(program, tmp_path, LATEST)
    assert "it takes what is missing for 1: other values there" in remarks
    assert again.tensors["A"].fill == 1
    np.testing.assert_array_equal(outputs_of(again)["T"], ones - ones)


@pytest.mark.parametrize("keep", ["union", "intersect"])
def test_join_of_many_inputs_is_a_cascade_in_the_public_dialect(tmp_path: Path, keep: str) -> None:
    fn = {"union": "add", "intersect": "mul"}[keep]
    arrays = {name: sparse_array(RNG, (6, 5), 0.6) for name in "ACD"}
    tensors = {name: (array, "dense,compressed") for name, array in arrays.items()}
    einsums = [f"H[i,k] = {fn}(A[i,k], C[i,k])", f"T[i,k] = {fn}(H[i,k], D[i,k])"]
    program = fuse(make_graph(einsums, tensors), FuseOptions(Strategy.FULL))
    joins = [node.attrs for node in program.kernels[0].nodes if node.op is Op.JOIN]
    assert df.JoinAttrs(keep, (1, 1, 1)) in joins
    wanted = simulate(program).totals.cycles
    again, remarks = travel(program, tmp_path, PUBLIC)
    assert "became 6 joins: cycles differ" in remarks
    assert simulate(again).totals.cycles == wanted
    kernel = next(path for path in tmp_path.iterdir() if path.name != "data")
    seen = import_comal(kernel, FolderOperands(TensorFolder(tmp_path / "data")), plain=True)
    joined = [node.attrs for node in seen.kernels[0].nodes if node.op is Op.JOIN]
    assert {len(attrs.payloads) for attrs in joined} == {2}
    np.testing.assert_array_equal(outputs_of(seen)["T"], outputs_of(program)["T"])


@pytest.mark.parametrize("change", ["word", "label"])
def test_graph_that_was_changed_is_read_as_it_stands(change: str) -> None:
    program = change_node(product_program(), "mul", attrs__fn="safe_div", attrs__fills=(0.0, 0.0))
    (kernel,) = export_kernels(program, LATEST)
    text = format_text(kernel.graph)
    edited = {
        "word": text.replace('label: "div | ', 'label: "quotient | '),
        "label": re.sub(r'label: "div \| [^"]*"', 'label: "div"', text),
    }[change]
    assert edited != text
    draft = draft_graph(parse_graph(edited.encode(), LATEST))
    assert not draft.exact
    assert len(draft.remarks) == 1
    assert "changed since its labels were written" in draft.remarks[0]
    assert "div" in {getattr(node.attrs, "fn", "") for node in draft.nodes}
    assert "safe_div" in {getattr(n.attrs, "fn", "") for n in draft_graph(kernel.graph).nodes}


def test_graph_that_says_all_has_no_seal(tmp_path: Path) -> None:
    """What was read without labels is written without."""
    einsums, tensors = KERNELS["sparse product"]
    (kernel,) = export_kernels(fuse(make_graph(einsums, tensors)), LATEST)
    assert "(fuseflow " in format_text(kernel.graph)
    data = {name: value.tensor for name, value in kernel.tensors.items() if value.tensor}
    seen = program_of_graphs([kernel.graph], BoundOperands(data), plain=True)
    (again,) = export_kernels(seen, LATEST)
    text = format_text(again.graph)
    assert "fuseflow" not in text
    assert " | " not in text


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


def test_capacities_stand_in_labels(tmp_path: Path) -> None:
    program = product_program()
    streams = program.kernels[0].streams
    for sid, stream in streams.items():
        streams[sid] = replace(stream, capacity=64)
    again, remarks = travel(program, tmp_path, LATEST)
    assert "depths of channels" in remarks
    assert {stream.capacity for stream in again.kernels[0].streams.values()} == {64}
