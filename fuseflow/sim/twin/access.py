# SPDX-License-Identifier: MIT
"""How a unit of the twin reaches its arrays under each memory model.

Under ideal memory an access takes no time and there is nothing to do. For the queue server the
unit asks and waits. For a DRAM a front end reads ahead and lines are combined.
"""

from __future__ import annotations

from collections.abc import Sequence

from fuseflow.ir.hardware import Hbm2Config, MemoryConfig
from fuseflow.sim.machine import Unit
from fuseflow.sim.memory import ClientFigures, MemoryModel, arrays_of
from fuseflow.sim.memory.addresses import WORD_BYTES
from fuseflow.sim.params import ArrayParams, ScanParams
from fuseflow.sim.tokens import MISSING, Token
from fuseflow.sim.twin.fifo import Fifo
from fuseflow.sim.twin.lines import LineReader, LineWriter
from fuseflow.sim.twin.ops import Answer, Ask, Post, Rule, is_element
from fuseflow.sim.twin.prefetch import Prefetcher, Touches

__all__ = ["LineStore", "Store", "make_prefetcher", "make_store", "touches_of"]


class Store:
    """Where a writer puts its words; under ideal memory that takes no time."""

    def put(self, array: int, first: int, words: int) -> Rule:
        """Write words `first` .. of an array."""
        yield from ()

    def close(self) -> Rule:
        """Send what is left."""
        yield from ()

    def figures(self) -> tuple[ClientFigures, ...]:
        """Return what was asked for, by array; nothing where that is counted elsewhere."""
        return ()


class _VectorStore(Store):
    """Collects entries of an array to vectors for the queue server; values go one by one."""

    def __init__(self, arrays: Sequence[str], batch: int) -> None:
        self._limits = [1 if array == "vals" else batch for array in arrays]
        self._entries = [0] * len(arrays)
        self._words = [0] * len(arrays)

    def put(self, array: int, first: int, words: int) -> Rule:
        self._entries[array] += 1
        self._words[array] += words
        if self._entries[array] == self._limits[array]:
            yield from self._send(array)

    def close(self) -> Rule:
        for array, words in enumerate(self._words):
            if words:
                yield from self._send(array)

    def _send(self, array: int) -> Rule:
        words = self._words[array]
        self._words[array] = self._entries[array] = 0
        yield Ask(array, words)
        yield Answer()


class LineStore(Store):
    """Collects words to lines for a DRAM."""

    def __init__(self, writers: Sequence[LineWriter]) -> None:
        self.writers = writers

    def put(self, array: int, first: int, words: int) -> Rule:
        """Fill lines; send those that are full or left."""
        writer = self.writers[array]
        writer.figures.words += words
        start = writer.base + WORD_BYTES * first
        end = start + WORD_BYTES * words
        while start < end:
            line = start // writer.line_bytes
            stop = min(end, (line + 1) * writer.line_bytes)
            if writer.line not in (None, line):
                yield Post(array, writer.line)
            if writer.fill(line, stop - start):
                yield Post(array, line)
            start = stop

    def close(self) -> Rule:
        """Send the lines that are not full."""
        for array, writer in enumerate(self.writers):
            if writer.line is not None:
                yield Post(array, writer.line)

    def figures(self) -> tuple[ClientFigures, ...]:
        """Return what was asked for, by array."""
        return tuple(writer.figures for writer in self.writers)


def make_store(unit: Unit, config: MemoryConfig, memory: MemoryModel | None, client: int) -> Store:
    """Return what takes the words of a unit, whose first client number is given."""
    arrays = arrays_of(unit)
    if memory is None or not arrays:
        return Store()
    if config.model == "comal-hbm":
        return _VectorStore(arrays, config.comal_hbm.batch)
    bases = unit.bases or (0,) * len(arrays)
    window = unit.window or config.hbm2.client_window
    return LineStore(
        [LineWriter(memory, config.hbm2, client + i, window, base) for i, base in enumerate(bases)]
    )


def make_prefetcher(
    unit: Unit, fifo: Fifo, config: Hbm2Config, memory: MemoryModel, client: int
) -> Prefetcher | None:
    """Return the front end of a unit that reads from a DRAM, None for any other unit."""
    touches = touches_of(unit, config.line_bytes)
    window = unit.window or config.client_window
    readers = [LineReader(memory, config, client + i, window) for i in range(len(touches))]
    clients = list(zip(readers, touches, strict=True))
    if not clients:
        return None
    words = 1
    if isinstance(unit.params, ArrayParams) and unit.params.values is not None:
        words = unit.params.values[:1].size
    return Prefetcher(fifo, config.prefetch_tokens, clients, words)


def touches_of(unit: Unit, line_bytes: int) -> list[Touches]:
    """Return for each array that a unit reads what a token touches of it."""
    bases = unit.bases or (0, 0)
    match unit.params:
        case ScanParams(format="compressed") as params:
            return [_pair(params, bases[0]), _fiber(params, bases[1])]
        case ScanParams(format="singleton") as params:
            return [_within(params.parents, lambda r: [bases[0] + WORD_BYTES * r])]
        case ArrayParams(values=values, positions=positions) if values is not None:
            width = WORD_BYTES * values[:1].size
            return [_within(positions, lambda r: _lines(bases[0] + r * width, width, line_bytes))]
        case _:
            return []


def _within(bound: int, touches: Touches) -> Touches:
    """Leave out tokens that are no references; the unit refuses those that are too large."""

    def checked(token: Token) -> Sequence[int]:
        return touches(token) if is_reference(token) and token < bound else ()

    return checked


def is_reference(token: Token) -> bool:
    """Return whether a token is the reference of something stored."""
    return is_element(token) and token is not MISSING


def _pair(params: ScanParams, base: int) -> Touches:
    return _within(params.parents, lambda r: [base + WORD_BYTES * r, base + WORD_BYTES * (r + 1)])


def _fiber(params: ScanParams, base: int) -> Touches:
    assert params.segments is not None
    segments = params.segments
    return _within(
        params.parents,
        lambda r: [base + WORD_BYTES * a for a in range(int(segments[r]), int(segments[r + 1]))],
    )


def _lines(start: int, size: int, line_bytes: int) -> list[int]:
    """Return one address in every line of a stretch of bytes: where that enters the line."""
    after = range(start // line_bytes * line_bytes + line_bytes, start + size, line_bytes)
    return [start, *after]
