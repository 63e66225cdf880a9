"""References: levels in stored order, and addresses in blocks of dense levels."""

from dataclasses import replace

import pytest

from fuseflow.ir import dataflow as df
from fuseflow.ir.dataflow import Op
from fuseflow.ir.einsum import Role, Value
from fuseflow.ir.einsum_text import parse_format
from fuseflow.ir.testing import KernelBuilder
from fuseflow.ir.verify_access import check_references
from fuseflow.ir.verify_nodes import wire_node

Step = df.ScanAttrs | df.LocateAttrs
SHAPE = (2, 3, 4)


def scan(level: int) -> Step:
    return df.ScanAttrs("A", level)


def locate(level: int, stride: int, parent_stride: int, **changes: int) -> Step:
    """Locate a level of extent 2, 3, 4 (in storage order)."""
    attrs = df.LocateAttrs("A", level, SHAPE[level], stride=stride, parent_stride=parent_stride)
    return replace(attrs, **changes)  # type: ignore[arg-type]


def search(level: int) -> Step:
    return df.LocateAttrs("A", level, SHAPE[level], search=True)


def rules(levels: str, *steps: Step, rooted: bool = True) -> list[str]:
    """Return the rules broken by entering A, of shape (2, 3, 4), by these steps."""
    value = Value("A", SHAPE, Role.INPUT, format=parse_format(levels))
    kernel = KernelBuilder()
    (ref,) = kernel.add(Op.ROOT, df.RootAttrs("A"), outputs=["ref"])
    nest = ""
    parent: int | None = ref if rooted else None
    for number, step in enumerate(steps):
        nest += f" x{number}"
        outputs = [f"crd{nest}", f"ref{nest}"]
        if isinstance(step, df.ScanAttrs):
            _, parent = kernel.add(Op.SCAN, step, [parent], outputs)
        else:
            (crd,) = kernel.add(Op.FULL, df.FullAttrs(1), [ref], [f"crd{nest}"])
            _, parent = kernel.add(Op.LOCATE, step, [crd, parent], outputs)
    kernel.add(Op.ARRAY, df.ArrayAttrs("A"), [parent], [f"val{nest}"])
    wired = [wire_node(kernel.graph, node) for node in kernel.graph.nodes]
    return [finding.rule for finding in check_references(wired, {"A": value})]


CSF = "compressed,compressed,compressed"
DENSE = "dense,dense,dense"
TAIL = "compressed,dense,dense"


@pytest.mark.parametrize(
    ("levels", "steps"),
    [
        (CSF, (scan(0), scan(1), scan(2))),
        (CSF, (search(0), search(1), search(2))),
        (DENSE, (scan(0), scan(1), scan(2))),
        (DENSE, (locate(0, 1, 0), locate(1, 1, 3), locate(2, 1, 4))),
        (DENSE, (locate(2, 1, 0), locate(0, 12, 1), locate(1, 4, 1))),
        (DENSE, (locate(1, 4, 0), locate(2, 1, 1), locate(0, 12, 1))),
        (DENSE, (scan(0), locate(1, 1, 3), scan(2))),
        (TAIL, (scan(0), locate(2, 1, 12), locate(1, 4, 1))),
        (TAIL, (scan(0), locate(1, 4, 12), locate(2, 1, 1))),
        ("dense,compressed,dense", (locate(0, 1, 0), scan(1), locate(2, 1, 4))),
        ("dense,dense,compressed", (locate(1, 1, 0), locate(0, 3, 1), scan(2))),
        ("dense,singleton,dense", (scan(0), scan(1), scan(2))),
    ],
)
def test_levels_in_stored_order_with_right_strides_pass(
    levels: str, steps: tuple[Step, ...]
) -> None:
    assert rules(levels, *steps) == []


@pytest.mark.parametrize(
    ("levels", "steps", "expected"),
    [
        (CSF, (scan(0), scan(1)), ["D011"]),
        (CSF, (scan(1), scan(0), scan(2)), ["D011", "D011"]),
        (CSF, (scan(0), search(2)), ["D011", "D011"]),
        (CSF, (scan(0), scan(0), scan(1), scan(2)), ["D011"]),
        (TAIL, (scan(0), locate(1, 4, 12)), ["D011"]),
        (TAIL, (locate(1, 4, 12), locate(2, 1, 1)), ["D011", "D011", "D011"]),
        (TAIL, (scan(0), locate(1, 4, 12), locate(1, 4, 1), locate(2, 1, 1)), ["D011"]),
        ("dense,dense,compressed", (locate(1, 1, 0), scan(2)), ["D011", "D011"]),
        ("dense,dense,compressed", (locate(1, 1, 0), locate(0, 4, 1), scan(2)), ["D012"]),
        (DENSE, (locate(0, 1, 0), locate(1, 1, 3), locate(2, 1, 3)), ["D012"]),
        (DENSE, (locate(2, 1, 0), locate(0, 12, 1), locate(1, 12, 1)), ["D012"]),
        (TAIL, (scan(0), locate(2, 1, 1), locate(1, 4, 1)), ["D012"]),
        (TAIL, (scan(0), locate(2, 1, 0), locate(1, 4, 1)), ["D012"]),
        (CSF, (locate(0, 1, 0), scan(1), scan(2)), ["D010"]),
        (DENSE, (search(0), scan(1), scan(2)), ["D010"]),
    ],
)
def test_wrong_order_or_address_is_reported(
    levels: str, steps: tuple[Step, ...], expected: list[str]
) -> None:
    assert rules(levels, *steps) == expected


