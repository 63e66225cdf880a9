# SPDX-License-Identifier: MIT
"""Rules by runs of the units that walk the levels of tensors."""

from fuseflow.sim.engine.unit cimport Unit


cdef void run_scan(Unit* u) noexcept nogil
cdef void run_locate(Unit* u) noexcept nogil
