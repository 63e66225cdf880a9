# SPDX-License-Identifier: MIT
"""Whole einsum graphs as text, to write kernels by hand and to show those that were imported.

    # a layer of a graph network
    kernel layer
    input A[34,34] dense,compressed random=7 density=0.2
    parameter W[34,16] from=w.npy
    input mask[34,16] compressed,compressed pattern fill=0 random=1 density=0.1
    H[i,j] = A[i,k] * W[k,j]
    Z[i,j] = masked(mask[i,j], H[i,j], -inf)
    output Z

A declaration gives role, name, sizes and format of a tensor (`fuseflow.ir.einsum_text`), then
words: `fill=` for its background, `pattern` for a mask without values, and where its data is:
`from=FILE`, or `random=SEED` with `density=`. Statements are einsums as they are printed, or
expressions (`fuseflow.ir.expression`). Without an `output` the last value is the result.

The data itself is no part of the text: `parse_kernel` returns what is to be loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fuseflow.errors import Finding, GraphError, Location
from fuseflow.ir.einsum import Einsum, EinsumGraph, Output, Role, Value
from fuseflow.ir.einsum_text import parse_einsum, parse_format
from fuseflow.ir.expression import parse_assignment

__all__ = ["DataSource", "KernelText", "format_kernel", "parse_kernel"]

_DECLARATION = re.compile(r"(\S+?)\[([0-9,\s]*)\]\s*(.*)")
_ROLES = (Role.INPUT, Role.PARAMETER, Role.CONSTANT)
_WORDS = ("fill", "from", "random", "density", "dtype")
_OUTPUT = re.compile(r"(\S+)(?:\s*=\s*(\S+?)((?:\s+\S+=\S+)*))?")


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where the data of a tensor is: a file, or seeded random numbers of some density."""

    file: str = ""
    seed: int | None = None
    density: float = 1.0


@dataclass(slots=True)
class KernelText:
    """A graph without data, and where the data is for each tensor that says so.

    `patterns` are the tensors of which only the places of entries count.
    """

    graph: EinsumGraph
    sources: dict[str, DataSource] = field(default_factory=dict)
    patterns: set[str] = field(default_factory=set)


def parse_kernel(text: str, name: str = "kernel") -> KernelText:
    """Read the text of a graph.

    Args:
        text: lines as above.
        name: name of the graph where the text has none.

    Raises:
        GraphError: E101 for a line that cannot be read, E102 for a name that is not declared or
            declared twice, with the line.
    """
    reader = _Reader(KernelText(EinsumGraph(name)))
    for number, line in enumerate(text.splitlines(), start=1):
        content = _without_comment(line).strip()
        if not content:
            continue
        try:
            reader.line(content)
        except GraphError as error:
            raise _at_line(error, number) from error
    return reader.finish()


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#.*", "", line)


def _at_line(error: GraphError, number: int) -> GraphError:
    findings = [
        Finding(item.rule, item.message, Location(field=f"line {number}"), item.fix)
        for item in error.findings
    ]
    wrapped = GraphError.from_findings(findings)
    assert isinstance(wrapped, GraphError)
    return wrapped


