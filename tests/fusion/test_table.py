"""The fusion table shows the nodes of the lowered kernel, each in its cell."""

import itertools
import re

from fuseflow.fusion import FuseOptions, Strategy, plan_graph
from fuseflow.fusion.lowering.table import FusionTable, format_table, make_table
from fuseflow.fusion.plan.group import Planned
from fuseflow.ir.dataflow import Op
from fuseflow.ir.einsum import EinsumGraph
from fuseflow.ir.schedule_parse import parse_schedule
from tests.fusion.examples import gcn_layer, product_chain


def planned_in(graph: EinsumGraph, order: str) -> Planned:
    routes = " ".join(f"value {op.name} recompute;" for op in graph.einsums)
    text = f"fuse all = * {{ order only {order}; {routes} }};"
    (planned,) = plan_graph(graph, FuseOptions(schedule=parse_schedule(text))).plans
    return planned


def grid(table: FusionTable) -> dict[str, list[str]]:
    return {v.value: [table.cell(v, row) for row in table.rows] for v in table.columns}


def node(planned: Planned, name: str) -> str:
    """The id of the node of this name."""
    (found,) = [n.id for n in planned.kernel.nodes if n.name == name]
    return str(found)


def test_a_chain_of_products_has_the_cells_of_its_scans_joins_and_accumulators() -> None:
    planned = planned_in(product_chain(), "i -> k -> j -> l")

    def n(name: str) -> str:
        return node(planned, name)

    table = make_table(planned)
    assert table.rows == ("i", "k", "j", "l", "val")
    cells = grid(table)
    join_k, join_j = n("join k"), n("join j")
    assert cells["A"][:2] == [n("scan A.i"), f"{n('scan A.k')} -{join_k}-"]
    assert cells["A"][2].endswith("*")
    assert cells["A"][3:] == [".", n("values A")]
    assert cells["B"][1] == f"{n('scan B.k')} -{join_k}-"
    assert cells["B"][2] == n("scan B.j")
    assert cells["T"][:3] == [n("scan A.i"), join_k, f"{n('scan B.j')} {n('add T')} -{join_j}-"]
    assert cells["T"][4] == f"{n('mul T')} {n('add T')}"
    assert cells["C"][2:4] == [f"{n('scan C.j')} -{join_j}-", n("scan C.l")]
    assert cells["D"] == [
        n("scan A.i"), ".", join_j, f"{n('scan C.l')} {n('add D')}", f"{n('mul D')} {n('add D')}"
    ]  # fmt: skip


def test_levels_emitted_in_full_are_marked() -> None:
    planned = planned_in(gcn_layer("(AX)W"), "i -> l -> m -> j")
    cells = grid(make_table(planned))
    full = [text for column in cells.values() for text in column if "!" in text]
    numbers = {int(number) for text in full for number in re.findall(r"(\d+)!", text)}
    ops = {planned.kernel.nodes[number].op for number in numbers}
    assert ops == {Op.SPACC}


def test_every_cell_names_a_node_of_the_kernel() -> None:
    planned = planned_in(gcn_layer("A(XW)"), "i -> l -> m -> j")
    names = {n.id: n.op for n in planned.kernel.nodes}
    for column in grid(make_table(planned)).values():
        for text in column:
            for number in re.findall(r"\d+", text):
                assert names[int(number)] is not Op.BROADCAST
            for number in re.findall(r"(\d+)\*", text):
                assert names[int(number)] is Op.REPEAT


def test_a_wide_grid_is_printed_in_panels() -> None:
    (planned,) = plan_graph(gcn_layer("(AX)W"), FuseOptions(Strategy.FULL)).plans
    table = make_table(planned)
    table.columns = (*table.columns, *table.columns, *table.columns)
    lines = list(format_table(table, "table all"))
    assert lines[0] == "table all"
    assert max(map(len, lines)) <= 104
    headers = [line.split() for line, below in itertools.pairwise(lines) if below[:4] == "  i "]
    assert len(headers) > 1
    assert len([name for header in headers for name in header]) == len(table.columns)
