# SPDX-License-Identifier: MIT
"""When a unit sends at the earliest what, while nobody can go on without an answer of memory.

Tokens have classes: any token at all, and stops that close a list of some level or higher. The
higher the class, the more must happen before: a reduction sends nothing before its list ends.
"""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.memory cimport Memory
from fuseflow.sim.engine.unit cimport Unit


cdef enum:
    CLASSES = 6  # class 0: any token; class k: a stop of level k - 1 or higher, or the end


cdef void look_out(Memory* m, Unit* u, int64_t earliest, int64_t latency) noexcept nogil