class _Reader:
    def __init__(self, result: KernelText) -> None:
        self.result = result
        self.graph = result.graph
        self.partial = 0

    def line(self, content: str) -> None:
        """Read one line that is not empty."""
        word, _, rest = content.partition(" ")
        if word in _ROLES and "=" not in content.partition("[")[0]:
            self._declare(Role(word), rest.strip())
        elif word == "kernel" and rest and "=" not in rest:
            self.graph.name = rest.strip()
        elif word == "output" and rest and not rest.lstrip().startswith("="):
            self._output(rest.strip())
        else:
            self._statement(content)

    def finish(self) -> KernelText:
        """Return the graph; its last value is the output if none is named."""
        if not self.graph.outputs and self.graph.einsums:
            self._output(self.graph.einsums[-1].output.value)
        return self.result

    def _declare(self, role: Role, text: str) -> None:
        match = _DECLARATION.fullmatch(text)
        if match is None:
            raise _unreadable(text, "a declaration", f"{role} NAME[4,5] FORMAT fill=0 from=FILE")
        name, sizes, rest = match.groups()
        self._check_new(name)
        shape = tuple(int(size) for size in sizes.split(",") if size.strip())
        words = rest.split()
        layout = words.pop(0) if words and not _is_word(words[0]) else ""
        options = dict(word.partition("=")[::2] for word in words if "=" in word)
        unknown = [word for word in words if not _is_word(word)]
        if unknown:
            known = ", ".join([f"{each}=" for each in _WORDS] + ["pattern"])
            raise _unreadable(unknown[0], "a word of a declaration", known)
        fmt = parse_format(layout) if layout else None
        if fmt is not None and len(fmt.levels) != len(shape):
            message = f"format {layout} of {len(fmt.levels)} levels for {len(shape)} dimensions"
            raise GraphError("E101", message)
        fill = _number(options.get("fill", "0"))
        dtype = options.get("dtype", "bool" if "pattern" in words else "float32")
        self.graph.values[name] = Value(name, shape, role, dtype, fmt, fill, origin="text")
        if "pattern" in words:
            self.result.patterns.add(name)
        if "from" in options or "random" in options:
            seed = int(_number(options["random"])) if "random" in options else None
            density = _number(options.get("density", "1"))
            self.result.sources[name] = DataSource(options.get("from", ""), seed, density)

    def _check_new(self, name: str) -> None:
        if name in self.graph.values:
            raise GraphError("E102", f'"{name}" is declared or computed twice')

    def _statement(self, content: str) -> None:
        body, _, tail = content.partition(";")
        options = dict(word.partition("=")[::2] for word in tail.split())
        for op in self._einsums(body):
            self._check_new(op.output.value)
            shape = self._shape(op)
            self.graph.values[op.output.value] = Value(op.output.value, shape, Role.INTERMEDIATE)
            self.graph.einsums.append(
                Einsum(
                    options.get("name", op.name),
                    op.output,
                    op.fn,
                    op.operands,
                    op.reduce,
                    op.over,
                    op.parameters,
                    options.get("composite", ""),
                )
            )

    def _einsums(self, body: str) -> list[Einsum]:
        """Read a statement in the printed form, which allows any name, or as an expression."""
        try:
            printed = parse_einsum(body)
        except GraphError:
            return parse_assignment(body, self._fresh(body))
        used = {index for access in printed.operands for index in access.indices}
        if used <= set(printed.indices):
            return [printed]
        return parse_assignment(body, self._fresh(body))  # sums over what is not on the left

    def _fresh(self, body: str) -> Callable[[], str]:
        base = body.partition("[")[0].strip()

        def name() -> str:
            self.partial += 1
            while f"{base}_{self.partial}" in self.graph.values:
                self.partial += 1
            return f"{base}_{self.partial}"

        return name

    def _shape(self, op: Einsum) -> tuple[int, ...]:
        """Return the sizes of the output, from the operands that have its indices."""
        sizes: dict[str, int] = {}
        for access in op.operands:
            value = self.graph.values.get(access.value)
            if value is None:
                raise GraphError("E102", f'"{access.value}" is not declared', fix="declare it")
            if len(access.indices) != len(value.shape):
                message = f"{access} has {len(access.indices)} indices, not {len(value.shape)}"
                raise GraphError("E102", message)
            sizes |= dict(self.graph.extents(access))
        missing = [index for index in op.output.indices if index not in sizes]
        if missing:
            raise GraphError("E102", f"no operand of {op.output} has index {missing[0]}")
        return tuple(sizes[index] for index in op.output.indices)

    def _output(self, text: str) -> None:
        match = _OUTPUT.fullmatch(text)
        name, source, tail = match.groups() if match else ("", None, "")
        value = self.graph.values.get(source or name)
        if value is None:
            raise GraphError("E102", f'"{source or name or text}" is not computed')
        options = dict(word.partition("=")[::2] for word in (tail or "").split())
        order = tuple(map(int, options["permutation"].split(","))) if options.get(
            "permutation") else tuple(range(len(value.shape)))  # fmt: skip
        moved = tuple(value.shape[mode] for mode in order)
        shape = tuple(map(int, options["shape"].split("x"))) if options.get("shape") else moved
        self.graph.outputs.append(Output(name, value.name, order, shape))


def format_kernel(graph: EinsumGraph) -> str:
    """Return the text of a graph; its data, references and sources are not in it."""
    lines = [f"kernel {graph.name}"] if graph.name else []
    lines += [line for value in graph.values.values() for line in _declared(value)]
    lines += [_printed(op) for op in graph.einsums]
    lines += [_exposed(output, graph.values) for output in graph.outputs]
    return "\n".join(lines) + "\n"


def _declared(value: Value) -> Iterator[str]:
    if value.role is Role.INTERMEDIATE:
        return
    words = [f"{value.role} {value.name}[{','.join(map(str, value.shape))}]"]
    if value.format is not None and value.format.levels:
        words.append(str(value.format))
    if value.fill:
        words.append(f"fill={value.fill}")
    if value.tensor is not None and value.tensor.values is None:
        words.append("pattern")
    elif value.dtype != "float32":
        words.append(f"dtype={value.dtype}")
    line = " ".join(words)
    if value.tensor is not None and value.tensor.levels:
        line += f"  # density {value.tensor.density:.4g}"
    yield line


def _printed(op: Einsum) -> str:
    options = [f"name={op.name}"] if op.name != op.output.value else []
    options += [f"composite={op.composite}"] if op.composite else []
    return f"{op}  ; {' '.join(options)}" if options else str(op)


def _exposed(output: Output, values: Mapping[str, Value]) -> str:
    text = f"output {output.name}"
    if output.value != output.name:
        text += f" = {output.value}"
    shape = values[output.value].shape
    words = []
    if output.permutation != tuple(range(len(shape))):
        words.append(f"permutation={','.join(map(str, output.permutation))}")
    if output.shape != tuple(shape[mode] for mode in output.permutation):
        words.append(f"shape={'x'.join(map(str, output.shape))}")
    if words and output.value == output.name:
        text += f" = {output.value}"
    return " ".join([text, *words])


def _is_word(word: str) -> bool:
    return word == "pattern" or word.partition("=")[0] in _WORDS


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise _unreadable(text, "a number", "a number") from error


def _unreadable(text: str, what: str, expected: str) -> GraphError:
    return GraphError("E101", f"cannot read {text!r} as {what}", fix=f"write {expected}")
