# SPDX-License-Identifier: MIT
"""Rules of the units that align an outer stream with an inner one."""

from fuseflow.sim.engine.unit cimport Unit


cdef bint step_repeat(Unit* u) noexcept nogil
cdef bint step_hold(Unit* u) noexcept nogil
