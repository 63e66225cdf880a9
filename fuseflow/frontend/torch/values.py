# SPDX-License-Identifier: MIT
"""What a node of a torch graph stands for while it is read, and how its arguments are taken apart.

Not here: the walk over the graph (see `torch.graph`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fuseflow.errors import ModelError
from fuseflow.ir.einsum import Role

if TYPE_CHECKING:
    import torch

__all__ = [
    "FROM_SHAPE",
    "LIKE_OTHER",
    "Computed",
    "Known",
    "Subgraph",
    "Unknown",
    "by_name",
    "leaves",
    "map_leaves",
    "name_of_result",
    "operator_name",
    "to_array",
]

FROM_SHAPE = frozenset(
    (
        "empty_like",
        "full_like",
        "new_empty",
        "new_full",
        "new_ones",
        "new_zeros",
        "ones_like",
        "sym_size",
        "zeros_like",
    )
)
"""Operators that need only the shape of their operand."""

LIKE_OTHER = frozenset(("expand_as", "view_as"))
"""Operators that need only the shape of every operand but the first, which is `self`."""


@dataclass(frozen=True, slots=True)
class Computed:
    """A value of the graph that depends on the inputs of the model."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(slots=True)
class Known:
    """A tensor whose value is known. It becomes a value of the graph where a rule asks for it.

    `label` is the parameter that it comes from, "" if there is not exactly one. `is_bound` says
    that it depends on a bound input. `view` appends the view operator that made it, for a tensor
    that is a view of another known one.
    """

    tensor: torch.Tensor
    label: str = ""
    role: Role = Role.CONSTANT
    layout: str = ""
    is_bound: bool = False
    view: Callable[[], str] | None = None
    name: str = ""

    def array(self) -> npt.NDArray[Any]:
        """Return the tensor as an array, which shares its memory where it can.

        A tensor that repeats its elements by broadcasting stays one.
        """
        import torch

        tensor = self.tensor.detach()
        if tensor.layout != torch.strided or tensor.dtype == torch.bfloat16:
            return to_array(tensor)
        return np.asarray(tensor.cpu().numpy())


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A graph of its own inside a program, which a higher-order operator calls."""

    module: Any

    @property
    def is_identity(self) -> bool:
        """True if it returns its first argument."""
        *_, output = self.module.graph.nodes
        return bool(output.args[0] is next(iter(self.module.graph.nodes)))


class Unknown:
    """The result of a call that could not be read."""


def to_array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Return the dense array of a tensor; floating types become float32."""
    import torch

    dense = tensor.detach()
    dense = dense if dense.layout == torch.strided else dense.to_dense()
    if dense.is_complex():
        raise ModelError("I008 complex-tensor", "complex numbers are not supported")
    dense = dense.to(torch.float32) if dense.is_floating_point() else dense
    return np.array(dense.cpu().numpy())


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to the leaves of nested lists, tuples and mappings, which become plain."""
    if isinstance(tree, list):
        return [map_leaves(function, each) for each in tree]
    if isinstance(tree, tuple):
        return tuple(map_leaves(function, each) for each in tree)
    if isinstance(tree, Mapping):
        return {key: map_leaves(function, each) for key, each in tree.items()}
    return function(tree)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of nested lists, tuples and mappings."""
    found: list[Any] = []
    map_leaves(found.append, tree)
    return found


def operator_name(target: Any) -> str:
    """Return the name of an ATen operator without its namespace and overload."""
    return str(target.overloadpacket.__name__)


def by_name(target: Any, positional: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by the names of the operator's schema, defaults included."""
    values: dict[str, Any] = {}
    for place, declared in enumerate(target._schema.arguments):
        if place < len(positional):
            values[declared.name] = positional[place]
        else:
            values[declared.name] = keywords.get(declared.name, declared.default_value)
    return values


def name_of_result(operands: list[Known]) -> str:
    """Return the label of a tensor computed from known ones, "" if no single one speaks for it.

    A pruned weight is kept by torch as a dense part and a mask; their product is the weight.
    """
    labels = {operand.label for operand in operands if operand.label}
    if len(labels) == 1:
        return labels.pop()
    stems = {label.removesuffix("_orig").removesuffix("_mask") for label in labels}
    stem = stems.pop() if len(stems) == 1 else ""
    return stem if labels == {f"{stem}_orig", f"{stem}_mask"} else ""
