"""Construction of tensor operators: shapes, refusals, numbers, names."""

import pytest

from fuseflow.errors import ModelError
from fuseflow.frontend.graph import spellings
from fuseflow.frontend.graph.builder import OpBuilder
from fuseflow.frontend.graph.ops import ATTRS_OF, OpKind, OpValue
from fuseflow.ir.einsum import Role, SourceLoc


@pytest.fixture
def b() -> OpBuilder:
    builder = OpBuilder("test")
    for name, shape in (("m", (3, 4)), ("n", (4, 5)), ("v", (4,)), ("t", (2, 3, 4)), ("s", ())):
        builder.add_value(OpValue(name, shape, Role.INPUT))
    return builder


def test_every_operator_has_a_type_of_attributes() -> None:
    assert set(ATTRS_OF) == set(OpKind)


def test_operators_record_attributes_of_their_type(b: OpBuilder) -> None:
    b.softmax(b.concat([b.slice("m", 0, 0, 2), "m"], 0), -1)
    b.where("m", "m", "v")
    b.layer_norm("m", (-1,), 1e-5)
    assert all(type(op.attrs) is ATTRS_OF[op.kind] for op in b.graph.ops)


@pytest.mark.parametrize(
    ("x", "y", "shape"),
    [("m", "n", (3, 5)), ("t", "n", (2, 3, 5)), ("m", "v", (3,)), ("v", "n", (5,)), ("v", "v", ())],
)
def test_matrix_product_has_numpy_shapes(
    b: OpBuilder, x: str, y: str, shape: tuple[int, ...]
) -> None:
    assert b.shape(spellings.matmul(b, x, y)) == shape


def test_shapes_of_index_algebra(b: OpBuilder) -> None:
    assert b.shape(b.reshape("t", (-1, 4))) == (6, 4)
    assert b.shape(b.permute("t", (2, 0, 1))) == (4, 2, 3)
    assert b.shape(b.unsqueeze("m", (0, -1))) == (1, 3, 4, 1)
    assert b.shape(b.expand("v", (3, -1))) == (3, 4)
    assert b.shape(b.select("t", 1, -1)) == (2, 4)
    assert [b.shape(part) for part in b.split("m", (1, 2), 0)] == [(1, 4), (2, 4)]
    assert b.shape(b.reduce("add", "t", (0, -1), keepdim=True)) == (1, 3, 1)


def test_operators_that_change_nothing_are_not_appended(b: OpBuilder) -> None:
    assert b.reshape("m", (3, 4)) == "m"
    assert b.permute("m", (0, 1)) == "m"
    assert b.expand("m", (3, 4)) == "m"
    assert b.slice("m", 0, 0, 99) == "m"
    assert b.concat(["m"], 0) == "m"
    assert spellings.scalar(b, "mul", "m", 1.0) == "m"
    assert spellings.scalar(b, "sub", "m", 0.0) == "m"
    assert not b.graph.ops


def test_number_before_a_tensor_is_not_neutral(b: OpBuilder) -> None:
    spellings.scalar(b, "sub", "m", 0.0, reverse=True)
    spellings.scalar(b, "div", "m", 1.0, reverse=True)
    fns = [op.attrs.fn for op in b.graph.ops]  # type: ignore[union-attr]
    assert fns == ["rsub_scalar", "reciprocal"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda b: b.map("add", "m", "n"),
        lambda b: b.reshape("m", (5, -1)),
        lambda b: b.permute("m", (0, 0)),
        lambda b: b.expand("m", (4,)),
        lambda b: b.expand("m", (7, 4)),
        lambda b: b.slice("m", 0, 2, 2),
        lambda b: b.slice("m", 5, 0, 1),
        lambda b: spellings.matmul(b, "m", "m"),
        lambda b: spellings.matmul(b, "s", "m"),
        lambda b: spellings.einsum(b, "ij,jk", ["m"]),
        lambda b: spellings.einsum(b, "ij->iz", ["m"]),
        lambda b: spellings.einsum(b, "ijk", ["m"]),
        lambda b: b.contract(("m",), (("i", "i"),), ("i",)),
        lambda b: spellings.scalar(b, "pow", "m", 2.0, reverse=True),
    ],
)
def test_operands_that_do_not_fit_are_refused_with_their_place(
    b: OpBuilder, wrong: "pytest.FixtureRequest"
) -> None:
    b.source = SourceLoc("aten.add", "add_1", "net.py", 7)
    with pytest.raises(ModelError) as caught:
        wrong(b)  # type: ignore[operator]
    assert caught.value.rule == "I009 operand-shape"
    assert caught.value.findings[0].where.file == "net.py:7"


def test_taken_name_gets_a_number_and_keeps_its_label(b: OpBuilder) -> None:
    name = b.add_value(OpValue("m", (3,), Role.PARAMETER))
    assert name == "m_1"
    assert b.graph.values[name].label == "m"


def test_composites_do_not_nest(b: OpBuilder) -> None:
    with b.composite("outer"), b.composite("inner"):
        b.map("relu", "m")
    b.map("relu", "m")
    assert [op.composite for op in b.graph.ops] == ["outer_1", ""]
