# SPDX-License-Identifier: MIT
"""Rule of the join."""

from fuseflow.sim.engine.unit cimport Unit


cdef bint step_join(Unit* u) noexcept nogil
