"""The simulators that share the suites of this folder."""

import importlib
from collections.abc import Callable

import pytest

from fuseflow.sim.result import MachineResult
from fuseflow.sim.twin import run_twin

Simulator = Callable[..., MachineResult]


def _engine() -> Simulator:
    try:
        return importlib.import_module("fuseflow.sim.engine").run_engine
    except ImportError as error:
        pytest.skip(f"the engine is not compiled here: {error}")


def load(name: str) -> Simulator:
    """Return the simulator of that name; skip the test if it is not built."""
    return run_twin if name == "twin" else _engine()


every_simulator = pytest.mark.parametrize("simulator", ["twin", "engine"])
