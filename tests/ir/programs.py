"""A legal dataflow program that the tests of the verifier break in one place."""

from dataclasses import replace

import numpy as np

from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import DataflowProgram, Node, Op
from fuseflow.ir.einsum import Output, Role, Value
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.testing import KernelBuilder, make_tensor

A = np.array([[1, 0, 2, 0], [0, 0, 0, 0], [0, 3, 0, 0]], dtype=np.float32)
B = np.array([[0, 5], [6, 0], [0, 0], [7, 8]], dtype=np.float32)


def product_program() -> DataflowProgram:
    """Return Z(i,j) = sum over k of A(i,k) B(k,j), row-wise, all operands by compressed rows."""
    program = DataflowProgram("product", outputs=[Output("Z", "Z", (0, 1), (3, 2))])
    for name, array in (("A", A), ("B", B)):
        tensor = make_tensor((array, "dense,compressed"))
        program.tensors[name] = Value(
            name, tensor.shape, Role.INPUT, format=tensor.format, tensor=tensor
        )
    fmt = parse_format("dense,compressed")
    program.tensors["Z"] = Value("Z", (3, 2), Role.INTERMEDIATE, format=fmt)
    program.kernels.append(_product_kernel().graph)
    return program


def _product_kernel() -> KernelBuilder:
    k = KernelBuilder("k0")
    (start,) = k.add(Op.ROOT, df.RootAttrs(), outputs=["ref"])
    (rows,) = k.add(Op.FULL, df.FullAttrs(3), [start], ["crd i:1"], name="full i")
    rows_a, rows_z, rows_key = k.copy(rows, 3)
    _, row = k.add(
        Op.LOCATE, df.LocateAttrs("A", 0, 3), [rows_a, None], ["", "ref i:1"], name="locate A.i"
    )
    crd_k, pos_a = k.add(
        Op.SCAN, df.ScanAttrs("A", 1), [row], ["crd i:1 k:2", "ref i:1 k:2"], name="scan A.k"
    )
    inner, key = k.copy(crd_k)
    (a,) = k.add(Op.ARRAY, df.ArrayAttrs("A"), [pos_a], ["val i:1 k:2"], name="values A")
    _, row_b = k.add(
        Op.LOCATE, df.LocateAttrs("B", 0, 4), [inner, None], ["", "ref i:1 k:2"], name="locate B.k"
    )
    nest = "i:1 k:2 j:3"
    crd_j, pos_b = k.add(
        Op.SCAN, df.ScanAttrs("B", 1), [row_b], [f"crd {nest}", f"ref {nest}"], name="scan B.j"
    )
    signal, key_j = k.copy(crd_j)
    (b,) = k.add(Op.ARRAY, df.ArrayAttrs("B"), [pos_b], [f"val {nest}"], name="values B")
    (a_j,) = k.add(Op.REPEAT, None, [a, signal], [f"val {nest}"], name="repeat j")
    mul = df.AluAttrs("mul", (0.0, 0.0))
    (products,) = k.add(Op.ALU, mul, [a_j, b], [f"val {nest}"], name="mul")
    spacc = df.SpaccAttrs("add", 1, (0,))
    columns, sums = k.add(
        Op.SPACC, spacc, [key, key_j, products, rows_key], ["crd i:1 j:4", "val i:1 j:4"],
        name="add Z",
    )  # fmt: skip
    k.add(Op.LEVEL_WRITE, df.LevelWriteAttrs("Z", 0), [rows_z], name="write Z.i")
    k.add(Op.LEVEL_WRITE, df.LevelWriteAttrs("Z", 1), [columns], name="write Z.j")
    k.add(Op.VAL_WRITE, df.ValWriteAttrs("Z"), [sums, None], name="write Z")
    return k


def find_node(program: DataflowProgram, name: str) -> Node:
    """Return the node of this name in the first kernel."""
    return next(node for node in program.kernels[0].nodes if node.name == name)


def change_node(program: DataflowProgram, name: str, /, **changes: object) -> DataflowProgram:
    """Replace fields of a node; a field of its attributes is written attrs__FIELD."""
    node = find_node(program, name)
    nested = {key.removeprefix("attrs__"): v for key, v in changes.items() if "__" in key}
    direct = {key: v for key, v in changes.items() if "__" not in key}
    if nested:
        direct["attrs"] = replace(node.attrs, **nested)  # type: ignore[arg-type]
    nodes = program.kernels[0].nodes
    nodes[nodes.index(node)] = replace(node, **direct)  # type: ignore[arg-type]
    return program


def change_stream(
    program: DataflowProgram, node: str, output: int, /, **changes: object
) -> DataflowProgram:
    """Replace fields of the stream that an output of a node writes."""
    sid = find_node(program, node).outputs[output]
    assert sid is not None
    streams = program.kernels[0].streams
    streams[sid] = replace(streams[sid], **changes)  # type: ignore[arg-type]
    return program
