# SPDX-License-Identifier: MIT
"""Association of products: (A X) W and A (X W) compute the same, at different cost.

A chain is a tree of contractions whose inner results nothing else reads. Rewriting keeps the names
of its operations, in evaluation order; inner results get names of their own, because they hold
something else than before. Sums may then be rounded differently, so nothing is rewritten unasked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from fuseflow.errors import ScheduleError
from fuseflow.fusion.schedule.bind import Bound
from fuseflow.ir.einsum import Access, Einsum, EinsumGraph, Role, Value
from fuseflow.ir.schedule import Assoc
from fuseflow.ir.schedule_text import quote
from fuseflow.ir.schedule_tokens import TokenStream

__all__ = ["Chain", "apply_associations", "cheapest_associations", "find_chains"]

# The leaves of a chain by position, grouped by parentheses.
Tree = int | tuple["Tree", "Tree"]
# Association is decided for chains of up to this many factors.
MAX_FACTORS = 8


@dataclass(frozen=True, slots=True)
class Chain:
    """A tree of products: its operations (the root last), its factors, how they are grouped.

    Factors are accesses in one namespace of indices, that of the root; `sizes` has the extents.
    """

    ops: tuple[Einsum, ...]
    factors: tuple[Access, ...]
    tree: Tree
    sizes: Mapping[str, int]

    @property
    def root(self) -> Einsum:
        """Return the operation that computes the whole product."""
        return self.ops[-1]

    def text(self, tree: Tree | None = None) -> str:
        """Return a grouping as it is written in a schedule."""
        tree = self.tree if tree is None else tree
        if isinstance(tree, int):
            return quote(self.factors[tree].value)
        parts = [self.text(part) for part in tree]
        return " ".join(
            p if isinstance(t, int) else f"({p})" for p, t in zip(parts, tree, strict=True)
        )


def find_chains(graph: EinsumGraph) -> Iterator[Chain]:
    """Yield the product tree below every contraction, in evaluation order; also partial ones."""
    finder = _Finder(graph)
    for op in graph.einsums:
        if _is_product(op):
            chain = finder.chain(op)
            if len(chain.factors) > 2:
                yield chain


def apply_associations(
    graph: EinsumGraph, directives: Iterable[Bound]
) -> tuple[EinsumGraph, tuple[Bound, ...]]:
    """Rewrite the chains that directives give parentheses to.

    Returns:
        The graph, and each directive bound to the root of its chain alone.

    Raises:
        ScheduleError: P011 if an operation is the root of no such chain.
    """
    narrowed: list[Bound] = []
    for bound in directives:
        assert isinstance(bound.choice, Assoc)
        chain, tree = _match(graph, bound, bound.choice.expression)
        graph = _rewrite(graph, chain, tree)
        text = Assoc(chain.text(tree))
        narrowed.append(Bound(frozenset({chain.root.name}), text, bound.reason))
    return graph, tuple(narrowed)


def cheapest_associations(graph: EinsumGraph) -> list[Bound]:
    """Return a directive for every chain that another association makes cheaper."""
    chains = {chain.root.name: chain for chain in find_chains(graph)}
    inner = {op.name for chain in chains.values() for op in chain.ops[:-1]}
    found: list[Bound] = []
    for name, chain in chains.items():
        if name in inner or len(chain.factors) > MAX_FACTORS:
            continue
        prices = _Prices(graph, chain)
        best, price = prices.best(0, len(chain.factors))
        now = prices.of(chain.tree)[0]
        if price < now:
            reason = f"about {price:.3g} products instead of {now:.3g}"
            found.append(Bound(frozenset({name}), Assoc(chain.text(best)), reason))
    return found


class _Finder:
    """Collects the product tree below an operation."""

    def __init__(self, graph: EinsumGraph) -> None:
        self.graph = graph
        self.producer = graph.producers()
        uses = Counter(access.value for op in graph.einsums for access in op.operands)
        kept = {output.value for output in graph.outputs}
        self.private = {name for name, count in uses.items() if count == 1 and name not in kept}

    def chain(self, root: Einsum) -> Chain:
        ops: list[Einsum] = []
        factors: list[Access] = []
        sizes: dict[str, int] = {}
        names = {index: index for index in root.indices}
        tree = self._walk(root, names, ops, factors, sizes)
        return Chain(tuple(ops), tuple(factors), tree, sizes)

    def _walk(
        self,
        op: Einsum,
        names: Mapping[str, str],
        ops: list[Einsum],
        factors: list[Access],
        sizes: dict[str, int],
    ) -> Tree:
        parts: list[Tree] = []
        for access in op.operands:
            outer = tuple(names[index] for index in access.indices)
            sizes.update(zip(outer, self.graph.values[access.value].shape, strict=True))
            inner = self.producer.get(access.value)
            if inner is None or access.value not in self.private or not _is_product(inner):
                factors.append(Access(access.value, outer))
                parts.append(len(factors) - 1)
                continue
            below = dict(zip(inner.output.indices, outer, strict=True))
            taken = {*names.values(), *sizes, *below.values()}
            for index in inner.over:
                below[index] = _fresh(index, taken)
                taken.add(below[index])
            parts.append(self._walk(inner, below, ops, factors, sizes))
        ops.append(op)
        return (parts[0], parts[1])


def _is_product(op: Einsum) -> bool:
    is_sum = op.reduce in (None, "add")
    return op.fn == "mul" and len(op.operands) == 2 and is_sum and not op.composite


def _fresh(index: str, taken: set[str]) -> str:
    name, count = index, 1
    while name in taken:
        count += 1
        name = f"{index}_{count}"
    return name


def _match(graph: EinsumGraph, bound: Bound, expression: str) -> tuple[Chain, Tree]:
    """Return the chain whose factors an expression groups, and the grouping."""
    words = Counter(_words(TokenStream(expression, "assoc")))
    chains = [chain for chain in find_chains(graph) if chain.root.name in bound.ops]
    for chain in chains:
        if Counter(factor.value for factor in chain.factors) == words:
            reader = _ExpressionReader(expression, chain)
            return chain, reader.product()
    there = "; ".join(chain.text() for chain in chains) or "none"
    raise ScheduleError(
        "P011",
        f"assoc {expression}: the operations named compute no product of these factors",
        fix=f"the products of three or more factors there are: {there}",
    )


def _words(tokens: TokenStream) -> Iterator[str]:
    while not tokens.at_end():
        if not (tokens.accept("(") or tokens.accept(")")):
            yield tokens.name("a tensor")


class _ExpressionReader:
    """Reads an association; factors side by side are multiplied from left to right."""

    def __init__(self, expression: str, chain: Chain) -> None:
        self.tokens = TokenStream(expression, "assoc")
        self.left = list(enumerate(factor.value for factor in chain.factors))

    def product(self) -> Tree:
        tree = self._factor()
        while not (self.tokens.at_end() or self.tokens.next_is(")")):
            tree = (tree, self._factor())
        return tree

    def _factor(self) -> Tree:
        if self.tokens.accept("("):
            inner = self.product()
            self.tokens.expect(")")
            return inner
        name = self.tokens.name("a tensor")
        entry = next(entry for entry in self.left if entry[1] == name)
        self.left.remove(entry)
        return entry[0]


def _rewrite(graph: EinsumGraph, chain: Chain, tree: Tree) -> EinsumGraph:
    """Return the graph in which a chain is grouped as `tree` says."""
    if tree == chain.tree:
        return graph
    builder = _Builder(graph, chain)
    root = builder.build(tree, top=True)
    assert root.value == chain.root.output.value
    old = {op.name for op in chain.ops}
    gone = {op.output.value for op in chain.ops[:-1]}
    einsums: list[Einsum] = []
    for op in graph.einsums:
        if op.name == chain.root.name:
            einsums += builder.ops
        elif op.name not in old:
            einsums.append(op)
    values = {name: value for name, value in graph.values.items() if name not in gone}
    return replace(graph, values=values | builder.values, einsums=einsums)


class _Builder:
    """Makes the operations of a grouping, inner products first."""

    def __init__(self, graph: EinsumGraph, chain: Chain) -> None:
        self.graph = graph
        self.chain = chain
        positions = {op.name: n for n, op in enumerate(graph.einsums)}
        self.names = sorted(chain.ops, key=lambda op: positions[op.name])
        self.ops: list[Einsum] = []
        self.values: dict[str, Value] = {}

    def build(self, tree: Tree, *, top: bool = False) -> Access:
        if isinstance(tree, int):
            return self.chain.factors[tree]
        operands = (self.build(tree[0]), self.build(tree[1]))
        kept, over = _split_indices(self.chain, tree)
        template = self.names[len(self.ops)]
        output = self.chain.root.output if top else self._inner(template, kept)
        op = replace(
            template,
            output=output,
            operands=operands,
            reduce="add" if over else None,
            over=over,
        )
        self.ops.append(op)
        return output

    def _inner(self, template: Einsum, kept: tuple[str, ...]) -> Access:
        name = f"{template.name}.reassociated"
        shape = tuple(self.chain.sizes[index] for index in kept)
        dtype = self.graph.values[template.output.value].dtype
        self.values[name] = Value(name, shape, Role.INTERMEDIATE, dtype)
        return Access(name, kept)


def _split_indices(chain: Chain, tree: Tree) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the indices that a product keeps, and those that it sums over."""
    inside = set(_leaves(tree))
    below = list(dict.fromkeys(i for n in sorted(inside) for i in chain.factors[n].indices))
    outside = {i for n, f in enumerate(chain.factors) if n not in inside for i in f.indices}
    outside |= set(chain.root.output.indices)
    done = {i for part in _pairs(tree) for i in _split_indices(chain, part)[1]}
    kept = tuple(index for index in below if index in outside)
    return kept, tuple(index for index in below if index not in outside and index not in done)


