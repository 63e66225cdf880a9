# SPDX-License-Identifier: MIT
"""Walks an exported torch program and builds the graph of tensor operators.

Calls whose operands are all known (parameters, buffers, bound inputs) are evaluated by torch on the
spot, so that masks, index arithmetic and pruned weights arrive as constants; only views of such
tensors stay views, so that a transposed weight keeps its name. Every call that has no rule is
reported, not only the first.

Not here: the export itself (see `torch.module`), and what a call means (see `torch.rules`).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import Finding, Location, ModelError
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.comparisons import COMPARISONS
from fuseflow.frontend.graph.edges import is_edge_weight
from fuseflow.frontend.graph.location import unsupported
from fuseflow.frontend.graph.ops import OpGraph, OpValue
from fuseflow.frontend.torch.args import Call, Result
from fuseflow.frontend.torch.conditions import CONDITION_RULES
from fuseflow.frontend.torch.export import layout_of
from fuseflow.frontend.torch.extents import Extents
from fuseflow.frontend.torch.flex import FlexCall, is_flex_attention
from fuseflow.frontend.torch.inputs import InputRecord
from fuseflow.frontend.torch.large import call_operator, with_content
from fuseflow.frontend.torch.messages import DATA_OF
from fuseflow.frontend.torch.partial import values_at
from fuseflow.frontend.torch.rules import RULES
from fuseflow.frontend.torch.shapes import SHAPE_RULES, VIEWS
from fuseflow.frontend.torch.source import source_of
from fuseflow.frontend.torch.values import (
    FROM_SHAPE,
    LIKE_OTHER,
    Computed,
    Known,
    Subgraph,
    Unknown,
    by_name,
    leaves,
    map_leaves,
    name_of_result,
    operator_name,
)
from fuseflow.ir.einsum import Role, SourceLoc

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = ["read_program"]

LOOKUPS = frozenset(("embedding", "embedding_bag"))
"""Operators that are work for the machine even where everything they read is bound."""


def read_program(
    program: ExportedProgram,
    name: str,
    inputs: Sequence[InputRecord],
    layouts: Mapping[str, str],
    references: Sequence[npt.NDArray[np.float32]] = (),
    *,
    large: Mapping[str, torch.Tensor] = MappingProxyType({}),
    partial: bool = False,
) -> OpGraph:
    """Return the tensor operators of an exported program.

    Args:
        program: functional, after the empty decomposition.
        name: name of the graph.
        inputs: one record per tensor input, in order. Integers and booleans must have data: they
            are bound as constants.
        layouts: format texts of parameters and buffers that are or were sparse.
        references: what the framework computed, one per output, or nothing.
        large: sparse parameters and buffers of which the program has the shape alone.
        partial: leave out what cannot be read; the outputs are then the values that it would have
            read, and those results of the model that do not need it.

    Raises:
        ModelError: I001 for every operator that has no rule, I015 for a dynamic shape, I205 for
            an input without data that must have some, I002 for an unsupported form of an
            operator, I009 for operands that do not fit.
    """
    reader = _Reader(program, name, inputs, layouts, large)
    for node in program.graph.nodes:
        reader.read(node)
    if partial:
        reader.add_frontier(inputs if references else ())
    else:
        reader.raise_findings()
        reader.add_outputs(references)
    return reader.builder.graph


class _Reader:
    """One walk over one program."""

    def __init__(
        self,
        program: ExportedProgram,
        name: str,
        inputs: Sequence[InputRecord],
        layouts: Mapping[str, str],
        large: Mapping[str, torch.Tensor],
    ) -> None:
        self.builder = OpBuilder(name)
        self._program = program
        self._inputs = iter(inputs)
        self._edge_weights = _edge_weights(inputs)
        self._extents = Extents()
        self._layouts, self._large = layouts, large
        self._specs = {
            spec.arg.name: spec
            for spec in program.graph_signature.input_specs
            if hasattr(spec.arg, "name")
        }
        self._values: dict[Node, Any] = {}
        self._refused: dict[str, list[SourceLoc]] = {}
        self._findings: list[Finding] = []
        self._frontier: dict[Node, Computed] = {}
        self._results: tuple[Any, ...] = ()

    def read(self, node: Node) -> None:
        """Read one node of the graph."""
        if node.op == "placeholder":
            self._values[node] = self._read_placeholder(node)
        elif node.op == "call_function":
            self.builder.source = source_of(node)
            self._values[node] = self._read_call(node)
            if isinstance(self._values[node], Unknown):
                self._note_frontier(node)
        elif node.op == "output":
            self._results = tuple(map_leaves(self._lookup, node.args[0]))
            self._note_frontier(node)
        else:
            # What a subgraph is for is known to the call that uses it alone.
            self._values[node] = Subgraph(getattr(self._program.graph_module, str(node.target)))

    def raise_findings(self) -> None:
        """Raise one error for everything that could not be read."""
        findings = self._all_findings()
        if findings:
            raise ModelError.from_findings(findings)

    def add_outputs(self, references: Sequence[npt.NDArray[np.float32]]) -> None:
        """Declare the results of the model as `output`, or `output_0`, `output_1`, ..."""
        specs = self._program.graph_signature.output_specs
        pairs = zip(self._results, specs, strict=True)
        results = [value for value, spec in pairs if spec.kind.name == "USER_OUTPUT"]
        tensors = [value for value in results if isinstance(value, Computed | Known)]
        for place, value in enumerate(tensors):
            name = "output" if len(tensors) == 1 else f"output_{place}"
            reference = references[place] if references else None
            self.builder.output(name, self._name(value), reference)

    def add_frontier(self, inputs: Sequence[InputRecord]) -> None:
        """Declare the values in front of what could not be read, by the names of their nodes.

        With `inputs` torch computes what they should be.
        """
        if not self._frontier:
            raise ModelError.from_findings(self._all_findings())
        names = [node.name for node in self._frontier]
        references = values_at(self._program, inputs, names) if inputs else {}
        for node, value in self._frontier.items():
            self.builder.output(node.name, value.name, references.get(node.name))
        self.builder.graph.notes += [f"left out: {each.message}" for each in self._all_findings()]

    def _all_findings(self) -> list[Finding]:
        refused = [
            unsupported(what, places, RULES) for what, places in sorted(self._refused.items())
        ]
        return refused + self._findings

    def _note_frontier(self, node: Node) -> None:
        """Remember the computed values that a node reads, which nobody else may."""
        for operand in node.all_input_nodes:
            value = self._values[operand]
            if isinstance(value, Computed) and operand.op != "placeholder":
                self._frontier[operand] = value

    def _lookup(self, argument: Any) -> Any:
        import torch

        return self._values[argument] if isinstance(argument, torch.fx.Node) else argument

    # Operands.

    def _read_placeholder(self, node: Node) -> Any:
        spec = self._specs.get(node.name)
        if spec is None or not hasattr(node.meta.get("val"), "shape"):
            return None
        if spec.kind.name == "USER_INPUT":
            return self._read_input(node, next(self._inputs))
        target = spec.target or node.name
        tensors = {**self._program.constants, **self._program.state_dict, **self._large}
        role = Role.CONSTANT if spec.kind.name == "CONSTANT_TENSOR" else Role.PARAMETER
        return Known(tensors[target], target, role, self._layouts.get(target, ""))

    def _read_input(self, node: Node, record: InputRecord) -> Any:
        self.builder.graph.notes += record.remarks
        meta = node.meta["val"]
        if not all(isinstance(extent, int) for extent in meta.shape):
            return self._note_dynamic(record.name, meta.shape)
        if not meta.dtype.is_floating_point or record.name in self._edge_weights:
            return self._bind(record)
        rule = record.layout_rule if record.layout else ""
        shape = tuple(meta.shape)
        value = OpValue(record.name, shape, Role.INPUT, None, record.layout, rule)
        value = value if record.data is None else with_content(value, record.data)
        return Computed(self.builder.add_value(value), shape, meta.dtype)

    def _bind(self, record: InputRecord) -> Any:
        """Take an input of integers or booleans as a constant: it decides what is computed."""
        if record.data is None:
            message = "an input of integers or booleans has no data"
            where = Location(field=record.name)
            self._findings.append(Finding("I205 unbound-input", message, where))
            return Unknown()
        self.builder.graph.notes.append(
            f"input {record.name} is bound to its data: the graph holds for this data alone"
        )
        return Known(record.data, record.name, is_bound=True)

    def _note_dynamic(self, name: str, shape: Sequence[Any]) -> Unknown:
        text = ", ".join(map(str, shape))
        message = f"shape [{text}] has dimensions that are not fixed"
        fix = "export without dynamic_shapes, at the sizes that are to be simulated"
        where = Location(field=name)
        self._findings.append(Finding("I015 dynamic-shape", message, where, fix))
        return Unknown()

    def _name(self, value: Computed | Known) -> str:
        """Return the name of a value, and add a known tensor to the graph at its first use."""
        if isinstance(value, Computed):
            return value.name
        if not value.name:
            value.name = value.view() if value.view else self._add_known(value)
        return value.name

    def _add_known(self, value: Known) -> str:
        label, rule = value.label or "constant", "layout" if value.layout else ""
        shape = tuple(value.tensor.shape)
        bare = OpValue(label, shape, value.role, None, value.layout, rule)
        return self.builder.add_value(with_content(bare, value.tensor))

    # Calls.

    def _read_call(self, node: Node) -> Any:
        from torch._ops import OpOverload

        positional, keywords = map_leaves(self._lookup, (node.args, node.kwargs))
        parts = leaves((positional, keywords))
        if node.target is operator.getitem:
            return self._item(node, *positional)
        is_blocked = any(isinstance(part, Unknown) for part in parts)
        if not isinstance(node.target, OpOverload):
            return self._read_python(node, positional, keywords, is_blocked)
        name = operator_name(node.target)
        if name.startswith("_assert"):
            return None
        if is_blocked:
            return Unknown() if name in RULES or name.startswith("sym_") else self._refuse(node)
        arguments = by_name(node.target, positional, keywords)
        is_known = not any(isinstance(part, Computed) for part in parts)
        is_lookup = name in LOOKUPS and any(_is_bound(part) for part in parts)
        of_shape = name in FROM_SHAPE or (
            name in LIKE_OTHER and not isinstance(arguments["self"], Computed)
        )
        if of_shape or (is_known and not is_lookup):
            return self._evaluate(node, arguments)
        return self._spell(node, arguments)

    def _read_python(self, node: Node, positional: Any, keywords: Any, is_blocked: bool) -> Any:
        """Read arithmetic on sizes, or refuse control flow and other calls that are not ATen."""
        target: Any = node.target
        if getattr(target, "__module__", "") in ("_operator", "math", "builtins"):
            return Unknown() if is_blocked else target(*positional, **keywords)
        if is_flex_attention(target):
            return Unknown() if is_blocked else self._spell_flex(node, positional)
        return self._refuse(node, "not an ATen operator")

    def _spell_flex(self, node: Node, positional: Sequence[Any]) -> Any:
        """Apply the rule of flex_attention, whose first result is the only one that is read."""
        operands = [self._name(part) for part in positional[:3]]
        try:
            result = FlexCall.of(positional[3:]).spell(self.builder, *operands)
        except ModelError as error:
            self._findings.extend(error.findings)
            return Unknown()
        return (self._computed(result, _first(node.meta["val"]).dtype), Unknown(), Unknown())

    def _item(self, node: Node, group: Any, place: Any) -> Any:
        if isinstance(group, Unknown):
            return group
        if isinstance(group, tuple | list) and place < len(group):
            return group[place]
        return self._refuse(node, f"result {place} of its operand")

    def _spell(self, node: Node, arguments: Mapping[str, Any]) -> Any:
        """Apply the rule of an operator."""
        rule = RULES.get(operator_name(node.target))
        if rule is None:
            return self._refuse(node)
        if not _is_number(node, arguments):
            return self._refuse(node, "integers or booleans computed from an input")
        try:
            result = rule(self._call(node, arguments))
        except ModelError as error:
            self._findings.extend(error.findings)
            return Unknown()
        return self._computed(result, _first(node.meta["val"]).dtype)

    def _computed(self, result: Result, dtype: torch.dtype) -> Any:
        if isinstance(result, tuple):
            return tuple(self._computed(each, dtype) for each in result)
        return Computed(result, self.builder.shape(result), dtype)

    def _call(self, node: Node, arguments: Mapping[str, Any]) -> Call:
        def plain(part: Any) -> Any:
            return self._name(part) if isinstance(part, Computed | Known) else part

        texts = {name: part for name, part in arguments.items() if isinstance(part, str)}
        data = DATA_OF.get(operator_name(node.target), ())
        values = {
            name: part if name in data else map_leaves(plain, part)
            for name, part in arguments.items()
            if name not in texts
        }
        shape = _first(node.meta["val"]).shape
        return Call(self.builder, values, texts, self._extents.known(shape) or tuple(shape))

    def _evaluate(self, node: Node, arguments: Mapping[str, Any]) -> Any:
        """Let torch compute a call on known tensors."""
        import torch

        target: Any = node.target
        if torch.Tag.nondeterministic_seeded in target.tags:
            return self._refuse(node, "random numbers")
        known = [part for part in leaves(arguments) if isinstance(part, Known)]
        label, is_bound = name_of_result(known), any(map(_is_bound, known))

        def tensor(part: Any) -> Any:
            if isinstance(part, Computed):
                # Only its shape matters, so it takes no memory.
                return torch.empty((), dtype=part.dtype).expand(part.shape)
            return part.tensor if isinstance(part, Known) else part

        def wrap(part: Any) -> Any:
            if not isinstance(part, torch.Tensor):
                return part
            return Known(part, label, layout=layout_of(part), is_bound=is_bound)

        with torch.no_grad():
            result = map_leaves(wrap, call_operator(target, map_leaves(tensor, arguments)))
        if isinstance(result, Known):
            self._extents.learn(node.meta["val"].shape, result.tensor.shape)
        if isinstance(result, Known) and operator_name(target) in VIEWS:
            sources = self.builder.sources
            result.view = lambda: self._spell_view(node, arguments, sources)
        return result

    def _spell_view(
        self, node: Node, arguments: Mapping[str, Any], sources: tuple[SourceLoc, ...]
    ) -> str:
        before, self.builder.sources = self.builder.sources, sources
        try:
            return str(VIEWS[operator_name(node.target)](self._call(node, arguments)))
        finally:
            self.builder.sources = before

    def _depends_on_values(self, node: Node) -> bool:
        """True if the shape of a result is not known, or it is a number read from a tensor."""
        result = _first(node.meta.get("val"))
        extents = getattr(result, "shape", (result,))
        return result is not None and self._extents.known(extents) is None

    def _refuse(self, node: Node, reason: str = "") -> Unknown:
        source = source_of(node)
        if self._depends_on_values(node):
            reason = "its result or shape depends on values"
        what = f"{source.op} ({reason})" if reason else source.op
        self._refused.setdefault(what, []).append(source)
        return Unknown()


def _is_number(node: Node, arguments: Mapping[str, Any]) -> bool:
    """True if a result is a float, or a condition that is kept as 0 or 1."""
    import torch

    dtype, name = _first(node.meta["val"]).dtype, operator_name(node.target)
    operands = [part for part in leaves(arguments) if isinstance(part, Computed)]
    from_conditions = all(part.dtype == torch.bool for part in operands)
    if dtype == torch.bool:
        if name in COMPARISONS:
            return True
        return from_conditions and (name in CONDITION_RULES or name in SHAPE_RULES)
    return bool(dtype.is_floating_point)


def _is_bound(part: Any) -> bool:
    return isinstance(part, Known) and part.is_bound


def _edge_weights(inputs: Sequence[InputRecord]) -> frozenset[str]:
    """Return the names of the inputs with one number for each edge of another one."""
    known = [(each.name, each.data) for each in inputs if each.data is not None]
    integers = [tuple(data.shape) for _, data in known if not data.is_floating_point()]
    return frozenset(
        name
        for name, data in known
        if data.is_floating_point() and is_edge_weight(tuple(data.shape), integers)
    )


def _first(value: Any) -> Any:
    """Return the (first) result that torch foresees for a node."""
    return value[0] if isinstance(value, tuple | list) else value
