# SPDX-License-Identifier: MIT
"""Rounds of memory and its clients (see answers.pxd)."""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.horizon cimport horizon, horizon_of_clients
from fuseflow.sim.engine.memory cimport Memory, memory_serve, memory_start
from fuseflow.sim.engine.net cimport Net, visit
from fuseflow.sim.engine.pack cimport pack_outputs

cdef int64_t NEVER = (<int64_t> 1) << 62


cdef bint answer_clients(Memory* m, Net* net, int64_t start) noexcept nogil:
    """Answer what no request to come can affect; False if that is nothing.

    `start` is what `memory_start` says. Who was answered goes on, and memory answers again, as long
    as that can be; other units get more at once when they run. Ends early if a unit breaks a rule.
    """
    cdef int64_t bound = horizon(m, start, net)
    cdef bint answered = False
    cdef int32_t k
    while start != NEVER and memory_serve(m, bound):
        answered = True
        if not _run_clients(m, net):
            break
        start = memory_start(m)
        bound = horizon_of_clients(m, start, net)
    for k in range(m.n_clients):
        pack_outputs(&net.units[m.clients[k]])
    return answered


cdef bint _run_clients(Memory* m, Net* net) noexcept nogil:
    """Run all units that reach for arrays and have a reason to go on; False if one broke a rule."""
    cdef int32_t k, index
    for k in range(m.n_clients):
        index = m.clients[k]
        if m.woken[index] or net.units[index].ready:
            m.woken[index] = 0
            if not visit(net, index):
                net.faulty = index
                return False
    return True
