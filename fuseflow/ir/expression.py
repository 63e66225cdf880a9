# SPDX-License-Identifier: MIT
"""Tensor expressions in index notation, and the einsums that they stand for.

    C[i,j] = A[i,k] * B[k,j]              k is not on the left: it is summed over
    x[i] = b[i] - 2 * A[i,k] * d[k]       only in the term that has it
    y[i,j] = relu(A[i,k] * B[k,j])        inside of the function that has it
    m[i] = max[k] abs(A[i,k])             other reductions are written out
    s[i] = exp(a[i]) / (1 + b[i])         numbers, functions and parentheses

An index that is not on the left is summed in the smallest term, function argument or parenthesis
that holds all its uses. Names are letters, digits, "_" and "."; the functions are those of
`fuseflow.ir.scalar`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fuseflow.errors import GraphError
from fuseflow.ir.einsum import Access, Einsum
from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS

__all__ = ["parse_assignment"]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_][\w.]*)"
    r"|(?P<mark>[][(),=+*/-]))"
)
_MARKS = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
_WITH_NUMBER = {"add": "add_scalar", "mul": "mul_scalar", "div": "div_scalar", "max": "max_scalar",
                "min": "min_scalar"}  # fmt: skip
_AFTER_NUMBER = {"sub": "rsub_scalar", "div": "rdiv_scalar"}
_INFINITE = {"inf": float("inf"), "nan": float("nan")}


@dataclass(frozen=True, slots=True)
class _Call:
    """A function of expressions; `over` for a reduction, else numbers behind the operands."""

    fn: str
    operands: tuple[_Term, ...]
    over: tuple[str, ...] = ()
    parameters: tuple[float, ...] = ()


_Term = Access | float | _Call


def parse_assignment(text: str, fresh: Callable[[], str]) -> list[Einsum]:
    """Read one assignment; the last einsum computes its left side.

    Args:
        text: for example "C[i,j] = A[i,k] * B[k,j]".
        fresh: names a value for each partial result.

    Raises:
        GraphError: E101 if the text is no assignment, with what was found.
    """
    parser = _Parser(text)
    output, term = parser.assignment()
    summed = _sum_missing(term, frozenset(output.indices))
    emitter = _Emitter(fresh)
    emitter.assign(output, summed)
    return emitter.einsums


class _Parser:
    """Recursive descent with one token of lookahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.kind, self.token = "", ""
        self._advance()

    def assignment(self) -> tuple[Access, _Term]:
        output = self._access(self._take("name"))
        self._expect("=")
        term = self._sum()
        if self.kind != "end":
            raise self._error(f"found {self.token} behind the expression")
        return output, term

    def _sum(self) -> _Term:
        left = self._product()
        while self.kind == "mark" and self.token in "+-":
            fn = _MARKS[self.token]
            self._advance()
            left = self._binary(fn, left, self._product())
        return left

    def _product(self) -> _Term:
        left = self._factor()
        while self.kind == "mark" and self.token in "*/":
            fn = _MARKS[self.token]
            self._advance()
            left = self._binary(fn, left, self._factor())
        return left

    def _factor(self) -> _Term:
        if self.token == "-":
            self._advance()
            inner = self._factor()
            return -inner if isinstance(inner, float) else _Call("neg", (inner,))
        if self.token == "(":
            self._advance()
            inner = self._sum()
            self._expect(")")
            return inner
        if self.kind == "number":
            return float(self._take("number"))
        name = self._take("name")
        if self.token == "(":
            return self._call(name)
        if name in _INFINITE and self.token != "[":
            return _INFINITE[name]
        access = self._access(name)
        starts_operand = self.kind in ("name", "number") or self.token == "("
        if name in REDUCTIONS and starts_operand:
            return _Call(name, (self._factor(),), access.indices)
        return access

    def _call(self, name: str) -> _Term:
        row = SCALAR_FUNCTIONS.get(name)
        if row is None:
            raise self._error(f'there is no function "{name}"')
        self._expect("(")
        arguments = [self._sum()]
        while self.token == ",":
            self._advance()
            arguments.append(self._sum())
        self._expect(")")
        if len(arguments) == 2 and row.arity == 2 and not row.parameters:
            return self._binary(name, *arguments)
        operands = tuple(arguments[: row.arity])
        numbers = tuple(each for each in arguments[row.arity :] if isinstance(each, float))
        if len(arguments) != row.arity + len(row.parameters) or any(
            isinstance(each, float) for each in operands
        ):
            wanted = ["a tensor"] * row.arity + list(row.parameters)
            raise self._error(f"{name} takes {', '.join(wanted)}")
        return _Call(name, operands, (), numbers)

    def _binary(self, fn: str, left: _Term, right: _Term) -> _Term:
        """Return the function of two operands, either of which may be a number."""
        if isinstance(left, float) and isinstance(right, float):
            raise self._error("an operation of two numbers: write the result")
        if isinstance(right, float):
            if fn == "sub":
                fn, right = "add", -right
            if fn in _WITH_NUMBER:
                return _Call(_WITH_NUMBER[fn], (left,), (), (right,))
        elif isinstance(left, float):
            mirrored = _AFTER_NUMBER.get(fn) or _WITH_NUMBER.get(fn)
            if mirrored:
                return _Call(mirrored, (right,), (), (left,))
        else:
            return _Call(fn, (left, right))
        raise self._error(f"{fn} takes two tensors")

    def _access(self, name: str) -> Access:
        self._expect("[")
        indices: list[str] = []
        while self.token != "]":
            indices.append(self._take("name"))
            if self.token == ",":
                self._advance()
        self._advance()
        return Access(name, tuple(indices))

    def _take(self, kind: str) -> str:
        if self.kind != kind:
            raise self._error(f"expected a {kind}, found {self.token or 'the end'}")
        token = self.token
        self._advance()
        return token

    def _expect(self, mark: str) -> None:
        if self.token != mark:
            raise self._error(f'expected "{mark}", found {self.token or "the end"}')
        self._advance()

    def _advance(self) -> None:
        if not self.text[self.position :].strip():
            self.kind, self.token = "end", ""
            return
        match = _TOKEN.match(self.text, self.position)
        if match is None or match.lastgroup is None:
            raise self._error(f"cannot read {self.text[self.position :].strip()[:20]!r}")
        self.kind, self.token, self.position = match.lastgroup, match[match.lastgroup], match.end()

    def _error(self, message: str) -> GraphError:
        fix = "write VALUE[i,j] = an expression of VALUE[..], numbers, + - * /, functions"
        return GraphError("E101", f"{message}, in {self.text.strip()!r}", fix=fix)


