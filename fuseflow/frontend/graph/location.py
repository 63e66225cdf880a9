# SPDX-License-Identifier: MIT
"""From the place of an operator in the user's model to the location of an error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fuseflow.errors import Finding, Location
from fuseflow.frontend.graph.alternatives import alternative
from fuseflow.ir.einsum import SourceLoc

__all__ = ["describe", "locate", "unsupported"]


def locate(source: SourceLoc) -> Location:
    """Return where an error about the operator at `source` is: line, module and node."""
    return Location(file=describe(source) if source.file else None, node=source.node or None)


def describe(source: SourceLoc) -> str:
    """Return the place of an operator for humans, as `net.py:40 (stem.conv)`."""
    module = source.scopes[-1][0] if source.scopes else ""
    line = f":{source.line}" if source.line else ""
    place = f"{source.file}{line}" if source.file else source.node
    return f"{place} ({module})" if module else place


def unsupported(what: str, sources: Sequence[SourceLoc], supported: Iterable[str]) -> Finding:
    """Return the finding on an operator without a rule that occurs at `sources`, in their order.

    `supported` names the operators that have one, of which the nearest is proposed.
    """
    times = f"{len(sources)} times" if len(sources) > 1 else "once"
    places = ", ".join(dict.fromkeys(describe(source) for source in sources))
    message = f"{what} is not supported; it occurs {times}: {places}"
    fix = alternative(what, supported)
    return Finding("I001 unsupported-operator", message, locate(sources[0]), fix)
