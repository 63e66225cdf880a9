# SPDX-License-Identifier: MIT
"""Run-time errors of a simulation: one function per broken rule, shared by both simulators.

A fault is never repaired silently: a wrong token ends the run with the unit, the ports and the
tokens that do not fit. Deadlocks and limits are results, not faults (`MachineResult`).
"""

from __future__ import annotations

from collections.abc import Mapping

from fuseflow.errors import GraphError, Location
from fuseflow.sim.tokens import Token, format_token

__all__ = [
    "LEFTOVER",
    "MALFORMED",
    "MISALIGNED",
    "OUT_OF_RANGE",
    "OVERFULL",
    "RESULT",
    "SCRAMBLED",
    "cut_short",
    "leftover",
    "malformed",
    "misaligned",
    "out_of_range",
    "overfull",
    "scrambled",
    "wrong_result",
]

MISALIGNED = "S001 misaligned"
OUT_OF_RANGE = "S002 out-of-range"
OVERFULL = "S003 overfull"
MALFORMED = "S004 malformed"
SCRAMBLED = "S005 scrambled"
LEFTOVER = "S007 leftover"
RESULT = "S006 wrong-result"


def misaligned(kernel: str, unit: str, heads: Mapping[str, tuple[int, Token]]) -> GraphError:
    """Tokens that must correspond do not; `heads` has token index and token by port name."""
    parts = [f"{port}[{i}] = {format_token(token)}" for port, (i, token) in heads.items()]
    return GraphError(
        MISALIGNED,
        f"streams do not fit each other: {', '.join(parts)}",
        where=Location(graph=kernel, node=unit),
    )


def out_of_range(kernel: str, unit: str, what: str, value: int, bound: int) -> GraphError:
    """A coordinate or reference is not below its bound."""
    return GraphError(
        OUT_OF_RANGE,
        f"{what} {value} is outside 0..{bound - 1}",
        where=Location(graph=kernel, node=unit),
    )


def overfull(kernel: str, unit: str, count: int, extent: int) -> GraphError:
    """A list holds more entries than the extent that it is declared to have."""
    return GraphError(
        OVERFULL,
        f"a list of {count} entries exceeds its extent {extent}",
        where=Location(graph=kernel, node=unit),
    )


def malformed(kernel: str, channel: str, index: int, token: Token, depth: int) -> GraphError:
    """A token is not allowed where it stands in a stream of this depth."""
    return GraphError(
        MALFORMED,
        f'stream "{channel}" of depth {depth} cannot have token {index} = {format_token(token)}',
        where=Location(graph=kernel),
    )


def cut_short(channel: str, index: int, depth: int) -> GraphError:
    """A stream ends before its root list is closed, or without its last token."""
    message = f'stream "{channel}" of depth {depth} is cut short after {index} tokens'
    return GraphError(MALFORMED, message)


def scrambled(kernel: str, unit: str, before: int, after: int) -> GraphError:
    """Coordinates of a list that is merged are not strictly ascending."""
    return GraphError(
        SCRAMBLED,
        f"coordinates must ascend, but {after} follows {before}",
        where=Location(graph=kernel, node=unit),
    )


def leftover(kernel: str, unit: str, channel: str, index: int, token: Token) -> GraphError:
    """A unit has finished before it read all of a stream."""
    return GraphError(
        LEFTOVER,
        f'token {index} = {format_token(token)} of stream "{channel}" was not read',
        where=Location(graph=kernel, node=unit),
    )


def wrong_result(kernel: str, unit: str, message: str) -> GraphError:
    """What a writer stored does not fit the format or the size of its tensor."""
    return GraphError(RESULT, message, where=Location(graph=kernel, node=unit))
