"""Single tensors in files: every spelling of one matrix gives the same tensor."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from fuseflow.errors import InterchangeError, UsageError
from fuseflow.interop.tensors.directory import write_tensor
from fuseflow.interop.tensors.files import read_tensor, write_tensor_file
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.tensor import tensor_from_dense
from tests.interop.compare import assert_same_tensor

A = np.array([[0, 2, 0], [0, 0, 0], [1.5, 0, -3]], dtype=np.float32)
SYMMETRIC = np.array([[4, 1, 0], [1, 0, 2], [0, 2, 0]], dtype=np.float32)
SKEW = np.array([[0, -1, 0], [1, 0, -2], [0, 2, 0]], dtype=np.float32)
HEAD = "%%MatrixMarket matrix"

TEXTS = {
    "general.mtx": (f"{HEAD} coordinate real general\n% c\n3 3 3\n3 1 1.5\n1 2 2\n3 3 -3\n", A),
    "repeated.mtx": (
        f"{HEAD} coordinate integer general\n3 3 4\n3 1 1.5\n1 2 3\n3 3 -3\n1 2 -1\n",
        A,
    ),
    "array.mtx": (f"{HEAD} array real general\n3 3\n0 0 1.5\n2 0 0\n0 0 -3\n", A),
    "symmetric.mtx": (f"{HEAD} coordinate real symmetric\n3 3 3\n1 1 4\n2 1 1\n3 2 2\n", SYMMETRIC),
    "symmetric_array.mtx": (f"{HEAD} array real symmetric\n3 3\n4\n1\n0\n0\n2\n0\n", SYMMETRIC),
    "skew.mtx": (f"{HEAD} coordinate real skew-symmetric\n3 3 2\n2 1 1\n3 2 2\n", SKEW),
    "skew_array.mtx": (f"{HEAD} array real skew-symmetric\n3 3\n1\n0\n2\n", SKEW),
    "pattern.mtx": (f"{HEAD} coordinate pattern general\n3 3 2\n3 1\n1 2\n", np.abs(np.sign(A))
                    * (A > -1)),
    "plain.tns": ("# c\n3 1 1.5\n1 2 2\n\n3 3 -3\n", A),
    "marked.tns": ("1 2 2\n3 1 1.5\n2 1 7\n4 5 0\n", np.array(
        [[0, 2, 0, 0, 0], [7, 0, 0, 0, 0], [1.5, 0, 0, 0, 0], [0, 0, 0, 0, 0]])),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TEXTS))
@pytest.mark.parametrize("zipped", [False, True])
def test_text_file_gives_the_matrix(tmp_path: Path, name: str, zipped: bool) -> None:
    text, expected = TEXTS[name]
    path = tmp_path / (f"{name}.gz" if zipped else name)
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    tensor, remarks = read_tensor(str(path))
    np.testing.assert_array_equal(tensor.to_dense(), expected)
    assert bool(remarks) == (name == "repeated.mtx")


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
def test_scipy_archive_gives_the_matrix(tmp_path: Path, kind: str) -> None:
    sparse.save_npz(tmp_path / "a.npz", sparse.coo_matrix(A).asformat(kind))
    tensor, _ = read_tensor(str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(tensor.to_dense(), A)
    layouts = {"csr": "dense,compressed", "csc": "dense,compressed@1,0"}
    assert str(tensor.format) == layouts.get(kind, "compressed,compressed")


def test_array_of_an_archive_is_read_by_its_key(tmp_path: Path) -> None:
    np.savez(tmp_path / "g.npz", x=A, adj_indptr=[0, 1, 1, 3], adj_indices=[1, 0, 2])
    read = {key: read_tensor(f"{tmp_path}/g.npz:{key}")[0].to_dense() for key in ("x", "adj")}
    np.testing.assert_array_equal(read["x"], A)
    np.testing.assert_array_equal(read["adj"], (A != 0).astype(np.float32))
    with pytest.raises(InterchangeError, match=r"X001.*no array .*fix: name one of adj_indices"):
        read_tensor(str(tmp_path / "g.npz"))


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InterchangeError, match="X001"):
        read_tensor(str(tmp_path / "p.npy"))


@pytest.mark.parametrize("name", ["t.mtx", "t.mtx.gz", "t.tns", "t.tns.gz", "t.npz", "t.npy"])
@pytest.mark.parametrize(
    "text", ["dense,compressed", "dense,compressed@1,0", "compressed,compressed", "dense,dense"]
)
def test_file_is_read_back_in_the_format_asked_for(tmp_path: Path, name: str, text: str) -> None:
    tensor = tensor_from_dense(A, parse_format(text))
    write_tensor_file(tmp_path / name, "T", tensor)
    again, _ = read_tensor(str(tmp_path / name), parse_format(text))
    assert_same_tensor(again, tensor)


def test_tensor_of_a_directory_is_read_by_its_name(tmp_path: Path) -> None:
    tensor = tensor_from_dense(A, parse_format("dense,compressed@1,0"))
    write_tensor(tmp_path, "B", tensor)
    assert_same_tensor(read_tensor(f"{tmp_path}:B")[0], tensor)
    converted, _ = read_tensor(f"{tmp_path}:B", parse_format("compressed,dense"))
    assert_same_tensor(converted, tensor_from_dense(A, parse_format("compressed,dense")))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.mtx", "", "line 1: expected"),
        ("a.mtx", f"{HEAD} coordinate complex general\n1 1 1\n1 1 1 0\n", "complex"),
        ("a.mtx", f"{HEAD} coordinate real general\n3 3 2\n1 1 1\n", "1 entries, the header says"),
        ("a.mtx", f"{HEAD} coordinate real general\n3 3 1\n4 1 1\n", r"entry 1 is at \[3, 0\]"),
        ("a.mtx", f"{HEAD} coordinate real general\n3 3 1\n1 one 1\n", "line 3"),
        ("a.mtx", f"{HEAD} array real general\n2 2\n1 2 3\n", "3 values for 4 places"),
        ("a.tns", "", "does not say its shape"),
        ("a.tns", "1 1 1\n1 1\n", "line 2: 2 numbers, not 3"),
        ("a.tns", "0 1 1\n", r"\[-1, 0\]"),
        ("a.tns", "1 1 x\n", "line 1: 'x' is not a number"),
        ("a.npz", "PK", "no NumPy archive"),
        ("a.npy", "\x93NUMPY", "no NumPy array"),
        ("a.mtx.gz", "plain", "no readable text"),
    ],
)
def test_broken_file_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InterchangeError, match=message) as caught:
        read_tensor(str(tmp_path / name))
    assert caught.value.rule == "X001"
    assert name in str(caught.value)


def test_shape_must_agree(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", A)
    with pytest.raises(InterchangeError, match=r"shape \[3, 3\], expected \[3, 4\]"):
        read_tensor(str(tmp_path / "a.npy"), shape=(3, 4))


def test_unknown_kinds_and_missing_files_are_wrong_commands(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2")
    for source, rule in ((tmp_path / "a.csv", "U202"), (tmp_path / "b.mtx", "U203")):
        with pytest.raises(UsageError, match=rule):
            read_tensor(str(source))
    with pytest.raises(UsageError, match="U202"):
        write_tensor_file(tmp_path / "a.csv", "T", tensor_from_dense(A))


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    cube = tensor_from_dense(np.ones((2, 2, 2)))
    scores = tensor_from_dense(A, parse_format("dense,compressed"), fill=-np.inf)
    for name, tensor in (("a.mtx", cube), ("a.npz", cube), ("a.tns", scores), ("a.npz", scores)):
        with pytest.raises(InterchangeError, match="X001"):
            write_tensor_file(tmp_path / name, "T", tensor)
