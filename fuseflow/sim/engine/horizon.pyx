# SPDX-License-Identifier: MIT
"""The horizon of memory (see horizon.pxd).

No unit can go on; each waits for an answer, for somebody who waits for one, or because the engine
holds it up. Nothing happens at a unit before its clock, before an answer that it waits for, nor
before the unit that owes it a token can send one. The earliest request of all clients under these
bounds is the horizon: all that memory does before it is final.
"""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.lines cimport (
    BY_RUNS, BY_TOKENS, Access, Ahead, Fetch, Line, Reader, Stage, released,
)
from fuseflow.sim.engine.memory cimport UNANSWERED, Memory, memory_latency
from fuseflow.sim.engine.net cimport Net
from fuseflow.sim.engine.outlook cimport CLASSES, look_out
from fuseflow.sim.engine.ring cimport Chan, has, head_stamp
from fuseflow.sim.engine.shape cimport step_hold
from fuseflow.sim.engine.unit cimport WAIT_MEMORY, WAIT_ROOM, WAIT_TOKEN, Unit

cdef int64_t NEVER = (<int64_t> 1) << 62


cdef struct Bounds:
    int64_t latency  # of the fastest answer
    int64_t answer  # no answer comes before
    int64_t least  # nothing happens before
    int64_t* earliest  # by unit: it does nothing before
    const int64_t* tokens  # by channel: the next one cannot be read before


cdef int64_t horizon(Memory* m, int64_t start, Net* net) noexcept nogil:
    """Return a cycle before which no client asks for anything."""
    cdef Bounds b = _bounds(m, start)
    cdef Unit* u
    cdef int32_t index, i
    for index in range(net.n_units):
        u = &net.units[index]
        m.earliest[index] = NEVER if _is_over(u, net.limit) else u.clock
        if u.wait == WAIT_ROOM and m.earliest[index] < b.least:
            b.least = u.clock
    # Units come in the order of their streams; of any other one too little is known by now.
    for i in range(net.n_chans * CLASSES):
        m.tokens[i] = b.least
    for index in range(net.n_units):
        u = &net.units[index]
        if m.earliest[index] != NEVER:
            m.earliest[index] = max(_earliest(u, &b), b.least)
        look_out(m, u, m.earliest[index], b.latency)
    m.least = b.least
    return _first_request(m, &b, net)


cdef int64_t horizon_of_clients(Memory* m, int64_t start, Net* net) noexcept nogil:
    """The same when no other unit has run since, by what was found out about these."""
    cdef Bounds b = _bounds(m, start)
    cdef Unit* u
    cdef int32_t k, index
    b.least = m.least
    for k in range(m.n_clients):
        index = m.clients[k]
        u = &net.units[index]
        if _is_over(u, net.limit):
            m.earliest[index] = NEVER
        elif u.wait == WAIT_ROOM:
            m.earliest[index] = u.clock
        else:
            m.earliest[index] = max(_earliest(u, &b), b.least)
    return _first_request(m, &b, net)


cdef inline Bounds _bounds(Memory* m, int64_t start) noexcept nogil:
    cdef Bounds b
    b.latency = memory_latency(m)
    b.answer = start + b.latency
    b.least = b.answer
    b.earliest = m.earliest
    b.tokens = m.tokens
    return b


cdef inline int64_t _first_request(Memory* m, Bounds* b, Net* net) noexcept nogil:
    cdef int64_t least = NEVER
    cdef int32_t k
    for k in range(m.n_clients):
        if m.earliest[m.clients[k]] != NEVER:
            least = min(least, _next_request(&net.units[m.clients[k]], m.clients[k], b))
    return max(least, b.least)


cdef inline bint _is_over(Unit* u, int64_t limit) noexcept nogil:
    """Whether a unit does nothing more."""
    return u.finished or (limit >= 0 and u.clock > limit)


cdef int64_t _earliest(Unit* u, Bounds* b) noexcept nogil:
    """Return a cycle before which a unit does nothing."""
    cdef Access* access = <Access*> u.access
    if u.wait == WAIT_MEMORY:
        return max(u.clock, b.answer)
    # A hold may remove outer tokens without waiting for them.
    if u.wait != WAIT_TOKEN or u.step is step_hold:
        return u.clock
    if access is not NULL and access.kind == BY_TOKENS:
        return max(u.clock, _next_front(u, (<Ahead*> u.access).front, b))
    if access is not NULL and access.kind == BY_RUNS:
        return max(u.clock, _next_front(u, (<Fetch*> u.access).last_front, b))
    return max(u.clock, _next_stamp(u, u.wait_port, b))


cdef int64_t _next_stamp(Unit* u, int32_t port, Bounds* b) noexcept nogil:
    """Return a cycle before which the next token of an input cannot be read."""
    cdef Chan* c = u.inputs[port]
    return head_stamp(c) if has(c) else b.tokens[c.index * CLASSES]


cdef int64_t _next_front(Unit* u, int64_t front, Bounds* b) noexcept nogil:
    """Return a cycle before which a front end takes no token."""
    return max(front + 1, _next_stamp(u, 0, b))


cdef int64_t _next_request(Unit* u, int32_t index, Bounds* b) noexcept nogil:
    """Return a cycle before which a unit asks memory for nothing."""
    cdef Ahead* a
    cdef Fetch* f
    cdef int64_t front, found
    cdef int32_t k
    if (<Access*> u.access).kind == BY_TOKENS:
        a = <Ahead*> u.access
        front = _next_front(u, a.front, b)
        if a.taken - a.depth >= a.served:
            front = max(front, b.earliest[index])
        found = NEVER
        for k in range(a.n_readers):
            found = min(found, _reader_bound(&a.readers[k], a.stages[k].at < a.taken, front,
                                             b.earliest[index],
                                             _metadata_bound(a, b) if k else b.answer))
        return found
    if (<Access*> u.access).kind == BY_RUNS:
        f = <Fetch*> u.access
        front = _next_front(u, f.last_front, b)
        if f.taken - f.depth >= f.used:
            front = max(front, b.earliest[index])
        return _reader_bound(&f.reader, f.planned < f.taken, front, b.earliest[index], b.answer)
    return b.earliest[index]


cdef int64_t _metadata_bound(Ahead* a, Bounds* b) noexcept nogil:
    """Return a cycle before which the metadata of the next token are not here."""
    cdef Stage* s = &a.stages[1]
    cdef Reader* r = &a.readers[0]
    cdef Line* line
    cdef int64_t found = b.answer
    cdef int32_t k
    if s.at == a.taken:
        return found
    for k in range(2):
        line = &r.lines[a.tokens[s.at & a.mask].pair[k] & r.mask]
        if a.tokens[s.at & a.mask].pair[k] >= 0 and line.response == UNANSWERED:
            found = max(found, line.time + b.latency)
    return found


cdef int64_t _reader_bound(Reader* r, bint pending, int64_t front, int64_t earliest,
                           int64_t answer) noexcept nogil:
    """Return a cycle before which a reader asks for nothing.

    `pending`: it has a token to do, which waits for the window, or for an answer not before
    `answer`.
    """
    cdef int64_t found = r.client.last_time + 1
    if not pending:
        return max(found, front)
    if (not r.is_metadata and r.client.count >= r.client.window
            and released(r, r.client.count - r.client.window) == UNANSWERED):
        return max(found, earliest)
    return max(found, answer)
