# SPDX-License-Identifier: MIT
"""Rule by runs of the join."""

from fuseflow.sim.engine.unit cimport Unit


cdef void run_join(Unit* u) noexcept nogil
