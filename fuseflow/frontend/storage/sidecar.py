# SPDX-License-Identifier: MIT
"""The sidecar: a YAML file that says of tensors what a model file cannot say.

    tensors:
      - {match: adj, levels: [dense, compressed], density: 0.0014}
      - {match: {scope: "h.*.attn", role: mask}, levels: [compressed, compressed], fill: -inf}

Only plain YAML is read, and every key that is not known is an error. Not here: which tensor an
entry means (`addresses`), and what comes of it (`formats`, and the inputs of either source).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuseflow.errors import Location, UsageError

if TYPE_CHECKING:
    import yaml

__all__ = ["ROLES", "SidecarEntry", "read_sidecar"]

ROLES = ("weight", "bias", "mask", "adjacency", "input", "constant")

_LIMIT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class SidecarEntry:
    """One item of ``tensors``; fields that it leaves open are empty or None.

    `match` is a name or a glob, or else `scope` and `role` are set, either of which may be empty.
    `levels` and `modes` count the dimensions of the tensor in the model; `density` is a share from
    0 to 1, `data` a file of operands as ``--bind`` takes it, `block` a tile of the pattern, one
    extent per dimension. `where` is the file and the line of the entry.
    """

    where: str
    match: str = ""
    scope: str = ""
    role: str = ""
    levels: tuple[str, ...] = ()
    modes: tuple[int, ...] = ()
    fill: float | None = None
    density: float | None = None
    data: str = ""
    block: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.match:
            return f'"{self.match}"'
        parts = {"scope": self.scope, "role": self.role}
        return " and ".join(f'{key} "{text}"' for key, text in parts.items() if text)

    @property
    def format_text(self) -> str:
        """Return the format that the entry asks for, in the form of `formats.parse_format`."""
        order = "@" + ",".join(map(str, self.modes)) if self.modes else ""
        return ",".join(self.levels) + order


def read_sidecar(path: str | Path) -> tuple[SidecarEntry, ...]:
    """Read a sidecar; files that it names are taken relative to its own folder.

    Raises:
        UsageError: U003 if there is no such file, U130 if it is no YAML of this form.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError("U003 no-file", "there is no such file", where=Location(file=str(path)))
    if path.stat().st_size > _LIMIT_BYTES:
        raise _wrong(path, None, "is larger than 1 MiB")
    return tuple(_entries(path))


def _entries(path: Path) -> Iterator[SidecarEntry]:
    import yaml

    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        reader = _Reader(path, loader)
        items = reader.mapping(root, ("tensors",)).get("tensors")
        if not isinstance(items, yaml.SequenceNode):
            raise _wrong(path, None, 'has no list "tensors"')
        yield from map(reader.entry, items.value)
    # The recursion of the parser is as deep as the brackets of the file.
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or type(error).__name__
        raise _wrong(path, mark, f"is no YAML: {problem}") from error


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns nodes of YAML, which know their lines, into entries."""

    path: Path
    loader: yaml.SafeLoader

    def entry(self, node: yaml.Node) -> SidecarEntry:
        fields = self.mapping(node, ("match", *_KEYS))
        if "match" not in fields:
            raise _wrong(self.path, node.start_mark, 'an entry has no "match"')
        values: dict[str, Any] = {
            key: self.value(key, each) for key, each in fields.items() if key != "match"
        }
        if "modes" in values and len(values["modes"]) != len(values.get("levels", ())):
            raise _wrong(self.path, node.start_mark, '"modes" needs as many "levels"')
        if "data" in values and not Path(values["data"]).is_absolute():
            values["data"] = str(self.path.parent / values["data"])
        values |= self.match(fields["match"])
        return SidecarEntry(f"{self.path.name}:{node.start_mark.line + 1}", **values)

    def match(self, node: yaml.Node) -> dict[str, str]:
        """Read what names the tensor: a text, or a mapping of scope and role."""
        import yaml

        if isinstance(node, yaml.ScalarNode) and node.value:
            return {"match": str(node.value)}
        fields = self.mapping(node, ("scope", "role"))
        texts = {key: str(each.value) for key, each in fields.items()}
        if texts.get("role", ROLES[0]) not in ROLES:
            message = f'"role" must be one of {", ".join(ROLES)}'
            raise _wrong(self.path, node.start_mark, message)
        if not any(texts.values()):
            raise _wrong(self.path, node.start_mark, '"match" is empty')
        return texts

    def mapping(self, node: yaml.Node | None, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        """Return the nodes of a mapping whose keys are `known`, each once."""
        import yaml

        mark = node.start_mark if node is not None else None
        if not isinstance(node, yaml.MappingNode):
            raise _wrong(self.path, mark, f"must be a mapping with the keys {', '.join(known)}")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)[:80]
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                fix = f'did you mean "{near[0]}"?' if near else f"use {', '.join(known)}"
                raise _wrong(self.path, key.start_mark, f'unknown key "{name}"', fix)
            if name in found:
                raise _wrong(self.path, key.start_mark, f'"{name}" is there twice')
            found[name] = value
        return found

    def value(self, key: str, node: yaml.Node) -> Any:
        """Return the value of a key; what it must be is in the message if it is not."""
        expected, read = _KEYS[key]
        try:
            return read(self.loader.construct_object(node, deep=True))
        except (TypeError, ValueError):
            message = f'"{key}" must be {expected}'
            raise _wrong(self.path, node.start_mark, message) from None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_of_type(each, str) for each in _of_type(value, list))


def _counts(value: Any) -> tuple[int, ...]:
    return tuple(_at_least(_of_type(each, int), 0) for each in _of_type(value, list))


def _block(value: Any) -> tuple[int, ...]:
    return tuple(_at_least(extent, 1) for extent in _counts(value))


def _number(value: Any) -> float:
    # "-inf" is a text in YAML, which spells the number "-.inf".
    return float(_of_type(value, int | float | str))


def _share(value: Any) -> float:
    share = _number(value)
    if not 0 <= share <= 1:
        raise ValueError(share)
    return share


def _text(value: Any) -> str:
    return str(_of_type(value, str))


def _of_type(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(kind)
    return value


def _at_least(value: int, least: int) -> int:
    if value < least:
        raise ValueError(value)
    return value


_KEYS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "levels": ("a list of dense and compressed", _texts),
    "modes": ("a list of dimensions, counted from 0", _counts),
    "fill": ("a number", _number),
    "density": ("a number from 0 to 1", _share),
    "data": ("the name of a file", _text),
    "block": ("a list of extents", _block),
}


def _wrong(path: Path, mark: Any, message: str, fix: str | None = None) -> UsageError:
    place = f"{path}:{mark.line + 1}" if mark is not None else str(path)
    return UsageError("U130 bad-sidecar", message, where=Location(file=place), fix=fix)
