# SPDX-License-Identifier: MIT
"""Rules of the units that deal to lanes, collect from them, and append lists."""

from fuseflow.sim.engine.unit cimport Unit


cdef bint step_fork(Unit* u) noexcept nogil
cdef bint step_gather(Unit* u) noexcept nogil
cdef bint step_concat_values(Unit* u) noexcept nogil
cdef bint step_concat_padded(Unit* u) noexcept nogil
cdef bint step_concat_lists(Unit* u) noexcept nogil
