"""Puts one unit between sources with random stamps and sinks."""

from random import Random

import numpy as np

from fuseflow.sim.machine import Machine
from fuseflow.sim.nested import encode
from fuseflow.sim.result import MachineResult
from fuseflow.sim.tokens import TokenStream
from tests.sim.cases import Case
from tests.sim.golden import MachineBuilder


def machine_of(case: Case, capacity: int | None, rng: Random) -> tuple[Machine, list[int]]:
    """The unit of a case between sources with random stamps and sinks; its output channels."""
    builder = MachineBuilder(capacity)
    inputs, outputs = [], []
    for port, lists in enumerate(case.inputs):
        if lists.nested is None:
            inputs.append(-1)
            continue
        channel = builder.channel(f"in {port}", lists.kind, depth=lists.depth)
        tokens = encode(lists.nested, lists.depth)
        gaps = [rng.choice([1, 1, 1, 2, 5]) for _ in tokens]
        builder.source(channel, tokens, np.cumsum(gaps).tolist())
        inputs.append(channel)
    for port, expected in enumerate(case.outputs):
        name = f"out {port}"
        outputs.append(
            builder.channel(name, expected.kind, depth=expected.depth) if expected else -1
        )
    builder.unit(case.kind, "unit", inputs, outputs, case.params, case.cost)
    for channel in outputs:
        if channel >= 0:
            builder.sink(channel)
    return builder.build(), outputs


def tokens_of(result: MachineResult, channel: int) -> TokenStream:
    recorded = result.channels[channel].recorded
    assert recorded is not None
    return recorded
