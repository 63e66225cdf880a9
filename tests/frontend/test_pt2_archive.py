"""Saved exports that hold code, or that claim what they do not have, are refused unread."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from fuseflow.errors import ModelError
from fuseflow.frontend.torch.pt2 import import_pt2

Change = Callable[[str, bytes], bytes]
WEIGHTS = "model_weights_config.json"


class Bomb:
    """An object whose unpickling is noticed."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was executed",))


def save(folder: Path) -> Path:
    path = folder / "plain.pt2"
    torch.export.save(torch.export.export(nn.Linear(3, 2), (torch.ones(2, 3),)), path)
    return path


def altered(folder: Path, change: Change, **more: bytes) -> Path:
    """A saved export with the content of some members changed, and members added."""
    path = folder / "altered.pt2"
    with zipfile.ZipFile(save(folder)) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            new.writestr(member.filename, change(member.filename, old.read(member)))
        root = old.namelist()[0].partition("/")[0]
        for name, content in more.items():
            new.writestr(f"{root}/{name.replace('__', '/')}", content)
    return path


def with_weight(**fields: object) -> Change:
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith(WEIGHTS):
            return content
        config = json.loads(content)
        config["config"]["weight"].update(fields)
        return json.dumps(config).encode()

    return change


def unchanged(name: str, content: bytes) -> bytes:
    return content


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        import_pt2(path)
    assert caught.value.rule == "I005 bad-pt2"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_export_that_was_only_packed_again_is_read(tmp_path: Path) -> None:
    assert import_pt2(altered(tmp_path, unchanged)).outputs[0].shape == (2, 2)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    assert 'tensor "weight" is pickled' in refused(altered(tmp_path, with_weight(use_pickle=True)))


@pytest.mark.parametrize("name", ["custom_obj_0", "opaque_obj_0"])
def test_pickled_objects_are_refused(tmp_path: Path, name: str) -> None:
    more = {f"data__constants__{name}": pickle.dumps(Bomb())}
    assert "pickled object" in refused(altered(tmp_path, unchanged, **more))


def test_a_constant_that_points_to_an_object_is_refused(tmp_path: Path) -> None:
    assert "pickled object" in refused(altered(tmp_path, with_weight(path_name="opaque_obj_1")))


def test_compiled_libraries_are_refused(tmp_path: Path) -> None:
    more = {"data__aotinductor__model__lib.so": b"\x7fELF"}
    assert "compiled library" in refused(altered(tmp_path, unchanged, **more))


def test_example_inputs_that_are_code_are_not_executed(tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("sample_inputs/model.pt"):
            return content
        stream = io.BytesIO()
        torch.save(((Bomb(),), {}), stream)
        return stream.getvalue()

    refused(altered(tmp_path, change))


def test_a_huge_declared_shape_is_refused(tmp_path: Path) -> None:
    huge = {
        "dtype": 7, "sizes": [{"as_int": 2**40}], "strides": [{"as_int": 0}], "layout": 7,
        "requires_grad": False, "device": {"type": "cpu", "index": None},
        "storage_offset": {"as_int": 0},
    }  # fmt: skip
    path = altered(tmp_path, with_weight(tensor_meta=huge))
    assert f"declares {2**40} elements" in refused(path)


def test_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    content = save(tmp_path).read_bytes()
    for number, cut in enumerate((content[:0], content[:100], content[: len(content) // 2])):
        path = tmp_path / f"cut{number}.pt2"
        path.write_bytes(cut)
        refused(path)


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(pickle.dumps(Bomb()))
    refused(path)


def test_an_archive_that_is_no_export_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    torch.save({"weight": Bomb()}, path)
    refused(path)


def test_a_description_of_another_form_is_refused(tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        return b"[1, 2]" if name.endswith(WEIGHTS) else content

    refused(altered(tmp_path, change))


def with_program(**more: object) -> Change:
    """Add entries to the description of the program."""

    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        return json.dumps({**json.loads(content), **more}).encode()

    return change


@pytest.mark.parametrize(
    "formula",
    [
        "print('code')",
        "Symbol('u0').func",
        "Symbol('u0; code')",
        "[Integer(1) for x in Symbol('u0')]",
        "Integer(9)**Integer(9)**Integer(9)",
        "Add(" * 2000 + "Integer(1)" + ")" * 2000,
        "Integer(",
        "",
    ],
    ids=["call", "attribute", "name", "loop", "power", "depth", "half", "nothing"],
)
def test_a_size_that_is_code_is_refused(tmp_path: Path, formula: str) -> None:
    change = with_program(extra=[{"as_expr": {"expr_str": formula, "hint": None}}])
    assert "no plain formula" in refused(altered(tmp_path, change))


def test_guards_on_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not fixed") as caught:
        import_pt2(altered(tmp_path, with_program(guards_code=["print('code')"])))
    assert caught.value.rule == "I015 dynamic-shape"
