# SPDX-License-Identifier: MIT
"""The heap of requests, and the queue server (see memory.pxd)."""

from libc.stdint cimport int64_t

from fuseflow.sim.engine.dram cimport dram_serve, dram_start, dram_submit
from fuseflow.sim.engine.pool cimport pool_resize

cdef enum:
    HOPS = 3  # cycles to the server, to its channel, and back to the client

cdef int64_t NEVER = (<int64_t> 1) << 62


cdef inline bint _before(Request* a, Request* b) noexcept nogil:
    """Whether a goes first; a client asks at most once per cycle."""
    if a.time != b.time:
        return a.time < b.time
    if a.write != b.write:
        return b.write  # readers go first
    return a.client < b.client


cdef bint memory_submit(Memory* m, Request* request) noexcept nogil:
    """Accept a request; False and a fault if there is no memory for it."""
    if m.kind == DRAM:
        return dram_submit(m, request)
    return _push(m, request)


cdef bint _push(Memory* m, Request* request) noexcept nogil:
    cdef int64_t at = m.pending
    cdef int64_t parent
    cdef int64_t room
    cdef void* larger
    if at == m.heap_room:
        room = 2 * m.heap_room if m.heap_room else 64
        larger = pool_resize(m.pool, m.heap, room * sizeof(Request))
        if larger is NULL:
            return False
        m.heap = <Request*> larger
        m.heap_room = room
    m.pending += 1
    while at > 0:
        parent = (at - 1) // 2
        if not _before(request, &m.heap[parent]):
            break
        m.heap[at] = m.heap[parent]
        at = parent
    m.heap[at] = request[0]
    return True


cdef void _pop(Memory* m, Request* out) noexcept nogil:
    """Remove the first request of the heap."""
    cdef int64_t at = 0
    cdef int64_t child
    cdef Request* last
    out[0] = m.heap[0]
    m.pending -= 1
    last = &m.heap[m.pending]
    while True:
        child = 2 * at + 1
        if child >= m.pending:
            break
        if child + 1 < m.pending and _before(&m.heap[child + 1], &m.heap[child]):
            child += 1
        if not _before(&m.heap[child], last):
            break
        m.heap[at] = m.heap[child]
        at = child
    m.heap[at] = last[0]


cdef int64_t memory_start(Memory* m) noexcept nogil:
    """Return a cycle that, and a whole access after it, comes before any new request."""
    if m.kind == DRAM:
        return dram_start(m)
    return m.heap[0].time if m.pending else NEVER


cdef int64_t memory_latency(Memory* m) noexcept nogil:
    """Return the least number of cycles from a request to its answer."""
    if m.kind == DRAM:
        return m.dram.t_req + m.dram.t_cl + m.dram.t_burst + m.dram.t_rsp
    return HOPS + m.queue.latency + (m.queue.startup if m.queue.startup_every_request else 0)


cdef bint memory_serve(Memory* m, int64_t bound) noexcept nogil:
    """Answer requests; False if there is nothing that can be answered.

    Nobody asks for anything before cycle `bound` without an answer, which is later than the first
    request and a whole access after it, or else limits what is answered.
    """
    if m.kind == DRAM:
        return dram_serve(m, bound)
    return _queue_serve(m, bound)


cdef bint _queue_serve(Memory* m, int64_t bound) noexcept nogil:
    cdef bint answered = False
    cdef Request request
    while m.pending and m.heap[0].time < bound:
        _pop(m, &request)
        _queue_answer(m, &request)
        answered = True
    return answered


cdef void _queue_answer(Memory* m, Request* r) noexcept nogil:
    cdef int64_t latest = 0
    cdef int64_t k
    if r.time != m.cycle:
        m.pointer += m.in_cycle
        m.cycle = r.time
        m.in_cycle = 0
    for k in range(r.words):
        latest = max(latest, _queue_word(m, r.time, r.write))
    answer(m, r.response, r.owner, r.time, latest)


cdef int64_t _queue_word(Memory* m, int64_t time, bint write) noexcept nogil:
    """Send one word to the next channel; return when the client has it."""
    cdef int64_t start, done, channel
    m.pointer = (m.pointer + m.in_cycle) % m.queue.channels
    channel = m.pointer
    m.in_cycle += 1
    start = max(m.free[channel], time + 2)
    m.free[channel] = start + m.queue.ii
    done = start + m.queue.latency
    if m.queue.startup_every_request or not m.used[channel]:
        done += m.queue.startup
    m.used[channel] = 1
    m.forwarded[channel] = max(m.forwarded[channel] + 1, done)
    if write:
        m.figures[channel].writes += 1
    else:
        m.figures[channel].reads += 1
    return m.forwarded[channel] + 1
