# SPDX-License-Identifier: MIT
"""EinsumGraph to DataflowProgram: what to fuse, in which loop order, as which primitives.

In processing order: `schedule` (what is asked for), `regions` (what is fused), `analysis` (fills,
views, loop nests, visited coordinates), `orders` (constraints and search), `plan` (one group),
`lowering` (nodes). `passes` runs them, `pipeline` is the way in; `cost` and `auto` choose among
schedules.
"""

from fuseflow.fusion.pipeline import Fused, FuseOptions, fuse, plan_graph
from fuseflow.ir.schedule import Strategy

__all__ = ["FuseOptions", "Fused", "Strategy", "fuse", "plan_graph"]
