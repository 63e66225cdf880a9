"""Written levels and values become a tensor, or an error that says what does not fit."""

import numpy as np
import pytest

from fuseflow.errors import GraphError
from fuseflow.ir.tensor import LevelFormat, Tensor
from fuseflow.sim.assemble import assemble
from fuseflow.sim.faults import RESULT
from fuseflow.sim.machine import Machine, Unit, UnitKind
from fuseflow.sim.params import LevelWriteParams, UnitParams, ValWriteParams
from fuseflow.sim.result import MachineResult, UnitResult, WrittenLevel
from tests.sim import kernels

Stored = tuple[list[int], list[int]]


def written(text: str, levels: dict[int, Stored], values: list[float]) -> Tensor:
    """The 2 x 3 tensor of this format that these writers left behind."""
    params: list[UnitParams] = [LevelWriteParams("X", number) for number in levels]
    params.append(ValWriteParams("X"))
    units = tuple(Unit(UnitKind.LEVEL_WRITE, f"writer{i}", (), (), p) for i, p in enumerate(params))
    results = [
        UnitResult(0, 0, level=WrittenLevel(np.array(seg, np.int64), np.array(crd, np.int64)))
        for seg, crd in levels.values()
    ]
    results.append(UnitResult(0, 0, values=np.array(values, np.float32)))
    result = MachineResult(tuple(results), (), 0)
    return assemble(Machine("k", units, ()), result, {"X": kernels.result("X", (2, 3), text)})["X"]


def test_stored_levels_and_values_make_a_tensor() -> None:
    tensor = written("compressed,compressed", {0: ([0, 1], [1]), 1: ([0, 2], [0, 2])}, [5, 6])
    np.testing.assert_array_equal(tensor.to_dense(), [[0, 0, 0], [5, 0, 6]])


def test_levels_follow_the_mode_order() -> None:
    levels = {0: ([0, 2], [0, 2]), 1: ([0, 1, 3], [1, 0, 1])}
    tensor = written("compressed,compressed@1,0", levels, [5, 6, 7])
    np.testing.assert_array_equal(tensor.to_dense(), [[0, 0, 6], [5, 0, 7]])


def test_a_dense_level_need_not_be_written() -> None:
    tensor = written("dense,compressed", {1: ([0, 0, 1], [2])}, [5])
    assert tensor.levels[0].format is LevelFormat.DENSE
    np.testing.assert_array_equal(tensor.to_dense(), [[0, 0, 0], [0, 0, 5]])


def test_a_dense_level_that_is_written_must_be_complete() -> None:
    levels = {0: ([0, 2], [0, 1]), 1: ([0, 3, 6], [0, 1, 2, 0, 1, 2])}
    tensor = written("dense,dense", levels, [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(tensor.to_dense(), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("text", "levels", "values", "message"),
    [
        ("dense,dense", {1: ([0, 3, 5], [0, 1, 2, 0, 1])}, [1] * 5, "a list of 2"),
        ("dense,dense", {1: ([0, 3, 6], [0, 1, 2, 0, 2, 1])}, [1] * 6, "do not ascend"),
        ("dense,compressed", {1: ([0, 1, 3], [2, 1, 1])}, [1] * 3, "do not ascend"),
        ("dense,compressed", {1: ([0, 1, 2], [2, 3])}, [1] * 2, "coordinate 3 at extent 3"),
        ("dense,compressed", {1: ([0, 1], [2])}, [1], "1 lists for 2 positions"),
        ("dense,compressed", {1: ([0, 1, 2], [2, 0])}, [1], "1 values for 2 positions"),
        ("compressed,dense", {}, [1], "was not written"),
        ("dense,singleton", {1: ([0, 2, 3], [0, 1, 1])}, [1] * 3, "a list of 2"),
    ],
)
def test_what_does_not_fit_is_refused(
    text: str, levels: dict[int, Stored], values: list[float], message: str
) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        written(text, levels, values)
    assert caught.value.rule == RESULT


def test_a_singleton_level_keeps_one_coordinate_per_position() -> None:
    tensor = written("dense,singleton", {1: ([0, 1, 2], [2, 0])}, [5, 6])
    np.testing.assert_array_equal(tensor.to_dense(), [[0, 0, 5], [6, 0, 0]])
