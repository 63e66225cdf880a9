# SPDX-License-Identifier: MIT
"""Read a ComalGraph file in the dialect that it is in, and write one.

A file does not say its dialect, and one read in the wrong one may parse, with streams missing. So
a dialect fits only if nothing in the file is unknown to it and the operators that differ have all
their streams. A graph without such operators means the same in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fuseflow.errors import InterchangeError
from fuseflow.interop.comal.message import Message, decode, has_unknown
from fuseflow.interop.comal.schema import DIALECTS, PUBLIC, schema_of
from fuseflow.interop.comal.text import named_dialect, parse_text
from fuseflow.interop.faults import in_file, malformed

__all__ = ["parse_graph", "read_graph"]


def read_graph(path: Path, dialect: str | None = None) -> Message:
    """Read a ComalGraph from a file of bytes or text; see `parse_graph`.

    Raises:
        InterchangeError: with the file's name.
        OSError: if the file cannot be read.
    """
    return parse_graph(path.read_bytes(), dialect, str(path))


def parse_graph(data: bytes, dialect: str | None = None, file: str | None = None) -> Message:
    """Read a ComalGraph from bytes, which may hold its text form.

    Args:
        data: the content of a file.
        dialect: one of `DIALECTS`, None to find out.
        file: what errors call the source.

    Raises:
        InterchangeError: X001 if this is no graph, X002 if it is of another dialect, or of none.
    """
    text = _as_text(data)
    try:
        named = named_dialect(text) if text is not None else None
        if dialect and named and dialect != named:
            raise InterchangeError("X002", f"the text says that it is {named}, not {dialect}")
        wanted = [dialect or named] if dialect or named else list(DIALECTS)
        graph = _first_fit([name for name in wanted if name], data, text)
    except InterchangeError as error:
        raise in_file(error, file) from error
    if graph["graph"] is None or not graph["graph"]["operators"]:
        raise malformed("the graph has no operators", file=file)
    return graph


def _first_fit(dialects: Sequence[str], data: bytes, text: str | None) -> Message:
    reasons = []
    for name in dialects:
        try:
            schema = schema_of(name)
            graph = decode(schema, data) if text is None else parse_text(schema, text)
            reason = next(_misfits(graph), None)
        except InterchangeError as error:
            reason = error.findings[0].message
        if reason is None:
            return graph
        reasons.append(f"{name}: {reason}")
    if len(reasons) == 1:
        raise InterchangeError("X002", f"this is no graph of dialect {reasons[0]}")
    fix = "name the dialect, or export the graph again with a current tool"
    raise InterchangeError("X002", f"the graph fits no dialect ({'; '.join(reasons)})", fix=fix)


def _misfits(graph: Message) -> Iterator[str]:
    """Yield what shows that a graph is not of the dialect that it was read in."""
    if has_unknown(graph):
        yield "it has fields that this dialect does not have"
    if graph["graph"] is None:
        return
    for operation in graph["graph"]["operators"]:
        kind = operation.chosen("op")
        if kind is None:
            yield f'operator "{operation["name"]}" is of no known kind'
        elif kind == "joiner":
            yield from _joiner_misfits(operation[kind])
        elif kind == "repeat" and not _is_repeat(operation[kind]):
            yield "a repeat lacks a stream"


def _joiner_misfits(joiner: Message) -> Iterator[str]:
    payload = "ref" if joiner.schema.dialect == PUBLIC else "in_ref"
    pairs = joiner["input_pairs"]
    if any(pair["crd"] is None or pair[payload] is None for pair in pairs):
        yield "a joiner lacks a stream"
    if len(pairs) != len(joiner["output_refs"]):
        yield "a joiner has not as many outputs as inputs"


def _is_repeat(repeat: Message) -> bool:
    if repeat.schema.dialect == PUBLIC:
        signal = repeat["input_rep_ref"] or repeat["input_rep_sig"]
        return None not in (repeat["input_ref"], repeat["output_ref"], signal)
    return all(repeat.chosen(name) for name in ("input_ref", "output_ref", "input_rep_sig"))


def _as_text(data: bytes) -> str | None:
    """Return the text of a text file; a binary graph holds bytes below the blank."""
    if not data:
        return None
    if any(byte < 0x20 and byte not in b"\t\r\n" for byte in data):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
