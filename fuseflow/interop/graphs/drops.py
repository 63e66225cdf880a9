# SPDX-License-Identifier: MIT
"""Coordinate drops of other tools filter the outer stream alone; ours filters both, or is left out.

Other tools let the inner stream pass, and their writers skip the empty lists that it still has. Of
ours every list counts, so both sides must be filtered. That is right if the inner index is an index
of the result. If it is summed over instead, the sum has a value (a zero) for every outer element,
while the drop takes its coordinate away: such a drop is left out, and the result keeps the zero.
"""

from __future__ import annotations

from fuseflow.interop.graphs.draft import Draft, DraftNode
from fuseflow.ir.dataflow import Op

__all__ = ["settle_drops", "written_drops"]


def settle_drops(draft: Draft) -> None:
    """Leave out every drop whose inner stream does not reach a writer through drops alone.

    Works on a draft in which wires may still have several readers; those left out are remarked.
    """
    while True:
        written = written_drops(draft)
        drops = [node for node in draft.nodes if node.op is Op.DROP]
        useless = [node for node in drops if node not in written]
        for node in useless:
            for source, wire in zip(node.inputs, node.outputs, strict=True):
                if wire is not None and source is not None:
                    draft.bypass(wire, source)
                    del draft.wires[wire]
            draft.remarks.append(f"{node.name} was left out: what it drops is summed to a zero")
        gone = {id(node) for node in useless}
        draft.nodes = [node for node in draft.nodes if id(node) not in gone]
        if not useless:
            return


def written_drops(draft: Draft) -> list[DraftNode]:
    """Return the drops whose inner stream is read by writers, through drops of it at most."""
    readers = draft.readers()
    drops = [node for node in draft.nodes if node.op is Op.DROP]
    return [node for node in drops if _is_written(node, readers)]


def _is_written(drop: DraftNode, readers: dict[int, list[tuple[DraftNode, int]]]) -> bool:
    """Return whether everything that reads a drop's inner stream is a writer, or such a drop."""
    inner = drop.outputs[1]
    if inner is None:
        return False
    return all(
        node.op is Op.LEVEL_WRITE
        or (node.op is Op.DROP and port == 0)
        or (node.op is Op.BROADCAST and all(_writes(wire, readers) for wire in node.outputs))
        for node, port in readers[inner]
    )


def _writes(wire: int | None, readers: dict[int, list[tuple[DraftNode, int]]]) -> bool:
    return wire is None or all(node.op is Op.LEVEL_WRITE for node, _ in readers[wire])
