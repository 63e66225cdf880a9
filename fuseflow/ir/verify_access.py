# SPDX-License-Identifier: MIT
"""The rules of references: levels of a tensor are met in stored order, addresses add up.

Every reference stream is followed from the root that enters a tensor, through scans and locates,
to the array that reads values. Neighbouring dense levels are one row-major block: they may be
visited in any order, if the strides of the locates are those of the block.

Part of the dataflow verifier; rule ids are listed in `fuseflow.ir.verify_dataflow`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fuseflow.errors import Finding
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import StreamKind
from fuseflow.ir.einsum import Value
from fuseflow.ir.tensor import LevelFormat
from fuseflow.ir.verify_nodes import WiredNode

__all__ = ["check_references"]

ABOVE = -1  # key of the position above a block, beside the levels of the block


@dataclass(frozen=True, slots=True)
class _Cursor:
    """What a reference means: a tensor, the levels behind it, and its address as a linear form.

    `weights` holds the factor of each coordinate of the dense block that is being visited, and of
    the position above it. None: not followed, because a locate visits a part of a level only.
    """

    tensor: str
    visited: frozenset[int] = frozenset()
    weights: Mapping[int, int] | None = None

    def __str__(self) -> str:
        levels = ",".join(map(str, sorted(self.visited)))
        place = f"after levels {levels}" if levels else "at the root"
        return f'reference {place} of "{self.tensor}"' if self.tensor else "reference of no tensor"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Level formats and extents of a tensor in storage order."""

    tensor: str
    formats: tuple[LevelFormat, ...]
    extents: tuple[int, ...]

    def block(self, level: int) -> range:
        """Return the levels of the block of neighbouring dense levels around a dense level."""
        first = last = level
        while first and not self.formats[first - 1].is_stored:
            first -= 1
        while last + 1 < len(self.formats) and not self.formats[last + 1].is_stored:
            last += 1
        return range(first, last + 1)


def check_references(wired: Sequence[WiredNode], values: Mapping[str, Value]) -> list[Finding]:
    """Return D010 to D012 of the nodes of a kernel, which stand in topological order."""
    walker = _Walker(values)
    for node in wired:
        walker.visit(node)
    return walker.findings


class _Walker:
    """Follows the references of one kernel; cursors are filed under stream ids.

    A reference without a cursor comes from a node that was reported, and is not checked.
    """

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values
        self.cursors: dict[int, _Cursor] = {}
        self.findings: list[Finding] = []

    def visit(self, wired: WiredNode) -> None:
        match wired.node.attrs:
            case df.RootAttrs() as attrs:
                self._root(wired, attrs)
            case df.ScanAttrs() as attrs:
                self._scan(wired, attrs)
            case df.LocateAttrs() as attrs:
                self._locate(wired, attrs)
            case df.ArrayAttrs() as attrs:
                self._values(wired, attrs.tensor, 0)
            case df.ValWriteAttrs() as attrs:
                self._values(wired, attrs.tensor, 1)
            case df.LevelWriteAttrs() as attrs:
                self._layout(wired, attrs.tensor, attrs.level)
            case _:
                self._pass_on(wired)

    def _root(self, wired: WiredNode, attrs: df.RootAttrs) -> None:
        if attrs.tensor and attrs.tensor not in self.values:
            self._report(wired, "D010", f"unknown tensor {attrs.tensor!r}")
        self._leave(wired, 0, _Cursor(attrs.tensor))

    def _scan(self, wired: WiredNode, attrs: df.ScanAttrs) -> None:
        layout = self._layout(wired, attrs.tensor, attrs.level)
        cursor = self._arrival(wired, 0)
        if layout is None or cursor is None:
            return
        self._report_any(wired, _out_of_order(cursor, layout, attrs.level))
        if layout.formats[attrs.level].is_stored:
            self._report_any(wired, _wrong_address(cursor, layout))
        extent = layout.extents[attrs.level]
        implied = df.LocateAttrs(attrs.tensor, attrs.level, extent, parent_stride=extent)
        self._leave(wired, 1, _advance(cursor, layout, implied))

    def _locate(self, wired: WiredNode, attrs: df.LocateAttrs) -> None:
        layout = self._layout(wired, attrs.tensor, attrs.level)
        is_entered = wired.inputs[1] is not None
        cursor = self._arrival(wired, 1) if is_entered else _Cursor(attrs.tensor)
        if layout is None or cursor is None:
            return
        wanted = LevelFormat.COMPRESSED if attrs.search else LevelFormat.DENSE
        found = layout.formats[attrs.level]
        if found is not wanted:
            message = f'level {attrs.level} of "{attrs.tensor}" is {found}, expected {wanted}'
            self._report(wired, "D010", message)
        elif attrs.search:
            self._report_any(wired, _out_of_order(cursor, layout, attrs.level))
            self._report_any(wired, _wrong_address(cursor, layout))
        else:
            self._report_any(wired, _outside_block(cursor, layout, attrs))
        self._leave(wired, 1, _advance(cursor, layout, attrs))

    def _values(self, wired: WiredNode, tensor: str, port: int) -> None:
        """Check a node that reads or writes values at a reference."""
        layout = self._layout(wired, tensor)
        cursor = self._arrival(wired, port)
        if layout is None or cursor is None:
            return
        self._report_any(wired, _out_of_order(cursor, layout, len(layout.formats)))
        self._report_any(wired, _wrong_address(cursor, layout))

    def _pass_on(self, wired: WiredNode) -> None:
        """Carry cursors through a node that hands references on unchanged."""
        numbers = {port.name: number for number, port in enumerate(wired.input_ports)}
        for number, port in enumerate(wired.output_ports):
            cursor = self._arrival(wired, numbers[port.same_as]) if port.same_as else None
            if cursor is not None:
                self._leave(wired, number, cursor)
        if not isinstance(wired.node.attrs, df.GatherAttrs | df.ConcatAttrs):
            return
        merged = len(wired.output_ports) == 1
        lanes = [s for s in wired.inputs if s is not None and s.kind is StreamKind.REF]
        known = [self.cursors[stream.id] for stream in lanes if stream.id in self.cursors]
        different = [cursor for cursor in known if cursor != known[0]]
        if merged and different:
            self._report(wired, "D011", f"merges a {known[0]} with a {different[0]}")

    def _layout(self, wired: WiredNode, tensor: str, level: int | None = None) -> _Layout | None:
        """Return the layout of a tensor; None, and a finding, if it or its level is unknown."""
        value = self.values.get(tensor)
        if value is None:
            self._report(wired, "D010", f"unknown tensor {tensor!r}")
            return None
        fmt = value.format
        if fmt is None or len(fmt.levels) != len(value.shape):
            self._report(wired, "D010", f'"{tensor}" has no format of {len(value.shape)} levels')
            return None
        if level is not None and level >= len(fmt.levels):
            self._report(wired, "D010", f'"{tensor}" has no level {level}, only {len(fmt.levels)}')
            return None
        counts = value.counts
        return _Layout(tensor, fmt.levels, tuple(counts[mode] for mode in fmt.mode_order))

    def _arrival(self, wired: WiredNode, port: int) -> _Cursor | None:
        stream = wired.inputs[port]
        return None if stream is None else self.cursors.get(stream.id)

    def _leave(self, wired: WiredNode, port: int, cursor: _Cursor) -> None:
        stream = wired.outputs[port]
        if stream is not None:
            self.cursors[stream.id] = cursor

    def _report(self, wired: WiredNode, rule: str, message: str) -> None:
        self.findings.append(Finding(rule, message, wired.where))

    def _report_any(self, wired: WiredNode, problem: tuple[str, str] | None) -> None:
        if problem is not None:
            self._report(wired, *problem)


