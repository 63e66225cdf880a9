"""Puts memory behind machines that were made without any."""

from collections.abc import Iterator
from dataclasses import replace

from fuseflow.ir.hardware import ComalHbmConfig, Hbm2Config, MemoryConfig
from fuseflow.sim.machine import Machine, Unit
from fuseflow.sim.memory import arrays_of

TIGHT = Hbm2Config(
    channels=2, banks=2, row_bytes=256, line_bytes=32, client_window=2, prefetch_tokens=3
)
MEMORIES = {
    "comal-hbm": MemoryConfig("comal-hbm"),
    "comal-hbm, start-up once": MemoryConfig(
        "comal-hbm", ComalHbmConfig(channels=3, ii=3, startup_every_request=False, batch=4)
    ),
    "hbm2": MemoryConfig("hbm2"),
    "hbm2, tight": MemoryConfig("hbm2", hbm2=TIGHT),
    "hbm2, in order": MemoryConfig("hbm2", hbm2=replace(TIGHT, policy="fcfs", bank_xor=True)),
    "hbm2, impatient": MemoryConfig("hbm2", hbm2=replace(TIGHT, channels=1, window=3, bypass=1)),
}


def with_memory(machine: Machine, memory: MemoryConfig, stride: int = 4096 + 20) -> Machine:
    """The machine on that memory; arrays lie `stride` bytes apart."""
    bases = iter(range(0, 1 << 40, stride))
    return replace(machine, units=tuple(_placed(machine, bases)), memory=memory)


def _placed(machine: Machine, bases: Iterator[int]) -> Iterator[Unit]:
    for unit in machine.units:
        yield replace(unit, bases=tuple(next(bases) for _ in arrays_of(unit)))
