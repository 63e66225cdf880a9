# SPDX-License-Identifier: MIT
"""The header of an artifact: its kind, its version, and the stages that made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import fuseflow
from fuseflow.errors import WireError
from fuseflow.v1 import common_pb2 as pb

__all__ = [
    "SCHEMA_MAJOR",
    "SCHEMA_MINOR",
    "Provenance",
    "StageRecord",
    "check_version",
    "encode_header",
    "provenance_of",
]

SCHEMA_MAJOR = 1
SCHEMA_MINOR = 0


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One program run: program and version, its command, and the hash of what it wrote."""

    producer: str
    command_line: str = ""
    content_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What travels with an artifact but is none of its data.

    `stage` made the artifact, `history` are the stages before it, oldest first. `foreign` holds
    what this version does not know, and the annotations of other tools (see `wire.foreign`).
    """

    stage: StageRecord = StageRecord(f"fuseflow {fuseflow.__version__}")
    history: tuple[StageRecord, ...] = ()
    foreign: bytes = b""

    def then(self, stage: StageRecord) -> Provenance:
        """Return the provenance of what `stage` makes from this artifact."""
        return Provenance(stage, (*self.history, self.stage), self.foreign)


def encode_header(kind: int, provenance: Provenance, content_hash: bytes) -> pb.Header:
    """Return the header of an artifact that is about to be written."""
    header = pb.Header(kind=pb.ArtifactKind.Name(kind), content_hash=content_hash)
    header.producer = provenance.stage.producer
    header.schema_version.major = SCHEMA_MAJOR
    header.schema_version.minor = SCHEMA_MINOR
    header.command_line = provenance.stage.command_line
    for stage in provenance.history:
        header.history.add(
            producer=stage.producer,
            command_line=stage.command_line,
            content_hash=stage.content_hash,
        )
    return header


def provenance_of(header: pb.Header, foreign: bytes) -> Provenance:
    """Return who made an artifact that was read."""
    stages: list[Any] = [header, *header.history]
    stage, *history = [
        StageRecord(item.producer, item.command_line, item.content_hash) for item in stages
    ]
    return Provenance(stage, tuple(history), foreign)


def check_version(header: pb.Header) -> tuple[str, ...]:
    """Return a remark if the artifact is of a newer minor version.

    Raises:
        WireError: W004 if it is of a newer major version.
    """
    major, minor = header.schema_version.major, header.schema_version.minor
    found, known = f"{major}.{minor}", f"{SCHEMA_MAJOR}.{SCHEMA_MINOR}"
    if major > SCHEMA_MAJOR:
        raise WireError(
            "W004",
            f"written by {header.producer} with schema {found}, and this version reads {known}",
            fix="update fuseflow",
        )
    if major == SCHEMA_MAJOR and minor > SCHEMA_MINOR:
        return (f"schema {found} is newer than {known}: what is new is handed on, not used",)
    return ()
