# SPDX-License-Identifier: MIT
"""The engine: a Machine at the speed of memory, token by token and stamp by stamp like the twin.

Compiled code over plain structs; `core` has the loop, one module per family of units the rules.
"""

from fuseflow.sim.engine.run import run_engine

__all__ = ["run_engine"]
