"""Small ONNX models for tests: single nodes and short graphs, saved with their inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.evaluate import evaluate_outputs

Array = npt.NDArray[Any]
DEFAULT_OPSET = 20


def draw(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return seeded numbers around zero, none of them very small."""
    generator = np.random.default_rng([seed, *shape])
    sign = generator.choice(np.array([-1, 1], dtype=np.float32), shape)
    return (sign * generator.uniform(0.25, 2, shape)).astype(np.float32)


@dataclass
class SmallModel:
    """A graph under construction; arrays are inputs or constants by the dict they are in.

    `shapes` declares inputs other than their arrays are, and outputs that inference cannot tell.
    """

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: dict[str, Array] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    outputs: Sequence[str] = ("y",)
    opset: int = DEFAULT_OPSET
    shapes: Mapping[str, Sequence[int | str | None]] = field(default_factory=dict)

    def node(
        self, op: str, inputs: Sequence[str], outputs: str | Sequence[str] = "y", **attrs: Any
    ) -> SmallModel:
        """Append a node and return the model."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        name = attrs.pop("name", f"node_{len(self.nodes)}")
        self.nodes.append(helper.make_node(op, list(inputs), names, name=name, **attrs))
        return self

    def proto(self, **extra: Any) -> onnx.ModelProto:
        """Return the model as protobuf."""
        inputs = [
            helper.make_tensor_value_info(
                name,
                helper.np_dtype_to_tensor_dtype(array.dtype),
                list(self.shapes.get(name, array.shape)),
            )
            for name, array in self.inputs.items()
        ]
        graph = helper.make_graph(
            self.nodes,
            "small",
            inputs,
            [self._output(name) for name in self.outputs],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        # Shape inference declares the outputs, as an exporter would.
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, **extra)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        declared = {value.name: value for value in inferred.graph.value_info}
        for value in model.graph.output:
            if value.name in self.shapes:
                continue
            value.CopyFrom(declared.get(value.name, _output(inferred, value.name)))
        return model

    def _output(self, name: str) -> onnx.ValueInfoProto:
        if name in self.shapes:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(self.shapes[name]))
        return helper.make_empty_tensor_value_info(name)

    def save(self, folder: Path) -> Path:
        """Write the model and return its path."""
        path = folder / "small.onnx"
        onnx.save(self.proto(), path)
        return path

    def bindings(self, folder: Path) -> dict[str, str]:
        """Write the inputs and return the binding of each."""
        for position, array in enumerate(self.inputs.values()):
            np.save(folder / f"input_{position}.npy", array)
        return {
            name: str(folder / f"input_{position}.npy") for position, name in enumerate(self.inputs)
        }

    def load(self, folder: Path, **options: Any) -> EinsumGraph:
        """Write the model, bind its inputs and import it."""
        return import_onnx(
            self.save(folder), ImportOptions(bindings=self.bindings(folder), **options)
        )


def _output(model: onnx.ModelProto, name: str) -> onnx.ValueInfoProto:
    return next(value for value in model.graph.output if value.name == name)


def assert_equals_reference(graph: EinsumGraph, rtol: float = 1e-5, atol: float = 1e-5) -> None:
    """Check that the einsums compute what the runtime computed for every output."""
    assert graph.outputs
    computed = evaluate_outputs(graph)
    for output in graph.outputs:
        assert output.reference is not None
        assert computed[output.name].shape == output.reference.shape
        np.testing.assert_allclose(computed[output.name], output.reference, rtol, atol)
