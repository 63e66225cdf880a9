# SPDX-License-Identifier: MIT
"""One tensor from, or to, a file of any kind that we know; the kind is that of its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuseflow.errors import Location, UsageError
from fuseflow.interop.faults import malformed
from fuseflow.interop.tensors.archives import read_npy, read_npz, write_npy, write_npz
from fuseflow.interop.tensors.directory import TensorFolder, write_tensor
from fuseflow.interop.tensors.entries import Entries
from fuseflow.interop.tensors.text_files import (
    read_matrix_market,
    read_tns,
    write_matrix_market,
    write_tns,
)
from fuseflow.ir.tensor import (
    Format,
    Tensor,
    tensor_from_coordinates,
    tensor_from_dense,
)

__all__ = ["TENSOR_SUFFIXES", "convert_tensor", "read_tensor", "write_tensor_file"]

TENSOR_SUFFIXES = (".mtx", ".mtx.gz", ".tns", ".tns.gz", ".npy", ".npz")


def read_tensor(
    source: str, fmt: Format | None = None, shape: Sequence[int] | None = None
) -> tuple[Tensor, tuple[str, ...]]:
    """Read `FILE`, `FILE.npz:KEY` or `FOLDER:NAME` (a tensor directory).

    Args:
        source: where the tensor is.
        fmt: how to store it; by default as the file does.
        shape: sizes, for formats that do not state them; otherwise they must agree.

    Returns:
        The tensor, and remarks on what was repaired.

    Raises:
        UsageError: if there is no such file, or no reader for it.
        InterchangeError: if its content is wrong.
    """
    path, key = _split(source)
    if path.is_dir():
        folder = TensorFolder(path)
        tensor = folder.read(key, shape=shape)
        tensor, remarks = convert_tensor(tensor, fmt), tuple(folder.remarks)
    else:
        tensor, remarks = _from_file(path, key, fmt, shape)
    if shape is not None and tensor.shape != tuple(shape):
        message = f"it has shape {list(tensor.shape)}, expected {list(shape)}"
        raise malformed(message, file=source)
    return tensor, remarks


def _from_file(
    path: Path, key: str, fmt: Format | None, shape: Sequence[int] | None
) -> tuple[Tensor, tuple[str, ...]]:
    name = path.name.removesuffix(".gz")
    reader = _READERS.get(Path(name).suffix.lower())
    if reader is None:
        fix = f"use {', '.join(TENSOR_SUFFIXES)} or a tensor directory"
        raise UsageError(
            "U202 operand-kind", "unknown kind of tensor", where=Location(str(path)), fix=fix
        )
    content = reader(path, key, shape)
    if isinstance(content, Entries):
        return content.tensor(fmt)
    try:
        return tensor_from_dense(content.astype(np.float32), fmt), ()
    except ValueError as error:
        raise malformed(str(error), file=str(path)) from error


def convert_tensor(tensor: Tensor, fmt: Format | None) -> Tensor:
    """Store a tensor in another format.

    What a stored level holds stays an entry, zero or not; what a dense level holds is one only if
    it differs from the background.
    """
    if fmt is None or tensor.format == fmt:
        return tensor
    values = np.ones(tensor.stored, np.float32) if tensor.values is None else tensor.values
    coordinates = tensor.coordinates()
    if tensor.levels and not tensor.levels[-1].format.is_stored:
        kept = values != np.float32(tensor.fill)
        coordinates, values = coordinates[kept], values[kept]
    return tensor_from_coordinates(tensor.shape, coordinates, values, fmt, fill=tensor.fill)


def write_tensor_file(target: Path, name: str, tensor: Tensor) -> None:
    """Write one tensor to a file, or into the folder of a tensor directory.

    Raises:
        UsageError: if there is no writer for the file's name.
        InterchangeError: if the format cannot hold the tensor.
        OSError: if the target cannot be written.
    """
    suffix = Path(target.name.removesuffix(".gz")).suffix.lower()
    writer = _WRITERS.get(suffix)
    if writer is not None:
        writer(target, tensor)
    elif not suffix:
        write_tensor(target, name, tensor)
    else:
        fix = f"use {', '.join(TENSOR_SUFFIXES)} or a folder"
        raise UsageError(
            "U202 operand-kind", "unknown kind of tensor", where=Location(str(target)), fix=fix
        )


def _split(source: str) -> tuple[Path, str]:
    path, key = Path(source), ""
    if not path.exists() and ":" in source:
        head, _, key = source.rpartition(":")
        path = Path(head)
    if not path.exists() or (path.is_dir() and not key):
        message = "name a tensor as FOLDER:NAME" if path.is_dir() else "there is no such file"
        raise UsageError("U203 no-operand", message, where=Location(str(path)))
    return path, key


_READERS: Mapping[str, Callable[[Path, str, Sequence[int] | None], Any]] = {
    ".mtx": lambda path, _key, _shape: read_matrix_market(path),
    ".tns": lambda path, _key, shape: read_tns(path, shape),
    ".npy": lambda path, _key, _shape: read_npy(path),
    ".npz": lambda path, key, _shape: read_npz(path, key),
}
_WRITERS: Mapping[str, Callable[[Path, Tensor], None]] = {
    ".mtx": write_matrix_market,
    ".tns": write_tns,
    ".npy": write_npy,
    ".npz": write_npz,
}
