"""The package offers what most programs need, and loads none of it before that."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fuseflow
from fuseflow.ir.testing import make_graph


@pytest.mark.parametrize("name", [name for name in fuseflow.__all__ if name != "__version__"])
def test_what_is_offered_is_there_under_its_own_name(name: str) -> None:
    offered = getattr(fuseflow, name)
    assert offered.__name__ == name
    assert name in dir(fuseflow)


def test_what_is_not_offered_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'fusee'"):
        fuseflow.fusee  # noqa: B018


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys, fuseflow; print([m for m in sys.modules if m.startswith('fuseflow.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_description_is_what_ff_show_prints_below_its_commands() -> None:
    graph = make_graph(["Z[i] = relu(A[i])"], tensors={"A": [1.0, -1.0]}, references=True)
    program = fuseflow.fuse(graph)
    report = fuseflow.simulate(program, check=True)
    for root, table in ((graph, "einsums"), (program, "kernels"), (report, "busiest nodes")):
        heading, _, tables = fuseflow.describe(root).partition("\n\n")
        assert heading == f"{type(root).__name__} test"
        assert f"\n{table}\n" in f"\n{tables}"
