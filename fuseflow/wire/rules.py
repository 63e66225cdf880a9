# SPDX-License-Identifier: MIT
"""The rules of bytes: what an artifact must be before it becomes data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from fuseflow.errors import Finding, Location, WireError

__all__ = ["WIRE_RULES", "malformed", "within"]

WIRE_RULES: Mapping[str, str] = {
    "W001": "there is input",
    "W002": "the input is an artifact: a root message with a header in field 1",
    "W003": "the artifact is of the kind that the command works on",
    "W004": "the artifact is not newer than the command understands",
    "W005": "the content hash, if there is one, is that of the content",
    "W006": "required fields are present, enums have known values, numbers are in range",
    "W007": "the bytes of an array are as many as its type and shape say",
    "W008": "external data lies below the artifact's folder and is what the artifact says",
    "W009": "an artifact stays below 2 GiB",
    "W010": "names and ids are unique",
    "W011": "a text view or a configuration file follows the schema",
    "W012": "artifacts in one stream each have their length in front, if and only if that is asked "
    "for",
}


def malformed(message: str, field: str) -> WireError:
    """Return the error W006 for one field."""
    return WireError("W006", message, where=Location(field=field))


@contextmanager
def within(
    *, file: str | None = None, graph: str | None = None, node: str | None = None
) -> Iterator[None]:
    """Add a place to the wire errors of a block, where they do not name a narrower one."""
    try:
        yield
    except WireError as error:
        outer = Location(file, graph, node)
        findings = [_inside(finding, outer) for finding in error.findings]
        raise WireError.from_findings(findings) from error


def _inside(finding: Finding, outer: Location) -> Finding:
    where = finding.where
    place = replace(
        where,
        file=where.file or outer.file,
        graph=where.graph or outer.graph,
        node=where.node or outer.node,
    )
    return replace(finding, where=place)
