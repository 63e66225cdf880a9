# SPDX-License-Identifier: MIT
"""The twin: every primitive as one readable per-token rule in pure Python, the oracle."""

from fuseflow.sim.twin.scheduler import run_twin

__all__ = ["run_twin"]
