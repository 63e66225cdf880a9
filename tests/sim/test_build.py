"""A kernel becomes a Machine: order, hidden units, capacities, data, tiles."""

from dataclasses import replace

import numpy as np
import pytest

from fuseflow.errors import GraphError
from fuseflow.ir.dataflow import (
    AluAttrs,
    ArrayAttrs,
    LevelWriteAttrs,
    Op,
    ReduceAttrs,
    RootAttrs,
    ScanAttrs,
    ValWriteAttrs,
)
from fuseflow.ir.einsum import Role, Value
from fuseflow.ir.hardware import HardwareConfig, TimingConfig
from fuseflow.ir.tensor import Level, LevelFormat, Tensor
from fuseflow.ir.testing import KernelBuilder
from fuseflow.sim.build import build_machine
from fuseflow.sim.machine import ChannelKind, Machine, Unit, UnitKind
from fuseflow.sim.params import ArrayParams, LevelWriteParams, RepeatParams, ScanParams
from tests.sim import kernels, simulators
from tests.sim.simulators import every_simulator

COMAL, NATIVE = (HardwareConfig(TimingConfig(profile)) for profile in ("comal", "native"))
MATRIX = np.array([[1, 0, 2], [0, 0, 0], [4, 5, 6]], np.float32)
VALUES = {
    value.name: value
    for value in (
        kernels.operand("B", MATRIX, "compressed,compressed"),
        kernels.operand("c", np.ones(3, np.float32), "dense"),
        kernels.result("x", (3,), "compressed"),
    )
}


def spmv(hardware: HardwareConfig = COMAL) -> Machine:
    return build_machine(kernels.spmv().graph, VALUES, hardware)


def only(machine: Machine, kind: UnitKind) -> Unit:
    (unit,) = (unit for unit in machine.units if unit.kind is kind)
    return unit


def test_units_stand_behind_those_that_they_read_from() -> None:
    kernel = kernels.spmv().graph
    kernel.nodes.reverse()
    machine = build_machine(kernel, VALUES, COMAL)
    producers = machine.producers()
    for place, unit in enumerate(machine.units):
        assert all(producers[channel] < place for channel in unit.inputs if channel >= 0)


def test_profile_comal_puts_a_signal_generator_before_a_repeat() -> None:
    machine = spmv()
    signal, repeat = only(machine, UnitKind.REPSIG), only(machine, UnitKind.REPEAT)
    assert signal.outputs == (repeat.inputs[1],)
    assert signal.node == repeat.node
    channel = machine.channels[repeat.inputs[1]]
    assert (channel.kind, channel.stream, channel.depth) == (ChannelKind.SIG, -1, 1)
    assert repeat.params == RepeatParams(lookahead=True)


def test_profile_native_reads_the_signal_stream_itself() -> None:
    machine = spmv(NATIVE)
    assert UnitKind.REPSIG not in {unit.kind for unit in machine.units}
    assert only(machine, UnitKind.REPEAT).params == RepeatParams(lookahead=False)
    assert {channel.interval for channel in machine.channels} == {1}
    assert {channel.capacity for channel in machine.channels} == {1024}


def test_a_capacity_of_the_stream_wins_over_that_of_the_hardware() -> None:
    kernel = kernels.spmv()
    sid = kernel.streams[3]
    kernel.graph.streams[sid] = replace(kernel.graph.streams[sid], capacity=5)
    machine = build_machine(kernel.graph, VALUES, HardwareConfig(TimingConfig(capacity=9)))
    capacities = {channel.stream: channel.capacity for channel in machine.channels}
    assert capacities[sid] == 5
    assert capacities[-1] == 5  # the hidden channel is as large as the one it stands for
    assert {c for stream, c in capacities.items() if stream not in (sid, -1)} == {9}


def test_data_is_bound_without_a_copy() -> None:
    machine = spmv()
    tensor = VALUES["B"].tensor
    assert tensor is not None
    scans = [unit.params for unit in machine.units if isinstance(unit.params, ScanParams)]
    lower = next(p for p in scans if p.parents == 2)
    assert lower.segments is tensor.levels[1].segments
    assert lower.coordinates is tensor.levels[1].coordinates
    arrays = [unit.params for unit in machine.units if isinstance(unit.params, ArrayParams)]
    assert any(array.values is tensor.values for array in arrays)


