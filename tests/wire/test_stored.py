"""Artifacts of every released schema are still read, and mean what they meant.

The files were written once, by the version in their header, and are never written again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fuseflow.wire import read_any_artifact, view_source
from tests.wire.graphs import same

FOLDER = Path(__file__).resolve().parents[1] / "golden/descriptor"
STORED = sorted(FOLDER.glob("*.pb"))


def test_there_is_an_artifact_of_every_kind() -> None:
    kinds = {path.name.partition(".")[0] for path in STORED}
    assert kinds == {"einsum_graph", "dataflow_program", "simulation_report"}


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_a_stored_artifact_is_read_without_a_remark(path: Path) -> None:
    artifact = read_any_artifact(path)
    assert artifact.remarks == ()
    assert same(artifact.root, read_any_artifact(path.with_suffix(".txtpb")).root)


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_a_stored_artifact_looks_as_it_did(path: Path) -> None:
    assert view_source(path, "text")[0] == path.with_suffix(".txtpb").read_text()
