# SPDX-License-Identifier: MIT
"""A region of messages as operations over the matrix of its edges.

Products stay apart until something other than a product or a sum reads them, so that a weighted
sum of messages becomes one contraction: Y[i,f] = A[i,j] * H[j,f].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.composites import spell_softmax
from fuseflow.frontend.graph.ops import (
    GatherAttrs,
    MapAttrs,
    OpKind,
    PermuteAttrs,
    ReduceAttrs,
    ScatterAttrs,
    TensorOp,
)
from fuseflow.frontend.messages.pairs import LINEAR, Pairs
from fuseflow.frontend.messages.regions import Region, Surroundings
from fuseflow.frontend.messages.terms import Part, PatternSpeller, Weights

__all__ = ["PatternForm"]


@dataclass(frozen=True, slots=True)
class _Term:
    """A product: of the weights of the edges (E along their first axis), if any, and of parts."""

    parts: tuple[Part, ...]
    weights: Weights | None = None
    label: str = ""


class PatternForm:
    """Rewrites the operators of one region, in order.

    `softmaxes` maps the result of each softmax over the edges of a target to its scores.
    """

    def __init__(
        self,
        around: Surroundings,
        region: Region,
        pairs: Pairs,
        softmaxes: dict[str, str],
        matrices: dict[bytes, str],
    ) -> None:
        self._around = around
        self._region = region
        self._pairs = pairs
        self._softmaxes = softmaxes
        self._matrices = matrices
        self._terms: dict[str, _Term] = {}

    def rule(self, b: OpBuilder, op: TensorOp, inputs: tuple[str, ...]) -> str:
        """Spell one operator.

        The name that is returned stands for the result only if that is a value per node.
        """
        speller = PatternSpeller(b, self._pairs, self._matrices)
        if isinstance(op.attrs, ScatterAttrs):
            return self._scatter(speller, op, op.attrs)
        if isinstance(op.attrs, GatherAttrs):
            by_target = op.output in self._pairs.by_target
            part = speller.gathered(inputs[0], op.attrs.dim, by_target=by_target)
            term = _Term((part,))
        elif op.output in self._softmaxes:
            term = self._softmax(speller, self._softmaxes[op.output])
        elif isinstance(op.attrs, MapAttrs):
            term = self._map(speller, op, op.attrs, inputs)
        else:
            term = _Term((self._move(speller, op),))
        self._terms[op.output] = term
        return term.parts[0].name

    def _map(
        self, speller: PatternSpeller, op: TensorOp, attrs: MapAttrs, inputs: tuple[str, ...]
    ) -> _Term:
        if attrs.fn in LINEAR and len(inputs) == 1:
            *first, last = self._terms[op.inputs[0]].parts
            scaled = speller.apply(attrs.fn, attrs.parameters, (last,))
            return replace(self._terms[op.inputs[0]], parts=(*first, scaled))
        pairs = zip(op.inputs, inputs, strict=True)
        terms = [self._operand(speller, op, old, new) for old, new in pairs]
        if attrs.fn == "mul":
            return _product(*terms)
        parts = [
            self._settled(speller, name if name in self._terms else op.output, term)
            for name, term in zip(op.inputs, terms, strict=True)
        ]
        return _Term((speller.apply(attrs.fn, attrs.parameters, parts),))

    def _operand(self, speller: PatternSpeller, op: TensorOp, old: str, new: str) -> _Term:
        """Return an operand of a function: a value per edge, weights, or what is broadcast."""
        if old in self._terms:
            return self._terms[old]
        shape, result = self._around.shape(old), self._around.shape(op.output)
        axis, rank = self._region.axes[op.output], len(result)
        place = len(shape) - (rank - axis)
        if place >= 0 and shape[place] != 1:
            array = self._around.constant(old)
            assert array is not None, "only constants differ from edge to edge"
            weights = array.reshape(shape[place:])
            if rank - axis == 1 or weights.shape[1:] == (1,) * (rank - axis - 1):
                weights = weights.reshape(-1)
            return _Term((), weights, self._around.label(old))
        wide = (1,) * (rank - len(shape)) + shape
        name = speller.b.reshape(new, (*wide[:axis], 1, *wide[axis:]))
        return _Term((Part(name, axis, rank),))

    def _softmax(self, speller: PatternSpeller, scores: str) -> _Term:
        part = self._settled(speller, scores, self._terms[scores])
        masked = speller.masked(part, -np.inf)
        with speller.b.composite("softmax"):
            name = spell_softmax(speller.b, masked.name, masked.axis + 1, masked=True)
        return _Term((replace(masked, name=name, fill=0.0),))

    def _move(self, speller: PatternSpeller, op: TensorOp) -> Part:
        """Spell index algebra or a reduction over other axes than that of the edges."""
        part = self._settled(speller, op.inputs[0], self._terms[op.inputs[0]])
        b, axis = speller.b, self._region.axes[op.output]
        before, shape = part.axis, self._around.shape(op.output)
        fill = part.fill
        if isinstance(op.attrs, PermuteAttrs):
            order = [dim + (dim > before) for dim in op.attrs.order]
            order.insert(axis + 1, before + 1)
            name = b.permute(part.name, order)
        elif isinstance(op.attrs, ReduceAttrs):
            part = part if fill in (None, 0.0) else speller.masked(part, 0.0)
            fill = part.fill
            dims = [dim + (dim > before) for dim in op.attrs.dims]
            name = b.reduce(op.attrs.op, part.name, dims, keepdim=op.attrs.keepdim)
        else:
            corner = b.shape(part.name)[before : before + 2]
            wide = (*shape[:axis], *corner, *shape[axis + 1 :])
            name = (b.expand if op.kind is OpKind.EXPAND else b.reshape)(part.name, wide)
        return Part(name, axis, len(shape), fill)

    def _scatter(self, speller: PatternSpeller, op: TensorOp, attrs: ScatterAttrs) -> str:
        term = self._terms[op.inputs[0]]
        if attrs.op != "add":
            part = self._settled(speller, op.inputs[0], term)
            return speller.extremum(attrs.op, part, attrs.empty)
        stored = [speller.masked(part, 0.0) for part in term.parts if part.fill is not None]
        full = [part for part in term.parts if part.fill is None]
        if term.weights is not None or not stored:
            rank = max(part.rank for part in term.parts)
            stored.insert(0, speller.matrix(attrs.dim, rank, term.weights, term.label))
        full.sort(key=speller.spans_source)
        lead = speller.product([*stored, *full[:-1]])
        return speller.summed(lead, full[-1] if full else None)

    def _settled(self, speller: PatternSpeller, name: str, term: _Term) -> Part:
        """Return a term as one part, which replaces the term for later readers.

        `name` is the old value that it stands for, or one with the same axes of which it is an
        operand.
        """
        parts = sorted(term.parts, key=lambda part: part.fill is None)
        if term.weights is not None:
            axis, rank = self._region.axes[name], len(self._around.shape(name))
            parts.insert(0, speller.matrix(axis, rank, term.weights, term.label))
        part = speller.product(parts)
        if name in self._terms:
            self._terms[name] = _Term((part,))
        return part


def _product(left: _Term, right: _Term) -> _Term:
    parts = (*left.parts, *right.parts)
    if left.weights is None or right.weights is None:
        return replace(right if left.weights is None else left, parts=parts)
    label = left.label or right.label
    return _Term(parts, _multiply(left.weights, right.weights), label)


def _multiply(left: Weights, right: Weights) -> Weights:
    """Multiply weights of edges, whose further axes are aligned at the right."""
    rank = max(left.ndim, right.ndim)
    wide = [w.reshape(len(w), *(1,) * (rank - w.ndim), *w.shape[1:]) for w in (left, right)]
    product: Weights = wide[0] * wide[1]
    return product
