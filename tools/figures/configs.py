# SPDX-License-Identifier: MIT
"""How a model is fused: the paper's configurations as schedules.

Every configuration is written out as groups of operations, so that a row is what its name says
whatever the presets of the compiler do. Where a group computes a value anew for every use, that
is the published behavior, and no budget forbids it.
"""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "CONFIGS",
    "DECODERS",
    "Config",
    "attention_config",
    "chain_configs",
    "decoder_configs",
]

# Decoders of GPT-3 small; equal ones are simulated once.
DECODERS = 12


@dataclass(frozen=True, slots=True)
class Config:
    """A schedule, the number of kernels that it should give, and how often a kernel runs.

    `counts` pairs globs of einsums with runs of the kernel that has them: the first match counts,
    a kernel without one runs once. `single` are runs where one projection stands for three. `joint`
    says that one loop nest computes all products of a kernel.
    """

    name: str
    schedule: str
    kernels: int
    counts: tuple[tuple[str, int], ...] = ()
    single: tuple[tuple[str, int], ...] = ()
    lanes: tuple[int, int] = (1, 1)
    joint: bool = False

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
        "CS-global": Config(
            "CS-global",
            _schedule(
                *(
                    f"{_NO_ACTIVATION.format(each, each)} {{ iterate global; }}"
                    for each in ("layer1", "layer2")
                )
            ),
            4,
            joint=True,
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


def decoder_configs(*, masked_first: bool = False) -> Mapping[str, Config]:
    """Return the configurations of GPT-3; `full` is for two decoders, the others for one.

    The projections run one after the other: their kernels are apart unless a feed-forward before
    them is in the same group. Scores are formed densely before the mask is applied, unless
    `masked_first` leaves the order to the compiler.
    """
    first, second = (_pieces(layer, masked_first=masked_first) for layer in (0, 1))
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
    partial = _schedule(*first)
    suffix = ", masked-first" if masked_first else ""
    configs = (
        Config("unfused", _schedule(), 22, every, (*others, *every)),
        Config(f"partial{suffix}", partial, 5, every, (*others, *every)),
        Config(f"full{suffix}", full, 7, inner, (*others_of_first, *inner)),
    )
    return {config.name: config for config in configs[masked_first:]}


def attention_config(name: str, lanes: tuple[int, int] = (1, 1), tile: int = 1) -> Config:
    """Return attention as one kernel, with lanes over heads and over queries, or with tiles."""
    directives = ["order i -> j -> k -> m;"]
    directives += [
        f"parallel {index} by {count};"
        for index, count in zip(("i", "j"), lanes, strict=True)
        if count > 1
    ]
    if tile > 1:
        directives.append(f"block {', '.join(f'{index}:{tile}' for index in 'jkmn')};")
    more = f'for glob("*") {{ {" ".join(directives)} }};'
    return Config(name, _schedule('glob("*")', more=more), 1, lanes=lanes)


# The paper's names of the loops of (A B) C, and those of the imported graph.
_CHAIN_LOOPS = {"i": "i", "k": "j", "j": "k", "l": "m"}


def chain_configs() -> Mapping[str, Config]:
    """Return one configuration per loop order of (A B) C, all 24 of them."""
    found = {}
    for letters in itertools.permutations("ikjl"):
        order = " -> ".join(_CHAIN_LOOPS[letter] for letter in letters)
        more = f'for glob("*") {{ order only {order}; }};'
        name = "".join(letters)
        found[name] = Config(name, _schedule('glob("*")', more=more), 1)
    return found


# Indices of the two products of attention in either decoder: query, head, width, key. Queries come
# first because what follows takes them one by one; with heads first it would wait for all of them.
_ATTENTION_LOOPS = ("i -> k -> m -> p", "i -> r -> s -> p")


def _pieces(layer: int, *, masked_first: bool) -> tuple[str, ...]:
    """Return the groups of one decoder: three projections, attention, feed-forward.

    All scores of a query are formed before any is masked if its keys are the innermost loop.
    """
    path = f"blocks.{layer}"
    order = "" if masked_first else f" {{ order {_ATTENTION_LOOPS[layer]}; }}"
    return (
        f'glob("{path}.projection.norm.*"), glob("{path}.projection.query.*")',
        f'glob("{path}.projection.key.*")',
        f'glob("{path}.projection.value.*")',
        f'scope("{path}.attention"){order}',
        f'scope("{path}.feedforward")',
    )
