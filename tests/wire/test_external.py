"""Large arrays live in a folder next to the artifact, and are what the artifact says."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fuseflow.errors import WireError
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.testing import make_graph
from fuseflow.v1 import einsum_pb2, tensor_pb2
from fuseflow.wire import Artifact, DataFolder, read_einsum_graph, write_artifact
from fuseflow.wire.arrays import ArrayWriter
from tests.wire.graphs import same

LIMIT = 64


def graph(scale: float = 1.0) -> EinsumGraph:
    """A graph with one array above the limit, used twice, and one below."""
    large = np.arange(100, dtype=np.float32) * np.float32(scale)
    return make_graph(
        ["T[i] = mul(A[i], B[i])", "Z[i,j] = mul(T[i], C[j])"],
        tensors={"A": large, "B": large, "C": np.ones(3)},
    )


def write(folder: Path, root: EinsumGraph | None = None) -> Path:
    path = folder / "model.pb"
    write_artifact(Artifact(root or graph()), path, limit=LIMIT)
    return path


def test_a_file_with_external_data_comes_back_equal(tmp_path: Path) -> None:
    assert same(read_einsum_graph(write(tmp_path)), graph())


def test_only_large_arrays_are_external_and_equal_ones_once(tmp_path: Path) -> None:
    path = write(tmp_path)
    message = einsum_pb2.EinsumGraph.FromString(path.read_bytes())
    arrays = [value.tensor.values for value in message.values if value.HasField("tensor")]
    assert [array.WhichOneof("storage") for array in arrays] == ["external", "external", "packed"]
    external = arrays[0].external
    assert external == arrays[1].external
    assert (external.offset, external.length) == (0, 400)
    assert [file.name for file in (tmp_path / "model.pb.data").iterdir()] == [
        Path(external.location).name
    ]


def test_artifact_and_folder_can_be_moved_together(tmp_path: Path) -> None:
    write(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("model.pb", "model.pb.data"):
        (tmp_path / name).rename(elsewhere / name)
    assert same(read_einsum_graph(elsewhere / "model.pb"), graph())


def test_writing_again_leaves_only_what_is_used(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, graph(2.0))
    assert len(list((tmp_path / "model.pb.data").iterdir())) == 1
    write_artifact(Artifact(graph()), tmp_path / "model.pb")
    assert [path.name for path in tmp_path.iterdir()] == ["model.pb"]


def test_a_pipe_uses_the_folder_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = io.BytesIO()
    write_artifact(Artifact(graph()), out, limit=LIMIT, folder=DataFolder(Path(), "arrays"))
    assert same(read_einsum_graph(io.BytesIO(out.getvalue())), graph())
    assert len(list((tmp_path / "arrays").iterdir())) == 1


def test_a_pipe_without_a_folder_holds_everything() -> None:
    out = io.BytesIO()
    write_artifact(Artifact(graph()), out, limit=LIMIT)
    assert same(read_einsum_graph(out.getvalue()), graph())


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            raise OSError("the disk is full")

    folder = DataFolder(tmp_path, "arrays")
    with pytest.raises(OSError, match="the disk is full"):
        write_artifact(Artifact(graph()), Broken(), limit=LIMIT, folder=folder)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    before = path.read_bytes()
    broken = graph(3.0)
    broken.einsums.append(None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        write(tmp_path, broken)
    assert path.read_bytes() == before
    assert same(read_einsum_graph(path), graph())


def test_more_than_a_message_can_hold_is_refused_naming_the_option() -> None:
    arrays = ArrayWriter(message_limit=100)
    arrays.encode(np.zeros(25, np.float32), tensor_pb2.Array())
    with pytest.raises(WireError, match="--data-dir") as caught:
        arrays.encode(np.zeros(1, np.float32), tensor_pb2.Array())
    assert caught.value.rule == "W009"


Damage = Callable[[Path, tensor_pb2.ExternalData], object]


def data_file(folder: Path) -> Path:
    return next((folder / "model.pb.data").iterdir())


def change(folder: Path, _external: tensor_pb2.ExternalData) -> None:
    path = data_file(folder)
    path.write_bytes(b"\xff" + path.read_bytes()[1:])


def cut(folder: Path, _external: tensor_pb2.ExternalData) -> None:
    path = data_file(folder)
    path.write_bytes(path.read_bytes()[:-1])


def lead_out(folder: Path, _external: tensor_pb2.ExternalData) -> None:
    path = data_file(folder)
    outside = folder.parent / "outside.bin"
    path.rename(outside)
    path.symlink_to(outside)


def lose(folder: Path, _external: tensor_pb2.ExternalData) -> None:
    data_file(folder).unlink()


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (change, "W008"),
        (cut, "W008"),
        (lead_out, "W008"),
        (lose, "W008"),
        (lambda _, external: setattr(external, "location", "/absolute.bin"), "W008"),
        (lambda _, external: setattr(external, "location", "../model.pb"), "W008"),
        (lambda _, external: setattr(external, "location", ""), "W008"),
        (lambda _, external: setattr(external, "offset", 4), "W008"),
        (lambda _, external: setattr(external, "offset", 64), "W008"),
        (lambda _, external: setattr(external, "length", 12), "W007"),
    ],
)
def test_external_data_that_is_not_what_it_should_be_is_refused(
    damage: Damage, rule: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = write(folder)
    message = einsum_pb2.EinsumGraph.FromString(path.read_bytes())
    message.header.ClearField("content_hash")
    damage(folder, message.values[0].tensor.values.external)
    path.write_bytes(message.SerializeToString())
    with pytest.raises(WireError) as caught:
        read_einsum_graph(path)
    where = caught.value.findings[0].where
    assert (caught.value.rule, where.node, where.field) == (rule, "A", "values")


def test_an_offset_that_is_a_multiple_of_64_is_followed(tmp_path: Path) -> None:
    """Other tools may pack several arrays into one file."""
    path = write(tmp_path)
    data = data_file(tmp_path)
    data.write_bytes(bytes(128) + data.read_bytes())
    message = einsum_pb2.EinsumGraph.FromString(path.read_bytes())
    message.header.ClearField("content_hash")
    for value in message.values[:2]:
        value.tensor.values.external.offset = 128
    path.write_bytes(message.SerializeToString())
    assert same(read_einsum_graph(path), graph())


def test_a_device_is_written_to_and_not_replaced() -> None:
    device = Path(os.devnull)
    write_artifact(Artifact(graph()), device, limit=LIMIT)
    assert not device.is_file()
    assert not device.with_name(f"{device.name}.data").exists()


def test_a_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target.pb", tmp_path / "link.pb"
    write_artifact(Artifact(graph()), target)
    link.symlink_to(target)
    write_artifact(Artifact(graph(2.0)), link)
    assert link.is_symlink()
    assert same(read_einsum_graph(target), graph(2.0))
