"""Where compiled code breaks first: growth, wrap-around, long streams, highest levels, limits."""

import numpy as np
import pytest

from fuseflow.errors import GraphError
from fuseflow.sim import params as pm
from fuseflow.sim.engine.core import Core
from fuseflow.sim.machine import Channel, ChannelKind, Cost, Machine, Unit, UnitKind
from fuseflow.sim.tokens import DONE, MISSING, Stop, TokenStream
from fuseflow.sim.twin import run_twin
from tests.sim import simulators
from tests.sim.engine.machines import draw_machine
from tests.sim.engine.test_equals_twin import assert_equal_results
from tests.sim.golden import MachineBuilder
from tools.bench_machines import Maker, sparse_product, spmm

CRD, REF, VAL = ChannelKind.CRD, ChannelKind.REF, ChannelKind.VAL


def assert_as_in_twin(machine: Machine) -> None:
    run = simulators.load("engine")
    assert_equal_results(machine, run(machine, record=True), run_twin(machine, record=True))


def one_unit(
    kind: UnitKind, params: pm.UnitParams, tokens: list[list[object]], kinds: list[ChannelKind],
    out: ChannelKind, depth: int,
) -> Machine:  # fmt: skip
    """A unit between sources of these tokens and a sink."""
    builder = MachineBuilder()
    inputs = []
    for j, (stream, made) in enumerate(zip(tokens, kinds, strict=True)):
        inputs.append(builder.channel(f"in{j}", made, depth=depth))
        builder.source(inputs[-1], stream, range(1, len(stream) + 1))
    result = builder.channel("out", out)
    builder.unit(kind, "unit", inputs, [result], params)
    builder.sink(result)
    return builder.build()


def softmax(rows: int, columns: int, capacity: int | None = None) -> Machine:
    """Every row is reduced and divided by its sum: the row waits beside the reduction."""
    values = np.arange(1, rows * columns + 1, dtype=np.float32)
    m = Maker("softmax", capacity)
    (root,) = m.add(UnitKind.ROOT, [], [REF])
    (i,) = m.add(UnitKind.FULL, [root], [CRD], pm.FullParams(rows))
    (j,) = m.add(UnitKind.FULL, [i], [CRD], pm.FullParams(columns))
    row = m.locate(i, -1, rows)
    val = m.array(m.locate(j, row, columns, columns), values)
    m.write([], m.alu("div", val, m.repeat(m.reduce(val), j)))
    return m.machine()


@pytest.mark.parametrize("columns", [1, 3, 200, 3000])
def test_a_ring_grows_where_a_branch_waits_for_a_whole_row(columns: int) -> None:
    assert_as_in_twin(softmax(3, columns))


def test_a_row_that_does_not_fit_a_bounded_channel_is_a_deadlock() -> None:
    machine = softmax(2, 20, capacity=8)
    result = simulators.load("engine")(machine)
    assert not result.complete
    assert result.deadlock is not None
    assert result.deadlock == run_twin(machine).deadlock


@pytest.mark.parametrize("capacity", [None, 1, 2, 7])
def test_products_wrap_around_every_ring(capacity: int | None) -> None:
    assert_as_in_twin(spmm(40, 10, 3, 4, capacity=capacity))
    assert_as_in_twin(sparse_product(25, 3, 4, capacity=capacity))


def test_long_and_short_fibers_take_turns() -> None:
    lengths = [0, 1, 40, 0, 2, 33, 700, 1, 1, 0, 31, 32, 2000, 0]
    segments = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    coordinates = np.concatenate([np.arange(n) for n in lengths]).astype(np.int64)
    m = Maker("fibers")
    (root,) = m.add(UnitKind.ROOT, [], [REF])
    (i,) = m.add(UnitKind.FULL, [root], [CRD], pm.FullParams(len(lengths)))
    row = m.locate(i, -1, len(lengths))
    params = pm.ScanParams("compressed", 2000, len(lengths), segments, coordinates)
    j, at = m.add(UnitKind.SCAN, [row], [CRD, REF], params)
    val = m.array(at, np.arange(segments[-1], dtype=np.float32))
    total = m.reduce(m.alu("mul", val, val))
    m.write([j], total)
    assert_as_in_twin(m.machine())


def test_memory_does_not_grow_with_the_streams() -> None:
    peaks = []
    for rows in (300, 30_000):
        m = Maker("stream")
        (root,) = m.add(UnitKind.ROOT, [], [REF])
        (i,) = m.add(UnitKind.FULL, [root], [CRD], pm.FullParams(rows))
        (j,) = m.add(UnitKind.FULL, [i], [CRD], pm.FullParams(40))
        row = m.repeat(m.locate(i, -1, rows), j)
        val = m.array(m.locate(row, -1, rows), np.ones(rows, np.float32))
        m.add(UnitKind.SINK, [m.reduce(m.alu("mul", val, val))], [])
        core = Core(m.machine(), False, None)
        assert core.run() == -1
        peaks.append(core.peak_bytes())
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize(
    "tokens",
    [
        [3, *(Stop(n) for n in range(7)), 4, Stop(7), DONE],
        [3, Stop(7), DONE],
        [Stop(7, 7), DONE],
        [3, Stop(6), Stop(7, 6), DONE],
    ],
)
def test_the_highest_stop_level_passes(tokens: list[object]) -> None:
    assert_as_in_twin(one_unit(UnitKind.REPSIG, pm.NoParams(), [tokens], [REF], ChannelKind.SIG, 8))


