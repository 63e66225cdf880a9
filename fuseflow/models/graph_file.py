# SPDX-License-Identifier: MIT
"""Reads a graph data set from one NumPy archive, and trusts nothing in it.

Arrays: ``adj_indptr``, ``adj_indices`` (the pattern in CSR form), ``feat_indptr``,
``feat_indices``, ``feat_data`` (the features in CSR form; empty data means all ones), ``shape``
(nodes, features), and optionally ``labels`` (one class per node). Others are not read. Pickled
objects are refused.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, ModelError, UsageError
from fuseflow.models.case import require_dense_size
from fuseflow.models.graphs import GraphData, graph_from_pairs

__all__ = ["read_graph_file"]

_REQUIRED = ("adj_indptr", "adj_indices", "feat_indptr", "feat_indices", "feat_data", "shape")
_OPTIONAL = ("labels",)
_CORA = {"nodes": 2708, "entries": 10556, "features": 1433, "two_hops": 115158, "ones": 49216}

Arrays = dict[str, npt.NDArray[np.generic]]
Integers = npt.NDArray[np.int64]


def read_graph_file(path: str | Path) -> GraphData:
    """Read and check the graph of an archive; its features become a dense f32[n, F].

    The graph is called "cora" if it is that data set by its counts, else "user graph". Raises
    UsageError if there is no such file, ModelError if its content is wrong.
    """
    file = _File(str(path))
    nodes, width = file.shape()
    rows, columns = file.pattern("adj", nodes, nodes)
    features = file.features(nodes, width)
    classes = file.classes(nodes)
    name = _data_set_name(graph_from_pairs("", nodes, rows, columns), features)
    return graph_from_pairs(name, nodes, rows, columns, features=features, classes=classes)


def _data_set_name(graph: GraphData, features: npt.NDArray[np.float32]) -> str:
    counts = {
        "nodes": graph.nodes,
        "entries": graph.entries,
        "features": features.shape[1],
        "two_hops": graph.two_hops,
        "ones": int(np.count_nonzero(features == 1.0)),
    }
    return "cora" if counts == _CORA else "user graph"


class _File:
    """The arrays of one archive; every complaint names the file and the array."""

    __slots__ = ("_arrays", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._arrays = self._load()

    def shape(self) -> tuple[int, int]:
        """Return how many nodes and features there are."""
        shape = self._integers("shape")
        if len(shape) != 2 or shape.min() < 1:
            raise self._wrong("shape", f"must be two positive counts, got {shape.tolist()}")
        return int(shape[0]), int(shape[1])

    def pattern(self, prefix: str, rows: int, columns: int) -> tuple[Integers, Integers]:
        """Return row and column of each entry of a CSR pattern with rows x columns."""
        pointer_key, index_key = f"{prefix}_indptr", f"{prefix}_indices"
        indptr, indices = self._integers(pointer_key), self._integers(index_key)
        if len(indptr) != rows + 1:
            raise self._wrong(
                pointer_key, f"has {len(indptr)} entries, {rows} rows need {rows + 1}"
            )
        steps = np.diff(indptr)
        if indptr[0] != 0 or steps.min() < 0:
            raise self._wrong(pointer_key, "must start at 0 and never decrease")
        if indptr[-1] != len(indices):
            text = f"ends at {indptr[-1]}, but {index_key} has {len(indices)} entries"
            raise self._wrong(pointer_key, text)
        outside = np.flatnonzero((indices < 0) | (indices >= columns))
        if len(outside):
            text = f"entry {outside[0]} is {indices[outside[0]]}, not from 0 to {columns - 1}"
            raise self._wrong(index_key, text)
        return np.repeat(np.arange(rows, dtype=np.int64), steps), indices

    def features(self, nodes: int, width: int) -> npt.NDArray[np.float32]:
        """Return the features as a dense matrix."""
        rows, columns = self.pattern("feat", nodes, width)
        if len(np.unique(rows * width + columns)) != len(rows):
            raise self._wrong("feat_indices", "names a feature of a node twice")
        require_dense_size(f'the features of "{self._path}"', nodes, width)
        dense = np.zeros((nodes, width), dtype=np.float32)
        dense[rows, columns] = self._feature_values(len(rows))
        return dense

    def classes(self, nodes: int) -> int | None:
        """Return how many classes the labels name, or None without labels."""
        if "labels" not in self._arrays:
            return None
        labels = self._integers("labels")
        if len(labels) != nodes or labels.min() < 0:
            raise self._wrong("labels", f"must be {nodes} classes counted from 0")
        return int(labels.max()) + 1

    def _feature_values(self, count: int) -> npt.NDArray[np.float32]:
        data = self._arrays["feat_data"]
        if data.size == 0:
            return np.ones(count, dtype=np.float32)
        if data.ndim != 1 or data.dtype.kind not in "buif" or len(data) != count:
            text = f"must be empty or {count} numbers, got {data.dtype} {list(data.shape)}"
            raise self._wrong("feat_data", text)
        with np.errstate(over="ignore"):
            values = data.astype(np.float32)
        if not np.isfinite(values).all():
            raise self._wrong("feat_data", "has values that are not finite in float32")
        return values

    def _integers(self, key: str) -> Integers:
        array = self._arrays[key]
        if array.ndim != 1 or array.dtype.kind not in "ui":
            text = f"must be a list of integers, got {array.dtype} {list(array.shape)}"
            raise self._wrong(key, text)
        return array.astype(np.int64)

    def _load(self) -> Arrays:
        try:
            archive = np.load(self._path, allow_pickle=False)
        except OSError as error:
            raise self._unreadable(error) from error
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise self._no_archive() from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise self._no_archive()
        with archive:
            missing = [key for key in _REQUIRED if key not in archive]
            if missing:
                raise self._wrong(missing[0], f"missing from the archive: {', '.join(missing)}")
            return {
                key: self._array(archive, key) for key in _REQUIRED + _OPTIONAL if key in archive
            }

    def _array(self, archive: np.lib.npyio.NpzFile, key: str) -> npt.NDArray[np.generic]:
        try:
            return np.asarray(archive[key])
        except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise self._wrong(key, f"cannot be read: {error}") from error

    def _unreadable(self, error: OSError) -> UsageError:
        return UsageError(
            "U106 no-graph",
            f"no graph can be read here: {error.strerror or error}",
            where=Location(file=self._path),
            fix='name "karate", "powerlaw" or the path of a graph file',
        )

    def _no_archive(self) -> ModelError:
        return ModelError(
            "I101 graph-file", "is not a NumPy archive (.npz)", where=Location(file=self._path)
        )

    def _wrong(self, key: str, message: str) -> ModelError:
        return ModelError("I101 graph-file", message, where=Location(file=self._path, field=key))
