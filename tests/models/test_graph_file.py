"""Graph files are read as they are meant, and every defect is named with file and array."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.errors import ModelError, UsageError
from fuseflow.models.graph_file import read_graph_file


def _arrays(**changes: Any) -> dict[str, Any]:
    """A path 0 - 1 - 2 with two features, where node 2 has none."""
    arrays = {
        "adj_indptr": np.array([0, 1, 3, 4], dtype=np.int32),
        "adj_indices": np.array([1, 2, 0, 1], dtype=np.int32),
        "feat_indptr": np.array([0, 2, 3, 3], dtype=np.int32),
        "feat_indices": np.array([0, 1, 1], dtype=np.int32),
        "feat_data": np.array([], dtype=np.float32),
        "shape": np.array([3, 2]),
        "labels": np.array([0, 4, 1], dtype=np.int16),
    }
    arrays.update(changes)
    return {key: array for key, array in arrays.items() if array is not None}


def _save(folder: Path, **changes: Any) -> Path:
    path = folder / "graph.npz"
    np.savez_compressed(path, **_arrays(**changes))
    return path


def test_rows_are_sorted_and_empty_data_means_ones(tmp_path: Path) -> None:
    graph = read_graph_file(_save(tmp_path))
    assert graph.dense().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert graph.indices.tolist() == [1, 0, 2, 1]
    assert graph.features is not None
    assert graph.features.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert (graph.classes, graph.name, graph.repeats) == (5, "user graph", 0)


def test_feature_values_are_kept(tmp_path: Path) -> None:
    graph = read_graph_file(_save(tmp_path, feat_data=np.array([0.5, 2, -1])))
    assert graph.features is not None
    assert graph.features.tolist() == [[0.5, 2], [0, -1], [0, 0]]


def test_repeated_edges_are_merged_and_counted(tmp_path: Path) -> None:
    changes = {"adj_indptr": np.array([0, 3, 5, 6]), "adj_indices": np.array([1, 1, 1, 2, 0, 1])}
    graph = read_graph_file(_save(tmp_path, **changes))
    assert (graph.entries, graph.repeats) == (4, 2)
    assert "2 repeats merged" in graph.summary()


def test_labels_are_optional(tmp_path: Path) -> None:
    assert read_graph_file(_save(tmp_path, labels=None)).classes is None


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"adj_indptr": None, "shape": None}, "adj_indptr", "missing.*adj_indptr, shape"),
        ({"adj_indices": np.array([1, 2, 0, 3])}, "adj_indices", "entry 3 is 3, not from 0 to 2"),
        ({"adj_indices": np.array([1, 2, -1, 1])}, "adj_indices", "entry 2 is -1"),
        ({"adj_indices": np.array([1.0, 2, 0, 1])}, "adj_indices", "list of integers"),
        ({"adj_indptr": np.array([0, 1, 4])}, "adj_indptr", "3 rows need 4"),
        ({"adj_indptr": np.array([0, 3, 1, 4])}, "adj_indptr", "never decrease"),
        ({"adj_indptr": np.array([1, 1, 3, 4])}, "adj_indptr", "start at 0"),
        ({"adj_indptr": np.array([0, 1, 3, 5])}, "adj_indptr", "ends at 5"),
        ({"feat_indices": np.array([0, 2, 1])}, "feat_indices", "entry 1 is 2"),
        ({"feat_indices": np.array([1, 1, 1])}, "feat_indices", "twice"),
        ({"feat_data": np.array([1.0, 2.0])}, "feat_data", "3 numbers"),
        ({"feat_data": np.array([1.0, np.nan, 2.0])}, "feat_data", "not finite"),
        ({"feat_data": np.array([1.0, 1e300, 2.0])}, "feat_data", "not finite"),
        ({"feat_data": np.array(["1", "2", "3"])}, "feat_data", "3 numbers"),
        ({"shape": np.array([3])}, "shape", "two positive counts"),
        ({"shape": np.array([], dtype=np.int64)}, "shape", "two positive counts"),
        ({"shape": np.array([0, 2])}, "shape", "two positive counts"),
        ({"labels": np.array([0, 1])}, "labels", "3 classes"),
        ({"labels": np.array([0, -1, 1])}, "labels", "from 0"),
    ],
)
def test_defect_is_named_with_file_and_array(
    tmp_path: Path, changes: dict[str, Any], key: str, words: str
) -> None:
    path = _save(tmp_path, **changes)
    with pytest.raises(ModelError, match=words) as caught:
        read_graph_file(path)
    where = caught.value.findings[0].where
    assert (where.file, where.field) == (str(path), key)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = _save(tmp_path, labels=np.array([{}, {}, {}], dtype=object))
    with pytest.raises(ModelError, match=r"labels.*cannot be read"):
        read_graph_file(path)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "graph.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a NumPy archive"):
        read_graph_file(path)


def test_archive_cut_anywhere_is_refused_without_traceback(tmp_path: Path) -> None:
    whole = _save(tmp_path).read_bytes()
    path = tmp_path / "cut.npz"
    for length in range(0, len(whole), 41):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            read_graph_file(path)


def test_archive_with_a_damaged_array_is_refused_by_its_name(tmp_path: Path) -> None:
    path = _save(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[90] ^= 0xFF  # inside the packed bytes of the first array
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match="adj_indptr"):
        read_graph_file(path)


def test_missing_file_is_an_error_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="U106") as caught:
        read_graph_file(tmp_path / "absent.npz")
    assert caught.value.exit_code == 2


def test_cora_has_its_known_counts(shared: Path) -> None:
    path = shared / "data" / "cora.npz"
    if not path.is_file():
        pytest.skip(f"no Cora data set in {path.parent}")
    graph = read_graph_file(path)
    assert graph.features is not None
    assert graph.features.shape == (2708, 1433)
    assert np.count_nonzero(graph.features) == 49216
    assert graph.name == "cora"
    assert (graph.entries, graph.two_hops, graph.classes) == (10556, 115158, 7)
    assert (graph.degrees.max(), graph.degrees.min()) == (168, 1)
    assert (graph.repeats, graph.self_loops, graph.is_symmetric) == (0, 0, True)


def test_cora_with_one_edge_less_loses_its_name(shared: Path, tmp_path: Path) -> None:
    path = shared / "data" / "cora.npz"
    if not path.is_file():
        pytest.skip(f"no Cora data set in {path.parent}")
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["adj_indptr"][-1] -= 1
    arrays["adj_indices"] = arrays["adj_indices"][:-1]
    np.savez(tmp_path / "less.npz", **arrays)
    graph = read_graph_file(tmp_path / "less.npz")
    assert (graph.name, graph.is_symmetric) == ("user graph", False)
