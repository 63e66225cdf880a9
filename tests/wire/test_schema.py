"""The schema: it stays readable, documented, and in the style that its tools expect."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from tools.update_descriptor import FILES, breaking_changes, current_schema, recorded_schema

UPDATE = "run: python -m tools.update_descriptor"
Mutation = Callable[[FileDescriptorSet], None]


def message_in(schema: FileDescriptorSet, name: str) -> DescriptorProto:
    found = [m for file in schema.file for m in file.message_type if m.name == name]
    assert len(found) == 1
    return found[0]


def test_schema_breaks_no_reader_of_the_recorded_one() -> None:
    assert recorded_schema().file, f"no record; {UPDATE}"
    assert breaking_changes(recorded_schema(), current_schema()) == []


def test_record_is_up_to_date() -> None:
    assert recorded_schema() == current_schema(), UPDATE


def test_every_proto_file_is_recorded(repository: Path) -> None:
    stems = {path.stem for path in (repository / "proto/fuseflow/v1").glob("*.proto")}
    assert stems == set(FILES)


def test_additions_are_allowed() -> None:
    new = current_schema()
    field = message_in(new, "Value").field.add()
    field.name, field.number, field.type = "extra", 99, field.TYPE_BOOL
    assert breaking_changes(current_schema(), new) == []


def renumber(schema: FileDescriptorSet) -> None:
    message_in(schema, "Value").field[0].number = 77


def retype(schema: FileDescriptorSet) -> None:
    field = message_in(schema, "Level").field[1]
    field.type = field.TYPE_UINT32


def relabel(schema: FileDescriptorSet) -> None:
    field = message_in(schema, "Value").field[0]
    field.label = field.LABEL_REPEATED


def rename(schema: FileDescriptorSet) -> None:
    message_in(schema, "Value").field[0].name = "title"


def leave_oneof(schema: FileDescriptorSet) -> None:
    message_in(schema, "Array").field[2].ClearField("oneof_index")


def remove(schema: FileDescriptorSet) -> None:
    del message_in(schema, "Value").field[0]


def renumber_enum(schema: FileDescriptorSet) -> None:
    schema.file[1].enum_type[0].value[1].number = 55


def remove_message(schema: FileDescriptorSet) -> None:
    del schema.file[0].message_type[0]


@pytest.mark.parametrize(
    "mutate",
    [renumber, retype, relabel, rename, leave_oneof, remove, renumber_enum, remove_message],
)
def test_a_change_that_breaks_readers_is_found(mutate: Mutation) -> None:
    new = current_schema()
    mutate(new)
    assert breaking_changes(current_schema(), new)


def test_a_removal_that_reserves_number_and_name_is_allowed() -> None:
    new = current_schema()
    message = message_in(new, "Value")
    removed = message.field[0]
    message.reserved_range.add(start=removed.number, end=removed.number + 1)
    message.reserved_name.append(removed.name)
    del message.field[0]
    assert breaking_changes(current_schema(), new) == []


def test_roots_share_one_number_space() -> None:
    """A number that two roots have means the same in both, so unknown fields may be handed on."""
    roots = [
        message_in(current_schema(), name)
        for name in ("EinsumGraph", "DataflowProgram", "SimulationReport")
    ]
    meaning: dict[int, tuple[str, str]] = {}
    for root in roots:
        for field in root.field:
            entry = (field.name, field.type_name)
            assert meaning.setdefault(field.number, entry) == entry, f"{root.name}.{field.name}"
        assert (root.field[0].name, root.field[0].number) == ("header", 1)


def test_enums_start_unspecified_and_prefix_their_values() -> None:
    for file in current_schema().file:
        for enum in file.enum_type:
            prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper()
            assert enum.value[0].name == f"{prefix}_UNSPECIFIED"
            assert enum.value[0].number == 0
            assert all(value.name.startswith(f"{prefix}_") for value in enum.value)


def test_everything_has_a_comment(repository: Path, tmp_path: Path) -> None:
    missing = [
        f"{file.name}: {name}"
        for file in described(repository, tmp_path).file
        if file.package == "fuseflow.v1"
        for name in undocumented(file)
    ]
    assert missing == []


def described(repository: Path, folder: Path) -> FileDescriptorSet:
    """The descriptors with source information, which generated code does not keep."""
    out, root = folder / "described.binpb", repository / "proto"
    sources = [str(path) for path in sorted(root.rglob("*.proto"))]
    arguments = ["protoc", f"-I{root}", "--include_source_info", f"--descriptor_set_out={out}"]
    assert protoc.main([*arguments, *sources]) == 0
    return FileDescriptorSet.FromString(out.read_bytes())


def undocumented(file: FileDescriptorProto) -> Iterator[str]:
    documented = {
        tuple(place.path)
        for place in file.source_code_info.location
        if place.leading_comments.strip()
    }
    # A path is (field number of the list in the descriptor, index) pairs, outside in.
    for m, message in enumerate(file.message_type):
        paths = {(4, m): message.name}
        paths |= {(4, m, 2, f): f"{message.name}.{x.name}" for f, x in enumerate(message.field)}
        yield from (name for path, name in paths.items() if path not in documented)
    for e, enum in enumerate(file.enum_type):
        paths = {(5, e): enum.name}
        paths |= {(5, e, 2, v): f"{enum.name}.{x.name}" for v, x in enumerate(enum.value)}
        yield from (name for path, name in paths.items() if path not in documented)
