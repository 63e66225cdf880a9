# SPDX-License-Identifier: MIT
"""Artifacts: a root of the in-memory data with its provenance, read from and written to bytes.

`read_artifact` and `write_artifact` are the two crossings between the data and the outside.
Nothing here knows what a stage does; verification of what was read is up to the caller.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from fuseflow.errors import WireError
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.report import SimulationReport
from fuseflow.v1 import common_pb2, dataflow_pb2, einsum_pb2, report_pb2
from fuseflow.wire.arrays import (
    EXTERNAL_LIMIT,
    MESSAGE_LIMIT,
    ArrayReader,
    ArrayWriter,
    DataFolder,
    too_large,
)
from fuseflow.wire.dataflow import decode_dataflow_program, encode_dataflow_program
from fuseflow.wire.einsum import decode_einsum_graph, encode_einsum_graph
from fuseflow.wire.files import replace_file
from fuseflow.wire.foreign import extract_foreign, merge_foreign
from fuseflow.wire.framing import check_hash, join_header, split_header
from fuseflow.wire.header import Provenance, check_version, encode_header, provenance_of
from fuseflow.wire.report import decode_report, encode_report
from fuseflow.wire.rules import within
from fuseflow.wire.text import is_text_view, message_name, parse_text, to_json, to_text

__all__ = [
    "Artifact",
    "Root",
    "Source",
    "read_any_artifact",
    "read_artifact",
    "view_artifact",
    "view_source",
    "write_artifact",
]

Root = EinsumGraph | DataflowProgram | SimulationReport
AnyRoot = TypeVar("AnyRoot", bound=Root)
Source = Path | BinaryIO | bytes


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of root: how it is crossed, and which command makes it.

    The numbers of the kinds are in the order of the commands.
    """

    name: str
    root: type
    number: int
    message: Callable[[], Message]
    encode: Callable[[Any, Any, ArrayWriter], None]
    decode: Callable[[Any, ArrayReader], Any]
    maker: str


_KINDS = (
    _Kind(
        "EinsumGraph",
        EinsumGraph,
        common_pb2.ARTIFACT_KIND_EINSUM_GRAPH,
        einsum_pb2.EinsumGraph,
        encode_einsum_graph,
        decode_einsum_graph,
        "ff-import",
    ),
    _Kind(
        "DataflowProgram",
        DataflowProgram,
        common_pb2.ARTIFACT_KIND_DATAFLOW_PROGRAM,
        dataflow_pb2.DataflowProgram,
        encode_dataflow_program,
        decode_dataflow_program,
        "ff-fuse",
    ),
    _Kind(
        "SimulationReport",
        SimulationReport,
        common_pb2.ARTIFACT_KIND_SIMULATION_REPORT,
        report_pb2.SimulationReport,
        encode_report,
        decode_report,
        "ff-sim",
    ),
)
_BY_NUMBER = {kind.number: kind for kind in _KINDS}
_BY_NAME = {kind.name: kind for kind in _KINDS}
_BY_ROOT = {kind.root: kind for kind in _KINDS}


