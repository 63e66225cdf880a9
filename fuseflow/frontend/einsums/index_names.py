# SPDX-License-Identifier: MIT
"""Names of index variables: short, stable, and of one extent each across a graph.

A name belongs to an atom. Most atoms need one name; an atom that an einsum uses twice (the rows and
the columns of a square matrix) has two, which the other einsums share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

__all__ = ["IndexNames"]

LETTERS = "ijkmnpqrstuvwxyzabcdefgh"


class IndexNames:
    """Gives out names in the order i, j, k, ...; i1, j1, ... follow."""

    def __init__(self) -> None:
        self._names: dict[int, list[str]] = {}
        self._unused = _all_names()

    def choose(self, atom: int, taken: Set[str], wanted: Iterable[str] = ()) -> str:
        """Return a name for `atom` that is not taken: a wanted one, else one that it has, or new.

        The wanted names must be names of this atom.
        """
        known = self._names.setdefault(atom, [])
        for name in (*wanted, *known):
            if name not in taken:
                return name
        known.append(next(self._unused))
        return known[-1]


def _all_names() -> Iterator[str]:
    yield from LETTERS
    number = 0
    while True:
        number += 1
        yield from (f"{letter}{number}" for letter in LETTERS)
