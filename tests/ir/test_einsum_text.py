"""Texts of einsums and formats are read as they are printed."""

import pytest

from fuseflow.errors import GraphError
from fuseflow.ir.einsum import Access, Einsum
from fuseflow.ir.einsum_text import parse_access, parse_einsum, parse_format
from fuseflow.ir.tensor import Format, LevelFormat

DENSE, COMPRESSED = LevelFormat.DENSE, LevelFormat.COMPRESSED


@pytest.mark.parametrize(
    "text",
    [
        "T[i,j] = add[k] mul(A[i,k], B[k,j])",
        "y[] = max[i,j] copy(T[i,j])",
        "Z[i,j] = leaky_relu(layer1.weight[i,j], 0.1)",
        "Z[i] = masked(M[i], x[], -inf)",
        "Z[i] = relu(x:0/out-1[i])",
    ],
)
def test_printed_einsum_is_read_back(text: str) -> None:
    assert str(parse_einsum(text)) == text


def test_blanks_and_line_breaks_do_not_matter() -> None:
    loose = parse_einsum(" T [ i , j ]=add[ k ]mul( A[i,k] ,\n B[k,j] ) ")
    assert loose == parse_einsum("T[i,j] = add[k] mul(A[i,k], B[k,j])")


def test_einsum_takes_the_name_of_its_output() -> None:
    op = parse_einsum("T[i] = pow_scalar(x[i], 2)")
    assert op == Einsum(
        "T", Access("T", ("i",)), "pow_scalar", (Access("x", ("i",)),), None, (), (2.0,)
    )
    assert parse_einsum("T[i] = relu(x[i])", name="first").name == "first"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "T[i]",
        "T = relu(x[i])",
        "T[i] = x[i]",
        "T[i] = add[k] relu x[i,k]",
        "T[i] = mul(x[i] y[i])",
        "T[i] = mul(x[i], y)",
        "T[i] = add_scalar(1, x[i])",
        "T[i] = relu(x[i]) + y[i]",
    ],
)
def test_unreadable_einsum_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(GraphError, match=r"^E101: cannot read .* fix: write ") as caught:
        parse_einsum(text)
    assert caught.value.rule == "E101"


def test_access_must_have_brackets() -> None:
    assert parse_access("A[i, k]") == Access("A", ("i", "k"))
    with pytest.raises(GraphError, match="E101"):
        parse_access("A")


@pytest.mark.parametrize(
    "fmt",
    [
        Format((), ()),
        Format((DENSE, COMPRESSED), (0, 1)),
        Format((COMPRESSED, DENSE, COMPRESSED), (2, 0, 1)),
        Format((DENSE, COMPRESSED), (1, 0), (16, 8)),
    ],
)
def test_printed_format_is_read_back(fmt: Format) -> None:
    assert parse_format(str(fmt)) == fmt


@pytest.mark.parametrize("text", ["sparse", "dense,", "dense@1", "dense,dense@0,0", "dense/axb"])
def test_unreadable_format_is_refused(text: str) -> None:
    with pytest.raises(GraphError, match="E101"):
        parse_format(text)
