# SPDX-License-Identifier: MIT
"""The barrier (see sync.pxd)."""

cdef enum:
    SPINS = 2000  # looks at a barrier before the thread sleeps: the others are rarely far behind


cdef bint barrier_open(Barrier* b, int32_t threads) noexcept nogil:
    """Prepare a barrier; False if the system has no room for it."""
    b.threads = threads
    b.arrived = 0
    b.generation = 0
    if pthread_mutex_init(&b.mutex, NULL):
        return False
    if pthread_cond_init(&b.opened, NULL):
        pthread_mutex_destroy(&b.mutex)
        return False
    return True


cdef void barrier_close(Barrier* b) noexcept nogil:
    pthread_cond_destroy(&b.opened)
    pthread_mutex_destroy(&b.mutex)


cdef void barrier_wait(Barrier* b) noexcept nogil:
    """Wait until all threads are here; what each wrote before, all see after."""
    cdef int generation = ff_load(&b.generation)
    cdef int spins
    if ff_arrive(&b.arrived) == b.threads:
        ff_store(&b.arrived, 0)
        pthread_mutex_lock(&b.mutex)
        ff_store(&b.generation, generation + 1)
        pthread_cond_broadcast(&b.opened)
        pthread_mutex_unlock(&b.mutex)
        return
    for spins in range(SPINS):
        if ff_load(&b.generation) != generation:
            return
        ff_relax()
    pthread_mutex_lock(&b.mutex)
    while ff_load(&b.generation) == generation:
        pthread_cond_wait(&b.opened, &b.mutex)
    pthread_mutex_unlock(&b.mutex)
