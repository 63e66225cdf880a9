"""A sidecar says of tensors what the model does not, and nothing in it is ignored."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fuseflow.errors import ModelError, UsageError
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.storage.sidecar import read_sidecar
from fuseflow.ir.einsum import EinsumGraph
from tests.frontend.imports import Function, draw, imported


class Attention(nn.Module):
    """Scores hidden by a mask of two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(4, 4)
        self.register_buffer("mask", torch.eye(2, dtype=torch.bool).repeat_interleave(4, 0)
                             .repeat_interleave(4, 1))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        scores = (self.query(x) @ x.T).masked_fill(~self.mask, -math.inf)
        result: Tensor = scores.softmax(-1) @ x
        return result


def write(folder: Path, text: str) -> Path:
    path = folder / "net.yaml"
    path.write_text(text)
    return path


def with_sidecar(
    folder: Path, text: str, module: nn.Module, *args: Tensor, **more: object
) -> EinsumGraph:
    options = ImportOptions(sidecar=read_sidecar(write(folder, text)), **more)  # type: ignore[arg-type]
    return imported(module, *args, options=options, input_names=("x", "y")[: len(args)])


def product(folder: Path, text: str, **more: object) -> EinsumGraph:
    module = Function(lambda x, w: x @ w, w=draw(8, 8))
    return with_sidecar(folder, text, module, draw(8, 8, seed=3), **more)


def test_levels_and_modes_decide_and_the_line_is_recorded(tmp_path: Path) -> None:
    graph = product(
        tmp_path,
        "tensors:\n  - {match: w, levels: [dense, compressed]}\n"
        "  - {match: x, levels: [compressed, dense], modes: [1, 0]}\n",
    )
    weight, x = graph.values["w"], graph.values["x"]
    assert (str(weight.format), weight.origin) == ("dense,compressed", "sidecar net.yaml:2")
    assert (str(x.format), x.origin) == ("compressed,dense@1,0", "sidecar net.yaml:3")


def test_a_format_of_the_command_line_wins_over_the_sidecar(tmp_path: Path) -> None:
    text = "tensors: [{match: w, levels: [dense, compressed]}]"
    graph = product(tmp_path, text, formats={"w": "compressed,compressed"})
    assert graph.values["w"].origin == "user"


def test_the_sidecar_wins_over_the_model_and_the_first_entry_over_others(tmp_path: Path) -> None:
    text = "tensors: [{match: 'w*', levels: [dense, dense]}, {match: w, levels: [dense, dense]}]"
    module = Function(lambda x, w: x @ w, w=draw(8, 8))
    options = ImportOptions(sidecar=read_sidecar(write(tmp_path, text)))
    graph = imported(module, draw(8, 8), formats={"w": "compressed,compressed"}, options=options)
    assert graph.values["w"].origin == "sidecar net.yaml:1"