def _leaves(tree: Tree) -> Iterator[int]:
    if isinstance(tree, int):
        yield tree
    else:
        yield from _leaves(tree[0])
        yield from _leaves(tree[1])


def _pairs(tree: Tree) -> Iterator[Tree]:
    """Yield the products strictly inside a product."""
    if not isinstance(tree, int):
        for part in tree:
            if not isinstance(part, int):
                yield part
                yield from _pairs(part)


class _Prices:
    """Expected multiplications of groupings that keep the factors in their order."""

    def __init__(self, graph: EinsumGraph, chain: Chain) -> None:
        self.chain = chain
        tensors = [graph.values[factor.value].tensor for factor in chain.factors]
        self.density = [1.0 if tensor is None else tensor.density for tensor in tensors]
        self._best: dict[tuple[int, int], tuple[Tree, float]] = {}

    def best(self, start: int, stop: int) -> tuple[Tree, float]:
        """Return the cheapest grouping of a run of factors, the leftmost of equals."""
        if stop - start == 1:
            return start, 0.0
        if (start, stop) not in self._best:
            trees: list[Tree] = [
                (self.best(start, cut)[0], self.best(cut, stop)[0])
                for cut in range(stop - 1, start, -1)
            ]
            tree = min(trees, key=lambda tree: self.of(tree)[0])
            self._best[start, stop] = tree, self.of(tree)[0]
        return self._best[start, stop]

    def of(self, tree: Tree) -> tuple[float, float]:
        """Return the price of a grouping and the density of its result."""
        if isinstance(tree, int):
            return 0.0, self.density[tree]
        (left, a), (right, b) = self.of(tree[0]), self.of(tree[1])
        kept, over = _split_indices(self.chain, tree)
        points = math.prod(self.chain.sizes[index] for index in (*kept, *over))
        rounds = math.prod(self.chain.sizes[index] for index in over)
        return left + right + points * a * b, 1.0 - (1.0 - a * b) ** rounds
