# SPDX-License-Identifier: MIT
"""Computing numbers, token by token: array, alu, reduce."""

from libc.math cimport pow
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from fuseflow.sim.engine.levels cimport rule_a
from fuseflow.sim.engine.pool cimport FAULT_OUT_OF_RANGE_REF, FAULT_OVERFULL
from fuseflow.sim.engine.ring cimport (
    CTL_DONE, CTL_MISSING, CTL_VALUE, Chan, has, head_ctl, head_int, head_number,
)
from fuseflow.sim.engine.scalar cimport combine, larger
from fuseflow.sim.engine.states cimport (
    FOLD_ADD, FOLD_MAX, FOLD_MUL, AluState, ArrayState, Fold, ReduceState,
)
from fuseflow.sim.engine.tiles cimport apply
from fuseflow.sim.engine.unit cimport (
    Unit, fault, finish, flush, has_room, misaligned, stage_ctl, stage_number, take, tick,
    wait_token,
)
from fuseflow.sim.engine.wide cimport finish_wide, fold_wide


cdef bint step_array(Unit* u) noexcept nogil:
    """array (ref -> val): the stored value of each reference."""
    cdef ArrayState* s = <ArrayState*> u.state
    cdef int64_t ref
    if u.phase == 0:
        if not has_room(u):
            return False
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        u.ctl = head_ctl(u.inputs[0])
        if u.ctl == CTL_VALUE:
            ref = head_int(u.inputs[0])
            if not 0 <= ref < s.positions:
                return fault(u, FAULT_OUT_OF_RANGE_REF, ref, s.positions)
            stage_number(u, 0, s.values + ref * s.step, u.latency)
            u.read_bytes += s.bytes
        elif u.ctl == CTL_MISSING:
            stage_number(u, 0, s.fill, 1)
        else:
            stage_ctl(u, 0, u.ctl)
        take(u, 0)
        u.phase = 1
    if not flush(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, u.ii)
    u.phase = 0
    return True


cdef bint step_alu(Unit* u) noexcept nogil:
    """alu (a, b? -> val): a function of one or two numbers."""
    cdef AluState* s = <AluState*> u.state
    if u.phase == 0:
        if not has_room(u):
            return False
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        u.ctl = head_ctl(u.inputs[0])
        if u.ctl <= CTL_MISSING:
            memcpy(s.operand, head_number(u.inputs[0]) if u.ctl == CTL_VALUE else s.fills[0],
                   u.inputs[0].width * sizeof(float))
        if s.arity > 1 and has(u.inputs[1]) and not _rule_z(u.ctl, head_ctl(u.inputs[1])):
            return misaligned(u, 3)
        take(u, 0)
        u.phase = 1
    if u.phase == 1:
        if s.arity > 1 and not has(u.inputs[1]):
            return wait_token(u, 1)
        if s.arity > 1 and not _rule_z(u.ctl, head_ctl(u.inputs[1])):
            return misaligned(u, 3)
        if u.ctl <= CTL_MISSING:
            _compute(u, s)
        else:
            stage_ctl(u, 0, u.ctl)
        if s.arity > 1:
            take(u, 1)
        u.phase = 2
    if not flush(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, u.ii)
    u.phase = 0
    return True


cdef bint _rule_z(uint8_t a, uint8_t b) noexcept nogil:
    return a == b or (a <= CTL_MISSING and b <= CTL_MISSING)


cdef void _compute(Unit* u, AluState* s) noexcept nogil:
    """Stage the result of the operands at the heads; the first one was removed before."""
    cdef const float* b = NULL
    if s.arity > 1:
        b = s.fills[1]
        if head_ctl(u.inputs[1]) == CTL_VALUE:
            b = head_number(u.inputs[1])
    u.flops += s.flops
    if u.outputs[0] is not NULL:
        apply(s, s.operand, 0, b, 0, s.result, 1, u.outputs[0].width)
        stage_number(u, 0, s.result, u.latency)


cdef void fold(Fold op, float* total, const float* value, int64_t width) noexcept nogil:
    """Combine a value into a total, elementwise."""
    cdef int64_t i
    for i in range(width):
        total[i] = combine(op, total[i], value[i])


cdef void fold_values(ReduceState* s, const float* values, int64_t step, int64_t n,
                      int64_t width) noexcept nogil:
    """Fold n values into the total of a list, one after the other."""
    if s.wide is not NULL:
        fold_wide(s.op, s.wide, values, step, n, width)
    else:
        _fold_run(s.op, s.total, values, step, n, width)


cdef void _fold_run(Fold op, float* total, const float* values, int64_t step, int64_t n,
                    int64_t width) noexcept nogil:
    """Fold n values into a total, one after the other."""
    cdef int64_t i
    cdef float acc = total[0]
    if width > 1:
        for i in range(n):
            fold(op, total, values + i * step, width)
        return
    if op == FOLD_ADD:
        for i in range(n):
            acc = acc + values[i * step]
    elif op == FOLD_MAX:
        for i in range(n):
            acc = larger(acc, values[i * step])
    else:
        for i in range(n):
            acc = combine(op, acc, values[i * step])
    total[0] = acc


