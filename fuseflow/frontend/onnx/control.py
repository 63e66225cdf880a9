# SPDX-License-Identifier: MIT
"""Replaces If, Loop and sequences of tensors by the nodes that they run.

Exporters write them where a shape or the number of bags decides, which the operands settle: the
branch of a known condition takes the place of its If, the iterations of a Loop follow each other,
and a sequence becomes the list of its tensors. What depends on computed values stays as it is, and
is then not supported. Not here: how a condition is evaluated (`onnx.fold`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import ModelError
from fuseflow.frontend.onnx.fold import Folder
from fuseflow.frontend.onnx.tensors import refuse

if TYPE_CHECKING:
    import onnx

    from fuseflow.frontend.onnx.load import OnnxFile

__all__ = ["has_control", "unfold"]

_SEQUENCES = frozenset(
    ("ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceInsert")
)
# Iterations multiply; a model that is longer than this is not a model.
_LIMIT_NODES = 200_000

Array = npt.NDArray[Any]
Names = dict[str, str]


def has_control(model: OnnxFile) -> bool:
    """Tell whether a model has operators that `unfold` may replace."""
    return any(node.op_type in {"If", "Loop", *_SEQUENCES} for node in model.proto.graph.node)


def unfold(model: OnnxFile, inputs: Mapping[str, Array]) -> None:
    """Replace control flow in `model`, where the data of its inputs decide it.

    Raises ModelError I215 if that makes a model of too many nodes.
    """
    unfolder = _Unfolder(model, inputs)
    unfolder.run(model.proto.graph.node, {})
    graph = model.proto.graph
    # What it says of shapes may hold for branches that are not taken.
    del graph.node[:], graph.value_info[:]
    graph.node.extend(unfolder.nodes)


class _Unfolder:
    """Collects the nodes that are run, and evaluates those that conditions may need.

    Nodes of branches and bodies get names of their own in the flat graph; a mapping of names says
    which, and is the scope of a graph inside of another.
    """

    def __init__(self, model: OnnxFile, inputs: Mapping[str, Array]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._model = model
        self._folder = Folder(model, inputs)
        self._lost: set[str] = set()
        self._sequences: dict[str, tuple[str, ...]] = {}
        self._count = 0

    def run(self, nodes: Sequence[onnx.NodeProto], scope: Names, *, is_inner: bool = False) -> None:
        """Append nodes; those of an inner graph add the names of their outputs to `scope`."""
        for node in nodes:
            inputs = [scope.get(name, name) for name in node.input]
            if is_inner:
                scope.update((name, self._fresh(name)) for name in node.output if name)
            flat = _changed(node, node.op_type, inputs, [scope.get(n, n) for n in node.output])
            if flat.op_type == "If":
                self._take_branch(flat, scope)
            elif flat.op_type == "Loop":
                self._repeat(flat, scope)
            elif flat.op_type in _SEQUENCES:
                self._take_sequence(flat)
            else:
                self._append(flat)

    def _append(self, node: onnx.NodeProto) -> None:
        """Append a node of a flat graph, and learn what it computes if that is known."""
        if node.op_type == "Identity" and node.input[0] in self._sequences:
            self._sequences[node.output[0]] = self._sequences[node.input[0]]
            return
        self._keep(node)
        if self._lost.isdisjoint(node.input):
            try:
                self._folder.visit(node)
            except ModelError:
                # It is reported when the whole model is read; no condition can depend on it.
                self._lost.update(node.output)
        else:
            self._lost.update(node.output)

    def _keep(self, node: onnx.NodeProto) -> None:
        if len(self.nodes) >= _LIMIT_NODES:
            message = f"unfolds to more than {_LIMIT_NODES} nodes"
            raise refuse(self._model.path, "I215 onnx-check", message)
        self.nodes.append(node)

    def _leave(self, node: onnx.NodeProto) -> None:
        """Keep a node that cannot be replaced; nothing is known of its results."""
        self._keep(node)
        self._lost.update(node.output)

    def _known(self, name: str) -> Any:
        """Return a known number or truth value, None if it is computed."""
        array = self._folder.live.known.get(self._folder.resolve(name))
        return None if array is None or array.size != 1 else array.reshape(()).item()

    def _fresh(self, name: str) -> str:
        self._count += 1
        return f"{name}/{self._count}"

    def _constant(self, value: npt.ArrayLike, label: str) -> str:
        from onnx import helper, numpy_helper

        name = self._fresh(label)
        tensor = numpy_helper.from_array(np.asarray(value), name)
        self._append(helper.make_node("Constant", [], [name], name, value=tensor))
        return name

    def _forward(self, source: str, target: str) -> None:
        """Give a value, or a sequence, another name."""
        from onnx import helper

        self._append(helper.make_node("Identity", [source], [target], target))

    def _inline(self, graph: onnx.GraphProto, scope: Names) -> list[str]:
        """Append what a branch or body runs; return the names of its results."""
        from onnx import numpy_helper

        for tensor in graph.initializer:
            scope[tensor.name] = self._constant(numpy_helper.to_array(tensor), tensor.name)
        self.run(graph.node, scope, is_inner=True)
        return [scope.get(value.name, value.name) for value in graph.output]

    # Control flow.

    def _take_branch(self, node: onnx.NodeProto, scope: Names) -> None:
        condition = self._known(node.input[0])
        if condition is None:
            self._leave(node)
            return
        name = "then_branch" if condition else "else_branch"
        branch = next(entry.g for entry in node.attribute if entry.name == name)
        for result, output in zip(self._inline(branch, dict(scope)), node.output, strict=True):
            self._forward(result, output)

    def _repeat(self, node: onnx.NodeProto, scope: Names) -> None:
        before = len(self.nodes)
        results = self._iterate(node, scope)
        if results is None:
            del self.nodes[before:]
            self._leave(node)
            return
        for result, output in zip(results, filter(None, node.output), strict=True):
            self._forward(result, output)

    def _iterate(self, node: onnx.NodeProto, scope: Names) -> list[str] | None:
        """Append all iterations of a loop; return its results, None if their number is not known.

        Results are first the values that are carried from one iteration to the next, then those
        that all iterations give, side by side.
        """
        (body,) = (entry.g for entry in node.attribute if entry.name == "body")
        trips = self._known(node.input[0]) if node.input[0] else np.inf
        condition = self._known(node.input[1]) if node.input[1] else True
        carried = list(node.input[2:])
        gathered: list[list[str]] = [[] for _ in body.output[1 + len(carried) :]]
        step = 0
        while trips is not None and condition and step < trips:
            given = [self._constant(np.int64(step), "step"), self._constant(np.True_, "condition")]
            names = [value.name for value in body.input]
            inner = {**scope, **dict(zip(names, given + carried, strict=True))}
            goes_on, *results = self._inline(body, inner)
            condition, step = self._known(goes_on), step + 1
            carried = results[: len(carried)]
            for column, result in zip(gathered, results[len(carried) :], strict=True):
                column.append(result)
        if trips is None or condition is None or not all(gathered):
            return None
        return carried + [self._stack(column) for column in gathered]

    def _stack(self, names: Sequence[str], axis: int = 0) -> str:
        """Join values along a new axis."""
        from onnx import helper

        axes, parts = self._constant(np.array([axis]), "axes"), []
        for name in names:
            parts.append(self._fresh(name))
            self._append(helper.make_node("Unsqueeze", [name, axes], [parts[-1]], parts[-1]))
        joined = self._fresh(names[0])
        self._append(helper.make_node("Concat", parts, [joined], joined, axis=axis))
        return joined

    # Sequences.

    def _take_sequence(self, node: onnx.NodeProto) -> None:
        from onnx import helper

        (output,) = node.output
        if node.op_type in ("SequenceEmpty", "SequenceConstruct"):
            self._sequences[output] = tuple(node.input)
            return
        parts = self._sequences.get(node.input[0])
        place = self._place(node, parts)
        if (not parts and node.op_type != "SequenceInsert") or parts is None or place is None:
            self._leave(node)
        elif node.op_type == "SequenceInsert":
            self._sequences[output] = (*parts[:place], node.input[1], *parts[place:])
        elif node.op_type == "SequenceAt":
            self._forward(parts[place], output)
        else:
            given = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
            axis = given["axis"]
            if given.get("new_axis"):
                self._forward(self._stack(parts, axis), output)
            else:
                joined = _changed(node, "Concat", parts, [output])
                del joined.attribute[:]
                joined.attribute.append(helper.make_attribute("axis", axis))
                self._append(joined)

    def _place(self, node: onnx.NodeProto, parts: Sequence[str] | None) -> int | None:
        """Return the position that a node names, the end if it names none, None if not known."""
        count = len(parts or ())
        operand = {"SequenceAt": 1, "SequenceInsert": 2}.get(node.op_type)
        if operand is None or len(node.input) <= operand:
            return count
        place = self._known(node.input[operand])
        if place is None or not -count <= place <= count:
            return None
        return int(place) % count if place < 0 else int(place)


def _changed(
    node: onnx.NodeProto, op: str, inputs: Sequence[str], outputs: Sequence[str]
) -> onnx.NodeProto:
    """Return a copy of a node with another operator and other operands."""
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.op_type = op
    del copy.input[:], copy.output[:]
    copy.input.extend(inputs)
    copy.output.extend(outputs)
    return copy
