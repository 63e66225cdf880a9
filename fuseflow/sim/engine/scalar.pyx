# SPDX-License-Identifier: MIT
"""Scalar functions on strips of float32 numbers.

Every arithmetic step rounds to float32. Transcendental functions are those of the C library in
double precision, rounded once to float32, so that the twin gets the same bits.
"""

from libc.math cimport INFINITY, cos, erf, exp, fabsf, log, pow, sin, sqrtf, tanh
from libc.stdint cimport int32_t, int64_t

cdef inline float _exp(float x) noexcept nogil:
    return <float> exp(<double> x)


cdef inline float _sigmoid(float x) noexcept nogil:
    return <float> 1 / (<float> 1 + _exp(-x))


cdef inline float _gelu(float x) noexcept nogil:
    cdef float inner = x * <float> 0.7071067811865476
    return <float> 0.5 * x * (<float> 1 + <float> erf(<double> inner))


cdef inline float _gelu_tanh(float x) noexcept nogil:
    cdef float inner = <float> 0.7978845608028654 * (x + <float> 0.044715 * x * x * x)
    return <float> 0.5 * x * (<float> 1 + <float> tanh(<double> inner))


cdef float _rare1(int32_t fn, float x, float c) noexcept nogil:
    """Functions whose own cost exceeds that of a dispatch."""
    if fn == Function.EXP:
        return _exp(x)
    if fn == Function.LOG:
        return <float> log(<double> x)
    if fn == Function.SIGMOID:
        return _sigmoid(x)
    if fn == Function.SILU:
        return x * _sigmoid(x)
    if fn == Function.TANH:
        return <float> tanh(<double> x)
    if fn == Function.ERF:
        return <float> erf(<double> x)
    if fn == Function.GELU:
        return _gelu(x)
    if fn == Function.GELU_TANH:
        return _gelu_tanh(x)
    if fn == Function.SIN:
        return <float> sin(<double> x)
    if fn == Function.COS:
        return <float> cos(<double> x)
    if fn == Function.POW_SCALAR:
        return <float> pow(<double> x, <double> c)
    if fn == Function.LEAKY_RELU:
        return c * x if x < 0 else x
    if fn == Function.SQRT:
        return sqrtf(x)
    if fn == Function.RSQRT:
        return <float> 1 / sqrtf(x)
    if fn == Function.RSUB_SCALAR:
        return c - x
    if fn == Function.RDIV_SCALAR:
        return c / x
    if fn == Function.MIN_SCALAR:
        return smaller(x, c)
    return <float> 1 / x


cdef void apply1(int32_t fn, const float* a, int64_t step_a, float* out, int64_t n,
                 float c) noexcept nogil:
    """Apply a function of one operand; `c` is its parameter."""
    cdef int64_t i
    if fn == Function.COPY:
        for i in range(n):
            out[i] = a[i * step_a]
    elif fn == Function.NEG:
        for i in range(n):
            out[i] = -a[i * step_a]
    elif fn == Function.ABS:
        for i in range(n):
            out[i] = fabsf(a[i * step_a])
    elif fn == Function.RELU:
        for i in range(n):
            out[i] = larger(a[i * step_a], 0)
    elif fn == Function.SQUARE:
        for i in range(n):
            out[i] = a[i * step_a] * a[i * step_a]
    elif fn == Function.ADD_SCALAR:
        for i in range(n):
            out[i] = a[i * step_a] + c
    elif fn == Function.MUL_SCALAR:
        for i in range(n):
            out[i] = a[i * step_a] * c
    elif fn == Function.DIV_SCALAR:
        for i in range(n):
            out[i] = a[i * step_a] / c
    elif fn == Function.MAX_SCALAR:
        for i in range(n):
            out[i] = larger(a[i * step_a], c)
    else:
        for i in range(n):
            out[i] = _rare1(fn, a[i * step_a], c)


cdef float _rare2(int32_t fn, float a, float b, float c) noexcept nogil:
    if fn == Function.SAFE_SUB:
        return -INFINITY if a == -INFINITY and b == -INFINITY else a - b
    if fn == Function.SAFE_DIV:
        return 0 if a == 0 and b == 0 else a / b
    if fn == Function.MIN:
        return smaller(a, b)
    if fn == Function.POW:
        return <float> pow(<double> a, <double> b)
    return b if a != 0 else c


cdef void apply2(int32_t fn, const float* a, int64_t step_a, const float* b, int64_t step_b,
                 float* out, int64_t n, float c) noexcept nogil:
    """Apply a function of two operands; `c` is its parameter."""
    cdef int64_t i
    if fn == Function.MUL:
        if step_a == 1 and step_b == 1:
            for i in range(n):
                out[i] = a[i] * b[i]
        else:
            for i in range(n):
                out[i] = a[i * step_a] * b[i * step_b]
    elif fn == Function.ADD:
        for i in range(n):
            out[i] = a[i * step_a] + b[i * step_b]
    elif fn == Function.SUB:
        for i in range(n):
            out[i] = a[i * step_a] - b[i * step_b]
    elif fn == Function.DIV:
        for i in range(n):
            out[i] = a[i * step_a] / b[i * step_b]
    elif fn == Function.MAX:
        for i in range(n):
            out[i] = larger(a[i * step_a], b[i * step_b])
    else:
        for i in range(n):
            out[i] = _rare2(fn, a[i * step_a], b[i * step_b], c)