def _uses(term: _Term) -> list[str]:
    """Return the free indices of a term in the order in which they occur."""
    if isinstance(term, float):
        return []
    if isinstance(term, Access):
        return list(dict.fromkeys(term.indices))
    found = dict.fromkeys(index for operand in term.operands for index in _uses(operand))
    return [index for index in found if index not in term.over]


def _sum_missing(term: _Term, kept: frozenset[str]) -> _Term:
    """Sum over every index that is not kept, as far inside as its uses allow."""
    if not isinstance(term, _Call) or term.fn not in ("mul", "div") or term.over:
        if isinstance(term, _Call):
            inner = kept | frozenset(term.over)
            operands = tuple(_sum_missing(operand, inner) for operand in term.operands)
            return _Call(term.fn, operands, term.over, term.parameters)
        return _summed(term, kept)
    operands = tuple(
        _sum_missing(operand, kept | _shared(operand, term)) for operand in term.operands
    )
    return _summed(_Call(term.fn, operands), kept)


def _shared(operand: _Term, product: _Call) -> frozenset[str]:
    """Return the indices of a factor that must not be summed inside of it.

    Those that other factors have too; and all of a plain tensor, which is summed with the product.
    """
    if not isinstance(operand, _Call):
        return frozenset(_uses(operand))
    others = [other for other in product.operands if other is not operand]
    outside = frozenset(index for other in others for index in _uses(other))
    if operand.fn in ("mul", "div"):
        return frozenset(_uses(operand))
    return outside


def _summed(term: _Term, kept: frozenset[str]) -> _Term:
    missing = tuple(index for index in _uses(term) if index not in kept)
    return _Call("add", (term,), missing) if missing else term


class _Emitter:
    """Turns a term into einsums, one function and one reduction each."""

    def __init__(self, fresh: Callable[[], str]) -> None:
        self.fresh = fresh
        self.einsums: list[Einsum] = []

    def assign(self, output: Access, term: _Term) -> None:
        """Append the einsums that compute an output."""
        reduce: str | None = None
        over: tuple[str, ...] = ()
        if isinstance(term, _Call) and term.over:
            reduce, over = term.fn, term.over
            (term,) = term.operands
        if isinstance(term, float):
            raise GraphError("E101", f"{output} is a number", fix="bind it as a tensor")
        if isinstance(term, Access) or term.over:
            term = _Call("copy", (term,))
        operands = tuple(self._operands(term.operands))
        self.einsums.append(
            Einsum(output.value, output, term.fn, operands, reduce, over, term.parameters)
        )

    def _operands(self, terms: Sequence[_Term]) -> Iterator[Access]:
        for term in terms:
            if isinstance(term, Access):
                yield term
                continue
            partial = Access(self.fresh(), tuple(_uses(term)))
            self.assign(partial, term)
            yield partial
