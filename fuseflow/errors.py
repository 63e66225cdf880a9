# SPDX-License-Identifier: MIT
"""The exception tree of fuseflow: every error carries a rule id, a location and, if known, a fix.

Nothing here prints: an error is formatted once, by the command line. Rule ids are stable and are
what tests match: `U` usage, `I` import, `E` einsum graph, `P` pass or schedule, `D` dataflow
graph, `W` wire, `S` simulator, `X` interchange with other tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "CheckFailedError",
    "DeadlockError",
    "Finding",
    "FuseflowError",
    "GraphError",
    "InterchangeError",
    "LimitError",
    "Location",
    "ModelError",
    "ScheduleError",
    "UsageError",
    "WireError",
]


@dataclass(frozen=True, slots=True)
class Location:
    """Where something is wrong, from the outside in; parts that do not apply are None."""

    file: str | None = None
    graph: str | None = None
    node: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        parts = [self.file] if self.file else []
        parts += [f'{kind} "{name}"' for kind, name in self._named() if name]
        return ": ".join(parts)

    def _named(self) -> tuple[tuple[str, str | None], ...]:
        return (("graph", self.graph), ("node", self.node), ("field", self.field))


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule; several of a kind are reported together."""

    rule: str
    message: str
    where: Location = field(default_factory=Location)
    fix: str | None = None

    def __str__(self) -> str:
        place = str(self.where)
        text = f"{self.rule}: {place}: {self.message}" if place else f"{self.rule}: {self.message}"
        return f"{text}; fix: {self.fix}" if self.fix else text


class FuseflowError(Exception):
    """Base of all errors that a user may see; `exit_code` is the exit code of a command."""

    exit_code = 1

    def __init__(
        self,
        rule: str,
        message: str,
        *,
        where: Location | None = None,
        fix: str | None = None,
        more: Sequence[Finding] = (),
    ) -> None:
        """Build an error from one finding, with `more` findings of the same kind behind it."""
        first = Finding(rule, message, where or Location(), fix)
        self.findings: tuple[Finding, ...] = (first, *more)
        super().__init__(str(first))

    @classmethod
    def from_findings(cls, findings: Sequence[Finding]) -> FuseflowError:
        """Wrap a non-empty list of findings into one error of this class."""
        first, *rest = findings
        return cls(first.rule, first.message, where=first.where, fix=first.fix, more=rest)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the findings, which the message does not tell."""
        return type(self).from_findings, (self.findings,), self.__dict__

    @property
    def rule(self) -> str:
        """Rule id of the first finding."""
        return self.findings[0].rule


class UsageError(FuseflowError):
    """The command is wrong: unknown option, missing file, bad value."""

    exit_code = 2


class ModelError(FuseflowError):
    """The model cannot be imported."""


class GraphError(FuseflowError):
    """An einsum graph or a dataflow graph breaks a rule of the verifier."""


class ScheduleError(FuseflowError):
    """A schedule asks for something that is not legal on this graph."""


class WireError(FuseflowError):
    """Bytes are not what they should be: wrong kind, truncated, unknown version."""


class InterchangeError(FuseflowError):
    """A foreign file cannot be read, or a program cannot be written in a foreign format."""


class CheckFailedError(FuseflowError):
    """Simulated outputs differ from the stored reference."""


class LimitError(FuseflowError):
    """A simulation reached a limit that the user set."""

    exit_code = 3


class DeadlockError(FuseflowError):
    """No node of a dataflow graph can make progress, and not all are done."""

    exit_code = 3
