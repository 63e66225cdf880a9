# SPDX-License-Identifier: MIT
"""Names of a model in few words: the shortest suffix of a dotted path that no other name has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["short_names", "shorten"]

_PATH = re.compile(r"\w+(?:\.\w+)+")
# The last part alone is the kind of an operation, which says too little.
LEAST_PARTS = 2


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return for every dotted name its shortest suffix that is no suffix of another name.

    A suffix has two parts at least, and starts with a word: the number of a layer says nothing
    without what it counts.
    """
    every = set(names)
    taken = Counter(suffix for name in every for suffix in _suffixes(name))
    return {
        name: next(
            suffix
            for suffix in _suffixes(name)
            if suffix == name
            or (
                taken[suffix] == 1
                and suffix.count(".") + 1 >= LEAST_PARTS
                and not suffix[0].isdigit()
            )
        )
        for name in every
        if _PATH.fullmatch(name)
    }


def shorten(text: str, short: Mapping[str, str]) -> str:
    """Replace the names in a text."""
    return _PATH.sub(lambda found: short.get(found[0], found[0]), text)


def _suffixes(name: str) -> Iterator[str]:
    """Yield all suffixes that begin with a part of a path, shortest first."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[-count:])
