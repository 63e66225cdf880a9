# SPDX-License-Identifier: MIT
"""Packing: short lists that a unit sent one by one become bundles, for whoever reads them.

What waits for memory is sent in pieces, a line or a vector at a time. No token and no stamp changes.
"""

from fuseflow.sim.engine.unit cimport Unit


cdef void pack_outputs(Unit* u) noexcept nogil
