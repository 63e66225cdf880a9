# SPDX-License-Identifier: MIT
"""How a model is fused: the paper's configurations as schedules.

Every configuration is written out as groups of operations, so that a row is what its name says
whatever the presets of the compiler do. Where a group computes a value anew for every use, that
is the published behavior, and no budget forbids it.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["CONFIGS", "DECODERS", "Config", "decoder_configs"]

# Decoders of GPT-3 small; equal ones are simulated once.
DECODERS = 12


@dataclass(frozen=True, slots=True)
class Config:
    """A schedule, the number of kernels that it should give, and how often a kernel runs.

    `counts` pairs globs of einsums with runs of the kernel that has them: the first match counts,
    a kernel without one runs once. `single` are runs where one projection stands for three.
    """

    name: str
    schedule: str
    kernels: int
    counts: tuple[tuple[str, int], ...] = ()
    single: tuple[tuple[str, int], ...] = ()

    def runs(self, ops: Sequence[str], *, one_projection: bool = False) -> int:
        """Return how often a kernel with these einsums runs."""
        table = self.single if one_projection else self.counts
        for pattern, count in table:
            if any(fnmatch.fnmatchcase(op, pattern) for op in ops):
                return count
        return 1


def _schedule(*groups: str, more: str = "") -> str:
    lines = ["strategy unfused;", "budget recompute=1000000000;"]
    lines += [f"fuse g{number} = {members};" for number, members in enumerate(groups)]
    return "\n".join([*lines, more])


_LAYER1 = 'scope("layer1")'
_LAYER2 = 'scope("layer2")'
_NO_ACTIVATION = "{}.matmul .. {}.linear.add"
# Alone, these would be walked by the weight's entries; the paper walks the rows of X.
_ROW_WISE = 'for glob("layer*.self_linear.matmul") { order i -> j -> k -> n; };'

CONFIGS: Mapping[str, Mapping[str, Config]] = {
    "gcn": {
        "unfused": Config("unfused", _schedule(), 8),
        "partial": Config("partial", _schedule(_LAYER1, _LAYER2), 2),
        "full": Config("full", _schedule(f"{_LAYER1}, {_LAYER2}"), 1),
        "layer 1": Config("layer 1", _schedule(_LAYER1), 5),
        "layer 2": Config("layer 2", _schedule(_LAYER2), 5),
        "CS-factored": Config(
            "CS-factored",
            _schedule(*(_NO_ACTIVATION.format(each, each) for each in ("layer1", "layer2"))),
            4,
        ),
    },
    "graphsage": {
        "unfused": Config("unfused", _schedule(more=_ROW_WISE), 14),
        "partial": Config("partial", _schedule(_LAYER1, _LAYER2), 2),
        "full": Config("full", _schedule(f"{_LAYER1}, {_LAYER2}"), 1),
    },
    "sae": {
        "unfused": Config("unfused", _schedule(), 5),
        "partial": Config("partial", _schedule('scope("encoder")', 'scope("decoder")'), 2),
        "full": Config("full", _schedule('scope("encoder"), scope("decoder")'), 1),
    },
}


def decoder_configs() -> Mapping[str, Config]:
    """Return the configurations of GPT-3; `full` is for two decoders, the others for one.

    The projections run one after the other: their kernels are apart unless a feed-forward before
    them is in the same group.
    """
    first, second = _pieces(0), _pieces(1)
    others = (("*projection.key.*", 0), ("*projection.value.*", 0))
    every = (("*", DECODERS),)
    inner = (
        ("blocks.1.attention.*", 0),  # equal to that of the first, which is counted for all
        ("blocks.0.attention.*", DECODERS),
        ("blocks.0.feedforward.*", DECODERS - 1),
    )
    others_of_first = (("blocks.0.projection.key.*", 0), ("blocks.0.projection.value.*", 0))
    joined = f"{first[4]}, {', '.join(second[:3])}"
    full = _schedule(*first[:4], joined, *second[3:])
    return {
        "unfused": Config("unfused", _schedule(), 22, every, (*others, *every)),
        "partial": Config("partial", _schedule(*first), 5, every, (*others, *every)),
        "full": Config("full", full, 7, inner, (*others_of_first, *inner)),
    }


def _pieces(layer: int) -> tuple[str, ...]:
    """Return the groups of one decoder: three projections, attention, feed-forward."""
    path = f"blocks.{layer}"
    return (
        f'glob("{path}.projection.norm.*"), glob("{path}.projection.query.*")',
        f'glob("{path}.projection.key.*")',
        f'glob("{path}.projection.value.*")',
        f'scope("{path}.attention")',
        f'scope("{path}.feedforward")',
    )
