# SPDX-License-Identifier: MIT
"""The DRAM (see dram.pxd); `fuseflow.sim.memory.dram` says the same in plain words."""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memmove

from fuseflow.sim.engine.memory cimport (
    BANK, CHANNEL, Bank, ChannelFigures, DramChannel, DramConfig, Memory, Request, Waiting, answer,
    take_field,
)
from fuseflow.sim.engine.pool cimport pool_resize

cdef int64_t NEVER = (<int64_t> 1) << 62


cdef struct Plan:
    int64_t data  # cycle in which the data start
    int64_t column  # cycle of the column command
    int64_t activation  # cycle, -1 if the row is open


cdef inline int64_t _arrival(Memory* m, Waiting* w) noexcept nogil:
    return w.time + m.dram.t_req


cdef inline int64_t _next_decision(Memory* m, DramChannel* c) noexcept nogil:
    return max(c.decision, _arrival(m, &c.queue[c.first]))


cdef int64_t dram_start(Memory* m) noexcept nogil:
    """Return a cycle that, and a whole access after it, comes before any new request."""
    cdef int64_t start = NEVER
    cdef int64_t k
    for k in range(m.dram.channels):
        if m.channels[k].first < m.channels[k].last:
            start = min(start, _next_decision(m, &m.channels[k]) - m.dram.t_req)
    return start


cdef bint dram_serve(Memory* m, int64_t bound) noexcept nogil:
    """Make all choices that no request of cycle `bound` or later can affect."""
    cdef int64_t k
    cdef bint answered = False
    for k in range(m.dram.channels):
        answered |= _decide(m, &m.channels[k], bound + m.dram.t_req)
    return answered


cdef bint dram_submit(Memory* m, Request* request) noexcept nogil:
    """Put a request into the queue of its channel; False and a fault if memory is short.

    Clients are ahead of each other, so those before which it belongs are near the end.
    """
    cdef DramConfig* d = &m.dram
    cdef int64_t place[3]
    cdef int64_t rest = request.address
    cdef int64_t at
    cdef int32_t k
    cdef DramChannel* c
    cdef Waiting* w
    take_field(&d.line, &rest)
    for k in range(3):
        place[<int> d.kinds[k]] = take_field(&d.fields[k], &rest)
    c = &m.channels[place[<int> CHANNEL]]
    if c.last == c.room and not _make_room(m, c):
        return False
    at = c.last
    c.last += 1
    while at > c.first and _goes_first(request, &c.queue[at - 1]):
        c.queue[at] = c.queue[at - 1]
        at -= 1
    w = &c.queue[at]
    w.time = request.time
    w.row = rest
    w.response = request.response
    w.client = request.client
    w.owner = request.owner
    w.write = request.write
    w.bank = <int32_t> place[<int> BANK]
    if d.bank_xor:
        w.bank = <int32_t> ((w.bank + rest) % d.banks)
    w.passed = 0
    return True


cdef inline bint _goes_first(Request* r, Waiting* w) noexcept nogil:
    return r.time < w.time or (r.time == w.time and r.client < w.client)


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
    while c.first < c.last and _next_decision(m, c) < limit:
        c.decision = _next_decision(m, c)
        if m.dram.t_refi and c.decision >= c.refresh:
            _refresh(m, c)
        at = _choose(m, c, &plan)
        chosen = c.queue[at]
        # Those before it move up: it is near the front.
        if at > c.first:
            memmove(c.queue + c.first + 1, c.queue + c.first, (at - c.first) * sizeof(Waiting))
        c.first += 1
        _serve(m, c, &chosen, &plan)
        any_served = True
    return any_served


cdef void _refresh(Memory* m, DramChannel* c) noexcept nogil:
    """Refresh as often as is due: all rows are closed, then nothing can be opened for a while."""
    cdef DramConfig* d = &m.dram
    cdef Bank* bank
    cdef int64_t k, start
    while c.decision >= c.refresh:
        start = c.refresh
        for k in range(d.banks):
            bank = &c.banks[k]
            if bank.row >= 0:
                start = max(start, bank.closable + d.t_rp)
                bank.row = -1
        c.ready = max(c.ready, start + d.t_rfc)
        c.refresh += d.t_refi
        c.figures.refreshes += 1


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
        # Nothing comes before the bus is free.
        if plan.data == c.bus or _arrival(m, &c.queue[k]) > c.decision:
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
    cdef int64_t ready = _arrival(m, w)
    cdef int64_t bus = c.bus
    plan.activation = -1
    if bank.row == w.row:
        plan.column = max(ready, bank.opened + d.t_rcd)
    else:
        if bank.row >= 0:
            ready = max(ready, bank.closable) + d.t_rp
        plan.activation = max(max(ready, c.ready), c.activated + d.t_rrd)
        plan.column = plan.activation + d.t_rcd
    if c.writing >= 0 and c.writing != w.write:
        bus += d.t_turn
    plan.data = max(plan.column + d.t_cl, bus)
    plan.column = plan.data - d.t_cl


cdef void _serve(Memory* m, DramChannel* c, Waiting* w, Plan* plan) noexcept nogil:
    cdef DramConfig* d = &m.dram
    cdef Bank* bank = &c.banks[w.bank]
    cdef int64_t busy
    _count(m, c.figures, w, plan, bank)
    c.bus = plan.data + d.t_burst
    c.writing = w.write
    if plan.activation >= 0:
        c.activated = plan.activation
        bank.opened = plan.activation
        bank.row = w.row
        bank.closable = plan.activation + d.t_ras
    busy = c.bus + d.t_wr if w.write else plan.column + d.t_rtp
    bank.closable = max(bank.closable, busy)
    c.decision = max(c.decision, plan.column + d.t_burst)
    answer(m, w.response, w.owner, w.time, c.bus + d.t_rsp)


cdef inline void _count(Memory* m, ChannelFigures* f, Waiting* w, Plan* plan,
                        Bank* bank) noexcept nogil:
    f.bus_busy += m.dram.t_burst
    if w.write:
        f.writes += 1
    else:
        f.reads += 1
    if plan.activation < 0:
        f.row_hits += 1
    elif bank.row < 0:
        f.row_opens += 1
    else:
        f.row_conflicts += 1
