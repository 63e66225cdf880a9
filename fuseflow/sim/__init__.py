# SPDX-License-Identifier: MIT
"""Simulation: a DataflowProgram on a hardware configuration becomes a SimulationReport.

`build` flattens a kernel to a `Machine`; a simulator (`twin`, `engine`) runs it; `run` walks the
kernels of a program, hands tensors on, and writes the report.
"""

from fuseflow.sim.run import Watch, simulate

__all__ = ["Watch", "simulate"]