def test_a_writer_knows_the_format_of_its_level() -> None:
    assert only(spmv(), UnitKind.LEVEL_WRITE).params == LevelWriteParams("x", 0, "compressed", 3)


@pytest.mark.parametrize("name", ["B", "c"])
def test_a_tensor_without_data_is_refused(name: str) -> None:
    tensors = VALUES | {name: replace(VALUES[name], tensor=None)}
    with pytest.raises(GraphError, match=f'"{name}" has no data') as caught:
        build_machine(kernels.spmv().graph, tensors, COMAL)
    assert caught.value.rule == "S010 unbound-tensor"


def test_coordinates_that_do_not_fit_a_word_are_refused() -> None:
    tensors = VALUES | {"x": kernels.result("x", (2**32 + 1,), "compressed")}
    with pytest.raises(GraphError, match="coordinates"):
        build_machine(kernels.spmv().graph, tensors, COMAL)


def test_an_open_stream_and_a_cycle_are_refused() -> None:
    kernel = kernels.spmv().graph
    kernel.nodes = [node for node in kernel.nodes if node.op is not Op.VAL_WRITE]
    with pytest.raises(GraphError, match="no consumer"):
        build_machine(kernel, VALUES, COMAL)
    loop = KernelBuilder()
    (sid,) = loop.add(Op.REPEAT, None, [2, 3], ["ref"])
    loop.add(Op.BROADCAST, None, [sid], ["ref", "ref"])
    with pytest.raises(GraphError) as caught:
        build_machine(loop.graph, {}, COMAL)
    assert caught.value.rule == "S012 cycle"


def tiled_kernel() -> tuple[KernelBuilder, dict[str, Value]]:
    """y(i) = sum_j relu(A(i,j)) where every value is a tile of 2 x 3 numbers."""
    k = KernelBuilder("tiles")
    (root,) = k.add(Op.ROOT, RootAttrs("A"), (), ["ref"])
    crd, ref = k.add(Op.SCAN, ScanAttrs("A", 0), [root], ["crd i", "ref i"])
    _, below = k.add(Op.SCAN, ScanAttrs("A", 1), [ref], ["", "ref i j"])
    (val,) = k.add(Op.ARRAY, ArrayAttrs("A"), [below], ["val i j"])
    (act,) = k.add(Op.ALU, AluAttrs("relu", (0.0,)), [val], ["val i j"])
    (total,) = k.add(Op.REDUCE, ReduceAttrs("add"), [act, None], ["val i"])
    k.add(Op.LEVEL_WRITE, LevelWriteAttrs("y", 0), [crd])
    k.add(Op.VAL_WRITE, ValWriteAttrs("y"), [total, None])
    levels = (Level(LevelFormat.DENSE, 2), Level(LevelFormat.DENSE, 2))
    tiles = np.arange(24, dtype=np.float32).reshape(4, 2, 3) - 12
    tensor = Tensor((4, 6), levels, (0, 1), tiles, tile=(2, 3))
    written = kernels.result("y", (2,), "dense")
    assert written.format is not None
    written.format = replace(written.format, tile=(2, 3))
    operand = Value("A", (4, 6), Role.INPUT, format=tensor.format, tensor=tensor, tile=tensor.tile)
    return k, {"A": operand, "y": written}


@every_simulator
def test_a_kernel_of_tiles_computes_and_counts_whole_tiles(simulator: str) -> None:
    kernel, tensors = tiled_kernel()
    machine = build_machine(kernel.graph, tensors, COMAL)
    result = simulators.load(simulator)(machine)
    units = {u.kind: r for u, r in zip(machine.units, result.units, strict=True)}
    tensor = tensors["A"].tensor
    assert tensor is not None
    assert tensor.values is not None
    expected = np.maximum(tensor.values, 0).reshape(2, 2, 2, 3).sum(axis=1)
    np.testing.assert_array_equal(units[UnitKind.VAL_WRITE].values, expected)
    assert units[UnitKind.ALU].flops == units[UnitKind.REDUCE].flops == 24
    assert units[UnitKind.ARRAY].read_bytes == 4 * 24
    assert units[UnitKind.VAL_WRITE].write_bytes == 4 * 12
    assert only(machine, UnitKind.ARRAY).cost.latency == 6
