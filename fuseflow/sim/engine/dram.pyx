# SPDX-License-Identifier: MIT
"""The DRAM (see dram.pxd); `fuseflow.sim.memory.dram` says the same in plain words."""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memmove

from fuseflow.sim.engine.memory cimport (
    Bank, DramChannel, DramConfig, Memory, Request, Waiting, answer, pop_request,
)
from fuseflow.sim.engine.pool cimport pool_resize

cdef int64_t NEVER = (<int64_t> 1) << 62


cdef struct Plan:
    int64_t data  # cycle in which the data start
    int64_t column  # cycle of the column command
    int64_t activation  # cycle, -1 if the row is open


cdef inline int64_t _next_decision(DramChannel* c) noexcept nogil:
    return max(c.decision, c.queue[c.first].arrival)


cdef int64_t dram_start(Memory* m) noexcept nogil:
    """Return a cycle that, and a whole access after it, comes before any new request."""
    cdef int64_t start = m.heap[0].time if m.pending else NEVER
    cdef int64_t k
    for k in range(m.dram.channels):
        if m.channels[k].first < m.channels[k].last:
            start = min(start, _next_decision(&m.channels[k]) - m.dram.t_req)
    return start


cdef bint dram_serve(Memory* m, int64_t bound) noexcept nogil:
    cdef DramConfig* d = &m.dram
    cdef int64_t access = d.t_req + d.t_cl + d.t_burst + d.t_rsp
    cdef int64_t start, horizon, k
    cdef bint answered = False
    cdef Request request
    while not answered:
        start = dram_start(m)
        if start >= bound:
            return False
        horizon = min(start + access, bound)
        while m.pending and m.heap[0].time < horizon:
            pop_request(m, &request)
            if not _enqueue(m, &request):
                return False
        for k in range(d.channels):
            answered |= _decide(m, &m.channels[k], horizon + d.t_req)
    return True


cdef bint _enqueue(Memory* m, Request* request) noexcept nogil:
    """Append a request to the queue of its channel; False and a fault if memory is short."""
    cdef DramConfig* d = &m.dram
    cdef int64_t line = request.address // d.line_bytes
    cdef DramChannel* c = &m.channels[line % d.channels]
    cdef Waiting* w
    if c.last == c.room and not _make_room(m, c):
        return False
    w = &c.queue[c.last]
    c.last += 1
    line = line // d.channels // (d.row_bytes // d.line_bytes)
    w.request = request[0]
    w.arrival = request.time + d.t_req
    w.row = line // d.banks
    w.bank = <int32_t> ((line + (w.row if d.bank_xor else 0)) % d.banks)
    w.passed = 0
    return True


cdef bint _make_room(Memory* m, DramChannel* c) noexcept nogil:
    cdef int64_t room
    cdef void* larger
    if 2 * c.first < c.last or not c.room:
        room = 2 * c.room if c.room else 64
        larger = pool_resize(m.pool, c.queue, room * sizeof(Waiting))
        if larger is NULL:
            return False
        c.queue = <Waiting*> larger
        c.room = room
    memmove(c.queue, c.queue + c.first, (c.last - c.first) * sizeof(Waiting))
    c.last -= c.first
    c.first = 0
    return True


cdef bint _decide(Memory* m, DramChannel* c, int64_t limit) noexcept nogil:
    """Serve requests as long as the choice is made before cycle `limit`."""
    cdef bint any_served = False
    cdef int64_t at
    cdef Plan plan
    cdef Waiting chosen
    while c.first < c.last and _next_decision(c) < limit:
        c.decision = _next_decision(c)
        at = _choose(m, c, &plan)
        chosen = c.queue[at]
        # Those before it move up: it is near the front.
        memmove(c.queue + c.first + 1, c.queue + c.first, (at - c.first) * sizeof(Waiting))
        c.first += 1
        _serve(m, c, &chosen, &plan)
        any_served = True
    return any_served


cdef int64_t _choose(Memory* m, DramChannel* c, Plan* plan) noexcept nogil:
    """Take the request whose data come first; the oldest of equals, and after much patience."""
    cdef Waiting* oldest = &c.queue[c.first]
    cdef int64_t best = c.first
    cdef int64_t end = min(c.last, c.first + m.dram.window)
    cdef int64_t k
    cdef Plan other
    _plan(m, c, oldest, plan)
    if oldest.passed >= m.dram.bypass:
        return best
    for k in range(c.first + 1, end):
        if c.queue[k].arrival > c.decision:
            break
        _plan(m, c, &c.queue[k], &other)
        if other.data < plan.data:
            best = k
            plan[0] = other
    if best != c.first:
        oldest.passed += 1
    return best


cdef void _plan(Memory* m, DramChannel* c, Waiting* w, Plan* plan) noexcept nogil:
    """Work out how a request would be served now."""
    cdef DramConfig* d = &m.dram
    cdef Bank* bank = &c.banks[w.bank]
    cdef int64_t ready = w.arrival
    cdef int64_t bus = c.bus
    plan.activation = -1
    if bank.row == w.row:
        plan.column = max(ready, bank.opened + d.t_rcd)
    else:
        if bank.row >= 0:
            ready = max(ready, bank.closable) + d.t_rp
        plan.activation = max(ready, c.activated + d.t_rrd)
        plan.column = plan.activation + d.t_rcd
    if c.writing >= 0 and c.writing != w.request.write:
        bus += d.t_turn
    plan.data = max(plan.column + d.t_cl, bus)
    plan.column = plan.data - d.t_cl


cdef void _serve(Memory* m, DramChannel* c, Waiting* w, Plan* plan) noexcept nogil:
    cdef DramConfig* d = &m.dram
    cdef Bank* bank = &c.banks[w.bank]
    cdef int64_t busy
    _count(m, w, plan, bank)
    c.bus = plan.data + d.t_burst
    c.writing = w.request.write
    if plan.activation >= 0:
        c.activated = plan.activation
        bank.opened = plan.activation
        bank.row = w.row
        bank.closable = plan.activation + d.t_ras
    busy = c.bus + d.t_wr if w.request.write else plan.column + d.t_rtp
    bank.closable = max(bank.closable, busy)
    c.decision = max(c.decision, plan.column + d.t_burst)
    answer(m, &w.request, c.bus + d.t_rsp)


cdef void _count(Memory* m, Waiting* w, Plan* plan, Bank* bank) noexcept nogil:
    m.figures.bus_busy += m.dram.t_burst
    if w.request.write:
        m.figures.writes += 1
    else:
        m.figures.reads += 1
    if plan.activation < 0:
        m.figures.row_hits += 1
    elif bank.row < 0:
        m.figures.row_opens += 1
    else:
        m.figures.row_conflicts += 1
