# SPDX-License-Identifier: MIT
"""Sparse accumulator of any order, token by token.

Entries are kept in order of arrival behind a hash table and sorted when their list ends. Inputs
are crd_n .. crd_0 and the values; coordinate port p nests p levels below port 0.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

from fuseflow.sim.engine.pool cimport FAULT_OUT_OF_RANGE_CRD, FAULT_OVERFULL, pool_resize
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_STOP, CTL_VALUE, Entry, entry_int, has, head_ctl, head_int,
    head_number,
)
from fuseflow.sim.engine.flush cimport flush_strip
from fuseflow.sim.engine.scalar cimport combine

from fuseflow.sim.engine.strip cimport STRIP_LIMIT, Strip, strip_add_range, strip_reserve
from fuseflow.sim.engine.unit cimport (
    Emission, Unit, fault, finish, flush, has_room, misaligned, peek, take, tick, wait_token,
)
from fuseflow.sim.engine.values cimport (
    REDUCE_EMIT, REDUCE_SEND, REDUCE_SHAPE, REDUCE_TAKE, fold, fold_missing, take_shape,
)
from fuseflow.sim.engine.wide cimport fold_missing_wide, fold_wide, narrow, widen


cdef bint step_spacc(Unit* u) noexcept nogil:
    """spacc (crd_n .. crd_0, val, shape? -> crd_{n-1} .. crd_0, val)."""
    cdef SpaccState* s = <SpaccState*> u.state
    cdef int32_t port
    if u.phase == REDUCE_TAKE:
        if not has_room(u) or not _peek_group(u, s) or not _retire_group(u, s):
            return False
    if u.phase == REDUCE_SHAPE or u.phase == REDUCE_SHAPE + 1:
        if not take_shape(u, s.order + 2):
            return False
        u.phase = REDUCE_EMIT
    if u.phase == REDUCE_EMIT:
        if s.in_strip and u.ctl != CTL_DONE and not u.ctl >> 3 & 7:
            if not flush_strip(u, s):
                return False
        elif not _stage_flush(u, s):
            return False
        u.phase = REDUCE_SEND
    if not flush(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    if u.phase == REDUCE_SEND:
        clear_entries(s)
        u.phase = REDUCE_TAKE
    tick(u, u.ii)
    return True


cdef bint _peek_group(Unit* u, SpaccState* s) noexcept nogil:
    """Let the clock reach the heads of all coordinates and of the values; False to wait."""
    cdef int32_t port
    for port in range(s.order + 2):
        if not has(u.inputs[port]):
            return wait_token(u, port)
        peek(u, port)
    return True


cdef bint _retire_group(Unit* u, SpaccState* s) noexcept nogil:
    """Retire a leaf, the end of an inner list, or the end of a list of crd_n, which flushes."""
    cdef int32_t port = 0
    cdef uint8_t ctl = CTL_VALUE
    while port <= s.order:
        ctl = head_ctl(u.inputs[port])
        if ctl == CTL_MISSING:
            return misaligned(u, <int64_t> 1 << port)
        if ctl != CTL_VALUE:
            break
        port += 1
    u.ctl = ctl
    if port > s.order:
        return _retire_leaf(u, s)
    if port > 0:
        return _retire_list(u, s, port)
    if ctl == CTL_DONE:
        return _retire_done(u, s)
    if not _take_stop(u, s, 0):
        return False
    u.phase = _after_stop(u, s)
    return True


cdef inline int32_t _after_stop(Unit* u, SpaccState* s) noexcept nogil:
    """Return the phase in which a flush or the end goes on."""
    cdef int32_t shape = s.order + 2
    return REDUCE_SHAPE if u.n_in > shape and u.inputs[shape] is not NULL else REDUCE_EMIT


cdef bint _retire_leaf(Unit* u, SpaccState* s) noexcept nogil:
    """Combine one value into the entry of its keys."""
    cdef int64_t keys[MAX_ORDER]
    cdef uint8_t ctl = head_ctl(u.inputs[s.order + 1])
    cdef const float* value
    cdef int32_t j
    if ctl > CTL_MISSING:
        return misaligned(u, <int64_t> 3 << s.order)
    for j in range(s.order + 1):
        if s.expected[j]:
            return misaligned(u, <int64_t> 3 << j)
        s.open[j] = True
    for j in range(s.order):
        keys[j] = head_int(u.inputs[j + 1])
    if ctl == CTL_VALUE:
        u.flops += s.width
    value = s.fill
    if ctl == CTL_VALUE:
        value = head_number(u.inputs[s.order + 1])
    if not add_entry(u, s, keys, value):
        return False
    take(u, s.order)
    take(u, s.order + 1)
    return True


cdef bint _retire_list(Unit* u, SpaccState* s, int32_t port) noexcept nogil:
    """Retire the stop of an inner list and the coordinate above it."""
    cdef uint8_t stop = u.ctl
    if stop == CTL_DONE or stop >> 3 & 7 or s.expected[port - 1]:
        return misaligned(u, <int64_t> 3 << (port - 1))
    if not _take_stop(u, s, port):
        return False
    take(u, port - 1)
    s.open[port - 1] = True
    s.expected[port - 1] = stop - 1 if stop & 7 else 0
    return True


cdef bint _take_stop(Unit* u, SpaccState* s, int32_t port) noexcept nogil:
    """Remove a stop; if its list is empty, also its images on the streams further in."""
    cdef uint8_t stop = u.ctl
    cdef int32_t inner
    if s.expected[port] and s.expected[port] != stop or s.open[port] and stop >> 3 & 7:
        return misaligned(u, (<int64_t> 1 << (s.order + 2)) - 1)
    if port < s.order and s.open[port] and not s.expected[port]:
        return misaligned(u, (<int64_t> 1 << (s.order + 2)) - 1)
    s.expected[port] = 0
    take(u, port)
    if port == s.order:
        if head_ctl(u.inputs[port + 1]) != stop:
            return misaligned(u, <int64_t> 3 << port)
        take(u, port + 1)
    elif not s.open[port]:
        for inner in range(port + 1, s.order + 2):
            if inner <= s.order:
                stop += 9
            if head_ctl(u.inputs[inner]) != stop:
                return misaligned(u, <int64_t> 1 << port | <int64_t> 1 << inner)
            take(u, inner)
    for inner in range(port, s.order + 1):
        s.open[inner] = False
    return True


cdef bint _retire_done(Unit* u, SpaccState* s) noexcept nogil:
    """Retire the end of all streams and pass it on."""
    cdef int32_t port
    for port in range(1, s.order + 2):
        if head_ctl(u.inputs[port]) != CTL_DONE:
            return misaligned(u, 1 | <int64_t> 1 << port)
    for port in range(s.order + 2):
        take(u, port)
    u.phase = _after_stop(u, s)
    return True


# The store of entries.

@cython.overflowcheck(False)  # a hash wraps around on purpose
cdef inline int64_t _hash(const int64_t* keys, int32_t order) noexcept nogil:
    cdef unsigned long long h = 0
    cdef int32_t j
    for j in range(order):
        h = (h ^ <unsigned long long> keys[j]) * <unsigned long long> 0x9E3779B97F4A7C15
        h ^= h >> 29
    return <int64_t> (h >> 1)


cdef inline bint _equal_keys(const int64_t* a, const int64_t* b, int32_t order) noexcept nogil:
    cdef int32_t j
    for j in range(order):
        if a[j] != b[j]:
            return False
    return True


cdef bint add_entry(Unit* u, SpaccState* s, const int64_t* keys,
                    const float* value) noexcept nogil:
    """Combine a value into the entry of its keys; False and a fault if there is no memory."""
    cdef int64_t slot, entry
    if s.in_strip:
        if keys[0] < STRIP_LIMIT:
            if strip_reserve(&s.strip, keys[0] + 1, 1):
                strip_add_range(&s.strip, keys[0], value, 0, 1)
                return True
            return False
        if not leave_strip(u, s):
            return False
    entry = s.recent + 1
    if entry < s.count and _equal_keys(s.keys + entry * s.order, keys, s.order):
        _combine_entry(s, entry, value)
        return True
    if s.count >= s.room and not _grow_entries(u, s):
        return False
    slot = _hash(keys, s.order) & (s.table_room - 1)
    while s.table[slot]:
        entry = s.table[slot] - 1
        if _equal_keys(s.keys + entry * s.order, keys, s.order):
            _combine_entry(s, entry, value)
            return True
        slot = (slot + 1) & (s.table_room - 1)
    s.table[slot] = <int32_t> s.count + 1
    memcpy(s.keys + s.count * s.order, keys, s.order * sizeof(int64_t))
    memcpy(s.values + s.count * s.width, value, s.width * sizeof(float))
    if s.is_wide:
        widen(value, s.sums + s.count * s.width, s.width)
    s.uses[s.count] = 1
    s.recent = s.count
    s.count += 1
    return True


cdef int64_t add_known(SpaccState* s, const int64_t* keys, Entry* crd, int64_t at,
                       const float* values, int64_t step, int64_t n) noexcept nogil:
    """Combine values into entries that were made in the same order before; return how many.

    `keys` has all keys but the last, which are the coordinates of an entry from `at` on.
    """
    cdef int64_t i = 0, entry = s.recent + 1
    cdef int32_t last = s.order - 1
    cdef const int64_t* known
    if s.in_strip or s.is_wide or s.width > 1:
        return 0
    while i < n and entry < s.count:
        known = s.keys + entry * s.order
        if known[last] != entry_int(crd, at + i) or not _equal_keys(known, keys, last):
            break
        s.values[entry] = combine(s.op, s.values[entry], values[i * step])
        s.uses[entry] += 1
        entry += 1
        i += 1
    s.recent = entry - 1
    return i


cdef inline void _combine_entry(SpaccState* s, int64_t entry, const float* value) noexcept nogil:
    cdef float* place = s.values + entry * s.width
    if s.is_wide:
        fold_wide(s.op, s.sums + entry * s.width, value, 0, 1, s.width)
    elif s.width == 1:
        place[0] = combine(s.op, place[0], value[0])
    else:
        fold(s.op, place, value, s.width)
    s.uses[entry] += 1
    s.recent = entry


cdef bint leave_strip(Unit* u, SpaccState* s) noexcept nogil:
    """Move the entries from the strip to the table, for good: their keys grow too large."""
    cdef Strip* strip = &s.strip
    cdef int64_t key, i
    s.in_strip = False
    for key in range(strip.low, strip.high):
        if not add_entry(u, s, &key, strip.sums + key * s.width):
            return False
    for i in range(strip.count):
        key = strip.keys[i]
        if not add_entry(u, s, &key, strip.sums + key * s.width):
            return False
    return True


cdef bint _grow_entries(Unit* u, SpaccState* s) noexcept nogil:
    """Double the store and its table; False and a fault if there is no memory."""
    cdef int64_t room = 2 * s.room if s.room else 64
    cdef int64_t entry, slot
    s.keys = <int64_t*> pool_resize(u.pool, s.keys, room * s.order * sizeof(int64_t))
    s.values = <float*> pool_resize(u.pool, s.values, room * s.width * sizeof(float))
    if s.is_wide:
        s.sums = <double*> pool_resize(u.pool, s.sums, room * s.width * sizeof(double))
        if s.sums is NULL:
            return False
    s.uses = <int64_t*> pool_resize(u.pool, s.uses, room * sizeof(int64_t))
    s.order_of = <int32_t*> pool_resize(u.pool, s.order_of, room * sizeof(int32_t))
    s.scratch = <int32_t*> pool_resize(u.pool, s.scratch, room * sizeof(int32_t))
    s.table = <int32_t*> pool_resize(u.pool, s.table, 2 * room * sizeof(int32_t))
    if (s.keys is NULL or s.values is NULL or s.uses is NULL or s.order_of is NULL
            or s.scratch is NULL or s.table is NULL):
        return False
    s.room = room
    s.table_room = 2 * room
    memset(s.table, 0, s.table_room * sizeof(int32_t))
    for entry in range(s.count):
        slot = _hash(s.keys + entry * s.order, s.order) & (s.table_room - 1)
        while s.table[slot]:
            slot = (slot + 1) & (s.table_room - 1)
        s.table[slot] = <int32_t> entry + 1
    return True


cdef void clear_entries(SpaccState* s) noexcept nogil:
    """Forget all entries."""
    if s.count:
        memset(s.table, 0, s.table_room * sizeof(int32_t))
    s.count = 0


cdef inline bint _precedes(SpaccState* s, int32_t a, int32_t b) noexcept nogil:
    """Whether the keys of entry a come before those of entry b."""
    cdef int32_t j
    cdef const int64_t* left = s.keys + <int64_t> a * s.order
    cdef const int64_t* right = s.keys + <int64_t> b * s.order
    for j in range(s.order):
        if left[j] != right[j]:
            return left[j] < right[j]
    return False


cdef void _sort_entries(SpaccState* s) noexcept nogil:
    """Fill `order_of` with the entries by ascending keys: a bottom-up merge sort."""
    cdef int64_t i, width = 1, low, middle, high
    cdef int32_t* swap
    for i in range(s.count):
        s.order_of[i] = <int32_t> i
    while width < s.count:
        low = 0
        while low < s.count:
            middle = min(low + width, s.count)
            high = min(low + 2 * width, s.count)
            _merge_entries(s, low, middle, high)
            low = high
        swap = s.order_of
        s.order_of = s.scratch
        s.scratch = swap
        width *= 2


cdef void _merge_entries(SpaccState* s, int64_t low, int64_t middle, int64_t high) noexcept nogil:
    cdef int64_t a = low, b = middle, to = low
    if middle == high or not _precedes(s, s.order_of[middle], s.order_of[middle - 1]):
        memcpy(s.scratch + low, s.order_of + low, (high - low) * sizeof(int32_t))
        return
    while a < middle and b < high:
        if _precedes(s, s.order_of[b], s.order_of[a]):
            s.scratch[to] = s.order_of[b]
            b += 1
        else:
            s.scratch[to] = s.order_of[a]
            a += 1
        to += 1
    memcpy(s.scratch + to, s.order_of + a, (middle - a) * sizeof(int32_t))
    memcpy(s.scratch + to + middle - a, s.order_of + b, (high - b) * sizeof(int32_t))


# The flush.

cdef Emission* _stage_next(Unit* u, SpaccState* s, int32_t port, uint8_t ctl) noexcept nogil:
    """Stage a token of any number of them; NULL for a void output or without memory."""
    cdef Emission* e
    cdef void* larger
    if port >= 0 and u.outputs[port] is NULL:
        return NULL
    if u.n_staged == u.staged_room:
        larger = pool_resize(u.pool, u.staged, 2 * u.staged_room * sizeof(Emission))
        if larger is NULL:
            return NULL
        u.staged = <Emission*> larger
        u.staged_room *= 2
    e = &u.staged[u.n_staged]
    u.n_staged += 1
    e.port = port
    e.ctl = ctl
    e.latency = 1
    return e


cdef bint _stage_flush(Unit* u, SpaccState* s) noexcept nogil:
    """Stage the entries of a list of crd_n that exists, and its stop."""
    cdef int32_t port
    if u.ctl == CTL_DONE:
        for port in range(s.order + 1):
            _stage_next(u, s, port, CTL_DONE)
        return True
    if u.ctl >> 3 & 7:
        _stage_empty(u, s, 0, u.ctl)
        return True
    _sort_entries(s)
    return _stage_list(u, s, 0, 0, s.count, u.ctl)


cdef void _stage_empty(Unit* u, SpaccState* s, int32_t port, uint8_t stop) noexcept nogil:
    """Stage the stop of an empty list, and its images further in."""
    while port < s.order:
        _stage_next(u, s, port, stop)
        stop += 9
        port += 1
    _stage_next(u, s, port, stop - 9)


cdef bint _stage_list(Unit* u, SpaccState* s, int32_t port, int64_t low, int64_t high,
                      uint8_t stop) noexcept nogil:
    """Stage one list of keys (entries low..high in order) and all below; `stop` closes it."""
    cdef int64_t key = 0, end = low, size = s.full[port]
    cdef bint leaf = port == s.order - 1
    cdef Emission* e
    if low == high and size == 0:
        _stage_empty(u, s, port, stop)
        return True
    if low < high and size and _key(s, high - 1, port) >= size:
        while _key(s, end, port) < size:
            end += 1
        return fault(u, FAULT_OUT_OF_RANGE_CRD, _key(s, end, port), size)
    while low < high or key < size:
        end = low
        if size == 0:
            key = _key(s, low, port)
        while end < high and _key(s, end, port) == key:
            end += 1
        e = _stage_next(u, s, port, CTL_VALUE)
        if e is not NULL:
            e.data = key
        if not leaf:
            if not _stage_list(u, s, port + 1, low, end,
                               CTL_STOP if end < high or key + 1 < size else stop + 1):
                return False
        elif not _stage_leaf(u, s, s.order_of[low] if low < end else -1):
            return False
        low = end
        key += 1
    _stage_next(u, s, port, stop)
    if leaf:
        _stage_next(u, s, s.order, stop)
    return True


cdef inline int64_t _key(SpaccState* s, int64_t place, int32_t port) noexcept nogil:
    return s.keys[<int64_t> s.order_of[place] * s.order + port]


cdef void _finish_entry(SpaccState* s, int64_t entry, int64_t absent) noexcept nogil:
    """Fold what takes part in an entry but did not arrive, and round it if it is wide."""
    cdef float* value = s.values + entry * s.width
    cdef double* total
    if s.is_wide:
        total = s.sums + entry * s.width
        if absent > 0:
            fold_missing_wide(s.op, total, s.fill, s.width, absent)
        narrow(total, value, s.width)
    elif absent > 0:
        fold_missing(s.op, value, s.fill, s.width, absent)


cdef bint _stage_leaf(Unit* u, SpaccState* s, int64_t entry) noexcept nogil:
    """Stage the value of an entry, -1 for one that only a full level lists."""
    cdef Emission* e
    cdef float* value = <float*> s.missing
    if entry >= 0:
        value = s.values + entry * s.width
        if s.extent >= 0 and s.uses[entry] > s.extent:
            return fault(u, FAULT_OVERFULL, s.uses[entry], s.extent)
        _finish_entry(s, entry, s.extent - s.uses[entry])
    e = _stage_next(u, s, s.order, CTL_VALUE)
    if e is not NULL:
        e.number = value
    if u.flush_ii:
        e = _stage_next(u, s, -1, CTL_VALUE)
        if e is not NULL:
            e.latency = u.flush_ii
    return True
