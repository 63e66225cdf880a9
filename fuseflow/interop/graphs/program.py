# SPDX-License-Identifier: MIT
"""Foreign graphs and their tensors become a dataflow program, one kernel per graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fuseflow.interop.faults import refuse
from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.interop.graphs.index_spaces import settle_index_spaces
from fuseflow.interop.graphs.nesting import Nesting, infer_nesting
from fuseflow.interop.graphs.operands import Operands
from fuseflow.interop.graphs.references import Walk, trace_references
from fuseflow.interop.graphs.results import Result, find_results
from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram, Node, Op, Stream
from fuseflow.ir.einsum import Output, Role, Value
from fuseflow.ir.tensor import Tensor
from fuseflow.ir.verify_dataflow import verify_program

__all__ = ["build_program"]

Orders = Mapping[str, Sequence[int]]


def build_program(
    drafts: Iterable[Draft],
    operands: Operands,
    *,
    name: str = "",
    orders: Orders | None = None,
    strict_names: bool = False,
) -> DataflowProgram:
    """Return the verified program of some graphs that run one after the other.

    Tensors that one graph writes and a later one reads are handed on; what no later graph reads
    is an output. The notes of the program are the remarks on its graphs.

    Args:
        drafts: the graphs, wired one to one.
        operands: the tensors that are read.
        name: name of the program, by default that of the first graph.
        orders: the stored order of dimensions by tensor, where the source states it.
        strict_names: whether indices of different names must not meet.

    Raises:
        InterchangeError: if nests, references, writers and tensors of a graph do not fit.
        GraphError: if the program breaks another rule of the verifier.
    """
    program = DataflowProgram(name)
    for draft in drafts:
        program.name = program.name or draft.name
        _Kernel(program, draft, operands, orders or {}).build(strict_names)
        program.notes += draft.remarks
    read = {tensor for kernel in program.kernels for tensor in kernel.tensors_read()}
    for kernel in program.kernels:
        for tensor in kernel.tensors_written():
            if tensor not in read:
                shape = program.tensors[tensor].shape
                natural = tuple(range(len(shape)))
                program.outputs.append(Output(tensor, tensor, natural, shape))
    verify_program(program)
    return program


@dataclass(slots=True)
class _Kernel:
    """One graph on its way into the program."""

    program: DataflowProgram
    draft: Draft
    operands: Operands
    orders: Orders
    sizes: dict[int, int] = field(default_factory=dict)

    def build(self, strict_names: bool) -> None:
        if not self.draft.exact:
            settle_index_spaces(self.draft, self.operands, self.program.tensors)
            self.draft.prune(dissolve=False)
            self.draft.share_wires()
        self.draft.sort()
        nesting = infer_nesting(self.draft, strict=strict_names)
        walks, levels = trace_references(self.draft)
        for name, walk in walks.items():
            if name not in self.program.tensors:
                self.program.tensors[name] = self._operand(name, walk)
            else:
                self._check_order(name, walk)
        results = find_results(self.draft, nesting, {*walks, *self.program.tensors})
        for name, walk in walks.items():
            self._measure(name, walk, nesting)
        self._measure_index_spaces(nesting)
        for result in results:
            shape = result.shape(self.draft, self.sizes, nesting)
            value = Value(result.name, shape, Role.INTERMEDIATE, format=result.format,
                          fill=result.fill)  # fmt: skip
            self.program.tensors[result.name] = value
        self.program.kernels.append(self._graph(nesting, levels, results))

    def _operand(self, name: str, walk: Walk) -> Value:
        """Load a tensor and compare it with how the graph walks it."""
        shape = self.operands.shape(name)
        rank = walk.depth if shape is None else len(shape)
        order = self._order(name, walk, rank)
        tensor = self.operands.load(name, order, walk.compressed)
        if tensor is None:
            fix = f'give the data of "{name}"'
            raise refuse("X008", f'tensor "{name}" has no data', graph=self.draft.name, fix=fix)
        self._check_walk(name, walk, tensor)
        return Value(name, tensor.shape, Role.INPUT, format=tensor.format, fill=tensor.fill,
                     tensor=tensor)  # fmt: skip

    def _check_order(self, name: str, walk: Walk) -> None:
        """Compare how an earlier graph has stored a tensor with how this one walks it."""
        fmt = self.program.tensors[name].format
        assert fmt is not None
        for level, mode in sorted(walk.modes.items()):
            if level < len(fmt.levels) and fmt.mode_order[level] != mode:
                message = f'level {level} of "{name}" was written as dimension'
                message += f" {fmt.mode_order[level]}, and is walked as {mode}"
                raise refuse("X008", message, graph=self.draft.name, field=name)

    def _order(self, name: str, walk: Walk, rank: int) -> tuple[int, ...]:
        """Return the stored order: as the source says, as it is walked, as the folder says."""
        if name in self.orders:
            return tuple(self.orders[name])
        wrong = [mode for mode in walk.modes.values() if mode >= rank]
        if wrong:
            message = f'the graph walks dimension {wrong[0]} of "{name}", which has {rank}'
            raise refuse("X008", message, graph=self.draft.name, field=name)
        left = [mode for mode in range(rank) if mode not in walk.modes.values()]
        walked = [
            walk.modes[level] if level in walk.modes else left.pop(0) if left else -1
            for level in range(rank)
        ]
        if sorted(walked) == list(range(rank)):
            return tuple(walked)
        return self.operands.mode_order(name) or tuple(range(rank))

    def _check_walk(self, name: str, walk: Walk, tensor: Tensor) -> None:
        if walk.depth > len(tensor.levels):
            message = f'"{name}" has {len(tensor.levels)} levels, the graph walks {walk.depth}'
            raise refuse("X008", message, graph=self.draft.name, field=name)
        for level, compressed in sorted(walk.compressed.items()):
            found = tensor.levels[level].format
            if found.is_stored != compressed:
                wanted = "compressed" if compressed else "dense"
                message = f'level {level} of "{name}" is {found}, the graph walks it as {wanted}'
                raise refuse("X008", message, graph=self.draft.name, field=name)

    def _measure(self, name: str, walk: Walk, nesting: Nesting) -> None:
        """Note the sizes of the indices that walk a tensor; the largest counts where they differ.

        Joins of different sizes happen where sizes were taken from data.
        """
        value = self.program.tensors[name]
        assert value.format is not None
        for level, wires in walk.wires.items():
            size = value.shape[value.format.mode_order[level]]
            for wire in wires:
                index = nesting.classes(wire)[-1]
                self.sizes[index] = max(size, self.sizes.get(index, 0))

    def _measure_index_spaces(self, nesting: Nesting) -> None:
        for node in self.draft.nodes:
            if not node.outputs:
                continue
            wire = node.inputs[0] if node.op is Op.LOCATE else node.outputs[0]
            if isinstance(node.attrs, df.FullAttrs | df.LocateAttrs) and wire is not None:
                index = nesting.classes(wire)[-1]
                self.sizes[index] = max(node.attrs.size, self.sizes.get(index, 0))

    def _graph(
        self, nesting: Nesting, levels: Mapping[int, int], results: Sequence[Result]
    ) -> DataflowGraph:
        names = nesting.names()
        graph = DataflowGraph(self.draft.name)
        places = _writer_places(results)
        for number, node in enumerate(self.draft.nodes):
            attrs = self._attributes(node, levels, places)
            ends = tuple(node.inputs), tuple(node.outputs)
            graph.nodes.append(Node(number, node.op, node.name, *ends, attrs))
        for number, wire in sorted(self.draft.wires.items()):
            indices = tuple(names[index] for index in nesting.classes(number))
            graph.streams[number] = Stream(number, wire.kind, indices, (), wire.name, wire.capacity)
        graph.order = tuple(dict.fromkeys(names.values()))
        return graph

    def _attributes(
        self,
        node: DraftNode,
        levels: Mapping[int, int],
        places: Mapping[int, tuple[str, int]],
    ) -> df.NodeAttrs:
        level = levels.get(id(node), 0)
        if node.final and node.op not in (Op.LEVEL_WRITE, Op.VAL_WRITE):
            return node.attrs
        match node.op:
            case Op.ROOT:
                known = node.tensor in self.program.tensors
                return df.RootAttrs(node.tensor if known else "")
            case Op.SCAN:
                return df.ScanAttrs(node.tensor, level)
            case Op.LOCATE:
                value = self.program.tensors[node.tensor]
                assert value.format is not None
                return df.LocateAttrs(node.tensor, level, value.shape[value.format.mode_order[0]])
            case Op.ARRAY:
                return df.ArrayAttrs(node.tensor, self.program.tensors[node.tensor].fill)
            case Op.LEVEL_WRITE:
                return df.LevelWriteAttrs(*places[id(node)])
            case Op.VAL_WRITE:
                name = places[id(node)][0]
                return df.ValWriteAttrs(name, self.program.tensors[name].fill)
        return node.attrs


def _writer_places(results: Sequence[Result]) -> dict[int, tuple[str, int]]:
    """Return tensor and level of every writer by `id`."""
    places: dict[int, tuple[str, int]] = {}
    for result in results:
        places[id(result.values)] = result.name, 0
        for level, node in enumerate(result.levels):
            places[id(node)] = result.name, level
    return places
