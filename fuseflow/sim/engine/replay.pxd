# SPDX-License-Identifier: MIT
"""Rule of replay."""

from fuseflow.sim.engine.unit cimport Unit


cdef bint step_replay(Unit* u) noexcept nogil
