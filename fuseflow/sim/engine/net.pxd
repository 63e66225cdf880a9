# SPDX-License-Identifier: MIT
"""A machine in the engine: units, channels, and who is at the ends of a channel."""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.ring cimport Chan
from fuseflow.sim.engine.unit cimport WAIT_NOTHING, Unit


cdef struct Net:
    Unit* units
    Chan* chans
    int32_t n_units
    int32_t n_chans
    int32_t* producers  # unit by channel
    int32_t* consumers
    int64_t limit  # units whose clock has passed this do nothing more, -1 for none
    int32_t faulty  # unit that broke a rule, -1 for none


cdef inline bint is_over(Net* net, Unit* u) noexcept nogil:
    """Whether a unit does nothing more."""
    return u.finished or (net.limit >= 0 and u.clock > net.limit)


cdef inline bint visit(Net* net, int32_t index) noexcept nogil:
    """Run one unit; wake its neighbours. False if it broke a rule.

    The end of a channel that lies in another part is not this thread's to wake.
    """
    cdef Unit* u = &net.units[index]
    cdef Chan* c
    cdef int32_t j
    u.ready = False
    if is_over(net, u):
        return True
    u.wait = WAIT_NOTHING
    if u.run is not NULL:
        u.run(u)
    else:
        while u.step(u):
            pass
    if u.pool.fault.code:
        return False
    for j in range(u.n_in):
        c = u.inputs[j]
        if c is not NULL and c.drained:
            c.drained = 0
            if not c.crosses:
                net.units[net.producers[c.index]].ready = True
    for j in range(u.n_out):
        c = u.outputs[j]
        if c is not NULL and c.fresh:
            c.fresh = 0
            if not c.crosses:
                net.units[net.consumers[c.index]].ready = True
    return True
