# SPDX-License-Identifier: MIT
"""The engine's loop: runs the units of a Machine until all have finished or none can go on.

Units run in topological order, each for as long as it has tokens and its outputs are not fuller
than the engine likes. That liking is no part of the simulated machine: it keeps memory small, and
gives way when nothing else can go on.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

import numpy as np

from fuseflow.sim.machine import ChannelKind, UnitKind
from fuseflow.sim.memory import first_clients
from fuseflow.sim.result import ChannelResult, UnitResult, WrittenLevel
from fuseflow.sim.tokens import TokenStream

from fuseflow.sim.engine.answers cimport answer_clients
from fuseflow.sim.engine.attach cimport attach_unit, open_memory
from fuseflow.sim.engine.bind cimport bind_unit
from fuseflow.sim.engine.crew cimport run_parts
from fuseflow.sim.engine.cut cimport begin_timing
from fuseflow.sim.engine.memory cimport IDEAL, Memory, memory_start
from fuseflow.sim.engine.memory_figures cimport clients_of, figures_of
from fuseflow.sim.engine.net cimport Net, is_over, visit
from fuseflow.sim.engine.pack cimport pack_outputs
from fuseflow.sim.engine.parts cimport MAX_PARTS, Crew, crew_open, merge, split
from fuseflow.sim.engine.pool cimport (
    NO_FAULT, Arena, Fault, Pool, arena_close, arena_open, pool_open, pool_take,
)
from fuseflow.sim.engine.ring cimport (
    CTL_MISSING, CTL_VALUE, Chan, Entry, Record, entry_int, is_missing,
)
from fuseflow.sim.engine.states cimport LevelWriteState, ValWriteState
from fuseflow.sim.engine.sync cimport now, worked
from fuseflow.sim.engine.unit cimport WAIT_ROOM, WAIT_SLOT, WAIT_TOKEN, Emission, Unit

cdef enum:
    FIRST_RING = 64  # entries of a new ring
    SOFT_ENTRIES = 128  # a producer pauses at so many entries,
    SOFT_HELD = 4096  # or at so many computed values
    BLOCK_BYTES = 16384  # holds RUN_LIMIT integers and as many stamps
    PATIENCE = 2000  # visits of units between two looks at signals
    PERIOD = 50000000  # nanoseconds between two looks at signals where threads run
    PERIODS = 16  # then the machine is cut anew
    SHORT = 20000000  # nanoseconds: parts that ran no longer were not worth their threads
    FAIR = 125  # percent: less balance was not worth the threads either
    LONGEST_PAUSE = 256  # rounds of the loop between two attempts to use threads

cdef int64_t NEVER = (<int64_t> 1) << 62
cdef dict WAITS = {WAIT_TOKEN: "token", WAIT_SLOT: "slot"}


cdef class Core:
    """One run of one Machine. All C memory belongs to `arena` and goes with this object."""

    cdef Arena arena
    cdef Pool pool
    cdef Memory memory
    cdef Net net
    cdef Unit* units
    cdef Chan* chans
    cdef int32_t n_units
    cdef int32_t n_chans
    cdef list keep
    cdef object machine
    cdef bint watch  # units go token by token, and removals are kept
    # Threads.
    cdef public int32_t threads  # that may be used by now
    cdef bint whole  # the machine must not be cut
    cdef Crew* crew  # NULL until threads are wanted
    cdef bint eager  # use threads as soon and as often as can be: for tests
    cdef bint started
    cdef bint timed  # visits are timed
    cdef int32_t pause  # rounds of the loop before the next attempt to use threads
    cdef int32_t last_pause
    cdef int32_t periods  # that parts have run since the machine was cut
    cdef int64_t cut_at  # nanoseconds
    cdef int64_t worked  # nanoseconds of all threads in parts,
    cdef int64_t longest  # and of the one that worked longest in each round
    cdef readonly bint was_cut  # threads have run parts of the machine

    def __cinit__(self, machine, record, max_cycles, watch=False, eager=False):
        tiles = [channel.tile for channel in machine.channels]
        widest = max((int(np.prod(tile)) for tile in tiles), default=1)
        arena_open(&self.arena)
        if not pool_open(&self.pool, &self.arena, max(<int64_t> BLOCK_BYTES, 16 * widest)):
            raise MemoryError
        self.machine = machine
        self.watch = watch
        self.keep = []
        self.n_units = len(machine.units)
        self.n_chans = len(machine.channels)
        self.units = <Unit*> self._take(self.n_units * sizeof(Unit))
        self.chans = <Chan*> self._take(self.n_chans * sizeof(Chan))
        self.net.units = self.units
        self.net.chans = self.chans
        self.net.n_units = self.n_units
        self.net.n_chans = self.n_chans
        self.net.producers = <int32_t*> self._take(self.n_chans * sizeof(int32_t))
        self.net.consumers = <int32_t*> self._take(self.n_chans * sizeof(int32_t))
        self.net.limit = -1 if max_cycles is None else max_cycles
        open_memory(&self.memory, &self.pool, machine.memory, self.n_units, self.n_chans)
        for index, channel in enumerate(machine.channels):
            self._make_channel(index, channel, record or watch)
        clients = first_clients(machine)
        for index, unit in enumerate(machine.units):
            self._make_unit(index, unit, tiles)
            if watch:
                self.units[index].run = NULL
            attach_unit(&self.units[index], &self.memory, unit, machine.memory, clients[index],
                        index)

        # What memory answers, and what is recorded, goes by the order of the whole machine.
        self.eager = eager
        self.whole = self.memory.kind != IDEAL or record or watch
        self.threads = 1

    def __dealloc__(self):
        arena_close(&self.arena)

    cdef void* _take(self, int64_t size) except NULL:
        cdef void* data = pool_take(&self.pool, size)
        if data is NULL:
            raise MemoryError
        return data

    cdef int _make_channel(self, int32_t index, object channel, bint record) except -1:
        cdef Chan* c = &self.chans[index]
        if channel.depth > 8:
            raise ValueError(f"channel {channel.name}: a nested list of depth {channel.depth}")
        c.pool = &self.pool
        c.index = index
        c.ring = <Entry*> self._take(FIRST_RING * sizeof(Entry))
        c.mask = FIRST_RING - 1
        c.width = int(np.prod(channel.tile)) if channel.kind == ChannelKind.VAL else 0
        c.soft_entries = SOFT_ENTRIES
        c.soft_held = SOFT_HELD
        c.capacity = -1 if channel.capacity is None else channel.capacity
        c.interval = channel.interval
        c.last_stamp = -channel.interval
        c.depth = channel.depth
        c.state = channel.depth - 1
        if record:
            c.record = <Record*> self._take(sizeof(Record))
        return 0

    cdef int _make_unit(self, int32_t index, object unit, list tiles) except -1:
        cdef Unit* u = &self.units[index]
        cdef int32_t j
        cdef int64_t widest = max((self.chans[c].width for c in unit.outputs if c >= 0), default=0)
        u.pool = &self.pool
        u.n_in = len(unit.inputs)
        u.n_out = len(unit.outputs)
        u.inputs = <Chan**> self._take(u.n_in * sizeof(Chan*) + 1)
        u.outputs = <Chan**> self._take(u.n_out * sizeof(Chan*) + 1)
        for j in range(u.n_in):
            if unit.inputs[j] >= 0:
                u.inputs[j] = &self.chans[<int> unit.inputs[j]]
                self.net.consumers[<int> unit.inputs[j]] = index
        for j in range(u.n_out):
            if unit.outputs[j] >= 0:
                u.outputs[j] = &self.chans[<int> unit.outputs[j]]
                self.net.producers[<int> unit.outputs[j]] = index
        u.waited_token = <int64_t*> self._take(u.n_in * sizeof(int64_t) + 1)
        u.staged_room = 2 * u.n_out + 2
        u.staged = <Emission*> self._take(u.staged_room * sizeof(Emission))
        for j in range(u.staged_room if widest else 0):
            u.staged[j].number = <float*> self._take(widest * sizeof(float))
        u.ready = True
        self._set_costs(u, unit.cost)
        bind_unit(u, unit, tiles, self.keep)
        return 0

    cdef int _set_costs(self, Unit* u, object cost) except -1:
        u.ii = cost.ii
        u.latency = cost.latency
        u.n_cost = cost.n_cost
        u.flush_ii = cost.flush_ii
        u.done_cost = cost.done
        u.inner_cost = cost.inner
        u.clock = cost.startup
        u.busy = cost.startup
        return 0

    # The loop.

    def run(self, progress=None):
        """Run to the end, or until `progress(latest clock)`, called now and then, is true.

        Returns the number of the unit that broke a rule, or -1. Signals are handled on the way.
        """
        cdef bint more = True
        try:
            while more:
                if progress is not None and progress(self.elapsed()):
                    break
                with nogil:
                    more = self._go_on()
                PyErr_CheckSignals()
        finally:
            self._put_together()
        return self.net.faulty if self.pool.fault.code != NO_FAULT else -1

    cdef bint _go_on(self) noexcept nogil:
        """Run for a while; False when there is nothing left to do."""
        if self.crew is not NULL and self.crew.count:
            self.periods += 1
            if (not run_parts(self.crew, 0 if self.eager else PERIOD)
                    or self.periods == PERIODS or self.threads < self.crew.count):
                self._put_together()
            return self.pool.fault.code == NO_FAULT
        if self.threads > 1 and not self.whole:
            self._prepare_cut()
        if not self._run_some():
            return False
        if self.timed:
            self.periods = 0
            self.cut_at = now()
            if split(self.crew):
                self.was_cut = True
            else:
                self._wait_longer()
            self.timed = False
        elif self.pause:
            self.pause -= 1
        return True

    cdef void _prepare_cut(self) noexcept nogil:
        """Time the next visits, if the machine may be cut after them."""
        if self.pause:
            return
        if self.crew is NULL:
            self.crew = <Crew*> pool_take(&self.pool, sizeof(Crew))
            if self.crew is NULL or not crew_open(self.crew, &self.net, &self.pool):
                return
            self.crew.eager = self.eager
        self.crew.threads = min(self.threads, <int32_t> MAX_PARTS)
        begin_timing(self.crew)
        self.timed = True

    cdef void _put_together(self) noexcept nogil:
        """Make one machine of the parts, if there are any."""
        if self.crew is NULL or not self.crew.count:
            return
        merge(self.crew)
        self.worked += self.crew.worked
        self.longest += self.crew.longest
        if now() - self.cut_at < SHORT or 100 * self.crew.worked < FAIR * self.crew.longest:
            self._wait_longer()
        else:
            self.last_pause = 0

    cdef void _wait_longer(self) noexcept nogil:
        """Let the next attempt to use threads come later than the last one."""
        if self.eager:
            return
        self.last_pause = min(2 * self.last_pause + 1, <int32_t> LONGEST_PAUSE)
        self.pause = self.last_pause

    cdef bint _run_some(self) noexcept nogil:
        """Visit units for a while; False when there is nothing left to do."""
        cdef int32_t index
        cdef int64_t visits = 0
        cdef int64_t before
        cdef int64_t patience = PATIENCE
        if self.eager:
            patience = self.started  # parts are to start the run
            self.started = True
        while visits < patience:
            before = visits
            for index in range(self.n_units):
                if self.units[index].ready:
                    visits += 1
                    if not (self._visit_timed(index) if self.timed else visit(&self.net, index)):
                        self.net.faulty = index
                        return False
                    if self.units[index].access is not NULL:
                        pack_outputs(&self.units[index])
            if visits == before and not self._let_memory_answer() and not self._widen():
                return False
            if self.pool.fault.code != NO_FAULT:
                return False
        return True

    cdef bint _visit_timed(self, int32_t index) noexcept nogil:
        cdef int64_t start = worked()
        cdef bint good = visit(&self.net, index)
        self.crew.spent[index] += max(0, worked() - start - self.crew.clock_cost)
        return good

    cdef bint _let_memory_answer(self) noexcept nogil:
        """Nothing can go on: answer what no request to come can affect; False if that is nothing.

        A unit that pauses because its output is full enough may still cause requests, but none
        before its clock. If all answers have to wait for such a unit, it goes on.
        """
        cdef int32_t index
        cdef Unit* u
        cdef Unit* slowest = NULL
        cdef int64_t start = NEVER if self.memory.kind == IDEAL else memory_start(&self.memory)
        if start == NEVER:
            return False
        if answer_clients(&self.memory, &self.net, start):
            return True
        for index in range(self.n_units):
            u = &self.units[index]
            if u.wait != WAIT_ROOM or is_over(&self.net, u):
                continue
            if slowest is NULL or u.clock < slowest.clock:
                slowest = u
        if slowest is NULL:
            return False
        self._grow(slowest)
        return True

    cdef void _grow(self, Unit* held) noexcept nogil:
        """Let the ring grow that holds up a unit."""
        cdef Chan* c = held.outputs[held.wait_port]
        c.soft_entries *= 2
        c.soft_held *= 2
        held.ready = True

    cdef bint _widen(self) noexcept nogil:
        """Nothing can go on: let the smallest ring that holds up its producer grow."""
        cdef int32_t index
        cdef Unit* u
        cdef Chan* least = NULL
        cdef Chan* c
        cdef Unit* held = NULL
        for index in range(self.n_units):
            u = &self.units[index]
            if u.wait != WAIT_ROOM or is_over(&self.net, u):
                continue
            c = u.outputs[u.wait_port]
            if least is NULL or c.soft_entries < least.soft_entries:
                least = c
                held = u
        if least is NULL:
            return False
        self._grow(held)
        return True

    # What came out.

    def elapsed(self):
        """Return the latest clock of all units."""
        cdef int32_t index
        cdef int64_t latest = 0
        for index in range(self.n_units):
            latest = max(latest, self.units[index].clock)
        return max(latest, self.memory.last_response)

    def memory_figures(self):
        """Return the figures of memory; None if it is ideal."""
        return None if self.memory.kind == IDEAL else figures_of(&self.memory)

    def peak_bytes(self):
        """Return how much memory the run has taken."""
        return self.arena.bytes

    def threads_worked(self):
        """Return the seconds that threads ran parts, and those of the longest of each round."""
        return self.worked / 1e9, self.longest / 1e9

    def fault(self):
        """Return (code, a, b, c) of the first broken rule."""
        cdef Fault* f = &self.pool.fault
        return f.code, f.a, f.b, f.c

    def head(self, int channel):
        """Return (position, control byte, value) of the next token of a channel; None if none."""
        cdef Chan* c = &self.chans[channel]
        cdef Entry* e
        cdef int64_t position, i
        if c.head == c.tail:
            return None
        position = self.sent(channel)
        for i in range(c.head, c.tail):
            e = &c.ring[i & c.mask]
            position -= e.n + (e.ctl != CTL_VALUE)
        position += c.pos
        e = &c.ring[c.head & c.mask]
        if c.pos >= e.n:
            return position, e.ctl, None
        if is_missing(e, c.pos):
            return position, CTL_MISSING, None
        if c.width == 0:
            return position, CTL_VALUE, entry_int(e, c.pos)
        return position, CTL_VALUE, self._array(e.data.numbers + c.pos * e.step, c.width)

    def held(self, int channel):
        """Return how many tokens a channel holds."""
        head = self.head(channel)
        return 0 if head is None else self.sent(channel) - head[0]

    def sent(self, int channel):
        """Return how many tokens a channel has carried, the done token included."""
        cdef Chan* c = &self.chans[channel]
        return c.values + c.missing + c.stops + c.done

    def waiting(self, int index):
        """Return (what a unit waits for, port, clock); None if it has finished."""
        cdef Unit* u = &self.units[index]
        if u.finished:
            return None
        return WAITS.get(u.wait), u.wait_port, u.clock

    def unit_results(self):
        """Return the figures of every unit."""
        return tuple(self._unit_result(index) for index in range(self.n_units))

    cdef object _unit_result(self, int32_t index):
        cdef Unit* u = &self.units[index]
        cdef LevelWriteState* level
        cdef ValWriteState* val
        written = values = None
        unit = self.machine.units[index]
        if unit.kind == UnitKind.LEVEL_WRITE and u.finished:
            level = <LevelWriteState*> u.state
            written = WrittenLevel(self._integers(level.segments, level.n_segments),
                                   self._integers(level.coordinates, level.n_coordinates))
        elif unit.kind == UnitKind.VAL_WRITE and u.finished:
            val = <ValWriteState*> u.state
            values = self._array(val.values, val.count * u.inputs[0].width)
            values = values.reshape(val.count, *self.machine.channels[unit.inputs[0]].tile)
        return UnitResult(
            clock=u.clock,
            busy=u.busy,
            flops=u.flops,
            read_bytes=u.read_bytes,
            write_bytes=u.write_bytes,
            # Waits for room and memory are counted where they happen; all other is for input.
            waited_for_input=u.clock - u.busy - u.waited_room - u.waited_memory if u.n_in else 0,
            waited_for_room=u.waited_room,
            waited_for_memory=u.waited_memory,
            waited_by_input=self._waits(u) if self.watch else None,
            clients=clients_of(&self.memory, u),
            level=written,
            values=values,
        )

    cdef tuple _waits(self, Unit* u):
        return tuple([u.waited_token[port] for port in range(u.n_in)])

    cdef object _integers(self, const int64_t* data, int64_t count):
        out = np.empty(count, np.int64)
        cdef int64_t[::1] view = out
        if count:
            memcpy(&view[0], data, count * sizeof(int64_t))
        return out

    cdef object _array(self, const float* data, int64_t count):
        out = np.empty(count, np.float32)
        cdef float[::1] view = out
        if count:
            memcpy(&view[0], data, count * sizeof(float))
        return out

    def channel_results(self):
        """Return the counters of every channel and what was recorded."""
        return tuple(self._channel_result(index) for index in range(self.n_chans))

    cdef object _channel_result(self, int32_t index):
        cdef Chan* c = &self.chans[index]
        removals = None
        if self.watch:
            removals = self._integers(c.record.removals, c.record.removed)
        return ChannelResult(c.values, c.missing, c.stops, c.waited, self._recorded(index),
                             removals, c.marked)

    cdef object _recorded(self, int32_t index):
        cdef Chan* c = &self.chans[index]
        cdef Record* r = c.record
        if r is NULL:
            return None
        ctl = np.empty(r.count, np.uint8)
        cdef uint8_t[::1] view = ctl
        if r.count:
            memcpy(&view[0], r.ctl, r.count)
        if c.width == 0:
            data = self._integers(<const int64_t*> r.data, r.count)
        else:
            data = self._array(<const float*> r.data, r.count * c.width)
            data = data.reshape(r.count, *self.machine.channels[index].tile)
        return TokenStream(ctl, data, self._integers(r.stamps, r.count))
