"""The golden cases of other tools, from the optional folder of external data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuseflow.interop.graphs.operands import BoundOperands
from fuseflow.ir.dataflow import DataflowProgram
from fuseflow.ir.hardware import HardwareConfig
from fuseflow.ir.tensor import tensor_from_dense
from fuseflow.sim.build import build_machine
from fuseflow.sim.result import MachineResult
from fuseflow.sim.tokens import CTL_DONE, CTL_MISSING, CTL_VALUE, TokenStream
from tests.sim.simulators import load

SAM_CASES = (
    "mat_elemadd_8x8", "mat_elemmul_8x8", "mat_identity_6x7", "mat_identity_dense_3x4",
    "mat_residual_8x8", "mat_sddmm_6x6x4", "mat_vecmul_ij_8x8", "matmul_ijk_6x6x6",
    "matmul_ijk_dense_4x4x4", "matmul_ikj_6x6x6", "tensor3_elemadd_4", "tensor3_mttkrp_4",
    "tensor3_ttv_4", "vec_elemadd_n16", "vec_elemmul_n16", "vec_identity_n8", "vec_scalar_mul_n16",
)  # fmt: skip
COMAL_CASES = ("spmv", "spmspm_ikj")


def folder_of(shared: Path, kind: str) -> Path:
    """Return the folder of golden cases of "sam" or "comal"; skip if it is not there."""
    folder = shared / "golden" / kind
    if not folder.is_dir():
        pytest.skip(f"no golden cases of {kind} in the external data")
    return folder


def read_case(path: Path) -> Any:
    return json.loads(path.read_text())


def operands_of(case: Any) -> BoundOperands:
    """Return the inputs of a SAM case as dense tensors."""
    arrays = {
        name: np.asarray(given["dense"] if isinstance(given, dict) else given, np.float32)
        for name, given in case["inputs"].items()
    }
    return BoundOperands({name: tensor_from_dense(array) for name, array in arrays.items()})


def record(program: DataflowProgram, simulator: str) -> tuple[MachineResult, dict[str, Any]]:
    """Run the only kernel; return the result, and every recorded stream by id and by name."""
    machine = build_machine(program.kernels[0], program.tensors, HardwareConfig())
    result = load(simulator)(machine, True)
    streams: dict[Any, TokenStream] = {}
    for channel, figures in zip(machine.channels, result.channels, strict=True):
        if channel.stream >= 0 and figures.recorded is not None:
            streams[channel.stream] = figures.recorded
            streams.setdefault(channel.name, figures.recorded)
    return result, streams


def plain_tokens(stream: TokenStream) -> list[float | str]:
    """Return the tokens as other tools have them: stops without marks."""
    return [_plain(ctl, value) for ctl, value in zip(stream.ctl, stream.data, strict=True)]


def _plain(ctl: int, value: Any) -> float | str:
    if ctl == CTL_VALUE:
        return float(value)
    return {CTL_MISSING: "N", CTL_DONE: "D"}.get(int(ctl), f"S{int(ctl) & 7}")


def numbers(tokens: list[Any]) -> list[float | str]:
    """Return the tokens of a golden file with numbers of one type."""
    return [token if isinstance(token, str) else float(token) for token in tokens]
