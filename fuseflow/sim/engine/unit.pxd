# SPDX-License-Identifier: MIT
"""Units: the state of one primitive, and the micro-steps that its rules are made of.

A rule is written token by token in the order peek, remove, emit, tick of docs/streams.md. It can
stop at any micro-step (no token, no slot) and goes on there: `phase` says where. What an iteration
emits is staged first and sent by `flush`, which waits for the slots of bounded channels.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.pool cimport FAULT_MISALIGNED, FaultCode, Pool, set_fault
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_STOP, CTL_VALUE, Chan, Entry, has, head_ctl, head_int, head_number,
    head_stamp, is_full, put_ctl, put_int, put_missing, put_number, remove_ctl, remove_token,
)


cdef enum Wait:
    WAIT_NOTHING
    WAIT_TOKEN  # of input `wait_port`
    WAIT_SLOT  # of output `wait_port`
    WAIT_ROOM  # the engine's own limit; says nothing about the simulated machine
    WAIT_MEMORY  # an answer


cdef enum Passing:
    # What must come before a unit can send a value or a stop of some level, see outlook.pyx.
    PASS_ANY  # something
    PASS_SAME  # the same on any input
    PASS_BELOW  # on the input what is one level further out
    PASS_PARENT  # the same, on input 1 one level further out
    PASS_OUTER  # the same, on input 0 one level further out
    PASS_REDUCED  # the end of a list one level further in
    PASS_FLUSHED  # the end of a list of the outermost keys


cdef struct Emission:
    int32_t port  # -1: only let `latency` cycles of work pass
    uint8_t ctl
    int64_t data  # integer channels
    int64_t latency
    float* number  # number channels: a copy, owned by the pool


cdef struct Unit:
    bint (*step)(Unit*) noexcept nogil  # one iteration or more; False when it has to wait
    void (*run)(Unit*) noexcept nogil  # by runs until it has to wait; NULL if there is no such rule
    Chan** inputs  # NULL where nothing is connected
    Chan** outputs  # NULL for a void output
    int32_t n_in
    int32_t n_out
    void* state  # parameters and state of the kind, owned by the pool
    Pool* pool
    void* access  # how it reaches its arrays in memory, owned by the pool; NULL if at no cost
    # Time, in cycles.
    int64_t clock
    int64_t busy
    int64_t ii
    int64_t latency
    int64_t n_cost
    int64_t flush_ii
    int64_t done_cost
    int64_t inner_cost
    # What it did.
    int64_t flops
    int64_t read_bytes
    int64_t write_bytes
    int64_t waited_room  # cycles
    int64_t waited_memory
    int64_t* waited_token  # by input; complete only if the unit goes token by token
    # Where it stands.
    int32_t phase
    int32_t port  # a loop over ports stands here
    uint8_t ctl  # token of the iteration under way
    uint8_t finished
    uint8_t passing
    uint8_t wait
    uint8_t ready  # has a reason to be run
    int32_t wait_port
    # Staged emissions.
    Emission* staged
    int32_t staged_room
    int32_t n_staged
    int32_t n_flushed


cdef inline bint wait_token(Unit* u, int32_t port) noexcept nogil:
    u.wait = WAIT_TOKEN
    u.wait_port = port
    return False


cdef inline bint has_room(Unit* u) noexcept nogil:
    """Whether the engine wants more tokens on every output; notes the wait if not."""
    cdef int32_t k
    for k in range(u.n_out):
        if u.outputs[k] is not NULL and is_full(u.outputs[k]):
            u.wait = WAIT_ROOM
            u.wait_port = k
            return False
    return True


cdef inline void tick(Unit* u, int64_t cycles) noexcept nogil:
    u.clock += cycles
    u.busy += cycles


cdef inline bint finish(Unit* u) noexcept nogil:
    u.finished = 1
    u.wait = WAIT_NOTHING
    return False


cdef inline void wait_until(Unit* u, int32_t port, int64_t stamp) noexcept nogil:
    """Let the clock reach the stamp of a token of this input."""
    if stamp > u.clock:
        u.waited_token[port] += stamp - u.clock
        u.clock = stamp


cdef inline void peek(Unit* u, int32_t port) noexcept nogil:
    """Let the clock reach the token at the head."""
    wait_until(u, port, head_stamp(u.inputs[port]))


cdef inline void take(Unit* u, int32_t port) noexcept nogil:
    """Remove the token at the head, in the cycle in which it can be."""
    peek(u, port)
    remove_token(u.inputs[port], u.clock)


cdef inline bint misaligned(Unit* u, int64_t ports) noexcept nogil:
    set_fault(u.pool, FAULT_MISALIGNED, ports, 0, 0)
    return False


cdef inline bint fault(Unit* u, FaultCode code, int64_t a, int64_t b) noexcept nogil:
    set_fault(u.pool, code, a, b, 0)
    return False


cdef inline Emission* _stage(Unit* u, int32_t port, uint8_t ctl, int64_t latency) noexcept nogil:
    cdef Emission* s = &u.staged[u.n_staged]
    u.n_staged += 1
    s.port = port
    s.ctl = ctl
    s.latency = latency
    return s


cdef inline void stage_ctl(Unit* u, int32_t port, uint8_t ctl) noexcept nogil:
    """Stage a stop, the done token or a missing token."""
    if u.outputs[port] is not NULL:
        _stage(u, port, ctl, 1)


cdef inline void stage_int(Unit* u, int32_t port, int64_t value) noexcept nogil:
    if u.outputs[port] is not NULL:
        _stage(u, port, CTL_VALUE, 1).data = value


cdef inline void stage_number(Unit* u, int32_t port, const float* value,
                              int64_t latency) noexcept nogil:
    if u.outputs[port] is not NULL:
        memcpy(_stage(u, port, CTL_VALUE, latency).number, value,
               u.outputs[port].width * sizeof(float))


cdef inline void stage_head(Unit* u, int32_t port, int32_t source) noexcept nogil:
    """Stage a copy of the token at the head of input `source`."""
    cdef Chan* c = u.inputs[source]
    cdef uint8_t ctl = head_ctl(c)
    if ctl != CTL_VALUE:
        stage_ctl(u, port, ctl)
    elif c.width:
        stage_number(u, port, head_number(c), 1)
    else:
        stage_int(u, port, head_int(c))


cdef inline bint knows_slot(Unit* u, int32_t port) noexcept nogil:
    """Whether the removal that makes room for the next token is known; notes the wait if not."""
    cdef Chan* c = u.outputs[port]
    if c.capacity < 0 or c.popped > c.sent - c.capacity or c.sent < c.capacity:
        return True
    u.wait = WAIT_SLOT
    u.wait_port = port
    return False


cdef inline bint wait_slot(Unit* u, int32_t port) noexcept nogil:
    """Let the clock reach the cycle in which the output has a slot; False if it is not known."""
    cdef Chan* c = u.outputs[port]
    cdef int64_t freed
    if not knows_slot(u, port):
        return False
    if c.capacity < 0 or c.sent < c.capacity:
        return True
    freed = c.removals[(c.sent - c.capacity) & (c.removal_room - 1)] + 1
    if freed > u.clock:
        u.waited_room += freed - u.clock
        c.waited += freed - u.clock
        u.clock = freed
    return True


cdef inline int64_t next_stamp(Chan* c, int64_t stamp) noexcept nogil:
    """Return when a token can be read that leaves at `stamp` at the earliest."""
    if c.interval:
        if c.last_stamp + c.interval > stamp and c.last_stamp >= 0:
            stamp = c.last_stamp + c.interval
        c.last_stamp = stamp
    return stamp


cdef inline void send(Chan* c, Emission* s, int64_t stamp) noexcept nogil:
    stamp = next_stamp(c, stamp)
    if c.capacity >= 0:
        c.sent += 1
    if s.ctl == CTL_MISSING:
        put_missing(c, stamp)
    elif s.ctl != CTL_VALUE:
        put_ctl(c, s.ctl, stamp)
    elif c.width:
        put_number(c, s.number, stamp)
    else:
        put_int(c, s.data, stamp)


cdef inline void arrive(Unit* u, int64_t stamp) noexcept nogil:
    """Let the clock reach a stamp."""
    if stamp > u.clock:
        u.clock = stamp


cdef inline bint wait_memory(Unit* u) noexcept nogil:
    u.wait = WAIT_MEMORY
    return False


cdef inline void reach_memory(Unit* u, int64_t response) noexcept nogil:
    """Let the clock reach an answer of memory."""
    if response > u.clock:
        u.waited_memory += response - u.clock
        u.clock = response


cdef inline void pass_stop(Unit* u, Chan* c, Chan* out) noexcept nogil:
    """Pass the stop at the head of c on, in one iteration; for unbounded channels."""
    cdef Entry* e = &c.ring[c.head & c.mask]
    arrive(u, e.ctl_stamp)
    if out is not NULL:
        put_ctl(out, e.ctl, u.clock + 1)
    remove_ctl(c)
    tick(u, u.ii)


cdef inline bint flush(Unit* u) noexcept nogil:
    """Send what is staged, in order; False if a slot is missing (call again to go on)."""
    cdef Emission* s
    cdef int64_t stamp
    while u.n_flushed < u.n_staged:
        s = &u.staged[u.n_flushed]
        if s.port < 0:
            tick(u, s.latency)
            u.n_flushed += 1
            continue
        stamp = u.clock + s.latency
        if not wait_slot(u, s.port):
            return False
        if u.clock + 1 > stamp:
            stamp = u.clock + 1
        send(u.outputs[s.port], s, stamp)
        u.n_flushed += 1
    u.n_staged = 0
    u.n_flushed = 0
    return True
