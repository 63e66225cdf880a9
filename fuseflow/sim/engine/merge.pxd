# SPDX-License-Identifier: MIT
"""Rule of the join."""

from fuseflow.sim.engine.unit cimport Unit


cdef enum JoinPhase:
    JOIN_PEEK
    JOIN_CRD
    JOIN_INPUT
    JOIN_SEND


cdef bint step_join(Unit* u) noexcept nogil
