# SPDX-License-Identifier: MIT
"""Puts memory behind the units of a machine (see attach.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from fuseflow.sim.machine import UnitKind
from fuseflow.sim.memory import arrays_of

from fuseflow.sim.engine.fetch cimport run_fetch
from fuseflow.sim.engine.lines cimport (
    BY_RUNS, BY_STORES, BY_TOKENS, BY_VECTORS, WORD, Access, Ahead, Client, Fetch, Line, Piece,
    Reader, Stores, Stretch, Taken, Vectors, Writer,
)
from fuseflow.sim.engine.memory cimport (
    BANK, CHANNEL, COLUMN, DRAM, IDEAL, QUEUE, Bank, ChannelFigures, DramChannel, Field, FieldKind,
    Memory, log2_of,
)
from fuseflow.sim.engine.outlook cimport CLASSES
from fuseflow.sim.engine.pool cimport Pool, pool_take
from fuseflow.sim.engine.reads cimport run_array_ahead, run_scan_ahead
from fuseflow.sim.engine.states cimport ArrayState, ScanState
from fuseflow.sim.engine.stores cimport (
    run_level_store, run_val_store, step_level_store, step_val_store,
)
from fuseflow.sim.engine.unit cimport (
    PASS_ANY, PASS_BELOW, PASS_FLUSHED, PASS_OUTER, PASS_PARENT, PASS_REDUCED, PASS_SAME, Unit,
)
from fuseflow.sim.engine.vectors cimport (
    run_array_vectors, run_scan_vectors, step_array_vectors, step_scan_vectors,
)

KINDS = {"ideal": IDEAL, "comal-hbm": QUEUE, "hbm2": DRAM}
PASSING = {
    UnitKind.REPSIG: PASS_SAME,
    UnitKind.BROADCAST: PASS_SAME,
    UnitKind.JOIN: PASS_SAME,
    UnitKind.ALU: PASS_SAME,
    UnitKind.ARRAY: PASS_SAME,
    UnitKind.VALDROP: PASS_SAME,
    UnitKind.SCAN: PASS_BELOW,
    UnitKind.FULL: PASS_BELOW,
    UnitKind.LOCATE: PASS_PARENT,
    UnitKind.REPEAT: PASS_OUTER,
    UnitKind.REDUCE: PASS_REDUCED,
    UnitKind.SPACC: PASS_FLUSHED,
}
FIELDS = {"chan": CHANNEL, "col": COLUMN, "bank": BANK}


cdef void* _take(Pool* pool, int64_t size) except NULL:
    cdef void* data = pool_take(pool, size)
    if data is NULL:
        raise MemoryError
    return data


cdef int64_t _ring(int64_t least) except -1:
    """Return the least power of two that holds so many."""
    cdef int64_t room = 1
    while room < least:
        room *= 2
    return room


cdef int open_memory(Memory* m, Pool* pool, object config, int32_t n_units,
                     int32_t n_chans) except -1:
    """Prepare the memory that a MemoryConfig describes."""
    m.kind = KINDS[config.model]
    m.pool = pool
    m.woken = <uint8_t*> _take(pool, n_units)
    m.earliest = <int64_t*> _take(pool, n_units * sizeof(int64_t))
    m.tokens = <int64_t*> _take(pool, n_chans * CLASSES * sizeof(int64_t))
    m.clients = <int32_t*> _take(pool, n_units * sizeof(int32_t))
    if m.kind == QUEUE:
        _open_queue(m, config.comal_hbm)
    elif m.kind == DRAM:
        _open_dram(m, config.hbm2)
    return 0


cdef int _open_queue(Memory* m, object config) except -1:
    cdef int64_t k
    m.queue.channels = config.channels
    m.queue.latency = config.latency
    m.queue.ii = config.ii
    m.queue.startup = config.startup
    m.queue.startup_every_request = config.startup_every_request
    m.cycle = -1
    m.figures = <ChannelFigures*> _take(m.pool, config.channels * sizeof(ChannelFigures))
    m.free = <int64_t*> _take(m.pool, config.channels * sizeof(int64_t))
    m.forwarded = <int64_t*> _take(m.pool, config.channels * sizeof(int64_t))
    m.used = <uint8_t*> _take(m.pool, config.channels)
    for k in range(m.queue.channels):
        m.forwarded[k] = -1
    return 0


cdef int _open_dram(Memory* m, object config) except -1:
    cdef int64_t k, b
    cdef DramChannel* c
    m.dram.channels = config.channels
    m.dram.banks = config.banks
    m.dram.line = _field(config.line_bytes)
    sizes = {"chan": config.channels, "col": config.row_bytes // config.line_bytes,
             "bank": config.banks}
    for k, name in enumerate(reversed(config.map.split(":")[1:])):
        m.dram.kinds[k] = <FieldKind> FIELDS[name]
        m.dram.fields[k] = _field(sizes[name])
    m.dram.t_rcd = config.t_rcd
    m.dram.t_rp = config.t_rp
    m.dram.t_cl = config.t_cl
    m.dram.t_ras = config.t_ras
    m.dram.t_burst = config.t_burst
    m.dram.t_rrd = config.t_rrd
    m.dram.t_rtp = config.t_rtp
    m.dram.t_wr = config.t_wr
    m.dram.t_turn = config.t_turn
    m.dram.t_req = config.t_req
    m.dram.t_rsp = config.t_rsp
    m.dram.t_refi = config.t_refi if config.refresh else 0
    m.dram.t_rfc = config.t_rfc
    m.dram.window = config.window if config.policy == "frfcfs" else 1
    m.dram.bypass = config.bypass
    m.dram.bank_xor = config.bank_xor
    m.figures = <ChannelFigures*> _take(m.pool, config.channels * sizeof(ChannelFigures))
    m.channels = <DramChannel*> _take(m.pool, config.channels * sizeof(DramChannel))
    for k in range(m.dram.channels):
        c = &m.channels[k]
        c.figures = &m.figures[k]
        c.refresh = config.t_refi
        c.banks = <Bank*> _take(m.pool, config.banks * sizeof(Bank))
        c.activated = -m.dram.t_rrd
        c.writing = -1
        for b in range(m.dram.banks):
            c.banks[b].row = -1
    return 0


cdef Field _field(int64_t size) except *:
    """Return a field of an address that has so many values."""
    cdef Field f
    f.size = size
    f.shift = log2_of(size) if size & (size - 1) == 0 else -1
    return f


cdef int attach_unit(Unit* u, Memory* m, object unit, object config, int32_t client,
                     int32_t owner) except -1:
    """Give a unit that touches arrays its clients, numbered from `client`, and its rule."""
    count = len(arrays_of(unit))
    bases = unit.bases or (0,) * count
    u.passing = PASSING.get(unit.kind, PASS_ANY)
    if m.kind == IDEAL or not count:
        return 0
    m.clients[m.n_clients] = owner
    m.n_clients += 1
    direct = u.run is not NULL
    u.run = NULL
    if unit.kind in (UnitKind.LEVEL_WRITE, UnitKind.VAL_WRITE):
        u.step = step_level_store if unit.kind == UnitKind.LEVEL_WRITE else step_val_store
        if direct and m.kind == DRAM:
            u.run = run_level_store if unit.kind == UnitKind.LEVEL_WRITE else run_val_store
        u.access = _stores(u, m, unit, config, client, owner, bases)
    elif m.kind == QUEUE:
        scans = unit.kind == UnitKind.SCAN
        u.step = step_scan_vectors if scans else step_array_vectors
        if direct and (scans or u.outputs[0].width == 1):
            u.run = run_scan_vectors if scans else run_array_vectors
        u.access = _vectors(m, config.comal_hbm, client, owner, count)
    elif unit.kind == UnitKind.ARRAY and direct and (<ArrayState*> u.state).bytes == WORD:
        u.run = run_fetch
        u.access = _fetch(u, m, unit, config.hbm2, client, owner, bases[0])
    else:
        u.run = run_scan_ahead if unit.kind == UnitKind.SCAN else run_array_ahead
        u.access = _ahead(u, m, unit, config.hbm2, client, owner, bases)
        (<Ahead*> u.access).direct = direct and (u.outputs[0] is not NULL)
    (<Access*> u.access).packs = direct
    return 0


cdef int _open_client(Client* c, Memory* m, int64_t base, int64_t window, int32_t number,
                      int32_t owner) except -1:
    c.memory = m
    c.base = base
    c.window = window
    c.last_time = -1
    c.number = number
    c.owner = owner
    return 0


cdef void* _stores(Unit* u, Memory* m, object unit, object config, int32_t client,
                   int32_t owner, tuple bases) except NULL:
    cdef Stores* s = <Stores*> _take(m.pool, sizeof(Stores))
    cdef Writer* w
    cdef int64_t window = (unit.window or config.hbm2.client_window) if m.kind == DRAM else 1
    cdef int64_t room = _ring(window)
    cdef int32_t k
    s.access.kind = BY_STORES
    s.n_writers = len(bases)
    for k in range(s.n_writers):
        w = &s.writers[k]
        _open_client(&w.client, m, bases[k], window, client + k, owner)
        w.line = -1
        w.responses = <int64_t*> _take(m.pool, room * sizeof(int64_t))
        w.mask = room - 1
        w.limit = 1 if unit.kind == UnitKind.VAL_WRITE else config.comal_hbm.batch
    return s


cdef void* _vectors(Memory* m, object config, int32_t client, int32_t owner,
                    int32_t count) except NULL:
    cdef Vectors* v = <Vectors*> _take(m.pool, sizeof(Vectors))
    cdef int32_t k
    v.access.kind = BY_VECTORS
    v.n_clients = count
    for k in range(count):
        _open_client(&v.clients[k], m, 0, 1, client + k, owner)
    v.batch = config.batch
    v.held = <int64_t*> _take(m.pool, config.batch * sizeof(int64_t))
    return v


cdef int _open_reader(Reader* r, Memory* m, int64_t window, int64_t base, int32_t number,
                      int32_t owner) except -1:
    cdef int64_t room = _ring(window + 2)
    _open_client(&r.client, m, base, window, number, owner)
    r.lines = <Line*> _take(m.pool, room * sizeof(Line))
    r.mask = room - 1
    return 0


cdef void* _fetch(Unit* u, Memory* m, object unit, object config, int32_t client,
                  int32_t owner, int64_t base) except NULL:
    cdef Fetch* f = <Fetch*> _take(m.pool, sizeof(Fetch))
    cdef int64_t room = _ring(config.prefetch_tokens + 2)
    f.access.kind = BY_RUNS
    _open_reader(&f.reader, m, unit.window or config.client_window, base, client, owner)
    f.values = <int64_t*> _take(m.pool, room * sizeof(int64_t))
    f.pieces = <Piece*> _take(m.pool, room * sizeof(Piece))
    f.stretches = <Stretch*> _take(m.pool, room * sizeof(Stretch))
    # Before the first token there is room for as many as there may be.
    f.stretches[0].index = -config.prefetch_tokens
    f.stretches[0].n = config.prefetch_tokens
    f.mask = room - 1
    f.depth = config.prefetch_tokens
    f.last_front = -1
    f.bound = (<ArrayState*> u.state).positions
    return f


cdef void* _ahead(Unit* u, Memory* m, object unit, object config, int32_t client,
                  int32_t owner, tuple bases) except NULL:
    cdef Ahead* a = <Ahead*> _take(m.pool, sizeof(Ahead))
    cdef int64_t room = _ring(config.prefetch_tokens)
    cdef Reader* r
    cdef int32_t k
    a.access.kind = BY_TOKENS
    a.tokens = <Taken*> _take(m.pool, room * sizeof(Taken))
    a.mask = room - 1
    a.depth = config.prefetch_tokens
    a.front = -1
    a.n_readers = len(bases)
    for k in range(a.n_readers):
        r = &a.readers[k]
        _open_reader(r, m, unit.window or config.client_window, bases[k], client + k, owner)
        r.is_metadata = k == 0 and a.n_readers == 2
        a.stages[k].next = -1
    if unit.kind == UnitKind.SCAN:
        a.segments = (<ScanState*> u.state).segments if a.n_readers == 2 else NULL
        a.bound = (<ScanState*> u.state).parents
        a.stride = 4
    else:
        a.bound = (<ArrayState*> u.state).positions
        a.stride = (<ArrayState*> u.state).bytes
    return a
