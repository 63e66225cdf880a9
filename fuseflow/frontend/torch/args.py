# SPDX-License-Identifier: MIT
"""The arguments of one ATen call, by the names that its schema gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fuseflow.errors import ModelError
from fuseflow.frontend.graph import spellings
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.location import locate

__all__ = ["Call", "Result", "Rule"]

Result = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose operands are names of values in the graph that `builder` builds.

    `arguments` maps the schema's argument names to names of values (str), lists of these, or plain
    Python values; strings that are no values (`approximate="tanh"`) are in `texts`. `shape` is the
    shape that torch gives the (first) result.
    """

    builder: OpBuilder
    arguments: Mapping[str, Any]
    texts: Mapping[str, str]
    shape: tuple[int, ...]

    def tensor(self, name: str) -> str:
        """Return a tensor operand; a plain number becomes a constant."""
        value = self.arguments[name]
        return value if isinstance(value, str) else self.builder.constant(float(value))

    def maybe(self, name: str) -> str:
        """Return an optional tensor operand, "" where there is none."""
        value = self.arguments.get(name)
        return value if isinstance(value, str) else ""

    def tensors(self, name: str) -> list[str]:
        """Return a list of tensor operands."""
        return list(self.arguments[name])

    def get(self, name: str, default: Any = None) -> Any:
        """Return a plain argument; None counts as not given."""
        value = self.arguments.get(name)
        return default if value is None else value

    def is_number(self, name: str) -> bool:
        """True if the argument is a plain number."""
        return isinstance(self.arguments.get(name), int | float)

    def dims(self, name: str = "dim") -> tuple[int, ...]:
        """Return dimensions given as one number, a list, or nothing."""
        value = self.arguments.get(name)
        if value is None:
            return ()
        return (value,) if isinstance(value, int) else tuple(value)

    def binary(self, fn: str, first: str = "self", second: str = "other") -> str:
        """Apply a binary function to two arguments, either of which may be a number."""
        b = self.builder
        if self.is_number(second):
            return spellings.scalar(b, fn, self.tensor(first), float(self.get(second)))
        if self.is_number(first):
            number = float(self.get(first))
            return spellings.scalar(b, fn, self.tensor(second), number, reverse=True)
        return b.map(fn, self.tensor(first), self.tensor(second))

    def require(self, name: str, allowed: Sequence[Any]) -> None:
        """Refuse a value of a plain argument that is not among `allowed`."""
        value = self.texts.get(name, self.arguments.get(name))
        if value not in allowed:
            raise self.refusal(f"with {name}={value!r} it is not supported")

    def refusal(self, message: str) -> ModelError:
        """Return the error for a form of the operator that has no spelling."""
        return ModelError("I002 unsupported-form", message, where=locate(self.builder.source))


Rule = Callable[[Call], Result]