def _out_of_order(cursor: _Cursor, layout: _Layout, level: int) -> tuple[str, str] | None:
    """A level (or the values, behind the last one) is entered after exactly the levels above."""
    if cursor.tensor == layout.tensor and cursor.visited == frozenset(range(level)):
        return None
    name = f"level {level}" if level < len(layout.formats) else "values"
    return "D011", f'{cursor} enters {name} of "{layout.tensor}"'


def _outside_block(
    cursor: _Cursor, layout: _Layout, attrs: df.LocateAttrs
) -> tuple[str, str] | None:
    """A dense level is located after all levels above its block, and in full at most once."""
    block = layout.block(attrs.level)
    above = frozenset(range(block.start))
    in_order = above <= cursor.visited <= above | frozenset(block)
    is_whole = attrs.size == layout.extents[attrs.level]
    repeats = attrs.level in cursor.visited and is_whole
    if cursor.tensor == layout.tensor and in_order and not repeats:
        return None
    return "D011", f'{cursor} enters level {attrs.level} of "{layout.tensor}"'


def _wrong_address(cursor: _Cursor, layout: _Layout) -> tuple[str, str] | None:
    """Compare the address with that of a row-major block, when a block has been visited."""
    last = max(cursor.visited, default=ABOVE)
    if cursor.tensor != layout.tensor or cursor.weights is None or last == ABOVE:
        return None
    block = layout.block(last)
    if layout.formats[last].is_stored or not frozenset(block) <= cursor.visited:
        return None
    extents = layout.extents[block.start : block.stop]
    inner = {level: math.prod(layout.extents[level + 1 : block.stop]) for level in block}
    expected = {level: inner[level] for level in block if layout.extents[level] > 1}
    if block.start > 0:
        expected[ABOVE] = math.prod(extents)
    for level, factor in expected.items():
        found = cursor.weights.get(level, 0)
        if found != factor and 0 not in extents:
            what = f"positions of level {block.start - 1}" if level == ABOVE else f"level {level}"
            return "D012", f'address in "{layout.tensor}" has {what} times {found}, not {factor}'
    return None


def _advance(cursor: _Cursor, layout: _Layout, attrs: df.LocateAttrs) -> _Cursor:
    """Return the cursor behind a level, with its contribution to the address of a dense block."""
    level = attrs.level
    visited = cursor.visited | {level}
    if layout.formats[level].is_stored:
        return _Cursor(attrs.tensor, visited)
    begun = bool(cursor.visited & frozenset(layout.block(level)))
    weights = cursor.weights if begun else {ABOVE: 1}
    partial = attrs.base or attrs.size != layout.extents[level] or level in cursor.visited
    if weights is None or partial:
        return _Cursor(attrs.tensor, visited)
    scaled = {key: weight * attrs.parent_stride for key, weight in weights.items()}
    return _Cursor(attrs.tensor, visited, scaled | {level: attrs.stride})
