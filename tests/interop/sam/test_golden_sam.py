"""Graphs of SAM's compiler compute what SAM's simulator computed, token by token."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.errors import InterchangeError
from fuseflow.interop.graphs.operands import BoundOperands
from fuseflow.interop.sam.importer import import_sam
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.tensor import tensor_from_dense
from fuseflow.sim import simulate
from tests.interop import golden
from tests.sim.simulators import every_simulator

# Both simulators take some cycles to start that the other one does not.
START_UP = 8
REFUSED = {
    "vec_sd_compression_HAND": ("X005", "holding coordinates over values"),
    "vec_sd_compression_WRONG": ("X004", "dense level from coordinates that may be incomplete"),
}
PORTS = {
    "out_crd": "crd",
    "out_ref": "ref",
    "out_val": "val",
    "out_crd_outer": "outer",
    **{f"out_ref{number}": f"pay{number - 1}" for number in (1, 2, 3)},
}


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return golden.folder_of(shared, "sam")


def build(folder: Path, name: str) -> tuple[Any, DataflowProgram]:
    case = golden.read_case(folder / f"{name}.json")
    return case, import_sam(folder / case["source_gv"], golden.operands_of(case))


@every_simulator
@pytest.mark.parametrize("name", golden.SAM_CASES)
def test_case_has_values_and_cycles_of_sam(folder: Path, name: str, simulator: str) -> None:
    case, program = build(folder, name)
    report = simulate(program, engine=simulator)
    tensor = report.outputs[0].tensor
    assert tensor is not None
    np.testing.assert_array_equal(tensor.to_dense(), case["output"]["expected_dense"])
    assert abs(report.totals.cycles - case["cycles"]["unbounded"]) <= START_UP


@pytest.mark.parametrize("name", golden.SAM_CASES)
def test_case_has_the_streams_of_sam(folder: Path, name: str) -> None:
    case, program = build(folder, name)
    _, streams = golden.record(program, "twin")
    spurious = spurious_positions(case)
    compared = 0
    for edge, node, port, tokens in edges_of(case):
        ours = streams.get(f"{node}.{PORTS.get(port, port)}")
        if ours is None:
            continue  # folded into another node, or left out: see `rewrites` and `drops`
        wanted = [t for place, t in enumerate(tokens) if place not in spurious[node]]
        got = golden.plain_tokens(ours)
        if node in accumulators_of(case) and port == "out_val":
            got = [token for token in got if not str(token).startswith("S")]  # SAM sends points
        assert got == wanted, edge
        compared += 1
    assert compared >= len(case["streams"]) / 3


def edges_of(case: Any) -> Iterator[tuple[str, str, str, list[float | str]]]:
    for stream in case["streams"]:
        node, port = stream["edge"].partition("->")[0].split(".")
        if stream["tokens"] and port != "out_repsig":
            yield stream["edge"], node, port, golden.numbers(stream["tokens"])


def accumulators_of(case: Any) -> set[str]:
    return {node["id"] for node in case["nodes"] if node["type"] == "spaccumulator"}


def spurious_positions(case: Any) -> dict[str, set[int]]:
    """Return where each node sends a coordinate N, which stands for no element.

    SAM makes one where a list is empty because its parent is missing; what is read at that
    coordinate has a token in the same place.
    """
    found = {node["id"]: set() for node in case["nodes"]}
    for _, node, port, tokens in edges_of(case):
        if port == "out_crd":
            found[node] |= {place for place, token in enumerate(tokens) if token == "N"}
    for _ in case["nodes"]:
        for edge in case["edges"]:
            if edge["dst"] in values_of(case):
                found[edge["dst"]] |= found[edge["src"]]
    return found


def values_of(case: Any) -> set[str]:
    """Return the nodes that turn every element into a value."""
    return {node["id"] for node in case["nodes"] if node["type"] in ("arrayvals", "add", "mul")}


def test_every_graph_is_imported_or_refused_with_its_reason(folder: Path) -> None:
    rng = np.random.default_rng(7)
    files = sorted((folder / "gv").glob("*.gv"))
    assert len(files) == 30
    refused = {}
    for path in files:
        operands = random_operands(path.read_text(), rng)
        try:
            report = simulate(import_sam(path, operands))
        except InterchangeError as error:
            refused[path.stem] = (error.rule, str(error))
        else:
            assert report.complete, path.stem
    assert {name: rule for name, (rule, _) in refused.items()} == {
        name: rule for name, (rule, _) in REFUSED.items()
    }
    for name, (_, reason) in REFUSED.items():
        assert reason in refused[name][1]


def random_operands(text: str, rng: np.random.Generator) -> BoundOperands:
    header = text.partition('comment="')[2].partition('"')[0]
    ranks = {}
    for item in header.split(",")[1:]:
        name, _, layout = item.partition("=")
        ranks[name] = 0 if layout == "none" else len(layout) // 2
    shapes = {name: (4,) * rank for name, rank in ranks.items()}
    arrays = {
        name: np.where(rng.random(shape) < 0.5, rng.integers(1, 9, shape), 0)
        for name, shape in shapes.items()
    }
    return BoundOperands({name: tensor_from_dense(array) for name, array in arrays.items()})


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("matmul_ikj", "ik,kj->ij"),
        ("matmul_ijk", "ik,kj->ij"),
        ("matmul_jik", "ik,kj->ij"),
        ("matmul_jki", "ik,kj->ij"),
        ("mat_vecmul_ji", "ij,j->i"),
        ("vec_spacc_simple", "ij->j"),
        ("mat_spacc_simple", "ijk->jk"),
    ],
)
@pytest.mark.parametrize("density", [0.2, 0.6])
def test_rewritten_graph_computes_its_expression(
    folder: Path, name: str, expression: str, density: float
) -> None:
    """These have accumulators, or drops in front of sums, with empty rows and results."""
    rng = np.random.default_rng(3)
    path = folder / "gv" / f"{name}.gv"
    header = path.read_text().partition('comment="')[2].partition('"')[0]
    names = [item.partition("=")[0] for item in header.split(",")[1:]]
    sizes = {"i": 5, "j": 6, "k": 4}
    arrays = []
    for indices in expression.partition("->")[0].split(","):
        shape = tuple(sizes[index] for index in indices)
        arrays.append(np.where(rng.random(shape) < density, rng.integers(1, 9, shape), 0))
    tensors = {
        tensor: tensor_from_dense(array) for tensor, array in zip(names, arrays, strict=True)
    }
    report = simulate(import_sam(path, BoundOperands(tensors)))
    tensor = report.outputs[0].tensor
    assert tensor is not None
    expected = np.zeros(tensor.shape)
    dense = np.einsum(expression, *arrays)
    expected[tuple(slice(size) for size in dense.shape)] = dense
    np.testing.assert_array_equal(tensor.to_dense(), expected)
