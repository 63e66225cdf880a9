"""Edge lists and lists of entries: read, checked, and put into the form that an input wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from fuseflow.errors import ModelError
from fuseflow.frontend.operands.bind import read_operand
from fuseflow.frontend.operands.operand import Operand, as_wanted, convert

FLOAT, INTEGER = np.dtype(np.float32), np.dtype(np.int64)


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_an_edge_list_is_sources_above_targets(tmp_path: Path) -> None:
    operand = read_operand(write(tmp_path / "g.edges", "# a graph\n0 1\n1\t2  % loop\n2 2\n"))
    np.testing.assert_array_equal(operand.array, [[0, 1, 2], [1, 2, 2]])
    assert (operand.array.dtype, operand.is_edges) == (np.int64, True)


def test_an_edge_list_has_its_weights_in_the_third_column(tmp_path: Path) -> None:
    source = write(tmp_path / "g.txt", "0 1 0.5\n1 0 -2\n")
    np.testing.assert_array_equal(read_operand(source).array, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(read_operand(f"{source}:weights").array, [0.5, -2])


def test_an_empty_edge_list_is_a_graph_without_edges(tmp_path: Path) -> None:
    assert read_operand(write(tmp_path / "g.el", "# nothing\n")).array.shape == (2, 0)


def test_a_matrix_becomes_the_edges_that_an_integer_input_wants(tmp_path: Path) -> None:
    matrix = np.array([[0, 2, 0], [0, 0, 1], [0, 0, 0]], dtype=np.float32)
    sparse.save_npz(tmp_path / "a.npz", sparse.csr_matrix(matrix))
    operand = as_wanted(read_operand(str(tmp_path / "a.npz")), INTEGER, (2, None))
    np.testing.assert_array_equal(operand.array, [[0, 1], [1, 2]])
    assert operand.layout == ""


def test_a_planetoid_archive_gives_edges_matrix_and_features_by_key(shared: Path) -> None:
    adjacency = read_operand(f"{shared / 'data' / 'cora.npz'}:adj")
    edges = as_wanted(adjacency, INTEGER, (2, None)).array
    assert edges.shape == (2, 10556)
    assert as_wanted(adjacency, FLOAT, (2708, 2708)) is adjacency
    assert read_operand(f"{shared / 'data' / 'cora.npz'}:feat").array.shape == (2708, 1433)


def test_edges_become_the_matrix_that_a_float_input_wants(tmp_path: Path) -> None:
    edges = read_operand(write(tmp_path / "g.edges", "0 1\n0 1\n2 0\n"))
    operand = as_wanted(edges, FLOAT, (4, 4))
    expected = np.zeros((4, 4))
    expected[0, 1], expected[2, 0] = 2, 1
    np.testing.assert_array_equal(operand.array, expected)
    assert operand.layout == "compressed,compressed"
    assert as_wanted(edges, FLOAT, (None, None)).array.shape == (3, 3)
    with pytest.raises(ModelError, match="has node 2, the input has 2 nodes"):
        as_wanted(edges, FLOAT, (2, 2))


def test_a_tns_file_counts_from_1_and_sums_entries(tmp_path: Path) -> None:
    operand = read_operand(write(tmp_path / "t.tns", "1 1 2 3.5\n2 1 1 -1\n1 1 2 0.5\n"))
    expected = np.zeros((2, 1, 2))
    expected[0, 0, 1], expected[1, 0, 0] = 4, -1
    np.testing.assert_array_equal(operand.array, expected)
    assert operand.layout == "compressed,compressed,compressed"


def test_a_tns_file_is_filled_up_to_the_shape_of_its_input(tmp_path: Path) -> None:
    operand = read_operand(write(tmp_path / "t.tns", "1 2 5\n"))
    filled = as_wanted(operand, FLOAT, (3, 4))
    assert filled.array.shape == (3, 4)
    assert filled.array.sum() == filled.array[0, 1] == 5
    assert as_wanted(operand, FLOAT, (None, 1)).array.shape == (1, 2)


def test_other_operands_stay_as_they_are() -> None:
    operand = Operand(np.ones((3, 3)), "x.npy")
    assert as_wanted(operand, INTEGER, (2, None)) is operand


def test_integers_take_whole_numbers_only() -> None:
    assert convert(Operand(np.array(2.0), "x.npy"), INTEGER).shape == ()
    assert convert(Operand(np.array([1.0, 2.0]), "x.npy"), INTEGER).dtype == np.int64
    with pytest.raises(ValueError, match=r"x\.npy holds values that are not int64"):
        convert(Operand(np.array([1.5]), "x.npy"), INTEGER)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.edges", "0 1 2 3\n"),
        ("g.edges", "0\n"),
        ("g.edges", "0 -1\n"),
        ("g.edges", "0 1.5\n"),
        ("g.edges", "0 1\n0 1 2\n"),
        ("g.edges", "a b\n"),
        ("t.tns", ""),
        ("t.tns", "0 1 3\n"),
        ("t.tns", "5\n"),
        ("t.tns", "99999999 99999999 1\n"),
        ("t.tns", "nan 1 1\n"),
    ],
)
def test_wrong_content_is_refused_in_one_line(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_operand(write(tmp_path / name, text))
    assert caught.value.rule == "I204 operand-file"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["g.edges:weights", "g.edges:other", "t.tns:key"])
def test_a_key_that_a_text_does_not_have_is_refused(tmp_path: Path, source: str) -> None:
    write(tmp_path / "g.edges", "0 1\n")
    write(tmp_path / "t.tns", "1 1\n")
    with pytest.raises(ModelError, match="I204"):
        read_operand(str(tmp_path / source))