@dataclass(frozen=True, slots=True)
class Artifact(Generic[AnyRoot]):
    """A root, where it comes from, and what the reader has to remark about its bytes."""

    root: AnyRoot
    provenance: Provenance = field(default_factory=Provenance)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A parsed root message, not decoded yet."""

    kind: _Kind
    message: Any
    remarks: tuple[str, ...]
    base: Path


def read_artifact(
    source: Source, kind: type[AnyRoot], name: str | None = None
) -> Artifact[AnyRoot]:
    """Read an artifact of one kind, binary or as a text view.

    Args:
        source: a file, an open binary file, or bytes. External data is looked for below the
            file's folder, or below the working folder.
        kind: the class of the root that is expected.
        name: what errors call the source; by default the path or "standard input".

    Raises:
        WireError: if the bytes break a rule of `WIRE_RULES`.
        OSError: if the file cannot be read.
    """
    place = name or _name_of(source)
    with within(file=place):
        loaded = _load(source)
        _expect(_BY_ROOT[kind], loaded.kind)
        return _decode(loaded)


def read_any_artifact(source: Source, name: str | None = None) -> Artifact[Any]:
    """Read an artifact of any kind; otherwise like `read_artifact`."""
    with within(file=name or _name_of(source)):
        return _decode(_load(source))


def write_artifact(
    artifact: Artifact[AnyRoot],
    target: Path | BinaryIO,
    *,
    limit: int = EXTERNAL_LIMIT,
    folder: DataFolder | None = None,
) -> None:
    """Write an artifact: a file appears complete or not at all.

    Arrays of more than `limit` bytes go to `folder`; for a file the default is `<name>.data` next
    to it, which then holds nothing else.

    Raises:
        WireError: W009 if the message would exceed 2 GiB.
        OSError: if the target cannot be written.
    """
    owned = folder is None and isinstance(target, Path) and _is_plain(target)
    if owned and isinstance(target, Path):
        folder = DataFolder(target.parent, f"{target.name}.data")
    arrays = ArrayWriter(folder, limit)
    try:
        message, content = _build(artifact, arrays)
        parts = (join_header(message.header), content)
        if isinstance(target, Path):
            replace_file(target, parts)
        else:
            target.writelines(parts)
    except BaseException:
        arrays.discard()
        raise
    if owned:
        arrays.sweep()


def view_artifact(artifact: Artifact[AnyRoot], form: str) -> str:
    """Return an artifact as it would be written, as "text" or "json"."""
    message, _ = _build(artifact, ArrayWriter())
    return _VIEWS[form](message)


def view_source(source: Source, form: str, name: str | None = None) -> tuple[str, tuple[str, ...]]:
    """Return the view of an artifact as it is stored, and the remarks about its bytes.

    Raises:
        WireError: if the bytes are no artifact; its content is not looked at.
    """
    with within(file=name or _name_of(source)):
        loaded = _load(source)
    return _VIEWS[form](loaded.message), loaded.remarks


_VIEWS: Mapping[str, Callable[[Message], str]] = {"text": to_text, "json": to_json}


def _load(source: Source) -> _Loaded:
    data = _read_bytes(source)
    base = source.parent if isinstance(source, Path) else Path()
    if is_text_view(data):
        return _load_text(data, base)
    header, content = split_header(data)
    kind = _BY_NUMBER.get(header.kind)
    remarks = check_version(header)
    if kind is None:
        raise WireError("W002", f"this is an artifact of an unknown kind ({header.kind})")
    remarks += check_hash(header, content)
    message: Any = kind.message()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise WireError("W005", "the content is damaged", fix="make it again") from error
    return _Loaded(kind, message, remarks, base)


def _load_text(data: bytes, base: Path) -> _Loaded:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise WireError("W011", f"the text view is not UTF-8: {error.reason}") from error
    name = message_name(text)
    if name not in _BY_NAME:
        raise WireError("W011", f"a text view of {name} is no artifact")
    kind = _BY_NAME[name]
    message: Any = parse_text(text, kind.message())
    return _Loaded(kind, message, check_version(message.header), base)


def _expect(expected: _Kind, found: _Kind) -> None:
    if expected is found:
        return
    comes_first = expected.number > found.number
    advice = (
        f"run {expected.maker} first" if comes_first else f"it takes what {expected.maker} makes"
    )
    raise WireError("W003", f"expected {_a(expected)}, got {_a(found)}: {advice}")


def _decode(loaded: _Loaded) -> Artifact[Any]:
    message = loaded.message
    provenance = provenance_of(message.header, extract_foreign(message))
    root = loaded.kind.decode(message, ArrayReader(loaded.base))
    return Artifact(root, provenance, loaded.remarks)


def _build(artifact: Artifact[AnyRoot], arrays: ArrayWriter) -> tuple[Any, bytes]:
    """Return the root message with its header, and the serialized fields behind the header."""
    kind = _BY_ROOT[type(artifact.root)]
    message: Any = kind.message()
    kind.encode(artifact.root, message, arrays)
    # Present while foreign fields are merged, so that those of the header find their place.
    message.header.CopyFrom(encode_header(kind.number, artifact.provenance, b""))
    merge_foreign(artifact.provenance.foreign, message)
    header = common_pb2.Header()
    header.CopyFrom(message.header)
    message.ClearField("header")
    content: bytes = message.SerializeToString(deterministic=True)
    header.content_hash = hashlib.sha256(content).digest()
    message.header.CopyFrom(header)
    if len(content) + header.ByteSize() > MESSAGE_LIMIT:
        raise too_large()
    return message, content


def _read_bytes(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    return source.read_bytes() if isinstance(source, Path) else source.read()


def _name_of(source: Source) -> str:
    if isinstance(source, Path):
        return str(source)
    return "the input" if isinstance(source, bytes) else "standard input"


def _is_plain(path: Path) -> bool:
    """Return whether a path is, or would become, a plain file."""
    return path.is_file() or not path.exists()


def _a(kind: _Kind) -> str:
    return f"{'an' if kind.name[0] in 'AEIOU' else 'a'} {kind.name}"
