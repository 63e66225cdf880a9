# SPDX-License-Identifier: MIT
"""Graphs as DOT text, for Graphviz and everything that reads its language."""

from __future__ import annotations

from collections.abc import Iterator

from fuseflow.errors import Location, UsageError
from fuseflow.ir.dataflow import DataflowGraph, DataflowProgram, StreamKind
from fuseflow.ir.einsum import EinsumGraph, Value
from fuseflow.ir.op_specs import ports_of
from fuseflow.ir.report import SimulationReport

__all__ = ["draw"]

_STYLES = {StreamKind.CRD: "dashed", StreamKind.REF: "solid", StreamKind.VAL: "bold"}


def draw(root: EinsumGraph | DataflowProgram | SimulationReport, kernel: str | None = None) -> str:
    """Return a directed graph; of a program all kernels, or only the one of that name.

    Raises:
        UsageError: U009 if there is no such kernel, or nothing to draw.
    """
    if isinstance(root, SimulationReport):
        raise UsageError(
            "U009 nothing-to-draw", "a report has no graph to draw", fix="draw the DataflowProgram"
        )
    if isinstance(root, DataflowProgram):
        lines = list(_program(root, kernel))
    else:
        lines = list(_graph(root))
    head = [f"digraph {_quote(root.name)} {{", "  node [shape=box fontname=monospace]"]
    return "\n".join([*head, *(f"  {line}" for line in lines), "}"]) + "\n"


def _graph(graph: EinsumGraph) -> Iterator[str]:
    """Yield values that are given as ellipses, einsums as boxes, and outputs as double boxes."""
    producers = graph.producers()
    for name, value in graph.values.items():
        if name not in producers:
            yield f"{_quote(f'value {name}')} [shape=ellipse label={_quote(_describe(value))}]"
    for op in graph.einsums:
        yield f"{_quote(op.name)} [label={_quote(str(op))}]"
        for name in dict.fromkeys(access.value for access in op.operands):
            source = producers[name].name if name in producers else f"value {name}"
            yield f"{_quote(source)} -> {_quote(op.name)} [label={_quote(name)}]"
    for output in graph.outputs:
        source = producers[output.value].name if output.value in producers else output.value
        node = _quote(f"output {output.name}")
        yield f"{node} [peripheries=2 label={_quote(output.name)}]"
        yield f"{_quote(source)} -> {node}"


def _program(program: DataflowProgram, wanted: str | None) -> Iterator[str]:
    kernels = [k for k in program.kernels if wanted in (None, k.name)]
    if not kernels:
        names = ", ".join(kernel.name for kernel in program.kernels)
        place = Location(graph=program.name)
        message = f'there is no kernel "{wanted}"' if wanted else "there are no kernels"
        raise UsageError(
            "U009 nothing-to-draw", message, where=place, fix=f"the kernels are {names}"
        )
    for number, kernel in enumerate(kernels):
        yield f"subgraph cluster_{number} {{"
        yield f"  label={_quote(kernel.name)}"
        yield from (f"  {line}" for line in _kernel(kernel, number))
        yield "}"


def _kernel(kernel: DataflowGraph, number: int) -> Iterator[str]:
    producers, consumers = kernel.producers(), kernel.consumers()
    for node in kernel.nodes:
        yield f"k{number}n{node.id} [label={_quote(f'{node.op} {node.name}'.strip())}]"
    for sid, stream in sorted(kernel.streams.items()):
        if sid not in producers or sid not in consumers:
            continue
        source, target = producers[sid], consumers[sid]
        outputs, inputs = ports_of(source)[1], ports_of(target)[0]
        ports = (outputs[source.outputs.index(sid)].name, inputs[target.inputs.index(sid)].name)
        label = f"{stream.kind} [{','.join(stream.indices)}]"
        yield (
            f"k{number}n{source.id} -> k{number}n{target.id} [label={_quote(label)} "
            f"taillabel={_quote(ports[0])} headlabel={_quote(ports[1])} "
            f"style={_STYLES[stream.kind]}]"
        )


def _describe(value: Value) -> str:
    shape = "x".join(map(str, value.shape)) or "scalar"
    return f"{value.name} {shape}" + (f" ({value.format})" if value.format else "")


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
