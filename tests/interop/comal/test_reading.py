"""ComalGraph files: which dialect, which streams, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuseflow.errors import FuseflowError, InterchangeError
from fuseflow.interop.comal.dialect import parse_graph
from fuseflow.interop.comal.importer import find_graphs, import_comal, program_of_graphs
from fuseflow.interop.comal.message import encode
from fuseflow.interop.comal.schema import LATEST, PUBLIC
from fuseflow.interop.comal.text import format_text
from fuseflow.interop.graphs.operands import BoundOperands
from fuseflow.ir.dataflow import DataflowProgram, Op
from fuseflow.ir.tensor import tensor_from_dense
from fuseflow.sim import simulate

B = np.array([[0, 2, 0], [0, 0, 0], [4, 0, 1]], dtype=np.float32)
OPERANDS = BoundOperands({"B": tensor_from_dense(B)})


def ref(name: str, number: int) -> str:
    return f"{name} {{ id {{ id: {number} }} }} "


def op(content: str) -> str:
    return f"operators {{ {content} }}\n"


ROOT = op(f'root {{ tensor: "B" {ref("output_ref", 1)} }}')
SCAN_I = op(
    f"fiber_lookup {{ {ref('input_ref', 1)} {ref('output_ref', 2)} {ref('output_crd', 3)}"
    ' tensor: "B" format: "compressed" }'
)
SCAN_J = op(
    f"fiber_lookup {{ {ref('input_ref', 2)} {ref('output_ref', 4)} {ref('output_crd', 5)}"
    ' tensor: "B" mode: 1 format: "compressed" }'
)
ARRAY = op(f'array {{ tensor: "B" {ref("input_ref", 4)} {ref("output_val", 6)} }}')
WRITERS = (
    op(f'fiber_write {{ {ref("input_crd", 3)} tensor: "X" mode_val: "0" }}')
    + op(f'fiber_write {{ {ref("input_crd", 5)} tensor: "X" mode_val: "1" }}')
    + op(f'val_write {{ {ref("input_val", 6)} tensor: "X" }}')
)
COPY = ROOT + SCAN_I + SCAN_J + ARRAY + WRITERS


def graph(body: str) -> str:
    return f'name: "copy" graph {{ {body} }}'


def load(text: str, dialect: str | None = LATEST) -> DataflowProgram:
    return program_of_graphs([parse_graph(text.encode(), dialect)], OPERANDS)


def result(program: DataflowProgram) -> np.ndarray:
    tensor = simulate(program, engine="twin").outputs[0].tensor
    assert tensor is not None
    return tensor.to_dense()


def test_a_copy_copies() -> None:
    np.testing.assert_array_equal(result(load(graph(COPY))), B)


def test_order_of_operators_is_free() -> None:
    backwards = WRITERS + ARRAY + SCAN_J + SCAN_I + ROOT
    np.testing.assert_array_equal(result(load(graph(backwards))), B)


def test_kinds_of_streams_have_ids_of_their_own() -> None:
    text = COPY.replace(ref("output_crd", 3), ref("output_crd", 1)).replace(
        ref("input_crd", 3), ref("input_crd", 1)
    )
    np.testing.assert_array_equal(result(load(graph(text))), B)


def test_writers_that_name_an_operand_get_a_name() -> None:
    """The compiler puts the tensor of the stream into a writer."""
    text = COPY.replace('tensor: "X" mode_val: "0"', 'tensor: "B"').replace(
        'tensor: "X"', 'tensor: ""'
    )
    program = load(graph(text))
    assert [output.value for output in program.outputs] == ["out0"]
    np.testing.assert_array_equal(result(program), B)


@pytest.mark.parametrize("void", ["output_crd { id { } }", "output_crd { }", ""])
def test_output_without_an_id_is_void(void: str) -> None:
    text = COPY.replace(ref("output_crd", 5), void)
    with pytest.raises(InterchangeError, match=r"X003.*stream crd 5 is written by no node"):
        load(graph(text))
    broadcast = op(f"broadcast {{ ref {{ {ref('input', 4)} {ref('outputs', 7)} outputs {{ }} }} }}")
    fanned = COPY.replace(ref("input_ref", 4), ref("input_ref", 7)) + broadcast
    program = load(graph(fanned))
    assert [node.op for node in program.kernels[0].nodes].count(Op.BROADCAST) == 1
    np.testing.assert_array_equal(result(program), B)


@pytest.mark.parametrize(
    ("old", "new", "rule", "message"),
    [
        (ref("input_ref", 4), ref("input_ref", 2), "X003", "stream ref 2 is an input of another"),
        (ref("output_val", 6), ref("output_val", 0), "X003", "val 6 is written by no node"),
        (ref("input_ref", 4), "input_ref { id { } }", "X003", "input reference is not connected"),
        (ref("input_ref", 4), "input_ref { }", "X003", "input reference is not connected"),
        (ref("input_ref", 4), "", "X003", "input reference is not connected"),
        (ref("input_crd", 3), ref("input_crd", 9), "X003", "is read by no node"),
        (ARRAY, "", "X003", "stream ref 4 is read by no node"),
        (ROOT, ROOT.replace("1", "2"), "X003", "stream ref 2 is an output of another"),
        ('tensor: "B" mode: 1', 'tensor: "C" mode: 1', "X008", 'tensor "C" has no data'),
        ("mode: 1", "mode: 5", "X008", 'walks dimension 5 of "B", which has 2'),
        ('mode_val: "1"', 'mode_val: "one"', None, ""),
        (WRITERS, "", "X003", "is read by no node"),
        ('tensor: "X" mode_val: "1"', 'tensor: "Y"', "X008", "nobody writes level 1"),
        (ARRAY, ARRAY + op("func { }"), "X005", 'there is no function ""'),
        ("array {", "array { blocked: true", "X005", "graphs over tiles"),
    ],
)  # fmt: skip
def test_broken_graph_is_refused_with_its_reason(
    old: str, new: str, rule: str | None, message: str
) -> None:
    text = COPY.replace(old, new)
    assert text != COPY
    if rule is None:  # the driver takes no notice, and neither do we
        np.testing.assert_array_equal(result(load(graph(text))), B)
        return
    with pytest.raises(InterchangeError) as caught:
        load(graph(text))
    assert caught.value.rule == rule
    assert message in str(caught.value)


JOIN = op(
    f"joiner {{ input_pairs {{ {ref('crd', 1)} in_ref {{ {ref('ref_stream', 2)} }} }}"
    f" input_pairs {{ {ref('crd', 3)} in_ref {{ {ref('ref_stream', 4)} }} }}"
    f" output_refs {{ {ref('ref_stream', 5)} }} output_refs {{ {ref('ref_stream', 6)} }} }}"
)


def test_dialect_is_found_out() -> None:
    graphs = {LATEST: JOIN, PUBLIC: op(
        f"repeat {{ {ref('input_ref', 1)} {ref('output_ref', 2)} {ref('input_rep_ref', 3)} }}"
    )}  # fmt: skip
    for dialect, body in graphs.items():
        parsed = parse_graph(graph(body).encode(), dialect)
        assert parse_graph(encode(parsed)).schema.dialect == dialect
        assert parse_graph(format_text(parsed).encode()).schema.dialect == dialect
        other = PUBLIC if dialect == LATEST else LATEST
        for data in (encode(parsed), graph(body).encode()):
            with pytest.raises(InterchangeError, match="X002") as caught:
                parse_graph(data, other)
            assert other in str(caught.value)


def test_graph_of_neither_dialect_is_refused_with_both_reasons() -> None:
    with pytest.raises(InterchangeError, match="X002") as caught:
        parse_graph(graph(op("joiner { output_ref1 { } }")).encode())
    assert all(dialect in str(caught.value) for dialect in (LATEST, PUBLIC))


def test_text_that_names_another_dialect_is_refused() -> None:
    text = "# dialect: comal@4675298\n" + graph(COPY)
    assert parse_graph(text.encode()).schema.dialect == PUBLIC
    with pytest.raises(InterchangeError, match=r"X002.*says that it is comal@4675298"):
        parse_graph(text.encode(), LATEST)
    with pytest.raises(InterchangeError, match="known dialects"):
        parse_graph(text.replace("4675298", "0000000").encode())


@pytest.mark.parametrize("data", [b"", b"\x0a\x01k", b"\x10\x01", b"\x1a\x00"])
def test_graph_without_operators_is_refused(data: bytes) -> None:
    with pytest.raises(InterchangeError, match=r"X001.*no operators") as caught:
        parse_graph(data, file="g.bin")
    assert "g.bin" in str(caught.value)


@given(data=st.data())
def test_damaged_bytes_are_reported_never_a_crash(data: st.DataObject) -> None:
    good = encode(parse_graph(graph(COPY).encode(), LATEST))
    start = data.draw(st.integers(0, len(good)))
    stop = data.draw(st.integers(start, len(good)))
    junk = data.draw(st.binary(max_size=3))
    try:
        parsed = parse_graph(good[:start] + junk + good[stop:])
        simulate(program_of_graphs([parsed], OPERANDS), engine="twin")
    except FuseflowError as error:
        assert error.rule[0] in "XDSE"  # noqa: PT017


def test_folder_of_folders_is_a_program(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        data = encode(parse_graph(graph(COPY).encode(), LATEST))
        (tmp_path / name / "graph.bin").write_bytes(data)
    assert [path.parent.name for path in find_graphs(tmp_path)] == ["a", "b"]
    program = import_comal(tmp_path, OPERANDS)
    assert [kernel.name for kernel in program.kernels] == ["copy", "copy 1"]
    assert [output.value for output in program.outputs] == ["X", "out0"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InterchangeError, match="X008"):
        find_graphs(tmp_path / "empty")
