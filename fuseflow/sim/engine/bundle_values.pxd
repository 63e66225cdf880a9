# SPDX-License-Identifier: MIT
"""Rules by bundles of the units that copy streams and compute numbers."""

from fuseflow.sim.engine.states cimport AluState, ArrayState, LocateState
from fuseflow.sim.engine.unit cimport Unit


cdef bint bundle_repsig(Unit* u) noexcept nogil
cdef bint bundle_broadcast(Unit* u) noexcept nogil
cdef bint bundle_repeat(Unit* u, bint lookahead) noexcept nogil
cdef bint bundle_array(Unit* u, ArrayState* s) noexcept nogil
cdef bint bundle_alu(Unit* u, AluState* s) noexcept nogil
