"""Puts memory behind machines that were made without any."""

from collections.abc import Iterator
from dataclasses import replace

from fuseflow.ir.hardware import ComalHbmConfig, Hbm2Config, MemoryConfig
from fuseflow.sim.machine import Machine, Unit
from fuseflow.sim.memory import arrays_of

TIGHT = Hbm2Config(
    channels=2, banks=2, row_bytes=256, line_bytes=32, client_window=2, prefetch_tokens=3
)
# No size is a power of two but those of lines and rows.
ODD = Hbm2Config(channels=3, banks=5, row_bytes=384, line_bytes=128, map="row:col:chan:bank")
MEMORIES = {
    "comal-hbm": MemoryConfig("comal-hbm"),
    "comal-hbm, start-up once": MemoryConfig(
        "comal-hbm", ComalHbmConfig(channels=3, ii=3, startup_every_request=False, batch=4)
    ),
    "hbm2": MemoryConfig("hbm2"),
    "hbm2, tight": MemoryConfig("hbm2", hbm2=TIGHT),
    "hbm2, in order": MemoryConfig("hbm2", hbm2=replace(TIGHT, policy="fcfs", bank_xor=True)),
    "hbm2, refreshed": MemoryConfig("hbm2", hbm2=replace(TIGHT, refresh=True, t_refi=90, t_rfc=40)),
    "hbm2, odd map": MemoryConfig("hbm2", hbm2=ODD),
    "hbm2, impatient": MemoryConfig("hbm2", hbm2=replace(TIGHT, channels=1, window=3, bypass=1)),
}


def with_memory(machine: Machine, memory: MemoryConfig, stride: int = 4096 + 20) -> Machine:
    """The machine on that memory; arrays lie `stride` bytes apart, some have a small window."""
    bases = iter(range(0, 1 << 40, stride))
    return replace(machine, units=tuple(_placed(machine, bases)), memory=memory)


def _placed(machine: Machine, bases: Iterator[int]) -> Iterator[Unit]:
    for number, unit in enumerate(machine.units):
        placed = tuple(next(bases) for _ in arrays_of(unit))
        yield replace(unit, bases=placed, window=2 if number % 5 == 0 else 0)
