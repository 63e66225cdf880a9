"""Small kernels by hand: products and a softmax, with their streams by name."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fuseflow.ir.dataflow import (
    AluAttrs,
    ArrayAttrs,
    DataflowGraph,
    DataflowProgram,
    JoinAttrs,
    LevelWriteAttrs,
    Op,
    ReduceAttrs,
    RootAttrs,
    ScanAttrs,
    SpaccAttrs,
    ValWriteAttrs,
)
from fuseflow.ir.einsum import Output, Role, Value
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.testing import KernelBuilder, make_tensor

JOIN = JoinAttrs("intersect", (1, 1))
MUL = AluAttrs("mul", (0.0, 0.0))


@dataclass
class Kernel:
    """A kernel and the ids of the streams that a test looks at."""

    graph: DataflowGraph
    streams: dict[int, int] = field(default_factory=dict)


def operand(name: str, array: Any, text: str) -> Value:
    """A tensor with data."""
    tensor = make_tensor((array, text))
    return Value(
        name, tensor.shape, Role.INPUT, format=tensor.format, fill=tensor.fill, tensor=tensor
    )


def result(name: str, shape: tuple[int, ...], text: str) -> Value:
    """A tensor that a kernel writes."""
    return Value(name, shape, Role.INTERMEDIATE, format=parse_format(text))


def program(
    values: list[Value], graphs: list[DataflowGraph], output: str, reference: Any = None
) -> DataflowProgram:
    """A program of these kernels with one output."""
    tensors = {value.name: value for value in values}
    shape = tensors[output].shape
    expected = None if reference is None else np.asarray(reference, np.float32)
    out = Output(output, output, tuple(range(len(shape))), shape, expected)
    return DataflowProgram("test", tensors, graphs, [out])


def spmv(out: str = "x", matrix: str = "B", vector: str = "c") -> Kernel:
    """x(i) = B(i,j) c(j) with a compressed matrix and a dense vector; x compressed."""
    k = KernelBuilder("spmv")
    (s1,) = k.add(Op.ROOT, RootAttrs(matrix), (), ["ref"])
    s5, s2 = k.add(Op.SCAN, ScanAttrs(matrix, 0), [s1], ["crd i", "ref i"])
    s3, s4 = k.copy(s2)
    k.add(Op.LEVEL_WRITE, LevelWriteAttrs(out, 0), [s5])
    (s6,) = k.add(Op.ROOT, RootAttrs(vector), (), ["ref"])
    (s7,) = k.add(Op.REPEAT, None, [s6, s3], ["ref i"])
    s9, s8 = k.add(Op.SCAN, ScanAttrs(matrix, 1), [s4], ["crd i j", "ref i j"])
    s11, s10 = k.add(Op.SCAN, ScanAttrs(vector, 0), [s7], ["crd i j", "ref i j"])
    _, s12, s13 = k.add(Op.JOIN, JOIN, [s9, s8, s11, s10], ["", "ref i j", "ref i j"])
    (s14,) = k.add(Op.ARRAY, ArrayAttrs(matrix), [s12], ["val i j"])
    (s15,) = k.add(Op.ARRAY, ArrayAttrs(vector), [s13], ["val i j"])
    (s16,) = k.add(Op.ALU, MUL, [s14, s15], ["val i j"])
    (s17,) = k.add(Op.REDUCE, ReduceAttrs("add"), [s16, None], ["val i"])
    k.add(Op.VAL_WRITE, ValWriteAttrs(out), [s17, None])
    ids = (s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16, s17)
    return Kernel(k.graph, dict(enumerate(ids, start=1)))


def spmspm() -> Kernel:
    """X(i,j) = B(i,k) C(k,j) in the order i, k, j, all levels compressed."""
    k = KernelBuilder("spmspm")
    (s1,) = k.add(Op.ROOT, RootAttrs("B"), (), ["ref"])
    s5, s2 = k.add(Op.SCAN, ScanAttrs("B", 0), [s1], ["crd i", "ref i"])
    s3, s4 = k.copy(s2)
    k.add(Op.LEVEL_WRITE, LevelWriteAttrs("X", 0), [s5])
    (s6,) = k.add(Op.ROOT, RootAttrs("C"), (), ["ref"])
    (s7,) = k.add(Op.REPEAT, None, [s6, s3], ["ref i"])
    s9, s8 = k.add(Op.SCAN, ScanAttrs("B", 1), [s4], ["crd i k", "ref i k"])
    s11, s10 = k.add(Op.SCAN, ScanAttrs("C", 0), [s7], ["crd i k", "ref i k"])
    s14, s12, s13 = k.add(Op.JOIN, JOIN, [s9, s8, s11, s10], ["crd i k", "ref i k", "ref i k"])
    s18, s15 = k.add(Op.SCAN, ScanAttrs("C", 1), [s13], ["crd i k j", "ref i k j"])
    s16, s17 = k.copy(s15)
    (s19,) = k.add(Op.REPEAT, None, [s12, s16], ["ref i k j"])
    (s20,) = k.add(Op.ARRAY, ArrayAttrs("B"), [s19], ["val i k j"])
    (s21,) = k.add(Op.ARRAY, ArrayAttrs("C"), [s17], ["val i k j"])
    (s22,) = k.add(Op.ALU, MUL, [s20, s21], ["val i k j"])
    accumulate = SpaccAttrs("add", 1, (0,))
    s23, s24 = k.add(Op.SPACC, accumulate, [s14, s18, s22, None], ["crd i j", "val i j"])
    k.add(Op.LEVEL_WRITE, LevelWriteAttrs("X", 1), [s23])
    k.add(Op.VAL_WRITE, ValWriteAttrs("X"), [s24, None])
    ids = (s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16, s17, s18, s19)
    return Kernel(k.graph, dict(enumerate((*ids, s20, s21, s22, s23, s24), start=1)))


def row_softmax() -> Kernel:
    """Y(i,j) = exp(A(i,j) - max_j A) / sum: every row is read twice, so it must be buffered."""
    k = KernelBuilder("softmax")
    (root,) = k.add(Op.ROOT, RootAttrs("A"), (), ["ref"])
    crd_i, ref_i = k.add(Op.SCAN, ScanAttrs("A", 0), [root], ["crd i", "ref i"])
    crd_j, ref_j = k.add(Op.SCAN, ScanAttrs("A", 1), [ref_i], ["crd i j", "ref i j"])
    out_j, sig_max, sig_sum = k.copy(crd_j, 3)
    (val,) = k.add(Op.ARRAY, ArrayAttrs("A"), [ref_j], ["val i j"])
    to_max, to_sub = k.copy(val)
    (largest,) = k.add(Op.REDUCE, ReduceAttrs("max"), [to_max, None], ["val i"])
    (spread,) = k.add(Op.REPEAT, None, [largest, sig_max], ["val i j"])
    (shifted,) = k.add(Op.ALU, AluAttrs("sub", (0.0, 0.0)), [to_sub, spread], ["val i j"])
    (power,) = k.add(Op.ALU, AluAttrs("exp", (0.0,)), [shifted], ["val i j"])
    to_sum, to_div = k.copy(power)
    (total,) = k.add(Op.REDUCE, ReduceAttrs("add"), [to_sum, None], ["val i"])
    (spread,) = k.add(Op.REPEAT, None, [total, sig_sum], ["val i j"])
    (share,) = k.add(Op.ALU, AluAttrs("div", (0.0, 0.0)), [to_div, spread], ["val i j"])
    k.add(Op.LEVEL_WRITE, LevelWriteAttrs("Y", 0), [crd_i])
    k.add(Op.LEVEL_WRITE, LevelWriteAttrs("Y", 1), [out_j])
    k.add(Op.VAL_WRITE, ValWriteAttrs("Y"), [share, None])
    return Kernel(k.graph)
