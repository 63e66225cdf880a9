"""Tensor directories: what is written is read back, and what is wrong is named with its line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import InterchangeError
from fuseflow.interop.tensors.directory import TensorFolder, write_shape, write_tensor
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.tensor import Format, LevelFormat, Tensor, tensor_from_dense
from fuseflow.ir.testing import sparse_array
from tests.interop.compare import assert_same_tensor

CSR = np.array([[0, 2, 0], [0, 0, 0], [1.5, 0, -3]], dtype=np.float32)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = tuple(draw(st.lists(st.integers(1, 4), max_size=4)))
    levels = [draw(st.sampled_from([LevelFormat.DENSE, LevelFormat.COMPRESSED])) for _ in shape]
    order = draw(st.permutations(range(len(shape))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    array = sparse_array(rng, shape, draw(st.sampled_from([0.0, 0.3, 1.0])))
    return tensor_from_dense(array, Format(tuple(levels), tuple(order)))


@given(tensor=tensors())
def test_tensor_is_read_back_level_by_level(
    tmp_path_factory: pytest.TempPathFactory, tensor: Tensor
) -> None:
    folder = tmp_path_factory.mktemp("tensors")
    write_tensor(folder, "T.x-1,0", tensor)
    assert TensorFolder(folder).names() == ("T.x-1,0",)
    assert_same_tensor(TensorFolder(folder).read("T.x-1,0"), tensor)


def test_background_has_a_file_of_its_own(tmp_path: Path) -> None:
    array = np.where(CSR == 0, -np.inf, CSR).astype(np.float32)
    write_tensor(
        tmp_path, "B", tensor_from_dense(array, parse_format("dense,compressed"), fill=-np.inf)
    )
    assert (tmp_path / "tensor_B_mode_fill").read_text() == "-inf\n"
    np.testing.assert_array_equal(TensorFolder(tmp_path).read("B").to_dense(), array)
    (tmp_path / "tensor_B_mode_fill").write_text("1\n2\n")
    with pytest.raises(InterchangeError, match=r"X001.*2 numbers for one background"):
        TensorFolder(tmp_path).read("B")


def stored(tmp_path: Path, text: str = "dense,compressed") -> Path:
    write_tensor(tmp_path, "B", tensor_from_dense(CSR, parse_format(text)))
    return tmp_path


def test_files_are_those_of_other_tools(tmp_path: Path) -> None:
    write_tensor(tmp_path, "B", tensor_from_dense(CSR, parse_format("compressed,compressed@1,0")))
    files = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert files == {
        "tensor_B_mode_shape": "3\n3\n",
        "tensor_B_mode_order": "1\n0\n",
        "tensor_B_mode_1_seg": "0\n3\n",
        "tensor_B_mode_1_crd": "0\n1\n2\n",
        "tensor_B_mode_0_seg": "0\n1\n2\n3\n",
        "tensor_B_mode_0_crd": "2\n0\n2\n",
        "tensor_B_mode_vals": "1.5\n2.0\n-3.0\n",
    }


def test_order_of_levels_may_come_from_the_reader(tmp_path: Path) -> None:
    (stored(tmp_path, "dense,compressed@1,0") / "tensor_B_mode_order").unlink()
    tensor = TensorFolder(tmp_path).read("B", mode_order=(1, 0))
    np.testing.assert_array_equal(tensor.to_dense(), CSR)


def test_windows_line_ends_and_missing_final_newline_are_fine(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(TensorFolder(folder).read("B").to_dense(), CSR)


def test_smallest_values_survive(tmp_path: Path) -> None:
    array = np.array([1e-30, np.float32(0.1), 16777217.0, -np.inf], dtype=np.float32)
    write_tensor(tmp_path, "v", tensor_from_dense(array))
    np.testing.assert_array_equal(TensorFolder(tmp_path).read("v").to_dense(), array)


def test_tiles_hold_several_numbers_per_leaf(tmp_path: Path) -> None:
    fmt = tensor_from_dense(np.ones((2, 1)), parse_format("compressed,dense"))
    tiled = Tensor(fmt.shape, fmt.levels, fmt.mode_order, np.arange(8.0, dtype=np.float32)
                   .reshape(2, 2, 2), tile=(2, 2))  # fmt: skip
    write_tensor(tmp_path, "T", tiled)
    assert_same_tensor(TensorFolder(tmp_path).read("T", tile=(2, 2)), tiled)


@pytest.mark.parametrize(
    ("part", "text", "message"),
    [
        ("1_crd", "1\n0\nx\n", r'1_crd: line 3: "x" is not a whole number'),
        ("1_crd", "1\n0\n2.0\n", "line 3"),
        ("1_crd", "1\n2\n0\n", "line 3: coordinates of a fiber do not ascend"),
        ("1_crd", "1\n0\n3\n", "line 3: coordinate 3 in a dimension of size 3"),
        ("1_seg", "0\n1\n3\n", "3 offsets for 3 fibers"),
        ("1_seg", "0\n2\n1\n3\n", "must not fall"),
        ("1_seg", "0\n1\n1\n2\n", "the last offset is 2 of 3 coordinates"),
        ("vals", "1\n2\n", "2 values for 3 places"),
        ("vals", "1\n2\nthree\n", r'line 3: "three" is not a number'),
    ],
)
def test_wrong_file_is_refused_with_its_line(
    tmp_path: Path, part: str, text: str, message: str
) -> None:
    (stored(tmp_path) / f"tensor_B_mode_{part}").write_text(text)
    with pytest.raises(InterchangeError, match=message) as caught:
        TensorFolder(tmp_path).read("B")
    assert caught.value.rule == "X001"


def test_offset_that_counts_one_too_many_passes_with_a_remark(tmp_path: Path) -> None:
    (stored(tmp_path) / "tensor_B_mode_1_seg").write_text("0\n1\n1\n4\n")
    folder = TensorFolder(tmp_path)
    np.testing.assert_array_equal(folder.read("B").to_dense(), CSR)
    assert folder.remarks == ["tensor_B_mode_1_seg: the last offset is one too large"]


def test_empty_tensor_of_sam_passes_with_a_remark(tmp_path: Path) -> None:
    for part, text in (("0_seg", "0\n0\n"), ("0_crd", "0\n"), ("vals", "0\n")):
        (tmp_path / f"tensor_b_mode_{part}").write_text(text)
    folder = TensorFolder(tmp_path)
    np.testing.assert_array_equal(folder.read("b", shape=(4,)).to_dense(), np.zeros(4))
    assert len(folder.remarks) == 1


def test_missing_files_and_wrong_orders_are_named(tmp_path: Path) -> None:
    folder = TensorFolder(stored(tmp_path))
    with pytest.raises(InterchangeError, match=r'X008.*no files of tensor "C"'):
        folder.read("C")
    with pytest.raises(InterchangeError, match=r"X008.*2 dimensions, the graph walks \[0\]"):
        folder.read("B", mode_order=(0,))
    (tmp_path / "tensor_B_mode_vals").unlink()
    with pytest.raises(InterchangeError, match=r"X008.*tensor_B_mode_vals"):
        folder.read("B")
    with pytest.raises(InterchangeError, match="X008"):
        TensorFolder(tmp_path / "nowhere")


def test_tensor_without_data_has_shape_and_order(tmp_path: Path) -> None:
    write_shape(tmp_path, "T", (3, 4), parse_format("dense,dense@1,0"))
    folder = TensorFolder(tmp_path)
    assert (folder.shape("T"), folder.mode_order("T"), folder.has_data("T")) == (
        (3, 4),
        (1, 0),
        False,
    )


def test_name_that_is_no_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterchangeError, match="X009"):
        write_tensor(tmp_path, "../T", tensor_from_dense(CSR))
