# SPDX-License-Identifier: MIT
"""Rules of the units that align an outer stream with an inner one."""

from fuseflow.sim.engine.unit cimport Unit


cdef int step_repeat(Unit* u) noexcept nogil
cdef int step_hold(Unit* u) noexcept nogil
