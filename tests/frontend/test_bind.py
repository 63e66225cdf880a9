"""Operands are read from every kind of file, and from none that is not what it claims to be."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import io as scipy_io
from scipy import sparse

from fuseflow.errors import FuseflowError, ModelError, UsageError
from fuseflow.frontend.operands.bind import read_operand
from fuseflow.frontend.operands.operand import random_operand

MATRIX = np.array([[0, 2, 0], [1, 0, 3]], dtype=np.float32)


class Bomb:
    """An object whose unpickling is noticed."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was executed",))


def graph_archive(path: Path, **changes: np.ndarray) -> Path:
    """A graph of three nodes with two features each, as Planetoid archives store it."""
    arrays = {
        "adj_indptr": np.array([0, 1, 3, 3]),
        "adj_indices": np.array([1, 0, 2]),
        "feat_indptr": np.array([0, 1, 1, 2]),
        "feat_indices": np.array([1, 0]),
        "feat_data": np.zeros(0, dtype=np.float32),
        "shape": np.array([3, 2]),
        "labels": np.array([0, 1, 0]),
    }
    np.savez(path, **{**arrays, **changes})
    return path


def test_npy_is_a_dense_operand_of_its_own_type(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", MATRIX.astype(np.int16))
    operand = read_operand(str(tmp_path / "x.npy"))
    np.testing.assert_array_equal(operand.array, MATRIX)
    assert (operand.array.dtype, operand.layout) == (np.int16, "")


def test_npz_with_one_array_needs_no_key(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", anything=MATRIX)
    np.testing.assert_array_equal(read_operand(str(tmp_path / "x.npz")).array, MATRIX)


def test_npz_with_several_arrays_lists_its_keys(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", first=MATRIX, second=MATRIX + 1)
    np.testing.assert_array_equal(read_operand(f"{tmp_path}/x.npz:second").array, MATRIX + 1)
    with pytest.raises(ModelError, match="first, second"):
        read_operand(str(tmp_path / "x.npz"))


@pytest.mark.parametrize(
    ("kind", "layout"),
    [
        ("csr", "dense,compressed"),
        ("csc", "dense,compressed@1,0"),
        ("coo", "compressed,compressed"),
        ("bsr", "dense,compressed"),
    ],
)
def test_scipy_matrix_keeps_its_layout(kind: str, layout: str, tmp_path: Path) -> None:
    sparse.save_npz(tmp_path / "m.npz", sparse.coo_matrix(MATRIX).asformat(kind))
    operand = read_operand(str(tmp_path / "m.npz"))
    np.testing.assert_array_equal(operand.array, MATRIX)
    assert operand.layout == layout


@pytest.mark.parametrize("content", [MATRIX, sparse.coo_matrix(MATRIX)], ids=["array", "entries"])
def test_matrix_market_is_read(content: object, tmp_path: Path) -> None:
    scipy_io.mmwrite(tmp_path / "m.mtx", content)
    operand = read_operand(str(tmp_path / "m.mtx"))
    np.testing.assert_array_equal(operand.array, MATRIX)
    assert bool(operand.layout) == sparse.issparse(content)


def test_graph_archive_gives_adjacency_and_features_by_key(tmp_path: Path) -> None:
    path = graph_archive(tmp_path / "graph.npz")
    adjacency, features = read_operand(f"{path}:adj"), read_operand(f"{path}:feat")
    np.testing.assert_array_equal(adjacency.array, [[0, 1, 0], [1, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(features.array, [[0, 1], [0, 0], [1, 0]])
    assert (adjacency.layout, features.layout) == ("compressed,compressed", "dense,compressed")
    assert adjacency.file == "graph.npz:adj"


def test_graph_archive_equals_a_real_data_set(shared: Path) -> None:
    adjacency = read_operand(f"{shared}/data/cora.npz:adj")
    features = read_operand(f"{shared}/data/cora.npz:feat")
    assert (adjacency.array.shape, np.count_nonzero(adjacency.array)) == ((2708, 2708), 10556)
    assert (features.array.shape, np.count_nonzero(features.array)) == ((2708, 1433), 49216)


@pytest.mark.parametrize(
    "changes",
    [
        {"adj_indices": np.array([1, 0, 3])},
        {"adj_indices": np.array([1, -1, 2])},
        {"adj_indices": np.array([1.0, 0.0, 2.0])},
        {"adj_indptr": np.array([0, 2, 1, 3])},
        {"adj_indptr": np.array([0, 1, 3, 9])},
        {"adj_indptr": np.array([[0, 1, 3, 3]])},
    ],
)
def test_graph_archive_with_wrong_arrays_is_refused(
    changes: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = graph_archive(tmp_path / "graph.npz", **changes)
    with pytest.raises(ModelError) as caught:
        read_operand(f"{path}:adj")
    assert caught.value.rule == "I204 operand-file"


def test_sparse_matrix_with_indices_outside_is_refused(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "m.npz",
        format=np.array(b"csr"),
        shape=np.array([2, 3]),
        data=np.ones(2, dtype=np.float32),
        indices=np.array([0, 10**6]),
        indptr=np.array([0, 1, 2]),
    )
    with pytest.raises(ModelError, match=r"m\.npz"):
        read_operand(str(tmp_path / "m.npz"))


def test_pickles_are_not_executed(tmp_path: Path) -> None:
    objects = np.array([Bomb()], dtype=object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "x.npz", objects)
    (tmp_path / "y.npy").write_bytes(pickle.dumps(Bomb()))
    for name in ("x.npy", "x.npz", "y.npy"):
        with pytest.raises(ModelError) as caught:
            read_operand(str(tmp_path / name))
        assert caught.value.rule == "I204 operand-file"


def header_of_huge_array() -> bytes:
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (2**40,)}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def test_sizes_are_checked_before_memory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(header_of_huge_array())
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", header_of_huge_array())
    (tmp_path / "a.mtx").write_text("%%MatrixMarket matrix array real general\n900000 900000\n")
    (tmp_path / "c.mtx").write_text(
        "%%MatrixMarket matrix coordinate real general\n900000 900000 1\n1 1 1\n"
    )
    sparse.save_npz(tmp_path / "s.npz", sparse.coo_matrix((10**6, 10**6), dtype=np.float32))
    for name in ("x.npy", "x.npz", "a.mtx", "c.mtx", "s.npz"):
        with pytest.raises(ModelError) as caught:
            read_operand(str(tmp_path / name))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.mtx"])
def test_damaged_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 \x93NUMPY cut")
    with pytest.raises(ModelError) as caught:
        read_operand(str(tmp_path / name))
    assert caught.value.rule == "I204 operand-file"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "rule"), [("nothing.npy", "U003 no-file"), ("x.csv", "U202 operand-kind")]
)
def test_missing_or_unknown_file_is_a_usage_error(name: str, rule: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n")
    with pytest.raises(FuseflowError) as caught:
        read_operand(str(tmp_path / name))
    assert isinstance(caught.value, UsageError)
    assert caught.value.rule == rule


def test_key_of_a_file_with_one_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", MATRIX)
    with pytest.raises(ModelError, match='no key "adj"'):
        read_operand(f"{tmp_path}/x.npy:adj")


def test_random_operand_depends_on_seed_and_name_alone() -> None:
    dtype = np.dtype(np.float32)
    first = random_operand((3, 4), dtype, 1, "x").array
    np.testing.assert_array_equal(first, random_operand((3, 4), dtype, 1, "x").array)
    for seed, name in ((2, "x"), (1, "y")):
        assert (first != random_operand((3, 4), dtype, seed, name).array).any()
    assert random_operand((50,), np.dtype(np.bool_), 1, "m").array.mean() not in (0, 1)


def test_random_indices_are_refused() -> None:
    with pytest.raises(ModelError, match="indices"):
        random_operand((2, 5), np.dtype(np.int64), 1, "edge_index")