def test_dense_outermost_levels_need_no_root() -> None:
    steps = (locate(1, 4, 0), locate(0, 12, 1), locate(2, 1, 1))
    assert rules(DENSE, *steps, rooted=False) == []
    assert "D011" in rules(TAIL, locate(1, 4, 0), locate(2, 1, 1), rooted=False)


def test_level_visited_in_parts_is_not_followed() -> None:
    """A split index enters one level twice: 4 columns as 2 x 2."""
    half = locate(2, 2, 4, size=2)
    rest = locate(2, 1, 1, size=2)
    assert rules(DENSE, scan(0), scan(1), half, rest) == []


def test_address_in_an_empty_block_does_not_matter() -> None:
    value = Value("A", (0, 3), Role.INPUT, format=parse_format("dense,dense"))
    kernel = KernelBuilder()
    (root,) = kernel.add(Op.ROOT, df.RootAttrs("A"), outputs=["ref"])
    _, row = kernel.add(Op.SCAN, df.ScanAttrs("A", 0), [root], ["", "ref i"])
    (crd,) = kernel.add(Op.FULL, df.FullAttrs(3), [row], ["crd i j"])
    attrs = df.LocateAttrs("A", 1, 3, parent_stride=7)
    _, leaf = kernel.add(Op.LOCATE, attrs, [crd, row], ["", "ref i j"])
    kernel.add(Op.ARRAY, df.ArrayAttrs("A"), [leaf], ["val i j"])
    wired = [wire_node(kernel.graph, node) for node in kernel.graph.nodes]
    assert check_references(wired, {"A": value}) == []


def vector(name: str) -> Value:
    return Value(name, (4,), Role.INPUT, format=parse_format("compressed"))


def test_references_are_followed_through_repeats_joins_lanes_and_copies() -> None:
    kernel = KernelBuilder()
    (root,) = kernel.add(Op.ROOT, df.RootAttrs("x"), outputs=["ref"])
    (start,) = kernel.add(Op.ROOT, df.RootAttrs(), outputs=["ref"])
    (crd,) = kernel.add(Op.FULL, df.FullAttrs(2), [start], ["crd i"])
    (repeated,) = kernel.add(Op.REPEAT, None, [root, crd], ["ref i"])
    left, right, _ = kernel.add(Op.FORK, df.ForkAttrs(2), [repeated], ["ref i", "ref i", ""])
    (both,) = kernel.add(Op.GATHER, df.GatherAttrs(2, 0), [left, right, None], ["ref i"])
    first, second = kernel.copy(both)
    crd_x, ref_x = kernel.add(Op.SCAN, df.ScanAttrs("x", 0), [first], ["crd i j", "ref i j"])
    crd_y, ref_y = kernel.add(Op.SCAN, df.ScanAttrs("x", 0), [second], ["crd i j", "ref i j"])
    _, out_x, out_y = kernel.add(
        Op.JOIN, df.JoinAttrs("union", (1, 1)), [crd_x, ref_x, crd_y, ref_y],
        ["crd i j", "ref i j", "ref i j"],
    )  # fmt: skip
    for ref in (out_x, out_y):
        kernel.add(Op.ARRAY, df.ArrayAttrs("x"), [ref], ["val i j"])
    wired = [wire_node(kernel.graph, node) for node in kernel.graph.nodes]
    assert check_references(wired, {"x": vector("x")}) == []


def test_lanes_with_references_into_different_tensors_do_not_merge() -> None:
    kernel = KernelBuilder()
    roots = [kernel.add(Op.ROOT, df.RootAttrs(name), outputs=["ref"])[0] for name in "xy"]
    scans = [
        kernel.add(Op.SCAN, df.ScanAttrs(name, 0), [root], ["", "ref i"])[1]
        for name, root in zip("xy", roots, strict=True)
    ]
    (merged,) = kernel.add(Op.GATHER, df.GatherAttrs(2, 0), [*scans, None], ["ref i"])
    kernel.add(Op.ARRAY, df.ArrayAttrs("x"), [merged], ["val i"])
    wired = [wire_node(kernel.graph, node) for node in kernel.graph.nodes]
    (finding,) = check_references(wired, {"x": vector("x"), "y": vector("y")})
    assert finding.rule == "D011"
    assert 'of "x" with a reference after levels 0 of "y"' in finding.message


def test_reference_of_no_tensor_enters_none() -> None:
    kernel = KernelBuilder()
    (root,) = kernel.add(Op.ROOT, df.RootAttrs(), outputs=["ref"])
    kernel.add(Op.SCAN, df.ScanAttrs("x", 0), [root], ["crd i", ""])
    wired = [wire_node(kernel.graph, node) for node in kernel.graph.nodes]
    (finding,) = check_references(wired, {"x": vector("x")})
    assert finding.message == 'reference of no tensor enters level 0 of "x"'


def test_unknown_root_is_reported_and_what_hangs_on_unknown_tensors_too() -> None:
    kernel = KernelBuilder()
    (root,) = kernel.add(Op.ROOT, df.RootAttrs("w"), outputs=["ref"])
    kernel.add(Op.SCAN, df.ScanAttrs("w", 0), [root], ["crd i", ""])
    wired = [wire_node(kernel.graph, node) for node in kernel.graph.nodes]
    assert [finding.rule for finding in check_references(wired, {})] == ["D010", "D010"]
