# SPDX-License-Identifier: MIT
"""Rounds of the parts of a machine, a thread each (see parts.pxd)."""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.bridges cimport exchange, settle
from fuseflow.sim.engine.net cimport visit
from fuseflow.sim.engine.parts cimport MAX_PARTS, Crew, Part
from fuseflow.sim.engine.sync cimport (
    barrier_wait, now, pthread_create, pthread_join, pthread_mutex_lock, pthread_mutex_unlock,
    pthread_t, worked,
)

cdef enum:
    MOST_VISITS = 2000  # of units in one round, where no bridge ends it earlier


cdef struct Post:
    Crew* crew
    int32_t part


cdef bint run_parts(Crew* crew, int64_t nanoseconds) noexcept nogil:
    """Run the parts for about so long; False if none can go on, or a rule was broken."""
    cdef pthread_t threads[MAX_PARTS]
    cdef Post posts[MAX_PARTS]
    cdef int32_t k, created = 1
    crew.deadline = now() + nanoseconds
    crew.late = False
    pthread_mutex_lock(&crew.barrier.mutex)
    for k in range(1, crew.count):
        posts[k].crew = crew
        posts[k].part = k
        if pthread_create(&threads[k], NULL, _work, &posts[k]):
            break
        created += 1
    crew.cancelled = created < crew.count
    pthread_mutex_unlock(&crew.barrier.mutex)
    if not crew.cancelled:
        _rounds(crew, 0)
    for k in range(1, created):
        pthread_join(threads[k], NULL)
    return crew.late and not _is_over(crew)


cdef void* _work(void* argument) noexcept nogil:
    cdef Post* post = <Post*> argument
    pthread_mutex_lock(&post.crew.barrier.mutex)  # until all threads are there
    pthread_mutex_unlock(&post.crew.barrier.mutex)
    if not post.crew.cancelled:
        _rounds(post.crew, post.part)
    return NULL


cdef void _rounds(Crew* crew, int32_t part) noexcept nogil:
    cdef Part* p = &crew.parts[part]
    cdef int64_t start
    while True:
        start = worked()
        exchange(crew, part)
        barrier_wait(&crew.barrier)
        settle(crew, part)
        p.going = _run_part(crew, p) or p.moved
        p.round = worked() - start
        if part == 0 and now() > crew.deadline:
            crew.late = True
        barrier_wait(&crew.barrier)
        if part == 0:
            _add_up(crew)
        if crew.late or _is_over(crew):
            return


cdef void _add_up(Crew* crew) noexcept nogil:
    """Note how well the round was balanced."""
    cdef int64_t longest = 0
    cdef int32_t k
    for k in range(crew.count):
        longest = max(longest, crew.parts[k].round)
        crew.worked += crew.parts[k].round
    crew.longest += longest


cdef bint _is_over(Crew* crew) noexcept nogil:
    """Whether no part can go on, or one broke a rule."""
    cdef bint going = False
    cdef int32_t k
    for k in range(crew.count):
        if crew.parts[k].pool.fault.code:
            return True
        going |= crew.parts[k].going
    return not going


cdef bint _run_part(Crew* crew, Part* p) noexcept nogil:
    """Visit units of a part until none is ready, or for a while; whether any was visited."""
    cdef int64_t visits = 0
    cdef int64_t before = -1
    cdef int64_t most = 1 if crew.eager else MOST_VISITS
    cdef int32_t i
    while visits < most and visits != before:
        before = visits
        for i in range(p.count):
            if crew.net.units[p.units[i]].ready:
                visits += 1
                if not visit(crew.net, p.units[i]):
                    p.faulty = p.units[i]
                    return True
    return visits > 0
