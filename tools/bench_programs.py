# SPDX-License-Identifier: MIT
"""Whole programs for measuring the simulator: models of the zoo, imported and compiled.

The graph network stands on a graph of the size of Cora (2708 papers, 10556 citations counted in
both directions, 1433 words), drawn with a seed unless a file is given. Its weights are dense, as
those of a model that nobody has pruned, or 40 % dense, as those of the artifact of FuseFlow
(ASPLOS'26, section 8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from fuseflow.cli.sources import import_case
from fuseflow.fusion import FuseOptions, Strategy, fuse
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.einsum import Value
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.models import zoo
from fuseflow.sim.assemble import assemble
from fuseflow.sim.build import build_machine
from fuseflow.sim.machine import Machine
from fuseflow.sim.result import MachineResult

__all__ = ["programs", "run_kernels"]

Settings = tuple[tuple[str, str], ...]

CORA = {"graph": "powerlaw", "nodes": "2708", "edges": "10556", "features": "1433"}
GPT = {"seq": "128", "dim": "256", "heads": "4", "ffn": "1024"}
GCN_STRATEGIES = (Strategy.UNFUSED, Strategy.LAYER, Strategy.FULL)
GPT_STRATEGIES = (Strategy.UNFUSED, Strategy.LAYER)


def programs(scale: float, graph: str | None) -> Mapping[str, Callable[[], DataflowProgram]]:
    """Return what makes each program, by name.

    `scale` multiplies the nodes and edges of the drawn graph and the length of the sequence;
    `graph` is the path of a graph file, None for the drawn one.
    """
    cora = dict(CORA)
    for key in ("nodes", "edges"):
        cora[key] = str(max(64, int(int(CORA[key]) * scale)))
    if graph is not None:
        cora = {"graph": graph}
    gpt = GPT | {"seq": str(8 * max(4, int(int(GPT["seq"]) * scale / 8)))}
    found: dict[str, Callable[[], DataflowProgram]] = {}
    for density, weights in (("1", "dense weights"), ("0.4", "weights 40 % dense")):
        settings = tuple((cora | {"weight_density": density}).items())
        for strategy in GCN_STRATEGIES:
            found[f"gcn, {weights}, {strategy}"] = partial(_program, "gcn", settings, strategy)
    for strategy in GPT_STRATEGIES:
        found[f"gpt block, {strategy}"] = partial(_program, "gpt", tuple(gpt.items()), strategy)
    return found


def _program(name: str, settings: Settings, strategy: Strategy) -> DataflowProgram:
    graph = import_case(zoo.build(name, dict(settings)))
    return fuse(graph, FuseOptions(strategy))


def run_kernels(program: DataflowProgram, run: Callable[[Machine], MachineResult]) -> None:
    """Run kernel after kernel on a machine of profile comal, unbounded and with ideal memory."""
    tensors: dict[str, Value] = dict(program.tensors)
    for kernel in program.kernels:
        machine = build_machine(kernel, tensors, HardwareConfig())
        for name, tensor in assemble(machine, run(machine), tensors).items():
            tensors[name] = replace(tensors[name], tensor=tensor)
