# SPDX-License-Identifier: MIT
"""Lets torch take apart the operators that have no rule, and no others.

A decomposition loses what an operator meant, so whatever has a rule stays whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fuseflow.frontend.torch.rules import RULES
from fuseflow.frontend.torch.values import FROM_SHAPE, operator_name

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = ["decompose_unsupported"]


def decompose_unsupported(program: ExportedProgram) -> ExportedProgram:
    """Return the program with operators that have no rule decomposed as far as torch can."""
    from torch.export import default_decompositions

    tried: set[Any] = set()
    while True:
        table = default_decompositions()
        chosen = {op: table[op] for op in _without_rule(program) - tried if op in table}
        if not chosen:
            return program
        tried.update(chosen)
        program = program.run_decompositions(chosen)


def _without_rule(program: ExportedProgram) -> set[Any]:
    """Return the operators without a rule that compute something from the inputs."""
    from torch._ops import OpOverload

    inputs = set(program.graph_signature.user_inputs)
    computed: set[Node] = set()
    found: set[Any] = set()
    for node in program.graph.nodes:
        if node.name in inputs and node.op == "placeholder":
            computed.add(node)
        elif computed.intersection(node.all_input_nodes):
            computed.add(node)
            if isinstance(node.target, OpOverload):
                name = operator_name(node.target)
                # Taking sparse constructors apart ends the process.
                if name not in RULES and name not in FROM_SHAPE and "sparse" not in name:
                    found.add(node.target)
    return found
