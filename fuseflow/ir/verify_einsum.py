# SPDX-License-Identifier: MIT
"""The verifier of einsum graphs: what a graph must be before any stage may work on it.

It checks form, not meaning: a verified graph can be evaluated and fused. All findings are reported
together. The rules of tensors are in `verify_tensor`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from fuseflow.errors import Finding, GraphError, Location
from fuseflow.ir.einsum import Einsum, EinsumGraph, Role
from fuseflow.ir.scalar import REDUCTIONS, SCALAR_FUNCTIONS
from fuseflow.ir.verify_tensor import TENSOR_RULES, check_output, check_value

__all__ = ["RULES", "verify_einsum_graph"]

RULES: Mapping[str, str] = {
    "E001": "values are filed under their own name; names of einsums and outputs are unique",
    "E002": "every access names a value of the graph",
    "E003": "every intermediate is computed by exactly one einsum, and nothing else is computed",
    "E004": "an einsum reads only what is computed before it",
    "E005": "an access has one index per dimension of its value",
    "E006": "an access names no index twice (no diagonals)",
    "E007": "an index has the same extent everywhere in the graph",
    "E008": "every index of an output occurs in some operand",
    "E009": "every index of an operand is either in the output or reduced, once, and not both",
    "E010": "the scalar function is known and gets as many operands as it takes",
    "E011": "the scalar function gets as many parameters as it takes",
    "E012": "the reduction is known and names its indices; without one no index is reduced",
    "E013": "a maximum or minimum is taken over an index of extent >= 1",
    **TENSOR_RULES,
    "E020": "a value that no einsum computes has data, not tiled (checked on evaluation)",
}


def verify_einsum_graph(graph: EinsumGraph) -> None:
    """Check every rule of `RULES` but E020.

    Raises:
        GraphError: with a finding for each broken rule.
    """
    findings = [
        *_check_names(graph),
        *(finding for value in graph.values.values() for finding in check_value(value)),
        *_check_evaluation(graph),
        *(finding for op in graph.einsums for finding in _check_function(op)),
        *_check_indices(graph),
        *(finding for output in graph.outputs for finding in check_output(graph.values, output)),
    ]
    if findings:
        raise GraphError.from_findings(findings)


def _check_names(graph: EinsumGraph) -> Iterator[Finding]:
    for key, value in graph.values.items():
        if key != value.name:
            yield Finding("E001", f"value is filed under {key!r}", Location(field=value.name))
    for kind, names in (
        ("einsum", [op.name for op in graph.einsums]),
        ("output", [output.name for output in graph.outputs]),
    ):
        for name, count in Counter(names).items():
            if count > 1 or not name:
                message = f"{count} {kind}s have the name {name!r}"
                yield Finding("E001", message, Location(graph=graph.name))


def _check_evaluation(graph: EinsumGraph) -> Iterator[Finding]:
    """Check that values are known, computed once, and computed before they are read."""
    computed: set[str] = set()
    later = {op.output.value for op in graph.einsums}
    for op in graph.einsums:
        where = Location(node=op.name)
        for name in dict.fromkeys(access.value for access in op.operands):
            if name in graph.values and name in later and name not in computed:
                yield Finding("E004", f"reads {name!r} before it is computed", where)
        for access in (op.output, *op.operands):
            if access.value not in graph.values:
                yield Finding("E002", f"unknown value {access.value!r} in {access}", where)
        name = op.output.value
        if name in computed:
            yield Finding("E003", f"computes {name!r}, which another einsum has computed", where)
        elif name in graph.values and graph.values[name].role is not Role.INTERMEDIATE:
            role = graph.values[name].role
            yield Finding("E003", f"computes {name!r}, which is an {role} of the model", where)
        computed.add(name)
    for value in graph.values.values():
        if value.role is Role.INTERMEDIATE and value.name not in computed:
            yield Finding("E003", "no einsum computes this", Location(field=value.name))


def _check_function(op: Einsum) -> Iterator[Finding]:
    """Check function and reduction against their tables."""
    where = Location(node=op.name)
    row = SCALAR_FUNCTIONS.get(op.fn)
    if row is None:
        yield Finding("E010", f"unknown function {op.fn!r}", where)
    elif len(op.operands) != row.arity:
        message = f"{op.fn} takes {row.arity} operands, not {len(op.operands)}"
        yield Finding("E010", message, where)
    if row is not None and len(op.parameters) != len(row.parameters):
        names = ", ".join(row.parameters) or "none"
        message = f"{op.fn} takes the parameters {names}, got {len(op.parameters)}"
        yield Finding("E011", message, where)
    if op.reduce is not None and op.reduce not in REDUCTIONS:
        yield Finding("E012", f"unknown reduction {op.reduce!r}", where)
    if (op.reduce is None) != (not op.over):
        message = f"reduction {op.reduce or 'none'} over {','.join(op.over) or 'no index'}"
        yield Finding("E012", message, where)


def _check_indices(graph: EinsumGraph) -> Iterator[Finding]:
    """Check index names within each einsum, and their extents over the whole graph."""
    sizes: dict[str, tuple[int, str]] = {}
    for op in graph.einsums:
        where = Location(node=op.name)
        yield from _check_access_names(op, where)
        for access in (op.output, *op.operands):
            if access.value not in graph.values:
                continue
            shape = graph.values[access.value].shape
            if len(access.indices) != len(shape):
                message = f"{access} has {len(access.indices)} indices for {len(shape)} dimensions"
                yield Finding("E005", message, where)
                continue
            for name, size in zip(access.indices, shape, strict=True):
                known, first = sizes.setdefault(name, (size, str(access)))
                if known != size:
                    message = f"index {name!r} has extent {size} in {access}, {known} in {first}"
                    yield Finding("E007", message, where)
        yield from _check_extent_of_choice(op, sizes, where)


def _check_access_names(op: Einsum, where: Location) -> Iterator[Finding]:
    """Check which indices occur in the output, the operands and the reduction."""
    for access in (op.output, *op.operands):
        if _repeated(access.indices):
            yield Finding("E006", f"{access} names an index twice", where)
    available = {name for access in op.operands for name in access.indices}
    for name in dict.fromkeys(op.output.indices):
        if name not in available:
            yield Finding("E008", f"output index {name!r} is in no operand", where)
    for name in dict.fromkeys(op.over):
        if name not in available:
            yield Finding("E009", f"reduced index {name!r} is in no operand", where)
        if name in op.output.indices:
            yield Finding("E009", f"reduced index {name!r} is in the output", where)
    if _repeated(op.over):
        yield Finding("E009", f"reduces an index twice: {','.join(op.over)}", where)
    dropped = available - set(op.indices)
    if dropped:
        names = ",".join(sorted(dropped))
        yield Finding("E009", f"indices {names} are neither reduced nor in the output", where)


def _repeated(names: tuple[str, ...]) -> bool:
    return len(set(names)) != len(names)


def _check_extent_of_choice(
    op: Einsum, sizes: Mapping[str, tuple[int, str]], where: Location
) -> Iterator[Finding]:
    """Refuse to choose from nothing, as eager frameworks do; sums and products have a result."""
    row = REDUCTIONS.get(op.reduce or "")
    if row is None or not np.isinf(row.identity):
        return
    for name in op.over:
        if name in sizes and sizes[name][0] == 0:
            yield Finding("E013", f"{op.reduce} over index {name!r} of extent 0", where)
