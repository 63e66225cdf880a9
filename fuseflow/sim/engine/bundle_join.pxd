# SPDX-License-Identifier: MIT
"""Merging many short lists at once (see bundle_join.pyx)."""

from fuseflow.sim.engine.states cimport JoinState
from fuseflow.sim.engine.unit cimport Unit


cdef bint bundle_join(Unit* u, JoinState* s) noexcept nogil
