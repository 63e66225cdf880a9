# SPDX-License-Identifier: MIT
"""The rules of interchange, and the errors for breaking them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fuseflow.errors import InterchangeError, Location

__all__ = ["INTEROP_RULES", "in_file", "malformed", "refuse"]

INTEROP_RULES: Mapping[str, str] = {
    "X001": "a foreign file follows its format",
    "X002": "a ComalGraph is of the dialect that was named, or of one that it shows itself",
    "X003": "a stream has one producer and one consumer, of one kind",
    "X004": "the target can express every node of a kernel",
    "X005": "a node of a foreign graph is one that has a primitive here",
    "X006": "every edge of a foreign graph ends in a port that its node has",
    "X007": "streams that meet in a node are nested in the same indices",
    "X008": "the tensors of a foreign graph are there, with the levels that it walks",
    "X009": "the name of a tensor can be part of a file name",
    "X010": "a conversion loses nothing, if that is asked for",
}


def malformed(message: str, *, file: str | None = None, fix: str | None = None) -> InterchangeError:
    """Return the error X001 for a file."""
    return InterchangeError("X001", message, where=Location(file=file), fix=fix)


def refuse(
    rule: str,
    message: str,
    *,
    graph: str | None = None,
    node: str | None = None,
    field: str | None = None,
    fix: str | None = None,
) -> InterchangeError:
    """Return an error about a graph, a node or a tensor."""
    where = Location(graph=graph, node=node, field=field)
    return InterchangeError(rule, message, where=where, fix=fix)


def in_file(error: InterchangeError, file: str | None) -> InterchangeError:
    """Return the error with the file it is about, for findings that name none."""
    findings = [
        replace(item, where=replace(item.where, file=item.where.file or file))
        for item in error.findings
    ]
    return InterchangeError(
        findings[0].rule,
        findings[0].message,
        where=findings[0].where,
        fix=findings[0].fix,
        more=findings[1:],
    )
