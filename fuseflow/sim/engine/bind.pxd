# SPDX-License-Identifier: MIT
"""From the parameters of a unit to its state."""

from fuseflow.sim.engine.unit cimport Unit


cdef int bind_unit(Unit* u, object unit, object tiles, list keep) except -1
