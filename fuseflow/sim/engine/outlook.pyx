# SPDX-License-Identifier: MIT
"""The earliest tokens of a unit (see outlook.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.engine.accumulate cimport SpaccState
from fuseflow.sim.engine.lines cimport (
    BY_RUNS, BY_TOKENS, BY_VECTORS, Access, Ahead, Fetch, Piece, Vectors,
)
from fuseflow.sim.engine.ring cimport (
    ABSENT, CTL_DONE, CTL_MISSING, CTL_STOP, CTL_VALUE, NO_MORE, Chan, Entry,
)
from fuseflow.sim.engine.states cimport ScanState
from fuseflow.sim.engine.unit cimport (
    PASS_ANY, PASS_BELOW, PASS_FLUSHED, PASS_OUTER, PASS_PARENT, PASS_REDUCED, PASS_SAME, WAIT_MEMORY,
    WAIT_TOKEN, Unit,
)

cdef enum:
    WALK = 24  # lists of an input that are looked at

cdef int64_t NEVER = (<int64_t> 1) << 62


cdef struct Count:
    # Values before the first token of each class; `last` is the highest class that was found.
    int64_t values[CLASSES]
    int32_t last
    int64_t seen  # values
    int32_t lists
    bint whole  # all that there is was looked at


cdef void look_out(Memory* m, Unit* u, int64_t earliest, int64_t latency) noexcept nogil:
    """Note for the outputs of a unit when the next token of each class can be read, at the earliest.

    The unit does nothing before `earliest`; no access to memory takes less than `latency`.
    """
    cdef int64_t bounds[CLASSES]
    cdef const int64_t* source
    cdef int32_t k, i
    for i in range(CLASSES):
        bounds[i] = earliest if earliest == NEVER else earliest + 1
    if u.finished or earliest == NEVER:
        pass
    elif u.wait == WAIT_TOKEN and u.passing != PASS_ANY:
        source = m.tokens + u.inputs[u.wait_port].index * CLASSES
        for i in range(CLASSES):
            bounds[i] = max(bounds[i], source[_needed(u, u.wait_port, i)] + 1)
    elif u.wait == WAIT_MEMORY and u.n_out:
        _look_behind_memory(m, u, bounds, latency)
    for k in range(u.n_out):
        if u.outputs[k] is not NULL:
            for i in range(CLASSES):
                m.tokens[u.outputs[k].index * CLASSES + i] = bounds[i]


cdef int32_t _needed(Unit* u, int32_t port, int32_t i) noexcept nogil:
    """Return of which class a token of an empty input must be before the unit sends one of class i.
    """
    cdef SpaccState* s
    cdef int32_t j
    if u.passing == PASS_SAME:
        return i
    if u.passing == PASS_BELOW:
        return max(i - 1, 0)
    if u.passing == PASS_PARENT:
        return max(i - 1, 0) if port == 1 else i
    if u.passing == PASS_OUTER:
        return max(i - 1, 0) if port == 0 else i
    if u.passing == PASS_REDUCED and port == 0:
        return min(i + 1, CLASSES - 1)
    if u.passing == PASS_FLUSHED:
        s = <SpaccState*> u.state
        if port > s.order + 1:
            return 0
        for j in range(s.order + 1):
            if s.expected[j]:
                return 0
        return min(max(1, i - s.order) + min(port, s.order), CLASSES - 1)
    return 0


cdef void _look_behind_memory(Memory* m, Unit* u, int64_t* bounds, int64_t latency) noexcept nogil:
    """Raise the bounds of a unit that waits for an answer by what its input still holds."""
    cdef Access* access = <Access*> u.access
    cdef Count count
    cdef bint scans = u.passing == PASS_BELOW
    cdef int64_t rest = 0  # of the list under way
    cdef int32_t i, j
    _begin_count(&count)
    if access.kind == BY_VECTORS:
        if scans:
            rest = _vectors_left(u, <Vectors*> u.access) * latency
        else:
            _count_list(&count, 0, u.ctl)  # the token that ended a vector
        _count_channel(&count, u.inputs[0])
    elif access.kind == BY_RUNS:
        _count_pieces(&count, <Fetch*> u.access)
        _count_channel(&count, u.inputs[0])
    elif access.kind == BY_TOKENS:
        if scans:
            rest = ((<ScanState*> u.state).end - (<ScanState*> u.state).at) * u.ii
        _count_taken(&count, <Ahead*> u.access)
        _count_channel(&count, u.inputs[0])
    else:
        return
    for i in range(1, CLASSES):
        j = i - 1 if scans else i
        bounds[i] += rest
        if j == 0:
            continue
        bounds[i] += _time_of(u, access, count.values[j], latency, scans)
        if j > count.last and count.whole:
            bounds[i] = max(bounds[i], m.tokens[u.inputs[0].index * CLASSES + j] + 1)


cdef int64_t _time_of(Unit* u, Access* access, int64_t values, int64_t latency,
                      bint scans) noexcept nogil:
    """Return how long so many values of the input take at least."""
    cdef int64_t batch
    if access.kind != BY_VECTORS:
        return values * u.ii
    batch = 1 if scans else (<Vectors*> access).batch
    return (values + batch - 1) // batch * latency


cdef int64_t _vectors_left(Unit* u, Vectors* v) noexcept nogil:
    """Return how many vectors of the fiber under way are still to be asked for."""
    cdef ScanState* s = <ScanState*> u.state
    cdef int64_t begin = max(s.at, v.end) if v.end <= s.end else s.at
    return max(s.end - begin + v.batch - 1, 0) // v.batch


cdef void _begin_count(Count* count) noexcept nogil:
    cdef int32_t i
    for i in range(CLASSES):
        count.values[i] = 0
    count.last = 0
    count.seen = 0
    count.lists = 0
    count.whole = True


cdef inline void _count_list(Count* count, int64_t n, uint8_t ctl) noexcept nogil:
    """Count n values and the control token behind them, if there is one."""
    cdef int32_t i
    cdef int32_t found = 0
    count.seen += n
    if ctl & CTL_STOP:
        found = min((ctl & 7) + 1, CLASSES - 1)
    elif ctl == CTL_DONE:
        found = CLASSES - 1
    for i in range(count.last + 1, CLASSES):
        count.values[i] = count.seen
    count.last = max(count.last, found)
    count.lists += 1


cdef void _count_channel(Count* count, Chan* c) noexcept nogil:
    cdef int64_t at = c.head
    cdef int64_t before = c.pos
    cdef Entry* e
    cdef int32_t k
    cdef bint absent
    while at < c.tail and count.last < CLASSES - 1:
        if count.lists >= WALK:
            count.whole = False
            return
        e = &c.ring[at & c.mask]
        # Missing tokens may cost nothing.
        absent = e.kind == ABSENT or e.holes is not NULL
        _count_list(count, 0 if absent else e.n - before, e.ctl)
        k = 0
        while e.more != NO_MORE and e.marks[k].ctl != CTL_VALUE and count.lists < WALK:
            _count_list(count, 0 if absent else e.marks[k].n, <uint8_t> e.marks[k].ctl)
            k += 1
        if e.more != NO_MORE and e.marks[k].ctl != CTL_VALUE:
            count.whole = False
            return
        before = 0
        at += 1


cdef void _count_pieces(Count* count, Fetch* f) noexcept nogil:
    """Count what the front end of an array has taken and the unit has not used."""
    cdef int64_t at
    cdef int64_t before = f.used
    cdef Piece* p
    for at in range(f.piece_used, f.piece_taken):
        if count.lists >= WALK:
            count.whole = False
            return
        p = &f.pieces[at & f.mask]
        if p.ctl > CTL_MISSING:
            _count_list(count, 0, p.ctl)
        else:
            _count_list(count, p.index + p.n - before, CTL_VALUE)
        before = p.index + p.n


cdef void _count_taken(Count* count, Ahead* a) noexcept nogil:
    """Count what a front end has taken and the unit has not removed."""
    cdef int64_t at
    cdef uint8_t ctl
    for at in range(a.removed, a.taken):
        if count.lists >= WALK:
            count.whole = False
            return
        ctl = a.tokens[at & a.mask].ctl
        if ctl > CTL_MISSING:
            _count_list(count, 0, ctl)
        else:
            _count_list(count, 1, CTL_VALUE)
