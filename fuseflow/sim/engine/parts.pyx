# SPDX-License-Identifier: MIT
"""Taking a machine apart and putting it together again (see parts.pxd)."""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.accumulate cimport SpaccState, step_spacc
from fuseflow.sim.engine.bridges cimport bridge_close, bridge_open, learn, leave_blocks, rehome
from fuseflow.sim.engine.cut cimport plan_cut, prepare_cut
from fuseflow.sim.engine.net cimport Net
from fuseflow.sim.engine.pool cimport Pool, pool_open, pool_take
from fuseflow.sim.engine.ring cimport Chan
from fuseflow.sim.engine.sync cimport barrier_close, barrier_open
from fuseflow.sim.engine.unit cimport WAIT_ROOM, Unit

cdef enum:
    WORTHWHILE = 120  # percent: speed that a cut must promise


cdef bint crew_open(Crew* crew, Net* net, Pool* pool) noexcept nogil:
    """Prepare for parts; False if memory is short."""
    cdef int32_t k
    crew.net = net
    crew.parts[0].pool = pool
    crew.bridges = <Bridge*> pool_take(pool, net.n_chans * sizeof(Bridge))
    crew.far = <Chan*> pool_take(pool, net.n_chans * sizeof(Chan))
    for k in range(1, MAX_PARTS):
        crew.parts[k].pool = &crew.pools[k]
        if not pool_open(&crew.pools[k], pool.arena, pool.block_bytes):
            return False
    return not pool.fault.code and prepare_cut(crew)


cdef bint split(Crew* crew) noexcept nogil:
    """Take the machine apart; False if that promises little, or memory is short."""
    cdef int32_t count = plan_cut(crew)
    cdef int32_t i, k
    if count < 2 or 100 * crew.before[crew.net.n_units] < WORTHWHILE * crew.promised:
        return False
    if not barrier_open(&crew.barrier, count):
        return False
    crew.count = count
    crew.worked = 0
    crew.longest = 0
    for k in range(count):
        crew.parts[k].faulty = -1
        for i in range(crew.parts[k].count):
            crew.part_of[crew.parts[k].units[i]] = k
            _give_unit(&crew.net.units[crew.parts[k].units[i]], crew.parts[k].pool)
    return _split_channels(crew)


cdef void _give_unit(Unit* u, Pool* pool) noexcept nogil:
    """Let what a unit takes come from a pool."""
    u.pool = pool
    if u.step is step_spacc:
        (<SpaccState*> u.state).strip.pool = pool


cdef bint _split_channels(Crew* crew) noexcept nogil:
    cdef Net* net = crew.net
    cdef Pool* whole = crew.parts[0].pool
    cdef Chan* c
    cdef Bridge* b
    cdef int32_t k, source, target
    crew.n_bridges = 0
    for k in range(net.n_chans):
        c = &net.chans[k]
        source = crew.part_of[net.producers[k]]
        target = crew.part_of[net.consumers[k]]
        if source == target:
            if source:
                rehome(c, whole, crew.parts[source].pool)
            continue
        b = &crew.bridges[crew.n_bridges]
        b.source = source
        b.target = target
        b.near = c
        b.far = &crew.far[k]
        b.end = _end_of(&net.units[net.consumers[k]], c)
        if not bridge_open(b, crew.parts[source].pool, crew.parts[target].pool):
            return False
        crew.n_bridges += 1
        if net.units[net.producers[k]].wait == WAIT_ROOM:
            net.units[net.producers[k]].ready = True
    return True


cdef Chan** _end_of(Unit* consumer, Chan* c) noexcept nogil:
    """Return the input of a unit that reads a channel."""
    cdef int32_t j = 0
    while consumer.inputs[j] is not c:
        j += 1
    return &consumer.inputs[j]


cdef void merge(Crew* crew) noexcept nogil:
    """Put the machine together again; the first fault of a part becomes that of the machine."""
    cdef Net* net = crew.net
    cdef Pool* whole = crew.parts[0].pool
    cdef Bridge* b
    cdef Chan* c
    cdef int32_t k
    for k in range(crew.n_bridges):
        b = &crew.bridges[k]
        # Units that are not woken here could not go on in their part, nor can they in the whole.
        net.units[net.producers[b.near.index]].ready |= learn(b)
        net.units[net.consumers[b.near.index]].ready |= b.near.head < b.near.tail
        bridge_close(b, crew.parts[b.source].pool, crew.parts[b.target].pool, whole)
    for k in range(net.n_chans):
        c = &net.chans[k]
        if c.pool is not whole:
            leave_blocks(c, c.pool)
            c.pool = whole
    for k in range(net.n_units):
        _give_unit(&net.units[k], whole)
    for k in range(crew.count - 1, -1, -1):
        if crew.parts[k].pool.fault.code:
            whole.fault = crew.parts[k].pool.fault
            net.faulty = max(crew.parts[k].faulty, 0)
    crew.count = 0
    crew.n_bridges = 0
    barrier_close(&crew.barrier)
