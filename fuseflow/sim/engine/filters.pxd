# SPDX-License-Identifier: MIT
"""Rules of the units that remove elements."""

from fuseflow.sim.engine.unit cimport Unit


cdef bint step_drop(Unit* u) noexcept nogil
cdef bint step_mask(Unit* u) noexcept nogil
cdef bint step_valdrop(Unit* u) noexcept nogil
