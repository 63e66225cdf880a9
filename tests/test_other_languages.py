"""Programs can be read with nothing of ours but the descriptor set of the schema."""

import io
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.sim import simulate
from fuseflow.wire import Artifact, Root, write_artifact
from tests.ir.programs import product_program

STORED = {
    "EinsumGraph": "einsum_graph",
    "DataflowProgram": "dataflow_program",
    "SimulationReport": "simulation_report",
}


@pytest.fixture(scope="module")
def descriptors(repository: Path) -> Path:
    return repository / "tests/golden/descriptor"


def counted(program: DataflowProgram) -> str:
    lines = [f"program {program.name}"]
    for kernel in program.kernels:
        lines.append(f"kernel {kernel.name}: {len(kernel.nodes)} nodes")
        counts = Counter(str(node.op) for node in kernel.nodes)
        lines += [f"  {op} {counts[op]}" for op in sorted(counts)]
    return "\n".join(lines) + "\n"


def test_javascript_example_counts_the_nodes_of_a_program(
    repository: Path, descriptors: Path, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    program = product_program()
    write_artifact(Artifact(program), tmp_path / "program.pb")
    script = repository / "docs/examples/javascript/count_nodes.mjs"
    done = subprocess.run(
        [node, script, descriptors / "schema.binpb", tmp_path / "program.pb"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == counted(program)


def protoc_prints(descriptors: Path, kind: str, data: bytes) -> str:
    """Return what protoc prints of an artifact with nothing but the descriptor set."""
    files = {"EinsumGraph": "einsum", "DataflowProgram": "dataflow", "SimulationReport": "report"}
    command = [
        sys.executable, "-m", "grpc_tools.protoc",
        f"--descriptor_set_in={descriptors / 'schema.binpb'}",
        f"--decode=fuseflow.v1.{kind}", f"fuseflow/v1/{files[kind]}.proto",
    ]  # fmt: skip
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def assert_all_described(text: str) -> None:
    """Check that no field was printed as a number, as those are that the set does not describe."""
    assert text.startswith("header {")
    assert not [line for line in text.splitlines() if line.strip()[:1].isdigit()]


@pytest.mark.parametrize("name", sorted(STORED))
def test_protoc_prints_every_stored_artifact(descriptors: Path, name: str) -> None:
    path = descriptors / f"{STORED[name]}.v1.0.pb"
    assert_all_described(protoc_prints(descriptors, name, path.read_bytes()))


@pytest.mark.parametrize("model", ["gcn", "graphsage", "sae", "gpt"])
def test_protoc_prints_every_artifact_of_the_models(descriptors: Path, model: str) -> None:
    from tests.interop.zoo import graph_of

    graph = graph_of(model)
    program = fuse(graph, FuseOptions(Strategy.LAYER))
    roots: dict[str, Root] = {
        "EinsumGraph": graph,
        "DataflowProgram": program,
        "SimulationReport": simulate(program, check=True),
    }
    for kind, root in roots.items():
        out = io.BytesIO()
        write_artifact(Artifact(root), out)
        text = protoc_prints(descriptors, kind, out.getvalue())
        assert_all_described(text)
        for item in program.kernels if kind == "DataflowProgram" else []:
            assert f'name: "{item.name}"' in text
