# SPDX-License-Identifier: MIT
"""EinsumGraph to DataflowProgram: what to fuse, in which loop order, as which primitives.

In processing order: `support` (fills), `regions` (what is fused), `views` (index classes),
`orders` (constraints and search), `tuples` (loop nests), `domains` (what is visited), `clusters`
(shared coordinates), `lower` with `leaves`, `joins`, `reducers` and `emit` (nodes), `plan` and
`pipeline` (regions to program).
"""

from fuseflow.fusion.pipeline import Fused, FuseOptions, fuse, plan_graph
from fuseflow.ir.schedule import Strategy

__all__ = ["FuseOptions", "Fused", "Strategy", "fuse", "plan_graph"]
