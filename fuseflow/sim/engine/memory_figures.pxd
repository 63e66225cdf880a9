# SPDX-License-Identifier: MIT
"""What a memory and its clients did, as the records of `fuseflow.sim.memory`."""

from fuseflow.sim.engine.memory cimport Memory
from fuseflow.sim.engine.unit cimport Unit


cdef object figures_of(Memory* m)
cdef tuple clients_of(Memory* m, Unit* u)
