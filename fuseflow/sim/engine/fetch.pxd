# SPDX-License-Identifier: MIT
"""array on a DRAM by runs: tokens are taken, lines asked for and values sent many at a time."""

from fuseflow.sim.engine.unit cimport Unit


cdef void run_fetch(Unit* u) noexcept nogil