def test_deeper_lists_than_a_control_byte_can_close_are_refused() -> None:
    channel = Channel(REF, depth=9, name="deep")
    machine = Machine("deep", (Unit(UnitKind.SINK, "sink", (0,), ()),), (channel,))
    with pytest.raises(ValueError, match="depth 9"):
        simulators.load("engine")(machine)


@pytest.mark.parametrize(
    "tokens", [[0, DONE], [MISSING, DONE], [Stop(0), DONE], [Stop(1, 1), DONE]]
)
def test_the_shortest_streams_pass(tokens: list[object]) -> None:
    depth = tokens[0].n + 1 if isinstance(tokens[0], Stop) else 0
    params = pm.ScanParams("dense", 2, 1)
    builder = MachineBuilder()
    source = builder.channel("in", REF, depth=depth)
    builder.source(source, tokens, [1, 2])
    outputs = [builder.channel("crd", CRD), builder.channel("ref", REF)]
    builder.unit(UnitKind.SCAN, "scan", [source], outputs, params)
    for channel in outputs:
        builder.sink(channel)
    assert_as_in_twin(builder.build())


def test_signs_of_zero_and_odd_numbers_pass_an_accumulator() -> None:
    minus_zero = np.float32(-0.0)
    values = [minus_zero, np.float32(np.nan), np.float32(-np.inf), Stop(0), minus_zero,
              np.float32(1), np.float32(np.inf), Stop(1), DONE]  # fmt: skip
    keys = [5, 6, 7, Stop(0), 5, 6, 7, Stop(1), DONE]
    for op, init in (("add", 0.0), ("max", -np.inf), ("min", np.inf), ("mul", 1.0)):
        builder = MachineBuilder()
        streams = ([0, 1, Stop(0), DONE], keys, values)
        inputs = []
        for j, (stream, kind) in enumerate(zip(streams, (CRD, CRD, VAL), strict=True)):
            inputs.append(builder.channel(f"in{j}", kind))
            builder.source(inputs[-1], stream, range(1, len(stream) + 1))
        outputs = [builder.channel("crd", CRD), builder.channel("val", VAL)]
        builder.unit(UnitKind.SPACC, "spacc", inputs, outputs, pm.SpaccParams(op, init, 1, (0,)))
        for channel in outputs:
            builder.sink(channel)
        machine = builder.build()
        result = simulators.load("engine")(machine, record=True)
        with np.errstate(all="ignore"):
            wanted = run_twin(machine, record=True)
        mine, theirs = (r.channels[outputs[1]].recorded for r in (result, wanted))
        assert mine is not None
        assert theirs is not None
        assert mine.data.tobytes() == theirs.data.tobytes() or op == "add"
        np.testing.assert_array_equal(np.signbit(mine.data[0]), np.signbit(theirs.data[0]))


@pytest.mark.parametrize("large", [2**22, 2**31, 2**40])
def test_an_accumulator_takes_keys_beyond_its_plain_array(large: int) -> None:
    keys = [0, 7, Stop(0), 3, large, Stop(0), 7, large, large + 1, Stop(1), DONE]
    values = [np.float32(k) if not isinstance(k, Stop) and k is not DONE else k for k in keys]
    builder = MachineBuilder()
    inputs = []
    for j, (stream, kind) in enumerate(
        zip(([0, 1, 2, Stop(0), DONE], keys, values), (CRD, CRD, VAL), strict=True)
    ):
        inputs.append(builder.channel(f"in{j}", kind))
        builder.source(inputs[-1], stream, range(1, len(stream) + 1))
    outputs = [builder.channel("crd", CRD), builder.channel("val", VAL)]
    builder.unit(UnitKind.SPACC, "spacc", inputs, outputs, pm.SpaccParams("add", 0.0, 1, (0,)))
    for channel in outputs:
        builder.sink(channel)
    assert_as_in_twin(builder.build())


