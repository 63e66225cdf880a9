# SPDX-License-Identifier: MIT
"""What a user may call a tensor: its name, or the module that uses it and its part there.

Not here: what is said about the tensor (`sidecar`, `formats`).
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fuseflow.errors import Location, UsageError
from fuseflow.frontend.einsums.views import StoredOperand
from fuseflow.frontend.storage.sidecar import SidecarEntry
from fuseflow.ir.einsum import EinsumGraph, Role

__all__ = ["Address", "find_addresses", "matches_name", "nearest", "require_matches"]


@dataclass(frozen=True, slots=True)
class Address:
    """The names of a tensor, the paths of the modules that own or read it, and its roles."""

    names: tuple[str, ...]
    scopes: tuple[str, ...]
    roles: frozenset[str]

    def fits(self, entry: SidecarEntry) -> bool:
        """Tell whether an entry of a sidecar means this tensor."""
        if entry.match:
            return matches_name(entry.match, self.names)
        in_scope = not entry.scope or matches_name(entry.scope, self.scopes)
        return in_scope and (not entry.role or entry.role in self.roles)


def find_addresses(graph: EinsumGraph, operands: Mapping[str, StoredOperand]) -> dict[str, Address]:
    """Return the address of every operand of `graph`."""
    readers = graph.consumers()
    found: dict[str, Address] = {}
    for name, operand in operands.items():
        label = operand.source.label or name
        sources = [source for op in readers[name] for source in op.sources]
        scopes = [source.scopes[-1][0] for source in sources if source.scopes]
        owner = [label.rpartition(".")[0]] if operand.source.role is Role.PARAMETER else []
        names = tuple(dict.fromkeys((name, label)))
        found[name] = Address(names, tuple(dict.fromkeys(owner + scopes)), _roles(operand))
    return found


def require_matches(entries: Iterable[SidecarEntry], addresses: Mapping[str, Address]) -> None:
    """Refuse an entry that means no tensor.

    Raises UsageError U120 that lists the nearest names, scopes or roles there are.
    """
    for entry in entries:
        if any(address.fits(entry) for address in addresses.values()):
            continue
        known = sorted({name for each in addresses.values() for name in each.names})
        wanted = entry.match
        if not wanted:
            wanted = entry.scope
            known = sorted({scope for each in addresses.values() for scope in each.scopes})
        raise UsageError(
            "U120 unknown-tensor",
            f"no input, parameter or constant is called {entry}"
            if entry.match
            else f"no input, parameter or constant has {entry}",
            where=Location(file=entry.where),
            fix=f"use one of {', '.join(nearest(wanted, known))}",
        )


def matches_name(pattern: str, names: Iterable[str]) -> bool:
    """Tell whether a name or glob is one of `names`."""
    return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for name in names)


def nearest(wanted: str, known: Iterable[str]) -> list[str]:
    """Return the three names most like the one that does not exist, or some if none is."""
    names = [name for name in dict.fromkeys(known) if name]
    return difflib.get_close_matches(wanted, names, n=3, cutoff=0.3) or names[:8]


def _roles(operand: StoredOperand) -> frozenset[str]:
    shape = operand.source.shape
    real = [extent for extent in shape if extent != 1]
    role, roles = operand.source.role, set()
    if role is Role.PARAMETER:
        roles.add("weight" if len(real) > 1 else "bias")
    else:
        roles.add("input" if role is Role.INPUT else "constant")
    if operand.is_mask:
        roles.add("mask")
    elif len(real) == 2 and real[0] == real[1] and role is not Role.PARAMETER:
        roles.add("adjacency")
    return frozenset(roles)
