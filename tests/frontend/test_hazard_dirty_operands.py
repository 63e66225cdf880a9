# SPDX-License-Identifier: MIT
"""Hazard h35: entries of one place are added up and reported, and places outside are refused."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from fuseflow.cli.ff_import import main
from fuseflow.errors import ModelError
from fuseflow.frontend.operands.bind import read_operand
from fuseflow.frontend.operands.operand import as_wanted

MATRIX = "%%MatrixMarket matrix coordinate real general\n2 2 {}\n"
MERGED = "1 entry at the place of another one, added up"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.mtx", MATRIX.format(4) + "1 2 1\n1 2 1\n2 1 5\n2 2 0\n"),
        ("a.tns", "1 2 1\n1 2 1\n2 1 5\n2 2 0\n"),
    ],
)
def test_hazard_h35_entries_of_one_place_are_summed_and_reported(
    tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    operand = read_operand(str(path))
    np.testing.assert_array_equal(operand.array, [[0, 2], [5, 0]])
    assert operand.remarks == (f"{name}: {MERGED}", f"{name}: 1 entry of value 0, not stored")


def test_hazard_h35_coordinates_of_scipy_may_repeat(tmp_path: Path) -> None:
    places = ([0, 0, 0, 1], [1, 1, 1, 0])
    path = tmp_path / "a.npz"
    sparse.save_npz(path, sparse.coo_matrix((np.ones(4), places), shape=(2, 2)))
    operand = read_operand(str(path))
    np.testing.assert_array_equal(operand.array, [[0, 3], [1, 0]])
    assert operand.remarks == ("a.npz: 2 entries at the place of another one, added up",)


def test_hazard_h35_edges_that_repeat_are_counted_in_a_matrix(tmp_path: Path) -> None:
    path = tmp_path / "a.el"
    path.write_text("0 1\n0 1\n1 0\n")
    edges = read_operand(str(path))
    assert edges.remarks == ()
    matrix = as_wanted(edges, np.dtype(np.float32), (2, 2))
    np.testing.assert_array_equal(matrix.array, [[0, 2], [1, 0]])
    assert matrix.remarks[0].endswith(MERGED)


def test_hazard_h35_clean_operands_have_no_remarks(tmp_path: Path) -> None:
    path = tmp_path / "a.mtx"
    path.write_text(MATRIX.format(1) + "1 2 1\n")
    assert read_operand(str(path)).remarks == ()


def test_hazard_h35_places_outside_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mtx"
    path.write_text(MATRIX.format(1) + "3 1 1\n")
    with pytest.raises(ModelError) as caught:
        read_operand(str(path))
    assert caught.value.rule.startswith("I204")


def test_hazard_h35_the_command_says_what_was_merged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = "".join(f"{n} {n} 1\n" for n in range(1, 35))
    path = tmp_path / "adj.mtx"
    header = "%%MatrixMarket matrix coordinate real general\n34 34 35\n"
    path.write_text(f"{header}{cells}7 7 1\n")
    out = str(tmp_path / "gcn.pb")
    assert main(["zoo:gcn", "--bind", f"adj={path}", "-o", out]) == 0
    assert f"note: adj.mtx: {MERGED}" in capsys.readouterr().err