def test_a_limit_of_cycles_ends_an_endless_wait() -> None:
    run = simulators.load("engine")
    machine = spmm(2000, 50, 16, 8)
    full = run(machine)
    cut = run(machine, max_cycles=full.elapsed // 10)
    assert full.complete
    assert not cut.complete
    assert cut.deadlock is None
    assert cut.elapsed > full.elapsed // 10
    assert run(machine, max_cycles=full.elapsed).complete


def test_progress_is_told_and_may_stop_the_run() -> None:
    machine = spmm(3000, 50, 64, 8)
    clocks: list[int] = []

    def ask(clock: int) -> str | None:
        clocks.append(clock)
        return "enough" if len(clocks) == 3 else None

    result = simulators.load("engine")(machine, progress=ask)
    assert result.stopped == "enough"
    assert not result.complete
    assert result.deadlock is None
    assert clocks == sorted(clocks)
    assert 0 < clocks[-1] <= result.elapsed


def test_the_twin_looks_up_in_the_middle_of_a_unit() -> None:
    """The first unit alone makes more tokens than it may between two looks."""
    machine = spmm(20_000, 5, 1, 1)
    calls = 0

    def ask(_clock: int) -> str | None:
        nonlocal calls
        calls += 1
        return "enough" if calls == 5 else None

    result = run_twin(machine, progress=ask)
    assert result.stopped == "enough"
    assert sum(c.values for c in result.channels) < 20_000


def broken(machine: Machine, rng: np.random.Generator) -> Machine:
    """The machine with one token of one source lost."""
    sources = [i for i, unit in enumerate(machine.units) if unit.kind is UnitKind.SOURCE]
    index = sources[int(rng.integers(len(sources)))]
    unit = machine.units[index]
    assert isinstance(unit.params, pm.SourceParams)
    stream = unit.params.stream
    keep = np.arange(len(stream)) != rng.integers(len(stream))
    cut = TokenStream(stream.ctl[keep], stream.data[keep], stream.stamps[keep])
    made = Unit(unit.kind, unit.name, unit.inputs, unit.outputs, pm.SourceParams(cut), unit.cost)
    units = (*machine.units[:index], made, *machine.units[index + 1 :])
    return Machine(machine.name, units, machine.channels)


@pytest.mark.parametrize("capacity", [None, 4], ids=str)
def test_whatever_breaks_the_twin_breaks_the_engine(capacity: int | None) -> None:
    run = simulators.load("engine")
    rng = np.random.default_rng(5)
    faults = 0
    for seed in range(60):
        machine = broken(draw_machine(seed, capacity, steps=15), rng)
        try:
            wanted = run_twin(machine)
        except GraphError:
            faults += 1
            with pytest.raises(GraphError):
                run(machine)
        else:
            assert run(machine).complete == wanted.complete
    assert faults > 10


def tiled(capacity: int | None) -> Machine:
    """Tiles are read, combined, folded and written."""
    tile = (2, 3)
    values = np.arange(5 * 6, dtype=np.float32).reshape(5, *tile) - 9
    builder = MachineBuilder(capacity)
    refs = [0, 1, Stop(0), MISSING, 4, 2, Stop(0), Stop(0), 3, Stop(1), DONE]
    keys = [2, 5, Stop(0), 1, 2, 9, Stop(0), Stop(0), 5, Stop(1), DONE]
    outer = [0, 1, 2, 3, Stop(0), DONE]
    ref, key, top = (builder.channel(n, k) for n, k in (("ref", REF), ("key", CRD), ("top", CRD)))
    for channel, stream in ((ref, refs), (key, keys), (top, outer)):
        builder.source(channel, stream, range(1, len(stream) + 1))
    read, left, right, double, also, summed, folded, out_key = (
        builder.channel(name, VAL, tile)
        for name in ("read", "left", "right", "double", "also", "summed", "folded", "spare")
    )
    crd = builder.channel("crd", CRD)
    array = pm.ArrayParams(values, 5, np.full(tile, 0.5, np.float32))
    builder.unit(UnitKind.ARRAY, "array", [ref], [read], array, Cost(latency=3))
    builder.unit(UnitKind.BROADCAST, "copies", [read], [left, right])
    add = pm.AluParams("add", (0.0, 0.0), (), 6)
    builder.unit(UnitKind.ALU, "alu", [left, right], [double], add, Cost(ii=2, latency=4))
    builder.unit(UnitKind.BROADCAST, "more", [double], [also, out_key])
    builder.unit(UnitKind.REDUCE, "fold", [also, -1], [folded], pm.ReduceParams("add", 0.0, 0.0))
    spacc = pm.SpaccParams("add", 0.0, 1, (0,))
    builder.unit(UnitKind.SPACC, "spacc", [top, key, out_key], [crd, summed], spacc)
    builder.unit(UnitKind.VAL_WRITE, "write", [summed], [], pm.ValWriteParams("T"))
    builder.unit(UnitKind.VAL_WRITE, "folded", [folded], [], pm.ValWriteParams("U"))
    builder.unit(UnitKind.LEVEL_WRITE, "keys", [crd], [], pm.LevelWriteParams("T", 0))
    return builder.build("tiles")


@pytest.mark.parametrize("capacity", [None, 8, 2])
def test_tiles_run_as_in_the_twin(capacity: int | None) -> None:
    assert_as_in_twin(tiled(capacity))
