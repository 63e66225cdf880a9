# SPDX-License-Identifier: MIT
"""Folds in double precision (see wide.pxd): what is added up is wide, what is sent is not."""

from libc.math cimport pow
from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.states cimport FOLD_ADD, FOLD_MAX, FOLD_MUL


cdef inline double _combine(Fold op, double a, double b) noexcept nogil:
    """Combine two numbers; as in a fold of floats, NaN stays, and the first of two equal ones."""
    if op == FOLD_ADD:
        return a + b
    if op == FOLD_MUL:
        return a * b
    if op == FOLD_MAX:
        return a if a >= b or a != a else b
    return a if a <= b or a != a else b


cdef void fold_wide(Fold op, double* total, const float* values, int64_t step, int64_t n,
                    int64_t width) noexcept nogil:
    """Fold n values into a total, one after the other, elementwise."""
    cdef int64_t i, j
    for i in range(n):
        for j in range(width):
            total[j] = _combine(op, total[j], values[i * step + j])


cdef void fold_missing_wide(Fold op, double* total, const float* fill, int64_t width,
                            int64_t times) noexcept nogil:
    """Fold a fill that takes part `times` times."""
    cdef int64_t j
    cdef double part
    for j in range(width):
        part = fill[j]
        if op == FOLD_ADD:
            part = <double> times * part
        elif op == FOLD_MUL:
            part = pow(part, <double> times)
        total[j] = _combine(op, total[j], part)


cdef void finish_wide(ReduceState* s, int64_t width) noexcept nogil:
    """Complete the wide total of a list, put it where floats are sent from, and begin anew."""
    cdef int64_t j
    if s.count == 0 and s.extent < 0:
        for j in range(width):
            s.wide[j] = s.empty
    if s.extent > s.count:
        fold_missing_wide(s.op, s.wide, s.fill, width, s.extent - s.count)
    if s.fold_columns:
        _fold_columns(s)
    narrow(s.wide, s.total, width)
    for j in range(width):
        s.wide[j] = s.init


cdef void _fold_columns(ReduceState* s) noexcept nogil:
    """Replace each row of a tile by its own reduction, in all columns."""
    cdef int32_t row, col
    cdef double* line
    cdef double total
    for row in range(s.rows):
        line = s.wide + row * s.cols
        total = line[0]
        for col in range(1, s.cols):
            total = _combine(s.op, total, line[col])
        for col in range(s.cols):
            line[col] = total


cdef void widen(const float* number, double* total, int64_t width) noexcept nogil:
    """Start a total with a number."""
    cdef int64_t j
    for j in range(width):
        total[j] = number[j]


cdef void narrow(const double* total, float* number, int64_t width) noexcept nogil:
    """Round a total to a number."""
    cdef int64_t j
    for j in range(width):
        number[j] = <float> total[j]
