# SPDX-License-Identifier: MIT
"""Arrays from the tensors of an ONNX file: checked before they are read, and before they are big.

Not here: which tensors a model has (`onnx.load`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, ModelError

if TYPE_CHECKING:
    import onnx

__all__ = ["LIMIT_BYTES", "first_line", "read_sparse", "read_tensor", "refuse"]

# Bytes of one file or tensor; protobuf itself cannot hold more.
LIMIT_BYTES = 2**31

Array = npt.NDArray[Any]


def read_tensor(path: Path, tensor: onnx.TensorProto) -> Array:
    """Return the array of a tensor; external data is read into the tensor first."""
    import onnx

    elements = _count(path, tensor.name, tuple(tensor.dims))
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        tensor.raw_data = _read_external(path, tensor)
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except (TypeError, ValueError, KeyError) as error:
        message = f"{elements} elements are declared, but {first_line(error)}"
        raise refuse(path, "I213 onnx-tensor", message, node=tensor.name) from error
    return np.asarray(array)


def _read_external(path: Path, tensor: onnx.TensorProto) -> bytes:
    """Read the bytes of an external tensor from a file inside the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    folder = path.resolve().parent
    file = (folder / entries.get("location", "")).resolve()
    if folder not in file.parents:
        message = f'external data "{entries.get("location")}" is outside the folder of the model'
        raise refuse(path, "I214 external-data", message, node=tensor.name)
    if not file.is_file():
        raise refuse(
            path,
            "I214 external-data",
            f'external data "{entries.get("location")}" is missing',
            node=tensor.name,
            fix="keep it beside the model",
        )
    offset, length = _external_range(path, tensor.name, entries, file.stat().st_size)
    with file.open("rb") as stream:
        stream.seek(offset)
        return stream.read(length)


def _external_range(path: Path, name: str, entries: dict[str, str], size: int) -> tuple[int, int]:
    """Return offset and length of external data, checked against the size of its file."""
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(size - offset)))
    except ValueError as error:
        raise refuse(path, "I214 external-data", "has no valid range", node=name) from error
    if offset < 0 or length < 0 or offset + length > size:
        message = f"bytes {offset} to {offset + length} are outside a file of {size}"
        raise refuse(path, "I214 external-data", message, node=name)
    return offset, length


def read_sparse(path: Path, sparse: onnx.SparseTensorProto) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the dense array and the stored positions of a sparse initializer."""
    name, shape = sparse.values.name, tuple(sparse.dims)
    elements = _count(path, name, shape)
    values, indices = read_tensor(path, sparse.values), read_tensor(path, sparse.indices)
    if indices.ndim == 2 and indices.shape[1] == len(shape):
        inside = bool(((indices >= 0) & (indices < np.array(shape))).all())
        flat = np.ravel_multi_index(tuple(indices.T), shape) if inside else indices
    else:
        flat, inside = indices, bool(((indices >= 0) & (indices < elements)).all())
    if not inside or flat.ndim != 1 or values.shape != flat.shape:
        message = f"indices do not fit {len(values)} values in a tensor of shape {list(shape)}"
        raise refuse(path, "I213 onnx-tensor", message, node=name)
    dense = np.zeros(elements, dtype=values.dtype)
    stored = np.zeros(elements, dtype=np.bool_)
    dense[flat], stored[flat] = values, True
    return dense.reshape(shape), stored.reshape(shape)


def _count(path: Path, name: str, shape: tuple[int, ...]) -> int:
    """Return the elements of a declared shape, or refuse one that no machine could hold."""
    elements = int(np.prod(shape, dtype=object)) if shape else 1
    if min(shape, default=0) < 0 or elements * 4 > LIMIT_BYTES:
        message = f"declares the shape {list(shape)}, which is not from 0 to 2 GiB"
        raise refuse(path, "I213 onnx-tensor", message, node=name)
    return elements


def first_line(error: BaseException) -> str:
    """Return the first line of a library's message that says something, without its prefix."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines) if lines else type(error).__name__
    return text.replace("[ShapeInferenceError] ", "")[:300]


def refuse(
    path: Path, rule: str, message: str, *, node: str | None = None, fix: str | None = None
) -> ModelError:
    """Return the error for a file, and for the node or tensor in it that is wrong."""
    return ModelError(rule, message, where=Location(file=str(path), node=node or None), fix=fix)
