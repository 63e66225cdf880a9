# SPDX-License-Identifier: MIT
"""Bytes of an artifact <-> its header and its content.

An artifact is a serialized root message whose header field comes first. Protobuf itself cannot
tell a message that is cut between two fields from a shorter one, nor two messages in a row from
one; the content hash in the header can. It covers all bytes behind the header field.

Several artifacts in one stream each have their length in front, as a varint.
"""

from __future__ import annotations

import hashlib
import io
import string
from collections.abc import Iterator
from typing import BinaryIO

from google.protobuf.message import DecodeError

from fuseflow.errors import WireError
from fuseflow.v1 import common_pb2 as pb

__all__ = [
    "HEADER_TAG",
    "check_hash",
    "delimit",
    "iterate_delimited",
    "join_header",
    "split_header",
]

# Tag of field 1 with a length.
HEADER_TAG = b"\x0a"

_FIRST_BYTES = (
    (b"PK\x03\x04", "a zip archive, such as a .pt2, .pt or .npz file", "import it with ff-import"),
    (b"\x89HDF", "an HDF5 file", "export the model to ONNX or .pt2 and import it with ff-import"),
    (b"\x93NUMPY", "a NumPy array", "bind it to an input with ff-import --bind"),
    (b"\x1f\x8b", "gzip data", "decompress it first"),
    (b"\x80\x02", "a Python pickle", "export the model to ONNX or .pt2"),
)
_ONNX_FIRST_TAG = 0x08
_ONNX_NEXT_TAGS = frozenset({0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42})
_TEXT = frozenset(string.printable.encode())
_SNIFFED = 256
_CHUNK = 1 << 20


def join_header(header: pb.Header) -> bytes:
    """Return the header as a serialized field, to be followed by the content."""
    data = header.SerializeToString(deterministic=True)
    return HEADER_TAG + _encode_varint(len(data)) + data


def split_header(data: bytes) -> tuple[pb.Header, memoryview]:
    """Return the header and the bytes behind it.

    Raises:
        WireError: W001 if there are no bytes, W002 if they are something else, W005 if they end
            within the header, W012 if they are artifacts with lengths.
    """
    if not data:
        raise WireError("W001", "no input; did the previous stage fail?")
    if not data.startswith(HEADER_TAG):
        raise _not_an_artifact(data)
    length, start = _decode_varint(data, 1)
    end = start + length
    try:
        header = pb.Header.FromString(data[start:end])
    except DecodeError as error:
        raise (_cut_off() if end > len(data) else _not_an_artifact(data)) from error
    if header.kind == pb.ARTIFACT_KIND_UNSPECIFIED:
        raise _not_an_artifact(data)
    if end > len(data):
        raise _cut_off()
    return header, memoryview(data)[end:]


def delimit(data: bytes) -> bytes:
    """Return an artifact as one of several: its length as a varint, then its bytes."""
    return _encode_varint(len(data)) + data


def iterate_delimited(file: BinaryIO) -> Iterator[bytes]:
    """Yield the artifacts of a stream of several, each as soon as it is complete.

    Raises:
        WireError: W001 if the stream is empty, W005 if it ends within an artifact, W012 if its
            lengths do not lead from one artifact to the next.
    """
    count = 0
    while (length := _read_length(file)) is not None:
        count += 1
        data = _read_exactly(file, length)
        if not data.startswith(HEADER_TAG) or not _has_header(data):
            raise _not_delimited(count)
        if len(data) < length:
            raise _cut_off()
        yield data
    if not count:
        raise WireError("W001", "no input; did the previous stage fail?")


def check_hash(header: pb.Header, content: memoryview) -> tuple[str, ...]:
    """Return a remark if the artifact has no hash.

    Raises:
        WireError: W005 if the hash is that of other bytes.
    """
    if not header.content_hash:
        return ("the artifact has no content hash: whether it is complete cannot be told",)
    if hashlib.sha256(content).digest() != header.content_hash:
        raise WireError(
            "W005",
            "the content does not match its hash: truncated, several files joined, or edited",
            fix="make the artifact again; a tool that edits it must clear header.content_hash",
        )
    return ()


def _read_length(file: BinaryIO) -> int | None:
    """Return the length in front of the next artifact, None at the end of the stream."""
    number = 0
    for count in range(10):
        byte = file.read(1)
        if not byte:
            if count:
                raise _cut_off()
            return None
        number |= (byte[0] & 0x7F) << (7 * count)
        if byte[0] < 0x80:
            return number
    raise _not_delimited(1)


def _read_exactly(file: BinaryIO, length: int) -> bytes:
    """Return that many bytes, or what is left; a pipe hands out less than it is asked for."""
    parts: list[bytes] = []
    while length > 0 and (part := file.read(min(length, _CHUNK))):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _has_header(data: bytes) -> bool:
    try:
        split_header(data)
    except WireError as error:
        return error.rule == "W005"  # cut off behind a header that can be read
    return True


def _not_delimited(count: int) -> WireError:
    fix = "leave --delimited out" if count == 1 else "make the stream again"
    message = f"artifact {count} of the stream is none: these are no artifacts with lengths"
    return WireError("W012", message, fix=fix)


def _is_delimited(data: bytes) -> bool:
    """Return whether bytes start with a length and an artifact of that length."""
    try:
        next(iterate_delimited(io.BytesIO(data)))
    except WireError:
        return False
    return True


def _cut_off() -> WireError:
    return WireError("W005", "the input is truncated", fix="make the artifact again")


def _not_an_artifact(data: bytes) -> WireError:
    if _is_delimited(data):
        return WireError("W012", "these are artifacts with lengths", fix="add --delimited")
    for magic, what, fix in _FIRST_BYTES:
        if data.startswith(magic):
            return WireError("W002", f"this is {what}, not an artifact of fuseflow", fix=fix)
    if len(data) > 2 and data[0] == _ONNX_FIRST_TAG and data[2] in _ONNX_NEXT_TAGS:
        return WireError("W002", "this looks like ONNX", fix="import it with ff-import")
    if _TEXT.issuperset(data[:_SNIFFED]):
        line = data[:_SNIFFED].decode("ascii").split("\n")[0][:40].strip()
        fix = "commands read binary artifacts, and text views with their first two lines kept"
        return WireError("W002", f"this is text ({line!r}), not an artifact of fuseflow", fix=fix)
    return WireError("W002", "this is not an artifact of fuseflow: it has no header")


def _encode_varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _decode_varint(data: bytes, start: int) -> tuple[int, int]:
    """Return the number at `start` and where it ends."""
    number = 0
    for count, byte in enumerate(data[start : start + 10]):
        number |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return number, start + count + 1
    raise _cut_off() if len(data) < start + 10 else _not_an_artifact(data)
