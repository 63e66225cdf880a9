# SPDX-License-Identifier: MIT
"""What threads of one run share: a lock for rare events, a barrier, and threads themselves.

Nothing here is in the way of a token: units of one part are run by one thread, and parts exchange
tokens between barriers (see parts.pxd).
"""

from libc.stdint cimport int32_t, int64_t
from posix.time cimport (
    CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, clock_gettime, clockid_t, timespec,
)


cdef extern from * nogil:
    """
    static inline void ff_relax(void) {
    #if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
    #endif
    }
    static inline void ff_lock(int *lock) {
        while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE)) ff_relax();
    }
    static inline void ff_unlock(int *lock) {
        __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
    }
    static inline int ff_arrive(int *count) {
        return __atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL);
    }
    static inline int ff_load(int *value) {
        return __atomic_load_n(value, __ATOMIC_ACQUIRE);
    }
    static inline void ff_store(int *value, int to) {
        __atomic_store_n(value, to, __ATOMIC_RELEASE);
    }
    """
    void ff_relax()
    void ff_lock(int* lock)
    void ff_unlock(int* lock)
    int ff_arrive(int* count)
    int ff_load(int* value)
    void ff_store(int* value, int to)


cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_attr_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                       void* (*start)(void*) noexcept nogil, void* argument)
    int pthread_join(pthread_t thread, void** result)
    int pthread_mutex_init(pthread_mutex_t* mutex, const void* attributes)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)
    int pthread_cond_init(pthread_cond_t* condition, const void* attributes)
    int pthread_cond_destroy(pthread_cond_t* condition)
    int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex)
    int pthread_cond_broadcast(pthread_cond_t* condition)


cdef struct Barrier:
    int threads
    int arrived
    int generation
    pthread_mutex_t mutex
    pthread_cond_t opened


cdef bint barrier_open(Barrier* b, int32_t threads) noexcept nogil
cdef void barrier_close(Barrier* b) noexcept nogil
cdef void barrier_wait(Barrier* b) noexcept nogil


cdef inline int64_t read_clock(clockid_t clock) noexcept nogil:
    cdef timespec t
    clock_gettime(clock, &t)
    return <int64_t> t.tv_sec * 1000000000 + t.tv_nsec


cdef inline int64_t now() noexcept nogil:
    """Return nanoseconds of a clock that only goes forward."""
    return read_clock(CLOCK_MONOTONIC)


cdef inline int64_t worked() noexcept nogil:
    """Return the nanoseconds that this thread had a processor."""
    return read_clock(CLOCK_THREAD_CPUTIME_ID)
