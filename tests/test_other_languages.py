"""Programs can be read with nothing of ours but the descriptor set of the schema."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.wire import Artifact, write_artifact
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


@pytest.mark.parametrize("name", sorted(STORED))
def test_protoc_prints_every_artifact_with_the_descriptor_set(descriptors: Path, name: str) -> None:
    path = descriptors / f"{STORED[name]}.v1.0.pb"
    files = {"EinsumGraph": "einsum", "DataflowProgram": "dataflow", "SimulationReport": "report"}
    command = [
        sys.executable, "-m", "grpc_tools.protoc",
        f"--descriptor_set_in={descriptors / 'schema.binpb'}",
        f"--decode=fuseflow.v1.{name}", f"fuseflow/v1/{files[name]}.proto",
    ]  # fmt: skip
    with path.open("rb") as data:
        done = subprocess.run(command, stdin=data, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("header {")
    # What the set does not describe would be printed as a number.
    assert not [line for line in done.stdout.splitlines() if line.strip()[:1].isdigit()]