cdef bint step_reduce(Unit* u) noexcept nogil:
    """reduce (val, shape? -> val): fold each innermost list into one value."""
    cdef ReduceState* s = <ReduceState*> u.state
    if u.phase == REDUCE_TAKE:
        if not has_room(u):
            return False
        if not has(u.inputs[0]):
            return wait_token(u, 0)
        u.ctl = head_ctl(u.inputs[0])
        if u.ctl <= CTL_MISSING:
            _fold_head(u, s)
            return True
        take(u, 0)
        u.phase = REDUCE_SHAPE if u.n_in > 1 and u.inputs[1] is not NULL else REDUCE_EMIT
    if u.phase < REDUCE_EMIT:
        if not take_shape(u, 1):
            return False
        u.phase = REDUCE_EMIT
    if u.phase == REDUCE_EMIT:
        if not _stage_total(u, s):
            return False
        u.phase = REDUCE_SEND
    if not flush(u):
        return False
    if u.ctl == CTL_DONE:
        return finish(u)
    tick(u, u.ii)
    u.phase = REDUCE_TAKE
    return True


cdef void _fold_head(Unit* u, ReduceState* s) noexcept nogil:
    cdef int64_t width = u.inputs[0].width
    fold_values(s, head_number(u.inputs[0]) if u.ctl == CTL_VALUE else s.fill, width, 1, width)
    s.count += 1
    if u.ctl == CTL_VALUE:
        u.flops += width
    take(u, 0)
    tick(u, u.ii if u.ctl == CTL_VALUE else u.n_cost)


cdef bint take_shape(Unit* u, int32_t port) noexcept nogil:
    """Retire by rule A what `u.ctl` closes on a stream one level out; False to wait for it."""
    cdef Chan* shape = u.inputs[port]
    if u.phase == REDUCE_SHAPE:
        if not has(shape):
            return wait_token(u, port)
        if not rule_a(u.ctl, head_ctl(shape)):
            return misaligned(u, 1 | <int64_t> 1 << port)
        take(u, port)
        u.phase = REDUCE_SHAPE_STOP
    if u.ctl == CTL_DONE or u.ctl >> 3 & 7 or not u.ctl & 7:
        return True
    if not has(shape):
        return wait_token(u, port)
    if head_ctl(shape) != u.ctl - 1:
        return misaligned(u, 1 | <int64_t> 1 << port)
    take(u, port)
    return True


cdef bint _stage_total(Unit* u, ReduceState* s) noexcept nogil:
    """Stage what a stop or the end asks for; False and a fault if the list was too long."""
    cdef int64_t i
    if u.ctl == CTL_DONE:
        stage_ctl(u, 0, CTL_DONE)
        return True
    if u.ctl >> 3 & 7:
        stage_ctl(u, 0, u.ctl - 9)
        return True
    if s.extent >= 0 and s.count > s.extent:
        return fault(u, FAULT_OVERFULL, s.count, s.extent)
    finish_total(s, u.inputs[0].width)
    stage_number(u, 0, s.total, u.latency)
    if u.ctl & 7:
        stage_ctl(u, 0, u.ctl - 1)
    for i in range(u.inputs[0].width):
        s.total[i] = s.init
    s.count = 0
    return True


cdef void finish_total(ReduceState* s, int64_t width) noexcept nogil:
    """Complete a total: the value of an empty list, entries that were not iterated, columns."""
    cdef int64_t i
    if s.wide is not NULL:
        finish_wide(s, width)
        return
    if s.count == 0 and s.extent < 0:
        for i in range(width):
            s.total[i] = s.empty
    if s.extent > s.count:
        fold_missing(s.op, s.total, s.fill, width, s.extent - s.count)
    if s.fold_columns:
        _fold_columns(s)


cdef void fold_missing(Fold op, float* total, const float* fill, int64_t width,
                       int64_t times) noexcept nogil:
    """Fold a fill that takes part `times` times."""
    cdef int64_t i
    cdef float part
    for i in range(width):
        part = fill[i]
        if op == FOLD_ADD:
            part = <float> times * fill[i]
        elif op == FOLD_MUL:
            part = <float> pow(<double> fill[i], <double> times)
        total[i] = combine(op, total[i], part)


cdef void _fold_columns(ReduceState* s) noexcept nogil:
    """Replace each row of a tile by its own reduction, in all columns."""
    cdef int32_t row, col
    cdef float* line
    cdef float total
    for row in range(s.rows):
        line = s.total + row * s.cols
        total = line[0]
        for col in range(1, s.cols):
            total = combine(s.op, total, line[col])
        for col in range(s.cols):
            line[col] = total
