# SPDX-License-Identifier: MIT
"""Functions of tiles: small einsums, strip by strip.

The loops over folded axes are the outermost ones, so every element of the result is folded in
ascending order of these axes while a strip of neighbouring results is computed at once.
"""

from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.scalar cimport apply1, apply2, combine
from fuseflow.sim.engine.states cimport MAX_AXES, AluState, TileLoop


cdef void apply(AluState* s, const float* a, int64_t step_a, const float* b, int64_t step_b,
                float* out, int64_t n, int64_t width) noexcept nogil:
    """Apply the function to n values, `step` floats apart; the results are of `width` floats."""
    cdef int64_t i
    if s.tile is not NULL:
        for i in range(n):
            _apply_tile(s, s.tile, a + i * step_a, b + i * step_b, out + i * width)
    elif width > 1:
        for i in range(n):
            _apply_strip(s, a + i * step_a, 1, b + i * step_b, 1, out + i * width, width)
    else:
        _apply_strip(s, a, step_a, b, step_b, out, n)


cdef inline void _apply_strip(AluState* s, const float* a, int64_t step_a, const float* b,
                              int64_t step_b, float* out, int64_t n) noexcept nogil:
    if s.arity == 1:
        apply1(s.fn, a, step_a, out, n, s.parameter)
    else:
        apply2(s.fn, a, step_a, b, step_b, out, n, s.parameter)


cdef void _apply_tile(AluState* s, TileLoop* t, const float* a, const float* b,
                      float* out) noexcept nogil:
    """Run the loops of a tile operation; the last axis is the strip."""
    cdef int32_t at[MAX_AXES]
    cdef int32_t axis
    for axis in range(t.axes):
        at[axis] = 0
    while True:
        _apply_point(s, t, at, a, b, out)
        axis = t.axes - 2
        while axis >= 0:
            at[axis] += 1
            if at[axis] < t.size[axis]:
                break
            at[axis] = 0
            axis -= 1
        if axis < 0:
            return


cdef void _apply_point(AluState* s, TileLoop* t, const int32_t* at, const float* a,
                       const float* b, float* out) noexcept nogil:
    """Compute the strip at one point of the outer loops, and fold it into the result."""
    cdef int32_t axis, strip = t.axes - 1
    cdef int64_t i, from_a = 0, from_b = 0, to = 0
    cdef bint first = True
    for axis in range(strip):
        from_a += at[axis] * t.step[0][axis]
        from_b += at[axis] * t.step[1][axis]
        to += at[axis] * t.out_step[axis]
        if axis < t.folded and at[axis]:
            first = False
    _apply_strip(s, a + from_a, t.step[0][strip], b + from_b, t.step[1][strip],
                 out + to if first else t.line, t.size[strip])
    if not first:
        for i in range(t.size[strip]):
            out[to + i] = combine(t.fold, out[to + i], t.line[i])