def test_scope_and_role_find_a_tensor_without_its_name(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    text = "tensors: [{match: {scope: '2', role: weight}, levels: [dense, compressed]}]"
    graph = with_sidecar(tmp_path, text, module, draw(5, 4))
    assert graph.values["2.weight"].origin == "sidecar net.yaml:1"
    assert graph.values["0.weight"].origin == "dense"
    assert graph.values["2.bias"].origin == "dense"


def test_a_mask_is_found_by_its_role_and_its_blocks_are_checked(tmp_path: Path) -> None:
    text = "tensors: [{match: {role: mask}, block: [4, 4], fill: -inf}]"
    graph = with_sidecar(tmp_path, text, Attention(), draw(8, 4))
    (note,) = [note for note in graph.notes if note.startswith("mask: 8x8")]
    assert note == "mask: 8x8, density 0.5, compressed,compressed (mask), blocks 4x4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("block: [8, 8]", "has blocks 4x4, not blocks 8x8"),
        ("block: [3, 4]", "has blocks 4x4, not blocks 3x4"),
        ("fill: 7", "fill 7 does not fit"),
    ],
)
def test_a_claim_about_a_pattern_that_is_wrong_is_an_error(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        with_sidecar(tmp_path, f"tensors: [{{match: mask, {text}}}]", Attention(), draw(8, 4))
    assert caught.value.rule == "I021 bad-format"
    assert caught.value.findings[0].where.file == "net.yaml:1"


def test_a_fill_is_what_is_not_stored(tmp_path: Path) -> None:
    data = torch.ones(6, 8)
    data[2, 3] = 5
    text = "tensors: [{match: w, levels: [compressed, compressed], fill: 1}]"
    module = Function(lambda x, w: x + w, w=data)
    value = with_sidecar(tmp_path, text, module, draw(6, 8)).values["w"]
    assert value.fill == 1
    assert value.tensor is not None
    assert value.tensor.stored == 1
    np.testing.assert_array_equal(value.tensor.to_dense(), data.numpy())


def test_a_density_that_the_data_do_not_have_is_remarked(tmp_path: Path) -> None:
    graph = product(tmp_path, "tensors: [{match: w, density: 0.25}]")
    assert "w: net.yaml:1 gives the density 0.25, its data have 1" in graph.notes


def test_data_are_bound_from_beside_the_sidecar(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((8, 8), 2.0))
    value = product(tmp_path, "tensors: [{match: x, data: x.npy}]").values["x"]
    assert value.tensor is not None
    assert (value.tensor.to_dense() == 2).all()


@pytest.mark.parametrize(
    ("entry", "near"),
    [
        ("match: ww", "use one of w"),
        ("match: {scope: hedd, role: weight}", "use one of"),
        ("match: {role: adjacency, scope: nowhere}", "use one of"),
    ],
)
def test_an_entry_that_means_no_tensor_names_the_nearest(
    tmp_path: Path, entry: str, near: str
) -> None:
    with pytest.raises(UsageError) as caught:
        product(tmp_path, f"tensors: [{{{entry}, density: 1}}]")
    assert caught.value.rule == "U120 unknown-tensor"
    assert near in str(caught.value.findings[0].fix)
    assert caught.value.findings[0].where.file == "net.yaml:1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tensor: []", 'unknown key "tensor"; fix: did you mean "tensors"?'),
        ("tensors: [{match: w, level: [dense]}]", 'did you mean "levels"?'),
        ("tensors: [{match: {scop: w}}]", 'did you mean "scope"?'),
        ("tensors: [{match: {role: wheel}}]", '"role" must be one of weight'),
        ("tensors: [{levels: [dense]}]", 'an entry has no "match"'),
        ("tensors: [{match: ''}]", "must be a mapping"),
        ("tensors: [{match: {}}]", '"match" is empty'),
        ("tensors: [{match: w, match: x}]", '"match" is there twice'),
        ("tensors: [{match: w, levels: dense}]", '"levels" must be a list'),
        ("tensors: [{match: w, density: 1.5}]", '"density" must be a number from 0 to 1'),
        ("tensors: [{match: w, modes: [1, 0]}]", '"modes" needs as many "levels"'),
        ("tensors: [{match: w, block: [0]}]", '"block" must be a list of extents'),
        ("tensors: {}", 'has no list "tensors"'),
        ("- 1", "must be a mapping"),
        ("", "must be a mapping"),
        ("tensors: [", "is no YAML"),
        ("[" * 100_000, "is no YAML"),
        ("tensors: [{match: w, levels: !!python/object/apply:os.abort []}]", "is no YAML"),
        ("tensors: [{match: w, data: !!python/name:os.abort ''}]", "is no YAML"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read_sidecar(write(tmp_path, text))
    assert caught.value.rule == "U130 bad-sidecar"
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_large_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="U003"):
        read_sidecar(tmp_path / "none.yaml")
    for content in (b"\xff\xfe\x00", b" " * (2**20 + 1)):
        (tmp_path / "bad.yaml").write_bytes(content)
        with pytest.raises(UsageError, match="U130"):
            read_sidecar(tmp_path / "bad.yaml")
