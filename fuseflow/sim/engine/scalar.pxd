# SPDX-License-Identifier: MIT
"""Scalar functions on strips of numbers: out[i] = fn(a[i * step_a], b[i * step_b])."""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t

from fuseflow.sim.engine.states cimport Fold


cdef enum Function:
    COPY
    NEG
    ABS
    RELU
    LEAKY_RELU
    EXP
    LOG
    SQRT
    RSQRT
    RECIPROCAL
    SQUARE
    SIGMOID
    SILU
    TANH
    ERF
    GELU
    GELU_TANH
    SIN
    COS
    ADD_SCALAR
    MUL_SCALAR
    RSUB_SCALAR
    RDIV_SCALAR
    DIV_SCALAR
    POW_SCALAR
    MAX_SCALAR
    MIN_SCALAR
    MUL
    ADD
    SUB
    DIV
    MAX
    MIN
    POW
    SAFE_SUB
    SAFE_DIV
    MASKED


cdef void apply1(int32_t fn, const float* a, int64_t step_a, float* out, int64_t n,
                 float c) noexcept nogil
cdef void apply2(int32_t fn, const float* a, int64_t step_a, const float* b, int64_t step_b,
                 float* out, int64_t n, float c) noexcept nogil


cdef inline float larger(float a, float b) noexcept nogil:
    """Return the maximum; NaN stays, and the first of two equal operands."""
    return a if a >= b or a != a else b


cdef inline float smaller(float a, float b) noexcept nogil:
    return a if a <= b or a != a else b


cdef inline float combine(Fold op, float a, float b) noexcept nogil:
    if op == Fold.FOLD_ADD:
        return a + b
    if op == Fold.FOLD_MUL:
        return a * b
    return larger(a, b) if op == Fold.FOLD_MAX else smaller(a, b)


cdef inline float neutral(Fold op) noexcept nogil:
    """Return what changes no operand of a fold: the sum of -0.0 and x is x, even for x = -0.0."""
    if op == Fold.FOLD_ADD:
        return -0.0
    if op == Fold.FOLD_MUL:
        return 1
    return -INFINITY if op == Fold.FOLD_MAX else INFINITY
