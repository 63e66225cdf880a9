# SPDX-License-Identifier: MIT
"""NumPy arrays <-> `Array` messages: packed bytes in the message, or in a file next to it.

External data is addressed by its content: a file holds one array and is named by its checksum, so
writing the same array twice writes it once, and a file never changes after it was made.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Location, WireError
from fuseflow.v1 import tensor_pb2 as pb
from fuseflow.wire.enums import get_enum, set_enum

__all__ = [
    "ALIGNMENT",
    "EXTERNAL_LIMIT",
    "MESSAGE_LIMIT",
    "ArrayReader",
    "ArrayWriter",
    "DataFolder",
    "too_large",
]

# Protobuf refuses messages of 2 GiB; some runtimes notice only when reading them.
MESSAGE_LIMIT = 2**31 - 1
EXTERNAL_LIMIT = 64 * 2**20
ALIGNMENT = 64

_FILE_NAME = re.compile(r"[0-9a-f]{64}\.bin")
_INTEGERS = frozenset({"int32", "uint32", "int64"})


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder for external data: `location` is how messages name it, relative to `base`."""

    base: Path
    location: str

    @property
    def path(self) -> Path:
        """Return the folder itself."""
        return self.base / self.location


@dataclass(slots=True)
class ArrayWriter:
    """Encodes arrays; those of more than `limit` bytes go to `folder`, if there is one."""

    folder: DataFolder | None = None
    limit: int = EXTERNAL_LIMIT
    message_limit: int = MESSAGE_LIMIT
    used: set[str] = field(default_factory=set)
    created: list[Path] = field(default_factory=list)
    inlined: int = 0

    def encode(self, array: npt.NDArray[np.generic], message: pb.Array) -> None:
        """Write an array of any numeric type into an empty message.

        Raises:
            WireError: W009 if the message would become too large.
            OSError: if the folder cannot be written.
        """
        set_enum(message, "element_type", array.dtype.name)
        message.shape.extend(array.shape)
        data = np.asarray(array, array.dtype.newbyteorder("<")).tobytes()
        if self.folder is not None and len(data) > self.limit:
            self._store(self.folder, data, message.external)
            return
        self.inlined += len(data)
        if self.inlined > self.message_limit:
            raise too_large()
        message.packed = data

    def discard(self) -> None:
        """Remove the files that this writer made, when the artifact could not be written."""
        for path in self.created:
            path.unlink(missing_ok=True)
        if self.created and self.folder is not None and not any(self.folder.path.iterdir()):
            self.folder.path.rmdir()

    def sweep(self) -> None:
        """Remove what earlier artifacts of the same name left in the folder."""
        if self.folder is None or not self.folder.path.is_dir():
            return
        for path in self.folder.path.glob("*.bin"):
            if path.name not in self.used and _FILE_NAME.fullmatch(path.name):
                path.unlink()
        if not any(self.folder.path.iterdir()):
            self.folder.path.rmdir()

    def _store(self, folder: DataFolder, data: bytes, external: pb.ExternalData) -> None:
        digest = hashlib.sha256(data)
        name = f"{digest.hexdigest()}.bin"
        external.location = f"{folder.location}/{name}"
        external.length = len(data)
        external.sha256 = digest.digest()
        self.used.add(name)
        path = folder.path / name
        if path.exists() and path.stat().st_size == len(data):
            return
        folder.path.mkdir(parents=True, exist_ok=True)
        self.created.append(path)
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        try:
            unfinished.write_bytes(data)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class ArrayReader:
    """Decodes arrays; external data is looked for below `base` (None: refused)."""

    base: Path | None = None

    def floats(self, message: pb.Array, field: str) -> npt.NDArray[np.float32]:
        """Return a float32 array that the caller owns.

        Raises:
            WireError: W006 if the type is another one, W007 or W008 if the data is not there.
        """
        word, where = get_enum(message, "element_type"), Location(field=field)
        if word != "float32":
            raise WireError("W006", f"elements are {word}, expected float32", where=where)
        return self._load(message, word, where).astype(np.float32)

    def integers(self, message: pb.Array, field: str) -> npt.NDArray[np.int64]:
        """Return an int64 array that the caller owns; int32 and uint32 are widened.

        Raises:
            WireError: as in `floats`.
        """
        word, where = get_enum(message, "element_type"), Location(field=field)
        if word not in _INTEGERS:
            expected = ", ".join(sorted(_INTEGERS))
            raise WireError("W006", f"elements are {word}, expected {expected}", where=where)
        return self._load(message, word, where).astype(np.int64)

    def _load(self, message: pb.Array, word: str, where: Location) -> npt.NDArray[np.generic]:
        dtype = np.dtype(word).newbyteorder("<")
        expected = math.prod(message.shape) * dtype.itemsize
        data = self._bytes(message, expected, where)
        if len(data) != expected:
            shape = "x".join(map(str, message.shape)) or "scalar"
            found = f"{len(data)} bytes for {shape} elements of {word}, expected {expected}"
            raise WireError("W007", found, where=where)
        return np.frombuffer(data, dtype).reshape(tuple(message.shape))

    def _bytes(self, message: pb.Array, expected: int, where: Location) -> bytes:
        kind = message.WhichOneof("storage")
        if kind is None:
            raise WireError("W006", "an array needs packed or external data", where=where)
        if kind == "packed":
            return message.packed
        if message.external.length != expected:
            found = f"external data of {message.external.length} bytes, expected {expected}"
            raise WireError("W007", found, where=where)
        return _read_external(_resolve(self.base, message.external, where), message.external, where)


def too_large() -> WireError:
    """Return the error W009."""
    return WireError(
        "W009",
        "the artifact would exceed 2 GiB, the limit of a protobuf message",
        fix="write to a file (-o FILE), or name a folder for large arrays (--data-dir DIR)",
    )


def _resolve(base: Path | None, external: pb.ExternalData, where: Location) -> Path:
    location = PurePosixPath(external.location)
    if base is None or location.is_absolute() or ".." in location.parts or not location.parts:
        raise _external_error(f"location {external.location!r} is not allowed", where)
    if external.offset % ALIGNMENT:
        raise _external_error(f"offset {external.offset} is no multiple of {ALIGNMENT}", where)
    path = (base / location).resolve()
    if not path.is_relative_to(base.resolve()):
        raise _external_error(f"location {external.location!r} leads outside", where)
    return path


def _read_external(path: Path, external: pb.ExternalData, where: Location) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(external.offset)
            data = file.read(external.length)
    except OSError as error:
        reason = f"cannot read {external.location}: {error.strerror}"
        raise _external_error(reason, where) from error
    if hashlib.sha256(data).digest() != external.sha256:
        raise _external_error(f"{external.location} has changed or is cut off", where)
    return data


def _external_error(message: str, where: Location) -> WireError:
    fix = "keep an artifact together with its .data folder"
    return WireError("W008", message, where=where, fix=fix)
