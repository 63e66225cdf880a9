# SPDX-License-Identifier: MIT
"""ATen operators that only move indices, or do nothing at all."""

from __future__ import annotations

from collections.abc import Mapping

from fuseflow.frontend.torch.args import Call, Rule

__all__ = ["SHAPE_RULES", "VIEWS"]


def _same(call: Call) -> str:
    """Return the operand: what the operator changes (memory, gradient, precision) is not kept."""
    return call.tensor(next(iter(call.arguments)))


def _dropout(call: Call) -> str:
    """Refuse the random form; in eval mode dropout does nothing."""
    call.require("train", (None, False))
    return _same(call)


def _to_shape(call: Call) -> str:
    """Reshape to the shape that torch found, whatever the arguments were."""
    return call.builder.reshape(call.tensor("self"), call.shape)


def _expand(call: Call) -> str:
    return call.builder.expand(call.tensor("self"), call.shape)


def _permute(call: Call) -> str:
    return call.builder.permute(call.tensor("self"), call.dims("dims"))


def _transpose(call: Call) -> str:
    return call.builder.transpose(call.tensor("self"), call.get("dim0"), call.get("dim1"))


def _t(call: Call) -> str:
    x = call.tensor("self")
    return call.builder.permute(x, range(len(call.builder.shape(x)))[::-1])


def _movedim(call: Call) -> str:
    b, x = call.builder, call.tensor("self")
    rank = len(b.shape(x))
    sources = [b.dim(x, d) for d in call.dims("source")]
    targets = [b.dim(x, d) for d in call.dims("destination")]
    placed = dict(zip(targets, sources, strict=True))
    rest = iter(d for d in range(rank) if d not in sources)
    return b.permute(x, [placed[d] if d in placed else next(rest) for d in range(rank)])


def _select(call: Call) -> str:
    return call.builder.select(call.tensor("self"), call.get("dim"), call.get("index"))


def _slice(call: Call) -> str:
    b, x = call.builder, call.tensor("self")
    dim = call.get("dim", 0)
    start, stop = call.get("start", 0), call.get("end", b.shape(x)[b.dim(x, dim)])
    return b.slice(x, dim, start, stop, call.get("step", 1))


def _narrow(call: Call) -> str:
    start, length = call.get("start"), call.get("length")
    return call.builder.slice(call.tensor("self"), call.get("dim"), start, start + length)


def _split(call: Call) -> tuple[str, ...]:
    b, x, dim = call.builder, call.tensor("self"), call.get("dim", 0)
    sizes = call.get("split_size", call.get("split_sizes"))
    extent = b.shape(x)[b.dim(x, dim)]
    if isinstance(sizes, int):
        sizes = [min(sizes, extent - start) for start in range(0, extent, sizes)]
    return b.split(x, sizes, dim)


def _chunk(call: Call) -> tuple[str, ...]:
    b, x, dim = call.builder, call.tensor("self"), call.get("dim", 0)
    extent = b.shape(x)[b.dim(x, dim)]
    size = -(-extent // call.get("chunks"))
    return b.split(x, [min(size, extent - start) for start in range(0, extent, size)], dim)


def _unbind(call: Call) -> tuple[str, ...]:
    b, x, dim = call.builder, call.tensor("self"), call.get("dim", 0)
    return tuple(b.select(x, dim, index) for index in range(b.shape(x)[b.dim(x, dim)]))


def _cat(call: Call) -> str:
    return call.builder.concat(call.tensors("tensors"), call.get("dim", 0))


def _stack(call: Call) -> str:
    b, dim = call.builder, call.get("dim", 0)
    operands = call.tensors("tensors")
    axis = dim % (len(b.shape(operands[0])) + 1)
    return b.concat([b.unsqueeze(name, (axis,)) for name in operands], axis)


def _repeat(call: Call) -> str:
    """Repeat by broadcasting along a new axis that is merged with the old one."""
    b, x, counts = call.builder, call.tensor("self"), call.get("repeats")
    own = (1,) * (len(counts) - len(b.shape(x))) + b.shape(x)
    between = [extent for e in own for extent in (1, e)]
    repeated = [extent for n, e in zip(counts, own, strict=True) for extent in (n, e)]
    return b.reshape(b.expand(b.reshape(x, between), repeated), call.shape)


VIEWS: Mapping[str, Rule] = {
    "_reshape_alias": _to_shape,
    "_unsafe_view": _to_shape,
    "expand": _expand,
    "expand_as": _expand,
    "flatten": _to_shape,
    "movedim": _movedim,
    "permute": _permute,
    "reshape": _to_shape,
    "squeeze": _to_shape,
    "t": _t,
    "transpose": _transpose,
    "unflatten": _to_shape,
    "unsqueeze": _to_shape,
    "view": _to_shape,
    "view_as": _to_shape,
}
"""Rules that keep every element of their one operand."""

NOTHING = (
    "_to_copy",
    "alias",
    "clone",
    "contiguous",
    "detach",
    "lift_fresh_copy",
    "to",
    "to_dense",
    "to_sparse",
    "to_sparse_csr",
    "type_as",
)

SHAPE_RULES: Mapping[str, Rule] = {
    **VIEWS,
    **dict.fromkeys(NOTHING, _same),
    "cat": _cat,
    "chunk": _chunk,
    "dropout": _dropout,
    "narrow": _narrow,
    "repeat": _repeat,
    "select": _select,
    "slice": _slice,
    "split": _split,
    "split_with_sizes": _split,
    "stack": _stack,
    "unbind": _unbind,
}
