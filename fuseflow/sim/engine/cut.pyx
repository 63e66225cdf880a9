# SPDX-License-Identifier: MIT
"""Where to cut a machine into parts (see cut.pxd).

Parts are stretches of one topological order. That order goes deep first, so that a lane is a
stretch and few channels leave it. Units count by the time that some of their visits took, and a
channel that is cut by what it costs to bring over what was sent in that time.
"""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.net cimport Net
from fuseflow.sim.engine.parts cimport MAX_PARTS, Crew, Sent
from fuseflow.sim.engine.pool cimport Pool, pool_take
from fuseflow.sim.engine.ring cimport NUMBERS, Chan, Entry
from fuseflow.sim.engine.sync cimport worked
from fuseflow.sim.engine.unit cimport Unit

cdef enum:
    LEAST_CAPACITY = 512  # tokens: less would make rounds too short
    ENTRY_COST = 25  # nanoseconds to bring over an entry,
    BYTES_PER_NANOSECOND = 4  # and what it refers to

cdef int64_t NEVER = (<int64_t> 1) << 60


cdef bint prepare_cut(Crew* crew) noexcept nogil:
    """Order the units; False and a fault if memory is short."""
    cdef int64_t n = crew.net.n_units
    cdef Pool* pool = crew.parts[0].pool
    cdef int64_t start
    cdef int32_t k
    crew.order = <int32_t*> pool_take(pool, n * sizeof(int32_t))
    crew.place = <int32_t*> pool_take(pool, n * sizeof(int32_t))
    crew.part_of = <int32_t*> pool_take(pool, n * sizeof(int32_t))
    crew.spent = <int64_t*> pool_take(pool, n * sizeof(int64_t))
    crew.sent = <Sent*> pool_take(pool, crew.net.n_chans * sizeof(Sent))
    crew.before = <int64_t*> pool_take(pool, (n + 1) * sizeof(int64_t))
    crew.crossing = <int64_t*> pool_take(pool, (n + 1) * sizeof(int64_t))
    crew.best = <int64_t*> pool_take(pool, MAX_PARTS * (n + 1) * sizeof(int64_t))
    crew.cut = <int32_t*> pool_take(pool, MAX_PARTS * (n + 1) * sizeof(int32_t))
    if pool.fault.code:
        return False
    _order_units(crew.net, crew.place, crew.part_of, crew.order)
    for k in range(n):
        crew.place[crew.order[k]] = k
    crew.clock_cost = NEVER
    for k in range(16):
        start = worked()
        crew.clock_cost = min(crew.clock_cost, worked() - start)
    return True


cdef void _order_units(Net* net, int32_t* missing, int32_t* stack, int32_t* order) noexcept nogil:
    """Fill in a topological order that follows a stream before it starts another one."""
    cdef int32_t top = 0
    cdef int32_t done = 0
    cdef int32_t index, after, j
    cdef Unit* u
    for index in range(net.n_units - 1, -1, -1):
        u = &net.units[index]
        missing[index] = 0
        for j in range(u.n_in):
            missing[index] += u.inputs[j] is not NULL
        if not missing[index]:
            stack[top] = index
            top += 1
    while top:
        top -= 1
        index = stack[top]
        order[done] = index
        done += 1
        u = &net.units[index]
        for j in range(u.n_out):
            if u.outputs[j] is NULL:
                continue
            after = net.consumers[u.outputs[j].index]
            missing[after] -= 1
            if not missing[after]:
                stack[top] = after
                top += 1


cdef void begin_timing(Crew* crew) noexcept nogil:
    """Forget what was timed before."""
    cdef Chan* c
    cdef int32_t k
    for k in range(crew.net.n_units):
        crew.spent[k] = 0
    for k in range(crew.net.n_chans):
        c = &crew.net.chans[k]
        crew.sent[k].entries = c.tail
        crew.sent[k].values = c.values


cdef int32_t plan_cut(Crew* crew) noexcept nogil:
    """Lay down the parts such that the slowest takes as little time as it can; return how many."""
    cdef int32_t n = crew.net.n_units
    cdef int32_t k, end
    cdef int32_t count = 1
    _weigh(crew)
    for end in range(n + 1):
        crew.best[end] = crew.before[end]
        crew.cut[end] = 0
    for k in range(1, crew.threads):
        for end in range(n + 1):
            _extend(crew, k, end)
        if crew.best[k * (n + 1) + n] < crew.best[(count - 1) * (n + 1) + n]:
            count = k + 1
    end = n
    for k in range(count - 1, -1, -1):
        crew.parts[k].units = crew.order + crew.cut[k * (n + 1) + end]
        crew.parts[k].count = end - crew.cut[k * (n + 1) + end]
        end = crew.cut[k * (n + 1) + end]
    crew.promised = crew.best[(count - 1) * (n + 1) + n]
    return count


cdef void _extend(Crew* crew, int32_t k, int32_t end) noexcept nogil:
    """Find the best start of part k if it ends at a position, given the best parts before it."""
    cdef int64_t width = crew.net.n_units + 1
    cdef int64_t* earlier = crew.best + (k - 1) * width
    cdef int64_t least = NEVER
    cdef int64_t own
    cdef int32_t start
    cdef int32_t at = 0
    for start in range(end - 1, 0, -1):
        own = crew.before[end] - crew.before[start]
        if own >= least:
            break
        own = max(own + crew.crossing[start], earlier[start] + crew.crossing[start] // 4)
        if own < least:
            least = own
            at = start
    crew.best[k * width + end] = least
    crew.cut[k * width + end] = at


cdef void _weigh(Crew* crew) noexcept nogil:
    """Sum up times by position, of units and of channels that cross it."""
    cdef Net* net = crew.net
    cdef int32_t i, k, first, last
    cdef int64_t cost
    for i in range(net.n_units + 1):
        crew.crossing[i] = 0
    if crew.eager:
        _draw_times(crew)
    for i in range(net.n_units):
        crew.before[i + 1] = crew.before[i] + crew.spent[crew.order[i]]
    for k in range(net.n_chans):
        first = crew.place[net.producers[k]] + 1
        last = crew.place[net.consumers[k]]
        cost = _bridge_cost(&net.chans[k], &crew.sent[k])
        for i in range(first, last + 1):
            crew.crossing[i] = min(crew.crossing[i] + cost, NEVER)


cdef void _draw_times(Crew* crew) noexcept nogil:
    """Let units count by chance, so that tests see cuts everywhere."""
    cdef int32_t k
    for k in range(crew.net.n_units):
        crew.seed = (crew.seed * 1103515245 + 12345) & 0x7fffffff
        crew.spent[k] = 1000000 + (crew.seed >> 8)


cdef int64_t _bridge_cost(Chan* c, Sent* before) noexcept nogil:
    """Return the nanoseconds it takes to bring over what was sent of late, NEVER if it has to wait.

    What the last entry refers to stands for all.
    """
    cdef Entry* e = &c.ring[(c.tail - 1) & c.mask]
    cdef int64_t width = 0
    if 0 <= c.capacity < LEAST_CAPACITY:
        return NEVER
    if c.tail == 0:
        return 0
    if e.explicit:
        width += sizeof(int64_t)
    if e.block is not NULL:
        width += c.width * sizeof(float) if e.kind == NUMBERS else sizeof(int64_t)
    return (ENTRY_COST * (c.tail - before.entries)
            + width * (c.values - before.values) // BYTES_PER_NANOSECOND)
