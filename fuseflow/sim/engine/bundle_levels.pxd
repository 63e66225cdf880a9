# SPDX-License-Identifier: MIT
"""Rules by bundles of the units that walk the levels of tensors."""

from fuseflow.sim.engine.states cimport LocateState, ScanState
from fuseflow.sim.engine.unit cimport Unit


cdef bint bundle_fibers(Unit* u, ScanState* s) noexcept nogil
cdef bint bundle_children(Unit* u, LocateState* s) noexcept nogil
cdef bint bundle_locations(Unit* u, LocateState* s) noexcept nogil
