# SPDX-License-Identifier: MIT
"""How an accumulator of order 1 sends its strip, by runs."""

from fuseflow.sim.engine.accumulate cimport SpaccState
from fuseflow.sim.engine.unit cimport Unit


cdef bint flush_strip(Unit* u, SpaccState* s) noexcept nogil
